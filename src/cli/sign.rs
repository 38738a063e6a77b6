use std::{
    fs,
    io::{Read as _, stdin},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::{
    clock,
    signature::{EXPIRY_SECONDS_MAX, Facts, PrivateKey, sign},
};

/// Print the Api-Signature of a request
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Sign {
    /// The method of the request, such as PUT
    method: String,
    /// The path of the request as it is sent: percent-encoded, with the base path
    path: String,
    /// The file with the private key (PKCS#8, PEM)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The id under which the key is registered; required if several keys are active
    #[arg(long, value_name = "ID")]
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
        if !path.starts_with('/') {
            bail!("the path must begin with /, such as /customers/c-1, but it is {path:?}");
        }
        let key = private_key(&key)?;
        let body = body.map_or_else(|| Ok(Vec::new()), |file| read(&file))?;
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let mut pairs = form_urlencoded::Serializer::new(query.to_owned());
        pairs.extend_pairs(queries);
        let facts = Facts {
            audience: &audience,
            now: clock::now().timestamp(),
            method: &method,
            path,
            query: &pairs.finish(),
            body: &body,
        };
        println!("{}", sign(&key, key_id.as_deref(), &facts, expires_in)?);
        Ok(())
    }
}

fn private_key(file: &Path) -> anyhow::Result<PrivateKey> {
    let pem = fs::read_to_string(file).with_context(|| format!("cannot read the key {}", file.display()))?;
    PrivateKey::from_pem(&pem).with_context(|| format!("cannot use the key {}", file.display()))
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file != Path::new("-") {
        return fs::read(file).with_context(|| format!("cannot read the body {}", file.display()));
    }
    let mut body = Vec::new();
    stdin().read_to_end(&mut body).context("cannot read the body from standard input")?;
    Ok(body)
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
