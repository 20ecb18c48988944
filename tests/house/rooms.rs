//! Who imports whom, read from the manifests: an arrow that is not drawn here needs a decision first.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Each room and the rooms of ours that it may import. `postlog` is `src/`, which nobody imports.
const ARROWS: [(&str, &[&str]); 11] = [
    ("schemas", &[]),
    ("wire", &[]),
    ("accounts", &["schemas"]),
    ("eventlog", &["schemas"]),
    ("mailstore", &["schemas"]),
    ("processors", &["schemas", "accounts"]),
    ("ingest", &["schemas", "wire", "accounts", "eventlog"]),
    ("sinks", &["schemas", "wire", "accounts", "mailstore"]),
    ("api", &["schemas", "wire", "accounts", "eventlog", "mailstore", "processors"]),
    ("load-tests", &[]),
    ("postlog", &["schemas", "wire", "accounts", "eventlog", "mailstore", "ingest", "processors", "sinks", "api"]),
];

/// Crates that are imported here and nowhere else.
const ONLY_HERE: [(&str, &[&str]); 22] = [
    ("apache-avro", &["schemas"]),
    ("rustls", &["wire"]),
    ("tokio-rustls", &["wire"]),
    ("rdkafka", &["eventlog"]),
    // `postlog` opens the one database that log and store share.
    ("fjall", &["eventlog", "mailstore", "postlog"]),
    ("scylla", &["mailstore"]),
    ("mail-parser", &["processors"]),
    ("linfa", &["processors"]),
    ("linfa-bayes", &["processors"]),
    ("ndarray", &["processors"]),
    ("mail-auth", &["ingest", "sinks"]),
    ("governor", &["ingest"]),
    ("hickory-resolver", &["ingest", "sinks", "api"]),
    ("reqwest", &["sinks"]),
    ("axum", &["api"]),
    ("tokio-tungstenite", &["api"]),
    ("ammonia", &["api"]),
    ("clap", &["postlog", "load-tests"]),
    ("tracing-subscriber", &["postlog", "load-tests"]),
    ("indicatif", &["postlog", "load-tests"]),
    ("anyhow", &["postlog", "load-tests"]),
    ("metrics-exporter-prometheus", &["postlog"]),
];

/// What a pure room never imports, not even through its tests.
const IMPURE: [&str; 7] = ["tokio", "tokio-util", "hyper", "axum", "fjall", "rand", "tracing"];
const PURE: [&str; 2] = ["processors", "accounts"];

/// Names under which things gather that have no place.
const NO_ROOMS: [&str; 7] = ["common", "utils", "util", "shared", "helper", "helpers", "manager"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(folder: &Path) -> Table {
    let path = folder.join("Cargo.toml");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}")).parse().unwrap()
}

/// Each room's name with its manifest, as the workspace lists them.
fn rooms() -> Vec<(String, Table)> {
    let root_manifest = manifest(&root());
    let members = root_manifest["workspace"]["members"].as_array().unwrap().clone();
    let mut rooms = vec![("postlog".to_owned(), root_manifest)];
    for member in members {
        let folder = member.as_str().unwrap();
        let manifest = manifest(&root().join(folder));
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        assert_eq!(name, folder, "a room is called as its folder is");
        rooms.push((name, manifest));
    }
    rooms
}

/// Every crate that a manifest names, in whatever table, by its real name; `tests` says whether for tests, too.
fn imports(manifest: &Table, tests: bool) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut kinds = vec!["dependencies", "build-dependencies"];
    if tests {
        kinds.push("dev-dependencies");
    }
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(|targets| targets.values()).filter_map(Value::as_table);
    for table in std::iter::once(manifest).chain(targets) {
        for kind in &kinds {
            for (name, detail) in table.get(*kind).and_then(Value::as_table).into_iter().flatten() {
                let renamed = detail.get("package").and_then(Value::as_str);
                found.insert(renamed.unwrap_or(name).to_owned());
            }
        }
    }
    found
}

#[test]
fn no_room_imports_another_without_an_arrow() {
    let rooms = rooms();
    let ours: BTreeSet<&str> = rooms.iter().map(|(name, _)| name.as_str()).collect();
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, known, "every room has its row");
    for (name, manifest) in &rooms {
        assert_eq!(undrawn(name, manifest), Vec::<String>::new(), "{name} imports them without an arrow");
    }
}

/// The rooms of ours that a manifest imports although no arrow leads there.
fn undrawn(name: &str, manifest: &Table) -> Vec<String> {
    let (_, allowed) = ARROWS.iter().find(|(room, _)| *room == name).unwrap();
    let is_ours = |import: &String| ARROWS.iter().any(|(room, _)| room == import);
    imports(manifest, true).into_iter().filter(is_ours).filter(|import| !allowed.contains(&import.as_str())).collect()
}

#[test]
fn an_arrow_that_is_not_drawn_is_found_in_whatever_table_it_stands() {
    for table in ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"] {
        let manifest =
            format!("[{table}]\nschemas.workspace = true\ndoor = {{ package = \"ingest\", workspace = true }}");
        assert_eq!(undrawn("sinks", &manifest.parse().unwrap()), ["ingest"], "{table}");
    }
}

#[test]
fn foreign_crates_stay_in_their_rooms() {
    for (name, manifest) in rooms() {
        for import in imports(&manifest, false) {
            let row = ONLY_HERE.iter().find(|(foreign, _)| *foreign == import);
            assert!(row.is_none_or(|(_, homes)| homes.contains(&name.as_str())), "{name} imports {import}");
        }
    }
}

#[test]
fn pure_rooms_import_nothing_that_acts() {
    for (name, manifest) in rooms().iter().filter(|(name, _)| PURE.contains(&name.as_str())) {
        for import in imports(manifest, false) {
            assert!(!IMPURE.contains(&import.as_str()), "{name} imports {import}");
        }
    }
}

#[test]
fn every_room_keeps_the_lints_and_versions_of_the_workspace() {
    for (name, manifest) in rooms() {
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{name}");
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (import, detail) in manifest.get(kind).and_then(Value::as_table).into_iter().flatten() {
                let inherited = detail.get("workspace").and_then(Value::as_bool);
                assert_eq!(inherited, Some(true), "{name}: the version of {import} stands in the root manifest");
            }
        }
    }
}

#[test]
fn there_is_no_room_for_what_has_no_place() {
    for (name, _) in rooms() {
        let source = if name == "postlog" { root().join("src") } else { root().join(&name).join("src") };
        let mut folders = vec![source];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let stem = path.file_stem().unwrap().to_str().unwrap();
                assert!(!NO_ROOMS.contains(&stem), "{path:?}");
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
    }
}
