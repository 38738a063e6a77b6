//! The operations on customers: one file each, and the list of them.

mod delete_customer;
mod get_customer;
mod list_customers;
mod operations;
mod put_customer;

pub(super) use operations::operations;
