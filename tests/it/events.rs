//! What happened to customers, for those who follow.

mod cli;
mod copy;
mod feed;
mod numbering;
mod prune;
mod tokens;
mod transfer;
mod waiting;

use serde_json::Value;

use crate::support::{Answer, Database, TestApi, command};

/// A request for events of the account.
async fn list(api: &TestApi, query: &str) -> Answer {
    api.request("GET", &format!("/events{query}")).send().await
}

/// A page of events, and its token.
fn page(answer: &Answer) -> (Vec<Value>, String) {
    let page = answer.json();
    (page["Items"].as_array().unwrap().clone(), page["PageToken"].as_str().unwrap().to_owned())
}

/// All events that are there, page by page, and the last token.
pub(crate) async fn all(api: &TestApi, size: usize) -> (Vec<Value>, String) {
    api.store.number_events().await.unwrap();
    let (mut events, mut token) = page(&list(api, &format!("?PageSize={size}")).await.expect(200));
    loop {
        let next = list(api, &format!("?PageSize={size}&PageToken={token}")).await.expect(200);
        let (more, after) = page(&next);
        if more.is_empty() {
            assert_eq!(after, token, "the token of an empty page is the one that was sent");
            return (events, token);
        }
        assert!(more.len() <= size);
        events.extend(more);
        token = after;
    }
}

/// A member of each event.
fn members<'a>(events: &'a [Value], name: &str) -> Vec<&'a str> {
    events.iter().map(|event| event[name].as_str().unwrap_or("-")).collect()
}

/// The version that an answer tells.
fn tag(answer: &Answer) -> String {
    answer.header("etag").trim_matches('"').to_owned()
}

/// Runs a command on a database to its end: the exit code, standard output and standard error.
fn run(database: &Database, arguments: &[&str]) -> (i32, String, String) {
    let output = command().args(arguments).args(["--database-url", &database.url]).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}
