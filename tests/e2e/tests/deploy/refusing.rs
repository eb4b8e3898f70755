//! What is in the way of a deployment: it says what happened, what is left and the next command.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::emulator::{Emulator, said, tidemark};

/// A service that knows the caller and then lets the credentials expire.
fn expiring() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = vec![0; 64 * 1024];
            let mut got = 0;
            // A request of these is small: it comes in one piece or two.
            while !String::from_utf8_lossy(&request[..got]).contains("Action=") {
                match stream.read(&mut request[got..]) {
                    Ok(0) | Err(_) => break,
                    Ok(more) => got += more,
                }
                if !String::from_utf8_lossy(&request[..got]).contains("POST / ") {
                    break;
                }
            }
            let is_sts = String::from_utf8_lossy(&request[..got]).contains("Action=GetCallerIdentity");
            let (status, body) = if is_sts {
                (
                    "200 OK",
                    "<R><Arn>arn:aws:sts::123456789012:assumed-role/OnCall/alice</Arn></R>",
                )
            } else {
                (
                    "403 Forbidden",
                    "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error></ErrorResponse>",
                )
            };
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    endpoint
}

#[test]
fn credentials_that_expire_in_the_middle_are_told_with_what_goes_on() {
    let endpoint = expiring();
    let mut command = tidemark();
    command
        .args([
            "--json",
            "--patience",
            "0",
            "deploy",
            "--stage",
            "dev",
            "--endpoint",
            &endpoint,
            "--yes",
        ])
        .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    let said = said(&mut command);
    assert_eq!((said.code, said.error()), (4, "deploy_credentials"), "{said:?}");
    assert!(said.text().contains("expired in the middle"), "{said:?}");
    assert!(said.text().contains("`tidemark deploy status --stage dev`"), "{said:?}");
}

#[test]
fn test_credentials_never_leave_the_machine() {
    for (arguments, place) in [
        (
            vec!["--stage", "local", "--endpoint", "http://192.0.2.1:4566"],
            "192.0.2.1",
        ),
        (
            vec!["--stage", "dev", "--endpoint", "http://192.0.2.1:4566"],
            "192.0.2.1",
        ),
        (vec!["--stage", "dev"], "AWS itself"),
        (vec!["--stage", "local"], "needs the endpoint"),
    ] {
        let mut command = tidemark();
        command.args(["--json", "deploy"]).args(&arguments);
        command
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        let said = said(&mut command);
        assert_eq!(
            (said.code, said.error()),
            (2, "deploy_endpoint"),
            "{arguments:?}: {said:?}"
        );
        assert!(said.text().contains(place), "{said:?}");
    }
}

#[test]
fn a_stage_that_is_not_there_is_told_with_those_that_are() {
    let mut command = tidemark();
    command.args(["--json", "deploy", "--stage", "live"]);
    let said = said(&mut command);
    assert_eq!((said.code, said.error()), (2, "deploy_stage"), "{said:?}");
    assert!(said.text().contains("dev, local, prod, stage"), "{said:?}");
}

#[test]
fn a_stack_that_failed_at_first_is_told_with_what_is_left_and_taken_away() {
    let cloud = Emulator::ministack();
    let mut script = e2e::venv("deploy").unwrap().script("rolled_back.py");
    let status = e2e::run(script.args([&cloud.endpoint, "tidemark"])).unwrap();
    assert_eq!(status.trim(), "ROLLBACK_COMPLETE");
    let folder = e2e::binary_folder().unwrap();
    let deploy = ["--yes", "--bootstraps", folder.to_str().unwrap()];
    let said = cloud.deploy(&deploy);
    assert_eq!((said.code, said.error()), (1, "deploy_state"), "{said:?}");
    for words in [
        "tidemark is in ROLLBACK_COMPLETE",
        "holds nothing any more",
        "`tidemark deploy destroy --stage local --endpoint ",
    ] {
        assert!(said.text().contains(words), "{words}: {said:?}");
    }
    let status = cloud.deploy(&["status"]);
    assert_eq!((status.code, &status.json["well"]), (1, &false.into()), "{status:?}");
    let destroyed = cloud.deploy(&["destroy", "--yes"]);
    assert_eq!(destroyed.code, 0, "{destroyed:?}");
    let look = cloud.deploy(&["--dry-run", "--bootstraps", folder.to_str().unwrap()]);
    assert_eq!(look.code, 0, "{look:?}");
}

#[test]
fn a_bootstrap_for_the_other_processor_is_refused_before_anything_is_sent() {
    let cloud = Emulator::ministack();
    let folder = tempfile::tempdir().unwrap();
    let built = e2e::binary_folder().unwrap();
    for function in ["score", "redrive"] {
        let mut bytes = std::fs::read(built.join(function)).unwrap();
        // ELF's number of the processor: 183 is AArch64, 62 is x86-64.
        bytes[18] = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
        std::fs::write(folder.path().join(function), bytes).unwrap();
    }
    let said = cloud.deploy(&["--yes", "--bootstraps", folder.path().to_str().unwrap()]);
    assert_eq!((said.code, said.error()), (5, "deploy_bootstrap"), "{said:?}");
    assert!(
        said.text().contains("is for") && said.text().contains("Nothing was deployed"),
        "{said:?}"
    );
}
