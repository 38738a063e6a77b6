//! Addresses, and the codes of ISO 3166 in them.

use std::str::FromStr;

use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::json;
use utoipa::{
    Modify, PartialSchema, ToSchema,
    openapi::{ObjectBuilder, OpenApi, RefOr, Schema, Type, extensions::Extensions},
};

use super::{
    strict,
    text::{AnyText, Text},
};

type Street = Text<2, 200>;
type City = Text<1, 100>;
type PostCode = Text<1, 20>;
type State = Text<1, 100>;

/// The members of an address. The state is not checked yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Members {
    #[schema(schema_with = Street::schema)]
    street: Street,
    #[serde(default, deserialize_with = "strict::present", skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = AnyText::schema)]
    street2: Option<AnyText>,
    #[schema(schema_with = City::schema)]
    city: City,
    #[schema(schema_with = PostCode::schema)]
    post_code: PostCode,
    #[garde(custom(state_of(self.country)))]
    #[schema(schema_with = State::schema)]
    state: State,
    country: CountryCode,
}

/// A postal address. In the USA and Canada, the state is an ISO 3166-2 code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct StreetAddress(Members);

impl<'de> Deserialize<'de> for StreetAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members: Members = strict::object(deserializer)?;
        members.validate().map_err(|_| de::Error::custom("the state is not one of its country"))?;
        Ok(Self(members))
    }
}

/// In the USA and in Canada the state is an ISO 3166-2 code without its country prefix.
fn state_of<C>(country: CountryCode) -> impl Fn(&State, &C) -> garde::Result {
    move |state, _| match coded().find(|(coded, _)| *coded == country.as_str()) {
        Some((_, codes)) if codes.binary_search(&state.as_str()).is_err() => {
            Err(garde::Error::new("must be a code of the country's subdivisions"))
        }
        _ => Ok(()),
    }
}

impl PartialSchema for StreetAddress {
    fn schema() -> RefOr<Schema> {
        Members::schema()
    }
}

impl ToSchema for StreetAddress {}

/// Adds the rule for the state to the document: `if` and `then`, for which utoipa has no annotation.
pub struct StateRule;

impl Modify for StateRule {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        if let Some(RefOr::T(Schema::Object(address))) = components.schemas.get_mut("StreetAddress") {
            let rules: Vec<_> = coded()
                .map(|(country, states)| {
                    json!({
                        "if": { "properties": { "Country": { "const": country } }, "required": ["Country"] },
                        "then": { "properties": { "State": { "enum": states } } }
                    })
                })
                .collect();
            address.extensions = Some(Extensions::from_iter([("allOf", rules)]));
        }
    }
}

/// The officially assigned codes, sorted.
#[rustfmt::skip]
const CODES: [&str; 249] = [
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ", "BA",
    "BB", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS", "BT", "BV",
    "BW", "BY", "BZ", "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN", "CO", "CR", "CU",
    "CV", "CW", "CX", "CY", "CZ", "DE", "DJ", "DK", "DM", "DO", "DZ", "EC", "EE", "EG", "EH", "ER", "ES",
    "ET", "FI", "FJ", "FK", "FM", "FO", "FR", "GA", "GB", "GD", "GE", "GF", "GG", "GH", "GI", "GL", "GM",
    "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW", "GY", "HK", "HM", "HN", "HR", "HT", "HU", "ID", "IE",
    "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", "JE", "JM", "JO", "JP", "KE", "KG", "KH", "KI", "KM",
    "KN", "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC", "LI", "LK", "LR", "LS", "LT", "LU", "LV", "LY",
    "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK", "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS", "MT",
    "MU", "MV", "MW", "MX", "MY", "MZ", "NA", "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU",
    "NZ", "OM", "PA", "PE", "PF", "PG", "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA",
    "RE", "RO", "RS", "RU", "RW", "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM",
    "SN", "SO", "SR", "SS", "ST", "SV", "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL",
    "TM", "TN", "TO", "TR", "TT", "TV", "TW", "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE",
    "VG", "VI", "VN", "VU", "WF", "WS", "YE", "YT", "ZA", "ZM", "ZW",
];

/// ISO 3166-1 alpha-2 country code: one of the 249 that are officially assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct CountryCode(&'static str);

/// Why a text is not a [`CountryCode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an ISO 3166-1 alpha-2 country code")]
pub struct InvalidCountryCode;

impl CountryCode {
    /// The two letters.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Every code, sorted.
    pub fn all() -> impl Iterator<Item = Self> {
        CODES.into_iter().map(Self)
    }
}

impl FromStr for CountryCode {
    type Err = InvalidCountryCode;

    fn from_str(text: &str) -> Result<Self, InvalidCountryCode> {
        CODES.binary_search(&text).map(|index| Self(CODES[index])).map_err(|_| InvalidCountryCode)
    }
}

impl<'de> Deserialize<'de> for CountryCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        strict::parsed(deserializer)
    }
}

impl PartialSchema for CountryCode {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(CODES)).into()
    }
}

impl ToSchema for CountryCode {}

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
fn coded() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    [("US", UNITED_STATES.as_slice()), ("CA", CANADA.as_slice())].into_iter()
}
