//! Bodies, by the thousand.

use std::{cell::Cell, collections::BTreeSet};

use customers_api::{
    contract,
    model::{CustomerInput, Reason, RequestExtensionItem},
};
use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    prop_assert, prop_assert_eq,
    sample::Index,
    test_runner::TestCaseError,
};
use serde_json::Value;

use super::{
    change::{Change, changes},
    hold,
    oracle::{BODIES, DOCUMENT, Opinion, resolve},
    samples,
    spelling::{Noise, Spelling, any_spelling, faithful, noise},
    valid::{customers, valid},
};
use crate::support::{full, mia};

/// The type that reads the bodies of a schema.
struct Subject {
    schema: &'static str,
    accepts: fn(&[u8]) -> bool,
    /// Valid bodies, of which one rule after the other is broken. The first one gets all members that it lacks.
    examples: fn() -> Vec<Value>,
}

const SUBJECTS: [Subject; 1] = [Subject {
    schema: "CustomerInput",
    accepts: |body| serde_json::from_slice::<CustomerInput>(body).is_ok(),
    examples: || vec![full(), mia(), canadian()],
}];

#[test]
fn every_body_of_the_contract_is_tried() {
    let subjects: BTreeSet<_> = SUBJECTS.iter().map(|subject| subject.schema).collect();
    let documented: BTreeSet<_> = BODIES.keys().copied().collect();
    assert_eq!(documented, subjects, "say in SUBJECTS which type reads the bodies of a schema");
}

/// A body, and how it was made.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) bytes: Vec<u8>,
    /// Where the contract is broken, if that is known from the making.
    pub(super) violations: Option<BTreeSet<String>>,
}

/// Valid bodies of a schema, changed at no place, at one or at several, spelt somehow, and now and then damaged.
pub(super) fn bodies(schema: &str) -> impl Strategy<Value = Made> + use<> {
    let schema = &DOCUMENT["components"]["schemas"][schema];
    (valid(schema), vec(any::<Index>(), 0..4), any_spelling(), noise())
        .prop_map(move |(body, changes, spelling, noise)| make(schema, body, &changes, &spelling, &noise))
}

fn make(
    schema: &'static Value,
    mut customer: Value,
    indexes: &[Index],
    spelling: &Spelling,
    noise: &[Noise],
) -> Made {
    let all = changes(schema, &customer);
    let chosen: Vec<&Change> = indexes.iter().map(|index| index.get(&all)).collect();
    let are_apart = chosen
        .iter()
        .enumerate()
        .all(|(index, one)| chosen[..index].iter().all(|other| one.is_apart_from(other)));
    let are_done = chosen.iter().all(|change| change.apply(&mut customer));
    let spelt = spelling.spell(&customer);
    let mut bytes = spelt.text.into_bytes();
    for noise in noise {
        noise.apply(&mut bytes);
    }
    let is_known = are_apart && are_done && spelt.is_faithful && noise.is_empty();
    let violations =
        chosen.iter().filter_map(|change| change.violation.clone()).chain(spelt.doubled).collect();
    Made { bytes, violations: is_known.then_some(violations) }
}

/// Fails unless all say the same of a body; gives what the service would answer.
fn agreed(subject: &Subject, body: &[u8]) -> Result<Vec<RequestExtensionItem>, TestCaseError> {
    let by_models = (subject.accepts)(body);
    let by_contract = contract::explain(subject.schema, body);
    let opinion = Opinion::of(subject.schema, body);
    prop_assert_eq!(by_models, by_contract.is_empty(), "models and contract: {:?}", &by_contract);
    prop_assert_eq!(by_models, opinion.accepts(), "models and oracle: {:?}", &opinion);
    let fields = |reason| {
        let mut fields: Vec<_> =
            by_contract.iter().filter(|item| item.reason == reason).map(|item| item.field.clone()).collect();
        fields.sort();
        fields
    };
    let malformed = if opinion.is_json { vec![] } else { vec![String::new()] };
    prop_assert_eq!(fields(Reason::MalformedJson), malformed);
    prop_assert_eq!(!fields(Reason::DuplicateMember).is_empty(), opinion.has_duplicates);
    prop_assert_eq!(fields(Reason::SchemaValidation), opinion.fields, "every violation, and no other");
    prop_assert!(by_contract.iter().all(|item| item.reason != Reason::Signature));
    Ok(by_contract)
}

fn places(items: &[RequestExtensionItem]) -> BTreeSet<String> {
    items.iter().map(|item| item.field.clone()).collect()
}

#[test]
fn models_and_contract_never_differ_and_every_violation_is_named() {
    SUBJECTS.iter().for_each(never_differ);
}

fn never_differ(subject: &Subject) {
    let (accepted, malformed, doubled, broken, known) =
        (Cell::default(), Cell::default(), Cell::default(), Cell::default(), Cell::default());
    let count = |counter: &Cell<u32>, is_one: bool| counter.set(counter.get() + u32::from(is_one));
    hold(3000, &bodies(subject.schema), |Made { bytes, violations }| {
        let items = agreed(subject, &bytes)?;
        if let Some(violations) = &violations {
            prop_assert_eq!(&places(&items), violations, "exactly what was broken");
        }
        count(&accepted, items.is_empty());
        for (counter, reason) in [
            (&malformed, Reason::MalformedJson),
            (&doubled, Reason::DuplicateMember),
            (&broken, Reason::SchemaValidation),
        ] {
            count(counter, items.iter().any(|item| item.reason == reason));
        }
        count(&known, violations.is_some());
        Ok(())
    });
    let counts = [&accepted, &malformed, &doubled, &broken, &known].map(Cell::get);
    let [accepted, malformed, doubled, broken, known] = counts;
    println!(
        "{}: {accepted} accepted, {malformed} malformed, {doubled} with a duplicate, {broken} against the schema; \
         of {known} the violations were known",
        subject.schema
    );
    assert!(counts.iter().all(|count| *count > 50), "every kind of body is tried");
}

#[test]
fn a_valid_customer_is_accepted_however_it_is_spelt_and_comes_out_equal() {
    hold(1000, &(customers(), faithful()), |(customer, spelling)| {
        let spelt = spelling.spell(&customer);
        prop_assert_eq!(agreed(&SUBJECTS[0], spelt.text.as_bytes())?, []);
        let read: CustomerInput = serde_json::from_str(&spelt.text).unwrap();
        prop_assert_eq!(serde_json::to_value(read).unwrap(), customer);
        Ok(())
    });
}

/// Someone in Canada without optional members.
fn canadian() -> Value {
    let mut customer = mia();
    customer["PrimaryResidence"]["Country"] = "CA".into();
    customer["PrimaryResidence"]["State"] = "QC".into();
    customer
}

/// The same value with every member and item that its schema allows and it lacks.
fn completed(schema: &'static Value, mut value: Value) -> Value {
    let schema = resolve(schema);
    let any = |schema| samples(1, &valid(schema)).next().unwrap();
    match &mut value {
        Value::Object(members) => {
            for (name, property) in schema["properties"].as_object().unwrap() {
                let member = members.remove(name).unwrap_or_else(|| any(property));
                members.insert(name.clone(), completed(property, member));
            }
        }
        Value::Array(items) => {
            if items.is_empty() {
                items.push(any(&schema["items"]));
            }
            *items = items.drain(..).map(|item| completed(&schema["items"], item)).collect();
        }
        _ => {}
    }
    value
}

#[test]
fn every_rule_of_the_schema_is_broken_alone_and_named_alone() {
    SUBJECTS.iter().for_each(break_every_rule);
}

fn break_every_rule(subject: &Subject) {
    let schema = &DOCUMENT["components"]["schemas"][subject.schema];
    let (mut broken, mut number) = (BTreeSet::new(), 0);
    let mut examples = (subject.examples)();
    examples[0] = completed(schema, examples[0].clone());
    for customer in examples {
        for change in changes(schema, &customer) {
            let mut changed = customer.clone();
            assert!(change.apply(&mut changed), "{change:?}");
            let items = agreed(subject, changed.to_string().as_bytes())
                .unwrap_or_else(|error| panic!("{change:?}: {error}"));
            assert_eq!(places(&items), change.violation.iter().cloned().collect(), "{change:?}");
            let errors = BODIES[subject.schema].iter_errors(&changed);
            broken.extend(errors.map(|error| error.schema_path().to_string()));
            number += 1;
        }
    }
    let mut rules = BTreeSet::new();
    collect_rules(&format!("/components/schemas/{}", subject.schema), &mut rules);
    let untouched: Vec<_> = rules.difference(&broken).collect();
    assert!(untouched.is_empty(), "no change breaks {untouched:?}; broken: {broken:?}");
    println!("{number} changes, each alone, break each of {} rules", rules.len());
}

/// The JSON pointer of each keyword that can be broken, below this one.
fn collect_rules(pointer: &str, rules: &mut BTreeSet<String>) {
    const LEAVES: [&str; 9] = [
        "additionalProperties",
        "enum",
        "format",
        "maxLength",
        "minLength",
        "pattern",
        "required",
        "type",
        "items",
    ];
    let written = DOCUMENT.pointer(pointer).unwrap();
    if let Some(reference) = written["$ref"].as_str() {
        resolve(written);
        return collect_rules(reference.trim_start_matches('#'), rules);
    }
    for (keyword, value) in written.as_object().unwrap() {
        let below = format!("{pointer}/{keyword}");
        match (keyword.as_str(), value) {
            ("properties", Value::Object(members)) => {
                members.keys().for_each(|name| collect_rules(&format!("{below}/{name}"), rules));
            }
            ("allOf", Value::Array(items)) => {
                (0..items.len()).for_each(|index| collect_rules(&format!("{below}/{index}/then"), rules));
            }
            ("items", _) => collect_rules(&below, rules),
            (keyword, _) if LEAVES.contains(&keyword) => drop(rules.insert(below)),
            _ => {}
        }
    }
}
