use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION},
    web::Data,
};

use super::{
    Api,
    entity_tag::{self, Asterisk, EntityTags},
    error::ApiError,
    operation::Operation,
    parameters::{CustomerPath, IfAbsent, IfMatch, Signature},
    parts::Parts,
    responses::{
        BadRequest, ContentTooLarge, Created, InternalServerError, PreconditionFailed, ServiceUnavailable,
        Unauthorized, UnsupportedMediaType, Updated,
    },
    signed::{Input, Signed},
};
use crate::{
    model::{CustomerId, CustomerInput},
    record,
    store::{Condition, PutOutcome, Version},
};

/// Create or replace a customer
///
/// Creating a customer is required prior to other operations referring to CustomerID.
///
/// The body replaces the customer as a whole: a member that is left out is gone afterwards. The request is
/// idempotent: sent twice, it leaves the same customer behind. It creates (201) if there is no such customer, and
/// else replaces (204).
///
/// Preconditions guard against lost updates: with `If-None-Match: *` it only creates, with `If-Match` it only
/// replaces the version that the caller has seen. A precondition that does not hold is answered with 412, and
/// nothing is changed.
///
/// Where several errors apply, the first of this list is answered: 413, 401, 415, 400, 412, 503 or 500.
#[utoipa::path(
    put,
    path = "/customers/{CustomerID}",
    operation_id = "putCustomer",
    tag = "Customers",
    params(CustomerPath, Signature, IfMatch, IfAbsent),
    request_body(
        description = "The whole customer",
        content = CustomerInput,
        examples(
            ("Minimum" = (
                summary = "Nothing but what is required",
                value = json!({
                    "FullName": { "FirstName": "Mia", "LastName": "Muster" },
                    "DateOfBirth": "1990-01-31",
                    "Identities": [],
                    "PrimaryResidence": {
                        "Street": "Musterstrasse 1", "City": "Musterstadt", "PostCode": "12345", "State": "Berlin",
                        "Country": "DE"
                    }
                })
            )),
            ("Full" = (
                summary = "Every field, with a residence in the USA",
                value = json!({
                    "FullName": { "FirstName": "Sam", "LastName": "Sample", "MiddleName": "Quinn" },
                    "DateOfBirth": "1985-11-05",
                    "Identities": [
                        {
                            "IssuingCountry": "US", "IDNumber": "X00000001", "IssuedDate": "2024-04-16",
                            "ExpiryDate": "2034-04-15", "IDType": "Passport"
                        },
                        { "IssuingCountry": "US", "IDNumber": "D00000002", "IDType": "DrivingLicense" }
                    ],
                    "PrimaryResidence": {
                        "Street": "100 Example Avenue", "Street2": "Apartment 2", "City": "Sampleville",
                        "PostCode": "90001", "State": "CA", "Country": "US"
                    }
                })
            ))
        )
    ),
    responses(
        (status = 201, response = inline(Created)),
        (status = 204, response = inline(Updated)),
        (status = 400, response = BadRequest),
        (status = 401, response = Unauthorized),
        (status = 412, response = PreconditionFailed),
        (status = 413, response = ContentTooLarge),
        (status = 415, response = UnsupportedMediaType),
        (status = 500, response = InternalServerError),
        (status = 503, response = ServiceUnavailable)
    )
)]
pub(super) async fn put_customer(request: Signed<PutCustomer>, api: Data<Api>) -> Result<Put, ApiError> {
    let Signed { account, input: PutCustomer { id, condition, customer } } = request;
    match api.store.put(&account, id, record::encode(&customer)?, condition).await? {
        PutOutcome::Created(version) => Ok(Put::Created(version)),
        PutOutcome::Updated(version) => Ok(Put::NoContent(version)),
        PutOutcome::ConditionFailed => Err(ApiError::PreconditionFailed),
    }
}

/// What `putCustomer` is asked with.
pub(super) struct PutCustomer {
    id: CustomerId,
    condition: Condition,
    customer: CustomerInput,
}

impl Input for PutCustomer {
    const OPERATION: Operation = Operation::PutCustomer;

    fn read(parts: &mut Parts<'_>) -> Result<Option<Self>, ApiError> {
        let customer = parts.customer_input()?;
        let id = parts.customer_id();
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

/// What `putCustomer` answers with.
#[derive(Debug)]
pub(super) enum Put {
    Created(Version),
    NoContent(Version),
}

impl Responder for Put {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match self {
            Self::Created(version) => HttpResponse::Created()
                .insert_header((LOCATION, request.uri().path()))
                .insert_header((ETAG, entity_tag::of(version)))
                .finish(),
            Self::NoContent(version) => {
                HttpResponse::NoContent().insert_header((ETAG, entity_tag::of(version))).finish()
            }
        }
    }
}
