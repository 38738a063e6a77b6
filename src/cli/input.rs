//! Files that a command reads. `-` is standard input.

use std::{
    fs,
    io::{self, Read as _, stdin},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::builder::{PathBufValueParser, TypedValueParser};

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

pub(super) fn key<K>(file: &Path, from_pem: fn(&str) -> Result<K, InvalidKey>) -> anyhow::Result<K> {
    let shown = file.display();
    let bytes = read(file).with_context(|| format!("cannot read the key {shown}"))?;
    let pem = str::from_utf8(&bytes).map_err(|_| InvalidKey::Binary);
    pem.and_then(from_pem).with_context(|| format!("cannot use the key {shown}"))
}

/// Takes a file that is written: standard output is not one.
pub(super) fn new_file(what: &'static str) -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(move |file| {
        if is_standard_input(&file) {
            Err(format!("{what} is written into a new file only (./- is a file of the name -)"))
        } else {
            Ok(file)
        }
    })
}
