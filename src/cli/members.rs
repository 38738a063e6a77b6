//! The members of a line of an export: how they are read.

use std::{fmt::Display, str::FromStr};

use crate::{clock, model::Timestamp};
use chrono::TimeDelta;

/// How far a timestamp may be ahead of the clock, which may differ from another machine's. Customers that are created
/// later get later timestamps, so one in the far future would spoil all that follow.
const AHEAD_MAX: TimeDelta = TimeDelta::seconds(60);

/// Reads a text, or notes what is wrong with it.
pub(super) fn parsed<T: FromStr<Err: Display>>(
    member: &str,
    text: &str,
    faults: &mut Vec<String>,
) -> Option<T> {
    text.parse().map_err(|error| faults.push(format!("{member}: {error}"))).ok()
}

/// Reads a timestamp that is not in the future, or notes what is wrong with it.
pub(super) fn timestamp(member: &str, text: &str, faults: &mut Vec<String>) -> Option<Timestamp> {
    let timestamp: Timestamp = parsed(member, text, faults)?;
    if timestamp > (clock::now() + AHEAD_MAX).into() {
        faults.push(format!("{member} is in the future"));
        return None;
    }
    Some(timestamp)
}
