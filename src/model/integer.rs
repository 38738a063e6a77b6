use std::str::FromStr;

use serde_json::json;
use utoipa::{
    PartialSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

/// An integer from `MIN` to `MAX`, which is `DEFAULT` if it is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integer<const MIN: u32, const MAX: u32, const DEFAULT: u32>(u32);

/// Why a text is not an [`Integer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an integer from {0} to {1}")]
pub struct InvalidInteger(u32, u32);

impl<const MIN: u32, const MAX: u32, const DEFAULT: u32> Integer<MIN, MAX, DEFAULT> {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32, const DEFAULT: u32> Default for Integer<MIN, MAX, DEFAULT> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<const MIN: u32, const MAX: u32, const DEFAULT: u32> FromStr for Integer<MIN, MAX, DEFAULT> {
    type Err = InvalidInteger;

    /// Takes an integer as JSON writes it: no sign, no leading zero.
    fn from_str(text: &str) -> Result<Self, InvalidInteger> {
        let number = text.parse().ok().filter(|number: &u32| number.to_string() == text);
        number.filter(|number| (MIN..=MAX).contains(number)).map(Self).ok_or(InvalidInteger(MIN, MAX))
    }
}

impl<const MIN: u32, const MAX: u32, const DEFAULT: u32> PartialSchema for Integer<MIN, MAX, DEFAULT> {
    fn schema() -> RefOr<Schema> {
        let integer = ObjectBuilder::new().schema_type(Type::Integer);
        let integer = integer.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)));
        integer.minimum(Some(MIN)).maximum(Some(MAX)).default(Some(json!(DEFAULT))).into()
    }
}
