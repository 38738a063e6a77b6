//! Lines that are read one by one. A line that is too long is refused.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _, stdin},
    path::Path,
};

use super::input::is_standard_input;

const BUFFER_BYTES: usize = 64 * 1024;

pub(super) struct Lines {
    reader: Box<dyn BufRead>,
    line_bytes_max: usize,
    line: Vec<u8>,
    number: u64,
}

/// The error for a line that is longer than it may be. It was passed over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// The number of a line, and the line without its end.
type Line<'a> = (u64, Result<&'a [u8], TooLong>);

impl Lines {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(file: &Path, line_bytes_max: usize) -> io::Result<Self> {
        let reader: Box<dyn BufRead> = if is_standard_input(file) {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, stdin().lock()))
        } else {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, File::open(file)?))
        };
        Ok(Self { reader, line_bytes_max, line: Vec::new(), number: 0 })
    }

    /// The next line without its end, and its number; `None` after the last one.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        // One byte more for the end of the line.
        let bytes_max = self.line_bytes_max as u64 + 1;
        if self.reader.by_ref().take(bytes_max).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let is_whole = self.line.pop_if(|last| *last == b'\n').is_some();
        if !is_whole && self.line.len() > self.line_bytes_max {
            self.pass_over()?;
            return Ok(Some((self.number, Err(TooLong))));
        }
        Ok(Some((self.number, Ok(&self.line))))
    }

    /// Reads up to the end of the line.
    fn pass_over(&mut self) -> io::Result<()> {
        loop {
            let buffered = self.reader.fill_buf()?;
            let end = buffered.iter().position(|byte| *byte == b'\n');
            let (read, is_over) = (end.map_or(buffered.len(), |end| end + 1), end.is_some());
            self.reader.consume(read);
            if is_over || read == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        for capacity in [1, 2, 3, 64] {
            let text = &b"1234\n\n12345\n123456789\n1\n1234"[..];
            let reader = Box::new(BufReader::with_capacity(capacity, text));
            let mut lines = Lines { reader, line_bytes_max: 4, line: Vec::new(), number: 0 };
            for (number, expected) in [
                (1, Ok(&b"1234"[..])),
                (2, Ok(&b""[..])),
                (3, Err(TooLong)),
                (4, Err(TooLong)),
                (5, Ok(&b"1"[..])),
                (6, Ok(&b"1234"[..])),
            ] {
                assert_eq!(lines.next().unwrap(), Some((number, expected)));
            }
            assert_eq!(lines.next().unwrap(), None);
            assert!(lines.line.capacity() < 64, "no line is read whole that is too long");
        }
    }
}
