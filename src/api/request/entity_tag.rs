//! Entity tags (RFC 9110, 8.8.3), and lists of them.

use std::str::FromStr;

use crate::store::Version;

/// The longest list of entity tags that is accepted, in bytes.
pub(super) const ENTITY_TAGS_BYTES_MAX: usize = 4096;

/// A list of entity tags, as in `If-Match` and `If-None-Match` (RFC 9110, 13.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EntityTags {
    /// `*`: any version.
    Any,
    /// One of these versions.
    OneOf(Vec<EntityTag>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntityTag {
    is_weak: bool,
    opaque: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be * or a list of entity tags, of at most 4096 bytes")]
pub(crate) struct InvalidEntityTags;

impl EntityTags {
    /// The versions that match strongly (RFC 9110, 8.8.3.2); `None` for any version.
    pub(crate) fn strong(self) -> Option<Vec<Version>> {
        let version = |tag: EntityTag| if tag.is_weak { None } else { tag.opaque.parse().ok() };
        match self {
            Self::Any => None,
            Self::OneOf(tags) => Some(tags.into_iter().filter_map(version).collect()),
        }
    }

    /// Whether a version matches weakly.
    pub(crate) fn include(&self, version: Version) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|tag| tag.opaque.parse() == Ok(version)),
        }
    }
}

impl FromStr for EntityTags {
    type Err = InvalidEntityTags;

    fn from_str(text: &str) -> Result<Self, InvalidEntityTags> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if text.len() > ENTITY_TAGS_BYTES_MAX {
            return Err(InvalidEntityTags);
        }
        let (mut tags, mut rest) = (Vec::new(), skip_commas(text));
        while !rest.is_empty() {
            let (tag, after) = tag(rest).ok_or(InvalidEntityTags)?;
            tags.push(tag);
            rest = skip_commas(after);
            let is_separated = rest.is_empty() || after.trim_start_matches(SPACE).starts_with(',');
            if !is_separated {
                return Err(InvalidEntityTags);
            }
        }
        if tags.is_empty() { Err(InvalidEntityTags) } else { Ok(Self::OneOf(tags)) }
    }
}

const SPACE: [char; 2] = [' ', '\t'];

/// The text after commas and white space: a list may have empty elements (RFC 9110, 5.6.1.2).
fn skip_commas(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', ','])
}

/// The tag at the start of a text, and the rest. A tag may contain commas, so a list cannot be split at them.
fn tag(text: &str) -> Option<(EntityTag, &str)> {
    let (is_weak, quoted) = text.strip_prefix("W/").map_or((false, text), |quoted| (true, quoted));
    let (opaque, rest) = quoted.strip_prefix('"')?.split_once('"')?;
    let allowed = |byte: u8| byte == b'!' || (b'#'..=b'~').contains(&byte);
    opaque.bytes().all(allowed).then(|| (EntityTag { is_weak, opaque: opaque.to_owned() }, rest))
}

/// A version as a strong entity tag.
pub(crate) fn etag(version: Version) -> String {
    format!("\"{version}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_at_most_4096_bytes() {
        for (bytes, is_read) in [(4095, true), (4096, true), (4097, false), (8192, false)] {
            let list = format!("{:bytes$}", "\"a\",".repeat(1000));
            assert_eq!(list.parse::<EntityTags>().is_ok(), is_read, "{bytes}");
        }
    }
}
