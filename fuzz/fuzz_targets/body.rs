//! Any bytes as the body of `putCustomer`: the models and the contract give the same verdict, and nobody panics.

#![no_main]

use customers_api::{contract, model::CustomerInput};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let by_models = serde_json::from_slice::<CustomerInput>(body);
    let by_contract = contract::explain("CustomerInput", body);
    assert_eq!(by_models.is_ok(), by_contract.is_empty(), "{by_models:?} {by_contract:?}");
    if let Ok(customer) = by_models {
        let again = serde_json::to_vec(&customer).expect("a customer is JSON");
        let read = serde_json::from_slice::<CustomerInput>(&again).expect("what comes out may come in");
        assert_eq!(customer, read, "a customer comes out as it went in");
    }
});
