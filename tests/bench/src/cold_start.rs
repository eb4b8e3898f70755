//! A function's cold start, as far as it is ours: from the start of its process to its first request for work.

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a function asks Lambda's Runtime API for when it is ready.
const NEXT: &[u8] = b"GET /2018-06-01/runtime/invocation/next ";
/// A process that asks for nothing within this time is given up.
const START_MAX: Duration = Duration::from_secs(20);
/// How often it is looked at whether it asks: the error of a measurement.
const LOOK_EVERY: Duration = Duration::from_micros(50);
/// What Lambda and the template set. Nothing is called before the first invocation, so none of it need exist.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("AWS_REGION", "eu-west-1"),
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_LAMBDA_FUNCTION_NAME", "tidemark-score"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "group"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
    ("TIDEMARK_TABLE", "tidemark-cards"),
    ("TIDEMARK_SCORES_STREAM", "tidemark-scores"),
    (
        "TIDEMARK_QUARANTINE_QUEUE_URL",
        "https://sqs.eu-west-1.amazonaws.com/000000000000/quarantine",
    ),
];

/// One start.
#[derive(Clone, Copy)]
struct Start {
    wall: Duration,
    /// Time on the processor, where the system says.
    cpu: Option<Duration>,
}

/// Measures so many starts with endpoints as on AWS, and as many with plain local ones.
pub fn run(binary: &Path, runs: usize) -> Result<String, String> {
    let mut text = format!("{runs} starts of {} each, ms\n\n", binary.display());
    text += "endpoints        wall: median      90 %     least   processor: median\n";
    for (name, endpoint) in [("https (AWS)", None), ("http (local)", Some("http://127.0.0.1:9"))] {
        let mut starts = Vec::with_capacity(runs);
        for _ in 0..runs {
            starts.push(start(binary, endpoint)?);
        }
        let mut walls: Vec<Duration> = starts.iter().map(|start| start.wall).collect();
        let mut cpus: Vec<Duration> = starts.iter().filter_map(|start| start.cpu).collect();
        walls.sort_unstable();
        cpus.sort_unstable();
        text += &format!(
            "{name:<14} {:>14} {:>9} {:>9} {:>19}\n",
            at(&walls, 50),
            at(&walls, 90),
            at(&walls, 0),
            at(&cpus, 50)
        );
    }
    Ok(text)
}

/// The value of that rank in milliseconds.
fn at(sorted: &[Duration], percent: usize) -> String {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    let value = sorted.get(rank - 1);
    value.map_or_else(|| "-".to_owned(), |value| format!("{:.2}", value.as_secs_f64() * 1e3))
}

fn start(binary: &Path, endpoint: Option<&str>) -> Result<Start, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", binary.display());
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?.to_string();
    let mut command = Command::new(binary);
    command
        .env_clear()
        .envs(ENVIRONMENT.iter().copied())
        .envs(endpoint.map(|url| ("AWS_ENDPOINT_URL", url)))
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let began = now();
    let mut child = command.spawn().map_err(failed)?;
    let asked = wait_until_asked(&listener, &mut child, began);
    let start = Start {
        wall: began.elapsed(),
        cpu: cpu_time(child.id()),
    };
    // It waits for work that never comes.
    let _ = child.kill();
    let _ = child.wait();
    asked.map(|()| start)
}

fn wait_until_asked(listener: &TcpListener, child: &mut Child, began: Instant) -> Result<(), String> {
    while began.elapsed() < START_MAX {
        match listener.accept() {
            Ok((stream, _)) => return is_next(stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => pause(),
            Err(error) => return Err(error.to_string()),
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("the process ended before it asked for work: {status}"));
        }
    }
    Err("the process asked for nothing".to_owned())
}

fn is_next(mut stream: TcpStream) -> Result<(), String> {
    let mut head = [0; NEXT.len()];
    let read = stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_read_timeout(Some(START_MAX)))
        .and_then(|()| stream.read_exact(&mut head));
    read.map_err(|error| error.to_string())?;
    if head == NEXT {
        Ok(())
    } else {
        Err(format!(
            "it asked for something else: {}",
            String::from_utf8_lossy(&head)
        ))
    }
}

/// Time that a process's first thread spent on a processor so far, where Linux says; the functions have but this one.
fn cpu_time(pid: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

#[allow(
    clippy::disallowed_methods,
    reason = "a benchmark has one thread, and it waits for another process"
)]
fn pause() {
    std::thread::sleep(LOOK_EVERY);
}
