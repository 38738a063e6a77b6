use std::time::{Duration, SystemTime};

use actix_web::{
    HttpRequest, HttpResponse, Responder, body,
    body::BoxBody,
    http::header::{ContentType, DATE, ETAG, HttpDate, LAST_MODIFIED},
    web::{Bytes, Data},
};
use utoipa::IntoResponses;

use crate::{
    api::{
        document::{JSON, NotFound, Responses, content, response, responses},
        error::ApiError,
        request::{IfModifiedSince, IfNoneMatch, Signed, etag, input},
        state::Api,
    },
    clock,
    model::{CustomerId, Timestamp},
    store::{Kind, StoredCustomer, Version},
};

input! {
    /// What `getCustomer` takes from a request.
    pub(super) struct GetCustomer {
        id: CustomerId,
        if_none_match: Option<IfNoneMatch>,
        if_modified_since: Option<IfModifiedSince>,
    }
}

/// Returns the customer and its version, unless the caller has it already.
#[utoipa::path(
    get,
    impl_for = GetCustomer,
    path = "/customers/{CustomerID}",
    operation_id = "getCustomer",
    responses(NotFound)
)]
pub(super) async fn get_customer(
    request: Signed<GetCustomer>,
    api: Data<Api>,
) -> Result<GetCustomerResponse, ApiError> {
    let Signed { account, proof: _, input } = request;
    let found = api.find(&account, Kind::Customer, &input.id).await?;
    let (stored, room) = found.ok_or(ApiError::CustomerNotFound)?;
    let answer = || api.answer(&account, Kind::Customer, &stored, room);
    let json = if input.knows(&stored) { None } else { Some(answer()?) };
    Ok(GetCustomerResponse { version: stored.version, updated: stored.updated, json })
}

impl GetCustomer {
    /// Whether the caller has the customer already (RFC 9110, 13.2.2).
    fn knows(&self, stored: &StoredCustomer) -> bool {
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(IfNoneMatch(known)), _) => known.include(stored.version),
            (None, Some(IfModifiedSince(Some(since)))) => last_modified(stored.updated) <= *since,
            (None, _) => false,
        }
    }
}

/// The first full second at which the customer was as it is now. If it were rounded down, it could not tell apart two
/// changes of one second.
fn last_modified(updated: Timestamp) -> SystemTime {
    const SECOND: i64 = 1_000_000;
    let seconds = (updated.micros() + SECOND - 1).div_euclid(SECOND);
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

#[derive(Debug)]
pub(super) struct GetCustomerResponse {
    version: Version,
    updated: Timestamp,
    /// `None` if the caller has it already.
    json: Option<Bytes>,
}

impl Responder for GetCustomerResponse {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        let Self { version, updated, json } = self;
        let mut response = if json.is_some() { HttpResponse::Ok() } else { HttpResponse::NotModified() };
        // The framework's own `Date` may be half a second old, and `Last-Modified` must not be later (RFC 9110, 8.8.2.1).
        let now = SystemTime::from(clock::now());
        response
            .insert_header((ETAG, etag(version)))
            .insert_header((DATE, HttpDate::from(now)))
            .insert_header((LAST_MODIFIED, HttpDate::from(last_modified(updated).min(now))));
        match json {
            Some(json) => response.content_type(ContentType::json()).body(json),
            // Not an empty body: its length is that of the customer (RFC 9110, 8.6).
            None => response.body(body::None::new()),
        }
    }
}

impl IntoResponses for GetCustomerResponse {
    fn responses() -> Responses {
        let headers = ["ETag", "Last-Modified"];
        let found = response(headers).content(JSON, content("Customer"));
        responses([(200, found), (304, response(headers))])
    }
}
