//! `tidemark doctor --endpoint`: which emulator answers, and what it can't do. It asks each path that an emulator is known by, unsigned:
//! no credentials are sent, and nothing is asked that is not on this machine.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use serde::Serialize;
use terminal::error::{CliError, Exit};
use terminal::ui::{self, paint};
use tidemark_aws::is_loopback;

/// Time to connect, and between two bytes of an answer.
const WAIT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// An emulator that is known.
struct Known {
    name: &'static str,
    /// What it is asked.
    path: &'static str,
    /// What its answer has, in lower case.
    says: &'static str,
    /// What it can't do, as docs/reference/localstack.md and docs/reference/local-aws.md have it.
    lacks: &'static [Lack],
}

/// Something that an emulator can't do.
#[derive(Clone, Copy, Debug, Serialize)]
struct Lack {
    what: &'static str,
    remark: &'static str,
}

const fn lack(what: &'static str, remark: &'static str) -> Lack {
    Lack { what, remark }
}

/// Those that imitate another one's path come before it.
const KNOWN: [Known; 4] = [
    Known {
        name: "ministack",
        path: "/_ministack/health",
        says: "200",
        lacks: &[
            lack(
                "event source mapping",
                "a partial failure counts as success, so records are lost: use `local up --on`, or a stack with MappingEnabled=false",
            ),
            lack(
                "alarms",
                "most of them are not supported, and the others never leave INSUFFICIENT_DATA",
            ),
            lack("CodeDeploy", "DeploymentGradual=true is refused"),
            lack(
                "import",
                "a stream that was kept is not taken over: it is made anew, and what it held is gone",
            ),
            lack("quotas", "Kinesis's are not told"),
            lack("IAM, encryption", "not enforced"),
        ],
    },
    Known {
        name: "moto",
        path: "/moto-api/",
        says: "moto",
        lacks: &[
            lack(
                "concurrency",
                "updates of one item at the same time are lost: unfit for a load",
            ),
            lack("sequence numbers", "Kinesis's repeat across keys"),
            lack("PartiQL", "not DynamoDB's: `local up --on` writes items one by one"),
            lack(
                "CloudFormation",
                "the pipeline's template is refused: use `local up --on`",
            ),
        ],
    },
    Known {
        name: "LocalStack",
        path: "/_localstack/health",
        says: "services",
        lacks: &[
            lack(
                "event source mapping",
                "neither bisect nor the parallelization factor: use `local up --on`, which brings ours",
            ),
            lack(
                "DynamoDB",
                "without Docker it downloads a Java runtime, and can't start without the internet",
            ),
            lack("template", "`deploy --stage local` was not tried there"),
        ],
    },
    Known {
        name: "the local AWS of tidemark",
        path: "/_tidemark/which",
        says: "the local aws has",
        lacks: &[
            lack(
                "services",
                "DynamoDB, Kinesis, SQS, Lambda and STS's GetCallerIdentity, and no other",
            ),
            lack("CloudFormation", "no stacks: `local up` makes what the template has"),
            lack("Step Functions", "none: `redrive --parallel` calls the function itself"),
        ],
    },
];

/// What there is to tell.
#[derive(Debug, Serialize)]
struct Told {
    endpoint: String,
    /// `None`: something answers, and it is none of the known.
    emulator: Option<&'static str>,
    lacks: Vec<Lack>,
    page: &'static str,
}

/// Asks who answers.
///
/// # Errors
/// When the endpoint is not on this machine, or nothing answers there.
pub fn run(endpoint: &str, json: bool) -> Result<Exit, CliError> {
    if !is_loopback(endpoint) {
        return Err(CliError::usage(
            "doctor_endpoint",
            format!("the endpoint {endpoint} is not on this machine"),
            "Give an emulator on loopback, such as --endpoint http://127.0.0.1:4566. Nothing was sent.",
        ));
    }
    let mut found = None;
    for known in &KNOWN {
        let answer = ask(endpoint, known.path).map_err(|why| {
            CliError::service(
                "doctor_endpoint",
                format!("nothing that speaks HTTP answers on {endpoint}: {why}"),
                "Is the emulator up, and is this its port? docs/reference/localstack.md says how each is started.",
            )
        })?;
        if found.is_none() && is(known, &answer) {
            found = Some(known);
            break;
        }
    }
    let told = Told {
        endpoint: endpoint.to_owned(),
        emulator: found.map(|known| known.name),
        lacks: found.map(|known| known.lacks.to_vec()).unwrap_or_default(),
        page: "docs/reference/localstack.md",
    };
    ui::out(&ui::json_or(json, &told, render)?);
    Ok(if found.is_some() { Exit::Ok } else { Exit::Failed })
}

/// Whether an answer, status line and all, is one of this emulator's.
fn is(known: &Known, answer: &str) -> bool {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let ours = known.path.starts_with("/_tidemark");
    (ours || status == "200") && answer.to_lowercase().contains(known.says)
}

/// One GET, without credentials.
fn ask(endpoint: &str, path: &str) -> Result<String, std::io::Error> {
    let authority = endpoint
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap_or_default();
    let address = if authority.rsplit(']').next().is_some_and(|rest| rest.contains(':')) {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let no_address = || std::io::Error::other("no address");
    let address = address.to_socket_addrs()?.next().ok_or_else(no_address)?;
    let mut stream = TcpStream::connect_timeout(&address, WAIT)?;
    stream.set_read_timeout(Some(WAIT))?;
    stream.set_write_timeout(Some(WAIT))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nAccept: */*\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    if answer.starts_with("HTTP/") {
        Ok(answer)
    } else {
        Err(std::io::Error::other("the answer is not HTTP"))
    }
}

fn render(told: &Told) -> String {
    let endpoint = &told.endpoint;
    let Some(name) = told.emulator else {
        return format!(
            "{} {endpoint} answers, and is none of the emulators that are known here. {} says what the pipeline needs.\n",
            paint(ui::WARN, "–"),
            told.page
        );
    };
    let mut text = format!(
        "{} {endpoint} is {name}. What it can't do, as far as it was tried:\n",
        paint(ui::GOOD, "✓")
    );
    for lack in &told.lacks {
        text += &format!("  {:<22} {}\n", lack.what, paint(ui::DIM, lack.remark));
    }
    text + &format!("{} has more.\n", told.page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_known_by_its_own_answer_and_by_no_others() {
        let answers = [
            "HTTP/1.1 200 OK\r\n\r\n{\"status\": \"ok\"}",
            "HTTP/1.1 200 OK\r\n\r\n<title>Moto</title>",
            "HTTP/1.1 200 OK\r\n\r\n{\"services\": {}}",
            "HTTP/1.1 404 Not Found\r\n\r\n{\"message\": \"there is no GET here. The local AWS has DynamoDB\"}",
        ];
        for (known, answer) in KNOWN.iter().zip(answers) {
            assert!(is(known, answer), "{}", known.name);
            assert!(
                !is(known, "HTTP/1.1 404 Not Found\r\n\r\nno such page"),
                "{}",
                known.name
            );
        }
    }

    #[test]
    fn what_is_not_on_this_machine_is_asked_nothing() {
        let error = run("http://192.0.2.1:4566", true).unwrap_err();
        assert_eq!((error.code, error.exit), ("doctor_endpoint", Exit::Usage));
        let error = run("http://127.0.0.1:1", true).unwrap_err();
        assert_eq!((error.code, error.exit), ("doctor_endpoint", Exit::Service));
    }

    #[test]
    fn what_an_emulator_cannot_do_stands_in_the_page_too() {
        let page = include_str!("../../../../docs/reference/localstack.md");
        for known in &KNOWN[..3] {
            for lack in known.lacks {
                assert!(
                    page.to_lowercase().contains(&lack.what.to_lowercase()),
                    "{}: {}",
                    known.name,
                    lack.what
                );
            }
        }
    }
}
