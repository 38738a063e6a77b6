use actix_web::web::Data;

use super::{feed_token, page, start::CustomerStart};
use crate::{
    api::{
        document::Gone,
        error::ApiError,
        request::{Signed, input},
        response::Listed,
        state::Api,
    },
    model::{Events, PageSize},
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
) -> Result<Listed<ListCustomerEvents, Events>, ApiError> {
    let Signed { account, proof: _, input: ListCustomerEvents { customer, page_size } } = request;
    let (CustomerStart { id, start }, limit) = (customer, page_size.unwrap_or_default().get());
    let page = page::read(&api, &account, Some(&id), start, limit).await?;
    let token = page.has_more.then(|| feed_token::issue(&account, Some(&id), &page.next));
    page::json(page.events, token).map(Listed::from)
}
