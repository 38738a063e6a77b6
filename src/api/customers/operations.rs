use std::sync::LazyLock;

use actix_web::{Handler, Responder, web::Data};
use utoipa::Path;

use super::{
    delete_customer::delete_customer, get_customer::get_customer, list_customers::list_customers,
    put_customer::put_customer,
};
use crate::api::{
    operation::Operation,
    request::{FromParts, Signed},
    state::Api,
};

/// The tag of these operations in the document.
const TAG: &str = "Customers";

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    vec![
        operation(get_customer),
        operation(put_customer),
        operation(delete_customer),
        operation(list_customers),
    ]
});

/// Every operation of the contract. The routes, `Allow`, the names of actions and the document all come from this list.
#[must_use]
pub fn operations() -> &'static [Operation] {
    &OPERATIONS
}

/// The annotation stands on the type that the handler takes, so that the two belong together.
fn operation<T, H>(handler: H) -> Operation
where
    T: FromParts + Path,
    H: Handler<(Signed<T>, Data<Api>), Output: Responder + 'static> + Send + Sync,
{
    Operation::new::<T, _, _>(TAG, handler)
}
