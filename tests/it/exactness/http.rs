//! The same bodies over HTTP: the status, and the fields of the answer.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    bodies::{Made, bodies},
    oracle::Opinion,
    samples,
};
use crate::support::{Engine, TestApi, mia, on_each_engine};

async fn the_answer_names_every_violation_and_no_other(engine: Engine) {
    let api = TestApi::sandbox(engine).await;
    for Made { bytes, violations } in samples(300, &bodies("CustomerInput")) {
        let opinion = Opinion::of("CustomerInput", &bytes);
        let request = api.put("c-1", &mia()).bytes(bytes.clone()).unsigned();
        let answer = request.send().await;
        let text = String::from_utf8_lossy(&bytes);
        if opinion.accepts() {
            assert!(answer.status == 201 || answer.status == 204, "{text}");
            let mut read = api.get("c-1").unsigned().send().await.expect(200).json();
            for member in ["CustomerID", "Created"] {
                read.as_object_mut().unwrap().remove(member);
            }
            assert_eq!(read, serde_json::from_slice::<Value>(&bytes).unwrap(), "{text}");
            continue;
        }
        let answer = answer.expect(400).json();
        let listed = answer["RequestExtension"]["Body"].as_array().unwrap();
        if bytes.is_empty() {
            assert_eq!((listed.len(), &listed[0]["Description"]), (1, &"is required".into()));
            continue;
        }
        let fields = |reason: &str| {
            let items = listed.iter().filter(|item| item["Reason"] == reason);
            let mut fields: Vec<_> = items.map(|item| item["Field"].as_str().unwrap().to_owned()).collect();
            fields.sort();
            fields
        };
        assert_eq!(fields("SchemaValidation"), opinion.fields, "{text}");
        assert_eq!(fields("DuplicateMember").is_empty(), !opinion.has_duplicates, "{text}");
        assert_eq!(fields("MalformedJSON").len(), usize::from(!opinion.is_json), "{text}");
        if let Some(violations) = violations {
            let listed: BTreeMap<_, _> =
                listed.iter().map(|item| (item["Field"].as_str().unwrap(), item)).collect();
            assert_eq!(
                listed.into_keys().collect::<Vec<_>>(),
                violations.iter().collect::<Vec<_>>(),
                "{text}"
            );
        }
    }
}

on_each_engine! { the_answer_names_every_violation_and_no_other }
