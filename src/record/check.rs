//! Holds records against the contract.

use serde::de::DeserializeOwned;

use super::{error::DamagedRecord, records::Records};
use crate::{
    contract,
    model::{CustomerInput, RequestExtensionItem},
    store::{Collection, Kind, StoredCustomer},
};

impl Records {
    /// Holds a record against the contract; empty if it is what its kind demands.
    pub fn check(
        &self,
        account: &str,
        stored: &StoredCustomer,
    ) -> Result<Vec<RequestExtensionItem>, DamagedRecord> {
        let fields = self.fields(account, stored)?;
        // The model decides as the contract does, much faster.
        let (schema, is_valid) = model(Collection::kind_of(account));
        Ok(if is_valid(&fields) { Vec::new() } else { contract::explain(schema, &fields) })
    }
}

/// What the fields of a record must be: the schema, and whether the type of the same name reads them.
const fn model(kind: Kind) -> (&'static str, fn(&[u8]) -> bool) {
    match kind {
        Kind::Customer => ("CustomerInput", is::<CustomerInput>),
    }
}

fn is<T: DeserializeOwned>(fields: &[u8]) -> bool {
    serde_json::from_slice::<T>(fields).is_ok()
}
