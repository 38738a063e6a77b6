use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, error::ErrorKind};

use super::{input, keys::key_id, output};
use crate::{
    clock,
    signature::{EXPIRY_SECONDS_MAX, Facts, PrivateKey, sign},
};

/// Print the Api-Signature of a request
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Sign {
    /// The method of the request, such as PUT
    #[arg(value_parser = method)]
    method: String,
    /// The path of the request as it is sent: percent-encoded, with the base path
    #[arg(value_parser = path)]
    path: String,
    /// The file with the private key (PKCS#8, PEM); - is standard input
    #[arg(long, env = "CUSTOMERS_KEY", value_name = "FILE")]
    key: PathBuf,
    /// The id under which the key is registered (`kid`) [default: its RFC 7638 thumbprint]
    #[arg(long, env = "CUSTOMERS_KEY_ID", value_name = "ID", value_parser = key_id, allow_hyphen_values = true)]
    key_id: Option<String>,
    /// The file with the body of the request; - is standard input
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// A query parameter, not encoded; it is added to the query in PATH
    #[arg(long = "query", value_name = "NAME=VALUE", value_parser = pair)]
    queries: Vec<(String, String)>,
    /// The audience of the server (`aud`)
    #[arg(long, env = "CUSTOMERS_AUDIENCE", default_value = "customers-api", value_name = "NAME")]
    audience: String,
    /// How many seconds the signature is valid
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(1..=EXPIRY_SECONDS_MAX))]
    expires_in: i64,
}

const EXAMPLES: &str = "\
Examples:
  customers-api sign GET /customers --query PageSize=5 --key private.pem
  curl -X PUT http://127.0.0.1:8080/customers/c-1 -H 'Content-Type: application/json' --data-binary @customer.json \\
    -H \"Api-Signature: $(customers-api sign PUT /customers/c-1 --body customer.json --key private.pem)\"";

impl Sign {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { method, path, key, key_id, body, queries, audience, expires_in } = self;
        if input::is_standard_input(&key) && body.as_deref().is_some_and(input::is_standard_input) {
            let conflict = "--key and --body cannot both be standard input\n";
            return Err(clap::Error::raw(ErrorKind::ArgumentConflict, conflict).into());
        }
        let key = input::key(&key, PrivateKey::from_pem)?;
        let key_id = key_id.map_or_else(|| key.thumbprint(), Ok)?;
        let body = body.map_or_else(|| Ok(Vec::new()), |file| read_body(&file))?;
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let mut pairs = form_urlencoded::Serializer::new(query.to_owned());
        pairs.extend_pairs(queries);
        let facts = Facts {
            audience: &audience,
            now: clock::now().timestamp(),
            method: &method,
            path,
            base_path: "",
            template: "",
            query: &pairs.finish(),
            body: &body,
        };
        output::print(sign(&key, Some(&key_id), &facts, expires_in)?)
    }
}

fn read_body(file: &Path) -> anyhow::Result<Vec<u8>> {
    input::read(file).with_context(|| format!("cannot read the body {}", file.display()))
}

/// Methods are case-sensitive (RFC 9110, 9.1), and those that exist are written in capitals.
fn method(text: &str) -> Result<String, String> {
    if text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(text.to_owned())
    } else {
        Err("must be a method in capital letters, such as PUT".to_owned())
    }
}

/// What a request can hold as its path and query. Anything else would be sent in another form than it was signed.
fn path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err("must begin with /, such as /customers/c-1".to_owned());
    }
    if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        Ok(text.to_owned())
    } else {
        Err("must be percent-encoded, such as /customers/c%201".to_owned())
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
