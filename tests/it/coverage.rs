//! Every answer that the contract documents has been given at least once, and was as documented.

use std::{collections::BTreeSet, time::Duration};

use actix_web::rt::time::sleep;
use customers_api::{api::BODY_BYTES_MAX, scope::Scope};
use futures_util::{
    FutureExt as _,
    future::LocalBoxFuture,
    stream::{self, StreamExt as _},
};

use crate::support::{
    Answer, Engine, Operation, Request, TestApi, eventually, mia, on_each_engine, operations,
};

/// What makes a fresh service, in which nobody is, answer an operation with a status.
pub(crate) type Provocation = for<'a> fn(&'a TestApi, &'a str) -> LocalBoxFuture<'a, Answer>;

const ALL: &[&str] = &[
    "putCustomer",
    "getCustomer",
    "headCustomer",
    "deleteCustomer",
    "listCustomers",
    "headCustomers",
    "listEvents",
    "headEvents",
    "listCustomerEvents",
    "headCustomerEvents",
];

const READS: &[&str] = &[
    "getCustomer",
    "headCustomer",
    "listCustomers",
    "headCustomers",
    "listEvents",
    "headEvents",
    "listCustomerEvents",
    "headCustomerEvents",
];

const EVENTS: &[&str] = &["listEvents", "headEvents", "listCustomerEvents", "headCustomerEvents"];

const PROVOCATIONS: [(u16, &[&str], Provocation); 15] = [
    (200, READS, |api, operation| after_a_put(api, ask(api, operation))),
    (201, &["putCustomer"], |api, operation| ask(api, operation).send().boxed_local()),
    (204, &["putCustomer", "deleteCustomer"], |api, operation| after_a_put(api, ask(api, operation))),
    (304, &["getCustomer", "headCustomer"], |api, operation| {
        after_a_put(api, ask(api, operation).header("if-none-match", "*"))
    }),
    (400, ALL, |api, operation| ask_wrongly(api, operation).send().boxed_local()),
    (401, ALL, |api, operation| ask(api, operation).unsigned().send().boxed_local()),
    (403, &["putCustomer", "deleteCustomer"], |api, operation| by_a_reader(api, operation).boxed_local()),
    (404, &["getCustomer", "headCustomer", "deleteCustomer"], |api, operation| {
        ask(api, operation).send().boxed_local()
    }),
    (410, EVENTS, after_a_restore),
    (412, &["putCustomer"], |api, operation| {
        ask(api, operation).header("if-match", "*").send().boxed_local()
    }),
    (412, &["deleteCustomer"], |api, operation| {
        after_a_put(api, ask(api, operation).header("if-match", "\"a\""))
    }),
    (413, ALL, |api, operation| {
        ask(api, operation).bytes(vec![b' '; BODY_BYTES_MAX + 1]).send().boxed_local()
    }),
    (415, &["putCustomer"], |api, _| {
        let text = api.request("PUT", "/customers/c-1").bytes(mia().to_string());
        text.header("content-type", "text/plain").send().boxed_local()
    }),
    (500, ALL, without_customers),
    (503, ALL, |api, operation| without_keys(api, operation).boxed_local()),
];

/// What no test can provoke, and why. It only ever gets shorter.
const UNPROVOKED: [(&str, u16, &str); 0] = [];

/// A good request.
fn ask<'a>(api: &'a TestApi, operation: &str) -> Request<'a> {
    match operation {
        "putCustomer" => api.put("c-1", &mia()),
        "getCustomer" => api.get("c-1"),
        "headCustomer" => api.head("c-1"),
        "deleteCustomer" => api.delete("c-1"),
        "listCustomers" => api.list(""),
        "headCustomers" => api.request("HEAD", "/customers"),
        "listEvents" => api.request("GET", "/events"),
        "headEvents" => api.request("HEAD", "/events"),
        "listCustomerEvents" => api.request("GET", "/customers/c-1/events"),
        "headCustomerEvents" => api.request("HEAD", "/customers/c-1/events"),
        other => panic!("say here how to ask for {other}"),
    }
}

/// A request that breaks the contract.
fn ask_wrongly<'a>(api: &'a TestApi, operation: &str) -> Request<'a> {
    match operation {
        "putCustomer" => api.put("%00", &mia()),
        "getCustomer" => api.get("%00"),
        "headCustomer" => api.head("%00"),
        "deleteCustomer" => api.delete("%00"),
        "listCustomers" => api.list("?PageSize=0"),
        "headCustomers" => api.request("HEAD", "/customers?PageSize=0"),
        "listEvents" => api.request("GET", "/events?Wait=11"),
        "headEvents" => api.request("HEAD", "/events?Wait=11"),
        "listCustomerEvents" => api.request("GET", "/customers/%00/events"),
        "headCustomerEvents" => api.request("HEAD", "/customers/%00/events"),
        other => panic!("say here how to ask for {other} wrongly"),
    }
}

fn after_a_put<'a>(api: &'a TestApi, request: Request<'a>) -> LocalBoxFuture<'a, Answer> {
    async move {
        api.put("c-1", &mia()).send().await.expect(201);
        request.send().await
    }
    .boxed_local()
}

/// The events that a token was given for are gone.
pub(crate) fn after_a_restore<'a>(api: &'a TestApi, operation: &'a str) -> LocalBoxFuture<'a, Answer> {
    async move {
        api.put("c-1", &mia()).send().await.expect(201);
        api.put("c-1", &mia()).send().await.expect(204);
        api.store.number_events().await.unwrap();
        let is_feed = ["listEvents", "headEvents"].contains(&operation);
        let path = if is_feed { "/events" } else { "/customers/c-1/events" };
        let page = api.request("GET", &format!("{path}?PageSize=1")).send().await.expect(200).json();
        api.database.execute("DELETE FROM events; UPDATE feed_heads SET newest = 0").await;
        let method = if operation.starts_with("head") { "HEAD" } else { "GET" };
        let token = page["PageToken"].as_str().unwrap();
        api.request(method, &format!("{path}?PageToken={token}")).send().await
    }
    .boxed_local()
}

/// The key may only read.
pub(crate) async fn by_a_reader(api: &TestApi, operation: &str) -> Answer {
    let reader = api.register_limited("reader", Scope::Read, None).await;
    ask(api, operation).signed_by(&reader).send().await
}

/// The database fails behind the service's back.
pub(crate) fn without_customers<'a>(api: &'a TestApi, operation: &'a str) -> LocalBoxFuture<'a, Answer> {
    async move {
        // A connection that cannot even be made ready is no fault, but absence: so each lane of Postgres writes first.
        for number in 1..=8 {
            api.put(&format!("c-{number}"), &mia()).send().await.expect(201);
        }
        api.database.execute("ALTER TABLE customers RENAME TO gone").await;
        api.database.execute("ALTER TABLE events RENAME TO gone_events").await;
        ask(api, operation).send().await
    }
    .boxed_local()
}

/// Keys that cannot be read again are not believed for long.
pub(crate) async fn without_keys(api: &TestApi, operation: &str) -> Answer {
    api.database.execute("ALTER TABLE signing_keys RENAME TO gone").await;
    eventually("nobody gets in", || async {
        sleep(Duration::from_millis(200)).await;
        ask(api, operation).send().await.status == 503
    })
    .await;
    ask(api, operation).send().await
}

/// Each operation with each status that it documents.
fn documented() -> BTreeSet<(&'static str, u16)> {
    let each = |operation: Operation| operation.statuses().map(move |status| (operation.id(), status));
    operations().flat_map(each).collect()
}

fn provoked() -> BTreeSet<(&'static str, u16)> {
    let each = |(status, operations, _): &(u16, &'static [&'static str], Provocation)| {
        let status = *status;
        operations.iter().map(move |operation| (*operation, status))
    };
    PROVOCATIONS.iter().flat_map(each).collect()
}

#[test]
fn each_documented_answer_has_a_provocation_and_no_other_has() {
    let (documented, provoked) = (documented(), provoked());
    let unprovoked: BTreeSet<_> =
        UNPROVOKED.iter().map(|(operation, status, _)| (*operation, *status)).collect();
    let covered = provoked.union(&unprovoked).copied().collect();
    let missing: Vec<_> = documented.difference(&covered).collect();
    assert!(missing.is_empty(), "documented, but never provoked: {missing:?}");
    let unknown: Vec<_> = covered.difference(&documented).collect();
    assert!(unknown.is_empty(), "provoked, but not documented: {unknown:?}");
    let both: Vec<_> = provoked.intersection(&unprovoked).collect();
    assert!(both.is_empty(), "can be provoked, so take the excuse away: {both:?}");
    for operation in documented.iter().map(|(operation, _)| *operation) {
        let has = |wanted: fn(u16) -> bool| {
            provoked.iter().any(|(name, status)| *name == operation && wanted(*status))
        };
        assert!(has(|status| status / 100 == 2), "{operation} has a success");
        assert!(has(|status| status == 401), "{operation} has an authentication failure");
        assert!(has(|status| status / 100 == 4 && status != 401), "{operation} has an error");
    }
}

/// How many services are started at once.
const AT_ONCE: usize = 8;

async fn each_documented_answer_is_given(engine: Engine) {
    let provocations = PROVOCATIONS.iter().flat_map(|(status, operations, provoke)| {
        operations.iter().map(move |operation| async move {
            let api = TestApi::start(engine).await;
            let answer = provoke(&api, operation).await;
            assert_eq!(answer.status, *status, "{operation}: {}", String::from_utf8_lossy(&answer.body));
        })
    });
    // Each starts a service of its own. All of them at once would take all connections of the database.
    let given = stream::iter(provocations).buffer_unordered(AT_ONCE).count().await;
    println!("{given} answers of {} operations were given, {} were not", ALL.len(), UNPROVOKED.len());
}

on_each_engine! { each_documented_answer_is_given }
