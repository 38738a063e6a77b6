use actix_web::web::Data;

use crate::{
    api::{
        document::{NotFound, PreconditionFailed},
        error::ApiError,
        request::{IfMatch, Signed, input},
        response::NoContent,
        state::Api,
    },
    model::CustomerId,
    store::DeleteOutcome,
};

input! {
    /// What `deleteCustomer` takes from a request.
    pub(super) struct DeleteCustomer {
        id: CustomerId,
        if_match: Option<IfMatch>,
    }
}

/// Deletes the customer permanently.
#[utoipa::path(
    delete,
    impl_for = DeleteCustomer,
    path = "/customers/{CustomerID}",
    operation_id = "deleteCustomer",
    responses(NotFound, PreconditionFailed)
)]
pub(super) async fn delete_customer(
    request: Signed<DeleteCustomer>,
    api: Data<Api>,
) -> Result<NoContent, ApiError> {
    let Signed { account, proof, input: DeleteCustomer { id, if_match } } = request;
    match api.store.delete(&account, id, if_match.and_then(IfMatch::versions), proof).await? {
        DeleteOutcome::Deleted => Ok(NoContent),
        DeleteOutcome::NotFound => Err(ApiError::CustomerNotFound),
        DeleteOutcome::ConditionFailed => Err(ApiError::PreconditionFailed),
    }
}
