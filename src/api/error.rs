//! The one error answer: which status, which type, which words.
//!
//! Public words and internal causes are different things: a cause is logged where the answer is made, and has no way
//! out of here.

use std::{error::Error as StdError, fmt};

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};

use crate::{
    model::{ErrorType, Reason, RequestExtension, RequestExtensionItem, VIOLATIONS_MAX},
    record::DamagedRecord,
    signature::{Refusal, Violation},
    store::StoreError,
};

/// After how many seconds a request that met a busy store may be sent again.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Everything that a request can be refused for, in the order in which the refusals win.
#[derive(Debug)]
pub enum ApiError {
    /// The path is none of this service.
    RouteNotFound,
    /// The path has other methods: these.
    MethodNotAllowed(&'static str),
    /// The body is longer than this many bytes.
    ContentTooLarge(usize),
    /// The request is no HTTP that can be understood: its body did not arrive whole, for instance.
    Malformed,
    /// The request proves no sender.
    Unauthorized(Refusal),
    /// The body is no `application/json`.
    UnsupportedMediaType,
    /// The request breaks the contract in so many places, of which the first [`VIOLATIONS_MAX`] are listed.
    Invalid {
        /// How many there are.
        total: usize,
        /// Those that are listed.
        violations: Box<RequestExtension>,
    },
    /// The account has no such customer.
    CustomerNotFound,
    /// A precondition does not hold.
    PreconditionFailed,
    /// The service cannot do it now.
    Unavailable(Option<Cause>),
    /// The service failed.
    Internal(Cause),
}

/// What is logged, and never sent.
type Cause = Box<dyn StdError + Send + Sync>;

/// The only place where a status is chosen.
const fn row(error: &ApiError) -> (StatusCode, ErrorType) {
    match error {
        ApiError::RouteNotFound | ApiError::CustomerNotFound => {
            (StatusCode::NOT_FOUND, ErrorType::ResourceNotFound)
        }
        ApiError::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, ErrorType::InvalidMessage),
        ApiError::ContentTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, ErrorType::InvalidMessage),
        ApiError::Unauthorized(_) => (StatusCode::UNAUTHORIZED, ErrorType::Unauthorized),
        ApiError::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorType::InvalidMessage),
        ApiError::Malformed | ApiError::Invalid { .. } => {
            (StatusCode::BAD_REQUEST, ErrorType::InvalidMessage)
        }
        ApiError::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, ErrorType::PreconditionFailed),
        ApiError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, ErrorType::Unavailable),
        ApiError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, ErrorType::Unexpected),
    }
}

impl ApiError {
    /// A request that breaks the contract in these ways, in these of its parts.
    #[must_use]
    pub fn invalid(mut violations: RequestExtension) -> Self {
        let RequestExtension { path, query, header, body } = &mut violations;
        let (mut total, mut left) = (0, VIOLATIONS_MAX);
        for part in [path, query, header, body] {
            total += part.len();
            part.truncate(left);
            left -= part.len();
        }
        Self::Invalid { total, violations: Box::new(violations) }
    }

    /// The type that the answer tells.
    #[must_use]
    pub fn error_type(&self) -> ErrorType {
        row(self).1
    }

    /// The cause that the answer does not tell.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync)> {
        match self {
            Self::Unavailable(cause) => cause.as_deref(),
            Self::Internal(cause) => Some(cause.as_ref()),
            _ => None,
        }
    }

    /// Where the request is wrong.
    #[must_use]
    pub fn extension(&self) -> Option<RequestExtension> {
        match self {
            Self::Invalid { violations, .. } => Some(violations.as_ref().clone()),
            Self::Unauthorized(refusal) => {
                let header = refusal.violations().iter().map(item).collect();
                Some(RequestExtension { header, ..RequestExtension::default() })
            }
            _ => None,
        }
    }
}

fn item(violation: &Violation) -> RequestExtensionItem {
    let Violation { claim, description } = violation;
    let separator = if claim.is_empty() { "" } else { "." };
    let field = format!("{}{separator}{claim}", super::SIGNATURE_HEADER);
    RequestExtensionItem { field, reason: Reason::Signature, description: description.clone() }
}

/// What the answer tells, without a word of the request.
impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RouteNotFound => formatter.write_str("there is nothing at this path"),
            Self::MethodNotAllowed(allow) => write!(formatter, "the methods of this path are {allow}"),
            Self::ContentTooLarge(limit) => write!(formatter, "the body is longer than {limit} bytes"),
            Self::Malformed => {
                formatter.write_str("the request is malformed, or did not arrive whole and in time")
            }
            Self::Unauthorized(refusal) => refusal.fmt(formatter),
            Self::UnsupportedMediaType => {
                formatter.write_str("send the body as application/json, not encoded")
            }
            Self::Invalid { total: 1, .. } => formatter.write_str("1 field is invalid"),
            Self::Invalid { total: total @ ..=VIOLATIONS_MAX, .. } => {
                write!(formatter, "{total} fields are invalid")
            }
            Self::Invalid { total, .. } => {
                write!(formatter, "{total} fields are invalid; the first {VIOLATIONS_MAX} are listed")
            }
            Self::CustomerNotFound => formatter.write_str("the account has no such customer"),
            Self::PreconditionFailed => formatter.write_str("a precondition of the request does not hold"),
            Self::Unavailable(_) => {
                formatter.write_str("the service cannot take the request now; send it again later")
            }
            Self::Internal(_) => formatter.write_str("the service failed"),
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        row(self).0
    }

    /// The status and the headers that it demands; `answer` adds the rest, because it knows the request.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::MethodNotAllowed(allow) => response.insert_header((ALLOW, *allow)),
            Self::Unauthorized(_) => response.insert_header((WWW_AUTHENTICATE, super::SIGNATURE_HEADER)),
            Self::Unavailable(_) => response.insert_header((RETRY_AFTER, RETRY_AFTER_SECONDS)),
            _ => &mut response,
        };
        response.finish()
    }
}

impl From<DamagedRecord> for ApiError {
    fn from(error: DamagedRecord) -> Self {
        Self::Internal(error.into())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Unavailable(None),
            StoreError::Unavailable(_) => Self::Unavailable(Some(error.into())),
            StoreError::Failed(_) => Self::Internal(error.into()),
        }
    }
}
