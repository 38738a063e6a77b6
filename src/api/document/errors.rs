//! The errors in `components/responses`, each as a type that the annotations name. Their examples are what the service
//! sends, except for the id of the request.

use serde_json::json;
use utoipa::{
    ToResponse,
    openapi::{
        RefOr,
        content::ContentBuilder,
        example::{Example, ExampleBuilder},
        response::{Response, ResponseBuilder},
    },
};

use super::{
    headers::REQUEST_ID,
    responses::{JSON, content, response},
};
use crate::{
    api::error::ApiError,
    model::{Reason, RequestExtension, RequestExtensionItem},
};

macro_rules! errors {
    ($($name:ident => $response:expr;)*) => {$(
        pub(crate) struct $name;

        impl<'r> ToResponse<'r> for $name {
            fn response() -> (&'r str, RefOr<Response>) {
                (stringify!($name), RefOr::T($response))
            }
        }
    )*};
}

errors! {
    BadRequest => with_examples(
        response(
            "The request is invalid. All violations are listed, up to 1000. If there are more, `Detail` says so, but not how\n\
             many.",
            &[],
        ),
        [
            ("Body", example("The body does not match its schema", "putCustomer", &invalid_body())),
            ("MalformedBody", example("The body is not valid JSON", "putCustomer", &malformed_body())),
            ("Path", example("The path does not match its schema", "getCustomer", &invalid_path())),
            ("Query", example("The query does not match its schema", "listCustomers", &invalid_query())),
        ],
    );
    Unauthorized => with_examples(
        response(
            "The signature is missing, or it does not prove who sent exactly this request.",
            &["WWW-Authenticate"],
        ),
        [
            ("Missing", example("The request is not signed", "putCustomer", &ApiError::signature_missing())),
            ("OtherBody", other_body()),
        ],
    );
    NotFound => with_example(
        response("The account has no such customer.", &[]),
        "getCustomer",
        &ApiError::CustomerNotFound,
    );
    PreconditionFailed => with_example(
        response("The precondition is false. Nothing was changed.", &[]),
        "putCustomer",
        &ApiError::PreconditionFailed,
    );
    ContentTooLarge => with_example(
        response("The body is larger than 1 MiB.", &[]),
        "putCustomer",
        &ApiError::ContentTooLarge,
    );
    UnsupportedMediaType => with_example(
        response("The body is not `application/json` in UTF-8, or it has a content coding.", &[]),
        "putCustomer",
        &ApiError::UnsupportedMediaType,
    );
    InternalServerError => with_example(
        response("The service failed. Its logs tell the cause, under the identifier of the request.", &[]),
        "putCustomer",
        &ApiError::Internal("an example".into()),
    );
    ServiceUnavailable => with_example(
        response("The service cannot process the request now. The same request may succeed later.", &["Retry-After"]),
        "putCustomer",
        &ApiError::Unavailable(None),
    );
}

fn with_example(response: ResponseBuilder, action: &'static str, error: &ApiError) -> Response {
    let body = json!(error.body(REQUEST_ID, Some(action)));
    with_content(response, content("Error").example(Some(body)))
}

fn with_examples<const N: usize>(response: ResponseBuilder, examples: [(&str, Example); N]) -> Response {
    with_content(response, content("Error").examples_from_iter(examples))
}

fn with_content(response: ResponseBuilder, content: ContentBuilder) -> Response {
    response.content(JSON, content.build()).build()
}

fn example(summary: &str, action: &'static str, error: &ApiError) -> Example {
    ExampleBuilder::new().summary(summary).value(Some(json!(error.body(REQUEST_ID, Some(action))))).build()
}

fn invalid_body() -> ApiError {
    let id_type =
        "must be one of DrivingLicense, NationalIDCard, Passport, AddressProof, ResidencePermit, TaxID";
    let body = vec![
        schema_violation("FullName.LastName", "is required"),
        schema_violation("Identities[0].IDType", id_type),
    ];
    ApiError::invalid(RequestExtension { body, ..RequestExtension::default() })
}

fn malformed_body() -> ApiError {
    let description = "is not valid JSON: expected value at line 1 column 14";
    let body = vec![violation("", Reason::MalformedJson, description)];
    ApiError::invalid(RequestExtension { body, ..RequestExtension::default() })
}

fn invalid_path() -> ApiError {
    let path = vec![schema_violation("CustomerID", "must have at most 36 characters")];
    ApiError::invalid(RequestExtension { path, ..RequestExtension::default() })
}

fn invalid_query() -> ApiError {
    let query = vec![
        schema_violation("PageSize", "must be at most 100"),
        schema_violation("SortDirection", "must be one of ASC, DESC"),
    ];
    ApiError::invalid(RequestExtension { query, ..RequestExtension::default() })
}

fn other_body() -> Example {
    let detail = "bodyHash is not the SHA-256 of this body: send the hex SHA-256 of its exact bytes";
    let value = json!({
        "Type": "Unauthorized",
        "Instance": REQUEST_ID,
        "Action": "putCustomer",
        "Detail": detail,
        "RequestExtension": { "Header": [violation("Api-Signature.bodyHash", Reason::Signature, detail)] },
    });
    ExampleBuilder::new().summary("The signature covers another body").value(Some(value)).build()
}

fn schema_violation(field: &str, description: &str) -> RequestExtensionItem {
    violation(field, Reason::SchemaValidation, description)
}

fn violation(field: &str, reason: Reason, description: &str) -> RequestExtensionItem {
    RequestExtensionItem { field: field.to_owned(), reason, description: description.to_owned() }
}
