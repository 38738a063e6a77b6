//! Changes of a value, made up from its schema: each breaks one rule at one place, or none, by a hair. Where it shows is
//! known from the change itself.

use std::ops::Range;

use serde_json::{Value, json};

use super::{
    oracle::{Rule, Step, field, resolve, rules},
    valid::{days, known, length},
};

/// A change at one place.
#[derive(Debug, Clone)]
pub(super) struct Change {
    path: Vec<Step>,
    /// `None` takes it away.
    value: Option<Value>,
    /// Where the contract is broken afterwards, if it is.
    pub(super) violation: Option<String>,
    /// How many steps lead to what other changes must leave alone, so that this one has its effect.
    scope: usize,
}

impl Change {
    /// False if the place is gone.
    pub(super) fn apply(&self, customer: &mut Value) -> bool {
        let Some((last, parents)) = self.path.split_last() else {
            customer.clone_from(self.value.as_ref().unwrap());
            return true;
        };
        let parent = parents.iter().try_fold(customer, |value, step| match step {
            Step::Member(name) => value.get_mut(name),
            Step::Item(index) => value.get_mut(index),
        });
        match (last, parent, self.value.clone()) {
            (Step::Member(name), Some(Value::Object(members)), Some(value)) => {
                members.insert(name.clone(), value);
            }
            (Step::Member(name), Some(Value::Object(members)), None) => {
                return members.remove(name).is_some();
            }
            (Step::Item(index), Some(Value::Array(items)), Some(value)) if *index < items.len() => {
                items[*index] = value;
            }
            (Step::Item(index), Some(Value::Array(items)), Some(value)) if *index == items.len() => {
                items.push(value);
            }
            _ => return false,
        }
        true
    }

    /// Whether both have the effect that each has alone.
    pub(super) fn is_apart_from(&self, other: &Self) -> bool {
        let (one, other) = (&self.path[..self.scope], &other.path[..other.scope]);
        !one.starts_with(other) && !other.starts_with(one)
    }
}

/// Every change of a value that its schema accepts.
pub(super) fn changes(schema: &'static Value, value: &Value) -> Vec<Change> {
    let mut walk = Walk { changes: Vec::new(), path: Vec::new(), ties: 0 };
    walk.visit(schema, None, value);
    walk.changes
}

struct Walk {
    changes: Vec<Change>,
    path: Vec<Step>,
    /// 1 where a change may touch what a rule says of the members around.
    ties: usize,
}

impl Walk {
    fn add(&mut self, value: Option<Value>, is_violation: bool) {
        let violation = is_violation.then(|| field(&self.path));
        let scope = self.path.len().saturating_sub(self.ties);
        self.changes.push(Change { path: self.path.clone(), value, violation, scope });
    }

    fn at(&mut self, step: Step, ties: usize, act: impl FnOnce(&mut Self)) {
        self.path.push(step);
        let around = std::mem::replace(&mut self.ties, ties);
        act(self);
        self.ties = around;
        self.path.pop();
    }

    /// `tied` is what a rule says of the value besides.
    fn visit(&mut self, schema: &'static Value, tied: Option<&'static Value>, value: &Value) {
        let schema = known(resolve(schema));
        let kind = schema["type"].as_str().unwrap();
        for other in others(value) {
            let same = matches!(
                (kind, &other),
                ("object", Value::Object(_)) | ("array", Value::Array(_)) | ("string", Value::String(_))
            );
            if !same {
                self.add(Some(other), true);
            }
        }
        match value {
            Value::Object(_) => self.object(schema, value),
            Value::Array(items) => self.array(&schema["items"], items),
            Value::String(text) => {
                for candidate in texts(schema, tied, text) {
                    let is_violation = is_violation(schema, &candidate)
                        || tied.is_some_and(|tied| is_violation(tied, &candidate));
                    self.add(Some(candidate.into()), is_violation);
                }
            }
            other => panic!("teach the changes {other}"),
        }
    }

    fn object(&mut self, schema: &'static Value, value: &Value) {
        let members = value.as_object().unwrap();
        let properties = schema["properties"].as_object().unwrap();
        let rules = rules(schema);
        for (name, property) in properties {
            let Some(value) = members.get(name) else { continue };
            let is_required = schema["required"].as_array().is_some_and(|names| names.contains(&json!(name)));
            let is_decisive = rules.iter().any(|rule| rule.decides_by(name));
            let is_tied = is_decisive || rules.iter().any(|rule| rule.then.contains_key(name));
            let tied =
                rules.iter().find(|rule| rule.applies_to(members)).and_then(|rule| rule.then.get(name));
            self.at(Step::Member(name.clone()), usize::from(is_tied), |walk| {
                let before = walk.changes.len();
                walk.add(None, is_required);
                walk.visit(property, tied, value);
                if is_decisive {
                    // What it may become decides over others, which `decide` knows.
                    let harmful: Vec<_> =
                        walk.changes.drain(before..).filter(|change| change.violation.is_some()).collect();
                    walk.changes.extend(harmful);
                }
            });
        }
        self.decide(&rules, value);
        assert_eq!(schema["additionalProperties"], false, "teach the changes open objects");
        for name in unknown(&properties.keys()) {
            self.at(Step::Member(name), 0, |walk| walk.add(Some(json!("x")), true));
        }
    }

    /// Lets each rule apply in its turn: what it says of other members may be broken then.
    fn decide(&mut self, rules: &[Rule], object: &Value) {
        for rule in rules {
            let (name, value) = rule.condition();
            let mut violating = rule.then.iter().filter(|(tied, schema)| {
                object[tied.as_str()].as_str().is_some_and(|text| is_violation(schema, text))
            });
            let (violation, more) = (violating.next(), violating.next());
            assert!(more.is_none(), "teach the changes rules over several members");
            let violation =
                violation.map(|(tied, _)| field(&[&self.path[..], &[Step::Member(tied.clone())]].concat()));
            let path = [&self.path[..], &[Step::Member(name.clone())]].concat();
            self.changes.push(Change { scope: path.len() - 1, path, value: Some(value.clone()), violation });
        }
    }

    fn array(&mut self, schema: &'static Value, items: &[Value]) {
        self.add(Some(json!([])), false);
        if let Some(first) = items.first() {
            self.add(Some(vec![first.clone(); 50].into()), false);
            self.at(Step::Item(items.len()), 0, |walk| walk.add(Some(first.clone()), false));
        }
        for other in [json!(null), json!("x"), json!([]), json!([[]])] {
            self.at(Step::Item(items.len()), 0, |walk| walk.add(Some(other), true));
        }
        // The items have one schema: the first, the second and the last stand for all.
        for (index, item) in
            items.iter().enumerate().filter(|(index, _)| *index < 2 || index + 1 == items.len())
        {
            self.at(Step::Item(index), 0, |walk| walk.visit(schema, None, item));
        }
    }
}

/// Values of every type, with some that a lenient reader takes for this one.
fn others(value: &Value) -> Vec<Value> {
    let mut others = vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!("x"),
        json!(""),
        json!([]),
        json!({}),
        json!([value]),
        json!({ "": value }),
        json!(value.to_string()),
    ];
    match value {
        // serde reads a struct from a list of its fields, and a list from nothing else.
        Value::Object(members) => others.push(members.values().cloned().collect()),
        Value::Array(items) => others.push(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| (index.to_string(), item.clone()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        ),
        // serde reads an enum's variant from this.
        Value::String(text) => others.push(json!({ text: null })),
        _ => {}
    }
    others
}

/// Names that an object does not have, many of them nearly.
fn unknown<'a>(names: &(impl Iterator<Item = &'a String> + Clone)) -> Vec<String> {
    let strange = ["", "x", "?", "a.b", "a[0]", "é", "a b", "\0", "__proto__", "$ref", "-", "\u{1F600}"];
    let mut unknown: Vec<String> = strange.map(str::to_owned).into();
    unknown.extend(["x".repeat(64), "x".repeat(65)]);
    for name in names.clone() {
        unknown.extend([
            name.to_lowercase(),
            format!("{name} "),
            format!("{name}\0"),
            name.replacen('e', "é", 1),
        ]);
        unknown.push(name[1..].to_owned());
    }
    unknown.retain(|name| names.clone().all(|known| known != name));
    unknown
}

/// Texts at the edges of every rule.
fn texts(schema: &Value, tied: Option<&Value>, text: &str) -> Vec<String> {
    let mut texts: Vec<String> = vec![
        String::new(),
        text.to_lowercase(),
        text.to_uppercase(),
        format!(" {text}"),
        format!("{text} "),
        format!("{text}\n"),
        format!("\u{feff}{text}"),
        format!("{text}{text}"),
        format!("{text}\0"),
        format!("\0{text}"),
        "ab\0cd".to_owned(),
        "\0\0".to_owned(),
        "a\u{1}".to_owned(),
    ];
    for options in [Some(schema), tied].into_iter().flatten().filter_map(|schema| schema["enum"].as_array()) {
        let codes = [options.first(), options.get(options.len() / 2), options.last()].into_iter().flatten();
        texts.extend(codes.filter_map(Value::as_str).map(str::to_owned));
        texts.extend(
            ["XX", "ZZ", "EU", "UK", "USA", "US-CA", "840", "ＵＳ", "California", "ON", "TX"]
                .map(str::to_owned),
        );
    }
    if schema["format"] == "date" {
        let (short, slashed) = (text[1..].to_owned(), text.replace('-', "/"));
        texts.extend([
            short,
            slashed,
            format!("+{text}"),
            format!("{text}T00:00:00Z"),
            text.replace('-', ""),
        ]);
        texts.extend(DATES.map(str::to_owned));
    } else if schema.get("enum").is_none() {
        let least = length(schema, "minLength").unwrap_or(0);
        let most = length(schema, "maxLength").unwrap_or(1000);
        for character in ["a", " ", "\"", "\u{301}", "\u{1F600}", "\n"] {
            let lengths = [least.saturating_sub(1), least, most, most + 1];
            texts.extend(lengths.map(|length| character.repeat(length)));
        }
    }
    texts
}

/// Dates at the edges of the calendar, on both sides.
const DATES: [&str; 32] = [
    "0000-01-01",
    "0000-02-29",
    "0000-00-00",
    "0001-01-01",
    "1900-02-28",
    "1900-02-29",
    "2000-02-29",
    "2000-02-30",
    "2023-02-29",
    "2024-02-29",
    "2024-02-30",
    "2024-04-30",
    "2024-04-31",
    "2024-06-31",
    "2024-09-31",
    "2024-11-31",
    "2024-01-31",
    "2024-01-32",
    "2024-12-31",
    "2024-12-32",
    "2024-13-01",
    "2024-00-01",
    "2024-01-00",
    "9999-12-31",
    "-001-01-01",
    "99999-1-01",
    "2024-1-001",
    "２０２４-01-01",
    "2024-01-0١",
    "2024‐01‐01",
    "2024-W01-1",
    "2024-01-01\n",
];

/// Whether a text breaks a schema of texts.
fn is_violation(schema: &Value, text: &str) -> bool {
    let characters = text.chars().count();
    schema["enum"].as_array().is_some_and(|options| options.iter().all(|option| option != text))
        || length(schema, "minLength").is_some_and(|least| characters < least)
        || length(schema, "maxLength").is_some_and(|most| characters > most)
        || (schema.get("pattern").is_some() && text.contains('\0'))
        || (schema["format"] == "date" && !is_date(text))
}

fn is_date(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00" && {
        let number = |range: Range<usize>| text[range].parse::<u32>().unwrap();
        let (year, month, day) = (number(0..4), number(5..7), number(8..10));
        (1..=12).contains(&month) && (1..=days(year, month)).contains(&day)
    }
}
