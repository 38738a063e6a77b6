use super::{
    delete_customer::delete_customer, get_customer::get_customer, list_customers::list_customers,
    put_customer::put_customer,
};
use crate::{
    api::{
        operation::Operation,
        request::{PathParameter, operation},
    },
    model::CustomerId,
};

const TAG: &str = "Customers";

pub(in crate::api) fn operations() -> Vec<Operation> {
    vec![
        operation(TAG, get_customer),
        operation(TAG, put_customer),
        operation(TAG, delete_customer),
        operation(TAG, list_customers),
    ]
}

impl PathParameter for CustomerId {}
