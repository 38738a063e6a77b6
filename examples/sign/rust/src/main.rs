//! Sends one signed request: `METHOD PATH [QUERY] [BODY-FILE]`, path and query percent-encoded.

use std::{collections::BTreeMap, env, error::Error, fs, process::ExitCode, thread, time::Duration};

use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode, get_current_timestamp,
    jwk::{Jwk, ThumbprintHash},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use ureq::{Agent, http::Request};
use uuid::Uuid;

/// What the environment says.
fn setting(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn sign(method: &str, path: &str, query: &str, body: &[u8]) -> Result<String, Box<dyn Error>> {
    let file = setting("CUSTOMERS_KEY").ok_or("CUSTOMERS_KEY is not set: it must name the file with the private key")?;
    let key = EncodingKey::from_ec_pem(&fs::read(file)?)?;
    // A key on P-384 signs with ES384, a key on P-256 with ES256.
    let (algorithm, jwk) = [Algorithm::ES384, Algorithm::ES256]
        .into_iter()
        .find_map(|algorithm| Some((algorithm, Jwk::from_encoding_key(&key, algorithm).ok()?)))
        .ok_or("the key is not on P-384 or P-256")?;
    let now = get_current_timestamp();
    let mut claims = json!({
        "aud": setting("CUSTOMERS_AUDIENCE").unwrap_or_else(|| "customers-api".to_owned()), "iat": now, "exp": now + 300, "jti": Uuid::new_v4().to_string(), "method": method, "path": path
    });
    let mut params = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        params.entry(name).or_default().push(value);
    }
    if !params.is_empty() {
        let value = |values: &Vec<_>| if let [value] = &values[..] { json!(value) } else { json!(values) };
        claims["queryParams"] =
            params.iter().map(|(name, values)| (name.to_string(), value(values))).collect();
    }
    if !body.is_empty() {
        claims["bodyHash"] = Value::from(hex::encode(Sha256::digest(body)));
    }
    let kid = setting("CUSTOMERS_KEY_ID").map_or_else(|| jwk.thumbprint(ThumbprintHash::SHA256), Ok)?;
    let header = Header { kid: Some(kid), ..Header::new(algorithm) };
    Ok(encode(&header, &claims, &key)?)
}

/// Sends the same signed request again after 500, 503 or a lost answer: the service carries it out at most once.
fn send(method: &str, path: &str, query: &str, body: &[u8]) -> Result<(u16, String), Box<dyn Error>> {
    let server = setting("CUSTOMERS_URL").unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let url = format!("{}{path}", server.trim_end_matches('/'));
    let url: ureq::http::Uri = if query.is_empty() { url } else { format!("{url}?{query}") }.parse()?;
    let token = sign(method, url.path(), url.query().unwrap_or_default(), body)?;
    let config =
        Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(30)));
    let agent = config.build().new_agent();
    for attempt in 1.. {
        let request = Request::builder().method(method).uri(&url).header("Api-Signature", &token);
        let answer = if body.is_empty() {
            agent.run(request.body(())?)
        } else {
            agent.run(request.header("Content-Type", "application/json").body(body)?)
        };
        match answer {
            Ok(mut answer) if attempt == 5 || !matches!(answer.status().as_u16(), 500 | 503) => {
                return Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?));
            }
            Err(error) if attempt == 5 => return Err(error.into()),
            _ => thread::sleep(Duration::from_secs(attempt)),
        }
    }
    unreachable!("the last attempt returns")
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let argument = |index: usize| arguments.get(index).map_or("", String::as_str);
    let body = if argument(3).is_empty() { Vec::new() } else { fs::read(argument(3))? };
    let (status, text) = send(argument(0), argument(1), argument(2), &body)?;
    println!("{status}\n{text}");
    Ok(if (200..300).contains(&status) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
