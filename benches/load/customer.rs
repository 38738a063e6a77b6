//! What the benchmarks put.

use serde_json::{Value, json};

/// An invented customer, with every field.
pub(crate) fn customer(number: usize, identities: usize) -> Value {
    let identity = |index: usize| {
        json!({
            "IssuingCountry": "US", "IDNumber": format!("X{number:08}-{index}"), "IssuedDate": "2024-04-16",
            "ExpiryDate": "2034-04-15", "IDType": "Passport"
        })
    };
    json!({
        "FullName": { "FirstName": format!("Sam {number}"), "LastName": "Sample", "MiddleName": "Quinn" },
        "DateOfBirth": "1985-11-05",
        "Identities": (0..identities).map(identity).collect::<Vec<_>>(),
        "PrimaryResidence": {
            "Street": "100 Example Avenue", "Street2": "Apartment 2", "City": "Sampleville", "PostCode": "90001",
            "State": "CA", "Country": "US"
        }
    })
}
