use std::collections::BTreeMap;

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::header::{ContentType, ETAG, HttpDate, IF_NONE_MATCH, LAST_MODIFIED},
    web::Data,
};
use tokio::task::yield_now;
use utoipa::{
    IntoResponses,
    openapi::{RefOr, Response},
};

use super::{
    examples,
    parameters::{ApiSignatureParameter, CustomerIdParameter, IfNoneMatchParameter},
};
use crate::{
    api::{
        document::{
            BadRequest, ContentTooLarge, InternalServerError, JSON, NotFound, ServiceUnavailable,
            Unauthorized, content, response,
        },
        error::ApiError,
        request::{EntityTags, FromParts, Parts, Signed, etag},
        state::Api,
    },
    model::CustomerId,
    record,
    store::StoredCustomer,
};

/// About how many bytes the id and the timestamp add to a record.
const ADDED_BYTES: usize = 128;

/// Read a customer
///
/// Returns the customer and its current `ETag`. The request changes nothing.
///
/// With `If-None-Match`, an unchanged customer is not sent again: the response is 304.
///
/// If several errors apply, the response is the first of this list: 413, 401, 400, 404, 503 or 500.
#[utoipa::path(
    get,
    impl_for = GetCustomerRequest,
    path = "/customers/{CustomerID}",
    operation_id = "getCustomer",
    params(CustomerIdParameter, ApiSignatureParameter, IfNoneMatchParameter),
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
    let Signed { account, signature: _, input: GetCustomerRequest { id, if_none_match } } = request;
    let stored = api.store.get(&account, &id).await?.ok_or(ApiError::CustomerNotFound)?;
    // All requests that arrived together are looked up before the first one is answered, so that their responses leave
    // close together and wake the client once.
    yield_now().await;
    let is_known = if_none_match.is_some_and(|tags| tags.include(stored.version));
    Ok(if is_known { GetCustomerResponse::NotModified(stored) } else { GetCustomerResponse::Found(stored) })
}

/// The input of `getCustomer`.
pub(super) struct GetCustomerRequest {
    id: CustomerId,
    if_none_match: Option<EntityTags>,
}

impl FromParts for GetCustomerRequest {
    fn from_parts(parts: &mut Parts<'_>) -> Result<Option<Self>, ApiError> {
        let id = parts.customer_id();
        let if_none_match = parts.header_value(&IF_NONE_MATCH, "If-None-Match");
        Ok(id.map(|id| Self { id, if_none_match }))
    }
}

/// The response of `getCustomer`, unless it fails.
#[derive(Debug)]
pub(super) enum GetCustomerResponse {
    Found(StoredCustomer),
    NotModified(StoredCustomer),
}

impl Responder for GetCustomerResponse {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        let (mut response, has_body, stored) = match self {
            Self::Found(stored) => (HttpResponse::Ok(), true, stored),
            Self::NotModified(stored) => (HttpResponse::NotModified(), false, stored),
        };
        response
            .insert_header((ETAG, etag(stored.version)))
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
