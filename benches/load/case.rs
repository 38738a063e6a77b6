//! What is measured.

use clap::ValueEnum;
use customers_api::signature::Algorithm;

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// Requests to a server of the same framework that only verifies a signature of ES384, and answers
    BareEs384,
    /// The same with ES256
    BareEs256,
    /// New customers, signed with ES384
    PutEs384,
    /// Half of the most that `put-es384` did, evenly over time
    PutEs384Half,
    /// New customers, signed with ES256
    PutEs256,
    /// Customers that are there, all over the table, signed with ES384
    UpdateEs384,
    /// New customers, unsigned in the sandbox
    PutUnsigned,
    /// The same with ids in ascending order, which no caller sends
    PutUnsignedAscending,
    /// New customers, unsigned, with one transaction for each request
    PutUnsignedAlone,
    /// Customers by their id, all over the table, signed with ES384
    Get,
    /// 80% GET and 20% PUT of new customers, signed with ES384
    Mix,
    /// The first page of 20, signed with ES384
    ListFirst,
    /// A page of 20 from the middle, signed with ES384
    ListDeep,
    /// A PUT whose body has one violation: 400
    OneViolation,
    /// A PUT whose body has 1,000 violations: 400
    ManyViolations,
    /// A PUT whose signature is over another body: 401
    WrongSignature,
    /// `get` with a new connection for each request
    GetReconnecting,
    /// `mix` for ten minutes
    Soak,
    /// 5,000 new customers a second for 15 minutes, signed with ES256
    Steady,
    /// New customers of 1,000 accounts, one of which sends as fast as it can, signed with ES384
    OneAccountFloods,
}

/// What the requests of a case are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// The requests of `Put` to a server that stores nothing.
    Bare,
    Put,
    Update,
    Get,
    /// One PUT in five.
    Mix,
    ListFirst,
    ListDeep,
    OneViolation,
    ManyViolations,
    WrongSignature,
}

/// Of each page that is measured.
pub(crate) const PAGE_ITEMS: usize = 20;

impl Case {
    /// All but those that take minutes, and the one that is a verdict of its own.
    pub(crate) const SHORT: [Self; 17] = [
        Self::BareEs384,
        Self::BareEs256,
        Self::PutEs384,
        Self::PutEs384Half,
        Self::PutEs256,
        Self::UpdateEs384,
        Self::PutUnsigned,
        Self::PutUnsignedAscending,
        Self::PutUnsignedAlone,
        Self::Get,
        Self::Mix,
        Self::ListFirst,
        Self::ListDeep,
        Self::OneViolation,
        Self::ManyViolations,
        Self::WrongSignature,
        Self::GetReconnecting,
    ];

    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub(crate) fn work(self) -> Work {
        match self {
            Self::BareEs384 | Self::BareEs256 => Work::Bare,
            Self::PutEs384
            | Self::PutEs384Half
            | Self::PutEs256
            | Self::PutUnsigned
            | Self::PutUnsignedAscending
            | Self::PutUnsignedAlone
            | Self::Steady
            | Self::OneAccountFloods => Work::Put,
            Self::UpdateEs384 => Work::Update,
            Self::Get | Self::GetReconnecting => Work::Get,
            Self::Mix | Self::Soak => Work::Mix,
            Self::ListFirst => Work::ListFirst,
            Self::ListDeep => Work::ListDeep,
            Self::OneViolation => Work::OneViolation,
            Self::ManyViolations => Work::ManyViolations,
            Self::WrongSignature => Work::WrongSignature,
        }
    }

    /// What signs the requests; `None` in the sandbox.
    pub(crate) fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::PutUnsigned | Self::PutUnsignedAscending | Self::PutUnsignedAlone => None,
            Self::BareEs256 | Self::PutEs256 | Self::Steady => Some(Algorithm::Es256),
            _ => Some(Algorithm::Es384),
        }
    }

    /// Whether a status is the one that the requests ask for.
    pub(crate) fn expects(self, status: u16) -> bool {
        match self.work() {
            Work::OneViolation | Work::ManyViolations => status == 400,
            Work::WrongSignature => status == 401,
            Work::Put | Work::Mix => status == 200 || status == 201,
            Work::Update => status == 204,
            Work::Bare | Work::Get | Work::ListFirst | Work::ListDeep => status == 200,
        }
    }

    /// Whether each write is a transaction of its own, which the product cannot be told to do.
    pub(crate) fn is_ungrouped(self) -> bool {
        self == Self::PutUnsignedAlone
    }

    pub(crate) fn is_ascending(self) -> bool {
        self == Self::PutUnsignedAscending
    }

    pub(crate) fn is_reconnecting(self) -> bool {
        self == Self::GetReconnecting
    }

    /// Whether it takes minutes: requests are then made while they are sent.
    pub(crate) fn is_long(self) -> bool {
        matches!(self, Self::Soak | Self::Steady)
    }

    /// The least part of the floor that the case must reach with 64 connections, on SQLite and on Postgres.
    pub(crate) fn target(self) -> Option<(f64, f64)> {
        match self {
            Self::PutEs384 => Some((0.82, 0.85)),
            Self::PutEs256 => Some((0.60, 0.66)),
            Self::Get => Some((0.90, 0.85)),
            Self::Mix => Some((0.85, 0.80)),
            Self::ListFirst | Self::ListDeep => Some((0.75, 0.70)),
            _ => None,
        }
    }

    /// How many requests a second to prepare for, given the floor: at least as many as the server can answer.
    pub(crate) fn rate_max(self, floor: f64) -> f64 {
        match self {
            Self::PutUnsignedAlone => 10_000.0,
            Self::PutUnsigned | Self::PutUnsignedAscending => 45_000.0,
            _ => floor,
        }
    }
}
