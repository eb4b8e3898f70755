//! The template agrees with the code: names of variables, times against retry budgets, permissions against calls, how long
//! things are kept.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use score_function::config::Config;
use serde_json::{Value, json};
use tidemark_aws::Writes;
use tidemark_domain::lifetime;
use tidemark_engine::EngineConfig;

const SECOND_MS: u64 = 1_000;
const HOUR_S: u64 = 3_600;
/// Lambda hands over at most so many bytes in one invocation.
const INVOCATION_BYTES_MAX: usize = 6 * 1024 * 1024;

/// The template as CloudFormation takes it with every parameter's default.
fn template() -> &'static Value {
    static TEMPLATE: OnceLock<Value> = OnceLock::new();
    TEMPLATE.get_or_init(|| decided(&[]))
}

/// The template as CloudFormation takes it with these parameters.
fn decided(parameters: &[&str]) -> Value {
    e2e::decided("infra/template.yaml", parameters).unwrap()
}

fn property(place: &str) -> &'static Value {
    template()
        .pointer(&format!("/Resources/{place}"))
        .unwrap_or_else(|| panic!("the template has no {place}"))
}

/// A parameter's field (`Default`, `MinValue`, `MaxValue`).
fn parameter(name: &str, field: &str) -> u64 {
    let value = &template()["Parameters"][name][field];
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{name} has no {field}: {value}"))
}

fn resources_of(kind: &str) -> Vec<&'static String> {
    let resources = template()["Resources"].as_object().unwrap();
    resources
        .iter()
        .filter(|(_, resource)| resource["Type"] == kind)
        .map(|(name, _)| name)
        .collect()
}

/// The variables of the score function as it would see them.
fn variables() -> BTreeMap<String, String> {
    variables_of("ScoreFunction", "tidemark-score")
}

/// The variables of a function as it would see them: parameters by their defaults, resources by invented names.
fn variables_of(function: &str, name: &str) -> BTreeMap<String, String> {
    let declared = property(&format!("{function}/Properties/Environment/Variables"))
        .as_object()
        .unwrap();
    let mut variables: BTreeMap<String, String> = declared
        .iter()
        .map(|(name, value)| {
            let target = value["Ref"].as_str().unwrap();
            let kind = &template()["Resources"][target]["Type"];
            let text = match &template()["Parameters"][target]["Default"] {
                Value::String(text) => text.clone(),
                _ if kind == "AWS::SQS::Queue" => "https://sqs.eu-west-1.amazonaws.com/000000000000/queue".to_owned(),
                _ => format!("tidemark-{}", target.to_lowercase()),
            };
            (name.clone(), text)
        })
        .collect();
    // Lambda itself sets these.
    variables.insert("AWS_REGION".to_owned(), "eu-west-1".to_owned());
    variables.insert("AWS_LAMBDA_FUNCTION_NAME".to_owned(), name.to_owned());
    variables
}

fn read(variables: &BTreeMap<String, String>) -> Result<Config, String> {
    Config::read(variables, |path| Err(std::io::Error::other(format!("no file {path}"))))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_function_understands_its_environment() {
    let config = read(&variables()).unwrap();
    assert_eq!(
        config.unknown,
        Vec::<String>::new(),
        "variables that the code does not read"
    );
    assert_eq!(config.table, "tidemark-cardstable");
    assert_eq!(config.scores_stream, "tidemark-scoresstream");
}

#[test]
fn the_function_needs_each_resource_of_its_environment() {
    let all = variables();
    for name in [
        "TIDEMARK_TABLE",
        "TIDEMARK_SCORES_STREAM",
        "TIDEMARK_QUARANTINE_QUEUE_URL",
    ] {
        let mut fewer = all.clone();
        fewer
            .remove(name)
            .unwrap_or_else(|| panic!("the template does not set {name}"));
        assert!(read(&fewer).unwrap_err().contains(name));
    }
}

#[test]
fn every_log_level_of_the_template_is_one_of_the_code() {
    for level in template()["Parameters"]["ScoreLogLevel"]["AllowedValues"]
        .as_array()
        .unwrap()
    {
        let mut variables = variables();
        variables.insert("TIDEMARK_LOG_LEVEL".to_owned(), level.as_str().unwrap().to_owned());
        read(&variables).unwrap();
    }
}

#[test]
fn every_kind_of_write_of_the_template_is_one_of_the_code() {
    let kinds = template()["Parameters"]["TableWrites"]["AllowedValues"]
        .as_array()
        .unwrap();
    let read_as = |kind: &str| {
        let mut variables = variables();
        variables.insert("TIDEMARK_WRITES".to_owned(), kind.to_owned());
        read(&variables).map(|config| config.writes)
    };
    let writes: Vec<Writes> = kinds
        .iter()
        .map(|kind| read_as(kind.as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(writes, [Writes::Statements, Writes::Items]);
    assert!(read_as("statement").unwrap_err().contains("TIDEMARK_WRITES"));
}

#[test]
fn the_shortest_timeout_holds_one_call_with_all_its_retries() {
    let engine = EngineConfig::default();
    let pauses_ms: u64 = (1..engine.attempts_max)
        .map(|repetition| engine.backoff_cap_ms.min(engine.backoff_base_ms << (repetition - 1)))
        .sum();
    let call_ms = u64::from(engine.attempts_max) * tidemark_aws::limits::ATTEMPT_TIMEOUT_MS + pauses_ms;
    let margin_ms = u64::try_from(engine.deadline_margin_ms).unwrap();
    let timeout_ms = parameter("ScoreTimeoutSeconds", "MinValue") * SECOND_MS;
    assert!(
        call_ms + margin_ms <= timeout_ms,
        "{call_ms} ms of one call + {margin_ms} ms of margin > {timeout_ms} ms"
    );
}

#[test]
fn the_deadline_margin_holds_one_attempt_and_the_answer() {
    let engine = EngineConfig::default();
    let attempt_ms = i64::try_from(tidemark_aws::limits::ATTEMPT_TIMEOUT_MS).unwrap();
    assert!(attempt_ms + engine.answer_margin_ms <= engine.deadline_margin_ms);
}

#[test]
fn the_function_has_memory_for_its_cache_and_a_batch() {
    let engine = EngineConfig::default();
    let memory = usize::try_from(parameter("ScoreMemoryMb", "MinValue")).unwrap() * 1024 * 1024;
    // A batch is there as JSON, as base64 inside it, and decoded.
    assert!(engine.cache_bytes_max + 3 * INVOCATION_BYTES_MAX <= memory * 3 / 4);
}

#[test]
fn a_batch_of_the_mapping_is_one_that_the_engine_takes() {
    let most = usize::try_from(parameter("MappingBatchSize", "MaxValue")).unwrap();
    assert!(most <= tidemark_engine::config::BATCH_RECORDS_MAX);
    assert!(parameter("MappingBatchSize", "Default") <= parameter("MappingBatchSize", "MaxValue"));
}

#[test]
fn the_mapping_cannot_be_made_endless_by_a_parameter() {
    for name in ["MappingRetryAttemptsMax", "MappingRecordAgeSecondsMax"] {
        assert!(parameter(name, "MinValue") > 0, "{name}");
        assert!(parameter(name, "Default") <= parameter(name, "MaxValue"), "{name}");
    }
    assert_eq!(
        property("ScoreMapping/Properties/MaximumRetryAttempts")["Ref"],
        "MappingRetryAttemptsMax"
    );
    assert_eq!(
        property("ScoreMapping/Properties/MaximumRecordAgeInSeconds")["Ref"],
        "MappingRecordAgeSecondsMax"
    );
}

#[test]
fn a_record_is_dead_lettered_before_the_stream_forgets_it() {
    let age_s = parameter("MappingRecordAgeSecondsMax", "MaxValue");
    let kept_s = parameter("StreamRetentionHours", "MinValue") * HOUR_S;
    // What is dead-lettered last must still leave a day to redrive it.
    assert!(
        age_s + 24 * HOUR_S <= kept_s,
        "{age_s} s of record age + a day > {kept_s} s of retention"
    );
}

#[test]
fn a_dead_letter_lives_as_long_as_the_records_that_it_names() {
    let stream_s = parameter("StreamRetentionHours", "MaxValue") * HOUR_S;
    let letter_s = property("DeadLetterQueue/Properties/MessageRetentionPeriod")
        .as_u64()
        .unwrap();
    assert!(
        letter_s >= stream_s,
        "a letter is kept {letter_s} s, its records {stream_s} s"
    );
    let destination = property("ScoreMapping/Properties/DestinationConfig/OnFailure/Destination");
    assert_eq!(destination["Fn::GetAtt"][0], "DeadLetterQueue");
}

/// A record may wait in its stream to the last day, be refused then, and be redriven from the queue on that one's last day: what
/// is stored must know it still, whatever the parameters say.
#[test]
fn what_is_stored_outlives_every_record_of_every_stream_and_queue() {
    let ms = |seconds: u64| i64::try_from(seconds * SECOND_MS).unwrap();
    for kind in ["Default", "MaxValue"] {
        let stream_ms = ms(parameter("StreamRetentionHours", kind) * HOUR_S);
        assert!(stream_ms <= lifetime::STREAM_RETENTION_MS_MAX, "{kind}: {stream_ms} ms");
    }
    for queue in ["QuarantineQueue", "DeadLetterQueue", "UnrecoverableQueue"] {
        let retention_s = property(&format!("{queue}/Properties/MessageRetentionPeriod"));
        let queue_ms = ms(retention_s.as_u64().unwrap());
        assert!(queue_ms <= lifetime::QUEUE_RETENTION_MS_MAX, "{queue}: {queue_ms} ms");
    }
}

/// The permissions that the calls of the functions' rim need, as the SDK names them; of the files that `is_called` chooses.
/// `admin` is for tools.
fn called(is_called: impl Fn(&str) -> bool) -> BTreeSet<&'static str> {
    let permissions = BTreeMap::from([
        (
            "batch_execute_statement",
            "dynamodb:PartiQLInsert dynamodb:PartiQLUpdate",
        ),
        ("batch_get_item", "dynamodb:BatchGetItem"),
        ("batch_write_item", "dynamodb:BatchWriteItem"),
        ("delete_item", "dynamodb:DeleteItem"),
        ("get_item", "dynamodb:GetItem"),
        ("put_item", "dynamodb:PutItem"),
        ("query", "dynamodb:Query"),
        ("scan", "dynamodb:Scan"),
        ("transact_write_items", "dynamodb:PutItem"),
        ("update_item", "dynamodb:UpdateItem"),
        ("get_records", "kinesis:GetRecords"),
        ("get_shard_iterator", "kinesis:GetShardIterator"),
        ("list_shards", "kinesis:ListShards"),
        ("put_record", "kinesis:PutRecord"),
        ("put_records", "kinesis:PutRecords"),
        ("change_message_visibility", "sqs:ChangeMessageVisibility"),
        ("change_message_visibility_batch", "sqs:ChangeMessageVisibility"),
        ("delete_message", "sqs:DeleteMessage"),
        ("delete_message_batch", "sqs:DeleteMessage"),
        ("receive_message", "sqs:ReceiveMessage"),
        ("send_message", "sqs:SendMessage"),
        ("send_message_batch", "sqs:SendMessage"),
    ]);
    let sources = e2e::tracked_files().unwrap();
    let rim: Vec<_> = sources
        .iter()
        .filter(|file| file.path.starts_with("shared/aws/src/") && !file.path.contains("/admin"))
        .filter(|file| is_called(&file.path))
        .collect();
    assert!(!rim.is_empty());
    // A call that is not in the list would be let through.
    for call in rim.iter().flat_map(|file| file.text.split("client").skip(1)) {
        let call = call.trim_start().strip_prefix('.').unwrap_or_default();
        let (name, rest) = call.split_at(call.find(|c: char| c != '_' && !c.is_ascii_lowercase()).unwrap_or(0));
        let is_call = !name.is_empty() && rest.starts_with("()");
        assert!(
            !is_call || permissions.contains_key(name),
            "{name}: which permission does it need?"
        );
    }
    let is_called = |call: &str| rim.iter().any(|file| file.text.contains(&format!(".{call}()")));
    let called = permissions.into_iter().filter(|(call, _)| is_called(call));
    // The permissions of statements are those of their verbs.
    called.flat_map(|(_, permissions)| permissions.split(' ')).collect()
}

/// What a role allows, but for some of its statements.
fn allowed(role: &str, but: &[&str]) -> BTreeSet<&'static str> {
    statements_of(role)
        .filter(|statement| !but.contains(&statement["Sid"].as_str().unwrap()))
        .flat_map(|statement| statement["Action"].as_array().unwrap())
        .map(|action| action.as_str().unwrap())
        .collect()
}

#[test]
fn each_role_allows_what_its_functions_code_calls_and_no_more() {
    // These two files are the redrive's alone.
    let is_redrives = |path: &str| path.ends_with("/shards.rs") || path.ends_with("/inbox.rs");
    assert_eq!(
        called(|path| !is_redrives(path)),
        allowed("ScoreRole", &["PollTransactions", "DeadLetter", "Log"]),
        "left: called by the score function; right: allowed by its role"
    );
    assert_eq!(
        called(|_| true),
        allowed("RedriveRole", &["Log"]),
        "left: called by the redrive function; right: allowed by its role"
    );
    assert!(
        called(is_redrives).contains("kinesis:GetRecords"),
        "the split is not blind"
    );
}

fn statements_of(role: &str) -> impl Iterator<Item = &'static Value> {
    property(&format!("{role}/Properties/Policies/0/PolicyDocument/Statement"))
        .as_array()
        .unwrap()
        .iter()
}

fn statements() -> impl Iterator<Item = &'static Value> {
    statements_of("ScoreRole")
}

#[test]
fn the_mapping_may_poll_its_stream_and_write_its_dead_letters() {
    let allows = |sid: &str, resource: &str, action: &str| {
        let statement = statements().find(|statement| statement["Sid"] == sid).unwrap();
        assert_eq!(statement["Resource"]["Fn::GetAtt"][0], resource);
        assert!(
            statement["Action"]
                .as_array()
                .unwrap()
                .iter()
                .any(|allowed| allowed == action),
            "{sid}: {action}"
        );
    };
    for action in [
        "DescribeStream",
        "DescribeStreamSummary",
        "GetRecords",
        "GetShardIterator",
        "ListShards",
    ] {
        allows("PollTransactions", "TransactionsStream", &format!("kinesis:{action}"));
    }
    allows("DeadLetter", "DeadLetterQueue", "sqs:SendMessage");
    assert_eq!(
        property("ScoreMapping/Properties/EventSourceArn")["Fn::GetAtt"][0],
        "TransactionsStream"
    );
}

#[test]
fn each_function_has_a_role_of_its_own() {
    let functions = resources_of("AWS::Serverless::Function");
    let roles: BTreeSet<String> = functions
        .iter()
        .map(|name| {
            property(&format!("{name}/Properties/Role/Fn::GetAtt/0"))
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(!functions.is_empty());
    assert_eq!(roles.len(), functions.len());
}

/// X-Ray's actions know no resources, so that AWS's own policy is attached, and only where tracing is asked for.
#[test]
fn tracing_is_a_parameter_that_attaches_one_policy() {
    let resources = template()["Resources"].as_object().unwrap();
    assert_eq!(template()["Parameters"]["Tracing"]["Default"], "PassThrough");
    let policy = "arn:${AWS::Partition}:iam::aws:policy/AWSXRayDaemonWriteAccess";
    let traced = decided(&["Tracing=Active"]);
    for (function, role) in [("ScoreFunction", "ScoreRole"), ("RedriveFunction", "RedriveRole")] {
        assert_eq!(
            resources[function]["Properties"]["Tracing"]["Ref"], "Tracing",
            "{function}"
        );
        let attached = |template: &Value| template["Resources"][role]["Properties"]["ManagedPolicyArns"].clone();
        assert_eq!(attached(template()), json!([]), "{role}");
        assert_eq!(attached(&traced), json!([{ "Fn::Sub": policy }]), "{role}");
    }
}

#[test]
fn each_queue_refuses_calls_without_tls() {
    let protected: BTreeSet<&str> = resources_of("AWS::SQS::QueuePolicy")
        .into_iter()
        .filter(|name| {
            let statement = property(&format!("{name}/Properties/PolicyDocument/Statement/0"));
            statement["Effect"] == "Deny"
                && statement["Action"] == "sqs:*"
                && statement["Principal"] == "*"
                && statement["Condition"]["Bool"]["aws:SecureTransport"] == "false"
        })
        .map(|name| property(&format!("{name}/Properties/Queues/0/Ref")).as_str().unwrap())
        .collect();
    let queues: BTreeSet<&str> = resources_of("AWS::SQS::Queue")
        .into_iter()
        .map(String::as_str)
        .collect();
    assert_eq!(protected, queues);
}

#[test]
fn the_table_has_the_keys_that_the_code_writes() {
    let keys = property("CardsTable/Properties/KeySchema").as_array().unwrap();
    let names: Vec<&str> = keys.iter().map(|key| key["AttributeName"].as_str().unwrap()).collect();
    assert_eq!(names, [tidemark_aws::item::PARTITION_KEY, tidemark_aws::item::SORT_KEY]);
    let expires = property("CardsTable/Properties/TimeToLiveSpecification/AttributeName");
    assert_eq!(expires, tidemark_aws::item::EXPIRES);
}
