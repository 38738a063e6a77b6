use super::{list_customer_events::list_customer_events, list_events::list_events};
use crate::api::{operation::Operation, request::operation};

/// The tag of these operations in the document.
const TAG: &str = "Events";

/// The operations on events.
pub(in crate::api) fn operations() -> Vec<Operation> {
    vec![operation(TAG, list_events), operation(TAG, list_customer_events)]
}
