use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, http::header::IF_MATCH, web::Data};

use super::{
    Api,
    entity_tag::EntityTags,
    error::ApiError,
    operation::Operation,
    parameters::{CustomerPath, IfMatch, Signature},
    parts::Parts,
    responses::{
        BadRequest, ContentTooLarge, Deleted, InternalServerError, NotFound, PreconditionFailed,
        ServiceUnavailable, Unauthorized,
    },
    signed::{Input, Signed},
};
use crate::{
    model::CustomerId,
    store::{DeleteOutcome, Version},
};

/// Delete a customer
///
/// Deletes the customer for good. The request is idempotent: sent twice, it deletes once, and the second answer
/// is 404. A customer that is created anew under the same CustomerID never has an `ETag` of the deleted one.
///
/// With `If-Match` it only deletes the version that the caller has seen. A precondition that does not hold is
/// answered with 412, and nothing is changed.
///
/// Where several errors apply, the first of this list is answered: 413, 401, 400, 404, 412, 503 or 500.
#[utoipa::path(
    delete,
    path = "/customers/{CustomerID}",
    operation_id = "deleteCustomer",
    tag = "Customers",
    params(CustomerPath, Signature, IfMatch),
    responses(
        (status = 204, response = inline(Deleted)),
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
    request: Signed<DeleteCustomer>,
    api: Data<Api>,
) -> Result<NoContent, ApiError> {
    let Signed { account, input: DeleteCustomer { id, if_match } } = request;
    match api.store.delete(&account, id, if_match).await? {
        DeleteOutcome::Deleted => Ok(NoContent),
        DeleteOutcome::NotFound => Err(ApiError::CustomerNotFound),
        DeleteOutcome::ConditionFailed => Err(ApiError::PreconditionFailed),
    }
}

/// What `deleteCustomer` is asked with.
pub(super) struct DeleteCustomer {
    id: CustomerId,
    if_match: Option<Vec<Version>>,
}

impl Input for DeleteCustomer {
    const OPERATION: Operation = Operation::DeleteCustomer;

    fn read(parts: &mut Parts<'_>) -> Result<Option<Self>, ApiError> {
        let id = parts.customer_id();
        let if_match: Option<EntityTags> = parts.header_value(&IF_MATCH, "If-Match");
        Ok(id.map(|id| Self { id, if_match: if_match.and_then(EntityTags::strong) }))
    }
}

/// What `deleteCustomer` answers with.
#[derive(Debug)]
pub(super) struct NoContent;

impl Responder for NoContent {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
}
