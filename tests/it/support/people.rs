//! Invented people.

use serde_json::{Value, json};

/// Nothing but what is required.
pub(crate) fn mia() -> Value {
    json!({
        "FullName": { "FirstName": "Mia", "LastName": "Muster" },
        "DateOfBirth": "1990-01-31",
        "Identities": [],
        "PrimaryResidence": {
            "Street": "Musterstrasse 1", "City": "Musterstadt", "PostCode": "12345", "State": "Berlin", "Country": "DE"
        }
    })
}

/// Every field.
pub(crate) fn full() -> Value {
    json!({
        "FullName": { "FirstName": "Sam", "LastName": "Sample", "MiddleName": "Quinn" },
        "DateOfBirth": "1985-11-05",
        "Identities": [
            {
                "IssuingCountry": "US", "IDNumber": "X00000001", "IssuedDate": "2024-04-16",
                "ExpiryDate": "2034-04-15", "IDType": "Passport"
            },
            { "IssuingCountry": "US", "IDNumber": "D00000002", "IDType": "DrivingLicense" }
        ],
        "PrimaryResidence": {
            "Street": "100 Example Avenue", "Street2": "Apartment 2", "City": "Sampleville", "PostCode": "90001",
            "State": "CA", "Country": "US"
        }
    })
}

/// The same without the member at a JSON pointer.
pub(crate) fn without(mut person: Value, pointer: &str) -> Value {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let removed = person.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(member);
    assert!(removed.is_some(), "{pointer} is there to be removed");
    person
}
