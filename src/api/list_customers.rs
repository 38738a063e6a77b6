use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, http::header::ContentType, web::Data};

use super::{
    Api,
    error::ApiError,
    operation::Operation,
    parameters::{Page, Signature},
    parts::Parts,
    responses::{BadRequest, ContentTooLarge, InternalServerError, Listed, ServiceUnavailable, Unauthorized},
    signed::{Input, Signed},
};
use crate::{
    model::{PageSize, SortDirection},
    record,
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
    params(Signature, Page),
    responses(
        (status = 200, response = inline(Listed)),
        (status = 400, response = BadRequest),
        (status = 401, response = Unauthorized),
        (status = 413, response = ContentTooLarge),
        (status = 500, response = InternalServerError),
        (status = 503, response = ServiceUnavailable)
    )
)]
pub(super) async fn list_customers(request: Signed<ListCustomers>, api: Data<Api>) -> Result<List, ApiError> {
    let Signed { account, input: ListCustomers { page_size, direction, after } } = request;
    let page = api.store.list(&account, direction, after, page_size.get()).await?;
    let page_token = page.next.map(|next| api.page_tokens.seal(&account, direction, next)).transpose()?;
    Ok(List(record::write_page(&page.customers, page_token.as_deref())?))
}

/// What `listCustomers` is asked with.
pub(super) struct ListCustomers {
    page_size: PageSize,
    direction: SortDirection,
    after: Option<Position>,
}

impl Input for ListCustomers {
    const OPERATION: Operation = Operation::ListCustomers;

    fn read(parts: &mut Parts<'_>) -> Result<Option<Self>, ApiError> {
        let query = parts.query(&["PageSize", "PageToken", "SortDirection"]);
        let page_size = parts.query_value(&query, "PageSize", str::parse);
        let token = parts.query_value(&query, "PageToken", parts.page_token_opener());
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

/// What `listCustomers` answers with: `Customers`, as JSON.
#[derive(Debug)]
pub(super) struct List(Vec<u8>);

impl Responder for List {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().content_type(ContentType::json()).body(self.0)
    }
}
