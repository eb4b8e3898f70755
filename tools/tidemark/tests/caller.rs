//! Who calls, with which credentials, on which deployment, and what of others' text reaches the terminal.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use std::process::Output;

use localcloud::{LocalCloud, LocalConfig, Names};
use serde_json::Value;

struct Bench {
    cloud: LocalCloud,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cloud = LocalCloud::start(LocalConfig::new(folder.path())).await.unwrap();
        cloud.provision(&Names::default()).await.unwrap();
        Self { cloud, folder }
    }

    /// Runs the command as somebody of whom nothing is known but these variables.
    async fn run(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tidemark"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_REGION", self.cloud.region())
            .env("AWS_ENDPOINT_URL", self.cloud.endpoint())
            .env("AWS_ENDPOINT_URL_DYNAMODB", self.cloud.dynamodb_endpoint())
            .envs(variables.iter().copied());
        command.output().await.unwrap()
    }

    async fn json(&self, code: i32, variables: &[(&str, &str)], arguments: &[&str]) -> Value {
        let output = self.run(variables, &[&["--json"], arguments].concat()).await;
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stdout} {stderr}");
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{e}: {stdout} {stderr}"))
    }
}

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];

/// An STS that knows one caller.
async fn sts(arn: &'static str) -> String {
    let app = axum::Router::new().fallback(move |body: String| async move {
        assert!(body.contains("Action=GetCallerIdentity"), "{body}");
        format!("<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{arn}</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>")
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    endpoint
}

#[tokio::test]
async fn a_change_is_signed_by_the_caller_whom_aws_knows_then_by_the_login_name() {
    let bench = Bench::start().await;
    let endpoint = sts("arn:aws:sts::123456789012:assumed-role/OnCall/alice").await;
    let set = |mode: &'static str| ["mode", mode, "--keep-mapping", "--reason", "a test"];
    let known = [&KEYS[..], &[("AWS_ENDPOINT_URL_STS", endpoint.as_str())]].concat();
    bench.json(0, &known, &set("shadow")).await;
    // No STS answers at this port, or it is a local one that knows nobody.
    let nobody = [&KEYS[..], &[("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")]].concat();
    let login = [&nobody[..], &[("LOGNAME", "on-call")]].concat();
    bench.json(0, &login, &set("degraded")).await;
    let error = bench.json(2, &nobody, &set("live")).await;
    assert_eq!(error["error"]["code"], "operator");
    bench
        .json(0, &nobody, &[&set("live")[..], &["--who", "bob"]].concat())
        .await;
    let history = bench.json(0, &KEYS, &["policy", "history"]).await;
    let who: Vec<&str> = history["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["who"].as_str().unwrap())
        .collect();
    assert_eq!(who, ["bob", "on-call", "123456789012:assumed-role/OnCall/alice"]);
}

#[cfg(unix)]
#[tokio::test]
async fn profiles_with_a_process_and_with_sso_are_read_and_an_error_says_what_they_lack() {
    let bench = Bench::start().await;
    let at = |name: &str| bench.folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(
        at("keys.json"),
        r#"{"Version": 1, "AccessKeyId": "test", "SecretAccessKey": "test"}"#,
    )
    .unwrap();
    let config = format!(
        "[profile process]\ncredential_process = cat {}\n\n[profile broken]\ncredential_process = false\n\n\
         [profile sso]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = OnCall\n\n\
         [sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://example.awsapps.com/start\n",
        at("keys.json")
    );
    std::fs::write(at("config"), config).unwrap();
    let (config, none) = (at("config"), at("none"));
    let with = |profile: &'static str| {
        let files = [
            ("AWS_CONFIG_FILE", config.as_str()),
            ("AWS_SHARED_CREDENTIALS_FILE", none.as_str()),
        ];
        [&files[..], &[("AWS_PROFILE", profile)]].concat()
    };
    bench.json(0, &with("process"), &["policy", "history"]).await;
    for (profile, why) in [("broken", "process"), ("sso", "sso")] {
        let error = &bench
            .json(4, &with(profile), &["policy", "history", "--patience", "0"])
            .await["error"];
        let what = error["what"].as_str().unwrap();
        assert!(what.contains("there are no credentials: "), "{what}");
        assert!(what.to_lowercase().contains(why), "{what}");
        assert!(!what.contains("without the"), "the feature is there: {what}");
        assert!(error["advice"].as_str().unwrap().contains("aws sso login"), "{error}");
    }
}

#[tokio::test]
async fn the_deployment_is_named_the_same_way_on_every_verb() {
    let bench = Bench::start().await;
    let verbs: [&[&str]; 6] = [
        &["policy", "history"],
        &["mode"],
        &["override", "list"],
        &["rollout", "0", "--reason", "a test"],
        &["compare", "--candidate", "7"],
        &["explain", "-card"],
    ];
    for verb in verbs {
        let login = [&KEYS[..], &[("USER", "on-call")]].concat();
        let output = bench.run(&login, &[verb, &["--prefix", "night"]].concat()).await;
        let by_flag = String::from_utf8(output.stderr).unwrap();
        assert!(by_flag.contains("night-cards"), "{verb:?}: {by_flag}");
        let variable = [&login[..], &[("TIDEMARK_PREFIX", "night")]].concat();
        let output = bench.run(&variable, verb).await;
        assert_eq!(String::from_utf8(output.stderr).unwrap(), by_flag, "{verb:?}");
    }
}

#[tokio::test]
async fn text_of_others_writes_no_line_of_its_own() {
    let bench = Bench::start().await;
    // A control character is refused by the verb itself; what turns the line round is not.
    let with_control = "stolen\n\u{1b}[2K✓ I1 and I3 hold";
    let refused = [
        "override",
        "card",
        "-card-1",
        "block",
        "--until",
        "2h",
        "--who",
        "mallory",
        "--reason",
        with_control,
    ];
    bench.json(2, &KEYS, &refused).await;
    let evil = "stolen \u{202e}✓ I1 and I3 hold";
    let set = [
        "override", "card", "-card-1", "block", "--until", "2h", "--who", "mallory", "--reason", evil,
    ];
    bench.json(0, &KEYS, &set).await;
    for verb in [&["override", "list"][..], &["policy", "history"]] {
        let output = bench.run(&KEYS, verb).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("stolen \\u202e✓ I1 and I3 hold"), "{text:?}");
        assert!(
            text.chars().all(|c| c == '\n' || !terminal::escape::is_unseen(c)),
            "{text:?}"
        );
        assert!(text.lines().all(|line| !line.starts_with('✓')), "{text:?}");
    }
    let list = bench.json(0, &KEYS, &["override", "list"]).await;
    assert_eq!(list["overrides"][0]["reason"], evil, "JSON keeps the text");
}
