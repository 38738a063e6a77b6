//! The files for Prometheus and Grafana: they are valid, and what they name is there.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Place, scrape::promtool};
use crate::support::{Engine, mia};

/// What Prometheus itself knows of a target.
const OF_PROMETHEUS: [&str; 1] = ["up"];

/// What is there only with a certificate (`tls::certificate`).
const OF_TLS: [&str; 1] = ["customers_tls_certificate_expiry_timestamp_seconds"];

/// Words of PromQL that no parenthesis follows.
const KEYWORDS: [&str; 5] = ["and", "max", "or", "sum", "unless"];

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The alerts, each with its query.
fn alerts() -> Vec<(String, String)> {
    let rules: Value = yaml_serde::from_str(&read("packaging/prometheus/alerts.yaml")).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    let text = |rule: &Value, member: &str| rule[member].as_str().unwrap().to_owned();
    rules.map(|rule| (text(rule, "alert"), text(rule, "expr"))).collect()
}

/// The queries of the dashboard, with its variables filled in.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("packaging/grafana/customers-api.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let query = |target: &Value| target["expr"].as_str().unwrap().to_owned();
    targets.map(|target| query(target).replace("$__rate_interval", "5m").replace("$instance", ".*")).collect()
}

/// The metrics that a query names.
fn metrics_of(query: &str) -> BTreeSet<String> {
    let (mut metrics, mut word, mut depth) = (BTreeSet::new(), String::new(), 0);
    let mut is_grouping = false;
    for letter in query.chars().chain([' ']) {
        if letter.is_ascii_alphanumeric() || letter == '_' || letter == ':' {
            word.push(letter);
            continue;
        }
        let name = std::mem::take(&mut word);
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic());
        match (letter, name.as_str()) {
            (' ', "by" | "without") => is_grouping = true,
            ('(', _) | (_, "") => {}
            _ if depth == 0 && !is_grouping && is_name && !KEYWORDS.contains(&name.as_str()) => {
                metrics.insert(name);
            }
            _ => {}
        }
        match letter {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ')' => is_grouping = false,
            _ => {}
        }
    }
    metrics
}

#[test]
fn the_metrics_of_a_query_are_found() {
    for (query, metrics) in [
        ("up{job=\"a\"} == 0", &["up"][..]),
        ("a / b > 0.8", &["a", "b"]),
        ("time() - a{b=~\"c.*\", d!=\"e\"}", &["a"]),
        ("sum by (job, le) (rate(a_bucket{b=\"c\"}[5m])) and d", &["a_bucket", "d"]),
        ("histogram_quantile(0.99, sum by (le) (rate(a_bucket[5m]))) > 1", &["a_bucket"]),
    ] {
        assert_eq!(metrics_of(query), metrics.iter().map(ToString::to_string).collect(), "{query}");
    }
}

#[test]
fn each_alert_fires_when_it_should_and_only_then() {
    let (rules, tests) = ("packaging/prometheus/alerts.yaml", "packaging/prometheus/alerts.test.yaml");
    promtool(&["check", "rules", path(rules).to_str().unwrap()], "");
    promtool(&["test", "rules", path(tests).to_str().unwrap()], "");
    let tests = read(tests);
    for (alert, _) in alerts() {
        assert!(tests.contains(&format!("alertname: {alert} }}")), "{alert}: say when it does not fire");
        assert!(
            tests.contains(&format!("alertname: {alert}\n        exp_alerts")),
            "{alert}: say when it fires"
        );
    }
}

#[test]
fn the_queries_of_the_dashboard_are_valid() {
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, query) in queries().iter().enumerate() {
        let query = serde_json::to_string(query).unwrap();
        writeln!(rules, "      - {{ record: query_{number}, expr: {query} }}").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    fs::write(&file, rules).unwrap();
    let said = promtool(&["check", "rules", file.to_str().unwrap()], "");
    assert!(said.contains(&format!("{} rules found", queries().len())), "{said}");
}

#[test]
fn the_part_of_failed_requests_is_shown_before_the_first_failure() {
    let query = queries().into_iter().find(|query| query.contains("\"5..\"")).unwrap();
    let series = |status: u16, values: &str| {
        format!(
            "{{ series: 'http_server_request_duration_seconds_count{{job=\"customers-api\", \
             http_response_status_code=\"{status}\"}}', values: {values} }}"
        )
    };
    let mut tests = "tests:\n".to_owned();
    for (input, part) in [
        (String::new(), 0.0),
        (series(200, "0x40"), 0.0),
        (series(200, "0+98x40"), 0.0),
        (format!("{}, {}", series(200, "0+96x40"), series(503, "0+32x40")), 0.25),
    ] {
        let query = serde_json::to_string(&query).unwrap();
        writeln!(
            tests,
            "  - {{ interval: 15s, input_series: [{input}], promql_expr_test: [{{ expr: {query}, eval_time: 8m, \
             exp_samples: [{{ labels: '{{}}', value: {part} }}] }}] }}"
        )
        .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tests.yaml");
    fs::write(&file, tests).unwrap();
    promtool(&["test", "rules", file.to_str().unwrap()], "");
}

#[actix_web::test]
async fn what_is_watched_is_there_and_written_down() {
    let place = Place::start(Engine::Sqlite, &["--sandbox"]).await;
    assert_eq!(place.signed("PUT", "/customers/c-1", &[], &mia().to_string()).await, 201);
    let scrape = place.scrape().await;
    let metrics = scrape.metrics();

    let queries = queries().into_iter().chain(alerts().into_iter().map(|(_, query)| query));
    for query in queries {
        for metric in metrics_of(&query) {
            let elsewhere = [OF_PROMETHEUS, OF_TLS].concat();
            let is_there = metrics.contains(&metric) || elsewhere.contains(&metric.as_str());
            assert!(is_there, "{metric} is not there: {query}");
        }
    }

    let operations = read("docs/operations.md");
    let watch = operations.split("\n## ").find(|section| section.starts_with("Watch\n")).unwrap();
    let types = scrape.0.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let names = types.chain(OF_TLS).map(str::to_owned).chain(alerts().into_iter().map(|(alert, _)| alert));
    for name in names.filter(|name| !name.starts_with("process_")) {
        assert!(watch.contains(&format!("| `{name}`")), "docs/operations.md has a row for {name}");
    }
}
