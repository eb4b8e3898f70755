//! The template's options: what each parameter that is off by default brings when it is given, and that it brings nothing otherwise.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::{Value, json};

/// The template as CloudFormation takes it with every parameter's default.
fn template() -> &'static Value {
    static TEMPLATE: OnceLock<Value> = OnceLock::new();
    TEMPLATE.get_or_init(|| decided(&[]))
}

/// The template as CloudFormation takes it with these parameters.
fn decided(parameters: &[&str]) -> Value {
    e2e::decided("infra/template.yaml", parameters).unwrap()
}

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// Every resource that can be encrypted is, with the customer's key wherever there is one, and nobody has a right to a key that is
/// not there.
#[test]
fn a_customers_key_is_everywhere_or_nowhere() {
    let with_key = decided(&[&format!("KmsKeyArn={KEY}")]);
    let places = |kind: &str| match kind {
        "AWS::Kinesis::Stream" => Some("StreamEncryption/KeyId"),
        "AWS::DynamoDB::Table" => Some("SSESpecification/KMSMasterKeyId"),
        "AWS::SQS::Queue" => Some("KmsMasterKeyId"),
        "AWS::Logs::LogGroup" => Some("KmsKeyId"),
        "AWS::Serverless::Function" => Some("KmsKeyArn"),
        _ => None,
    };
    let mut seen = 0;
    for (name, resource) in with_key["Resources"].as_object().unwrap() {
        let Some(place) = places(resource["Type"].as_str().unwrap()) else {
            continue;
        };
        seen += 1;
        let key = resource["Properties"].pointer(&format!("/{place}"));
        assert_eq!(key, Some(&json!({ "Ref": "KmsKeyArn" })), "{name}");
        assert!(
            resource["Properties"]["SqsManagedSseEnabled"].is_null(),
            "{name}: SQS takes one of the two"
        );
    }
    assert!(seen >= 10, "{seen} resources");
    for policy in ["FunctionsKeyPolicy", "OperatorKeyPolicy"] {
        assert!(with_key["Resources"].get(policy).is_some(), "{policy}");
        assert!(template()["Resources"].get(policy).is_none(), "{policy}");
    }
    assert!(
        !template()["Resources"].to_string().contains("KmsKeyArn"),
        "none by default"
    );
}

#[test]
fn the_functions_are_in_a_vpc_only_when_one_is_named() {
    let network = [
        "VpcId=vpc-0123456789abcdef0",
        "VpcSubnetIds=subnet-0123456789abcdef0,subnet-0123456789abcdef1",
    ];
    let endpoint = |template: &Value| {
        let resources = template["Resources"].as_object().unwrap().values();
        let kind = |resource: &&Value| resource["Type"] == "AWS::EC2::VPCEndpoint";
        let services = resources
            .filter(kind)
            .map(|one| one["Properties"]["ServiceName"]["Fn::Sub"].to_string());
        services.collect::<BTreeSet<String>>()
    };
    let inside = decided(&network);
    let with_endpoints = decided(&[network[0], network[1], "VpcRouteTableIds=rtb-0123456789abcdef0"]);
    for function in ["ScoreFunction", "RedriveFunction"] {
        let of = |template: &Value| template["Resources"][function]["Properties"]["VpcConfig"].clone();
        assert_eq!(of(template()), Value::Null);
        assert_eq!(
            of(&inside)["SecurityGroupIds"],
            json!([{ "Ref": "FunctionsSecurityGroup" }])
        );
        assert_eq!(of(&inside), of(&with_endpoints));
    }
    assert!(!template().to_string().contains("AWS::EC2::SecurityGroup"));
    assert_eq!(endpoint(&inside), BTreeSet::new(), "the VPC has a way out of its own");
    // What the functions call: the three clients of shared/aws. Lambda writes logs from outside of the VPC.
    let services = ["dynamodb", "kinesis-streams", "sqs"];
    let names = services.map(|service| format!("\"com.amazonaws.${{AWS::Region}}.{service}\""));
    assert_eq!(endpoint(&with_endpoints), BTreeSet::from(names));
}

#[test]
fn sizes_are_set_only_when_they_are_given() {
    let sized = decided(&[
        "StreamShards=4",
        "TableWarmWriteUnits=20000",
        "TableWriteUnitsMax=50000",
        "ScoreConcurrencyReserved=50",
    ]);
    let of = |template: &Value, place: &str| template.pointer(&format!("/Resources/{place}")).cloned();
    for stream in ["TransactionsStream", "ScoresStream"] {
        let mode = format!("{stream}/Properties/StreamModeDetails/StreamMode");
        let shards = format!("{stream}/Properties/ShardCount");
        assert_eq!(
            (of(template(), &mode), of(template(), &shards)),
            (Some("ON_DEMAND".into()), None)
        );
        let counted = json!({ "Ref": "StreamShards" });
        assert_eq!(
            (of(&sized, &mode), of(&sized, &shards)),
            (Some("PROVISIONED".into()), Some(counted))
        );
    }
    for (place, value) in [
        (
            "CardsTable/Properties/WarmThroughput/WriteUnitsPerSecond",
            json!({ "Ref": "TableWarmWriteUnits" }),
        ),
        (
            "CardsTable/Properties/OnDemandThroughput/MaxWriteRequestUnits",
            json!({ "Ref": "TableWriteUnitsMax" }),
        ),
        (
            "ScoreFunction/Properties/ReservedConcurrentExecutions",
            json!({ "Ref": "ScoreConcurrencyReserved" }),
        ),
    ] {
        assert_eq!(
            (of(template(), place), of(&sized, place)),
            (None, Some(value)),
            "{place}"
        );
    }
    let table = "CardsTable/Properties";
    let unbounded = [
        "OnDemandThroughput/MaxReadRequestUnits",
        "WarmThroughput/ReadUnitsPerSecond",
    ];
    for place in unbounded {
        assert_eq!(of(&sized, &format!("{table}/{place}")), None, "{place} by itself");
    }
    let reads = decided(&["TableWarmReadUnits=20000"]);
    let warm = of(&reads, &format!("{table}/WarmThroughput"));
    assert_eq!(
        warm,
        Some(json!({ "ReadUnitsPerSecond": { "Ref": "TableWarmReadUnits" } }))
    );
    let both = decided(&["TableWarmReadUnits=20000", "TableWarmWriteUnits=20000"]);
    let warm = of(&both, &format!("{table}/WarmThroughput"));
    assert_eq!(
        warm.and_then(|warm| warm.as_object().map(serde_json::Map::len)),
        Some(2)
    );
}

/// A first deployment that fails takes back what it made: its named resources would make the second fail, too.
#[test]
fn what_is_kept_is_kept_of_a_stack_that_was_made() {
    let kept: BTreeSet<&str> = template()["Resources"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, resource)| {
            resource["DeletionPolicy"] == "RetainExceptOnCreate" && resource["UpdateReplacePolicy"] == "Retain"
        })
        .map(|(name, _)| name.as_str())
        .collect();
    let expected = [
        "CardsTable",
        "DeadLetterQueue",
        "QuarantineQueue",
        "TransactionsStream",
        "UnrecoverableQueue",
    ];
    assert_eq!(kept, BTreeSet::from(expected));
    let protected =
        |template: &Value| template["Resources"]["CardsTable"]["Properties"]["DeletionProtectionEnabled"].clone();
    assert_eq!(
        (
            protected(template()),
            protected(&decided(&["TableDeletionProtection=false"]))
        ),
        (true.into(), false.into())
    );
}

/// What costs something is found by application and prefix in the account's bill.
#[test]
fn what_can_bear_tags_bears_them() {
    let bearing = [
        "AWS::CodeDeploy::Application",
        "AWS::CodeDeploy::DeploymentGroup",
        "AWS::DynamoDB::Table",
        "AWS::EC2::SecurityGroup",
        "AWS::IAM::Role",
        "AWS::Kinesis::Stream",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Logs::LogGroup",
        "AWS::SQS::Queue",
        "AWS::Serverless::Function",
        "AWS::EC2::VPCEndpoint",
    ];
    let whole = decided(&[
        "VpcId=vpc-0123456789abcdef0",
        "VpcSubnetIds=subnet-0123456789abcdef0",
        "VpcRouteTableIds=rtb-0123456789abcdef0",
    ]);
    let list =
        json!([{ "Key": "application", "Value": "tidemark" }, { "Key": "prefix", "Value": { "Ref": "Prefix" } }]);
    let map = json!({ "application": "tidemark", "prefix": { "Ref": "Prefix" } });
    let mut seen = BTreeSet::new();
    for (name, resource) in whole["Resources"].as_object().unwrap() {
        let kind = resource["Type"].as_str().unwrap();
        if bearing.contains(&kind) {
            seen.insert(kind);
            let tags = &resource["Properties"]["Tags"];
            assert!(*tags == list || *tags == map, "{name}: {tags}");
        }
    }
    assert_eq!(seen, BTreeSet::from(bearing));
}

/// With enhanced fan-out the mapping reads by a consumer of the stream, for which the role has the two actions more that Lambda asks
/// for; and a mapping that is made anew need not begin with the stream's oldest record.
#[test]
fn with_fan_out_the_mapping_reads_by_a_consumer_of_the_stream() {
    let polled = template();
    let start = |template: &Value| template["Resources"]["ScoreMapping"]["Properties"]["StartingPosition"].clone();
    assert!(polled["Resources"].get("TransactionsConsumer").is_none());
    assert_eq!(start(polled), "TRIM_HORIZON");
    let pushed = decided(&["MappingFanOut=true", "MappingStartSeconds=1790812800"]);
    let resources = &pushed["Resources"];
    assert_eq!(
        resources["TransactionsConsumer"]["Properties"]["StreamARN"]["Fn::GetAtt"][0],
        "TransactionsStream"
    );
    let consumer = json!(["TransactionsConsumer", "ConsumerARN"]);
    let mapping = &resources["ScoreMapping"]["Properties"];
    assert_eq!(mapping["EventSourceArn"]["Fn::GetAtt"], consumer);
    assert_eq!(start(&pushed), "AT_TIMESTAMP");
    assert_eq!(mapping["StartingPositionTimestamp"]["Ref"], "MappingStartSeconds");
    let statements = |template: &Value| {
        let role = &template["Resources"]["ScoreRole"]["Properties"];
        role["Policies"][0]["PolicyDocument"]["Statement"]
            .as_array()
            .unwrap()
            .clone()
    };
    let more: Vec<Value> = statements(&pushed)
        .into_iter()
        .filter(|one| !statements(polled).contains(one))
        .collect();
    assert_eq!(more.len(), 1, "{more:?}");
    assert_eq!(
        more[0]["Action"],
        json!(["kinesis:DescribeStreamConsumer", "kinesis:SubscribeToShard"])
    );
    assert_eq!(more[0]["Resource"]["Fn::GetAtt"], consumer);
}
