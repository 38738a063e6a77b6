//! What the body is written in: `application/json` in UTF-8, without a content coding.

use actix_web::{
    HttpRequest,
    http::header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use mediatype::{
    MediaType,
    names::{APPLICATION, CHARSET, JSON},
};

use crate::api::error::ApiError;

/// Refuses a body that is something else (RFC 9110, 15.5.16).
pub(super) fn check(request: &HttpRequest) -> Result<(), ApiError> {
    let mut types = request.headers().get_all(CONTENT_TYPE);
    let is_json = match (types.next(), types.next()) {
        (Some(only), None) => only.to_str().is_ok_and(is_json),
        _ => false,
    };
    let is_plain = |coding: &[u8]| {
        let coding = coding.trim_ascii();
        coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
    };
    let mut codings = request.headers().get_all(CONTENT_ENCODING);
    let is_plain = codings.all(|line| line.as_bytes().split(|byte| *byte == b',').all(is_plain));
    if is_json && is_plain { Ok(()) } else { Err(ApiError::UnsupportedMediaType) }
}

/// Whether a media type is `application/json` in UTF-8. Other parameters have no meaning, and are ignored (RFC 2045, 5).
fn is_json(text: &str) -> bool {
    MediaType::parse(&without_empty_parameters(text)).is_ok_and(|media_type| {
        let mut charsets = media_type.params.iter().filter(|(name, _)| *name == CHARSET);
        media_type.essence() == MediaType::new(APPLICATION, JSON)
            && charsets.all(|(_, charset)| charset.unquoted_str().eq_ignore_ascii_case("utf-8"))
    })
}

/// RFC 9110, 5.6.6, lets parameters be empty, as in `application/json;;`. The library does not. A quoted value becomes another
/// one only if it has semicolons, and then means nothing here, before and after.
fn without_empty_parameters(text: &str) -> String {
    let parts = text.split(';').enumerate();
    let kept = parts.filter(|(index, part)| *index == 0 || !part.trim_ascii().is_empty());
    kept.map(|(_, part)| part).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_read_as_its_grammar_says() {
        for text in [
            "application/json",
            "Application/JSON",
            "application/json ;charset=utf-8",
            "application/json;\tCharset=UTF-8",
            "application/json\t ; \t charset=utf-8 \t",
            "application/json;",
            "application/json;;",
            "application/json; ; charset=utf-8;\t",
            "application/json;x=\"; ;\\\";\";;charset=utf-8",
            "application/json;charset=\"utf-8\"",
            "application/json;charset=\"u\\tf-8\";x=1",
            "application/json;x=\"a;charset=latin1\\\"\"",
            "application/json;x=\"\"",
            "application/json;x=\";; \\;;\";;",
        ] {
            assert!(is_json(text), "{text}");
        }
        for text in [
            "application/json;;charset=utf-8;charset=latin1",
            "application/json;x=\"\\\\\";charset=latin1",
            ";application/json",
            "application/json;charset=\";utf-8\"",
            "application/json;charset=\"utf-8;;\"",
            "application/json;charset=\"utf-8\\;;\"",
            "application/json;charset=\"utf-8; ",
            " ;application/json",
            "application/json;charset=utf-8;charset=latin1",
            "application/json;charset=\"\"",
            "application/json;charset=latin1",
            "",
            "json",
            "application",
            "application/",
            "application/json5",
            "application/problem+json",
            "application/json+xml",
            " application/json",
            "application /json",
            "application/json charset=utf-8",
            "application/json, application/json",
            "application/json;charset",
            "application/json;charset=",
            "application/json;charset =utf-8",
            "application/json;charset= utf-8",
            "application/json;=utf-8",
            "application/json;charset=\"utf-8",
            "application/json;charset=\"utf-8\\",
            "application/json;charset=\"utf-8\"x",
            "application/json;charset=utf-8 x=1",
            "application/json;a b=c",
        ] {
            assert!(!is_json(text), "{text}");
        }
    }
}
