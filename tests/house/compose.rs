//! What `compose/` names is there: settings, variables, commands, stages, versions. Nothing here needs a container.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::server::text_of;
use crate::support::yaml::{Leaves, leaves, under};

const PROGRAM: &str = env!("CARGO_BIN_EXE_postlog");
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Where the containers see their configuration.
const MOUNTED: &str = "/etc/postlog/postlog.toml";
const STAGES: [&str; 4] = ["ingest", "processors", "sinks", "api"];
const FILES: [&str; 2] = ["compose/one.yaml", "compose/scale.yaml"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Each service that runs our image, with what stands about it.
fn our_services(file: &str) -> BTreeMap<String, Leaves> {
    let services = under(&leaves(&read(file)), "services");
    let names: BTreeSet<&str> = services.keys().filter_map(|key| key.split('.').next()).collect();
    let ours = names.into_iter().map(|name| (name.to_owned(), under(&services, name)));
    let ours: BTreeMap<_, _> = ours.filter(|(_, service)| service.contains_key("build.dockerfile")).collect();
    assert!(!ours.is_empty(), "{file}");
    ours
}

/// What the image sets by itself.
fn image_variables() -> BTreeMap<String, String> {
    let text = read("compose/Dockerfile").replace("\\\n", " ");
    let line = text.lines().find_map(|line| line.strip_prefix("ENV ")).expect("it sets variables");
    line.split_whitespace()
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The host's file that a container sees as its configuration.
fn mounted(file: &str, service: &Leaves) -> PathBuf {
    let source = service["volumes"].iter().find_map(|volume| volume.strip_suffix(&format!(":{MOUNTED}:ro")));
    root().join(file).parent().unwrap().join(source.expect("it has a configuration"))
}

/// What `postlog check` says to a container's variables, file and flags. Keys come from elsewhere, since those of the
/// containers are made by whoever runs them.
fn check(file: &str, service: &Leaves) -> Output {
    let mut variables = image_variables();
    for (name, value) in under(service, "environment") {
        variables.insert(name, value.concat());
    }
    assert_eq!(variables.get("POSTLOG_CONFIG").map(String::as_str), Some(MOUNTED), "{file}");
    variables.insert("POSTLOG_CONFIG".to_owned(), mounted(file, service).display().to_string());
    variables.insert("POSTLOG_ADMIN_KEY".to_owned(), "k_0123456789abcdef".to_owned());
    variables.insert("POSTLOG_SEAL_KEY".to_owned(), "0a".repeat(32));
    let command = service.get("command").cloned().unwrap_or_else(|| vec!["run".to_owned()]);
    let flags = command.strip_prefix(&["run".to_owned()]).unwrap_or_default();
    Command::new(PROGRAM).args(["check", "--json"]).args(flags).env_clear().envs(variables).output().unwrap()
}

#[test]
fn the_settings_of_every_container_have_no_fault_and_no_unknown_variable() {
    for file in FILES {
        for (name, service) in our_services(file) {
            let output = check(file, &service);
            let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text_of(&output)));
            assert_eq!(said["ok"], true, "{file}, {name}: {said}");
            assert_eq!(said["notes"].as_array().map(Vec::len), Some(0), "{file}, {name}: {said}");
        }
    }
}

#[test]
fn a_variable_that_does_not_exist_and_a_stage_that_does_not_exist_are_found() {
    let mut service = our_services("compose/scale.yaml").remove("api").unwrap();
    service.insert("environment.POSTLOG_SMPT_LISTEN".to_owned(), vec!["0.0.0.0:25".to_owned()]);
    assert!(text_of(&check("compose/scale.yaml", &service)).contains("POSTLOG_SMPT_LISTEN"));
    service.insert("command".to_owned(), ["run", "--stages", "apis"].map(str::to_owned).to_vec());
    assert!(!check("compose/scale.yaml", &service).status.success());
}

#[test]
fn the_commands_of_containers_and_of_their_health_checks_exist() {
    for file in FILES {
        for (name, service) in our_services(file) {
            let probe = service.get("healthcheck.test");
            let probe =
                probe.map(|test| test.strip_prefix(&["CMD".to_owned(), "postlog".to_owned()]).unwrap().to_vec());
            let commands = [service.get("command").cloned(), probe];
            for command in commands.into_iter().flatten() {
                let output = Command::new(PROGRAM).args(&command).arg("--help").output().unwrap();
                assert!(output.status.success(), "{file}, {name}: {command:?}: {}", text_of(&output));
            }
        }
    }
}

#[test]
fn every_stage_runs_in_one_service_of_its_own_and_every_service_can_tell_whether_it_is_ready() {
    let mut found = BTreeSet::new();
    for (name, service) in our_services("compose/scale.yaml") {
        let Some(at) = service["command"].iter().position(|word| word == "--stages") else { continue };
        let stage = service["command"][at + 1].clone();
        assert_eq!(stage, name, "a service is called as its stage is");
        assert!(found.insert(stage), "{name}");
        assert_eq!(service["healthcheck.test"], ["CMD", "postlog", "ready"], "{name}");
    }
    assert_eq!(found, BTreeSet::from(STAGES.map(str::to_owned)));
    let config: toml::Table = read("compose/scale.toml").parse().unwrap();
    let listen = config["telemetry"]["listen"].as_str().unwrap();
    assert!(listen.starts_with("0.0.0.0:"), "who collects metrics comes from another container: {listen}");
}

#[test]
fn secrets_that_containers_read_are_mounted_there_and_are_nobody_elses() {
    for file in FILES {
        let all = leaves(&read(file));
        for (name, service) in our_services(file) {
            let mounted: BTreeSet<_> = service.get("secrets").into_iter().flatten().cloned().collect();
            let environment = under(&service, "environment");
            let read = environment.values().filter_map(|value| value[0].strip_prefix("/run/secrets/"));
            let read: BTreeSet<_> = read.map(str::to_owned).collect();
            assert_eq!(mounted, read, "{file}, {name}");
            for secret in mounted {
                assert_eq!(all[&format!("secrets.{secret}.file")], [format!("./secrets/{secret}")]);
            }
        }
    }
}

#[test]
fn doors_are_published_on_this_machine_only_unless_somebody_asks_for_more() {
    for file in FILES {
        for (path, ports) in leaves(&read(file)).iter().filter(|(path, _)| path.ends_with(".ports")) {
            for port in ports {
                assert!(port.starts_with("${PUBLISH_ON:-127.0.0.1}:"), "{file}, {path}: {port}");
            }
        }
    }
}

/// Every image that is named, with where.
fn images() -> Vec<(String, String)> {
    let mut images = Vec::new();
    for file in FILES {
        let all = leaves(&read(file));
        let named = all.into_iter().filter(|(path, _)| path.ends_with(".image") && path.starts_with("services."));
        images.extend(named.map(|(path, image)| (format!("{file}, {path}"), image.concat())));
    }
    let text = read("compose/Dockerfile");
    let stages = text.lines().filter_map(|line| line.strip_prefix("FROM "));
    images.extend(stages.map(|from| ("Dockerfile".to_owned(), from.split(' ').next().unwrap().to_owned())));
    images
}

#[test]
fn images_have_their_registry_and_their_version() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let rust = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    for (place, named) in images() {
        let image = named.strip_prefix("${IMAGE:-").and_then(|rest| rest.strip_suffix('}')).unwrap_or(&named);
        let (name, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{place}: {image} has no version"));
        let is_pinned = match name {
            "localhost/postlog" => tag == VERSION,
            "docker.io/library/debian" => tag == "bookworm-slim",
            "docker.io/library/rust" => tag.starts_with(&format!("{rust}.")) && tag.ends_with("-slim-bookworm"),
            "docker.io/apache/kafka" => read("scripts/kafka").contains(&format!("KAFKA_VERSION:-{tag}}}")),
            "docker.io/scylladb/scylla" => tag.split('.').filter(|part| part.parse::<u32>().is_ok()).count() == 3,
            _ => panic!("{place}: {image} is known to nobody"),
        };
        assert!(is_pinned, "{place}: {image}");
    }
    assert!(read("compose/Dockerfile").contains(&format!("ARG VERSION={VERSION}\n")));
}

#[test]
fn the_image_runs_as_a_numbered_user_and_is_built_from_every_room() {
    let text = read("compose/Dockerfile");
    let user = text.lines().find_map(|line| line.strip_prefix("USER ")).unwrap();
    let is_number = |id: &str| id.parse::<u32>().is_ok_and(|id| id > 0);
    assert!(user.split_once(':').is_some_and(|(user, group)| is_number(user) && is_number(group)), "{user}");
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let rooms = manifest["workspace"]["members"].as_array().unwrap();
    let rooms = rooms.iter().map(|room| room.as_str().unwrap()).chain(["src", "Cargo.lock", ".cargo"]);
    let ignored = read(".dockerignore");
    let ignored: BTreeSet<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    for room in rooms {
        assert!(!ignored.contains(room), "{room}");
    }
    for kept_out in ["target", "data", "compose", ".git"] {
        assert!(ignored.contains(kept_out), "{kept_out} has secrets or much");
    }
}

#[test]
fn the_secrets_that_the_script_draws_are_taken_and_stay() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets");
    let draw =
        || assert!(Command::new(root().join("scripts/secrets")).arg(&secrets).output().unwrap().status.success());
    draw();
    let before = fs::read(secrets.join("seal.key")).unwrap();
    let output = check_with_files(&secrets);
    assert!(output.status.success(), "{}", text_of(&output));
    draw();
    assert_eq!(fs::read(secrets.join("seal.key")).unwrap(), before);
}

fn check_with_files(secrets: &Path) -> Output {
    Command::new(PROGRAM)
        .args(["check", "--admin-key-file"])
        .arg(secrets.join("admin.key"))
        .arg("--seal-key-file")
        .arg(secrets.join("seal.key"))
        .env_clear()
        .output()
        .unwrap()
}

#[test]
fn without_an_engine_for_containers_it_is_said_what_is_missing() {
    let output = Command::new(root().join("scripts/container")).arg("run").env("ENGINE", "no-such-engine").output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = text_of(&output);
    assert!(text.contains("no-such-engine is not installed") && text.contains("make run"), "{text}");
}

#[test]
fn the_role_of_ansible_installs_what_can_run() {
    let role = root().join("compose/ansible/roles/postlog");
    let defaults = fs::read_to_string(role.join("defaults/main.yaml")).unwrap();
    let config = defaults.split_once("postlog_config: |\n").unwrap().1;
    let config: Vec<&str> = config.lines().take_while(|line| line.is_empty() || line.starts_with("  ")).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postlog.toml");
    fs::write(&file, config.join("\n").replace("\n  ", "\n")).unwrap();
    let unit = fs::read_to_string(role.join("files/postlog.service")).unwrap();
    let values = |key: &'static str| unit.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='));
    let mut check = Command::new(PROGRAM);
    check.args(["check", "--json"]).env_clear();
    check.envs(values("Environment").map(|pair| pair.split_once('=').unwrap())).env("POSTLOG_CONFIG", &file);
    let output = check.output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text_of(&output)));
    assert_eq!((&said["ok"], said["notes"].as_array().map(Vec::len)), (&Value::Bool(true), Some(0)), "{said}");
    assert_eq!(values("ExecStart").collect::<Vec<_>>(), ["/usr/local/bin/postlog run"]);
}
