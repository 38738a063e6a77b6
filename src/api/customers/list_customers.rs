use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, http::header::ContentType, web::Data};
use utoipa::IntoResponses;

use crate::{
    api::{
        document::{JSON, Responses, content, link, response, responses},
        error::ApiError,
        request::{PageStart, Signed, input},
        state::Api,
    },
    model::PageSize,
};

input! {
    /// What `listCustomers` takes from a request.
    pub(super) struct ListCustomers {
        page_size: Option<PageSize>,
        start: PageStart,
    }
}

/// Returns one page of the account's customers, in the order of their creation.
#[utoipa::path(get, impl_for = ListCustomers, path = "/customers", operation_id = "listCustomers")]
pub(super) async fn list_customers(
    request: Signed<ListCustomers>,
    api: Data<Api>,
) -> Result<ListCustomersResponse, ApiError> {
    let Signed { account, proof: _, input: ListCustomers { page_size, start } } = request;
    let PageStart { direction, after } = start;
    let turn = api.turn_to_list(&account).await?;
    let page = api.store.list(&account, direction, after, page_size.unwrap_or_default().get()).await?;
    let page_token = page.next.map(|next| api.page_tokens.issue(&account, direction, next)).transpose()?;
    let json = api.records.page(&account, &page.customers, page_token.as_deref())?;
    drop((page.customers, turn));
    Ok(ListCustomersResponse(json))
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
    fn responses() -> Responses {
        let listed = response([])
            .content(JSON, content("Customers"))
            .link("nextPage", link("listCustomers", "PageToken", "$response.body#/PageToken"));
        responses([(200, listed)])
    }
}
