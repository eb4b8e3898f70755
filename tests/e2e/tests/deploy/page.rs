//! Each block of docs/reference/deploy.md is run on ministack, or stands here with the reason why it is not.

use serde_json::Value;

use super::emulator::{Emulator, Said};

const PAGE: &str = include_str!("../../../../docs/reference/deploy.md");
/// Lines that need what a test has not, each with what it needs.
const NOT_RUN: [(&str, &str); 8] = [
    ("export AWS_PROFILE=", "an account's credentials"),
    (
        "python3 -m venv ",
        "a download; the tests' own environments have the same",
    ),
    (
        ".tidemark/venv-sam/bin/pip install ",
        "a download; the tests' own environments have the same",
    ),
    (
        "PATH=\"$PWD/.tidemark/venv-sam/bin:$PATH\"",
        "it belongs to the lines after it",
    ),
    ("sam deploy ", "an account: sam knows no stage on an emulator"),
    (
        "sam build ",
        "cargo-lambda, and a build of minutes; `sam validate` is run",
    ),
    (
        "PATH=\"$PWD/.tidemark/venv-deploy/bin:$PATH\" cargo lambda build ",
        "the same build",
    ),
    ("cdk deploy ", "an account; `cdk.rs` synthesizes the app"),
];

/// The blocks of a language, in the order of the page.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    let parts = PAGE.split(opening.as_str()).skip(1);
    parts.map(|part| part.split("\n```").next().unwrap()).collect()
}

/// A line of the page, with the emulator in the place of the account.
fn run(cloud: &Emulator, line: &str) -> Said {
    let arguments: Vec<&str> = line
        .strip_prefix("cargo tidemark deploy")
        .unwrap()
        .split_whitespace()
        .collect();
    let mut rest = arguments.as_slice();
    let mut own: Vec<&str> = Vec::new();
    while let Some((first, more)) = rest.split_first() {
        rest = match (*first, more) {
            ("--stage", ["prod" | "dev" | "stage", more @ ..]) => more,
            (word, more) => {
                own.push(word);
                more
            }
        };
    }
    let bootstraps = e2e::binary_folder().unwrap().display().to_string();
    if !matches!(own.first(), Some(&("status" | "destroy"))) {
        own.extend(["--bootstraps", &bootstraps]);
    }
    if !own.iter().any(|word| matches!(*word, "status" | "--dry-run")) {
        own.push("--yes");
    }
    cloud.deploy(&own)
}

#[test]
fn each_block_of_the_page_does_what_it_says() {
    let cloud = Emulator::ministack();
    let mut ran = Vec::new();
    for line in blocks("sh").into_iter().flat_map(str::lines) {
        if NOT_RUN.iter().any(|(start, _)| line.starts_with(start)) {
            continue;
        }
        let said = run(&cloud, line);
        assert_eq!(said.code, 0, "{line}: {said:?}\n{}", cloud.log());
        ran.push(line);
    }
    assert_eq!(
        ran,
        [
            "cargo tidemark deploy --stage prod --dry-run",
            "cargo tidemark deploy --stage prod",
            "cargo tidemark deploy status --stage prod",
        ]
    );
}

/// The stage of the page is read as it says; nothing of it stands yet.
#[test]
fn the_stage_of_the_page_is_one() {
    let cloud = Emulator::ministack();
    let stages = blocks("toml");
    assert_eq!(stages.len(), 1, "{stages:?}");
    let file = cloud.folder().join("samconfig.toml");
    std::fs::write(&file, stages[0]).unwrap();
    let mut command = cloud.command();
    command.args(["--json", "deploy", "status", "--stage", "acceptance", "--config"]);
    let said = super::emulator::said(command.arg(&file));
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(
        (
            &said.json["prefix"],
            &said.json["pipeline"]["name"],
            &said.json["alarms"]["name"]
        ),
        (
            &Value::from("tidemark-acceptance"),
            &Value::from("tidemark-acceptance"),
            &Value::from("tidemark-acceptance-alarms")
        ),
        "{said:?}"
    );
}
