//! What the body is written in: `application/json` in UTF-8, without a content coding.

use actix_web::{
    HttpRequest,
    http::header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use crate::api::error::ApiError;

/// Refuses a body that is something else (RFC 9110, 15.5.16).
pub(super) fn check(request: &HttpRequest) -> Result<(), ApiError> {
    let mut types = request.headers().get_all(CONTENT_TYPE);
    let charsets = match (types.next(), types.next()) {
        (Some(only), None) => only.to_str().ok().and_then(json_charsets),
        _ => None,
    };
    let is_utf8 = |charset: &String| charset.eq_ignore_ascii_case("utf-8");
    let is_json = charsets.is_some_and(|charsets| charsets.iter().all(is_utf8));
    let is_plain = |coding: &[u8]| {
        let coding = coding.trim_ascii();
        coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
    };
    let mut codings = request.headers().get_all(CONTENT_ENCODING);
    let is_plain = codings.all(|line| line.as_bytes().split(|byte| *byte == b',').all(is_plain));
    if is_json && is_plain { Ok(()) } else { Err(ApiError::UnsupportedMediaType) }
}

/// The values of `charset`; `None` if the media type is not `application/json`. Other parameters have no meaning, and
/// are ignored (RFC 2045, 5).
fn json_charsets(text: &str) -> Option<Vec<String>> {
    let (essence, mut rest) = text.split_at(text.find([';', ' ', '\t']).unwrap_or(text.len()));
    if !essence.eq_ignore_ascii_case("application/json") {
        return None;
    }
    let mut charsets = Vec::new();
    loop {
        rest = skip_space(rest);
        if rest.is_empty() {
            return Some(charsets);
        }
        rest = skip_space(rest.strip_prefix(';')?);
        if rest.is_empty() || rest.starts_with(';') {
            continue;
        }
        let (name, value) = rest.split_once('=')?;
        let (value, after) = if value.starts_with('"') { quoted(value)? } else { token(value)? };
        if !is_token(name) {
            return None;
        }
        if name.eq_ignore_ascii_case("charset") {
            charsets.push(value);
        }
        rest = after;
    }
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// The token at the start of a text, and the rest.
fn token(text: &str) -> Option<(String, &str)> {
    let (token, rest) =
        text.split_at(text.find(|character| !is_token_character(character)).unwrap_or(text.len()));
    is_token(token).then(|| (token.to_owned(), rest))
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_token_character)
}

/// RFC 9110, 5.6.2.
fn is_token_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
}

/// The quoted text at the start of a text without its quotes and escapes, and the rest (RFC 9110, 5.6.4).
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut characters) = (String::new(), text.strip_prefix('"')?.chars());
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            character => value.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_read_as_its_grammar_says() {
        for (text, charsets) in [
            ("application/json", [].as_slice()),
            ("Application/JSON", &[]),
            ("application/json ;charset=utf-8", &["utf-8"]),
            ("application/json;\tCharset=UTF-8", &["UTF-8"]),
            ("application/json\t ; \t charset=utf-8 \t", &["utf-8"]),
            ("application/json;", &[]),
            ("application/json;;", &[]),
            ("application/json; ; charset=utf-8;", &["utf-8"]),
            ("application/json;charset=\"utf-8\"", &["utf-8"]),
            ("application/json;charset=\"u\\tf-8\";x=1", &["utf-8"]),
            ("application/json;x=\"a;charset=latin1\\\"\"", &[]),
            ("application/json;x=\"\"", &[]),
            ("application/json;charset=utf-8;charset=latin1", &["utf-8", "latin1"]),
            ("application/json;charset=\"\"", &[""]),
        ] {
            let charsets: Vec<_> = charsets.iter().map(|charset| (*charset).to_owned()).collect();
            assert_eq!(json_charsets(text), Some(charsets), "{text}");
        }
        for text in [
            "",
            "json",
            "application",
            "application/",
            "application/json5",
            "application/problem+json",
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
            assert_eq!(json_charsets(text), None, "{text}");
        }
    }
}
