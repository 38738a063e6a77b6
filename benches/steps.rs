//! What each step between the socket and the disk takes, so that a regression has an address.
//!
//! `cargo bench --bench steps` takes SQLite; with `CUSTOMERS_BENCH_POSTGRES_URL`, Postgres as well. The whole, over a
//! socket and under load, is `--bench load`.

#![allow(clippy::expect_used, reason = "a benchmark fails by a panic")]

#[path = "load/customer.rs"]
mod customer;
#[path = "load/dice.rs"]
mod dice;

use std::{
    env,
    hint::black_box,
    time::{Duration, Instant},
};

use aws_lc_rs::digest::{SHA256, digest};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use customers_api::{
    account::Account,
    clock, contract,
    model::{CustomerId, CustomerInput},
    random,
    record::{Records, SealKeys, generate_key_line},
    scope::Scope,
    signature::{Algorithm, EXPIRY_SECONDS_MAX, Facts, Key, Keyring, PrivateKey, sign, verify},
    signature_id::{Proof, SignatureId},
    store::{Access, Condition, DatabaseUrl, NewVersion, Store, StoredCustomer, Version},
    telemetry::{Metrics, SignatureResult, StoreMetrics, TraceParent, WriteOutcome},
};
use futures_util::future::try_join_all;
use tokio::runtime::{Builder, Runtime};

use crate::customer::customer;

const NOW: i64 = 1_750_000_000;

fn facts(body: &[u8]) -> Facts<'_> {
    Facts {
        audience: "customers-api",
        now: NOW,
        method: "PUT",
        path: "/customers/bench",
        base_path: "",
        template: "",
        query: "",
        body,
    }
}

/// The signature, and what it says of the request.
fn signatures(criterion: &mut Criterion) {
    let body = customer(0, 1).to_string();
    let facts = facts(body.as_bytes());
    let mut group = criterion.benchmark_group("verify");
    for algorithm in Algorithm::ALL {
        let key = PrivateKey::generate(algorithm).expect("a key");
        let token = sign(&key, Some("bench"), &facts, EXPIRY_SECONDS_MAX).expect("a token");
        for keys in [1, 1000] {
            let ids = (1..keys).map(|number| format!("other-{number}")).chain(["bench".to_owned()]);
            let key = Key {
                account: Account::sandbox(),
                public_key: key.public_key().expect("a public key"),
                scope: Scope::Write,
                expires_at: None,
                is_revoked: false,
            };
            let keyring: Keyring = ids.map(|id| (id, key.clone())).collect();
            group.bench_function(
                BenchmarkId::new(algorithm.to_string(), format!("{keys} keys")),
                |bencher| {
                    bencher.iter(|| verify(black_box(&token), &keyring, &facts).expect("a good signature"));
                },
            );
        }
    }
    group.finish();
}

/// The body: its hash, its way to a valid customer, and what is wrong with one that is none.
fn bodies(criterion: &mut Criterion) {
    for identities in [1, 20] {
        let body = customer(0, identities).to_string();
        let mut group = criterion.benchmark_group(format!("body with {identities} identities"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("hash", |bencher| bencher.iter(|| digest(&SHA256, black_box(body.as_bytes()))));
        group.bench_function("parse and validate", |bencher| {
            bencher.iter(|| serde_json::from_str::<CustomerInput>(black_box(&body)).expect("a customer"));
        });
        let mut invalid = customer(0, identities);
        invalid["DateOfBirth"] = "1985-02-30".into();
        let invalid = invalid.to_string();
        group.bench_function("explain one fault", |bencher| {
            bencher.iter(|| contract::explain("CustomerInput", black_box(invalid.as_bytes())));
        });
        let input: CustomerInput = serde_json::from_str(&body).expect("a customer");
        let id: CustomerId = "bench".parse().expect("an id");
        let (account, version, now) = (Account::sandbox(), Version::new(), clock::now().into());
        let sealed = Records::new(SealKeys::parse(&generate_key_line("bench")).expect("a key"));
        for (kind, records) in [("plain", Records::default()), ("sealed", sealed)] {
            let record = records.encode(&account, &id, version, &input).expect("a record");
            let stored =
                StoredCustomer { customer_id: id.clone(), record, version, created: now, updated: now };
            group.bench_function(BenchmarkId::new("record", kind), |bencher| {
                bencher.iter(|| records.encode(&account, &id, version, black_box(&input)).expect("a record"));
            });
            group.bench_function(BenchmarkId::new("answer", kind), |bencher| {
                bencher.iter(|| records.answer(&account, black_box(&stored)).expect("JSON"));
            });
        }
        group.finish();
    }
}

/// What watching costs a signed PUT: all that is counted and measured for it, and the reading of its `traceparent`.
fn watching(criterion: &mut Criterion) {
    let store = StoreMetrics::new().expect("metrics");
    let metrics = Metrics::new(&store, "sqlite").expect("metrics");
    let started = Instant::now();
    criterion.bench_function("metrics of a signed PUT", |bencher| {
        bencher.iter(|| {
            let active = metrics.begin_request();
            metrics.count_signature(SignatureResult::Accepted);
            store.note_commit(1, started.elapsed());
            store.count(WriteOutcome::Created);
            metrics.note_request("PUT", "/customers/{CustomerID}", black_box("201"), started.elapsed());
            drop(active);
        });
    });
    let traceparent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    criterion.bench_function("traceparent", |bencher| {
        bencher.iter(|| TraceParent::parse(black_box(traceparent)).expect("a valid one"));
    });
}

/// Writes that come at once, new customers and known ones, and a read.
fn stores(criterion: &mut Criterion) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let sqlite = format!("sqlite:{}", directory.path().join("bench.db").display());
    let postgres = env::var("CUSTOMERS_BENCH_POSTGRES_URL").ok();
    for (engine, url) in [("SQLite", Some(sqlite)), ("Postgres", postgres)] {
        let Some(url) = url else { continue };
        let url: DatabaseUrl = url.parse().expect("a database URL");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let store = runtime.block_on(Store::open(&url, Access::Create)).expect("a database");
        store_of(criterion, engine, &runtime, &store);
    }
}

/// A signature that was never used, as the store knows it.
fn proof() -> Proof {
    let expires_at = clock::now().timestamp() + EXPIRY_SECONDS_MAX;
    Proof { signature: SignatureId { expires_at, hash: random::bytes() }, key_id: "bench".to_owned() }
}

fn store_of(criterion: &mut Criterion, engine: &str, runtime: &Runtime, store: &Store) {
    let account = Account::sandbox();
    let input: CustomerInput = serde_json::from_value(customer(0, 1)).expect("a customer");
    let put = |id: String| {
        let (account, id): (_, CustomerId) = (&account, id.parse().expect("an id"));
        let version = NewVersion::of(Some(proof()));
        let record = Records::default().encode(account, &id, version.version(), &input).expect("a record");
        async move { store.put(account, id, version, record, Condition::Always).await }
    };
    let mut group = criterion.benchmark_group(format!("store on {engine}"));
    group.measurement_time(Duration::from_secs(5));
    for writes in [1_usize, 8, 64] {
        group.throughput(Throughput::Elements(writes as u64));
        group.bench_function(BenchmarkId::new("create at once", writes), |bencher| {
            bencher.iter(|| {
                let puts = (0..writes).map(|_| put(random::uuid().to_string()));
                runtime.block_on(try_join_all(puts)).expect("written")
            });
        });
        group.bench_function(BenchmarkId::new("replace at once", writes), |bencher| {
            bencher.iter(|| {
                let puts = (0..writes).map(|number| put(format!("known-{number}")));
                runtime.block_on(try_join_all(puts)).expect("written")
            });
        });
    }
    group.throughput(Throughput::Elements(1));
    let id: CustomerId = "known-0".parse().expect("an id");
    group.bench_function("read", |bencher| {
        bencher.iter(|| runtime.block_on(store.get(&account, &id)).expect("read").expect("there"));
    });
    group.finish();
}

criterion_group!(steps, signatures, bodies, watching, stores);
criterion_main!(steps);
