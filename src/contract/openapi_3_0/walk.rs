use serde_json::{Map, Value};

/// Where a document says something that OpenAPI 3.0 cannot say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("OpenAPI 3.0 cannot say what is at {pointer}")]
pub struct LostMeaning {
    /// A JSON pointer into the document.
    pub pointer: String,
}

pub(super) fn each(
    value: &Value,
    pointer: &str,
    convert: impl Fn(&Value, &str) -> Result<Value, LostMeaning>,
) -> Result<Value, LostMeaning> {
    let member =
        |(name, value): (&String, &Value)| Ok((name.clone(), convert(value, &below(pointer, name))?));
    object(value, pointer)?.iter().map(member).collect()
}

pub(super) fn list(
    value: &Value,
    pointer: &str,
    convert: impl Fn(&Value, &str) -> Result<Value, LostMeaning>,
) -> Result<Value, LostMeaning> {
    let items = value.as_array().ok_or_else(|| LostMeaning { pointer: pointer.to_owned() })?;
    items.iter().enumerate().map(|(index, item)| convert(item, &below(pointer, &index.to_string()))).collect()
}

pub(super) fn object<'a>(value: &'a Value, pointer: &str) -> Result<&'a Map<String, Value>, LostMeaning> {
    value.as_object().ok_or_else(|| LostMeaning { pointer: pointer.to_owned() })
}

/// The pointer to a member of what another one points at.
pub(super) fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
