//! The members of a line of an export: how they are written and read.

use std::{fmt::Display, str::FromStr};

use chrono::TimeDelta;
use serde::Serialize;

use crate::{clock, model::Timestamp};

/// How far a timestamp may be ahead of the clock, which may differ from another machine's. Customers that are created
/// later get later timestamps, so one in the far future would spoil all that follow.
const AHEAD_MAX: TimeDelta = TimeDelta::seconds(60);

/// Appends a line with one member, which has these.
pub(super) fn write_line(name: &str, members: &impl Serialize, lines: &mut Vec<u8>) -> anyhow::Result<()> {
    lines.extend_from_slice(format!("{{\"{name}\":").as_bytes());
    serde_json::to_writer(&mut *lines, members)?;
    lines.extend_from_slice(b"}\n");
    Ok(())
}

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
