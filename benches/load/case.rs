//! What is measured.

use clap::ValueEnum;
use customers_api::signature::Algorithm;

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// New customers, signed with ES384
    PutEs384,
    /// New customers, signed with ES256
    PutEs256,
    /// New customers, unsigned in the sandbox
    PutUnsigned,
    /// The same with one transaction for each request
    PutUnsignedAlone,
    /// Customers by their id, signed with ES384
    Get,
    /// 80% GET and 20% PUT, signed with ES384
    Mix,
    /// Half of the most that `put-es384` did, evenly over time
    PutEs384Half,
    /// The first page of 20, signed with ES384
    ListFirst,
    /// A page of 20 from the middle, signed with ES384
    ListDeep,
    /// `mix` for ten minutes, with the memory every 30 seconds
    Soak,
}

/// What the requests of a case are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Put,
    Get,
    /// One PUT in five.
    Mix,
    ListFirst,
    ListDeep,
}

/// Of each page that is measured, and walked to get there.
pub(crate) const PAGE_ITEMS: usize = 20;

impl Case {
    pub(crate) const ALL: [Self; 9] = [
        Self::PutEs384,
        Self::PutEs384Half,
        Self::PutEs256,
        Self::PutUnsigned,
        Self::PutUnsignedAlone,
        Self::Get,
        Self::Mix,
        Self::ListFirst,
        Self::ListDeep,
    ];

    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub(crate) fn work(self) -> Work {
        match self {
            Self::PutEs384
            | Self::PutEs384Half
            | Self::PutEs256
            | Self::PutUnsigned
            | Self::PutUnsignedAlone => Work::Put,
            Self::Get => Work::Get,
            Self::Mix | Self::Soak => Work::Mix,
            Self::ListFirst => Work::ListFirst,
            Self::ListDeep => Work::ListDeep,
        }
    }

    /// What signs the requests; `None` in the sandbox.
    pub(crate) fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::PutUnsigned | Self::PutUnsignedAlone => None,
            Self::PutEs256 => Some(Algorithm::Es256),
            _ => Some(Algorithm::Es384),
        }
    }

    pub(crate) fn server_arguments(self) -> &'static [&'static str] {
        match self {
            Self::PutUnsigned | Self::PutUnsignedAlone => &["--sandbox"],
            _ => &[],
        }
    }

    /// Whether each write is a transaction of its own, which the product cannot be told to do.
    pub(crate) fn is_ungrouped(self) -> bool {
        self == Self::PutUnsignedAlone
    }

    /// The least part of the floor that the case must reach with 64 connections, on SQLite and on Postgres.
    pub(crate) fn target(self) -> Option<(f64, f64)> {
        match self {
            Self::PutEs384 => Some((0.80, 0.75)),
            Self::PutEs256 => Some((0.60, 0.0)),
            Self::Get => Some((0.85, 0.0)),
            _ => None,
        }
    }

    /// How many requests a second to prepare for, given the floor: at least as many as the server can answer.
    pub(crate) fn rate_max(self, floor: f64) -> f64 {
        match self {
            Self::PutUnsignedAlone => 10_000.0,
            Self::PutUnsigned => 40_000.0,
            _ => floor,
        }
    }
}
