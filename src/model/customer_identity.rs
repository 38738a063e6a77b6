use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{country_code::CountryCode, date::Date, id_type::IdType, strict, text::without_nul};

/// An identification document of the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CustomerIdentity {
    /// ISO 3166-1 alpha-2 country code.
    #[garde(skip)]
    pub issuing_country: CountryCode,
    /// The number of the document.
    #[serde(rename = "IDNumber")]
    #[garde(length(chars, min = 1, max = 36), custom(without_nul))]
    #[schema(min_length = 1, max_length = 36, pattern = r"^[^\u0000]*$")]
    pub id_number: String,
    /// When the document was issued.
    #[serde(default, deserialize_with = "strict::present", skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    #[schema(nullable = false)]
    pub issued_date: Option<Date>,
    /// When the document expires.
    #[serde(default, deserialize_with = "strict::present", skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    #[schema(nullable = false)]
    pub expiry_date: Option<Date>,
    /// Type of identification document:
    ///
    /// - DrivingLicense
    /// - NationalIDCard
    /// - Passport
    /// - AddressProof
    /// - ResidencePermit
    /// - TaxID
    #[serde(rename = "IDType", deserialize_with = "strict::name")]
    #[garde(skip)]
    pub id_type: IdType,
}
