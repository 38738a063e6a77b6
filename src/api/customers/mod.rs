//! The operations on customers: one file each.

pub(super) mod delete_customer;
pub(super) mod get_customer;
pub(super) mod list_customers;
mod parameters;
pub(super) mod put_customer;
