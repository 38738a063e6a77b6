//! The contract in OpenAPI 3.0, for tools that do not read 3.1.
//!
//! Each member must be known here. What 3.0 cannot say with the same meaning is an error; it is never left out.

mod schema;
mod walk;

use serde_json::{Value, json};

pub use self::walk::LostMeaning;
use self::{
    schema::schema,
    walk::{below, each, list, object},
};

/// What a member of an object is.
#[derive(Clone, Copy)]
enum Kind {
    /// The same in both versions.
    Plain,
    Schema,
    /// An object with these members, or a reference to one.
    One(&'static [(&'static str, Kind)]),
    /// Such objects by name.
    Each(&'static [(&'static str, Kind)]),
    /// A list of such objects.
    List(&'static [(&'static str, Kind)]),
    Schemas,
}

use Kind::{Each, List, One, Plain, Schema, Schemas};

const DOCUMENT: &[(&str, Kind)] = &[
    ("openapi", Plain),
    ("info", One(INFO)),
    ("servers", Plain),
    ("tags", Plain),
    ("security", Plain),
    ("externalDocs", Plain),
    ("paths", Each(PATH_ITEM)),
    (WEBHOOKS, Each(PATH_ITEM)),
    ("components", One(COMPONENTS)),
];
const INFO: &[(&str, Kind)] = &[
    ("title", Plain),
    ("version", Plain),
    ("description", Plain),
    ("termsOfService", Plain),
    ("contact", Plain),
    ("license", One(LICENSE)),
];
const LICENSE: &[(&str, Kind)] = &[("name", Plain), ("url", Plain)];
const PATH_ITEM: &[(&str, Kind)] = &[
    ("summary", Plain),
    ("description", Plain),
    ("servers", Plain),
    ("parameters", List(PARAMETER)),
    ("get", One(OPERATION)),
    ("put", One(OPERATION)),
    ("post", One(OPERATION)),
    ("delete", One(OPERATION)),
    ("options", One(OPERATION)),
    ("head", One(OPERATION)),
    ("patch", One(OPERATION)),
    ("trace", One(OPERATION)),
];
const OPERATION: &[(&str, Kind)] = &[
    ("tags", Plain),
    ("summary", Plain),
    ("description", Plain),
    ("externalDocs", Plain),
    ("operationId", Plain),
    ("deprecated", Plain),
    ("security", Plain),
    ("servers", Plain),
    ("parameters", List(PARAMETER)),
    ("requestBody", One(REQUEST_BODY)),
    ("responses", Each(RESPONSE)),
];
const PARAMETER: &[(&str, Kind)] = &[
    ("name", Plain),
    ("in", Plain),
    ("description", Plain),
    ("required", Plain),
    ("deprecated", Plain),
    ("allowEmptyValue", Plain),
    ("style", Plain),
    ("explode", Plain),
    ("allowReserved", Plain),
    ("schema", Schema),
    ("example", Plain),
    ("examples", Plain),
    ("content", Each(MEDIA_TYPE)),
];
const REQUEST_BODY: &[(&str, Kind)] =
    &[("description", Plain), ("required", Plain), ("content", Each(MEDIA_TYPE))];
const MEDIA_TYPE: &[(&str, Kind)] =
    &[("schema", Schema), ("example", Plain), ("examples", Plain), ("encoding", Plain)];
const RESPONSE: &[(&str, Kind)] =
    &[("description", Plain), ("headers", Each(PARAMETER)), ("content", Each(MEDIA_TYPE)), ("links", Plain)];
const COMPONENTS: &[(&str, Kind)] = &[
    ("schemas", Schemas),
    ("responses", Each(RESPONSE)),
    ("parameters", Each(PARAMETER)),
    ("examples", Plain),
    ("requestBodies", Each(REQUEST_BODY)),
    ("headers", Each(PARAMETER)),
    ("securitySchemes", Plain),
    ("links", Plain),
];

/// OpenAPI 3.0 has no webhooks; tools read them under this name.
const WEBHOOKS: &str = "x-webhooks";

/// The same contract in OpenAPI 3.0, or the first place whose meaning would be lost.
pub fn to_openapi_3_0(document: &Value) -> Result<Value, LostMeaning> {
    let mut document = document.clone();
    document["openapi"] = json!("3.0.3");
    if let Some(members) = document.as_object_mut()
        && let Some(webhooks) = members.remove("webhooks")
    {
        members.insert(WEBHOOKS.to_owned(), webhooks);
    }
    // The licence by its SPDX name is new in 3.1. Nothing is lost if that is its name.
    if let Some(Value::Object(license)) = document.pointer_mut("/info/license")
        && license.get("identifier") == license.get("name")
    {
        license.remove("identifier");
    }
    convert(One(DOCUMENT), &document, "")
}

fn convert(kind: Kind, value: &Value, pointer: &str) -> Result<Value, LostMeaning> {
    match kind {
        Plain => Ok(value.clone()),
        Schema => schema(value, pointer),
        One(members) => one(members, value, pointer),
        Each(members) => each(value, pointer, |value, pointer| one(members, value, pointer)),
        List(members) => list(value, pointer, |value, pointer| one(members, value, pointer)),
        Schemas => each(value, pointer, schema),
    }
}

fn one(members: &[(&str, Kind)], value: &Value, pointer: &str) -> Result<Value, LostMeaning> {
    let object = object(value, pointer)?;
    // In 3.1 a reference may have its own description.
    if object.contains_key("$ref") && object.len() == 1 {
        return Ok(value.clone());
    }
    let member = |(name, value): (&String, &Value)| {
        let pointer = below(pointer, name);
        let known = members.iter().find(|(known, _)| known == name).map(|(_, kind)| *kind);
        let kind = match known {
            Some(kind) => kind,
            None if name.starts_with("x-") => Plain,
            None => return Err(LostMeaning { pointer }),
        };
        Ok((name.clone(), convert(kind, value, &pointer)?))
    };
    object.iter().map(member).collect()
}
