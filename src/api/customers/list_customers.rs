use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, http::header::ContentType, web::Data};
use serde_json::{Value, json};
use utoipa::{
    IntoResponses,
    openapi::{RefOr, Response, example::ExampleBuilder},
};

use super::{examples, parameters::ListParameters};
use crate::{
    api::{
        document::{
            ApiSignatureParameter, BadRequest, ContentTooLarge, InternalServerError, JSON,
            ServiceUnavailable, Unauthorized, content, link, response,
        },
        error::ApiError,
        request::{FromParts, Parts, Signed},
        state::Api,
    },
    model::{PageSize, SortDirection},
    store::Position,
};

/// List Customers
///
/// Returns one page of the account's customers, in the order of their creation. The request changes nothing.
///
/// To read all customers, send the `PageToken` of each response with the next request, until a response has no
/// `PageToken`. Even while others write, no CustomerID is listed twice, and a customer that exists from the first
/// request to the last is not missed. A customer that is created after the first request or deleted before the last
/// may be listed or missing. A customer that is replaced keeps its place.
///
/// A query parameter that is given twice is refused with 400.
///
/// If several errors apply, the response is the first of this list: 413, 401, 400, 503 or 500.
#[utoipa::path(
    get,
    impl_for = ListCustomersRequest,
    path = "/customers",
    operation_id = "listCustomers",
    params(ApiSignatureParameter, ListParameters),
    responses(
        ListCustomersResponse,
        (status = 400, response = BadRequest),
        (status = 401, response = Unauthorized),
        (status = 413, response = ContentTooLarge),
        (status = 500, response = InternalServerError),
        (status = 503, response = ServiceUnavailable)
    )
)]
pub(super) async fn list_customers(
    request: Signed<ListCustomersRequest>,
    api: Data<Api>,
) -> Result<ListCustomersResponse, ApiError> {
    let Signed { account, signature: _, input: ListCustomersRequest { page_size, direction, after } } =
        request;
    let turn = api.turn_to_list(&account).await?;
    let page = api.store.list(&account, direction, after, page_size.get()).await?;
    let page_token = page.next.map(|next| api.page_tokens.issue(&account, direction, next)).transpose()?;
    let json = api.records.page(&account, &page.customers, page_token.as_deref())?;
    drop((page.customers, turn));
    // The responses to requests that arrived together leave close together, and wake the client once.
    api.store.await_others().await;
    Ok(ListCustomersResponse(json))
}

/// The input of `listCustomers`.
pub(super) struct ListCustomersRequest {
    page_size: PageSize,
    direction: SortDirection,
    after: Option<Position>,
}

impl FromParts for ListCustomersRequest {
    fn from_parts(parts: &mut Parts<'_>) -> Result<Option<Self>, ApiError> {
        let query = parts.query(&["PageSize", "PageToken", "SortDirection"]);
        let page_size = parts.query_value(&query, "PageSize", str::parse);
        let token = parts.page_token(&query);
        let direction: Option<SortDirection> = parts.query_value(&query, "SortDirection", str::parse);
        let (direction, after) = match (direction, token) {
            (direction, None) => (direction.unwrap_or_default(), None),
            (None, Some((direction, after))) => (direction, Some(after)),
            (Some(asked), Some((direction, after))) => {
                if asked != direction {
                    parts.refuse_query("SortDirection", "must be the direction of the PageToken, or absent");
                }
                (direction, Some(after))
            }
        };
        Ok(Some(Self { page_size: page_size.unwrap_or_default(), direction, after }))
    }
}

/// The response of `listCustomers`, unless it fails.
#[derive(Debug)]
pub(super) struct ListCustomersResponse(Vec<u8>);

impl Responder for ListCustomersResponse {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().content_type(ContentType::json()).body(self.0)
    }
}

impl IntoResponses for ListCustomersResponse {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let example =
            |summary: &str, page: Value| ExampleBuilder::new().summary(summary).value(Some(page)).build();
        let page = json!({
            "Items": [examples::minimal_customer()],
            "PageToken": "AQB3ZWxjb21lLXRvLXBhZ2UtdHdv"
        });
        let last_page = json!({ "Items": [examples::full_customer()] });
        let customers = content("Customers").examples_from_iter([
            ("Page", example("A page that is not the last", page)),
            ("LastPage", example("The last page", last_page)),
        ]);
        let token = ("PageToken", "$response.body#/PageToken");
        let listed = response("A page of customers", &[])
            .content(JSON, customers.build())
            .link("nextPage", link("listCustomers", token, "Read the next page, if there is one."));
        [("200".to_owned(), listed.build().into())].into()
    }
}
