//! The parameter that every operation has, for their annotations.
#![allow(dead_code, reason = "the type only describes the parameter: `Signed` reads it")]

use utoipa::IntoParams;

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct ApiSignatureParameter {
    /// Digitally signed JWT.
    ///
    /// A JWS in compact form, signed with ES384 or ES256, with at most 8192 characters. Its claims cover the
    /// method, the path, the query and the body of the request. Without it the response is 401, unless the server
    /// runs as a sandbox.
    ///
    /// A signature carries out a write at most once. A write whose signature was used before changes nothing, and
    /// its response is the first one again: the same status, `ETag` and `Location`. So a request can be sent again
    /// after its response was lost. 412 and an unknown customer (404) are repeated, too. After any other error the
    /// same request can be sent again; it is then carried out if it was not before. Two requests with equal claims are
    /// one: add a random `jti` to each.
    #[param(rename = "Api-Signature", nullable = false)]
    api_signature: Option<String>,
}
