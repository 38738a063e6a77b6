//! A JSON reader that finds members that are given twice.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::explain::{Segment, field_of};

/// A JSON text, and the members that it gives more than once.
pub(super) struct Parsed {
    pub value: Value,
    pub duplicates: Vec<String>,
}

pub(super) fn parse(text: &[u8]) -> Result<Parsed, serde_json::Error> {
    let duplicates = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Strict { parents: None, duplicates: &duplicates }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Parsed { value, duplicates: duplicates.into_inner() })
}

/// Where the reader is: a list on the stack, from the innermost segment outwards.
#[derive(Clone, Copy)]
struct Parents<'a> {
    segment: Segment<'a>,
    outer: Option<&'a Parents<'a>>,
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    parents: Option<&'a Parents<'a>>,
    duplicates: &'a RefCell<Vec<String>>,
}

impl Strict<'_> {
    fn at<T>(&self, segment: Segment<'_>, read: impl FnOnce(Strict<'_>) -> T) -> T {
        let parents = Parents { segment, outer: self.parents };
        read(Strict { parents: Some(&parents), duplicates: self.duplicates })
    }

    fn field(&self, name: &str) -> String {
        let mut segments = vec![Segment::Member(name)];
        let mut parents = self.parents;
        while let Some(&Parents { segment, outer }) = parents {
            segments.push(segment);
            parents = outer;
        }
        field_of(segments.into_iter().rev())
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) =
            self.at(Segment::Item(items.len()), |strict| sequence.next_element_seed(strict))?
        {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = self.at(Segment::Member(&name), |strict| map.next_value_seed(strict))?;
            if members.contains_key(&name) {
                self.duplicates.borrow_mut().push(self.field(&name));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}
