//! A schema of OpenAPI 3.1, which is JSON Schema 2020-12, as a schema of 3.0, which knows fewer keywords.

use serde_json::{Map, Value, json};

use super::walk::{LostMeaning, below, each, list};

/// Keywords that mean the same in both.
const SAME: [&str; 24] = [
    "default",
    "deprecated",
    "description",
    "discriminator",
    "enum",
    "example",
    "externalDocs",
    "format",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "readOnly",
    "required",
    "title",
    "uniqueItems",
    "writeOnly",
    "xml",
];

/// The same schema in OpenAPI 3.0.
pub(super) fn schema(value: &Value, pointer: &str) -> Result<Value, LostMeaning> {
    match value {
        Value::Bool(true) => Ok(json!({})),
        Value::Bool(false) => Ok(json!({ "not": {} })),
        Value::Object(keywords) => Converter::default().convert(keywords, pointer),
        _ => Err(lost(pointer)),
    }
}

/// A schema on its way.
#[derive(Default)]
struct Converter {
    made: Map<String, Value>,
    /// What must hold besides.
    all: Vec<Value>,
    /// What must not hold. 3.0 has no `if`: "if A then B" is "not (A and not B)", and generators pass over `not`.
    none: Vec<Value>,
}

impl Converter {
    fn convert(mut self, keywords: &Map<String, Value>, pointer: &str) -> Result<Value, LostMeaning> {
        for (keyword, value) in keywords {
            self.keyword(keyword, value, keywords, &below(pointer, keyword))?;
        }
        if let Some(condition) = keywords.get("if") {
            self.condition(condition, keywords, pointer)?;
        }
        let Self { mut made, mut all, mut none } = self;
        if made.get("type") == Some(&json!("array")) {
            made.entry("items").or_insert_with(|| json!({}));
        }
        // In 3.0 nothing beside a reference counts.
        if let Some(reference) = made.remove("$ref") {
            if made.is_empty() && all.is_empty() && none.is_empty() {
                return Ok(json!({ "$ref": reference }));
            }
            all.insert(0, json!({ "$ref": reference }));
        }
        if !all.is_empty() {
            made.insert("allOf".to_owned(), all.into());
        }
        match none.len() {
            0 => {}
            1 => drop(made.insert("not".to_owned(), none.remove(0))),
            _ => drop(made.insert("not".to_owned(), json!({ "anyOf": none }))),
        }
        Ok(made.into())
    }

    fn keyword(
        &mut self,
        keyword: &str,
        value: &Value,
        beside: &Map<String, Value>,
        pointer: &str,
    ) -> Result<(), LostMeaning> {
        let without = |other: &str| if beside.contains_key(other) { Err(lost(pointer)) } else { Ok(()) };
        match keyword {
            "type" => self.types(value, pointer)?,
            "const" => {
                without("enum")?;
                self.insert("enum", json!([value]));
            }
            // Examples have no meaning for a machine: one is enough.
            "examples" => {
                without("example")?;
                let example = value.get(0).ok_or_else(|| lost(pointer))?;
                self.insert("example", example.clone());
            }
            "exclusiveMinimum" | "exclusiveMaximum" => {
                let bound = if keyword == "exclusiveMinimum" { "minimum" } else { "maximum" };
                without(bound)?;
                self.insert(bound, value.clone());
                self.insert(keyword, json!(true));
            }
            "properties" => self.insert(keyword, each(value, pointer, schema)?),
            "additionalProperties" if value.is_boolean() => self.insert(keyword, value.clone()),
            "items" | "additionalProperties" => self.insert(keyword, schema(value, pointer)?),
            "anyOf" | "oneOf" => self.insert(keyword, list(value, pointer, schema)?),
            "allOf" => self.all_of(value, pointer)?,
            "not" => self.none.push(schema(value, pointer)?),
            "if" | "then" | "else" | "$comment" => {}
            "$ref" => self.insert(keyword, value.clone()),
            _ if SAME.contains(&keyword) || keyword.starts_with("x-") => self.insert(keyword, value.clone()),
            _ => return Err(lost(pointer)),
        }
        Ok(())
    }

    fn insert(&mut self, keyword: &str, value: Value) {
        self.made.insert(keyword.to_owned(), value);
    }

    /// One type, or one and `null`.
    fn types(&mut self, value: &Value, pointer: &str) -> Result<(), LostMeaning> {
        let null = json!("null");
        let types = match value {
            Value::Array(types) => types.clone(),
            one => vec![one.clone()],
        };
        match types.iter().filter(|one| **one != null).collect::<Vec<_>>()[..] {
            [one] => self.insert("type", one.clone()),
            _ => return Err(lost(pointer)),
        }
        if types.contains(&null) {
            self.insert("nullable", json!(true));
        }
        Ok(())
    }

    /// An item that only says what must not hold goes to the others of its kind.
    fn all_of(&mut self, value: &Value, pointer: &str) -> Result<(), LostMeaning> {
        let items = list(value, pointer, schema)?;
        for item in items.as_array().into_iter().flatten() {
            match item.as_object().map(|item| (item.len(), item.get("not"))) {
                Some((1, Some(denied))) => self.none.push(denied.clone()),
                _ => self.all.push(item.clone()),
            }
        }
        Ok(())
    }

    fn condition(
        &mut self,
        condition: &Value,
        keywords: &Map<String, Value>,
        pointer: &str,
    ) -> Result<(), LostMeaning> {
        let condition = schema(condition, &below(pointer, "if"))?;
        if let Some(then) = keywords.get("then") {
            let then = schema(then, &below(pointer, "then"))?;
            self.none.push(and_not(&condition, then));
        }
        if let Some(otherwise) = keywords.get("else") {
            let otherwise = schema(otherwise, &below(pointer, "else"))?;
            self.none.push(json!({ "not": { "anyOf": [condition, otherwise] } }));
        }
        Ok(())
    }
}

/// A schema for what one schema accepts and the other does not.
fn and_not(one: &Value, other: Value) -> Value {
    match one.as_object() {
        Some(keywords) if !keywords.contains_key("$ref") && !keywords.contains_key("not") => {
            let mut keywords = keywords.clone();
            keywords.insert("not".to_owned(), other);
            keywords.into()
        }
        _ => json!({ "allOf": [one], "not": other }),
    }
}

fn lost(pointer: &str) -> LostMeaning {
    LostMeaning { pointer: pointer.to_owned() }
}
