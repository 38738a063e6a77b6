use std::{
    borrow::Cow,
    fmt::Display,
    str::{Bytes, FromStr},
};

use actix_web::{HttpRequest, http::Method};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::{undocumented, violation::violation};
use crate::{
    account::Account,
    api::{operation::Operation, state::Api},
    contract,
    model::{RequestExtension, RequestExtensionItem},
};

/// Where an optional parameter stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Location {
    Query,
    Header,
}

/// A request whose sender is proven, while it is read. Reading goes on after a violation, so that all of them are listed.
pub(crate) struct Reading<'a> {
    pub(super) api: &'a Api,
    pub(crate) account: &'a Account,
    operation: &'static Operation,
    request: &'a HttpRequest,
    body: &'a [u8],
    pub(super) violations: RequestExtension,
    /// The schema that the body breaks, if it does. Its violations are found later, because that may take long.
    pub(super) refused_body: Option<Cow<'static, str>>,
}

impl<'a> Reading<'a> {
    /// Begins with the violations by what the operation does not document.
    pub(super) fn new(
        api: &'a Api,
        account: &'a Account,
        operation: &'static Operation,
        request: &'a HttpRequest,
        body: &'a [u8],
    ) -> Self {
        let violations = undocumented::violations(operation, request, body);
        Self { api, account, operation, request, body, violations, refused_body: None }
    }

    /// A parameter of the path as a value. It is decoded here, because the router decodes leniently.
    pub(super) fn path_value<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let segment = self.path_segment(name);
        let decoded = percent_decode_str(segment).decode_utf8().ok().filter(|_| is_segment(segment));
        let Some(text) = decoded else {
            self.violations.path.push(violation(name, "must be percent-encoded UTF-8"));
            return None;
        };
        let value: Result<T, _> = text.parse();
        value.map_err(|error| self.violations.path.extend(self.explain("path", name, &text, &error))).ok()
    }

    /// The segment of the path where the operation has a parameter, counted from the end: the base path comes first.
    fn path_segment(&self, name: &str) -> &'a str {
        let is_named =
            |segment: &str| segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) == Some(name);
        let place = self.operation.path().rsplit('/').position(is_named);
        place.and_then(|place| self.request.uri().path().rsplit('/').nth(place)).unwrap_or_default()
    }

    /// A parameter of the query or a header as a value, if it is there.
    pub(crate) fn value<T, E: Display>(
        &mut self,
        location: Location,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let (kind, text) = match location {
            Location::Query => ("query", self.query_text(name)?),
            Location::Header => ("header", self.header_text(name)?),
        };
        let error = match read(&text) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let items = self.explain(kind, name, &text, &error);
        match location {
            Location::Query => self.violations.query.extend(items),
            Location::Header => self.violations.header.extend(items),
        }
        None
    }

    /// A parameter of the query. Of one that is given twice, which is refused, the first counts.
    fn query_text(&self, name: &str) -> Option<Cow<'a, str>> {
        let query = self.request.uri().query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name).map(|(_, text)| text)
    }

    /// A header. Several lines of it form one list (RFC 9110, 5.3).
    fn header_text(&self, name: &str) -> Option<Cow<'a, str>> {
        let lines = self.request.headers().get_all(name);
        let lines: Vec<_> = lines.map(|line| line.to_str().unwrap_or("\u{0}")).collect();
        let text = lines.join(", ");
        (!lines.is_empty()).then(|| text.trim_matches([' ', '\t']).to_owned().into())
    }

    pub(super) fn body<T: DeserializeOwned + ToSchema>(&mut self) -> Option<T> {
        if self.body.is_empty() {
            self.violations.body.push(violation("", "is required"));
            return None;
        }
        // UTF-8 is checked once for the whole body: `from_slice` would check each text again.
        let text = str::from_utf8(self.body);
        let input = text.ok().and_then(|text| serde_json::from_str(text).ok());
        if input.is_none() {
            self.refused_body = Some(T::name());
        }
        input
    }

    /// Whether the response has no content.
    pub(crate) fn is_head(&self) -> bool {
        self.request.method() == Method::HEAD
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
        let items = contract::explain_parameter(location, self.operation.id(), name, text);
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
