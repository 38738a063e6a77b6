use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{
    Modify, ToSchema,
    openapi::{OpenApi, RefOr, Schema, extensions::Extensions},
};

use super::{country_code::CountryCode, strict, subdivision, text::without_nul};

/// A postal address. In the USA and Canada, the state is an ISO 3166-2 code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct StreetAddress {
    /// Street: the primary name of an address's street.
    #[garde(length(chars, min = 2, max = 200), custom(without_nul))]
    #[schema(min_length = 2, max_length = 200, pattern = r"^[^\u0000]*$")]
    pub street: String,
    /// Street2: the secondary name of an address's street.
    #[serde(default, deserialize_with = "strict::present", skip_serializing_if = "Option::is_none")]
    #[garde(inner(custom(without_nul)))]
    #[schema(nullable = false, pattern = r"^[^\u0000]*$")]
    pub street2: Option<String>,
    /// City: name of an address's city or town.
    #[garde(length(chars, min = 1, max = 100), custom(without_nul))]
    #[schema(min_length = 1, max_length = 100, pattern = r"^[^\u0000]*$")]
    pub city: String,
    /// PostCode: the address's postcode
    #[garde(length(chars, min = 1, max = 20), custom(without_nul))]
    #[schema(min_length = 1, max_length = 20, pattern = r"^[^\u0000]*$")]
    pub post_code: String,
    /// State: the address's state / province / county. For USA and Canada, state code in ISO 3166-2 code (e.g. CA)
    /// is required.
    #[garde(length(chars, min = 1, max = 100), custom(without_nul), custom(state_of(self.country)))]
    #[schema(min_length = 1, max_length = 100, pattern = r"^[^\u0000]*$")]
    pub state: String,
    /// ISO 3166-1 alpha-2 country code.
    #[garde(skip)]
    pub country: CountryCode,
}

/// In the USA and in Canada the state is an ISO 3166-2 code without its country prefix.
fn state_of<C>(country: CountryCode) -> impl Fn(&String, &C) -> garde::Result {
    move |state, _| match subdivision::codes_of(country) {
        Some(codes) if codes.binary_search(&state.as_str()).is_err() => Err(garde::Error::new(SUBDIVISION)),
        _ => Ok(()),
    }
}

const SUBDIVISION: &str = "ISO 3166-2 subdivision code without its country prefix";

/// Adds the rule for the state to the document: `if` and `then`, for which utoipa has no annotation.
pub struct StateRule;

impl Modify for StateRule {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        if let Some(RefOr::T(Schema::Object(address))) = components.schemas.get_mut("StreetAddress") {
            let rules: Vec<_> = subdivision::coded()
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
