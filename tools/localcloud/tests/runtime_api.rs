//! The Runtime API with a real process behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, missing_docs)]

use std::time::{Duration, Instant};

use localcloud::{Function, FunctionSpec, InvokeError, LocalCloud, LocalConfig};
use serde_json::json;
use tidemark_aws::admin::AdminError;

struct Bench {
    cloud: LocalCloud,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            cloud: LocalCloud::start(LocalConfig::new(folder.path())).await.unwrap(),
            folder,
        }
    }

    async fn function(&self, change: impl FnOnce(&mut FunctionSpec)) -> Function {
        let mut spec = FunctionSpec::new("f", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/functions/handler.py"));
        spec.env.push(("MINE".to_owned(), "yes".to_owned()));
        change(&mut spec);
        self.cloud.start_function(spec).await.unwrap()
    }
}

#[tokio::test]
async fn a_function_gets_its_environment_and_headers_and_answers() {
    let bench = Bench::new().await;
    let function = bench.function(|_| {}).await;
    assert_eq!(function.invoke(&json!({"a": 1})).await.unwrap(), json!({"a": 1}));
    let seen = function.invoke(&json!({"do": "environment"})).await.unwrap();
    assert_eq!(seen["AWS_LAMBDA_FUNCTION_NAME"], "f");
    assert_eq!(
        (&seen["AWS_REGION"], &seen["AWS_ACCESS_KEY_ID"]),
        (&json!("eu-west-1"), &json!("test"))
    );
    assert_eq!(
        (&seen["MINE"], &seen["HOME"]),
        (&json!("yes"), &json!(null)),
        "nothing is inherited"
    );
    let headers = &seen["headers"];
    let arn = "arn:aws:lambda:eu-west-1:000000000000:function:f";
    assert_eq!(headers["lambda-runtime-invoked-function-arn"], arn);
    let deadline_ms: i64 = headers["lambda-runtime-deadline-ms"].as_str().unwrap().parse().unwrap();
    let left_ms = deadline_ms - seen["now_ms"].as_i64().unwrap();
    assert!((20_000..=30_000).contains(&left_ms), "{left_ms}");
    assert!(
        std::fs::read_to_string(function.log_path())
            .unwrap()
            .contains("{\"log\": \"a line\"}\n")
    );
    assert_eq!(function.stats().cold_starts, 1, "the process is used again");
}

#[tokio::test]
async fn each_invocation_at_a_time_has_a_process_of_its_own_up_to_the_limit() {
    let bench = Bench::new().await;
    let function = bench.function(|spec| spec.concurrency_max = 2).await;
    let invoke = || async {
        function.invoke(&json!({"do": "pid", "ms": 300})).await.unwrap()["pid"]
            .as_u64()
            .unwrap()
    };
    let (a, b, c) = tokio::join!(invoke(), invoke(), invoke());
    assert_ne!(a, b);
    assert!(c == a || c == b, "the third waits for one of the two");
    assert_eq!(function.stats().cold_starts, 2);
    function.stop().await;
    assert!(function.pids().is_empty());
    assert_eq!(function.invoke(&json!({})).await, Err(InvokeError::Stopped));
}

#[tokio::test]
async fn a_reported_error_keeps_the_process_and_a_crash_starts_a_new_one() {
    let bench = Bench::new().await;
    let function = bench.function(|_| {}).await;
    let first = function.invoke(&json!({"do": "pid"})).await.unwrap();
    let error = function.invoke(&json!({"do": "fail"})).await.unwrap_err();
    assert_eq!(
        error,
        InvokeError::Function {
            error_type: "Broken".to_owned(),
            message: "as asked".to_owned()
        }
    );
    assert_eq!(function.invoke(&json!({"do": "pid"})).await.unwrap(), first);
    let crash = function.invoke(&json!({"do": "crash"})).await.unwrap_err();
    assert_eq!(
        crash,
        InvokeError::Crashed {
            status: "exit status: 3".to_owned()
        }
    );
    assert_ne!(function.invoke(&json!({"do": "pid"})).await.unwrap(), first);
    assert_eq!((function.stats().cold_starts, function.stats().errors), (2, 2));
}

#[tokio::test]
async fn a_function_that_overruns_its_timeout_is_killed_and_writes_nothing_later() {
    let bench = Bench::new().await;
    let function = bench.function(|spec| spec.timeout_ms = 400).await;
    function.invoke(&json!({})).await.unwrap();
    let file = bench.folder.path().join("late");
    let began = Instant::now();
    let slow = json!({"do": "sleep", "ms": 1_000, "then_write": file});
    assert_eq!(
        function.invoke(&slow).await,
        Err(InvokeError::TimedOut { timeout_ms: 400 })
    );
    assert!(began.elapsed() >= Duration::from_millis(400));
    assert!(
        function.pids().is_empty(),
        "the process is gone before the error is told"
    );
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert!(!file.exists());
}

#[tokio::test]
async fn a_process_that_is_killed_in_the_middle_is_a_crash() {
    let bench = Bench::new().await;
    let function = bench.function(|_| {}).await;
    function.invoke(&json!({})).await.unwrap();
    let pid = function.pids()[0];
    let request = json!({"do": "pid", "ms": 10_000});
    let (result, killed) = tokio::join!(function.invoke(&request), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        function.kill(pid)
    });
    assert!(killed);
    assert!(matches!(result, Err(InvokeError::Crashed { status }) if status.contains("SIGKILL")));
    assert!(!function.kill(1), "not one of ours");
    assert!(function.invoke(&json!({})).await.is_ok());
}

#[tokio::test]
async fn six_megabytes_is_the_limit_both_ways() {
    let bench = Bench::new().await;
    let function = bench.function(|_| {}).await;
    let limit = 6 * 1024 * 1024;
    let over = function.invoke_bytes(vec![b' '; limit + 1]).await.result;
    assert_eq!(over, Err(InvokeError::PayloadTooLarge { bytes: limit + 1 }));
    let fits = json!({"do": "large", "bytes": limit - 2});
    assert_eq!(
        function.invoke(&fits).await.unwrap().as_str().unwrap().len(),
        limit - 2,
        "with the quotes: 6 MB"
    );
    let error = function
        .invoke(&json!({"do": "large", "bytes": limit - 1}))
        .await
        .unwrap_err();
    assert!(matches!(error, InvokeError::Function { error_type, .. } if error_type == "Function.ResponseSizeTooLarge"));
}

#[tokio::test]
async fn a_function_that_does_not_start_says_why() {
    let bench = Bench::new().await;
    let function = bench
        .function(|spec| spec.env.push(("FAIL_INIT".to_owned(), "1".to_owned())))
        .await;
    let error = function.invoke(&json!({})).await.unwrap_err();
    assert_eq!(error, InvokeError::Init("NoPolicy: no such file".to_owned()));
    let missing = bench
        .cloud
        .start_function(FunctionSpec::new("g", "/no/such/bootstrap"))
        .await;
    assert!(missing.unwrap_err().to_string().contains("/no/such/bootstrap"));
}

#[tokio::test]
async fn a_function_is_invoked_over_http_as_in_lambdas_api() {
    let bench = Bench::new().await;
    let wait = Duration::from_secs(20);
    let admin = bench.cloud.admin();
    let absent = admin.invoke("f", b"{}", wait).await.unwrap_err();
    assert!(matches!(absent, AdminError::NotFound { .. }), "{absent}");

    let function = bench.function(|_| {}).await;
    assert_eq!(admin.invoke("f", b"{\"a\": 1}", wait).await.unwrap(), b"{\"a\": 1}");
    let arn = admin.invoke(function.arn(), b"{}", wait).await.unwrap();
    assert_eq!(arn, b"{}", "an ARN names it too");
    let failed = admin.invoke("f", b"{\"do\": \"fail\"}", wait).await.unwrap_err();
    assert_eq!(failed.to_string(), "function f failed: Broken: as asked");
    let large = vec![b' '; 6 * 1024 * 1024 + 1];
    let refused = admin.invoke("f", &large, wait).await.unwrap_err();
    assert!(
        refused.to_string().contains("RequestTooLargeException (HTTP 413)"),
        "{refused}"
    );

    function.stop().await;
    drop(function);
    let gone = admin.invoke("f", b"{}", wait).await.unwrap_err();
    assert!(matches!(gone, AdminError::NotFound { .. }), "{gone}");
}
