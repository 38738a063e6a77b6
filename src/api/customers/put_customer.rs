use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::header::{ETAG, LOCATION},
    web::Data,
};
use utoipa::IntoResponses;

use crate::{
    api::{
        document::{PreconditionFailed, Responses, link, response, responses},
        error::ApiError,
        location::location,
        request::{Body, IfMatch, OnlyIfAbsent, Signed, etag, input},
        state::Api,
    },
    model::{CustomerId, CustomerInput},
    store::{Condition, NewVersion, PutOutcome, Version},
};

input! {
    /// What `putCustomer` takes from a request.
    pub(super) struct PutCustomer {
        id: CustomerId,
        if_match: Option<IfMatch>,
        if_none_match: Option<OnlyIfAbsent>,
        customer: Body<CustomerInput>,
    }
}

/// Creates the customer, or replaces the whole of it.
#[utoipa::path(
    put,
    impl_for = PutCustomer,
    path = "/customers/{CustomerID}",
    operation_id = "putCustomer",
    responses(PreconditionFailed)
)]
pub(super) async fn put_customer(
    request: Signed<PutCustomer>,
    api: Data<Api>,
) -> Result<PutCustomerResponse, ApiError> {
    let Signed { account, proof, input } = request;
    let PutCustomer { id, if_match, if_none_match, customer: Body(customer) } = input;
    let version = NewVersion::of(proof);
    let record = api.records.encode(&account, &id, version.version(), &customer)?;
    match api.store.put(&account, id, version, record, condition(if_match, if_none_match)).await? {
        PutOutcome::Created(version) => Ok(PutCustomerResponse::Created(version)),
        PutOutcome::Updated(version) => Ok(PutCustomerResponse::Updated(version)),
        PutOutcome::ConditionFailed => Err(ApiError::PreconditionFailed),
    }
}

/// What must be true of the customer as it is.
fn condition(if_match: Option<IfMatch>, if_none_match: Option<OnlyIfAbsent>) -> Condition {
    match (if_match.map(IfMatch::versions), if_none_match) {
        (None, None) => Condition::Always,
        (None, Some(OnlyIfAbsent)) => Condition::Absent,
        (Some(None), None) => Condition::Present,
        (Some(Some(versions)), None) => Condition::OneOf(versions),
        (Some(_), Some(OnlyIfAbsent)) => Condition::Never,
    }
}

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
    fn responses() -> Responses {
        let link_to = |operation| link(operation, "CustomerID", "$request.path.CustomerID");
        let linked = |headers: &[&'static str]| {
            let response = response(headers.iter().copied()).link("getCustomer", link_to("getCustomer"));
            response.link("deleteCustomer", link_to("deleteCustomer"))
        };
        responses([(201, linked(&["ETag", "Location"])), (204, linked(&["ETag"]))])
    }
}
