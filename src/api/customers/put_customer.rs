use std::collections::BTreeMap;

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION},
    web::Data,
};
use utoipa::{
    IntoResponses,
    openapi::{RefOr, Response},
};

use super::{
    examples,
    parameters::{CustomerIdParameter, IfMatchParameter, IfNoneMatchAsteriskParameter},
};
use crate::{
    api::{
        document::{
            ApiSignatureParameter, BadRequest, ContentTooLarge, InternalServerError, PreconditionFailed,
            ServiceUnavailable, Unauthorized, UnsupportedMediaType, link, response,
        },
        error::ApiError,
        location::location,
        request::{Asterisk, EntityTags, FromParts, Parts, Signed, etag},
        state::Api,
    },
    model::{CustomerId, CustomerInput},
    store::{Condition, NewVersion, PutOutcome, Version},
};

/// Put Customer
///
/// Creating a customer is required prior to other operations referring to CustomerID.
///
/// The body replaces the whole customer: a member that is left out is removed. The response is 201 if the
/// customer was created, and 204 if it was replaced. The request is idempotent: sending it twice leaves the same
/// customer as sending it once.
///
/// Preconditions prevent lost updates. With `If-None-Match: *` the request only creates a customer. With
/// `If-Match` it only replaces the version that the caller has read. If a precondition is false, the response is
/// 412 and nothing is changed.
///
/// If several errors apply, the response is the first of this list: 413, 401, 415, 400, 412, 503 or 500.
#[utoipa::path(
    put,
    impl_for = PutCustomerRequest,
    path = "/customers/{CustomerID}",
    operation_id = "putCustomer",
    params(CustomerIdParameter, ApiSignatureParameter, IfMatchParameter, IfNoneMatchAsteriskParameter),
    request_body(
        description = "The whole customer",
        content = CustomerInput,
        examples(
            ("Minimum" = (
                summary = "Only the required members",
                value = json!(examples::minimal_input())
            )),
            ("Full" = (
                summary = "All members, with a residence in the USA",
                value = json!(examples::full_input())
            ))
        )
    ),
    responses(
        PutCustomerResponse,
        (status = 400, response = BadRequest),
        (status = 401, response = Unauthorized),
        (status = 412, response = PreconditionFailed),
        (status = 413, response = ContentTooLarge),
        (status = 415, response = UnsupportedMediaType),
        (status = 500, response = InternalServerError),
        (status = 503, response = ServiceUnavailable)
    )
)]
pub(super) async fn put_customer(
    request: Signed<PutCustomerRequest>,
    api: Data<Api>,
) -> Result<PutCustomerResponse, ApiError> {
    let Signed { account, signature, input: PutCustomerRequest { id, condition, customer } } = request;
    let version = NewVersion::of(signature);
    let record = api.records.encode(&account, &id, version.version(), &customer)?;
    match api.store.put(&account, id, version, record, condition).await? {
        PutOutcome::Created(version) => Ok(PutCustomerResponse::Created(version)),
        PutOutcome::Updated(version) => Ok(PutCustomerResponse::Updated(version)),
        PutOutcome::ConditionFailed => Err(ApiError::PreconditionFailed),
    }
}

/// The input of `putCustomer`.
pub(super) struct PutCustomerRequest {
    id: CustomerId,
    condition: Condition,
    customer: CustomerInput,
}

impl FromParts for PutCustomerRequest {
    fn from_parts(parts: &mut Parts<'_>) -> Result<Option<Self>, ApiError> {
        let customer: Option<CustomerInput> = parts.body()?;
        let id: Option<CustomerId> = parts.path_value("CustomerID");
        let if_match: Option<EntityTags> = parts.header_value(&IF_MATCH, "If-Match");
        let if_none_match: Option<Asterisk> = parts.header_value(&IF_NONE_MATCH, "If-None-Match");
        let condition = match (if_match.map(EntityTags::strong), if_none_match) {
            (None, None) => Condition::Always,
            (None, Some(Asterisk)) => Condition::Absent,
            (Some(None), None) => Condition::Present,
            (Some(Some(versions)), None) => Condition::OneOf(versions),
            (Some(_), Some(Asterisk)) => Condition::Never,
        };
        Ok(id.zip(customer).map(|(id, customer)| Self { id, condition, customer }))
    }
}

/// The response of `putCustomer`, unless it fails.
#[derive(Debug)]
pub(super) enum PutCustomerResponse {
    Created(Version),
    Updated(Version),
}

impl Responder for PutCustomerResponse {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match self {
            Self::Created(version) => HttpResponse::Created()
                .insert_header((LOCATION, location(request.uri().path())))
                .insert_header((ETAG, etag(version)))
                .finish(),
            Self::Updated(version) => HttpResponse::NoContent().insert_header((ETAG, etag(version))).finish(),
        }
    }
}

impl IntoResponses for PutCustomerResponse {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let same = ("CustomerID", "$request.path.CustomerID");
        let created = response("Customer created", &["ETag", "Location"]);
        let updated = response("Customer updated", &["ETag"]);
        let responses = [("201", created), ("204", updated)].map(|(status, response)| {
            let linked = response
                .link("getCustomer", link("getCustomer", same, "Read the customer."))
                .link("deleteCustomer", link("deleteCustomer", same, "Delete the customer."));
            (status.to_owned(), linked.build().into())
        });
        responses.into()
    }
}
