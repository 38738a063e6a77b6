//! What the benchmarks put: names in many scripts, 1 to 3 identities, addresses of several lengths.

use serde_json::{Value, json};

use crate::dice::{dice, pick};

const FIRST_NAMES: [&str; 16] = [
    "Mia",
    "Łukasz",
    "Søren",
    "Αλέξανδρος",
    "Ольга",
    "მარიამ",
    "Անահիտ",
    "שרה",
    "محمد",
    "प्रिया",
    "தமிழ்செல்வி",
    "สมชาย",
    "秀英",
    "さくら",
    "민준",
    "Nguyễn Thị",
];

const LAST_NAMES: [&str; 16] = [
    "Muster",
    "Kowalczyk",
    "Jørgensen",
    "Παπαδόπουλος",
    "Иванова",
    "ბერიძე",
    "Պետրոսյան",
    "כהן",
    "عبد الرحمن",
    "शर्मा",
    "சுப்பிரமணியம்",
    "ใจดี",
    "王",
    "佐藤",
    "김",
    "O'Connor-Fitzgerald",
];

/// A street, a city, a post code, a state and a country.
const RESIDENCES: [[&str; 5]; 6] = [
    ["100 Example Avenue", "Sampleville", "90001", "CA", "US"],
    ["Musterstrasse 1", "Musterstadt", "12345", "Berlin", "DE"],
    ["12 rue de l’Église, bâtiment C", "Saint-Exemple-sur-Mer", "29200", "Bretagne", "FR"],
    ["ул. Примерная, д. 7, кв. 42", "Примерск", "190000", "Санкт-Петербург", "RU"],
    ["見本町1丁目2番3号", "見本市", "100-0001", "東京都", "JP"],
    ["Rua do Exemplo, 1234", "São Exemplo", "01000-000", "São Paulo", "BR"],
];

/// An invented customer, another one for each number.
pub(crate) fn customer(number: usize, identities: usize) -> Value {
    let [street, city, post_code, state, country] = pick(&RESIDENCES, 1, number);
    let id_numbers = dice(2, number);
    let identity = |index: usize| {
        json!({
            "IssuingCountry": country, "IDNumber": format!("{index}{id_numbers:020}"), "IssuedDate": "2024-04-16",
            "ExpiryDate": "2034-04-15", "IDType": "Passport"
        })
    };
    json!({
        "FullName": { "FirstName": pick(&FIRST_NAMES, 3, number), "LastName": pick(&LAST_NAMES, 4, number) },
        "DateOfBirth": format!("{}-{:02}-{:02}", 1930 + number % 70, number % 12 + 1, number % 28 + 1),
        "Identities": (0..identities).map(identity).collect::<Vec<_>>(),
        "PrimaryResidence": {
            "Street": street, "City": city, "PostCode": post_code, "State": state, "Country": country
        }
    })
}
