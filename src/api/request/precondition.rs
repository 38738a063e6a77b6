//! The preconditions of RFC 9110, 13.1, as parameters.

use std::{convert::Infallible, str::FromStr, time::SystemTime};

use actix_web::http::header::HttpDate;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

use super::{
    entity_tag::{ENTITY_TAGS_BYTES_MAX, EntityTags, InvalidEntityTags},
    input::OptionalParameter,
    reading::Location,
};
use crate::store::Version;

/// `If-Match`: the request is carried out only if the current version is one of these.
#[derive(derive_more::FromStr)]
pub(crate) struct IfMatch(EntityTags);

/// `If-None-Match` of a read: the caller has these versions.
#[derive(derive_more::FromStr)]
pub(crate) struct IfNoneMatch(pub(crate) EntityTags);

/// `If-None-Match` of a write, which can only be `*`: the request is carried out only if nothing is there.
pub(crate) struct OnlyIfAbsent;

/// `If-Modified-Since`: what the caller has is from then. One that cannot be read is ignored (RFC 9110, 13.1.3).
pub(crate) struct IfModifiedSince(pub(crate) Option<SystemTime>);

impl IfMatch {
    /// The versions that match; `None` for any version.
    pub(crate) fn versions(self) -> Option<Vec<Version>> {
        self.0.strong()
    }
}

impl FromStr for OnlyIfAbsent {
    type Err = InvalidEntityTags;

    fn from_str(text: &str) -> Result<Self, InvalidEntityTags> {
        if text == "*" { Ok(Self) } else { Err(InvalidEntityTags) }
    }
}

impl FromStr for IfModifiedSince {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.parse().ok().map(|date: HttpDate| date.into())))
    }
}

macro_rules! headers {
    ($($header:ident is $name:literal with $schema:expr;)+) => {$(
        impl OptionalParameter for $header {
            const LOCATION: Location = Location::Header;
            const NAME: &'static str = $name;

            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }
    )+};
}

headers! {
    IfMatch is "If-Match" with entity_tags();
    IfNoneMatch is "If-None-Match" with entity_tags();
    OnlyIfAbsent is "If-None-Match" with text().enum_values(Some(["*"]));
    IfModifiedSince is "If-Modified-Since" with text();
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn entity_tags() -> ObjectBuilder {
    let pattern = r#"^(\*|(,[ \t]*)*(W/)?"[!#-~]*"([ \t]*,([ \t]*(W/)?"[!#-~]*")?)*)$"#;
    text().max_length(Some(ENTITY_TAGS_BYTES_MAX)).pattern(Some(pattern))
}
