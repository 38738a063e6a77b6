use std::{fmt, future::Future, time::Duration};

use actix_web::dev::ServerHandle;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use customers_api::{
    account::Account,
    api::{self, Api, Settings, Sockets},
    clock,
    model::Timestamp,
    record::Records,
    scope::Scope,
    signature::{Algorithm, Facts, PrivateKey, sign},
    signature_id::{Proof, SignatureId},
    store::{SigningKey, Store},
};
use jsonwebtoken::EncodingKey;
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::Value;

use super::{Answer, Client, Database, Engine, Raw, conformance};

/// The audience of every test's service.
pub(crate) const AUDIENCE: &str = "customers-api";

/// A running service with a database of its own, and one registered key, of the account `acme`.
pub(crate) struct TestApi {
    pub(crate) database: Database,
    pub(crate) store: Store,
    pub(crate) signer: Signer,
    address: String,
    base_path: String,
    records: Records,
    client: Client,
    server: ServerHandle,
}

/// Somebody whose key is registered.
pub(crate) struct Signer {
    pub(crate) account: Account,
    pub(crate) key: PrivateKey,
    pub(crate) key_id: String,
}

impl TestApi {
    /// Demands signatures, as in production.
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::with(engine, false, "/").await
    }

    /// Takes unsigned requests.
    pub(crate) async fn sandbox(engine: Engine) -> Self {
        Self::with(engine, true, "/").await
    }

    /// Demands signatures, and reads and writes records in this way.
    pub(crate) async fn with_records(engine: Engine, records: Records) -> Self {
        Self::build(engine, false, "/", records).await
    }

    pub(crate) async fn with(engine: Engine, sandbox: bool, base_path: &str) -> Self {
        Self::build(engine, sandbox, base_path, Records::default()).await
    }

    async fn build(engine: Engine, sandbox: bool, base_path: &str, records: Records) -> Self {
        let database = engine.database().await;
        let store = database.open().await;
        let signer = register(&store, "acme", Algorithm::Es384, "acme-1").await;
        let settings = settings(sandbox, base_path);
        Self::serve(database, store, signer, settings, records).await
    }

    /// Starts another service on the same database, with the same signer.
    pub(crate) async fn replica(&self) -> Self {
        self.over(self.database.shared()).await
    }

    /// Starts another service on another database, with the same signer.
    pub(crate) async fn over(&self, database: Database) -> Self {
        let Signer { account, key, key_id } = &self.signer;
        let key = PrivateKey::from_pem(key.to_pem()).unwrap();
        let signer = Signer { account: account.clone(), key, key_id: key_id.clone() };
        let store = database.open().await;
        Self::serve(database, store, signer, settings(false, "/"), self.records.clone()).await
    }

    async fn serve(
        database: Database,
        store: Store,
        signer: Signer,
        settings: Settings,
        records: Records,
    ) -> Self {
        let base_path = settings.base_path.as_str().to_owned();
        let api = Api::new(settings, store.clone(), records.clone()).await.unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let sockets = Sockets { listen, workers: 1, connections_max: 1000, tls: None };
        let server = api::run(api, sockets).unwrap();
        let (address, handle) = (server.address.to_string(), server.handle.clone());
        actix_web::rt::spawn(server.stopped());
        Self { database, store, signer, address, base_path, records, client: Client::new(), server: handle }
    }

    /// Registers a key.
    pub(crate) async fn register(&self, account: &str, algorithm: Algorithm, key_id: &str) -> Signer {
        register(&self.store, account, algorithm, key_id).await
    }

    /// Registers a key of the account `acme` that may less than write for ever.
    pub(crate) async fn register_limited(
        &self,
        key_id: &str,
        scope: Scope,
        expires: Option<Timestamp>,
    ) -> Signer {
        register_limited(&self.store, key_id, scope, expires).await
    }

    pub(crate) fn put(&self, id: &str, customer: &Value) -> Request<'_> {
        self.request("PUT", &format!("/customers/{id}")).json(customer)
    }

    pub(crate) fn get(&self, id: &str) -> Request<'_> {
        self.request("GET", &format!("/customers/{id}"))
    }

    pub(crate) fn delete(&self, id: &str) -> Request<'_> {
        self.request("DELETE", &format!("/customers/{id}"))
    }

    /// Asks for the headers of a customer.
    pub(crate) fn head(&self, id: &str) -> Request<'_> {
        self.request("HEAD", &format!("/customers/{id}"))
    }

    pub(crate) fn list(&self, query: &str) -> Request<'_> {
        self.request("GET", &format!("/customers{query}"))
    }

    /// A connection to the service, on which nothing was sent yet.
    pub(crate) async fn connect(&self) -> Raw {
        Raw::connect(&self.address).await
    }

    /// A request of this path below the base path, percent-encoded, with its query.
    pub(crate) fn request(&self, method: &str, target: &str) -> Request<'_> {
        Request {
            api: self,
            method: method.to_owned(),
            target: format!("{}{target}", self.base_path),
            headers: Vec::new(),
            body: Vec::new(),
            signature: Signature::By(&self.signer),
        }
    }

    /// How many customers the account `acme` has.
    pub(crate) async fn customers_stored(&self) -> usize {
        let page =
            self.store.list(&self.signer.account, customers_api::model::SortDirection::Asc, None, 1000).await;
        page.unwrap().customers.len()
    }
}

impl Drop for TestApi {
    fn drop(&mut self) {
        // The runtime ends with the test; nobody waits for this.
        drop(self.server.stop(false));
    }
}

fn settings(sandbox: bool, base_path: &str) -> Settings {
    Settings { audience: AUDIENCE.to_owned(), base_path: base_path.parse().unwrap(), sandbox }
}

/// Registers a key of a new signer.
pub(crate) async fn register(store: &Store, account: &str, algorithm: Algorithm, key_id: &str) -> Signer {
    register_with(store, account, algorithm, key_id, (Scope::Write, None)).await
}

/// Registers a key of a new signer of the account `acme`, which may less than write for ever.
pub(crate) async fn register_limited(
    store: &Store,
    key_id: &str,
    scope: Scope,
    expires: Option<Timestamp>,
) -> Signer {
    register_with(store, "acme", Algorithm::Es384, key_id, (scope, expires)).await
}

async fn register_with(
    store: &Store,
    account: &str,
    algorithm: Algorithm,
    key_id: &str,
    (scope, expires): (Scope, Option<Timestamp>),
) -> Signer {
    let key = PrivateKey::generate(algorithm).unwrap();
    let account: Account = account.parse().unwrap();
    let row = SigningKey {
        key_id: key_id.to_owned(),
        account: account.clone(),
        algorithm: algorithm.to_string(),
        public_key: key.public_key().unwrap().to_pem().to_owned(),
        created: clock::now().into(),
        scope,
        expires,
        revoked: None,
    };
    assert!(store.add_signing_key(row).await.unwrap(), "the key id is free");
    Signer { account, key, key_id: key_id.to_owned() }
}

enum Signature<'a> {
    None,
    By(&'a Signer),
    Token(String),
}

/// A request in the making.
pub(crate) struct Request<'a> {
    api: &'a TestApi,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    signature: Signature<'a>,
}

impl<'a> Request<'a> {
    pub(crate) fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").bytes(body.to_string())
    }

    pub(crate) fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn unsigned(mut self) -> Self {
        self.signature = Signature::None;
        self
    }

    pub(crate) fn signed_by(mut self, signer: &'a Signer) -> Self {
        self.signature = Signature::By(signer);
        self
    }

    /// Sends this text as the signature.
    pub(crate) fn token(mut self, token: impl Into<String>) -> Self {
        self.signature = Signature::Token(token.into());
        self
    }

    /// Sends the request; the answer is one that the contract documents.
    pub(crate) async fn send(self) -> Answer {
        let (api, method) = (self.api, self.method.clone());
        let path = self.target.split('?').next().unwrap().to_owned();
        let answer = self.send_unchecked().await;
        conformance::check(&method, path.strip_prefix(&api.base_path).unwrap(), &answer);
        answer
    }

    /// Sends the request; the answer may be one of another version of the contract.
    pub(crate) async fn send_unchecked(self) -> Answer {
        let Self { api, method, target, headers, body, signature } = self;
        let token = match signature {
            Signature::None => None,
            Signature::Token(token) => Some(token),
            Signature::By(signer) => Some(token_for(signer, &method, &target, &body)),
        };
        let mut request = api.client.request(&method, format!("http://{}{target}", api.address));
        for (name, value) in headers {
            request = request.header(&name, value);
        }
        if let Some(token) = token {
            request = request.header("Api-Signature", token);
        }
        request.body(body).send().await
    }
}

/// What a request with this signature proves, as the store is told.
pub(crate) fn proof(signature: SignatureId) -> Proof {
    Proof { signature, key_id: "a-key".to_owned() }
}

/// The signature of a request.
pub(crate) fn token_for(signer: &Signer, method: &str, target: &str, body: &[u8]) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let now = clock::now().timestamp();
    let facts = Facts { audience: AUDIENCE, now, method, path, base_path: "", template: "", query, body };
    sign(&signer.key, Some(&signer.key_id), &facts, 300).unwrap()
}

/// Any header and any claims, signed properly.
pub(crate) fn signed(key: &PrivateKey, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let algorithm = match key.algorithm() {
        Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
    };
    let der = PrivatePkcs8KeyDer::from_pem_slice(key.to_pem().as_bytes()).unwrap();
    let der = EncodingKey::from_ec_der(der.secret_pkcs8_der());
    format!("{message}.{}", jsonwebtoken::crypto::sign(message.as_bytes(), &der, algorithm).unwrap())
}

/// Waits until a condition holds; far longer than it takes, also on a machine that does much else.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    const LIMIT: Duration = Duration::from_secs(120);
    let waited = async {
        while !condition().await {
            actix_web::rt::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(actix_web::rt::time::timeout(LIMIT, waited).await.is_ok(), "in time: {what}");
}
