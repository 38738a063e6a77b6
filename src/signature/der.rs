//! DER (X.690), as much of it as a key has: tags of one byte, definite lengths.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

/// The second of the optional elements, implicitly tagged, and explicitly.
pub(super) const SECOND: [u8; 2] = [0x81, 0xa1];

/// One element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// With its tag and its length.
    pub(super) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// The elements inside of this one.
    pub(super) fn children(&self) -> Option<Vec<Element<'a>>> {
        let (mut rest, mut children) = (self.content, Vec::new());
        while !rest.is_empty() {
            let element;
            (element, rest) = split(rest)?;
            children.push(element);
        }
        Some(children)
    }
}

/// The one element that these bytes are.
pub(super) fn read(bytes: &[u8]) -> Option<Element<'_>> {
    split(bytes).filter(|(_, rest)| rest.is_empty()).map(|(element, _)| element)
}

/// The first element, and what follows it.
fn split(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    // From 0x80 on, the first byte of the length says how many more there are.
    let (length, rest) = match first.checked_sub(0x80) {
        None => (usize::from(first), rest),
        Some(count @ 1..=4) => {
            let (length, rest) = rest.split_at_checked(count.into())?;
            (length.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)), rest)
        }
        Some(_) => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    let whole = &bytes[..bytes.len() - rest.len()];
    Some((Element { tag, content, whole }, rest))
}

/// An element of these parts, which must be shorter than 64 KiB.
pub(super) fn write(tag: u8, parts: &[&[u8]]) -> Option<Vec<u8>> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).ok()?.to_be_bytes();
    let length: &[u8] = match (high, low) {
        (0, 0..0x80) => &[low],
        (0, _) => &[0x81, low],
        _ => &[0x82, high, low],
    };
    Some([&[tag], length, &content].concat())
}
