//! The operations on customers: one file each, and the list of them.

mod delete_customer;
mod examples;
mod get_customer;
mod list_customers;
mod operations;
mod parameters;
mod put_customer;

pub(super) use operations::operations;
