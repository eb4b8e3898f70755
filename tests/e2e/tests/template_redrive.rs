//! The template's redrive function agrees with its code: variables, times, memory, and what it may touch.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use redrive_function::Settings;
use serde_json::Value;
use tidemark_redrive::ChainNext;
use tidemark_redrive::limits::{ASSEMBLY_BYTES_MAX, CALL_MS_MAX, CLEANUP_MS, HIDDEN_SLACK_S, STOP_MARGIN_MS};

const SECOND_MS: u64 = 1_000;

fn template() -> &'static Value {
    static TEMPLATE: OnceLock<Value> = OnceLock::new();
    TEMPLATE.get_or_init(|| e2e::decided("infra/template.yaml", [""; 0]).unwrap())
}

fn property(place: &str) -> &'static Value {
    template()
        .pointer(&format!("/Resources/{place}"))
        .unwrap_or_else(|| panic!("the template has no {place}"))
}

fn parameter(name: &str, field: &str) -> u64 {
    template()["Parameters"][name][field].as_u64().unwrap()
}

/// The function's variables as it would see them, and the resource that each names.
fn variables() -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let (mut variables, mut targets) = (BTreeMap::new(), BTreeMap::new());
    for (name, value) in property("RedriveFunction/Properties/Environment/Variables")
        .as_object()
        .unwrap()
    {
        // By default there is no bucket, and its variable is empty.
        let Some(target) = value["Ref"].as_str() else {
            variables.insert(name.clone(), value.as_str().unwrap().to_owned());
            continue;
        };
        let text = match template()["Resources"][target]["Type"].as_str() {
            Some("AWS::SQS::Queue") => "https://sqs.eu-west-1.amazonaws.com/000000000000/queue".to_owned(),
            Some(_) => format!("tidemark-{}", target.to_lowercase()),
            None => match &template()["Parameters"][target]["Default"] {
                Value::String(text) => text.clone(),
                number => number.to_string(),
            },
        };
        variables.insert(name.clone(), text);
        targets.insert(name.clone(), target.to_owned());
    }
    // Lambda itself sets these.
    variables.insert("AWS_REGION".to_owned(), "eu-west-1".to_owned());
    variables.insert("AWS_LAMBDA_FUNCTION_NAME".to_owned(), "tidemark-redrive".to_owned());
    (variables, targets)
}

fn read(variables: &BTreeMap<String, String>) -> Result<Settings, String> {
    Settings::read(variables, |path| Err(std::io::Error::other(format!("no file {path}"))))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_function_understands_its_environment_and_needs_all_of_it() {
    let (all, targets) = variables();
    let settings = read(&all).unwrap();
    assert_eq!(
        settings.pipeline.unknown,
        Vec::<String>::new(),
        "variables that the code does not read"
    );
    assert_eq!(settings.transactions_stream, "tidemark-transactionsstream");
    for (name, resource) in [
        ("TIDEMARK_TABLE", "CardsTable"),
        ("TIDEMARK_SCORES_STREAM", "ScoresStream"),
        ("TIDEMARK_TRANSACTIONS_STREAM", "TransactionsStream"),
        ("TIDEMARK_QUARANTINE_QUEUE_URL", "QuarantineQueue"),
        ("TIDEMARK_DEAD_LETTER_QUEUE_URL", "DeadLetterQueue"),
        ("TIDEMARK_UNRECOVERABLE_QUEUE_URL", "UnrecoverableQueue"),
    ] {
        assert_eq!(targets[name], resource, "{name} names another resource");
        let mut fewer = all.clone();
        fewer.remove(name);
        assert!(read(&fewer).unwrap_err().contains(name));
    }
}

#[test]
fn the_shortest_timeout_leaves_most_of_the_time_for_work_and_the_margin_holds_a_slow_read() {
    let timeout_ms = parameter("RedriveTimeoutSeconds", "MinValue") * SECOND_MS;
    let stop_ms = u64::try_from(STOP_MARGIN_MS).unwrap();
    assert!(stop_ms * 4 <= timeout_ms, "{stop_ms} ms of {timeout_ms} ms");
    let slow_read = tidemark_aws::limits::GET_RECORDS_TIMEOUT;
    assert!(slow_read.as_millis() < u128::from(stop_ms));
    let attempt_ms = i64::try_from(tidemark_aws::limits::ATTEMPT_TIMEOUT_MS).unwrap();
    let engine = tidemark_engine::EngineConfig::default();
    assert!(
        STOP_MARGIN_MS - CLEANUP_MS >= engine.deadline_margin_ms,
        "a batch that is begun can commit"
    );
    assert!(
        CLEANUP_MS >= attempt_ms,
        "a deletion or a release fits after the engine's last moment"
    );
    let longest_ms = i64::try_from(parameter("RedriveTimeoutSeconds", "MaxValue") * SECOND_MS).unwrap();
    assert_eq!(longest_ms, CALL_MS_MAX);
    let hidden_s = u64::try_from(CALL_MS_MAX / 1_000 + HIDDEN_SLACK_S).unwrap();
    assert!(
        hidden_s < u64::from(tidemark_aws::limits::VISIBILITY_S_MAX),
        "SQS can hide a message for so long"
    );
}

#[test]
fn the_function_has_memory_for_its_cache_and_its_payloads() {
    let memory = usize::try_from(parameter("RedriveMemoryMb", "MinValue")).unwrap() * 1024 * 1024;
    let cache = tidemark_engine::EngineConfig::default().cache_bytes_max;
    // Payloads are there as messages and put together.
    assert!(cache + 2 * ASSEMBLY_BYTES_MAX <= memory * 3 / 4);
}

/// A new account has ten executions at once and can reserve none: by default nothing is.
#[test]
fn redrives_at_once_are_bounded_where_it_is_asked_for() {
    let reserved = |parameters: &[&str]| {
        let template = e2e::decided("infra/template.yaml", parameters).unwrap();
        template["Resources"]["RedriveFunction"]["Properties"]["ReservedConcurrentExecutions"].clone()
    };
    assert_eq!(reserved(&[]), Value::Null);
    assert_eq!(reserved(&["RedriveConcurrencyMax=2"])["Ref"], "RedriveConcurrencyMax");
}

#[test]
fn every_rate_of_a_redrive_that_the_template_allows_is_one_of_the_code() {
    let (mut variables, targets) = variables();
    assert_eq!(targets["TIDEMARK_RATE_PER_SECOND_MAX"], "RedriveRatePerSecondMax");
    for field in ["Default", "MinValue", "MaxValue"] {
        let rate = parameter("RedriveRatePerSecondMax", field);
        variables.insert("TIDEMARK_RATE_PER_SECOND_MAX".to_owned(), rate.to_string());
        assert_eq!(u64::from(read(&variables).unwrap().redrive.rate_per_second_max), rate);
    }
    let own = tidemark_redrive::limits::RedriveConfig::default().rate_per_second_max;
    assert_eq!(parameter("RedriveRatePerSecondMax", "Default"), u64::from(own));
}

#[test]
fn it_may_take_messages_from_two_queues_only_and_deletes_none_from_the_unrecoverable_one() {
    let statements = property("RedriveRole/Properties/Policies/0/PolicyDocument/Statement");
    let on = |resource: &str| -> BTreeSet<&str> {
        statements
            .as_array()
            .unwrap()
            .iter()
            .filter(|statement| statement["Resource"]["Fn::GetAtt"][0] == resource)
            .flat_map(|statement| statement["Action"].as_array().unwrap())
            .map(|action| action.as_str().unwrap())
            .collect()
    };
    assert_eq!(on("UnrecoverableQueue"), BTreeSet::from(["sqs:SendMessage"]));
    let taking = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage"];
    assert_eq!(on("DeadLetterQueue"), BTreeSet::from(taking));
    assert!(on("QuarantineQueue").is_superset(&BTreeSet::from(taking)));
    assert_eq!(
        on("TransactionsStream"),
        BTreeSet::from(["kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]),
        "it reads the stream, and puts nothing there"
    );
}

/// No letter goes where nobody looks: whoever may be told to write to the bucket, its readers are there, too; and they stay while it is
/// emptied.
#[test]
fn no_letter_goes_to_a_bucket_that_nobody_reads() {
    let with = |destination: &str| {
        let template = e2e::decided("infra/template.yaml", [format!("DeadLetterDestination={destination}")]).unwrap();
        let resources = &template["Resources"];
        let variable =
            &resources["RedriveFunction"]["Properties"]["Environment"]["Variables"]["TIDEMARK_LETTERS_BUCKET"];
        let target = &resources["ScoreMapping"]["Properties"]["DestinationConfig"]["OnFailure"]["Destination"];
        let actions = |role: &str| -> BTreeSet<String> {
            let statements = &resources[role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
            let actions = statements
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|one| one["Action"].as_array().unwrap());
            let actions = actions
                .filter_map(Value::as_str)
                .filter(|action| action.starts_with("s3:"));
            actions.map(str::to_owned).collect()
        };
        (
            variable["Ref"] == "LetterBucket",
            target["Fn::GetAtt"][0].as_str().unwrap().to_owned(),
            actions("ScoreRole"),
            actions("RedriveRole"),
            resources.get("LetterBucket").is_some() && resources.get("LetterBucketPolicy").is_some(),
        )
    };
    let named = |actions: &[&str]| {
        actions
            .iter()
            .map(|action| (*action).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let (writes, reads) = (
        named(&["s3:ListBucket", "s3:PutObject"]),
        named(&["s3:DeleteObject", "s3:GetObject", "s3:ListBucket"]),
    );
    let none = BTreeSet::new();
    let queue = "DeadLetterQueue".to_owned();
    assert_eq!(with("queue"), (false, queue.clone(), none.clone(), none.clone(), false));
    assert_eq!(
        with("bucket"),
        (true, "LetterBucket".to_owned(), writes, reads.clone(), true)
    );
    assert_eq!(with("drain"), (true, queue, none, reads, true));
    let allowed = parameter_values("DeadLetterDestination");
    assert_eq!(allowed, ["queue", "bucket", "drain"], "each of them is looked at here");
}

fn parameter_values(name: &str) -> Vec<&'static str> {
    let values = template()["Parameters"][name]["AllowedValues"].as_array().unwrap();
    values.iter().map(|value| value.as_str().unwrap()).collect()
}

/// The template and the command give the bucket one name, which S3 takes whatever the prefix; and both say when it lets an object go.
#[test]
fn the_bucket_has_one_name_and_one_time() {
    let with = e2e::decided("infra/template.yaml", ["DeadLetterDestination=bucket"]).unwrap();
    let bucket = &with["Resources"]["LetterBucket"]["Properties"];
    let name = tidemark_aws::admin::letter_bucket_name("${Prefix}", "${AWS::AccountId}", "${AWS::Region}");
    assert_eq!(bucket["BucketName"]["Fn::Sub"], name.as_str());
    let longest = tidemark_aws::admin::letter_bucket_name(&"p".repeat(31), "000000000000", "ap-northeast-1");
    assert!(longest.len() <= 63, "{}", longest.len());
    let mut variables = variables().0;
    variables.insert("TIDEMARK_LETTERS_BUCKET".to_owned(), longest.clone());
    assert_eq!(read(&variables).unwrap().letters_bucket, Some(longest));
    let days = bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"]
        .as_i64()
        .unwrap();
    assert_eq!(days * 24 * 3_600_000, tidemark_domain::lifetime::RECORD_MS_MAX);
}

#[test]
fn what_is_lost_is_told_for_as_long_as_sqs_can() {
    assert_eq!(
        property("UnrecoverableQueue/Properties/MessageRetentionPeriod"),
        1_209_600
    );
    assert_eq!(property("UnrecoverableQueue/DeletionPolicy"), "RetainExceptOnCreate");
}

#[test]
fn the_rule_that_looks_at_dead_letters_sends_a_request_that_the_function_takes() {
    let target = property("LookAtDeadLetters/Properties/Targets/0");
    assert_eq!(
        target["Arn"]["Fn::GetAtt"],
        serde_json::json!(["RedriveFunction", "Arn"])
    );
    let request = tidemark_redrive::Request::parse(target["Input"].as_str().unwrap()).unwrap();
    assert!(request.look && request.source == tidemark_redrive::Source::DeadLetter);
    let permission = property("LookAtDeadLettersPermission/Properties");
    assert_eq!(
        permission["SourceArn"]["Fn::GetAtt"],
        serde_json::json!(["LookAtDeadLetters", "Arn"])
    );
}

/// The state machine's definition, with names in place of what CloudFormation puts there.
fn definition() -> Value {
    let text = property("RedriveChains/Properties/DefinitionString")["Fn::Sub"]
        .as_str()
        .unwrap();
    let mut text = text.to_owned();
    for (name, value) in [
        ("RedriveParallelMax", "16"),
        ("AWS::Partition", "aws"),
        ("Prefix", "tidemark"),
        ("RedriveBrakeAlarm", "outcomes-burn-fast-short"),
        (
            "RedriveFunction.Arn",
            "arn:aws:lambda:eu-west-1:000000000000:function:tidemark-redrive",
        ),
    ] {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    assert!(!text.contains("${"), "a name that the test does not know: {text}");
    serde_json::from_str(&text).unwrap()
}

/// The states that a state leads to.
fn leads_to(state: &Value) -> Vec<String> {
    let own = [&state["Next"], &state["Default"]];
    let inner = ["Choices", "Catch"]
        .into_iter()
        .flat_map(|name| state[name].as_array().into_iter().flatten())
        .map(|one| &one["Next"]);
    let names = own.into_iter().chain(inner).filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

/// Every state is reached from the first, every one leads to one that is there or ends, and what calls may fail.
fn is_whole(machine: &Value) {
    let states = machine["States"].as_object().unwrap();
    let mut reached = BTreeSet::new();
    let mut next = vec![machine["StartAt"].as_str().unwrap().to_owned()];
    while let Some(name) = next.pop() {
        let state = states.get(&name).unwrap_or_else(|| panic!("there is no state {name}"));
        if !reached.insert(name.clone()) {
            continue;
        }
        let further = leads_to(state);
        let ends = state["End"] == true || state["Type"] == "Succeed";
        assert_eq!(ends, further.is_empty(), "{name}: {state}");
        if state["Type"] == "Task" {
            assert!(state["Retry"][0]["MaxAttempts"].as_u64().unwrap() > 0, "{name}");
            assert_eq!(
                state["Catch"][0]["ErrorEquals"],
                serde_json::json!(["States.ALL"]),
                "{name}"
            );
        }
        next.extend(further);
    }
    let names: BTreeSet<String> = states.keys().cloned().collect();
    assert_eq!(reached, names, "a state that nothing leads to");
}

#[test]
fn the_state_machine_calls_the_function_with_each_chain_until_the_chain_says_that_it_is_over() {
    let machine = definition();
    is_whole(&machine);
    let map = &machine["States"]["Chains"];
    let processor = &map["ItemProcessor"];
    is_whole(processor);
    let mode = &processor["ProcessorConfig"];
    assert_eq!(
        (&mode["Mode"], &mode["ExecutionType"]),
        (&"DISTRIBUTED".into(), &"STANDARD".into())
    );
    assert_eq!(map["MaxConcurrencyPath"], "$.parallel");
    assert_eq!(map["ToleratedFailurePercentage"], 100, "one chain holds up no other");
    let bound = &machine["States"]["Bound"]["Choices"][0];
    assert_eq!(
        (&bound["NumericGreaterThan"], &machine["States"]["AtMost"]["Result"]),
        (&16.into(), &16.into())
    );

    // What it compares are the words that the function says.
    let said = |next: ChainNext| serde_json::to_value(next).unwrap();
    let choices = processor["States"]["IsOver"]["Choices"].as_array().unwrap();
    let by_word = |next| {
        let choice = choices.iter().find(|choice| choice["StringEquals"] == said(next));
        choice.map_or(&processor["States"]["IsOver"]["Default"], |choice| &choice["Next"])
    };
    assert_eq!(by_word(ChainNext::Call), "Look");
    assert_eq!(
        processor["States"][by_word(ChainNext::Wait).as_str().unwrap()]["Type"],
        "Wait"
    );
    for next in [ChainNext::Over, ChainNext::Failed] {
        assert_eq!(processor["States"][by_word(next).as_str().unwrap()]["Type"], "Succeed");
    }
    let call = &processor["States"]["Call"];
    assert_eq!(call["Parameters"]["Payload"], serde_json::json!({"chain.$": "$.chain"}));
    assert!(call["TimeoutSeconds"].as_u64().unwrap() > parameter("RedriveTimeoutSeconds", "MaxValue"));
}

/// In the template the definition is put together of names, and cfn-lint does not look into it there.
#[test]
fn cfn_lint_finds_nothing_in_the_state_machines_definition() {
    let lint = |definition: &str| {
        let properties = serde_json::json!({
            "RoleArn": "arn:aws:iam::000000000000:role/chains", "DefinitionString": definition,
        });
        let machine = serde_json::json!({"Type": "AWS::StepFunctions::StateMachine", "Properties": properties});
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("machine.json");
        std::fs::write(
            &path,
            serde_json::json!({"Resources": {"Machine": machine}}).to_string(),
        )
        .unwrap();
        e2e::run(
            e2e::venv("lint")
                .unwrap()
                .command("cfn-lint")
                .arg("--template")
                .arg(&path),
        )
    };
    let good = definition().to_string();
    lint(&good).unwrap();
    let bad = good.replace("\"Succeed\"", "\"Success\"");
    assert!(lint(&bad).unwrap_err().to_string().contains("E3601"));
}

#[test]
fn the_brake_is_an_alarm_that_the_other_stack_has_and_the_role_may_look_at() {
    let look = &definition()["States"]["Chains"]["ItemProcessor"]["States"]["Look"];
    assert_eq!(
        look["Parameters"]["AlarmNames"],
        serde_json::json!(["tidemark-outcomes-burn-fast-short"])
    );
    let alarms = e2e::decided("infra/observability.yaml", [""; 0]).unwrap();
    let name = format!(
        "${{Prefix}}-{}",
        template()["Parameters"]["RedriveBrakeAlarm"]["Default"]
            .as_str()
            .unwrap()
    );
    let is_it = |resource: &Value| {
        resource["Type"] == "AWS::CloudWatch::Alarm" && resource["Properties"]["AlarmName"]["Fn::Sub"] == name.as_str()
    };
    assert!(
        alarms["Resources"].as_object().unwrap().values().any(is_it),
        "there is no alarm {name}"
    );
    let statements = property("RedriveChainsRole/Properties/Policies/0/PolicyDocument/Statement");
    let actions: BTreeSet<&str> = statements
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|statement| statement["Action"].as_array().unwrap())
        .map(|action| action.as_str().unwrap())
        .collect();
    let needed = [
        "cloudwatch:DescribeAlarms",
        "lambda:InvokeFunction",
        "states:DescribeExecution",
        "states:StartExecution",
    ];
    assert_eq!(actions, BTreeSet::from(needed));
}

#[test]
fn an_account_that_can_spare_no_concurrency_goes_without_the_state_machine() {
    let without = e2e::decided("infra/template.yaml", ["RedriveParallelMax=0"]).unwrap();
    let resources = without["Resources"].as_object().unwrap();
    assert!(!resources.contains_key("RedriveChains") && !resources.contains_key("RedriveChainsRole"));
    let text = without.to_string();
    assert!(!text.contains("states:"), "nobody may start what is not there");
}
