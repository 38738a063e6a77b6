use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, web::Data};

use super::parameters::{ApiSignatureParameter, ListParameters};
use crate::{
    api::{
        document::{
            BadRequest, ContentTooLarge, InternalServerError, Listed, ServiceUnavailable, Unauthorized,
        },
        error::ApiError,
        operation::Operation,
        request::{FromParts, Parts, Signed},
        state::Api,
    },
    model::{Customers, PageSize, SortDirection},
    store::Position,
};

/// List the customers
///
/// Answers with one page of the account's customers, in the order in which they were created. The request changes
/// nothing.
///
/// To walk through all of them, send the `PageToken` of each answer with the next request, until an answer has
/// none. No customer is listed twice and none is missed, even while others write.
///
/// A query parameter that is not documented here, or that is given twice, is refused with 400.
///
/// Where several errors apply, the first of this list is answered: 413, 401, 400, 503 or 500.
#[utoipa::path(
    get,
    path = "/customers",
    operation_id = "listCustomers",
    tag = "Customers",
    params(ApiSignatureParameter, ListParameters),
    responses(
        (status = 200, response = inline(Listed)),
        (status = 400, response = BadRequest),
        (status = 401, response = Unauthorized),
        (status = 413, response = ContentTooLarge),
        (status = 500, response = InternalServerError),
        (status = 503, response = ServiceUnavailable)
    )
)]
pub(in crate::api) async fn list_customers(
    request: Signed<ListCustomersRequest>,
    api: Data<Api>,
) -> Result<ListCustomersResponse, ApiError> {
    let Signed { account, input: ListCustomersRequest { page_size, direction, after } } = request;
    let page = api.store.list(&account, direction, after, page_size.get()).await?;
    let page_token = page.next.map(|next| api.page_tokens.issue(&account, direction, next)).transpose()?;
    Ok(ListCustomersResponse(Customers { items: page.customers, page_token }))
}

/// What `listCustomers` is asked with.
pub(in crate::api) struct ListCustomersRequest {
    page_size: PageSize,
    direction: SortDirection,
    after: Option<Position>,
}

impl FromParts for ListCustomersRequest {
    const OPERATION: Operation = Operation::ListCustomers;

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
                    parts.refuse_query(
                        "SortDirection",
                        "must be the one that PageToken was given out for, or absent",
                    );
                }
                (direction, Some(after))
            }
        };
        Ok(Some(Self { page_size: page_size.unwrap_or_default(), direction, after }))
    }
}

/// What `listCustomers` answers with.
#[derive(Debug)]
pub(in crate::api) struct ListCustomersResponse(Customers);

impl Responder for ListCustomersResponse {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(self.0)
    }
}
