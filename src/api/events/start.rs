//! The parameters of lists of events.

use std::time::Duration;

use serde_json::json;
use utoipa::{
    PartialSchema,
    openapi::{ObjectBuilder, RefOr, Required, Schema, Type, path::ParameterIn},
};

use super::feed_token;
use crate::{
    api::{
        operation::Inputs,
        request::{Input, Location, OptionalParameter, PAGE_TOKEN, Reading, page_token},
    },
    model::{CustomerId, EventStart, EventWait},
    store::FeedStart,
};

/// The parameters `From`, `PageToken` and `Wait`.
pub(super) struct FollowStart {
    pub(super) start: FeedStart,
    pub(super) wait: Duration,
}

/// A customer, and the `PageToken` of the list of its events.
pub(super) struct CustomerStart {
    pub(super) id: CustomerId,
    pub(super) start: FeedStart,
}

impl Input for FollowStart {
    fn document(inputs: &mut Inputs) {
        inputs.add(ParameterIn::Query, PAGE_TOKEN, Required::False, page_token());
        Option::<EventStart>::document(inputs);
        Option::<EventWait>::document(inputs);
    }

    fn read(reading: &mut Reading<'_>) -> Option<Self> {
        let account = reading.account;
        let read = |token: &str| feed_token::read(account, None, token);
        let cursor = reading.value(Location::Query, PAGE_TOKEN, read);
        let from = Option::<EventStart>::read(reading)?;
        let wait = Option::<EventWait>::read(reading)?.unwrap_or_default();
        if cursor.is_some() && from.is_some() {
            reading.refuse_query(EventStart::NAME, "must be absent: the PageToken says where to go on");
        }
        let start = match (cursor, from.unwrap_or_default()) {
            (Some(cursor), _) => FeedStart::After(cursor),
            (None, EventStart::Oldest) => FeedStart::Oldest,
            (None, EventStart::Newest) => FeedStart::Newest,
        };
        let seconds = if reading.is_head() { 0 } else { wait.get() };
        Some(Self { start, wait: Duration::from_secs(seconds.into()) })
    }
}

impl Input for CustomerStart {
    fn document(inputs: &mut Inputs) {
        CustomerId::document(inputs);
        inputs.add(ParameterIn::Query, PAGE_TOKEN, Required::False, page_token());
    }

    fn read(reading: &mut Reading<'_>) -> Option<Self> {
        let (account, id) = (reading.account, CustomerId::read(reading));
        let read = |token: &str| match &id {
            Some(id) => feed_token::read(account, Some(id), token).map(Some),
            // It is refused for its path.
            None => Ok(None),
        };
        let cursor = reading.value(Location::Query, PAGE_TOKEN, read).flatten();
        Some(Self { id: id?, start: cursor.map_or(FeedStart::Oldest, FeedStart::After) })
    }
}

impl OptionalParameter for EventStart {
    const LOCATION: Location = Location::Query;
    const NAME: &'static str = "From";

    fn schema() -> RefOr<Schema> {
        let start = ObjectBuilder::new().schema_type(Type::String);
        let start =
            start.enum_values(Some([EventStart::Oldest, EventStart::Newest].map(|start| json!(start))));
        start.default(Some(json!(Self::default()))).into()
    }
}

impl OptionalParameter for EventWait {
    const LOCATION: Location = Location::Query;
    const NAME: &'static str = "Wait";

    fn schema() -> RefOr<Schema> {
        <Self as PartialSchema>::schema()
    }
}
