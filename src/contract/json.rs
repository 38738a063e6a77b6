//! A JSON reader that keeps what a schema looks at, and finds members that are given twice.

use std::{cell::RefCell, collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{
    explain::{Segment, field_of},
    shape::Shape,
};
use crate::model::{JsonText, VIOLATIONS_MAX};

/// What a schema looks at in a JSON text, and the members that are given more than once, wherever they are.
pub(super) struct Parsed {
    pub value: Value,
    /// At most one more than [`VIOLATIONS_MAX`].
    pub duplicates: Vec<String>,
}

/// Reads a text to its end. If it breaks the schema more than [`VIOLATIONS_MAX`] times, so does the value, but perhaps
/// not as often.
pub(super) fn parse(text: &[u8], shape: &Shape) -> Result<Parsed, serde_json::Error> {
    let duplicates = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let reader = ValueReader { shape: Some(shape), parents: None, duplicates: &duplicates };
    let value = reader.deserialize(&mut deserializer)?;
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
struct ValueReader<'a> {
    /// `None` if the schema does not look at the value.
    shape: Option<&'a Shape>,
    parents: Option<&'a Parents<'a>>,
    duplicates: &'a RefCell<Vec<String>>,
}

impl ValueReader<'_> {
    fn at<T>(
        &self,
        segment: Segment<'_>,
        shape: Option<&Shape>,
        read: impl FnOnce(ValueReader<'_>) -> T,
    ) -> T {
        let parents = Parents { segment, outer: self.parents };
        read(ValueReader { shape, parents: Some(&parents), duplicates: self.duplicates })
    }

    fn note_duplicate(&self, name: &str) {
        let mut duplicates = self.duplicates.borrow_mut();
        if duplicates.len() <= VIOLATIONS_MAX {
            duplicates.push(self.field(name));
        }
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

impl<'de> DeserializeSeed<'de> for ValueReader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueReader<'_> {
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
        Ok(self.shape.map_or(Value::Null, |_| value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let (mut items, mut index, mut invalid) = (Vec::new(), 0, 0);
        loop {
            // After so many invalid items, nobody asks for more.
            let shape = self.shape.filter(|_| invalid <= VIOLATIONS_MAX).and_then(|shape| match shape {
                Shape::Array { item, validator } => Some((item, validator)),
                Shape::Object(_) | Shape::Scalar => None,
            });
            let item_shape = shape.map(|(item, _)| item.as_ref());
            let read = |reader: ValueReader<'_>| sequence.next_element_seed(reader);
            let Some(item) = self.at(Segment::Item(index), item_shape, read)? else {
                return Ok(Value::Array(items));
            };
            index += 1;
            if let Some((_, validator)) = shape {
                invalid += usize::from(!validator.is_valid(&item));
                items.push(item);
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let known = self.shape.and_then(|shape| match shape {
            Shape::Object(members) => Some(members),
            Shape::Array { .. } | Shape::Scalar => None,
        });
        let (mut members, mut names, mut unknown) = (Map::new(), HashSet::new(), 0);
        while let Some(JsonText(name)) = map.next_key::<JsonText<'de>>()? {
            let shape = known.and_then(|known| known.get(name.as_ref()));
            let value = self.at(Segment::Member(&name), shape, |reader| map.next_value_seed(reader))?;
            let is_unknown = known.is_some() && shape.is_none();
            unknown += usize::from(is_unknown);
            if shape.is_some() || (is_unknown && unknown <= VIOLATIONS_MAX + 1) {
                members.insert(name.clone().into_owned(), value);
            }
            if names.contains(&name) {
                self.note_duplicate(&name);
            } else {
                names.insert(name);
            }
        }
        Ok(Value::Object(members))
    }
}
