//! Values that a schema accepts, made up from the schema, so that a new field is tried without a new line here.

use proptest::{
    collection::vec,
    option,
    prelude::{BoxedStrategy, Just, Strategy, any},
    prop_oneof,
    sample::select,
};
use serde_json::{Map, Value, json};

use super::oracle::{DOCUMENT, resolve, rules};

/// What the schemas of a request may say; the generators know no more.
const KEYWORDS: [&str; 16] = [
    "additionalProperties",
    "allOf",
    "default",
    "description",
    "enum",
    "examples",
    "format",
    "items",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
];

/// The one pattern of a request's texts.
pub(super) const WITHOUT_NUL: &str = r"^[^\u0000]*$";

/// Bodies of `putCustomer` that are accepted.
pub(super) fn customers() -> BoxedStrategy<Value> {
    valid(&DOCUMENT["components"]["schemas"]["CustomerInput"])
}

/// Values that a schema accepts.
pub(super) fn valid(schema: &'static Value) -> BoxedStrategy<Value> {
    let schema = known(resolve(schema));
    if let Some(options) = schema["enum"].as_array() {
        return one_of(options);
    }
    match schema["type"].as_str() {
        Some("object") => object(schema),
        Some("array") => {
            prop_oneof![4 => vec(valid(&schema["items"]), 0..4), 1 => vec(valid(&schema["items"]), 4..20)]
                .prop_map_into()
                .boxed()
        }
        Some("string") if schema["format"] == "date" => dates().prop_map_into().boxed(),
        Some("string") => text(schema),
        other => panic!("teach the generator the type {other:?}"),
    }
}

/// The same schema, if it says nothing that is unknown here.
pub(super) fn known(schema: &'static Value) -> &'static Value {
    for keyword in schema.as_object().unwrap().keys() {
        assert!(KEYWORDS.contains(&keyword.as_str()), "teach the generators the keyword {keyword}");
    }
    assert!(["date", "int32", ""].contains(&schema["format"].as_str().unwrap_or_default()), "{schema}");
    assert!([WITHOUT_NUL, ""].contains(&schema["pattern"].as_str().unwrap_or_default()), "{schema}");
    schema
}

/// One of the options; those that decide over other members come often.
fn one_of(options: &'static [Value]) -> BoxedStrategy<Value> {
    let decisive: Vec<_> =
        ["US", "CA"].map(Value::from).into_iter().filter(|code| options.contains(code)).collect();
    let any = select(options);
    if decisive.is_empty() { any.boxed() } else { prop_oneof![2 => any, 1 => select(decisive)].boxed() }
}

fn object(schema: &'static Value) -> BoxedStrategy<Value> {
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    let properties = schema["properties"].as_object().unwrap();
    let member = |(name, schema): (&String, &'static Value)| {
        let value = valid(schema);
        if required.contains(&json!(name)) { value.prop_map(Some).boxed() } else { option::of(value).boxed() }
    };
    let members: Vec<_> = properties.iter().map(member).collect();
    let rules = rules(schema);
    let tied: Vec<Vec<_>> = rules
        .iter()
        .map(|rule| rule.then.values().map(|then| one_of(then["enum"].as_array().unwrap())).collect())
        .collect();
    (members, tied)
        .prop_map(move |(members, tied)| {
            let names = properties.keys().cloned();
            let mut object: Map<_, _> =
                names.zip(members).filter_map(|(name, value)| Some((name, value?))).collect();
            for (rule, values) in rules.iter().zip(tied) {
                if rule.applies_to(&object) {
                    object.extend(rule.then.keys().cloned().zip(values));
                }
            }
            Value::Object(object)
        })
        .boxed()
}

fn text(schema: &Value) -> BoxedStrategy<Value> {
    let least = length(schema, "minLength").unwrap_or(0);
    let most = length(schema, "maxLength");
    let long = most.unwrap_or(least + 500);
    let lengths = prop_oneof![
        6 => least..=long.min(least + 10),
        1 => Just(least),
        1 => Just(long),
        1 => least..=long,
    ];
    texts(lengths).prop_map_into().boxed()
}

pub(super) fn length(schema: &Value, keyword: &str) -> Option<usize> {
    schema[keyword].as_u64().map(|length| usize::try_from(length).unwrap())
}

/// Texts of so many characters: a few, over and over.
pub(super) fn texts(lengths: impl Strategy<Value = usize>) -> impl Strategy<Value = String> {
    (lengths, vec(character(), 1..6))
        .prop_map(|(length, some)| some.into_iter().cycle().take(length).collect())
}

/// Letters, what JSON escapes, controls, combining and invisible marks, right-to-left, outside of the basic plane.
pub(super) fn character() -> impl Strategy<Value = char> {
    const STRANGE: [char; 32] = [
        ' ',
        '"',
        '\\',
        '/',
        '\n',
        '\r',
        '\t',
        '\u{1}',
        '\u{1f}',
        '\u{7f}',
        '\u{80}',
        '\u{85}',
        '\u{a0}',
        'é',
        'ß',
        '\u{301}',
        '\u{200d}',
        '\u{202e}',
        '\u{2028}',
        '\u{feff}',
        '\u{fffd}',
        '\u{fffe}',
        '\u{ffff}',
        '\u{d7ff}',
        '\u{e000}',
        'א',
        'م',
        '中',
        '%',
        '\'',
        '\u{1F600}',
        '\u{10ffff}',
    ];
    prop_oneof![
        4 => (b'a'..=b'z').prop_map(char::from),
        3 => select(&STRANGE[..]),
        2 => any::<char>().prop_filter("U+0000", |character| *character != '\0'),
    ]
}

fn dates() -> impl Strategy<Value = String> {
    const EDGES: [&str; 8] = [
        "0000-01-01",
        "0000-02-29",
        "0001-01-01",
        "1582-10-10",
        "1900-02-28",
        "2000-02-29",
        "2024-02-29",
        "9999-12-31",
    ];
    let any = (0..=9999_u32, 1..=12_u32, 1..=31_u32).prop_map(|(year, month, day)| {
        let day = day.min(days(year, month));
        format!("{year:04}-{month:02}-{day:02}")
    });
    prop_oneof![1 => select(&EDGES[..]).prop_map(str::to_owned), 2 => any]
}

/// How many days a month has.
pub(super) fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
