//! The errors that the contract shows as examples are the errors that the service sends.

use std::collections::BTreeMap;

use customers_api::{
    api::BODY_BYTES_MAX,
    clock, contract,
    signature::{Facts, sign},
};
use futures_util::{FutureExt as _, future::join_all};
use serde_json::{Value, json};

use crate::{
    coverage::{Provocation, after_a_restore, by_a_reader, without_customers, without_keys},
    support::{Answer, Engine, TestApi, full, mia, on_each_engine, token_for, without},
};

/// What makes a fresh service send an example, by the names of the response and the example. The second argument is
/// the action of the example.
const PROVOCATIONS: [(&str, Provocation); 16] = [
    ("BadRequest/Body", |api, _| {
        let mut body = without(full(), "/FullName/LastName");
        body["Identities"][0]["IDType"] = json!("Visa");
        api.put("c-1", &body).send().boxed_local()
    }),
    ("BadRequest/MalformedBody", |api, _| {
        api.put("c-1", &mia()).bytes("{\"FullName\": }").send().boxed_local()
    }),
    ("BadRequest/Path", |api, _| api.get(&"x".repeat(37)).send().boxed_local()),
    ("BadRequest/Query", |api, _| api.list("?PageSize=101&SortDirection=asc").send().boxed_local()),
    ("Unauthorized/Missing", |api, _| api.put("c-1", &mia()).unsigned().send().boxed_local()),
    ("Unauthorized/OtherBody", |api, _| {
        let token = token_for(&api.signer, "PUT", "/customers/c-1", full().to_string().as_bytes());
        api.put("c-1", &mia()).token(token).send().boxed_local()
    }),
    ("Unauthorized/SlowClock", |api, _| {
        let now = clock::now().timestamp() - 605;
        let body = mia().to_string();
        let facts = Facts {
            audience: "customers-api",
            now,
            method: "PUT",
            path: "/customers/c-1",
            base_path: "",
            template: "",
            query: "",
            body: body.as_bytes(),
        };
        let token = sign(&api.signer.key, Some(&api.signer.key_id), &facts, 300).unwrap();
        api.put("c-1", &mia()).token(token).send().boxed_local()
    }),
    ("Unauthorized/PrefixRemoved", |api, _| {
        let body = mia().to_string();
        let token = token_for(&api.signer, "PUT", "/v1/customers/c-1", body.as_bytes());
        api.put("c-1", &mia()).token(token).send().boxed_local()
    }),
    ("Forbidden", |api, operation| by_a_reader(api, operation).boxed_local()),
    ("NotFound", |api, _| api.get("c-1").send().boxed_local()),
    ("Gone", after_a_restore),
    ("PreconditionFailed", |api, _| api.put("c-1", &mia()).header("if-match", "*").send().boxed_local()),
    ("ContentTooLarge", |api, _| {
        api.put("c-1", &mia()).bytes(vec![b' '; BODY_BYTES_MAX + 1]).send().boxed_local()
    }),
    ("UnsupportedMediaType", |api, _| {
        let text = api.request("PUT", "/customers/c-1").bytes(mia().to_string());
        text.header("content-type", "text/plain").send().boxed_local()
    }),
    ("InternalServerError", without_customers),
    ("ServiceUnavailable", |api, action| without_keys(api, action).boxed_local()),
];

/// The examples of errors, by the names of the response and the example.
fn documented() -> BTreeMap<String, &'static Value> {
    let mut found = BTreeMap::new();
    collect(contract::document(), &mut Vec::new(), &mut found);
    found
}

/// Finds every example of `Error`, wherever the contract has one.
fn collect(
    value: &'static Value,
    path: &mut Vec<&'static str>,
    found: &mut BTreeMap<String, &'static Value>,
) {
    match value {
        Value::Object(members) if members.get("schema") == Some(&error_schema()) => {
            if let Some(example) = members.get("example") {
                found.insert(name(path), example);
            }
            for (key, example) in members.get("examples").and_then(Value::as_object).into_iter().flatten() {
                found.insert(format!("{}/{key}", name(path)), &example["value"]);
            }
        }
        Value::Object(members) => {
            for (key, value) in members {
                path.push(key);
                collect(value, path, found);
                path.pop();
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, path, found)),
        _ => {}
    }
}

fn error_schema() -> Value {
    json!({ "$ref": "#/components/schemas/Error" })
}

/// `NotFound` for its content in `components/responses`, and the whole path for anything else.
fn name(path: &[&str]) -> String {
    match path {
        ["components", "responses", name, "content", "application/json"] => (*name).to_owned(),
        _ => path.join("/"),
    }
}

#[test]
fn each_documented_example_of_an_error_has_a_provocation_and_no_other_has() {
    let documented: Vec<_> = documented().into_keys().collect();
    let mut provoked = PROVOCATIONS.map(|(name, _)| name.to_owned());
    provoked.sort();
    assert_eq!(documented, provoked);
    for name in contract::document()["components"]["responses"].as_object().unwrap().keys() {
        let has_example = documented.iter().any(|example| example.split('/').next() == Some(name));
        assert!(has_example, "{name} has an example");
    }
}

async fn each_documented_example_of_an_error_is_what_the_service_sends(engine: Engine) {
    let documented = documented();
    let answers = join_all(PROVOCATIONS.map(|(name, provoke)| async move {
        let api = TestApi::start(engine).await;
        let action = documented_action(name);
        (name, provoke(&api, &action).await)
    }))
    .await;
    for (name, answer) in &answers {
        let mut sent = answer.json();
        sent["Instance"] = documented[*name]["Instance"].clone();
        assert_eq!(&sent, documented[*name], "{name}");
        check_headers(name, answer);
    }
    let sent: Vec<_> = answers.iter().map(|(_, answer)| answer.json()).collect();
    for (member, example) in schema_examples() {
        assert!(sent.iter().any(|error| contains(error, member, example)), "{member}: {example} is sent");
    }
}

fn documented_action(name: &str) -> String {
    documented()[name]["Action"].as_str().unwrap().to_owned()
}

/// The examples of headers are true for errors, too.
fn check_headers(name: &str, answer: &Answer) {
    let response = &contract::document()["components"]["responses"][name.split('/').next().unwrap()];
    for header in response["headers"].as_object().unwrap().keys().filter(|header| *header != "X-Request-Id") {
        let example = &contract::document()["components"]["headers"][header]["example"];
        let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        assert_eq!(answer.header(header), example, "{name}: {header}");
    }
}

/// The examples in the schemas that errors are made of, each with its member.
fn schema_examples() -> Vec<(&'static str, &'static Value)> {
    let schemas = &contract::document()["components"]["schemas"];
    let mut found = Vec::new();
    for schema in ["Error", "RequestExtension", "RequestExtensionItem"] {
        for (member, property) in schemas[schema]["properties"].as_object().unwrap() {
            let examples = property["examples"].as_array().into_iter().flatten();
            found.extend(examples.map(|example| (member.as_str(), example)));
        }
    }
    assert!(!found.is_empty());
    found
}

fn contains(value: &Value, member: &str, wanted: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| (name == member && value == wanted) || contains(value, member, wanted)),
        Value::Array(items) => items.iter().any(|item| contains(item, member, wanted)),
        _ => false,
    }
}

on_each_engine! { each_documented_example_of_an_error_is_what_the_service_sends }
