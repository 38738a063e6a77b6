//! What the package is made of, as far as the code decides it. `scripts/package-test` makes the package.

use std::{fs, path::Path, process::Command};

use clap::CommandFactory as _;
use customers_api::cli::Cli;
use serde_json::{Value, json};

const ENVIRONMENT: &str = include_str!("../../packaging/environment");

/// The variables of the file of defaults: name, the value that is shown, and the line before.
fn variables() -> Vec<(&'static str, &'static str, &'static str)> {
    let lines: Vec<_> = ENVIRONMENT.lines().collect();
    let pairs = lines.windows(2).filter_map(|pair| {
        let line = pair[1].strip_prefix('#').unwrap_or(pair[1]);
        let (name, value) = Some(line).filter(|line| !line.starts_with(' '))?.split_once('=')?;
        Some((name, value, pair[0]))
    });
    pairs.collect()
}

#[test]
fn the_environment_file_has_each_option_of_serve_with_its_default() {
    let command = Cli::command();
    let serve = command.find_subcommand("serve").unwrap();
    let (mut named, variables) = (Vec::new(), variables());
    for argument in serve.get_arguments() {
        let variable = argument.get_env().unwrap_or_else(|| panic!("{} has a variable", argument.get_id()));
        let name = variable.to_str().unwrap();
        let (_, value, comment) = variables.iter().find(|(known, ..)| *known == name).unwrap_or_else(|| {
            panic!(
                "packaging/environment has a comment and a line #{name}=DEFAULT for --{}",
                argument.get_id()
            )
        });
        assert!(comment.starts_with("# "), "{name} is explained: {comment:?}");
        // The package has its own place for the database. A flag's default is not shown as a value.
        let default = argument.get_default_values().first().filter(|_| name != "DATABASE_URL");
        let is_flag = !argument.get_action().takes_values();
        let default = if is_flag { Some("false") } else { default.and_then(|value| value.to_str()) };
        if let Some(default) = default {
            assert_eq!(*value, default, "{name}");
        }
        named.push(name);
    }
    // Traces have the variables of OpenTelemetry, which are not options.
    for (name, ..) in variables.into_iter().filter(|(name, ..)| !name.starts_with("OTEL_")) {
        assert!(named.contains(&name), "{name} is an option of serve");
    }
}

#[test]
fn the_package_sets_only_the_place_of_the_database() {
    let set: Vec<_> = ENVIRONMENT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(set, ["DATABASE_URL=sqlite:/var/lib/customers-api/customers.db"]);
}

#[test]
fn the_settings_of_a_machine_win_and_belong_to_no_package() {
    let unit = include_str!("../../packaging/systemd/customers-api.service");
    let files: Vec<_> = unit.lines().filter_map(|line| line.strip_prefix("EnvironmentFile=")).collect();
    assert_eq!(files, ["/usr/lib/customers-api/environment", "-/etc/customers-api/environment"]);
    let manifest = include_str!("../../Cargo.toml");
    assert!(!manifest.contains("\"etc/"), "dpkg asks about what a package puts there");
}

/// The documents of the manifests for Kubernetes, each with its kind.
fn manifests() -> Vec<(String, Value)> {
    let files = [
        include_str!("../../packaging/kubernetes/customers-api.yaml"),
        include_str!("../../packaging/kubernetes/migrate.yaml"),
    ];
    let documents = files.iter().flat_map(|file| file.split("\n---\n"));
    let read = |text: &str| {
        let document: Value = yaml_serde::from_str(text).unwrap();
        (document["kind"].as_str().unwrap().to_owned(), document)
    };
    documents.map(read).collect()
}

#[test]
fn kubernetes_runs_commands_that_there_are_without_root_and_stops_in_time() {
    let manifests = manifests();
    let pods = manifests.iter().map(|(kind, document)| (kind, &document["spec"]["template"]["spec"]));
    let pods: Vec<_> = pods.filter(|(_, pod)| pod.is_object()).collect();
    assert_eq!(pods.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["Deployment", "Job"]);
    for (_, pod) in &pods {
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        let container = &pod["containers"][0];
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL");
        let (_, tag) = container["image"].as_str().unwrap().rsplit_once(':').unwrap();
        assert_eq!(tag, env!("CARGO_PKG_VERSION"));
        let command = Cli::command();
        let command = command.find_subcommand(container["args"][0].as_str().unwrap()).unwrap();
        let known: Vec<_> =
            command.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
        for variable in container["env"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            assert!(known.contains(&name), "{name}");
            let is_secret = name == "DATABASE_URL";
            assert_eq!(variable["valueFrom"]["secretKeyRef"].is_object(), is_secret, "{name}");
        }
    }
    let (_, pod) = pods[0];
    let container = &pod["containers"][0];
    let value = |name: &str| {
        let variables = container["env"].as_array().unwrap();
        let variable = variables.iter().find(|variable| variable["name"] == name);
        variable.map(|variable| variable["value"].as_str().unwrap())
    };
    let drain: i64 = value("CUSTOMERS_DRAIN_SECONDS").unwrap().parse().unwrap();
    let stop = value("CUSTOMERS_STOP_SECONDS").map_or(8, |seconds| seconds.parse::<i64>().unwrap());
    assert!(pod["terminationGracePeriodSeconds"].as_i64().unwrap() > drain + stop + 10);
    let probe = &container["readinessProbe"];
    let unready = probe["periodSeconds"].as_i64().unwrap() * probe["failureThreshold"].as_i64().unwrap();
    assert!(drain > unready, "a pod that stops is seen as not ready while it still answers");
    for (probe, path) in
        [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
    {
        assert_eq!(container[probe]["httpGet"]["path"], path);
        assert_eq!(container[probe]["httpGet"]["port"], "admin");
    }
    for port in container["ports"].as_array().unwrap() {
        let variable = if port["name"] == "admin" { "CUSTOMERS_ADMIN_LISTEN" } else { "CUSTOMERS_LISTEN" };
        assert_eq!(value(variable).unwrap(), format!("0.0.0.0:{}", port["containerPort"]));
    }
    let mounts = container["volumeMounts"].as_array().unwrap();
    for name in ["CUSTOMERS_SEAL_KEYS", "CUSTOMERS_TLS_CERT", "CUSTOMERS_TLS_KEY"] {
        let is_below = |mount: &Value| value(name).unwrap().starts_with(mount["mountPath"].as_str().unwrap());
        assert!(mounts.iter().any(is_below), "{name}");
    }
    for volume in pod["volumes"].as_array().unwrap() {
        assert_eq!(volume["secret"]["defaultMode"], 0o440, "others may not read a secret");
    }
}

/// The files of the workflows.
fn workflows() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| (file.display().to_string(), fs::read_to_string(file).unwrap())).collect()
}

#[test]
fn actions_are_pinned_and_may_do_what_they_need_to() {
    for (file, text) in workflows() {
        let workflow: Value = yaml_serde::from_str(&text).unwrap();
        assert!(workflow.get("permissions").is_some(), "{file}: nothing is allowed by default");
        for line in text.lines().filter(|line| line.contains("uses:")) {
            let (_, commit) = line.split_once('@').unwrap();
            let (commit, version) = commit.split_once(" # v").unwrap_or((commit, ""));
            let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_commit && !version.is_empty(), "{file}: a commit, and its version: {line}");
        }
    }
}

#[test]
fn the_containers_run_without_root_and_are_published_on_loopback_only() {
    let containerfile = include_str!("../../Containerfile");
    let users: Vec<_> = containerfile.lines().filter_map(|line| line.strip_prefix("USER ")).collect();
    assert_eq!(users, ["65532:65532"], "a number, which Kubernetes can tell from root");
    assert_eq!(containerfile.lines().filter(|line| line.starts_with("VOLUME")).count(), 1);

    let text = include_str!("../../compose.yaml");
    let compose: Value = yaml_serde::from_str(text).unwrap();
    let services = compose["services"].as_object().unwrap();
    for port in services.values().filter_map(|service| service["ports"].as_array()).flatten() {
        assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{port}");
    }
    for image in containerfile.lines().filter_map(|line| line.strip_prefix("FROM ")) {
        let (_, tag) = image.split(' ').next().unwrap().rsplit_once(':').expect("a base image has a tag");
        assert_ne!(tag, "latest");
    }
    let service = &services["customers-api"];
    assert_eq!(service["healthcheck"]["test"], json!(["CMD", "/usr/bin/customers-api", "healthcheck"]));
    let health = containerfile.lines().find(|line| line.starts_with("HEALTHCHECK ")).unwrap();
    assert!(health.ends_with(r#"CMD ["/usr/bin/customers-api", "healthcheck"]"#), "{health}");
    assert_eq!(service["read_only"], true);
    assert_eq!(service["cap_drop"][0], "ALL");
    for line in text.lines().filter(|line| line.contains("PASSWORD") && !line.starts_with('#')) {
        assert!(line.contains("${POSTGRES_PASSWORD:?"), "no password is in the file: {line}");
    }
}

#[test]
fn the_containers_set_only_variables_that_there_are() {
    let command = Cli::command();
    let serve = command.find_subcommand("serve").unwrap();
    let known: Vec<_> = serve.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
    for text in [include_str!("../../Containerfile"), include_str!("../../compose.yaml")] {
        let words = text.split(|letter: char| !letter.is_ascii_uppercase() && letter != '_');
        for word in words.filter(|word| word.starts_with("CUSTOMERS_")) {
            assert!(known.contains(&word), "{word}");
        }
    }
}

#[test]
fn the_package_is_configured_also_without_the_files_that_an_operator_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (etc, data) = (folder.path().join("etc"), folder.path().join("data"));
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    // chown fails for what is not there.
    for (name, script) in
        [("adduser", "exit 0"), ("chown", "shift; exec ls -d \"$@\""), ("install", "exit 0")]
    {
        let file = bin.join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let script = include_str!("../../packaging/debian/postinst");
    let script = script.replace("/etc/customers-api", etc.to_str().unwrap());
    let script = script.replace("/var/lib/customers-api", data.to_str().unwrap());
    let configure = |before: &str| {
        let output = Command::new("sh")
            .args(["-c", &script, "postinst", "configure", before])
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(configure("0.1.0-1"), "");
    fs::create_dir(&etc).unwrap();
    assert_eq!(configure("0.1.0-1").lines().count(), 1);
    let settings = etc.join("environment");
    assert!(!settings.exists(), "an upgrade does not bring them back");
    fs::remove_dir(&etc).unwrap();
    assert_eq!(configure("").lines().count(), 2);
    let made = fs::metadata(&settings).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&made.permissions()) & 0o777, 0o640);
    fs::write(&settings, "CUSTOMERS_SANDBOX=true").unwrap();
    for before in ["", "0.1.0-1"] {
        assert_eq!(configure(before).lines().count(), 2);
        assert_eq!(fs::read_to_string(&settings).unwrap(), "CUSTOMERS_SANDBOX=true");
    }
}
