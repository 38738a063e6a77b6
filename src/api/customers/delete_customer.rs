use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, http::header::IF_MATCH, web::Data};
use utoipa::{
    IntoResponses,
    openapi::{RefOr, Response},
};

use super::parameters::{CustomerIdParameter, IfMatchParameter};
use crate::{
    api::{
        document::{
            ApiSignatureParameter, BadRequest, ContentTooLarge, InternalServerError, NotFound,
            PreconditionFailed, ServiceUnavailable, Unauthorized, response,
        },
        error::ApiError,
        request::{EntityTags, FromParts, Parts, Signed},
        state::Api,
    },
    model::CustomerId,
    store::{DeleteOutcome, Version},
};

/// Delete Customer
///
/// Deletes the customer permanently. The request is idempotent: a second one, with a new signature, gets 404.
/// A customer that is created later under the same CustomerID never has an `ETag` of the deleted one.
///
/// With `If-Match` the request only deletes the version that the caller has read. If the precondition is false,
/// the response is 412 and nothing is changed.
///
/// If several errors apply, the response is the first of this list: 413, 401, 400, 404, 412, 503 or 500.
#[utoipa::path(
    delete,
    impl_for = DeleteCustomerRequest,
    path = "/customers/{CustomerID}",
    operation_id = "deleteCustomer",
    params(CustomerIdParameter, ApiSignatureParameter, IfMatchParameter),
    responses(
        DeleteCustomerResponse,
        (status = 400, response = BadRequest),
        (status = 401, response = Unauthorized),
        (status = 404, response = NotFound),
        (status = 412, response = PreconditionFailed),
        (status = 413, response = ContentTooLarge),
        (status = 500, response = InternalServerError),
        (status = 503, response = ServiceUnavailable)
    )
)]
pub(super) async fn delete_customer(
    request: Signed<DeleteCustomerRequest>,
    api: Data<Api>,
) -> Result<DeleteCustomerResponse, ApiError> {
    let Signed { account, signature, input: DeleteCustomerRequest { id, if_match } } = request;
    match api.store.delete(&account, id, if_match, signature).await? {
        DeleteOutcome::Deleted => Ok(DeleteCustomerResponse),
        DeleteOutcome::NotFound => Err(ApiError::CustomerNotFound),
        DeleteOutcome::ConditionFailed => Err(ApiError::PreconditionFailed),
    }
}

/// The input of `deleteCustomer`.
pub(super) struct DeleteCustomerRequest {
    id: CustomerId,
    if_match: Option<Vec<Version>>,
}

impl FromParts for DeleteCustomerRequest {
    fn from_parts(parts: &mut Parts<'_>) -> Result<Option<Self>, ApiError> {
        let id: Option<CustomerId> = parts.path_value("CustomerID");
        let if_match: Option<EntityTags> = parts.header_value(&IF_MATCH, "If-Match");
        Ok(id.map(|id| Self { id, if_match: if_match.and_then(EntityTags::strong) }))
    }
}

/// The response of `deleteCustomer`, unless it fails.
#[derive(Debug)]
pub(super) struct DeleteCustomerResponse;

impl Responder for DeleteCustomerResponse {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
}

impl IntoResponses for DeleteCustomerResponse {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [("204".to_owned(), response("Customer deleted", &[]).build().into())].into()
    }
}
