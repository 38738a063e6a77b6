//! The contract against the one of the last release: a change that makes an old client fail needs a new version.
//!
//! Versions follow semantic versioning: the first of the numbers that is not 0 goes up.

mod compare;

use std::{path::Path, process::Command};

use compare::breaking_changes;
use customers_api::contract;
use serde_json::{Value, json};

/// What git prints, if the folder is a repository and the command succeeds.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// The contract of the last tag before this commit, and the tag.
fn last_release(folder: &Path) -> Option<(String, Value)> {
    let tag = git(folder, &["describe", "--tags", "--abbrev=0", "--match", "v*"])?.trim().to_owned();
    let text = git(folder, &["show", &format!("{tag}:openapi.yaml")])?;
    Some((tag, yaml_serde::from_str(&text).unwrap()))
}

/// Whether clients of the old version must expect that the new one breaks them.
fn may_break(old: &str, new: &str) -> bool {
    let significant = |version: &str| {
        let numbers: Vec<u32> = version.split('.').map(|number| number.parse().unwrap()).collect();
        let first = numbers.iter().position(|number| *number > 0).unwrap_or(numbers.len());
        numbers.into_iter().take(first + 1).collect::<Vec<_>>()
    };
    significant(old) != significant(new)
}

/// The breaking changes that the version does not admit.
fn refused(old: &Value, new: &Value) -> Vec<String> {
    let version = |document: &Value| document["info"]["version"].as_str().unwrap().to_owned();
    if may_break(&version(old), &version(new)) { Vec::new() } else { breaking_changes(old, new) }
}

#[test]
fn the_contract_breaks_no_client_of_the_last_release() {
    let Some((tag, old)) = last_release(Path::new(env!("CARGO_MANIFEST_DIR"))) else {
        println!("there is no tag v*: the contract is compared with nothing");
        return;
    };
    let changes = refused(&old, contract::document());
    assert!(
        changes.is_empty(),
        "openapi.yaml breaks clients of {tag}. Undo this, or raise the version:\n{}",
        changes.join("\n")
    );
}

#[test]
fn the_contract_is_compared_with_the_last_tag() {
    let folder = tempfile::tempdir().unwrap();
    let commit = |version: &str| {
        let text = format!("info: {{ version: {version} }}\n");
        std::fs::write(folder.path().join("openapi.yaml"), text).unwrap();
        let author = ["-c", "user.name=A Name", "-c", "user.email=name@example.com"];
        git(folder.path(), &["add", "."]).unwrap();
        git(folder.path(), &[&author[..], &["commit", "--quiet", "--message", version]].concat()).unwrap();
    };
    git(folder.path(), &["init", "--quiet"]).unwrap();
    commit("0.1.0");
    assert_eq!(last_release(folder.path()), None, "no tag");
    for version in ["0.1.0", "0.2.0"] {
        commit(&format!("{version}-made"));
        commit(version);
        git(folder.path(), &["tag", &format!("v{version}")]).unwrap();
    }
    commit("0.3.0");
    let old = json!({ "info": { "version": "0.2.0" } });
    assert_eq!(last_release(folder.path()), Some(("v0.2.0".to_owned(), old)));
}

#[test]
fn a_version_says_whether_it_may_break_clients() {
    for (old, new, expected) in [
        ("0.1.0", "0.1.1", false),
        ("0.1.0", "0.2.0", true),
        ("0.9.0", "1.0.0", true),
        ("1.0.0", "1.1.0", false),
        ("1.0.0", "1.0.1", false),
        ("1.9.9", "2.0.0", true),
    ] {
        assert_eq!(may_break(old, new), expected, "{old} {new}");
    }
}

/// A change of the contract: what it is, where, and the new value; `null` removes what is there.
type Change = (&'static str, String, Value);

/// The contract with a change.
fn changed((_, pointer, value): &Change) -> Value {
    let mut document = contract::document().clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/");
    let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
    match (parent, value) {
        (Value::Array(items), value) if name == "-" => items.push(value.clone()),
        (Value::Array(items), Value::Null) => drop(items.remove(name.parse().unwrap())),
        (Value::Object(members), Value::Null) => drop(members.remove(&name).unwrap()),
        (Value::Object(members), value) => drop(members.insert(name, value.clone())),
        (parent, _) => panic!("{pointer}: {parent}"),
    }
    document
}

const SCHEMAS: &str = "/components/schemas";

#[test]
fn a_change_that_breaks_clients_is_found() {
    let put = "/paths/~1customers~1{CustomerID}/put";
    let list = "/paths/~1customers/get";
    let webhook = "/webhooks/customerEvent/post";
    let required = json!({ "name": "New", "in": "query", "required": true, "schema": { "type": "string" } });
    let changes: Vec<Change> = vec![
        ("a path is gone", "/paths/~1customers".to_owned(), Value::Null),
        ("an operation is gone", put.to_owned(), Value::Null),
        ("an operation has another name", format!("{put}/operationId"), json!("createCustomer")),
        ("a status is gone", format!("{put}/responses/204"), Value::Null),
        ("a parameter is gone", format!("{list}/parameters/0"), Value::Null),
        ("a new parameter is required", format!("{list}/parameters/-"), required),
        ("a webhook is gone", "/webhooks/customerEvent".to_owned(), Value::Null),
        ("a webhook has another name", format!("{webhook}/operationId"), json!("receiveEvent")),
        ("a webhook lacks a header", format!("{webhook}/parameters/0"), Value::Null),
        ("a header of a webhook may be absent", format!("{webhook}/parameters/0/required"), json!(false)),
        ("a webhook takes an answer no more", format!("{webhook}/responses/410"), Value::Null),
        ("a webhook has another body", format!("{webhook}/requestBody/content"), json!({ "text/plain": {} })),
        ("a member is required", format!("{SCHEMAS}/CustomerInput/required/-"), json!("Email")),
        ("a member is gone", format!("{SCHEMAS}/FullName/properties/MiddleName"), Value::Null),
        ("a member may be absent", format!("{SCHEMAS}/Customer/required/0"), Value::Null),
        ("a bound is narrower", format!("{SCHEMAS}/CustomerID/maxLength"), json!(35)),
        ("a bound is new", format!("{SCHEMAS}/CountryCode/minLength"), json!(1)),
        ("a type is another", format!("{SCHEMAS}/CustomerID/type"), json!("integer")),
        ("a value is gone", format!("{SCHEMAS}/IDType/enum/0"), Value::Null),
        ("an answer has a new value", format!("{SCHEMAS}/ErrorType/enum/-"), json!("Other")),
        ("a pattern is another", format!("{SCHEMAS}/CustomerID/pattern"), json!("^[a-z]*$")),
        ("a rule that cannot be judged", format!("{SCHEMAS}/StreetAddress/not"), json!({})),
    ];
    for change in changes {
        let (what, pointer, _) = &change;
        let found = refused(contract::document(), &changed(&change));
        assert!(!found.is_empty(), "{what}: {pointer}");
    }
}

#[test]
fn a_change_that_breaks_no_client_is_let_be() {
    let list = "/paths/~1customers/get";
    let header = json!({ "name": "new", "in": "header", "required": true, "schema": { "type": "string" } });
    let optional = json!({ "name": "New", "in": "query", "required": false, "schema": { "type": "string" } });
    let changes: Vec<Change> = vec![
        ("nothing", "/info/title".to_owned(), json!("Customers")),
        ("a new path", "/paths/~1reports".to_owned(), json!({ "get": { "operationId": "listReports" } })),
        ("a new webhook", "/webhooks/it".to_owned(), json!({ "post": { "operationId": "it" } })),
        ("a new header of a webhook", "/webhooks/customerEvent/post/parameters/-".to_owned(), header),
        ("a new optional parameter", format!("{list}/parameters/-"), optional),
        (
            "a new optional member",
            format!("{SCHEMAS}/CustomerInput/properties/Email"),
            json!({ "type": "string" }),
        ),
        ("a wider bound", format!("{SCHEMAS}/FullName/properties/FirstName/maxLength"), json!(999)),
        ("a new description", format!("{SCHEMAS}/CustomerID/description"), json!("An identifier.")),
        ("a new schema", format!("{SCHEMAS}/Report"), json!({ "type": "object" })),
    ];
    for change in changes {
        let found = refused(contract::document(), &changed(&change));
        assert_eq!(found, Vec::<String>::new(), "{}", change.0);
    }
}
