use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Type of identification document:
///
/// - DrivingLicense
/// - NationalIDCard
/// - Passport
/// - AddressProof
/// - ResidencePermit
/// - TaxID
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = IDType)]
pub enum IdType {
    /// A licence to drive.
    DrivingLicense,
    /// A national identity card.
    #[serde(rename = "NationalIDCard")]
    NationalIdCard,
    /// A passport.
    Passport,
    /// A proof of address.
    AddressProof,
    /// A permit to reside.
    ResidencePermit,
    /// A tax identification number.
    #[serde(rename = "TaxID")]
    TaxId,
}
