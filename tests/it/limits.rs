//! What a single client can do to the others: what its requests cost, how many connections and bytes it can hold, and
//! how long it can hold up a stop. All with the real binary.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use actix_web::rt;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Client, Service, eventually, mia};

/// The largest body.
const MIB: usize = 1024 * 1024;

/// Far longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A sandbox with a folder of its own.
struct Sandbox {
    service: Service,
    folder: TempDir,
}

impl Sandbox {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("customers.db").display());
        let arguments = [&["--sandbox"], arguments].concat();
        let service = Service::start(&url, &folder.path().join("log"), &arguments);
        Self { service, folder }
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap()
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.service.address).await.unwrap()
    }

    /// A connection on which a PUT was begun: its head was sent, and some of its body.
    async fn begin(&self, id: &str, length: usize, sent: usize) -> TcpStream {
        let mut stream = self.connect().await;
        let head = format!(
            "PUT /customers/{id} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The service may refuse the body before its end.
        let _ = stream.write_all(&vec![b' '; sent]).await;
        stream
    }

    async fn put(&self, id: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let uri = format!("http://{}/customers/{id}", self.service.address);
        let answer = Client::new().put(uri).json(body).send().await;
        (answer.status.as_u16(), answer.body)
    }

    async fn status(&self, path: &str) -> u16 {
        Client::new().get(format!("http://{}{path}", self.service.address)).status().await
    }

    /// Waits for the end of the process.
    async fn exit_code(self) -> (Option<i32>, String) {
        let Self { service, folder } = self;
        let ended = timeout(LIMIT, rt::task::spawn_blocking(move || service.wait())).await;
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        (ended.expect("the process ends in time").unwrap().code(), log)
    }
}

/// A request on a connection that stays open, and its answer up to the end of the head.
async fn probe(stream: &mut TcpStream) {
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    answer_head(stream).await;
}

async fn answer_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(LIMIT, stream.read_u8()).await.expect("an answer in time").unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// As many units as fit into a body.
fn full_of(prefix: &str, suffix: &str, unit: impl Fn(usize) -> String) -> String {
    let mut body = prefix.to_owned();
    for number in 0.. {
        let unit = unit(number);
        if body.len() + unit.len() + suffix.len() >= MIB {
            break;
        }
        if number > 0 {
            body.push(',');
        }
        body.push_str(&unit);
    }
    body + suffix
}

/// The valid customer, as the beginning of an object that has more identities.
fn valid_until_identities() -> String {
    let mut customer = mia();
    customer.as_object_mut().unwrap().remove("Identities");
    customer.to_string().trim_end_matches('}').to_owned() + "},\"Identities\":["
}

/// Bodies of a mebibyte that the contract refuses, each with what makes it special.
fn hostile_bodies() -> Vec<(&'static str, String)> {
    const VALID: &str = r#"{"IssuingCountry":"US","IDNumber":"X","IDType":"TaxID"}"#;
    let identities = |unit: &'static str| full_of("{\"Identities\":[", "]}", |_| unit.to_owned());
    let unknown = |number: usize| format!("\"{number:x}\":0");
    let thousand = (0..1000).map(unknown).collect::<Vec<_>>().join(",");
    let nested = "[".repeat(120) + &"]".repeat(120);
    let deep = format!("{{\"{}\":", "a".repeat(64)).repeat(120);
    let almost = valid_until_identities();
    vec![
        ("empty objects", identities("{}")),
        ("numbers", identities("0")),
        ("lists", identities("[[0],[]]")),
        ("texts", identities("\"\"")),
        ("an unknown member each", identities("{\"\":0}")),
        ("a wrong member each", identities("{\"IDType\":{}}")),
        (
            "a thousand unknown members each",
            full_of("{\"Identities\":[", "]}", |_| format!("{{{thousand}}}")),
        ),
        ("a list of objects at the top", full_of("[", "]", |_| "{\"a\":{}}".to_owned())),
        ("objects where nobody looks", full_of("{\"x\":[", "]}", |_| "{\"a\":{}}".to_owned())),
        ("objects in place of a text", full_of("{\"DateOfBirth\":[", "]}", |_| "{\"a\":{}}".to_owned())),
        ("unknown members", full_of("{", "}", unknown)),
        ("unknown members inside", full_of("{\"FullName\":{", "}}", unknown)),
        ("one member, again and again", full_of("{", "}", |_| "\"FullName\":{}".to_owned())),
        (
            "one member, again and again, deep inside",
            full_of(&(deep + "{"), &"}".repeat(121), |_| "\"a\":0".to_owned()),
        ),
        ("deep lists", full_of("[", "]", |_| nested.clone())),
        ("too deep lists", "[".repeat(MIB)),
        ("a long escaped text", format!("{{\"FullName\":\"{}\"}}", r"\u0041".repeat(170_000))),
        ("a long name", format!("{{\"{}\":0}}", "n".repeat(1_000_000))),
        ("valid but for the last item", full_of(&almost, ",{}]}", |_| VALID.to_owned())),
        ("valid but for the end", full_of(&almost, "]", |_| VALID.to_owned())),
        ("valid but for one rule", full_of(&almost, "]}", |_| VALID.replace('X', ""))),
    ]
}

/// The largest amount of memory that the process ever occupied, in bytes.
fn peak_memory(service: &Service) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[actix_web::test]
async fn a_body_of_a_mebibyte_costs_at_most_32_mib_whatever_it_holds() {
    for (what, body) in hostile_bodies() {
        let sandbox = Sandbox::start(&["--workers", "1"]);
        assert_eq!(sandbox.put("c-0", b"{}".to_vec()).await.0, 400);
        let before = peak_memory(&sandbox.service);

        let (status, answer) = sandbox.put("c-1", body.into_bytes()).await;

        let more = peak_memory(&sandbox.service) - before;
        assert_eq!(status, 400, "{what}");
        let answer_bytes = answer.len();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let listed = answer["RequestExtension"]["Body"].as_array().unwrap().len();
        assert!((1..=1000).contains(&listed), "{what}: {listed} violations");
        assert!(answer_bytes < MIB / 2, "{what}: the answer has {answer_bytes} bytes");
        assert!(more <= 32 * MIB, "{what}: {} MiB more", more / MIB);
    }
}

#[cfg(target_os = "linux")]
#[actix_web::test]
async fn hostile_bodies_that_come_together_are_explained_one_after_the_other() {
    let sandbox = Sandbox::start(&["--workers", "2"]);
    assert_eq!(sandbox.put("c-0", b"{}".to_vec()).await.0, 400);
    let before = peak_memory(&sandbox.service);
    let bodies = hostile_bodies();
    let count = bodies.len();

    let answers = join_all(bodies.into_iter().map(|(_, body)| sandbox.put("c-1", body.into_bytes()))).await;

    // The last ones may have waited too long.
    assert!(answers.iter().all(|(status, _)| [400, 503].contains(status)), "{answers:?}");
    assert!(answers.iter().any(|(status, _)| *status == 400));
    // The bodies themselves are there at once.
    let more = peak_memory(&sandbox.service) - before;
    assert!(more <= (32 + 4 * count) * MIB, "{} MiB more", more / MIB);
}

#[actix_web::test]
async fn violations_are_found_wherever_they_are_in_a_large_body() {
    let sandbox = Sandbox::start(&["--workers", "1"]);
    let identities = |count: usize| {
        let valid = json!({ "IssuingCountry": "US", "IDNumber": "X", "IDType": "TaxID" });
        let mut customer = mia();
        customer["Identities"] = vec![valid; count].into();
        customer
    };
    let fields = |answer: &[u8]| -> Vec<String> {
        let answer: Value = serde_json::from_slice(answer).unwrap();
        let items = answer["RequestExtension"]["Body"].as_array().unwrap();
        items.iter().map(|item| item["Field"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(sandbox.put("c-1", identities(18_000).to_string().into_bytes()).await.0, 201);

    let mut late = identities(18_000);
    late["Identities"][17_999]["IDType"] = json!("Visa");
    late["FullName"]["x"] = json!([{}]);
    let (_, answer) = sandbox.put("c-1", late.to_string().into_bytes()).await;
    let mut found = fields(&answer);
    found.sort();
    assert_eq!(found, ["FullName.x", "Identities[17999].IDType"]);

    // What comes after a thousand violations still decides whether the text is JSON.
    let many = format!("{{\"Identities\":[{}],\"a\":1", vec!["0"; 5000].join(","));
    let (_, answer) = sandbox.put("c-1", (many.clone() + ",\"a\":2}").into_bytes()).await;
    assert_eq!(fields(&answer)[0], "a", "given twice");
    assert_eq!(fields(&answer).len(), 1000);
    let (_, answer) = sandbox.put("c-1", (many + ",}").into_bytes()).await;
    assert_eq!(fields(&answer), [""], "not JSON");
}

#[actix_web::test]
async fn the_path_of_a_violation_has_a_bounded_length() {
    let sandbox = Sandbox::start(&["--workers", "1"]);
    let deep = |name: &str| format!("{{\"{name}\":").repeat(100) + "{\"a\":0,\"a\":0}" + &"}".repeat(100);
    for (name, is_cut) in [("a", false), ("aaa", true), ("Mia Muster", false), (&"b".repeat(64), true)] {
        let (_, answer) = sandbox.put("c-1", deep(name).into_bytes()).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let field = answer["RequestExtension"]["Body"][0]["Field"].as_str().unwrap().to_owned();
        assert!(field.len() <= 256, "{field}");
        assert_eq!(field.len() == 256 && field.ends_with("..."), is_cut, "{field}");
    }
}

#[actix_web::test]
async fn the_connection_that_has_waited_longest_gives_way_to_a_new_one() {
    let sandbox = Sandbox::start(&["--max-connections", "3", "--workers", "2"]);
    let mut served = sandbox.begin("c-1", 2, 0).await;
    let (mut idle, mut slow) = (sandbox.connect().await, sandbox.connect().await);
    probe(&mut idle).await;
    probe(&mut slow).await;
    // A second head that never ends does not make it look busy.
    slow.write_all(b"GET /livez HTTP/1.1\r\nHo").await.unwrap();
    probe(&mut idle).await;
    served.write_all(b"{").await.unwrap();

    let mut first = sandbox.connect().await;
    probe(&mut first).await;

    assert_eq!(
        served.read(&mut [0]).await.unwrap_or(0),
        0,
        "the one that waits for its body since the beginning"
    );
    let mut second = sandbox.connect().await;
    probe(&mut second).await;
    assert_eq!(slow.read(&mut [0]).await.unwrap_or(0), 0, "then the one with the slow head");
    for stream in [&mut idle, &mut first, &mut second] {
        probe(stream).await;
    }
    assert_eq!(
        sandbox.log().matches("give way to new ones").count(),
        1,
        "the log says why: {}",
        sandbox.log()
    );
}

#[actix_web::test]
async fn the_head_of_every_request_must_come_in_time() {
    let sandbox = Sandbox::start(&[]);
    let mut slow = sandbox.connect().await;
    probe(&mut slow).await;
    slow.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
    let (mut reader, mut writer) = slow.into_split();
    let ended = async { while reader.read(&mut [0; 1024]).await.is_ok_and(|bytes| bytes > 0) {} };
    let trickle = async {
        while writer.write_all(b"A").await.is_ok() {
            rt::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = ended => {}
        () = trickle => {}
        () = rt::time::sleep(LIMIT) => panic!("the connection is closed in time"),
    }
}

#[actix_web::test]
async fn large_bodies_share_their_room_and_keep_no_small_one_out() {
    let sandbox = Sandbox::start(&[]);
    let held = join_all((0..80).map(|number| {
        let id = format!("held-{number}");
        let sandbox = &sandbox;
        async move { sandbox.begin(&id, MIB, MIB - 1).await }
    }))
    .await;
    eventually("there is no room left", || async { sandbox.log().contains("leave no room") }).await;

    assert_eq!(sandbox.put("small", mia().to_string().into_bytes()).await.0, 201);
    let mut large = mia().to_string().into_bytes();
    large.resize(MIB, b' ');
    eventually("a body for which there is no room is refused", || async {
        held.iter().any(|stream| {
            let mut head = [0; 12];
            stream.try_read(&mut head).is_ok() && &head == b"HTTP/1.1 503"
        })
    })
    .await;

    drop(held);
    eventually("there is room again", || async { sandbox.put("large", large.clone()).await.0 != 503 }).await;
    assert_eq!(sandbox.put("large", large.clone()).await.0, 204);
}

#[cfg(target_os = "linux")]
#[actix_web::test]
async fn answers_that_nobody_takes_share_their_room_and_keep_no_small_one_out() {
    const LIST: &str = "/customers?PageSize=100";
    let sandbox = Sandbox::start(&[]);
    let mut large = mia();
    let identity = json!({ "IssuingCountry": "US", "IDNumber": "X", "IDType": "TaxID" });
    large["Identities"] = vec![identity; 1650].into();
    for number in 0..40 {
        assert_eq!(sandbox.put(&format!("c-{number}"), large.to_string().into_bytes()).await.0, 201);
    }
    assert_eq!(sandbox.status(LIST).await, 200);
    let before = peak_memory(&sandbox.service);

    let mut held = Vec::new();
    while sandbox.status(LIST).await == 200 {
        assert!(held.len() < 60, "there is no room left");
        let mut stream = sandbox.connect().await;
        stream.write_all(format!("GET {LIST} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).await.unwrap();
        held.push(stream);
    }

    assert_eq!(sandbox.put("small", mia().to_string().into_bytes()).await.0, 201);
    assert_eq!(sandbox.status("/customers/small").await, 200);
    let more = peak_memory(&sandbox.service) - before;
    assert!(more <= 96 * MIB, "{} MiB more", more / MIB);
    drop(held);
    eventually("there is room again", || async { sandbox.status(LIST).await == 200 }).await;
}

#[actix_web::test]
async fn a_slow_client_does_not_hold_up_the_end() {
    // One worker takes up its connections in the order in which they came.
    let sandbox = Sandbox::start(&["--stop-seconds", "1", "--workers", "1"]);
    let mut idle = sandbox.connect().await;
    probe(&mut idle).await;
    let mut slow = vec![sandbox.begin("c-1", 1000, 10).await, sandbox.begin("c-2", 1000, 10).await];
    let mut head = sandbox.connect().await;
    head.write_all(b"GET /customers/c-1 HTTP/1.1\r\nHo").await.unwrap();
    slow.push(head);
    // The service has seen them all: it answers a connection that came later.
    assert_eq!(sandbox.status("/livez").await, 204);
    let start = Instant::now();
    sandbox.service.signal("-TERM");

    let sending = rt::spawn(async move {
        loop {
            for stream in &mut slow {
                let _ = stream.write_all(b"a").await;
            }
            rt::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let (code, log) = sandbox.exit_code().await;
    sending.abort();

    assert_eq!(code, Some(0), "{log}");
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    assert_eq!(log.matches("stopped before all clients had their answers").count(), 1, "{log}");
    // A request whose head did not arrive was not accepted.
    assert!(log.contains("cut_off=2"), "{log}");
}

#[actix_web::test]
async fn without_slow_clients_the_end_waits_for_nobody() {
    let sandbox = Sandbox::start(&["--stop-seconds", "3600"]);
    let mut idle = sandbox.connect().await;
    probe(&mut idle).await;
    sandbox.service.signal("-INT");
    let (code, log) = sandbox.exit_code().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(" WARN stopped"), "{log}");
}

#[actix_web::test]
async fn a_second_signal_ends_the_process_at_once() {
    // One worker takes up its connections in the order in which they came.
    for (first, second) in [("-TERM", "-TERM"), ("-INT", "-TERM"), ("-TERM", "-INT")] {
        let sandbox = Sandbox::start(&["--stop-seconds", "3600", "--workers", "1"]);
        let _slow = sandbox.begin("body", 1000, 10).await;
        assert_eq!(sandbox.status("/livez").await, 204);
        sandbox.service.signal(first);
        eventually("it is stopping", || async { sandbox.log().contains("stopping") }).await;
        sandbox.service.signal(second);
        let (code, log) = sandbox.exit_code().await;
        assert_eq!(code, Some(1), "{first} {second}: {log}");
    }
}

#[actix_web::test]
async fn while_it_drains_the_service_is_not_ready_and_goes_on() {
    let sandbox = Sandbox::start(&["--drain-seconds", "3600"]);
    assert_eq!(sandbox.status("/readyz").await, 204);
    sandbox.service.signal("-TERM");
    eventually("it is not ready", || async { sandbox.status("/readyz").await == 503 }).await;
    assert!(sandbox.log().contains("part=\"server\""), "{}", sandbox.log());

    assert_eq!(sandbox.status("/livez").await, 204);
    assert_eq!(sandbox.put("c-1", mia().to_string().into_bytes()).await.0, 201);
    assert_eq!(sandbox.status("/customers/c-1").await, 200);

    sandbox.service.signal("-TERM");
    assert_eq!(sandbox.exit_code().await.0, Some(1), "a second signal");
}
