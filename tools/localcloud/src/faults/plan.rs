//! What goes wrong, where, and how often.

/// A service that faults are put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// The table store.
    DynamoDb,
    /// The streams.
    Kinesis,
    /// The queues.
    Sqs,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::DynamoDb, Self::Kinesis, Self::Sqs];

    /// Its name as AWS writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DynamoDb => "DynamoDB",
            Self::Kinesis => "Kinesis",
            Self::Sqs => "SQS",
        }
    }
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultKind {
    /// Not applied; answered with the service's internal error, HTTP 500.
    Error500,
    /// Not applied; answered with the service's "slow down".
    Throttle,
    /// Not applied; answered as if the key service asked to slow down: what an encrypted stream gives.
    KmsThrottle,
    /// BatchGetItem, BatchWriteItem, BatchExecuteStatement, PutRecords and SendMessageBatch: each key, write, statement,
    /// record or message is refused by itself with this chance, the rest is applied. Any other operation is throttled.
    Partial {
        /// The chance of each item, 0 to 1.
        share: f64,
    },
    /// Applied and answered, so much later.
    Delay {
        /// How much later, in milliseconds.
        ms: u64,
    },
    /// Not applied; answered as if the shard iterator were older than five minutes (for GetRecords).
    ExpiredIterator,
    /// Not applied; answered as if the queue had nothing (for ReceiveMessage): what a short poll may meet in a queue that is not empty.
    NothingThere,
    /// Not applied; the connection is closed without an answer.
    DropBefore,
    /// Applied; the connection is closed without an answer. The caller can't know: the ambiguous write.
    DropAfterApply,
    /// Not applied; answered with "service unavailable", HTTP 503. With a share of 1 the service is down.
    Down,
}

impl FaultKind {
    /// Its name in counts and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error500 => "error",
            Self::Throttle => "throttle",
            Self::KmsThrottle => "kms_throttle",
            Self::Partial { .. } => "partial",
            Self::Delay { .. } => "delay",
            Self::ExpiredIterator => "expired_iterator",
            Self::NothingThere => "nothing_there",
            Self::DropBefore => "drop_before",
            Self::DropAfterApply => "drop_after_apply",
            Self::Down => "down",
        }
    }
}

/// One rule of the fault layer: which requests, how many of them, what happens.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultPlan {
    /// Requests to this service,
    pub service: Service,
    /// with this operation (all, when absent),
    pub operation: Option<String>,
    /// that name this stream, table or queue (any, when absent):
    pub resource: Option<String>,
    /// of these, this share, 0 to 1,
    pub share: f64,
    /// meets this,
    pub kind: FaultKind,
    /// until it has happened so many times (without end, when absent).
    pub faults_max: Option<u64>,
}

impl FaultPlan {
    /// A share of all requests to a service.
    #[must_use]
    pub fn new(service: Service, kind: FaultKind, share: f64) -> Self {
        Self {
            service,
            operation: None,
            resource: None,
            share,
            kind,
            faults_max: None,
        }
    }

    /// The service answers nobody until the plan is taken away.
    #[must_use]
    pub fn down(service: Service) -> Self {
        Self::new(service, FaultKind::Down, 1.0)
    }

    /// Only this operation.
    #[must_use]
    pub fn on(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Only requests that name this stream, table or queue.
    #[must_use]
    pub fn at(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// At most so many times.
    #[must_use]
    pub fn at_most(mut self, faults: u64) -> Self {
        self.faults_max = Some(faults);
        self
    }

    /// Whether a request is one of the plan's.
    pub(super) fn covers(&self, service: Service, operation: &str, body: &[u8]) -> bool {
        self.service == service
            && self.operation.as_deref().is_none_or(|own| own == operation)
            && self.resource.as_deref().is_none_or(|own| names(body, own))
    }
}

/// Whether a request's body names a resource: by itself, in a statement, or as the end of a URL or an ARN.
fn names(body: &[u8], resource: &str) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| {
        let is_named = |ending: String| {
            text.match_indices(&ending)
                .any(|(at, _)| matches!(text.as_bytes().get(at.wrapping_sub(1)), Some(b'"' | b'/')))
        };
        is_named(format!("{resource}\"")) || is_named(format!("{resource}\\\""))
    })
}

/// The `turn`-th of a sequence of numbers from 0 to 1 (1 excluded) that a seed and a lane name. It has no state, so that
/// the n-th request of a plan meets the same fate in each run, whatever other plans there are.
#[allow(clippy::cast_precision_loss, reason = "53 bits are what a float of 64 bits holds")]
pub(super) fn draw(seed: u64, lane: u64, turn: u64) -> f64 {
    let mixed = mix(mix(seed ^ mix(lane)).wrapping_add(turn));
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_covers_what_it_names_and_nothing_else() {
        let plan = FaultPlan::new(Service::Kinesis, FaultKind::Throttle, 1.0)
            .on("PutRecords")
            .at("scores");
        let body = br#"{"Records":[],"StreamName":"scores"}"#;
        assert!(plan.covers(Service::Kinesis, "PutRecords", body));
        assert!(plan.covers(
            Service::Kinesis,
            "PutRecords",
            br#"{"StreamARN":"arn:aws:x:stream/scores"}"#
        ));
        assert!(!plan.covers(Service::Kinesis, "PutRecords", br#"{"StreamName":"old-scores"}"#));
        assert!(!plan.covers(Service::Kinesis, "PutRecords", br#"{"StreamName":"scores-2"}"#));
        assert!(!plan.covers(Service::Kinesis, "GetRecords", body));
        assert!(!plan.covers(Service::Sqs, "PutRecords", body));
        let table = FaultPlan::down(Service::DynamoDb).at("cards");
        let statement = |name: &str| format!(r#"{{"Statement":"INSERT INTO \"{name}\" VALUE {{'pk':?}}"}}"#);
        let is_covered = |name| table.covers(Service::DynamoDb, "BatchExecuteStatement", statement(name).as_bytes());
        assert!(is_covered("cards") && !is_covered("old-cards") && !is_covered("cards-2"));
        assert!(FaultPlan::down(Service::Sqs).covers(Service::Sqs, "SendMessage", b""));
    }

    #[test]
    fn draws_are_even_and_the_same_for_the_same_seed() {
        let of = |seed, lane| -> Vec<f64> { (0..10_000).map(|turn| draw(seed, lane, turn)).collect() };
        assert_eq!(of(7, 1), of(7, 1));
        assert_ne!(of(7, 1), of(8, 1));
        assert_ne!(of(7, 1), of(7, 2));
        for share in [0.05, 0.125, 0.5] {
            let below = of(7, 1).iter().filter(|number| **number < share).count();
            let expected = share * 10_000.0;
            // Five standard deviations of a binomial count.
            let bound = 5.0 * (expected * (1.0 - share)).sqrt();
            assert!(
                (f64::from(u32::try_from(below).unwrap()) - expected).abs() < bound,
                "{share}: {below}"
            );
        }
        assert!(of(1, 1).iter().all(|number| (0.0..1.0).contains(number)));
    }
}
