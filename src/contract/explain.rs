//! Violations in words. They repeat nothing of a request but the names of members that look like names.

use std::fmt::Write as _;

use jsonschema::{
    ValidationError, Validator,
    error::{TypeKind, ValidationErrorKind},
    paths::{Location, LocationSegment},
};
use serde_json::Value;

use crate::model::{FIELD_LENGTH_MAX, Reason, RequestExtensionItem};

/// The maximum number of values that a description lists.
const VALUES_MAX: usize = 20;

/// The maximum length of a member's name in a path, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// What a path ends with that was cut.
const CUT: &str = "...";
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What serde says of valid JSON that it does not read, and what is said here.
const LIMITS: [(&str, &str); 2] = [
    ("recursion limit exceeded", "nests deeper than 127 levels"),
    ("number out of range", "has a number beyond the range of 64-bit floating point"),
];

/// The pattern of every text in the contract.
const WITHOUT_NUL: &str = r"^[^\u0000]*$";

/// One step into a document.
#[derive(Debug, Clone, Copy)]
pub enum Segment<'a> {
    /// Into a member of an object.
    Member(&'a str),
    /// Into an item of an array.
    Item(usize),
}

/// A path as an error names it, such as `Identities[0].IDType`.
///
/// A name that does not look like one is written `?`, because it may be personal data. A path that is longer than
/// [`FIELD_LENGTH_MAX`] is cut: otherwise the answer to a small body could be large.
pub fn field_of<'a>(segments: impl IntoIterator<Item = Segment<'a>>) -> String {
    let mut field = String::new();
    for segment in segments {
        match segment {
            Segment::Item(index) => {
                let _ = write!(field, "[{index}]");
            }
            Segment::Member(name) => {
                if !field.is_empty() {
                    field.push('.');
                }
                field.push_str(if is_name(name) { name } else { "?" });
            }
        }
        if field.len() > FIELD_LENGTH_MAX {
            // Names are ASCII, so that bytes are characters.
            field.truncate(FIELD_LENGTH_MAX - CUT.len());
            field.push_str(CUT);
            break;
        }
    }
    field
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

pub(super) fn malformed(body: &[u8], error: &serde_json::Error) -> RequestExtensionItem {
    let description = if body.starts_with(BYTE_ORDER_MARK) {
        "begins with a byte order mark: send it without one".to_owned()
    } else if let Err(error) = str::from_utf8(body) {
        format!("is not UTF-8 after byte {}", error.valid_up_to())
    } else {
        syntax_error(error)
    };
    RequestExtensionItem { field: String::new(), reason: Reason::MalformedJson, description }
}

// serde's description of a syntax error repeats nothing of the text.
fn syntax_error(error: &serde_json::Error) -> String {
    let error = error.to_string();
    let limit = LIMITS.iter().find_map(|(serde, here)| error.strip_prefix(serde).map(|place| (here, place)));
    match limit {
        Some((limit, place)) => format!("{limit}{place}"),
        None => format!("is not valid JSON: {error}"),
    }
}

pub(super) fn duplicate(field: String) -> RequestExtensionItem {
    let description = "is given more than once".to_owned();
    RequestExtensionItem { field, reason: Reason::DuplicateMember, description }
}

/// Every violation of a schema by a value. `name` is the name of a parameter; it is empty for a body.
pub(super) fn violations<'a>(
    name: &'a str,
    document: &'a Value,
    validator: &'a Validator,
    value: &'a Value,
) -> impl Iterator<Item = RequestExtensionItem> + 'a {
    validator.iter_errors(value).flat_map(move |error| items(name, document, &error))
}

/// One item for each member: a keyword may find several violations.
fn items(name: &str, document: &Value, error: &ValidationError<'_>) -> Vec<RequestExtensionItem> {
    let item = |member: Option<&str>, description: String| {
        let field = field(name, error.instance_path(), member);
        RequestExtensionItem { field, reason: Reason::SchemaValidation, description }
    };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let unknown = |member: &String| item(Some(member), "is not a known member".to_owned());
            unexpected.iter().map(unknown).collect()
        }
        ValidationErrorKind::Required { property } => vec![item(property.as_str(), "is required".to_owned())],
        kind => vec![item(None, description(kind, document, error))],
    }
}

fn field(name: &str, path: &Location, member: Option<&str>) -> String {
    let segments: Vec<_> = path.into_iter().collect();
    let segments = segments.iter().map(|segment| match segment {
        LocationSegment::Property(name) => Segment::Member(name),
        LocationSegment::Index(index) => Segment::Item(*index),
    });
    let first = (!name.is_empty()).then_some(Segment::Member(name));
    field_of(first.into_iter().chain(segments).chain(member.map(Segment::Member)))
}

fn description(kind: &ValidationErrorKind, document: &Value, error: &ValidationError<'_>) -> String {
    match kind {
        ValidationErrorKind::Type { kind: TypeKind::Single(kind) } => match kind.as_str() {
            "object" => "must be an object".to_owned(),
            "array" => "must be an array".to_owned(),
            "integer" => "must be an integer".to_owned(),
            other => format!("must be a {other}"),
        },
        ValidationErrorKind::MinLength { limit: 1 } => "must not be empty".to_owned(),
        ValidationErrorKind::MinLength { limit } => format!("must have at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("must have at most {limit} characters"),
        ValidationErrorKind::Minimum { limit } => format!("must be at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("must be at most {limit}"),
        ValidationErrorKind::Format { format } if format == "date" => {
            "must be a calendar date, YYYY-MM-DD".to_owned()
        }
        ValidationErrorKind::Pattern { pattern } if pattern == WITHOUT_NUL => {
            "must not contain U+0000".to_owned()
        }
        ValidationErrorKind::Pattern { pattern } => format!("must match the pattern {pattern}"),
        ValidationErrorKind::Enum { options } => one_of(options, document, error),
        other => format!("does not match the keyword `{}` of its schema", other.keyword()),
    }
}

fn one_of(options: &Value, document: &Value, error: &ValidationError<'_>) -> String {
    let options: Vec<_> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if options.len() <= VALUES_MAX {
        return format!("must be one of {}", options.join(", "));
    }
    let (first, last) = (options.first().unwrap_or(&""), options.last().unwrap_or(&""));
    let schema = schema_description(document, error.schema_path());
    format!("must be one of {} values, from {first} to {last}{schema}", options.len())
}

/// How the schema that has a keyword describes itself.
fn schema_description(document: &Value, keyword: &Location) -> String {
    let pointer = keyword.as_str().rsplit_once('/').map_or("", |(schema, _)| schema);
    let description = document.pointer(pointer).and_then(|schema| schema["description"].as_str());
    description.map_or_else(String::new, |text| format!(": {}", text.trim_end_matches('.')))
}
