//! ISO 3166-2 subdivisions of the countries whose `State` is a code.

use super::country_code::CountryCode;

/// The subdivisions of the United States without `US-`, sorted: states, the district, and outlying areas.
#[rustfmt::skip]
const UNITED_STATES: [&str; 57] = [
    "AK", "AL", "AR", "AS", "AZ", "CA", "CO", "CT", "DC", "DE", "FL", "GA", "GU", "HI", "IA", "ID", "IL",
    "IN", "KS", "KY", "LA", "MA", "MD", "ME", "MI", "MN", "MO", "MP", "MS", "MT", "NC", "ND", "NE", "NH",
    "NJ", "NM", "NV", "NY", "OH", "OK", "OR", "PA", "PR", "RI", "SC", "SD", "TN", "TX", "UM", "UT", "VA",
    "VI", "VT", "WA", "WI", "WV", "WY",
];

/// The subdivisions of Canada without `CA-`, sorted: provinces and territories.
#[rustfmt::skip]
const CANADA: [&str; 13] = [
    "AB", "BC", "MB", "NB", "NL", "NS", "NT", "NU", "ON", "PE", "QC", "SK", "YT",
];

/// The countries whose `State` is a code, and their codes.
pub(super) fn coded() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    [("US", UNITED_STATES.as_slice()), ("CA", CANADA.as_slice())].into_iter()
}

/// The codes that `State` must be one of; `None` where it is free text.
pub(super) fn codes_of(country: CountryCode) -> Option<&'static [&'static str]> {
    coded().find(|(code, _)| *code == country.as_str()).map(|(_, codes)| codes)
}
