use actix_web::web::Data;

use crate::{
    api::{
        error::ApiError,
        request::{PageStart, Signed, input},
        response::Listed,
        state::Api,
    },
    model::{Customers, PageSize},
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
) -> Result<Listed<ListCustomers, Customers>, ApiError> {
    let Signed { account, proof: _, input: ListCustomers { page_size, start } } = request;
    let PageStart { direction, after } = start;
    let room = api.room_for_list(&account).await?;
    let page = api.store.list(&account, direction, after, page_size.unwrap_or_default().get()).await?;
    let page_token = page.next.map(|next| api.page_tokens.issue(&account, direction, next)).transpose()?;
    let json = api.records.page(&account, &page.customers, page_token.as_deref())?;
    drop(page.customers);
    Ok(room.keep(json.into())?.into())
}
