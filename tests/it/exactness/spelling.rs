//! JSON as nobody writes it, and what is no JSON any more.

use std::fmt::Write as _;

use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any},
    prop_oneof,
    sample::{Index, select},
};
use serde_json::Value;

use super::oracle::{Step, field, members};

/// How a value is written down.
#[derive(Debug, Clone)]
pub(super) struct Spelling {
    seed: u64,
    is_spaced: bool,
    is_escaped: bool,
    is_shuffled: bool,
    /// Which member is written twice: before, it is `null` or the same.
    doubled: Option<(Index, bool)>,
    /// Which scalar is another text instead.
    raw: Option<(Index, String)>,
}

/// A value that was written down.
pub(super) struct Spelt {
    pub(super) text: String,
    /// The field that is given twice.
    pub(super) doubled: Option<String>,
    /// Whether it is still the same value.
    pub(super) is_faithful: bool,
}

/// Any spelling that changes nothing.
pub(super) fn faithful() -> impl Strategy<Value = Spelling> {
    any::<(u64, bool, bool, bool)>().prop_map(|(seed, is_spaced, is_escaped, is_shuffled)| Spelling {
        seed,
        is_spaced,
        is_escaped,
        is_shuffled,
        doubled: None,
        raw: None,
    })
}

/// Any spelling.
pub(super) fn any_spelling() -> impl Strategy<Value = Spelling> {
    let doubled = option::weighted(0.15, any::<(Index, bool)>());
    let raw = option::weighted(0.15, (any::<Index>(), tokens()));
    (faithful(), doubled, raw).prop_map(|(spelling, doubled, raw)| Spelling { doubled, raw, ..spelling })
}

/// Values as text, many of them nearly JSON.
fn tokens() -> impl Strategy<Value = String> {
    const TOKENS: [&str; 40] = [
        "1e400",
        "-1e400",
        "1e-400",
        "-0",
        "0",
        "-0.0",
        "1E5",
        "1E+5",
        "0.1e-7",
        "01",
        "+1",
        ".5",
        "1.",
        "0x10",
        "1_000",
        "123456789012345678901234567890",
        "-9223372036854775809",
        "18446744073709551616",
        "NaN",
        "Infinity",
        "-Infinity",
        "nan",
        "True",
        "nul",
        "null",
        "true",
        "undefined",
        "'a'",
        "a",
        "",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\\u00\"",
        "\"\\x41\"",
        "\"\\U0041\"",
        "\"a\nb\"",
        "\"\t\"",
        "\"\\0\"",
        "\"\\u0000\"",
    ];
    let nested = (100..300_usize, any::<bool>()).prop_map(|(depth, in_objects)| {
        let (open, close) = if in_objects { ("{\"a\":", "}") } else { ("[", "]") };
        format!("{}1{}", open.repeat(depth), close.repeat(depth))
    });
    prop_oneof![9 => select(&TOKENS[..]).prop_map(str::to_owned), 1 => nested]
}

impl Spelling {
    pub(super) fn spell(&self, value: &Value) -> Spelt {
        let (members, scalars) = (members(value), scalars(value));
        let pick = |index: &Index, size: usize| (size > 0).then(|| index.index(size));
        let mut speller = Speller {
            spelling: self,
            random: self.seed,
            text: String::new(),
            path: Vec::new(),
            until_doubled: self.doubled.as_ref().and_then(|(index, _)| pick(index, members)),
            until_raw: self.raw.as_ref().and_then(|(index, _)| pick(index, scalars)),
            doubled: None,
        };
        let is_faithful = speller.until_raw.is_none();
        speller.value(value);
        Spelt { text: speller.text, doubled: speller.doubled, is_faithful }
    }
}

fn scalars(value: &Value) -> usize {
    match value {
        Value::Object(members) => members.values().map(scalars).sum(),
        Value::Array(items) => items.iter().map(scalars).sum(),
        _ => 1,
    }
}

struct Speller<'a> {
    spelling: &'a Spelling,
    random: u64,
    text: String,
    path: Vec<Step>,
    until_doubled: Option<usize>,
    until_raw: Option<usize>,
    doubled: Option<String>,
}

/// True when a countdown ends, once.
fn is_up(countdown: &mut Option<usize>) -> bool {
    let is_up = *countdown == Some(0);
    *countdown = countdown.and_then(|left| left.checked_sub(1));
    is_up
}

impl Speller<'_> {
    /// SplitMix64.
    fn random(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    fn value(&mut self, value: &Value) {
        self.space();
        match value {
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                if self.spelling.is_shuffled && !members.is_empty() {
                    let first = self.random(members.len() as u64);
                    members.rotate_left(usize::try_from(first).unwrap());
                }
                self.sequence('{', '}', members.len(), |speller, index| {
                    let (name, value) = members[index];
                    speller.within(Step::Member(name.clone()), |speller| speller.member(name, value));
                });
            }
            Value::Array(items) => self.sequence('[', ']', items.len(), |speller, index| {
                speller.within(Step::Item(index), |speller| speller.value(&items[index]));
            }),
            scalar => self.scalar(scalar),
        }
        self.space();
    }

    fn within(&mut self, step: Step, write: impl FnOnce(&mut Self)) {
        self.path.push(step);
        write(self);
        self.path.pop();
    }

    fn sequence(&mut self, open: char, close: char, length: usize, mut item: impl FnMut(&mut Self, usize)) {
        self.text.push(open);
        self.space();
        for index in 0..length {
            if index > 0 {
                self.text.push(',');
            }
            item(self, index);
        }
        self.text.push(close);
    }

    fn member(&mut self, name: &str, value: &Value) {
        if is_up(&mut self.until_doubled) {
            self.doubled = Some(field(&self.path));
            let is_null = self.spelling.doubled.as_ref().is_some_and(|(_, is_null)| *is_null);
            self.name(name);
            self.text.push_str(&if is_null { "null".to_owned() } else { value.to_string() });
            self.text.push(',');
        }
        self.name(name);
        self.value(value);
    }

    fn name(&mut self, name: &str) {
        self.space();
        self.string(name);
        self.space();
        self.text.push(':');
    }

    fn scalar(&mut self, value: &Value) {
        if is_up(&mut self.until_raw) {
            let raw = self.spelling.raw.as_ref().map(|(_, text)| text.as_str());
            self.text.push_str(raw.unwrap_or_default());
        } else if let Value::String(text) = value {
            self.string(text);
        } else {
            self.text.push_str(&value.to_string());
        }
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            let must = matches!(character, '"' | '\\' | '\0'..='\u{1f}');
            if must || (self.spelling.is_escaped && self.random(6) == 0) {
                self.escape(character);
            } else {
                self.text.push(character);
            }
        }
        self.text.push('"');
    }

    fn escape(&mut self, character: char) {
        let short = match character {
            '"' | '\\' | '/' => Some(character),
            '\u{8}' => Some('b'),
            '\u{c}' => Some('f'),
            '\n' => Some('n'),
            '\r' => Some('r'),
            '\t' => Some('t'),
            _ => None,
        };
        match short {
            Some(short) if self.random(2) == 0 => {
                self.text.push('\\');
                self.text.push(short);
            }
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = match self.random(2) {
                        0 => write!(self.text, "\\u{unit:04x}"),
                        _ => write!(self.text, "\\u{unit:04X}"),
                    };
                }
            }
        }
    }

    fn space(&mut self) {
        while self.spelling.is_spaced && self.random(3) == 0 {
            let space = [' ', '\t', '\n', '\r'][usize::try_from(self.random(4)).unwrap()];
            self.text.push(space);
        }
    }
}

/// What happens to a text on its way.
#[derive(Debug, Clone)]
pub(super) enum Noise {
    Insert(Index, &'static [u8]),
    Overwrite(Index, u8),
    Delete(Index, usize),
    Truncate(Index),
    Copy(Index, usize, Index),
    Before(&'static [u8]),
    After(&'static [u8]),
    Utf16,
}

/// None, mostly.
pub(super) fn noise() -> impl Strategy<Value = Vec<Noise>> {
    let place = any::<Index>;
    let one = prop_oneof![
        4 => (place(), select(&HOSTILE[..])).prop_map(|(at, bytes)| Noise::Insert(at, bytes)),
        2 => (place(), any::<u8>()).prop_map(|(at, byte)| Noise::Overwrite(at, byte)),
        2 => (place(), 1..4_usize).prop_map(|(at, length)| Noise::Delete(at, length)),
        1 => place().prop_map(Noise::Truncate),
        2 => (place(), 1..40_usize, place()).prop_map(|(from, length, to)| Noise::Copy(from, length, to)),
        1 => select(&HOSTILE[..]).prop_map(Noise::Before),
        1 => select(&HOSTILE[..]).prop_map(Noise::After),
        1 => Just(Noise::Utf16),
    ];
    prop_oneof![3 => Just(Vec::new()), 1 => vec(one, 1..3)]
}

/// Bytes that some reader takes for something.
const HOSTILE: [&[u8]; 36] = [
    b"\"",
    b"\\",
    b",",
    b":",
    b"{",
    b"}",
    b"[",
    b"]",
    b"{}",
    b"[]",
    b"null",
    b"\0",
    b" ",
    b"\n",
    b"\x0b",
    b"\x0c",
    b"\x1e",
    b"//",
    b"/**/",
    b"#",
    b"-",
    b"0",
    b"e1",
    b"\\u0000",
    b"\\ud800",
    b"\\udfff",
    b"\\u{41}",
    b"\xef\xbb\xbf",
    b"\xc2\xa0",
    b"\xe2\x80\xa8",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\x80",
    b"\xf0\x9f\x98",
];

impl Noise {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        match self {
            Self::Insert(at, hostile) => splice(bytes, at.index(length + 1), 0, hostile),
            Self::Overwrite(at, byte) => splice(bytes, at.index(length + 1), 1, &[*byte]),
            Self::Delete(at, removed) => splice(bytes, at.index(length + 1), *removed, &[]),
            Self::Truncate(at) => bytes.truncate(at.index(length + 1)),
            Self::Copy(from, copied, to) => {
                let from = from.index(length + 1);
                let copy = bytes[from..(from + copied).min(length)].to_vec();
                splice(bytes, to.index(length + 1), 0, &copy);
            }
            Self::Before(hostile) => splice(bytes, 0, 0, hostile),
            Self::After(hostile) => bytes.extend_from_slice(hostile),
            Self::Utf16 => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                *bytes = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            }
        }
    }
}

fn splice(bytes: &mut Vec<u8>, at: usize, removed: usize, inserted: &[u8]) {
    let end = (at + removed).min(bytes.len());
    bytes.splice(at..end, inserted.iter().copied());
}
