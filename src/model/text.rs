use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::{
    PartialSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

/// A text of `MIN` to `MAX` characters, without U+0000, which Postgres cannot store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Validate)]
#[garde(transparent)]
pub struct Text<const MIN: usize, const MAX: usize>(
    #[garde(length(chars, min = MIN, max = MAX), custom(without_nul))] String,
);

/// A text of any length.
pub type AnyText = Text<0, { usize::MAX }>;

/// The error for a text that a [`Text`] cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have {0} to {1} characters, and must not contain U+0000")]
pub struct InvalidText(usize, usize);

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MIN: usize, const MAX: usize> TryFrom<String> for Text<MIN, MAX> {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, InvalidText> {
        let text = Self(text);
        text.validate().map(|()| text).map_err(|_| InvalidText(MIN, MAX))
    }
}

fn without_nul<C>(text: &str, _context: &C) -> garde::Result {
    if text.contains('\0') { Err(garde::Error::new("must not contain U+0000")) } else { Ok(()) }
}

impl<const MIN: usize, const MAX: usize> From<Text<MIN, MAX>> for String {
    fn from(Text(text): Text<MIN, MAX>) -> Self {
        text
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Text<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}

impl<const MIN: usize, const MAX: usize> PartialSchema for Text<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^[^\u0000]*$"));
        text.min_length((MIN > 0).then_some(MIN)).max_length((MAX < usize::MAX).then_some(MAX)).into()
    }
}
