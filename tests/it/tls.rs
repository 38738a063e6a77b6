//! HTTPS, with the real binary: HTTP/1.1 and HTTP/2, the certificate and its changes, and what a client can hold.

mod certificate;
mod client;
mod hostile;
mod http2;
mod parity;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::support::{Service, certify, command, mia};

/// A folder with a CA, the certificate `server` of it, a database and a signing key.
struct Place(TempDir);

/// An answer that curl got.
#[derive(Debug)]
struct Answer {
    status: u16,
    /// The version of HTTP: `1.1` or `2`.
    version: String,
    /// The lines of the head, in small letters.
    head: Vec<String>,
    body: String,
}

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        certify(place.path(), "ca", &[]);
        place.certify("server");
        place.succeeds(&["keys", "generate", "--account", "acme", "--out", "private.pem"]);
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// A certificate of the CA for this machine: `NAME.crt` and `NAME.key`.
    fn certify(&self, name: &str) {
        certify(
            self.path(),
            name,
            &[
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ],
        );
        self.set_mode(&format!("{name}.key"), 0o600);
    }

    fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.file(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn database_url(&self) -> String {
        format!("sqlite:{}", self.file("customers.db").display())
    }

    /// Starts a service with the certificate `server`.
    fn start(&self, arguments: &[&str]) -> Service {
        let (certificate, key) = (self.file("server.crt"), self.file("server.key"));
        let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
        let arguments = [&["--tls-cert", certificate, "--tls-key", key], arguments].concat();
        Service::start(&self.database_url(), &self.file("log"), &arguments)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap()
    }

    /// Runs the binary to its end, in the folder: its exit code, standard output and standard error.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output =
            command().args(arguments).current_dir(self.path()).stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    #[track_caller]
    fn succeeds(&self, arguments: &[&str]) -> String {
        let (code, out, error) = self.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {error}");
        out
    }

    /// The header with the signature of a request, whose body is in a file.
    fn signature(&self, method: &str, path: &str, body: Option<&str>) -> String {
        let body = body.map_or(vec![], |file| vec!["--body", file]);
        let token = self.succeeds(&[&["sign", method, path, "--key", "private.pem"][..], &body].concat());
        format!("Api-Signature: {}", token.trim_end())
    }

    /// Sends a request by curl, in the folder.
    fn curl(&self, service: &Service, path: &str, arguments: &[&str]) -> Answer {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--include", "--max-time", "60", "--cacert", "ca.crt"])
            .args(["--write-out", "\n%{http_code} %{http_version}"])
            .args(arguments)
            .arg(format!("https://{}{path}", service.address))
            .current_dir(self.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let (text, end) = text.rsplit_once('\n').unwrap();
        let (status, version) = end.split_once(' ').unwrap();
        // An interim answer comes before the final one.
        let final_answer = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(text);
        let (head, body) = final_answer.split_once("\r\n\r\n").unwrap();
        Answer {
            status: status.parse().unwrap(),
            version: version.to_owned(),
            head: head.lines().skip(1).map(str::to_lowercase).collect(),
            body: body.to_owned(),
        }
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

const JSON: [&str; 2] = ["--header", "Content-Type: application/json"];

#[test]
fn both_versions_of_http_serve_signed_requests_alike() {
    let place = Place::new();
    fs::write(place.file("mia.json"), mia().to_string()).unwrap();
    fs::write(place.file("large"), vec![b' '; 1024 * 1024 + 1]).unwrap();
    let service = place.start(&["--base-path", "/api"]);
    for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let path = format!("/api/customers/K%C3%A4the{version}");
        let send = |method: &str, path: &str, arguments: &[&str]| {
            let arguments = [&[option, "--request", method], arguments].concat();
            let answer = place.curl(&service, path, &arguments);
            assert_eq!(answer.version, version, "{method} {path}");
            assert!(answer.header("x-request-id").is_some(), "{method} {path}: {answer:?}");
            assert!(answer.header("date").is_some(), "{method} {path}: {answer:?}");
            answer
        };
        let token = place.signature("PUT", &path, Some("mia.json"));
        let body = [&JSON[..], &["--data-binary", "@mia.json", "--header", &token]].concat();
        let created = send("PUT", &path, &body);
        assert_eq!(created.status, 201, "{created:?}");
        assert_eq!(created.header("location"), Some(format!("./k%c3%a4the{version}").as_str()));
        assert_eq!(created.header("content-length").unwrap_or("0"), "0");
        let again = send("PUT", &path, &body);
        assert_eq!((again.status, again.header("etag")), (201, created.header("etag")), "the first answer");

        let token = place.signature("GET", &path, None);
        let got = send("GET", &path, &["--header", &token]);
        assert_eq!(got.status, 200, "{got:?}");
        assert!(got.body.contains("Muster"), "{got:?}");
        assert_eq!(got.header("content-length"), Some(got.body.len().to_string().as_str()));
        assert_eq!(got.header("etag"), created.header("etag"));
        let unchanged = format!("If-None-Match: {}", got.header("etag").unwrap());
        let unchanged = send("GET", &path, &["--header", &token, "--header", &unchanged]);
        assert_eq!((unchanged.status, unchanged.body.as_str()), (304, ""));
        assert_eq!(unchanged.header("content-length"), None, "it would be that of the customer");
        assert_eq!(unchanged.header("content-type"), None);
        assert_eq!(unchanged.header("cache-control"), got.header("cache-control"));
        let token = place.signature("HEAD", &path, None);
        let head = send("HEAD", &path, &["--head", "--header", &token]);
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(head.header("content-length"), got.header("content-length"));

        let query = "/api/customers?PageSize=1";
        let token = place.signature("GET", query, None);
        assert_eq!(send("GET", query, &["--header", &token]).status, 200);
        assert_eq!(send("GET", "/api/customers?PageSize=2", &["--header", &token]).status, 401);
        assert_eq!(send("GET", &path, &[]).status, 401);
        let expectation = ["--header", &token, "--header", "Expect: tea"];
        assert_eq!(send("GET", query, &expectation).status, 400);
        assert_eq!(send("PUT", &path, &["--data-binary", "@large"]).status, 413);
        assert_eq!(
            send("PUT", &path, &["--data-binary", "@large", "--header", "Transfer-Encoding: chunked"]).status,
            413
        );
        assert_eq!(send("POST", &path, &[]).header("allow"), Some("get, head, put, delete"));
        assert_eq!(send("GET", "/nowhere", &[]).status, 404);
        for probe in ["/api/livez", "/api/readyz"] {
            assert_eq!(send("GET", probe, &[]).status, 204, "{probe}");
        }
        assert_eq!(send("GET", "/api/swagger-ui/", &[]).status, 200);
        let token = place.signature("DELETE", &path, None);
        assert_eq!(send("DELETE", &path, &["--header", &token]).status, 204);
    }
    let log = place.log();
    assert_eq!(log.matches("status=201").count(), 4, "each request has its line: {log}");
    assert!(!log.contains("ERROR"), "{log}");
    assert!(log.contains("scheme=\"https\""), "{log}");
}

/// What `openssl s_client` says.
fn s_client(service: &Service, arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &service.address])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let place = Place::new();
    let service = place.start(&["--sandbox"]);
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let said = s_client(&service, &[version, "-alpn", "h2"]);
        assert!(said.contains(&format!("New, {name}, Cipher is")), "{said}");
        assert!(said.contains("ALPN protocol: h2"), "{said}");
    }
    // The client itself would refuse these versions if its own rules were not lowered.
    for version in ["-tls1", "-tls1_1"] {
        let said = s_client(&service, &[version, "-cipher", "DEFAULT@SECLEVEL=0"]);
        assert!(said.contains("SSL alert number") && said.contains("Cipher is (NONE)"), "{version}: {said}");
    }
    for protocol in ["http/1.1", "http/1.0"] {
        let said = s_client(&service, &["-alpn", protocol]);
        assert!(said.contains(&format!("ALPN protocol: {protocol}")), "{said}");
    }
    let said = s_client(&service, &[]);
    assert!(said.contains("No ALPN negotiated"), "{said}");
    for (option, version) in [("--http1.0", "1"), ("--no-alpn", "1.1")] {
        let answer = place.curl(&service, "/customers", &[option]);
        assert_eq!((answer.status, answer.version.as_str()), (200, version), "{option}: {answer:?}");
    }
    let said = s_client(&service, &["-alpn", "spdy/3"]);
    assert!(said.contains("alert no application protocol"), "{said}");
    assert!(!place.log().contains("ERROR"), "{}", place.log());
}

#[test]
fn a_client_without_tls_is_told_to_use_it() {
    let place = Place::new();
    let service = place.start(&["--sandbox"]);
    let output = Command::new("curl")
        .args(["--silent", "--include", &format!("http://{}/customers/c-1", service.address)])
        .output()
        .unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("this port speaks TLS"), "{answer}");
    assert!(!place.log().contains("ERROR"), "{}", place.log());
}

#[test]
fn files_that_cannot_be_used_are_refused_at_the_start() {
    let place = Place::new();
    place.certify("other");
    place.certify("open");
    place.set_mode("open.key", 0o644);
    fs::write(place.file("nonsense"), "nonsense").unwrap();
    place.set_mode("nonsense", 0o600);
    for (certificate, key, reason) in [
        ("none.crt", "server.key", "cannot read none.crt: No such file"),
        ("server.crt", "none.key", "the key none.key cannot be read: No such file"),
        (".", "server.key", "cannot read .: "),
        ("nonsense", "server.key", "nonsense is not a certificate in PEM format"),
        ("server.key", "server.key", "server.key is not a certificate in PEM format"),
        ("server.crt", "nonsense", "nonsense is not a private key in PEM format"),
        ("server.crt", "open.key", "the key open.key can be read by others: run `chmod 600` on it"),
        ("server.crt", "other.key", "the key other.key does not belong to the certificate server.crt"),
    ] {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key];
        let (code, out, error) = place.run(&arguments);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{certificate} {key}: {error}");
        assert_eq!(error.lines().count(), 1, "{certificate} {key}: {error}");
        assert!(error.starts_with(&format!("error: cannot serve HTTPS: {reason}")), "{error}");
    }
    for (option, other) in [("--tls-cert", "--tls-key"), ("--tls-key", "--tls-cert")] {
        let (code, _, error) = place.run(&["serve", option, "server.crt"]);
        assert_eq!(code, Some(2), "{option}: {error}");
        assert!(error.contains(other), "{option}: {error}");
    }
}
