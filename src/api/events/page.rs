//! The response of both lists.

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, http::header::ContentType};

use crate::{
    api::error::ApiError,
    model::{Event, Events, Timestamp},
    store::{self, StoredEvent},
};

/// JSON of [`Events`].
#[derive(Debug)]
pub(super) struct Page(Vec<u8>);

impl Page {
    pub(super) fn new(events: Vec<StoredEvent>, page_token: Option<String>) -> Result<Self, ApiError> {
        let items = events.into_iter().map(event).collect::<Option<_>>();
        let items =
            items.ok_or_else(|| ApiError::Internal("the timestamp of an event is out of range".into()))?;
        let events = Events { items, page_token };
        Ok(Self(serde_json::to_vec(&events).map_err(|error| ApiError::Internal(error.into()))?))
    }
}

fn event(stored: StoredEvent) -> Option<Event> {
    let StoredEvent { position: _, customer_id, event } = stored;
    let version = event.version().map(|version| version.to_string());
    let store::Event { id, event_type, occurred, previous, key_id } = event;
    let (event_id, previous) = (id.to_string(), previous.map(|previous| previous.to_string()));
    let occurred = Timestamp::from_micros(occurred)?;
    Some(Event { event_id, event_type, occurred, customer_id, version, previous, key_id })
}

impl Responder for Page {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().content_type(ContentType::json()).body(self.0)
    }
}
