//! What makes a client of the old contract fail under the new one.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// Who makes the values of a schema. A request may become more, a response may not become other than it was.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Maker {
    Client,
    Server,
}

/// Keywords that change no verdict.
const WORDS: [&str; 6] = ["title", "description", "example", "examples", "default", "deprecated"];

/// Upper and lower bounds. Only those of requests count: few clients check the answers.
const MAXIMA: [&str; 4] = ["maximum", "maxLength", "maxItems", "maxProperties"];
const MINIMA: [&str; 4] = ["minimum", "minLength", "minItems", "minProperties"];

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    seen: HashSet<(String, Maker)>,
    changes: Vec<String>,
}

/// One line for each change that breaks clients.
pub(super) fn breaking_changes(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison { old, new, seen: HashSet::new(), changes: Vec::new() };
    for (part, asker) in [("paths", Maker::Client), ("webhooks", Maker::Server)] {
        for (path, operations) in members(&old[part]) {
            for (method, operation) in members(operations) {
                let place = format!("{method} {path}");
                comparison.operation(&place, operation, &new[part][path][method], asker);
            }
        }
    }
    comparison.changes
}

/// The members of an object; nothing of other values.
fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A value, or what it refers to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"].as_str().and_then(|target| target.strip_prefix('#'));
    target.map_or(value, |pointer| document.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}")))
}

impl Maker {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

impl Comparison<'_> {
    fn say(&mut self, place: &str, what: impl std::fmt::Display) {
        self.changes.push(format!("{place}: {what}"));
    }

    /// The asker makes the requests, and the other one the responses.
    fn operation(&mut self, place: &str, old: &Value, new: &Value, asker: Maker) {
        if new.is_null() {
            return self.say(place, "is gone");
        }
        if old["operationId"] != new["operationId"] {
            self.say(place, "operationId is another, which names functions of generated clients");
        }
        self.parameters(place, items(&old["parameters"]), items(&new["parameters"]), asker);
        if asker == Maker::Client && old["requestBody"].is_null() && new["requestBody"]["required"] == true {
            self.say(place, "a body is required");
        }
        let content = |body: &Value| body["content"].clone();
        self.content(place, &content(&old["requestBody"]), &content(&new["requestBody"]), asker);
        for (status, response) in members(&old["responses"]) {
            let place = format!("{place} {status}");
            let (old, new) = (resolved(self.old, response), resolved(self.new, &new["responses"][status]));
            if new.is_null() {
                self.say(&place, "is gone");
                continue;
            }
            for (name, header) in members(&old["headers"]) {
                let (old, new) = (resolved(self.old, header), resolved(self.new, &new["headers"][name]));
                self.member(&format!("{place} {name}"), old, new, asker.other());
            }
            self.content(&place, &content(old), &content(new), asker.other());
        }
    }

    fn parameters(&mut self, place: &str, old: &[Value], new: &[Value], asker: Maker) {
        let same = |one: &Value, other: &Value| one["name"] == other["name"] && one["in"] == other["in"];
        for parameter in old {
            let place = format!("{place} {}", parameter["name"]);
            let now = new.iter().find(|candidate| same(candidate, parameter)).unwrap_or(&Value::Null);
            self.member(&place, parameter, now, asker);
        }
        let asked = if asker == Maker::Client { new } else { &[] };
        for parameter in asked.iter().filter(|parameter| parameter["required"] == true) {
            let was = old.iter().find(|candidate| same(candidate, parameter));
            if was.is_none_or(|was| was["required"] != true) {
                self.say(place, format!("{} is required", parameter["name"]));
            }
        }
    }

    /// A parameter or a header.
    fn member(&mut self, place: &str, old: &Value, new: &Value, maker: Maker) {
        if new.is_null() {
            return self.say(place, "is gone");
        }
        if maker == Maker::Server && old["required"] == true && new["required"] != true {
            self.say(place, "may be absent");
        }
        self.schema(place, &old["schema"], &new["schema"], maker);
    }

    fn content(&mut self, place: &str, old: &Value, new: &Value, maker: Maker) {
        for (media_type, old) in members(old) {
            if new[media_type].is_null() {
                self.say(place, format!("{media_type} is gone"));
            } else {
                self.schema(place, &old["schema"], &new[media_type]["schema"], maker);
            }
        }
    }

    fn schema(&mut self, place: &str, old: &Value, new: &Value, maker: Maker) {
        // A schema is reported where it is reached first.
        if let Some(target) = old["$ref"].as_str()
            && !self.seen.insert((format!("{target} {new}"), maker))
        {
            return;
        }
        let (old, new) = (resolved(self.old, old), resolved(self.new, new));
        let nothing = Map::new();
        let (old, new) = (old.as_object().unwrap_or(&nothing), new.as_object().unwrap_or(&nothing));
        let keywords: HashSet<_> = old.keys().chain(new.keys()).map(String::as_str).collect();
        for keyword in keywords.into_iter().filter(|keyword| !WORDS.contains(keyword)) {
            let was = old.get(keyword).unwrap_or(&Value::Null);
            let is = new.get(keyword).unwrap_or(&Value::Null);
            self.keyword(place, keyword, was, is, maker);
        }
    }

    fn keyword(&mut self, place: &str, keyword: &str, was: &Value, is: &Value, maker: Maker) {
        let has = |values: &Value, value: &Value| items(values).contains(value);
        match keyword {
            "properties" => {
                for (name, property) in members(was) {
                    let place = format!("{place} {name}");
                    match is.get(name) {
                        Some(now) => self.schema(&place, property, now, maker),
                        None => self.say(&place, "is gone"),
                    }
                }
            }
            "items" => self.schema(place, was, is, maker),
            "required" => {
                let (more, verdict) = match maker {
                    Maker::Client => ((is, was), "is required"),
                    Maker::Server => ((was, is), "may be absent"),
                };
                for name in items(more.0).iter().filter(|name| !has(more.1, name)) {
                    self.say(place, format!("{name} {verdict}"));
                }
            }
            "enum" if was.is_array() && is.is_array() => {
                let (more, verdict) = match maker {
                    Maker::Client => ((was, is), "is refused"),
                    Maker::Server => ((is, was), "is a new value, which a client does not know"),
                };
                for value in items(more.0).iter().filter(|value| !has(more.1, value)) {
                    self.say(place, format!("{value} {verdict}"));
                }
            }
            _ if MAXIMA.contains(&keyword) || MINIMA.contains(&keyword) => {
                let limit = |value: &Value| {
                    let sign = if MAXIMA.contains(&keyword) { 1.0 } else { -1.0 };
                    value.as_f64().map_or(f64::INFINITY, |bound| sign * bound)
                };
                if maker == Maker::Client && limit(is) < limit(was) {
                    self.say(place, format!("{keyword} was {was} and is {is}"));
                }
            }
            // Whether another pattern or rule accepts as much as before is for people to judge.
            _ if was != is => self.say(place, format!("{keyword} was {was} and is {is}")),
            _ => {}
        }
    }
}
