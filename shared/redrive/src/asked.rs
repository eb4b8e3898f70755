//! What the function may be asked, and what it answers: one call of a run, or one call of a chain. Pure.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use tidemark_telemetry::ErrorCode;

use crate::api::{Request, Response};
use crate::chain::ChainCall;
use crate::request::{RequestError, misshapen};

/// What the function is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A call of a run, whose caller keeps the cursor and adds the tallies up.
    Run(Request),
    /// A call of a chain, which keeps both itself.
    Chain(ChainCall),
}

/// What the function answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answered {
    /// To a call of a run.
    Run(Box<Response>),
    /// To a call of a chain: the chain, and what comes next.
    Chain(Box<ChainCall>),
}

/// Whether there is a chain in it.
#[derive(Deserialize)]
struct Probe {
    #[serde(default)]
    chain: Option<IgnoredAny>,
}

impl Asked {
    /// Reads what the function is asked.
    ///
    /// # Errors
    /// When it is not JSON, not of this shape, or when its fields contradict each other.
    pub fn parse(json: &str) -> Result<Self, RequestError> {
        let is_chain = serde_json::from_str::<Probe>(json).is_ok_and(|probe| probe.chain.is_some());
        if !is_chain {
            return Request::parse(json).map(Self::Run);
        }
        let call: ChainCall = serde_json::from_str(json).map_err(|error| RequestError {
            code: ErrorCode::RedriveRequestInvalid,
            detail: misshapen(&error),
        })?;
        call.chain.check()?;
        Ok(Self::Chain(call))
    }

    /// The request of this call.
    #[must_use]
    pub fn request(&self) -> &Request {
        match self {
            Self::Run(request) => request,
            Self::Chain(call) => &call.chain.request,
        }
    }

    /// The answer, once the call came to this.
    #[must_use]
    pub fn answer(self, response: Response) -> Answered {
        match self {
            Self::Run(_) => Answered::Run(Box::new(response)),
            Self::Chain(mut call) => {
                call.chain.take(response);
                Answered::Chain(Box::new(call))
            }
        }
    }
}
