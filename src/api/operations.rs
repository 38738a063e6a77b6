use std::sync::LazyLock;

use super::{customers, events, operation::Operation};

static OPERATIONS: LazyLock<Vec<Operation>> =
    LazyLock::new(|| [customers::operations(), events::operations()].into_iter().flatten().collect());

/// Every operation of the contract. The routes, `Allow`, the names of actions and the document all come from this list.
pub fn operations() -> &'static [Operation] {
    &OPERATIONS
}
