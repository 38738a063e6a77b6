//! The customers in the examples of the contract.

use serde_json::{Value, json};

pub(super) fn minimal_input() -> Value {
    json!({
        "FullName": { "FirstName": "Mia", "LastName": "Muster" },
        "DateOfBirth": "1990-01-31",
        "Identities": [],
        "PrimaryResidence": {
            "Street": "Musterstrasse 1", "City": "Musterstadt", "PostCode": "12345", "State": "Berlin",
            "Country": "DE"
        }
    })
}

pub(super) fn full_input() -> Value {
    json!({
        "FullName": { "FirstName": "Sam", "LastName": "Sample", "MiddleName": "Quinn" },
        "DateOfBirth": "1985-11-05",
        "Identities": [
            {
                "IssuingCountry": "US", "IDNumber": "X00000001", "IssuedDate": "2024-04-16", "ExpiryDate": "2034-04-15",
                "IDType": "Passport"
            },
            { "IssuingCountry": "US", "IDNumber": "D00000002", "IDType": "DrivingLicense" }
        ],
        "PrimaryResidence": {
            "Street": "100 Example Avenue", "Street2": "Apartment 2", "City": "Sampleville", "PostCode": "90001",
            "State": "CA", "Country": "US"
        }
    })
}

pub(super) fn minimal_customer() -> Value {
    customer("c-1002", "2025-03-08T09:31:07.000042Z", minimal_input())
}

pub(super) fn full_customer() -> Value {
    customer("c-1001", "2025-03-08T09:30:00.123456Z", full_input())
}

fn customer(customer_id: &str, created: &str, mut input: Value) -> Value {
    input["CustomerID"] = json!(customer_id);
    input["Created"] = json!(created);
    input
}
