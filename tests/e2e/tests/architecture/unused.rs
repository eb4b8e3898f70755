//! No package asks for a crate that its sources never name, and the workspace names no crate that no package asks for.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Crates that are asked for to choose a feature or a version of theirs. The command names these three so that it and the
/// tests select the same features, and the AWS SDK is built once (`dependencies.rs` holds it).
const FOR_THEIR_FEATURES: [&str; 3] = ["getrandom", "regex-syntax", "rustix"];

fn metadata() -> Value {
    let mut command = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    command.current_dir(e2e::workspace_root());
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform"];
    let printed = e2e::run(command.args(arguments).arg(super::dependencies::host())).unwrap();
    serde_json::from_str(&printed).unwrap()
}

/// All Rust sources below a folder, as one text.
fn sources(folder: &Path, text: &mut String) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *text += &std::fs::read_to_string(&path).unwrap();
        }
    }
}

/// Whether a source names a crate: in a path, in a `use`, or in an attribute.
fn names(source: &str, name: &str) -> bool {
    source.match_indices(name).any(|(at, _)| {
        let before = source[..at].chars().next_back();
        let after = &source[at + name.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            && (after.starts_with("::") || after.starts_with(';') || after.starts_with(" as "))
    })
}

/// The name by which a package's sources call a dependency.
fn called(node: &Value, package: &str) -> Option<String> {
    let dependency = node["deps"].as_array()?.iter().find(|dependency| {
        let id = dependency["pkg"].as_str().unwrap_or_default();
        id.contains(&format!("#{package}@")) || id.contains(&format!("/{package}#"))
    });
    dependency?["name"].as_str().map(str::to_owned)
}

#[test]
fn every_dependency_is_named_in_the_sources() {
    let metadata = metadata();
    let members: BTreeSet<&str> = metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let mut unused = Vec::new();
    let mut seen = 0;
    for package in metadata["packages"].as_array().unwrap() {
        if !members.contains(package["id"].as_str().unwrap()) {
            continue;
        }
        let node = metadata["resolve"]["nodes"].as_array().unwrap().iter();
        let node = node.into_iter().find(|node| node["id"] == package["id"]).unwrap();
        let mut source = String::new();
        sources(
            Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap(),
            &mut source,
        );
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            let called = called(node, name).unwrap_or_else(|| name.replace('-', "_"));
            seen += 1;
            if !names(&source, &called) && !FOR_THEIR_FEATURES.contains(&name) {
                unused.push(format!("{}: {name}", package["name"].as_str().unwrap()));
            }
        }
    }
    assert!(seen > 60, "the search sees the dependencies: {seen}");
    assert_eq!(unused, Vec::<String>::new(), "asked for and never named");
}

#[test]
fn the_workspace_names_no_crate_that_no_package_asks_for() {
    let root = e2e::workspace_root();
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let offered = manifest
        .split("[workspace.dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next())
        .unwrap();
    let offered: BTreeSet<&str> = offered
        .lines()
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
        .filter(|name| !name.starts_with('#'))
        .collect();
    let metadata = metadata();
    let asked: BTreeSet<&str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| package["source"].is_null())
        .flat_map(|package| package["dependencies"].as_array().unwrap())
        .filter_map(|dependency| dependency["name"].as_str())
        .collect();
    let idle: Vec<&&str> = offered.difference(&asked).collect();
    assert!(
        offered.len() > 30,
        "the search sees the workspace's crates: {offered:?}"
    );
    assert!(idle.is_empty(), "no package asks for {idle:?}");
}

#[test]
fn a_crate_is_named_by_paths_and_uses_only() {
    assert!(names("use serde::Serialize;", "serde") && names("let x = serde::to();", "serde"));
    assert!(!names("use serde_json::Value;", "serde") && !names("my_serde::x", "serde"));
    assert!(!names("// a word on serde here", "serde"));
}

/// The files of a crate whose tests are one program (`tests/all.rs`): one that neither it nor a `[[test]]` of the manifest names
/// would never run.
#[test]
fn no_file_of_tests_is_left_out_of_its_program() {
    let (mut programs, mut left_out) = (0, Vec::new());
    for folder in ["shared", "tools", "functions", "tests"] {
        for crates in std::fs::read_dir(e2e::workspace_root().join(folder)).unwrap() {
            let package = crates.unwrap().path();
            let tests = package.join("tests");
            let Ok(all) = std::fs::read_to_string(tests.join("all.rs")) else {
                continue;
            };
            let manifest = std::fs::read_to_string(package.join("Cargo.toml")).unwrap();
            programs += 1;
            for entry in std::fs::read_dir(&tests).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                let has_code =
                    path.extension().is_some_and(|extension| extension == "rs") || path.join("mod.rs").exists();
                let is_module = all.contains(&format!("\nmod {name};\n"));
                let is_program = manifest.contains(&format!("\npath = \"tests/{name}.rs\"\n"));
                if has_code && !is_module && !is_program {
                    left_out.push(path);
                }
            }
        }
    }
    assert!(programs >= 12, "{programs} programs were looked at");
    assert!(left_out.is_empty(), "their tests never run: {left_out:?}");
}
