//! The parts of a request, read into types; what is wrong with them is noted, and reading goes on.

use std::{
    borrow::Cow,
    str::{Bytes, FromStr},
};

use actix_web::{HttpRequest, http::header::HeaderName};
use percent_encoding::percent_decode_str;

use super::{Api, error::ApiError, operation::Operation, signed::check_media_type};
use crate::{
    account::Account,
    contract,
    model::{CustomerId, CustomerInput, Reason, RequestExtension, RequestExtensionItem, SortDirection},
    store::Position,
};

/// A request whose sender is proven, while it is read.
pub(super) struct Parts<'a> {
    api: &'a Api,
    account: &'a Account,
    operation: Operation,
    request: &'a HttpRequest,
    body: &'a [u8],
    /// What is wrong so far.
    pub(super) violations: RequestExtension,
}

impl<'a> Parts<'a> {
    pub(super) fn new(
        api: &'a Api,
        account: &'a Account,
        operation: Operation,
        request: &'a HttpRequest,
        body: &'a [u8],
    ) -> Self {
        Self { api, account, operation, request, body, violations: RequestExtension::default() }
    }

    /// The path's last segment as a customer's id. It is decoded here, because the router's decoding is lenient.
    pub(super) fn customer_id(&mut self) -> Option<CustomerId> {
        let segment = self.request.uri().path().rsplit('/').next().unwrap_or_default();
        let decoded = percent_decode_str(segment).decode_utf8().ok().filter(|_| is_segment(segment));
        let Some(text) = decoded else {
            let item = violation("CustomerID", "must be UTF-8, percent-encoded");
            self.violations.path.push(item);
            return None;
        };
        let id = text.parse();
        if id.is_err() {
            self.violations.path.extend(self.explain("path", "CustomerID", &text));
        }
        id.ok()
    }

    /// The query's parameters, each of which may be given once; one that the operation does not have is a violation.
    pub(super) fn query(&mut self, names: &[&'static str]) -> Vec<(&'static str, Cow<'a, str>)> {
        let query = self.request.uri().query().unwrap_or_default();
        let mut pairs: Vec<(&'static str, Cow<'a, str>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let items = &mut self.violations.query;
            let Some(&known) = names.iter().find(|known| **known == name) else {
                let field = contract::field_of([contract::Segment::Member(&name)]);
                items.push(violation(&field, "is not a known parameter"));
                continue;
            };
            if pairs.iter().any(|(name, _)| *name == known) {
                let item = violation(known, "is given more than once");
                items.push(RequestExtensionItem { reason: Reason::DuplicateMember, ..item });
                continue;
            }
            pairs.push((known, value));
        }
        pairs
    }

    /// A parameter of the query as a value.
    pub(super) fn query_value<T, E>(
        &mut self,
        pairs: &[(&'static str, Cow<'a, str>)],
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let (_, text) = pairs.iter().find(|(known, _)| *known == name)?;
        let value = read(text);
        if value.is_err() {
            self.violations.query.extend(self.explain("query", name, text));
        }
        value.ok()
    }

    /// Reads page tokens that were given to the sender.
    pub(super) fn page_token_opener(
        &self,
    ) -> impl FnOnce(&str) -> Result<(SortDirection, Position), ForeignToken> + use<'a> {
        let (api, account) = (self.api, self.account);
        |token| api.page_tokens.open(account, token).ok_or(ForeignToken)
    }

    /// A header as a value; several lines of it are one list (RFC 9110, 5.3).
    pub(super) fn header_value<T: FromStr>(&mut self, header: &HeaderName, name: &str) -> Option<T> {
        let lines: Vec<_> =
            self.request.headers().get_all(header).map(|line| line.to_str().unwrap_or("\u{0}")).collect();
        if lines.is_empty() {
            return None;
        }
        let text = lines.join(", ");
        let value = text.parse();
        if value.is_err() {
            self.violations.header.extend(self.explain("header", name, &text));
        }
        value.ok()
    }

    /// The body as a customer.
    pub(super) fn customer_input(&mut self) -> Result<Option<CustomerInput>, ApiError> {
        if self.body.is_empty() {
            self.violations.body.push(violation("", "is required"));
            return Ok(None);
        }
        check_media_type(self.request)?;
        // So that UTF-8 is checked once, and not again for each text.
        let text = str::from_utf8(self.body);
        if let Some(input) = text.ok().and_then(|text| serde_json::from_str(text).ok()) {
            return Ok(Some(input));
        }
        let items = contract::explain_customer_input(self.body);
        if items.is_empty() {
            return Err(ApiError::Internal("the models refuse a body that the contract accepts".into()));
        }
        self.violations.body = items;
        Ok(None)
    }

    /// Notes that a parameter of the query, though it can be read, does not go with the others.
    pub(super) fn refuse_query(&mut self, name: &str, description: &str) {
        self.violations.query.push(violation(name, description));
    }

    fn explain(&self, location: &'static str, name: &str, text: &str) -> Vec<RequestExtensionItem> {
        let items = contract::explain_parameter(location, self.operation.id(), name, text);
        // A value that cannot be read is a violation, whatever the contract says of its form.
        if items.is_empty() {
            vec![violation(name, "must be one that this service gave to the account, unchanged")]
        } else {
            items
        }
    }
}

/// Whether a text is a segment of a path (RFC 3986, 3.3). The framework lets more through, and `Location` would be no URI.
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

/// Why a page token cannot be read: it was not given to this account, or was changed since.
pub(super) struct ForeignToken;

fn violation(field: &str, description: &str) -> RequestExtensionItem {
    RequestExtensionItem {
        field: field.to_owned(),
        reason: Reason::SchemaValidation,
        description: description.to_owned(),
    }
}
