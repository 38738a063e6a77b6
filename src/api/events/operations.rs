use super::{list_customer_events::list_customer_events, list_events::list_events};
use crate::api::{operation::Operation, request::operation};

const TAG: &str = "Events";

pub(in crate::api) fn operations() -> Vec<Operation> {
    vec![operation(TAG, list_events), operation(TAG, list_customer_events)]
}
