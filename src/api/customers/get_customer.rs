use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use actix_web::{
    HttpRequest, HttpResponse, Responder, body,
    body::BoxBody,
    http::header::{ContentType, DATE, ETAG, HttpDate, IF_NONE_MATCH, LAST_MODIFIED},
    web::Data,
};
use utoipa::{
    IntoResponses,
    openapi::{RefOr, Response},
};

use super::{
    examples,
    parameters::{CustomerIdParameter, IfModifiedSinceParameter, IfNoneMatchParameter},
};
use crate::{
    api::{
        document::{
            ApiSignatureParameter, BadRequest, ContentTooLarge, InternalServerError, JSON, NotFound,
            ServiceUnavailable, Unauthorized, content, response,
        },
        error::ApiError,
        request::{EntityTags, FromParts, Parts, Signed, etag},
        state::Api,
    },
    clock,
    model::{CustomerId, Timestamp},
    store::StoredCustomer,
};

/// Get Customer
///
/// Returns the customer and its current `ETag`. The request changes nothing.
///
/// With `If-None-Match` or `If-Modified-Since`, an unchanged customer is not sent again: the response is 304.
///
/// If several errors apply, the response is the first of this list: 413, 401, 400, 404, 503 or 500.
#[utoipa::path(
    get,
    impl_for = GetCustomerRequest,
    path = "/customers/{CustomerID}",
    operation_id = "getCustomer",
    params(CustomerIdParameter, ApiSignatureParameter, IfNoneMatchParameter, IfModifiedSinceParameter),
    responses(
        GetCustomerResponse,
        (status = 400, response = BadRequest),
        (status = 401, response = Unauthorized),
        (status = 404, response = NotFound),
        (status = 413, response = ContentTooLarge),
        (status = 500, response = InternalServerError),
        (status = 503, response = ServiceUnavailable)
    )
)]
pub(super) async fn get_customer(
    request: Signed<GetCustomerRequest>,
    api: Data<Api>,
) -> Result<GetCustomerResponse, ApiError> {
    let Signed { account, signature: _, input } = request;
    let stored = api.store.get(&account, &input.id).await?.ok_or(ApiError::CustomerNotFound)?;
    if input.knows(&stored) {
        return Ok(GetCustomerResponse::NotModified(stored));
    }
    let json = api.records.answer(&account, &stored)?;
    // The responses to requests that arrived together leave close together, and wake the client once.
    api.store.await_others().await;
    Ok(GetCustomerResponse::Found(stored, json))
}

/// The input of `getCustomer`.
pub(super) struct GetCustomerRequest {
    id: CustomerId,
    if_none_match: Option<EntityTags>,
    if_modified_since: Option<SystemTime>,
}

impl GetCustomerRequest {
    /// Whether the caller has the customer already (RFC 9110, 13.2.2).
    fn knows(&self, stored: &StoredCustomer) -> bool {
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) => tags.include(stored.version),
            (None, Some(since)) => last_modified(stored.updated) <= since,
            (None, None) => false,
        }
    }
}

impl FromParts for GetCustomerRequest {
    fn from_parts(parts: &mut Parts<'_>) -> Result<Option<Self>, ApiError> {
        let id: Option<CustomerId> = parts.path_value("CustomerID");
        let if_none_match = parts.header_value(&IF_NONE_MATCH, "If-None-Match");
        let if_modified_since = parts.if_modified_since();
        Ok(id.map(|id| Self { id, if_none_match, if_modified_since }))
    }
}

/// The first full second at which the customer was as it is now. If it were rounded down, it could not tell apart two
/// changes of one second.
fn last_modified(updated: Timestamp) -> SystemTime {
    const SECOND: i64 = 1_000_000;
    let seconds = (updated.micros() + SECOND - 1).div_euclid(SECOND);
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// The response of `getCustomer`, unless it fails.
#[derive(Debug)]
pub(super) enum GetCustomerResponse {
    Found(StoredCustomer, Vec<u8>),
    NotModified(StoredCustomer),
}

impl Responder for GetCustomerResponse {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        let (mut response, json, stored) = match self {
            Self::Found(stored, json) => (HttpResponse::Ok(), Some(json), stored),
            Self::NotModified(stored) => (HttpResponse::NotModified(), None, stored),
        };
        // The framework's own `Date` may be half a second old, and `Last-Modified` must not be later (RFC 9110, 8.8.2.1).
        let now = SystemTime::from(clock::now());
        response
            .insert_header((ETAG, etag(stored.version)))
            .insert_header((DATE, HttpDate::from(now)))
            .insert_header((LAST_MODIFIED, HttpDate::from(last_modified(stored.updated).min(now))));
        match json {
            Some(json) => response.content_type(ContentType::json()).body(json),
            // Not an empty body: its length is that of the customer (RFC 9110, 8.6).
            None => response.body(body::None::new()),
        }
    }
}

impl IntoResponses for GetCustomerResponse {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let customer = content("Customer").example(Some(examples::full_customer()));
        let found = response("The customer", &["ETag", "Last-Modified"]).content(JSON, customer.build());
        let not_modified = response("The customer is unchanged", &["ETag", "Last-Modified"]);
        [("200", found), ("304", not_modified)]
            .map(|(status, response)| (status.to_owned(), response.build().into()))
            .into()
    }
}
