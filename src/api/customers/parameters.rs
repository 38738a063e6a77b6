//! The parameters of the operations, for their annotations.
#![allow(
    dead_code,
    clippy::struct_field_names,
    reason = "these types only describe the parameters: `Parts` reads them"
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
pub(super) struct IfMatchParameter {
    /// Entity tags, or `*`. The request is carried out only if the current `ETag` of the customer is one of them.
    /// `*` stands for any customer that exists. Weak entity tags never match.
    #[param(
        rename = "If-Match",
        max_length = 4096,
        nullable = false,
        pattern = r#"^(\*|(,[ \t]*)*(W/)?"[!#-~]*"([ \t]*,([ \t]*(W/)?"[!#-~]*")?)*)$"#
    )]
    if_match: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct IfNoneMatchParameter {
    /// Entity tags, or `*`. If the current `ETag` of the customer is one of them, the response is 304. `*` stands
    /// for any customer that exists. A weak entity tag matches the strong one with the same text.
    #[param(
        rename = "If-None-Match",
        max_length = 4096,
        nullable = false,
        pattern = r#"^(\*|(,[ \t]*)*(W/)?"[!#-~]*"([ \t]*,([ \t]*(W/)?"[!#-~]*")?)*)$"#
    )]
    if_none_match: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct IfModifiedSinceParameter {
    /// An HTTP date, such as the `Last-Modified` of a response. If the customer was not changed after it, the
    /// response is 304. It is ignored if it is not a valid date, or if the request has an `If-None-Match`.
    #[param(rename = "If-Modified-Since", nullable = false)]
    if_modified_since: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct IfNoneMatchAsteriskParameter {
    /// The request is carried out only if the customer does not exist.
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
    /// The largest number of customers on the page. A page of large customers has fewer.
    #[param(default = 20, minimum = 1, maximum = 100)]
    page_size: Option<i32>,
    /// Continues where another page ended: the `PageToken` of that response. A token is opaque, and one that was
    /// changed is refused with 400.
    #[param(min_length = 1, max_length = 2048, pattern = r"^[^\u0000]*$")]
    page_token: Option<String>,
    /// The order, by `Created`. With a `PageToken` it can be left out: the list continues in the direction of the
    /// token. The other direction is refused with 400.
    #[param(default = "DESC")]
    sort_direction: Option<SortDirection>,
}
