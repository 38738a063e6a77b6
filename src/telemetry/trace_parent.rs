//! `traceparent`: the caller's span (W3C Trace Context).

use derive_more::Display;

/// The id of a trace (W3C Trace Context, 3.2.2.3).
#[derive(Debug, Display, Clone, Copy, PartialEq, Eq)]
#[display("{_0:032x}")]
pub struct TraceId(pub u128);

/// What `traceparent` says of the caller's span (W3C Trace Context, 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace_id: TraceId,
    /// The caller's span.
    pub parent_id: u64,
    /// Whether the caller may have recorded its span.
    pub is_sampled: bool,
}

impl TraceParent {
    /// Reads the value of the header. An invalid one is ignored. Of a later version it reads what version 00 has; more
    /// may follow after a dash (4.3, Versioning of traceparent).
    pub fn parse(value: &[u8]) -> Option<Self> {
        const INVALID_VERSION: u128 = 0xff;
        let mut fields = str::from_utf8(value).ok()?.splitn(5, '-');
        let mut field = |digits| hex(fields.next()?, digits);
        let (version, trace_id, parent_id, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
        let parent_id = u64::try_from(parent_id).ok()?;
        let may_go_on = version != 0;
        let is_valid = version != INVALID_VERSION && trace_id != 0 && parent_id != 0;
        let is_whole = may_go_on || fields.next().is_none();
        let is_sampled = flags & 1 == 1;
        (is_valid && is_whole).then_some(Self { trace_id: TraceId(trace_id), parent_id, is_sampled })
    }
}

/// A number in so many hexadecimal digits, in lower case.
fn hex(digits: &str, length: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_hex = digits.len() == length && digits.bytes().all(is_digit);
    if is_hex { u128::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn what_version_00_has_is_read_also_from_a_later_version() {
        for (version, flags, is_sampled) in [
            ("00", "01", true),
            ("00", "00", false),
            ("00", "02", false),
            ("00", "03", true),
            ("00", "ff", true),
            ("01", "01", true),
            ("09", "ff", true),
            ("cc", "01-", true),
            ("cc", "01-what-the-future-has", true),
            ("fe", "81-\u{e9}", true),
        ] {
            let text = format!("{version}-{TRACE}-{SPAN}-{flags}");
            let parent = TraceParent::parse(text.as_bytes()).unwrap();
            assert_eq!(parent.trace_id.to_string(), TRACE, "{text}");
            assert_eq!((parent.parent_id, parent.is_sampled), (0x00f0_67aa_0ba9_02b7, is_sampled), "{text}");
        }
        let small = TraceParent::parse(format!("00-{:032x}-{:016x}-01", 1, 1).as_bytes()).unwrap();
        assert_eq!((small.trace_id, small.parent_id), (TraceId(1), 1));
    }

    #[test]
    fn anything_else_is_ignored() {
        for text in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-"),
            format!("00-{TRACE}-{SPAN}-0"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-extra"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("ff-{TRACE}-{SPAN}-01-more"),
            format!("01-{TRACE}-{SPAN}"),
            format!("01-{TRACE}-{SPAN}-"),
            format!("01-{TRACE}-{SPAN}-01.more"),
            format!("01-{TRACE}-{SPAN}-011"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("000-{TRACE}-{SPAN}-01"),
            format!("0A-{TRACE}-{SPAN}-01"),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01 "),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("00-{TRACE}-{SPAN}-0A"),
            format!("00-{:032}-{SPAN}-01", 0),
            format!("00-{TRACE}-{:016}-01", 0),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}-{SPAN}-é"),
            format!("00_{TRACE}_{SPAN}_01"),
        ] {
            assert_eq!(TraceParent::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(TraceParent::parse(b"\xff"), None);
    }
}
