//! Parameters of the operations, each stated once, for the annotations of the handlers.
#![allow(
    dead_code,
    clippy::struct_field_names,
    reason = "`Parts` reads the parameters; these types say what the document says of them"
)]

use utoipa::{IntoParams, ToSchema};

use crate::model::{CustomerId, SortDirection};

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct CustomerIdParameter {
    /// Identifies the customer within the account.
    #[param(rename = "CustomerID", example = "c-1001")]
    customer_id: CustomerId,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct ApiSignatureParameter {
    /// Digitally signed JWT.
    ///
    /// A JWS in compact form, signed with ES384 or ES256, whose claims cover the method, the path, the query and
    /// the body of this very request. It has at most 8192 characters. Without it the answer is 401, unless the server
    /// runs as a sandbox.
    #[param(rename = "Api-Signature", nullable = false)]
    api_signature: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct IfMatchParameter {
    /// Entity tags, or `*`. The request is carried out only if the customer's current `ETag` is among them, with
    /// `*` only if there is such a customer. Weak entity tags never match.
    #[param(
        rename = "If-Match",
        max_length = 4096,
        nullable = false,
        pattern = r#"^(\*|(W/)?"[!#-~]*"([ \t]*,[ \t]*(W/)?"[!#-~]*")*)$"#
    )]
    if_match: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct IfNoneMatchParameter {
    /// Entity tags, or `*`. If the customer's current `ETag` is among them, with `*` if there is such a customer,
    /// the answer is 304. A weak entity tag matches the strong one of the same text.
    #[param(
        rename = "If-None-Match",
        max_length = 4096,
        nullable = false,
        pattern = r#"^(\*|(W/)?"[!#-~]*"([ \t]*,[ \t]*(W/)?"[!#-~]*")*)$"#
    )]
    if_none_match: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct IfNoneMatchAsteriskParameter {
    /// The request is carried out only if there is no such customer yet.
    #[param(rename = "If-None-Match", nullable = false, inline)]
    if_none_match: Option<AsteriskSchema>,
}

#[derive(ToSchema)]
pub(super) enum AsteriskSchema {
    #[schema(rename = "*")]
    Asterisk,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "PascalCase")]
pub(super) struct ListParameters {
    /// The most customers to list on the page.
    #[param(default = 20, minimum = 1, maximum = 100)]
    page_size: Option<i32>,
    /// Continues where another page ended: the `PageToken` of that answer, unchanged. It is opaque, and one that
    /// was tampered with is refused with 400.
    #[param(min_length = 1, max_length = 512, pattern = r"^[^\u0000]*$")]
    page_token: Option<String>,
    /// The order, by `Created`. With a `PageToken` it may be left out, and the direction of the token goes on; the
    /// direction that the token was not issued for is refused with 400.
    #[param(default = "DESC")]
    sort_direction: Option<SortDirection>,
}
