//! The parameters of a list: where a page begins, in which order, and how long it is.

use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema as _,
    openapi::{ObjectBuilder, RefOr, Required, Schema, Type, path::ParameterIn, schema::RefBuilder},
};

use super::{
    input::{Input, OptionalParameter},
    reading::{Location, Reading},
};
use crate::{
    api::operation::Inputs,
    model::{PageSize, SortDirection},
    store::Position,
};

/// The parameter that continues a list.
pub(crate) const PAGE_TOKEN: &str = "PageToken";

/// The parameters `PageToken` and `SortDirection`, which must agree.
pub(crate) struct PageStart {
    pub(crate) direction: SortDirection,
    /// The position before the first item of the page; `None` for the first page.
    pub(crate) after: Option<Position>,
}

impl Input for PageStart {
    fn document(inputs: &mut Inputs) {
        inputs.add(ParameterIn::Query, PAGE_TOKEN, Required::False, page_token());
        Option::<SortDirection>::document(inputs);
    }

    fn read(reading: &mut Reading<'_>) -> Option<Self> {
        let (page_tokens, account) = (&reading.api.page_tokens, reading.account);
        let token = reading.value(Location::Query, PAGE_TOKEN, |token| page_tokens.read(account, token));
        let asked = Option::<SortDirection>::read(reading)?;
        let Some((direction, after)) = token else {
            return Some(Self { direction: asked.unwrap_or_default(), after: None });
        };
        if asked.is_some_and(|asked| asked != direction) {
            let description = "must be the direction of the PageToken, or absent";
            reading.refuse_query(SortDirection::NAME, description);
        }
        Some(Self { direction, after: Some(after) })
    }
}

pub(crate) fn page_token() -> ObjectBuilder {
    let token = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(2048));
    token.pattern(Some(r"^[^\u0000]*$"))
}

impl OptionalParameter for PageSize {
    const LOCATION: Location = Location::Query;
    const NAME: &'static str = "PageSize";

    fn schema() -> RefOr<Schema> {
        <Self as PartialSchema>::schema()
    }
}

impl OptionalParameter for SortDirection {
    const LOCATION: Location = Location::Query;
    const NAME: &'static str = "SortDirection";

    fn schema() -> RefOr<Schema> {
        let direction = RefBuilder::new().ref_location_from_schema_name(Self::name());
        direction.default(Some(json!(Self::default()))).into()
    }
}
