//! A template that breaks each guard rule.

use serde_json::{Value, json};

/// A way to spoil the template, and the one rule that must see it.
pub struct Violation {
    pub rule: &'static str,
    pub what: &'static str,
    pub changes: Vec<(String, Value)>,
}

fn violation(rule: &'static str, what: &'static str, place: &str, value: Value) -> Violation {
    Violation {
        rule,
        what,
        changes: vec![(format!("/Resources/{place}"), value)],
    }
}

pub fn violations() -> Vec<Violation> {
    [
        mapping_violations(),
        iam_violations(),
        data_violations(),
        log_violations(),
        bucket_violations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn mapping_violations() -> Vec<Violation> {
    let bad = |rule, what, key: &str, value| violation(rule, what, &format!("ScoreMapping/Properties/{key}"), value);
    vec![
        bad(
            "mapping_has_on_failure",
            "no destination",
            "DestinationConfig",
            Value::Null,
        ),
        bad(
            "mapping_has_on_failure",
            "an empty destination",
            "DestinationConfig",
            json!({"OnFailure": {}}),
        ),
        bad(
            "mapping_bisects",
            "no bisecting",
            "BisectBatchOnFunctionError",
            Value::Null,
        ),
        bad(
            "mapping_bisects",
            "bisecting off",
            "BisectBatchOnFunctionError",
            json!(false),
        ),
        bad(
            "mapping_limits_retries",
            "no retry limit",
            "MaximumRetryAttempts",
            Value::Null,
        ),
        bad(
            "mapping_limits_retries",
            "endless retries",
            "MaximumRetryAttempts",
            json!(-1),
        ),
        Violation {
            rule: "mapping_limits_retries",
            what: "endless retries by a parameter",
            changes: vec![("/Parameters/MappingRetryAttemptsMax/Default".to_owned(), json!(-1))],
        },
        bad(
            "mapping_limits_record_age",
            "no age limit",
            "MaximumRecordAgeInSeconds",
            Value::Null,
        ),
        bad(
            "mapping_limits_record_age",
            "endless age",
            "MaximumRecordAgeInSeconds",
            json!(-1),
        ),
        bad(
            "mapping_reports_item_failures",
            "no partial responses",
            "FunctionResponseTypes",
            Value::Null,
        ),
        bad(
            "mapping_reports_item_failures",
            "an empty list",
            "FunctionResponseTypes",
            json!([]),
        ),
        bad(
            "mapping_starts_at_the_oldest_record",
            "what came before is skipped",
            "StartingPosition",
            json!("LATEST"),
        ),
        bad(
            "mapping_invokes_an_alias",
            "the newest code",
            "FunctionName",
            json!({"Ref": "ScoreFunction"}),
        ),
        bad(
            "mapping_invokes_an_alias",
            "the alias that moves at once",
            "FunctionName",
            json!({"Ref": "ScoreFunction.Alias"}),
        ),
        violation(
            "mapping_is_a_resource_of_its_own",
            "a mapping inside the function",
            "ScoreFunction/Properties/Events",
            json!({"Stream": {"Type": "Kinesis", "Properties": {"StartingPosition": "LATEST"}}}),
        ),
    ]
}

fn iam_violations() -> Vec<Violation> {
    let statement = "ScoreRole/Properties/Policies/0/PolicyDocument/Statement/2";
    let actions = "iam_names_its_actions";
    let resources = "iam_names_its_resources";
    let bad = |rule, what, key: &str, value| violation(rule, what, &format!("{statement}/{key}"), value);
    let role = "iam_role_is_written_out";
    vec![
        bad(actions, "one action with a wildcard", "Action", json!("dynamodb:*")),
        bad(
            actions,
            "an action with a wildcard in a list",
            "Action",
            json!(["dynamodb:PutItem", "dynamodb:*"]),
        ),
        bad(
            actions,
            "all actions but one",
            "NotAction",
            json!("dynamodb:DeleteTable"),
        ),
        violation(
            actions,
            "a queue policy that allows everything",
            "DeadLetterQueuePolicy/Properties/PolicyDocument/Statement/0/Effect",
            json!("Allow"),
        ),
        bad(resources, "every resource", "Resource", json!("*")),
        bad(
            resources,
            "a wildcard in a list",
            "Resource",
            json!(["arn:aws:dynamodb:eu-west-1:1:table/*"]),
        ),
        bad(
            resources,
            "a wildcard in a text put together",
            "Resource",
            json!({"Fn::Sub": "arn:${AWS::Partition}:*"}),
        ),
        bad(
            resources,
            "a wildcard in a part",
            "Resource",
            json!([{"Fn::Join": ["", ["arn:aws:", "*"]]}]),
        ),
        violation(
            resources,
            "a wildcard in an operator's policy",
            "OperatorPolicy/Properties/PolicyDocument/Statement/0/Resource",
            json!("*"),
        ),
        violation(
            resources,
            "a wildcard in a text put together in an operator's policy",
            "OperatorPolicy/Properties/PolicyDocument/Statement/10/Resource",
            json!({"Fn::Sub": "arn:${AWS::Partition}:lambda:*:${AWS::AccountId}:event-source-mapping:${ScoreMapping}"}),
        ),
        violation(
            resources,
            "more than one action on every resource",
            "OperatorPolicy/Properties/PolicyDocument/Statement/9/Action",
            json!(["lambda:ListEventSourceMappings", "lambda:InvokeFunction"]),
        ),
        violation(
            resources,
            "executions of every state machine",
            "RedriveChainsRole/Properties/Policies/0/PolicyDocument/Statement/3/Resource",
            json!({"Fn::Sub": "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:execution:*:*"}),
        ),
        violation(
            resources,
            "every execution beside another action",
            "RedriveChainsRole/Properties/Policies/0/PolicyDocument/Statement/3/Action",
            json!(["states:DescribeExecution", "states:StopExecution"]),
        ),
        violation(
            resources,
            "executions of every state machine in an operator's policy",
            "OperatorPolicy/Properties/PolicyDocument/Statement/12/Fn::If/1/Resource",
            json!("*"),
        ),
        violation(
            resources,
            "maps of every execution in an operator's policy",
            "OperatorPolicy/Properties/PolicyDocument/Statement/13/Fn::If/1/Resource",
            json!("*"),
        ),
        violation(
            resources,
            "the map of every state machine in an operator's policy",
            "OperatorPolicy/Properties/PolicyDocument/Statement/14/Fn::If/1/Resource",
            json!({"Fn::Sub": "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:mapRun:*/*"}),
        ),
        bad(
            resources,
            "all resources but one",
            "NotResource",
            json!("arn:aws:s3:::bucket"),
        ),
        violation(role, "SAM makes the role", "ScoreFunction/Properties/Role", Value::Null),
        violation(
            role,
            "SAM's policies",
            "ScoreFunction/Properties/Policies",
            json!(["AmazonKinesisFullAccess"]),
        ),
    ]
}

fn data_violations() -> Vec<Violation> {
    let table = |rule, what, key: &str, value| violation(rule, what, &format!("CardsTable/{key}"), value);
    let expires = "table_expires_items";
    let recovers = "table_recovers_to_a_point_in_time";
    let point_in_time = "Properties/PointInTimeRecoverySpecification";
    vec![
        table(
            expires,
            "no time to live",
            "Properties/TimeToLiveSpecification",
            Value::Null,
        ),
        table(
            expires,
            "time to live off",
            "Properties/TimeToLiveSpecification/Enabled",
            json!(false),
        ),
        table(
            expires,
            "another attribute",
            "Properties/TimeToLiveSpecification/AttributeName",
            json!("expires"),
        ),
        table(recovers, "no recovery", point_in_time, Value::Null),
        table(
            recovers,
            "recovery off",
            point_in_time,
            json!({"PointInTimeRecoveryEnabled": false}),
        ),
        table(
            "table_outlives_its_stack",
            "deleted with the stack",
            "DeletionPolicy",
            json!("Delete"),
        ),
        violation(
            "nothing_is_left_of_a_stack_that_was_not_made",
            "a queue that is left behind",
            "DeadLetterQueue/DeletionPolicy",
            json!("Retain"),
        ),
        table(
            "table_outlives_its_stack",
            "nothing said of it",
            "UpdateReplacePolicy",
            Value::Null,
        ),
        table(
            "table_is_encrypted",
            "encryption off",
            "Properties/SSESpecification/SSEEnabled",
            json!(false),
        ),
        violation(
            "stream_is_encrypted",
            "no encryption",
            "ScoresStream/Properties/StreamEncryption",
            Value::Null,
        ),
        violation(
            "stream_outlasts_a_day",
            "a day",
            "TransactionsStream/Properties/RetentionPeriodHours",
            Value::Null,
        ),
        violation(
            "payloads_are_encrypted",
            "no encryption",
            "QuarantineQueue/Properties/SqsManagedSseEnabled",
            Value::Null,
        ),
        violation(
            "payloads_are_for_nobody_else",
            "a queue that goes when another takes its place",
            "QuarantineQueue/UpdateReplacePolicy",
            json!("Delete"),
        ),
        violation(
            "payloads_are_kept_for_their_time",
            "four days",
            "DeadLetterQueue/Properties/MessageRetentionPeriod",
            json!(345_600),
        ),
    ]
}

fn log_violations() -> Vec<Violation> {
    vec![
        violation(
            "log_group_has_retention",
            "for ever",
            "ScoreLogGroup/Properties/RetentionInDays",
            Value::Null,
        ),
        violation(
            "function_logs_to_a_group_of_the_template",
            "a group of Lambda's making",
            "ScoreFunction/Properties/LoggingConfig",
            Value::Null,
        ),
    ]
}

/// Of the template with a bucket.
fn bucket_violations() -> Vec<Violation> {
    let bad = |rule, what, place: &str, value| {
        let mut violation = violation(rule, what, place, value);
        let destination = ("/Parameters/DeadLetterDestination/Default".to_owned(), json!("bucket"));
        violation.changes.push(destination);
        violation
    };
    let bucket = |rule, what, key: &str, value| bad(rule, what, &format!("LetterBucket/{key}"), value);
    let (resources, private) = ("iam_names_its_resources", "payloads_are_for_nobody_else");
    let mut allowing_everything = bad(
        "iam_names_its_actions",
        "a bucket policy that allows everything",
        "LetterBucketPolicy/Properties/PolicyDocument/Statement/0/Effect",
        json!("Allow"),
    );
    let on_the_bucket = "/Resources/LetterBucketPolicy/Properties/PolicyDocument/Statement/0/Resource".to_owned();
    allowing_everything
        .changes
        .push((on_the_bucket, json!({"Fn::GetAtt": ["LetterBucket", "Arn"]})));
    let every_object = json!({"Fn::Sub": "arn:${AWS::Partition}:s3:::*"});
    vec![
        bucket(
            "payloads_are_encrypted",
            "a bucket without encryption",
            "Properties/BucketEncryption",
            Value::Null,
        ),
        bucket(
            private,
            "a public bucket",
            "Properties/PublicAccessBlockConfiguration/BlockPublicPolicy",
            json!(false),
        ),
        bucket(
            private,
            "lists of access",
            "Properties/OwnershipControls",
            json!({"Rules": [{"ObjectOwnership": "ObjectWriter"}]}),
        ),
        bucket(
            private,
            "versions",
            "Properties/VersioningConfiguration",
            json!({"Status": "Enabled"}),
        ),
        bucket(
            private,
            "a bucket that goes with its stack",
            "DeletionPolicy",
            json!("Delete"),
        ),
        bucket(
            "payloads_are_kept_for_their_time",
            "objects for ever",
            "Properties/LifecycleConfiguration",
            Value::Null,
        ),
        bad(
            "payloads_go_nowhere_without_tls",
            "a bucket that takes calls without TLS",
            "LetterBucketPolicy/Properties/PolicyDocument/Statement/0/Condition",
            Value::Null,
        ),
        bad(
            "payloads_go_nowhere_without_tls",
            "a queue that takes calls without TLS",
            "QuarantineQueuePolicy/Properties/PolicyDocument/Statement/0/Condition",
            Value::Null,
        ),
        allowing_everything,
        bad(
            resources,
            "the mapping may write into every bucket",
            "ScoreRole/Properties/Policies/0/PolicyDocument/Statement/4/Fn::If/1/Resource",
            every_object.clone(),
        ),
        bad(
            resources,
            "the redrive may read every bucket",
            "RedriveRole/Properties/Policies/0/PolicyDocument/Statement/3/Fn::If/1/Resource",
            every_object.clone(),
        ),
        bad(
            resources,
            "the redrive may list every bucket",
            "RedriveRole/Properties/Policies/0/PolicyDocument/Statement/2/Fn::If/1/Resource",
            json!("*"),
        ),
        bad(
            resources,
            "an operator may read every bucket",
            "OperatorPolicy/Properties/PolicyDocument/Statement/6/Resource",
            every_object,
        ),
    ]
}
