//! Deserializers that accept what JSON Schema accepts, and nothing else.
//!
//! serde is more tolerant than a schema: it reads a derived struct also from an array, a unit variant also from
//! `{"Variant": null}`, and an `Option` also from `null`. So each field says here what it is read from.

use std::{borrow::Cow, fmt, marker::PhantomData, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{self, IntoDeserializer as _, value::MapAccessDeserializer},
};

/// A struct, only from a JSON object.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Members<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Members<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members))
        }
    }

    deserializer.deserialize_map(Members(PhantomData))
}

/// A list of structs, each only from a JSON object.
pub(super) fn objects<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(transparent, bound = "T: Deserialize<'de>")]
    struct Object<T>(#[serde(deserialize_with = "object")] T);

    let objects: Vec<Object<T>> = Vec::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|Object(item)| item).collect())
}

/// An optional member that is there: `null` is not "absent".
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A JSON string, borrowed from the text unless it has an escape.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct JsonText<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// A value with a text form, only from a JSON string.
pub(super) fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let JsonText(text) = JsonText::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

/// An enum of names, only from a JSON string.
pub(super) fn name<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: for<'name> Deserialize<'name>,
{
    let JsonText(text) = JsonText::deserialize(deserializer)?;
    T::deserialize(text.as_ref().into_deserializer())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_copied_only_if_it_has_an_escape() {
        let read = |json| serde_json::from_str::<JsonText<'_>>(json).unwrap().0;
        assert!(matches!(read(r#""Passport""#), Cow::Borrowed("Passport")));
        assert!(matches!(read(r#""\u0050assport""#), Cow::Owned(text) if text == "Passport"));
    }
}
