//! Files that a command reads. `-` is standard input.

use std::{
    fs,
    io::{self, Read as _, stdin},
    path::{Path, PathBuf},
};

use crate::signature::InvalidKey;

/// The file that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Whether a file is standard input, which can be read only once.
pub(super) fn is_standard_input(file: &Path) -> bool {
    file == Path::new(STANDARD_INPUT)
}

pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    if !is_standard_input(file) {
        return fs::read(file);
    }
    let mut bytes = Vec::new();
    stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a file that holds a key.
pub(super) fn pem(bytes: Vec<u8>) -> Result<String, InvalidKey> {
    String::from_utf8(bytes).map_err(|_| InvalidKey::Binary)
}

/// A file that is written: standard output is not one.
pub(super) fn new_file(file: PathBuf) -> Result<PathBuf, &'static str> {
    if is_standard_input(&file) {
        return Err("a private key is written into a new file only (./- is a file of the name -)");
    }
    Ok(file)
}
