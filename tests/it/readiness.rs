//! `/readyz` tells the truth: it is never 204 while requests fail. With the real binary on SQLite.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Stdio,
};

use customers_api::{
    clock,
    signature::{Facts, PrivateKey, sign},
};
use tempfile::TempDir;

use crate::support::{Client, Service, command, eventually, mia};

/// A service that demands signatures, and a key that it knows.
struct Place {
    service: Service,
    key: PrivateKey,
    folder: TempDir,
}

impl Place {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("customers.db").display());
        let generated = command()
            .args(["keys", "generate", "--account", "acme", "--key-id", "k-1", "--out", "private.pem"])
            .args(["--database-url", &url])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(generated.success());
        let key =
            PrivateKey::from_pem(&fs::read_to_string(folder.path().join("private.pem")).unwrap()).unwrap();
        let service = Service::start(&url, &folder.path().join("log"), &[]);
        Self { service, key, folder }
    }

    async fn ready(&self) -> u16 {
        Client::new().get(format!("http://{}/readyz", self.service.address)).status().await
    }

    async fn status(&self, method: &str, path: &str, body: String) -> u16 {
        let now = clock::now().timestamp();
        let facts = Facts {
            audience: "customers-api",
            now,
            method,
            path,
            base_path: "",
            template: "",
            query: "",
            body: body.as_bytes(),
        };
        let token = sign(&self.key, Some("k-1"), &facts, 300).unwrap();
        let client = Client::new();
        let request = client.request(method, format!("http://{}{path}", self.service.address));
        request.header("api-signature", token).json(body).status().await
    }

    /// The status of each operation.
    async fn statuses(&self) -> [u16; 4] {
        [
            self.status("PUT", "/customers/c-1", mia().to_string()).await,
            self.status("GET", "/customers/c-1", String::new()).await,
            self.status("GET", "/customers", String::new()).await,
            self.status("DELETE", "/customers/c-2", String::new()).await,
        ]
    }
}

/// Overwrites the beginning of a file in place, so that it is still the same file.
fn overwrite(path: &Path) {
    let mut file = File::options().write(true).open(path).unwrap();
    file.write_all(&vec![0x5a; 64 * 1024]).unwrap();
}

#[actix_web::test]
async fn a_file_that_is_gone_or_overwritten_is_neither_ready_nor_used() {
    type Harm = fn(&Path, &Path);
    let harms: [(&str, Harm); 7] = [
        ("moved", |file, _| fs::rename(file, file.with_extension("aside")).unwrap()),
        ("deleted", |file, _| fs::remove_file(file).unwrap()),
        ("replaced", |file, _| {
            fs::copy(file, file.with_extension("copy")).unwrap();
            fs::rename(file.with_extension("copy"), file).unwrap();
        }),
        ("overwritten", |file, _| overwrite(file)),
        ("emptied", |file, _| drop(File::create(file).unwrap())),
        ("overwritten with its log", |file, log| {
            overwrite(file);
            overwrite(log);
        }),
        ("a text", |file, _| fs::write(file, "garbage\n").unwrap()),
    ];
    for (what, harm) in harms {
        let place = Place::start();
        assert_eq!(place.statuses().await, [201, 200, 200, 404], "{what}: before");
        assert_eq!(place.ready().await, 204, "{what}: before");

        let file = place.folder.path().join("customers.db");
        harm(&file, &file.with_extension("db-wal"));

        eventually("it is not ready", || async { place.ready().await == 503 }).await;
        for _ in 0..3 {
            assert_eq!(place.statuses().await, [503; 4], "{what}");
            assert_eq!(place.ready().await, 503, "{what}");
        }
        let log = fs::read_to_string(place.folder.path().join("log")).unwrap();
        assert!(log.contains("not ready part=\"database\""), "{what}: {log}");
        assert_eq!(log.matches("every request is refused").count(), 1, "{what}: one line: {log}");
    }
}

#[actix_web::test]
async fn a_log_that_was_overwritten_is_found_without_a_probe() {
    let place = Place::start();
    assert_eq!(place.statuses().await, [201, 200, 200, 404]);
    overwrite(&place.folder.path().join("customers.db-wal"));
    eventually("writes are refused", || async {
        place.status("PUT", "/customers/c-1", mia().to_string()).await == 503
    })
    .await;
    for _ in 0..3 {
        assert_eq!(place.statuses().await, [503; 4]);
    }
    assert_eq!(place.ready().await, 503);
}
