//! What a schema looks at in a document.

use std::collections::HashMap;

use jsonschema::Validator;
use serde_json::Value;

use super::compile::Compiler;

/// What a schema looks at. A reader keeps this much of a document, so that a small text never becomes a large tree.
pub(super) enum Shape {
    /// The members that the schema knows. It only looks at the names of other members.
    Object(HashMap<String, Shape>),
    /// Each item.
    Array { item: Box<Shape>, validator: Validator },
    /// The value itself, or only its type if it is an object or an array.
    Scalar,
}

impl Shape {
    /// The shape of the schema at a JSON pointer of the contract.
    pub(super) fn of(compiler: &Compiler<'_>, pointer: &str) -> Self {
        let schema = compiler.document.pointer(pointer).unwrap_or(&Value::Null);
        if let Some(reference) = schema["$ref"].as_str() {
            return Self::of(compiler, reference.trim_start_matches('#'));
        }
        match (schema["properties"].as_object(), schema.get("items")) {
            (Some(members), _) => {
                let shape = |name: &String| Self::of(compiler, &format!("{pointer}/properties/{name}"));
                Self::Object(members.keys().map(|name| (name.clone(), shape(name))).collect())
            }
            (None, Some(_)) => {
                let pointer = format!("{pointer}/items");
                let item = Box::new(Self::of(compiler, &pointer));
                Self::Array { item, validator: compiler.compile(&pointer) }
            }
            (None, None) => Self::Scalar,
        }
    }
}
