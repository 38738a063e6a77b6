use std::{
    borrow::Cow,
    fmt::Display,
    str::{Bytes, FromStr},
    time::SystemTime,
};

use actix_web::{
    HttpRequest,
    http::header::{HeaderName, HttpDate, IF_MODIFIED_SINCE},
};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::media_type;
use crate::{
    account::Account,
    api::{error::ApiError, operation::Operation, state::Api},
    contract,
    model::{Reason, RequestExtension, RequestExtensionItem, SortDirection},
    store::Position,
};

/// The parts of a request whose sender is proven. Reading goes on after a violation, so that all of them are listed.
pub(crate) struct Parts<'a> {
    api: &'a Api,
    account: &'a Account,
    request: &'a HttpRequest,
    body: &'a [u8],
    /// The violations found so far.
    pub(super) violations: RequestExtension,
    /// The schema that the body breaks, if it does. Its violations are found later, because that may take long.
    pub(super) refused_body: Option<Cow<'static, str>>,
}

impl<'a> Parts<'a> {
    pub(super) fn new(
        api: &'a Api,
        account: &'a Account,
        request: &'a HttpRequest,
        body: &'a [u8],
        violations: RequestExtension,
    ) -> Self {
        Self { api, account, request, body, violations, refused_body: None }
    }

    /// A parameter of the path as a value. It is decoded here, because the router decodes leniently.
    pub(crate) fn path_value<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let segment = self.path_segment(name);
        let decoded = percent_decode_str(segment).decode_utf8().ok().filter(|_| is_segment(segment));
        let Some(text) = decoded else {
            self.violations.path.push(violation(name, "must be percent-encoded UTF-8"));
            return None;
        };
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.violations.path.extend(self.explain("path", name, &text, &error));
                None
            }
        }
    }

    /// The segment of the path where the operation has a parameter, counted from the end: the base path comes first.
    fn path_segment(&self, name: &str) -> &'a str {
        let template = Operation::of(self.request).map_or("", Operation::path);
        let is_named =
            |segment: &str| segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) == Some(name);
        let place = template.rsplit('/').position(is_named);
        place.and_then(|place| self.request.uri().path().rsplit('/').nth(place)).unwrap_or_default()
    }

    /// The parameters of the query. Of one that is given twice, which is refused, the first counts.
    pub(crate) fn query(&self, names: &[&'static str]) -> Vec<(&'static str, Cow<'a, str>)> {
        let query = self.request.uri().query().unwrap_or_default();
        let mut pairs: Vec<(&'static str, Cow<'a, str>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let Some(&known) = names.iter().find(|known| **known == name) else { continue };
            if pairs.iter().all(|(name, _)| *name != known) {
                pairs.push((known, value));
            }
        }
        pairs
    }

    /// A parameter of the query as a value.
    pub(crate) fn query_value<T, E: Display>(
        &mut self,
        pairs: &[(&'static str, Cow<'a, str>)],
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let (_, text) = pairs.iter().find(|(known, _)| *known == name)?;
        match read(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.violations.query.extend(self.explain("query", name, text, &error));
                None
            }
        }
    }

    /// The parameter `PageToken` as a position in the list.
    pub(crate) fn page_token(
        &mut self,
        pairs: &[(&'static str, Cow<'a, str>)],
    ) -> Option<(SortDirection, Position)> {
        let (page_tokens, account) = (&self.api.page_tokens, self.account);
        self.query_value(pairs, "PageToken", |token| page_tokens.read(account, token))
    }

    /// A header as a value. Several lines of it form one list (RFC 9110, 5.3).
    pub(crate) fn header_value<T: FromStr<Err: Display>>(
        &mut self,
        header: &HeaderName,
        name: &str,
    ) -> Option<T> {
        let lines: Vec<_> =
            self.request.headers().get_all(header).map(|line| line.to_str().unwrap_or("\u{0}")).collect();
        if lines.is_empty() {
            return None;
        }
        let text = lines.join(", ");
        let text = text.trim_matches([' ', '\t']);
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.violations.header.extend(self.explain("header", name, text, &error));
                None
            }
        }
    }

    /// The date of `If-Modified-Since`. One that cannot be read is ignored (RFC 9110, 13.1.3).
    pub(crate) fn if_modified_since(&self) -> Option<SystemTime> {
        let mut lines = self.request.headers().get_all(IF_MODIFIED_SINCE);
        let (Some(only), None) = (lines.next(), lines.next()) else { return None };
        let date: HttpDate = only.to_str().ok()?.parse().ok()?;
        Some(date.into())
    }

    /// The body as a value of this schema.
    pub(crate) fn body<T: DeserializeOwned + ToSchema>(&mut self) -> Result<Option<T>, ApiError> {
        if self.body.is_empty() {
            self.violations.body.push(violation("", "is required"));
            return Ok(None);
        }
        media_type::check(self.request)?;
        // UTF-8 is checked once for the whole body: `from_slice` would check each text again.
        let text = str::from_utf8(self.body);
        if let Some(input) = text.ok().and_then(|text| serde_json::from_str(text).ok()) {
            return Ok(Some(input));
        }
        self.refused_body = Some(T::name());
        Ok(None)
    }

    /// Notes that a parameter of the query is valid by itself, but contradicts another one.
    pub(crate) fn refuse_query(&mut self, name: &str, description: &str) {
        self.violations.query.push(violation(name, description));
    }

    /// The violations of a parameter that cannot be read, as the contract explains them. The contract accepts some of
    /// these, such as a page token of another account; then the error itself explains.
    fn explain(
        &self,
        location: &'static str,
        name: &str,
        text: &str,
        error: &dyn Display,
    ) -> Vec<RequestExtensionItem> {
        let operation = Operation::of(self.request).map_or("", Operation::id);
        let items = contract::explain_parameter(location, operation, name, text);
        if items.is_empty() { vec![violation(name, &error.to_string())] } else { items }
    }
}

/// Whether a text is a path segment (RFC 3986, 3.3). The framework accepts more, and `Location` must be a URI.
fn is_segment(text: &str) -> bool {
    let mut bytes = text.bytes();
    let is_hex = |bytes: &mut Bytes<'_>| bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit());
    while let Some(byte) = bytes.next() {
        let is_allowed = match byte {
            b'%' => is_hex(&mut bytes) && is_hex(&mut bytes),
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte),
        };
        if !is_allowed {
            return false;
        }
    }
    true
}

/// A value that does not match its schema.
pub(super) fn violation(field: &str, description: &str) -> RequestExtensionItem {
    RequestExtensionItem {
        field: field.to_owned(),
        reason: Reason::SchemaValidation,
        description: description.to_owned(),
    }
}
