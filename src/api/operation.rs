/// The operations of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `PUT /customers/{CustomerID}`
    PutCustomer,
    /// `GET /customers/{CustomerID}`
    GetCustomer,
    /// `DELETE /customers/{CustomerID}`
    DeleteCustomer,
    /// `GET /customers`
    ListCustomers,
}

impl Operation {
    /// The `operationId`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::PutCustomer => "putCustomer",
            Self::GetCustomer => "getCustomer",
            Self::DeleteCustomer => "deleteCustomer",
            Self::ListCustomers => "listCustomers",
        }
    }

    /// The path, its parameters by name.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::PutCustomer | Self::GetCustomer | Self::DeleteCustomer => "/customers/{CustomerID}",
            Self::ListCustomers => "/customers",
        }
    }
}
