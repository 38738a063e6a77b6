use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::header::{ContentType, ETAG, HttpDate, IF_NONE_MATCH, LAST_MODIFIED},
    web::Data,
};
use tokio::task::yield_now;

use super::{
    Api,
    entity_tag::{self, EntityTags},
    error::ApiError,
    operation::Operation,
    parameters::{CustomerPath, IfNoneMatch, Signature},
    parts::Parts,
    responses::{
        BadRequest, ContentTooLarge, Found, InternalServerError, NotFound, NotModified, ServiceUnavailable,
        Unauthorized,
    },
    signed::{Input, Signed},
};
use crate::{model::CustomerId, record, store::StoredCustomer};

/// About how many bytes the id and the timestamp add to a record.
const ADDED_BYTES: usize = 128;

/// Read a customer
///
/// Answers with the customer and its current `ETag`. The request changes nothing.
///
/// With `If-None-Match` a customer that is unchanged is not sent again: 304.
///
/// Where several errors apply, the first of this list is answered: 413, 401, 400, 404, 503 or 500.
#[utoipa::path(
    get,
    path = "/customers/{CustomerID}",
    operation_id = "getCustomer",
    tag = "Customers",
    params(CustomerPath, Signature, IfNoneMatch),
    responses(
        (status = 200, response = inline(Found)),
        (status = 304, response = inline(NotModified)),
        (status = 400, response = BadRequest),
        (status = 401, response = Unauthorized),
        (status = 404, response = NotFound),
        (status = 413, response = ContentTooLarge),
        (status = 500, response = InternalServerError),
        (status = 503, response = ServiceUnavailable)
    )
)]
pub(super) async fn get_customer(request: Signed<GetCustomer>, api: Data<Api>) -> Result<Get, ApiError> {
    let Signed { account, input: GetCustomer { id, if_none_match } } = request;
    let stored = api.store.get(&account, &id).await?.ok_or(ApiError::CustomerNotFound)?;
    // Requests that came together are all looked up before the first is answered, so that answers leave close together,
    // and the first wakes a client for all of them.
    yield_now().await;
    let is_known = if_none_match.is_some_and(|tags| tags.include(stored.version));
    Ok(if is_known { Get::NotModified(stored) } else { Get::Ok(stored) })
}

/// What `getCustomer` is asked with.
pub(super) struct GetCustomer {
    id: CustomerId,
    if_none_match: Option<EntityTags>,
}

impl Input for GetCustomer {
    const OPERATION: Operation = Operation::GetCustomer;

    fn read(parts: &mut Parts<'_>) -> Result<Option<Self>, ApiError> {
        let id = parts.customer_id();
        let if_none_match = parts.header_value(&IF_NONE_MATCH, "If-None-Match");
        Ok(id.map(|id| Self { id, if_none_match }))
    }
}

/// What `getCustomer` answers with.
#[derive(Debug)]
pub(super) enum Get {
    Ok(StoredCustomer),
    NotModified(StoredCustomer),
}

impl Responder for Get {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        let (mut response, has_body, stored) = match self {
            Self::Ok(stored) => (HttpResponse::Ok(), true, stored),
            Self::NotModified(stored) => (HttpResponse::NotModified(), false, stored),
        };
        response
            .insert_header((ETAG, entity_tag::of(stored.version)))
            .insert_header((LAST_MODIFIED, HttpDate::from(std::time::SystemTime::from(stored.updated))));
        if !has_body {
            return response.finish();
        }
        let mut body = Vec::with_capacity(stored.record.bytes.len() + ADDED_BYTES);
        match record::write_customer(&stored, &mut body) {
            Ok(()) => response.content_type(ContentType::json()).body(body),
            Err(damaged) => HttpResponse::from_error(ApiError::from(damaged)),
        }
    }
}
