//! Step Functions: start an execution of a state machine, ask how it is, and how far its map is. Four operations, signed here as
//! Lambda's are.

use serde_json::{Value, json};
use tidemark_engine::port::PortError;

use super::rim::Ask;
use super::{Admin, AdminError};

/// How the protocol is called.
const JSON: &str = "application/x-amz-json-1.0";

/// An execution of a state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineRun {
    /// `RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT`, `ABORTED` or `PENDING_REDRIVE`.
    pub status: String,
    /// What it came to, as JSON.
    pub output: Option<String>,
    /// Why it failed, in the service's words.
    pub error: Option<String>,
}

/// How far an execution's distributed map is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapProgress {
    /// Items that came to an end, good or bad.
    pub over: u64,
    /// Items in work.
    pub running: u64,
    /// All of them.
    pub total: u64,
}

impl MachineRun {
    /// Whether it has not come to its end.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.status == "RUNNING"
    }
}

impl Admin {
    /// The ARN of a state machine of the caller's account; `None` where none can be asked for: test credentials go to loopback only,
    /// and a state machine calls the functions that are where it is itself.
    ///
    /// # Errors
    /// When STS does not say whose account it is.
    pub async fn machine_arn(&self, name: &str) -> Result<Option<String>, AdminError> {
        let rim = &self.deploys.machines;
        if self.lambda.is_apart() || (rim.endpoint().is_none() && self.uses_test_credentials().await) {
            return Ok(None);
        }
        let caller = self.caller_arn().await?;
        let mut parts = caller.split(':').skip(1);
        let (partition, account) = (parts.next(), parts.nth(2));
        let arn = |(partition, account)| {
            let region = rim.region();
            format!("arn:{partition}:states:{region}:{account}:stateMachine:{name}")
        };
        Ok(partition.zip(account).map(arn))
    }

    /// Starts an execution; its ARN. `None`: there is no such state machine, or nothing on loopback that knows of any. The same name
    /// and input start nothing twice.
    ///
    /// # Errors
    /// When Step Functions does not answer, or refuses.
    pub async fn start_machine(&self, machine: &str, name: &str, input: &str) -> Result<Option<String>, AdminError> {
        let body = json!({ "stateMachineArn": machine, "name": name, "input": input });
        match self.ask_machines("StartExecution", &body).await {
            Ok(answer) => Ok(answer["executionArn"].as_str().map(str::to_owned)),
            Err(AdminError::Refused { code, .. }) if code == "StateMachineDoesNotExist" => Ok(None),
            Err(AdminError::Refused { .. }) if self.deploys.machines.endpoint().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How an execution is.
    ///
    /// # Errors
    /// When Step Functions does not answer, or refuses.
    pub async fn machine_run(&self, execution: &str) -> Result<MachineRun, AdminError> {
        let body = json!({ "executionArn": execution });
        let answer = self.ask_machines("DescribeExecution", &body).await?;
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        let why = [text("error"), text("cause")];
        let why: Vec<String> = why.into_iter().flatten().collect();
        Ok(MachineRun {
            status: text("status").unwrap_or_default(),
            output: text("output"),
            error: (!why.is_empty()).then(|| why.join(": ")),
        })
    }

    /// The distributed map of an execution that has one; `None` before it begins.
    ///
    /// # Errors
    /// When Step Functions does not answer, or refuses.
    pub async fn machine_map(&self, execution: &str) -> Result<Option<String>, AdminError> {
        let body = json!({ "executionArn": execution, "maxResults": 1 });
        let answer = self.ask_machines("ListMapRuns", &body).await?;
        Ok(answer["mapRuns"][0]["mapRunArn"].as_str().map(str::to_owned))
    }

    /// How far a distributed map is. Step Functions counts items some seconds late.
    ///
    /// # Errors
    /// When Step Functions does not answer, or refuses.
    pub async fn map_progress(&self, map: &str) -> Result<MapProgress, AdminError> {
        let answer = self
            .ask_machines("DescribeMapRun", &json!({ "mapRunArn": map }))
            .await?;
        let counts = &answer["itemCounts"];
        let count = |name: &str| counts[name].as_u64().unwrap_or_default();
        let over = ["succeeded", "failed", "timedOut", "aborted"];
        Ok(MapProgress {
            over: over.into_iter().map(count).sum(),
            running: count("running"),
            total: count("total"),
        })
    }

    async fn ask_machines(&self, operation: &str, body: &Value) -> Result<Value, AdminError> {
        let rim = &self.deploys.machines;
        let own = super::signed::public_endpoint("states", rim.region());
        let uri = format!("{}/", rim.endpoint().unwrap_or(&own));
        let target = format!("AWSStepFunctions.{operation}");
        let payload = body.to_string();
        let ask = Ask {
            operation,
            method: "POST",
            uri: &uri,
            content_type: JSON,
            headers: &[("x-amz-target", &target)],
            payload: payload.as_bytes(),
        };
        let (_, answer) = rim.send(ask).await?;
        serde_json::from_slice(&answer).map_err(|_| {
            let text = format!("{operation}: the answer could not be read");
            AdminError::Call(PortError::Unavailable(text))
        })
    }
}
