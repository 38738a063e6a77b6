use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, web::Data};
use utoipa::IntoResponses;

use super::{
    feed_token::{self, List},
    page::{self, Page},
    start::CustomerStart,
};
use crate::{
    api::{
        document::{Gone, Responses},
        error::ApiError,
        request::{Signed, input},
        state::Api,
    },
    model::PageSize,
};

input! {
    /// What `listCustomerEvents` takes from a request.
    pub(super) struct ListCustomerEvents {
        customer: CustomerStart,
        page_size: Option<PageSize>,
    }
}

/// Returns one page of the events of one customer, the oldest first.
#[utoipa::path(
    get,
    impl_for = ListCustomerEvents,
    path = "/customers/{CustomerID}/events",
    operation_id = "listCustomerEvents",
    responses(Gone)
)]
pub(super) async fn list_customer_events(
    request: Signed<ListCustomerEvents>,
    api: Data<Api>,
) -> Result<ListCustomerEventsResponse, ApiError> {
    let Signed { account, proof: _, input: ListCustomerEvents { customer, page_size } } = request;
    let (CustomerStart { id, start }, limit) = (customer, page_size.unwrap_or_default().get());
    let page = page::read(&api, &account, Some(&id), start, limit).await?;
    let token = || feed_token::issue(&account, List::OfCustomer(&id), &page.next);
    let token = page.has_more.then(token);
    Page::new(page.events, token).map(ListCustomerEventsResponse)
}

/// The response of `listCustomerEvents`, unless it fails.
#[derive(Debug)]
pub(super) struct ListCustomerEventsResponse(Page);

impl Responder for ListCustomerEventsResponse {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        self.0.respond_to(request)
    }
}

impl IntoResponses for ListCustomerEventsResponse {
    fn responses() -> Responses {
        page::listed("listCustomerEvents")
    }
}
