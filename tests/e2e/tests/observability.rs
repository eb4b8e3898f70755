//! Alarms and dashboard agree with the code and with the runbook: every metric is one of the enum, every alarm names its page,
//! every page names its alarms.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;
use tidemark_telemetry::Metric;

const TEMPLATE: &str = "infra/observability.yaml";

fn read(template: &str) -> Value {
    let printed = e2e::run(e2e::venv("lint").unwrap().script("template_json.py").arg(template)).unwrap();
    serde_json::from_str(&printed).unwrap()
}

fn template() -> &'static Value {
    static TEMPLATE_READ: OnceLock<Value> = OnceLock::new();
    TEMPLATE_READ.get_or_init(|| read(TEMPLATE))
}

fn runbook() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbook")
}

/// Alarms by the last part of their name, and their descriptions.
fn alarms() -> Vec<(String, String, bool)> {
    let resources = template()["Resources"].as_object().unwrap();
    let of_kind = |kind: &str| matches!(kind, "AWS::CloudWatch::Alarm" | "AWS::CloudWatch::CompositeAlarm");
    resources
        .values()
        .filter(|resource| of_kind(resource["Type"].as_str().unwrap()))
        .map(|resource| {
            let properties = &resource["Properties"];
            let name = properties["AlarmName"]["Fn::Sub"].as_str().unwrap();
            let name = name
                .strip_prefix("${Prefix}-")
                .expect("an alarm's name begins with the prefix");
            let description = properties["AlarmDescription"].as_str().unwrap();
            let tells = properties.get("AlarmActions").is_some();
            (name.to_owned(), description.to_owned(), tells)
        })
        .collect()
}

/// The dashboard's document, with names put in, of a stack with every alarm that there is.
fn dashboard() -> Value {
    dashboard_of(&["StreamShards=1", "TableReadUnitsMax=1", "TableWriteUnitsMax=1"])
}

fn dashboard_of(parameters: &[&str]) -> Value {
    let decided = e2e::decided(TEMPLATE, parameters).unwrap();
    let body = &decided["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"];
    let mut text = body[0].as_str().unwrap().to_owned();
    for (name, value) in body[1].as_object().unwrap() {
        let value = value.get("Fn::Sub").unwrap_or(value).as_str().unwrap();
        text = text.replace(&format!("${{{name}}}"), value);
    }
    let body = text
        .replace("${Prefix}", "tidemark")
        .replace("${AWS::Region}", "eu-west-1")
        .replace("${AWS::Partition}", "aws")
        .replace("${AWS::AccountId}", "000000000000");
    assert!(!body.contains("${"), "a name that is not put in");
    serde_json::from_str(&body).unwrap()
}

/// Names of our own metrics, wherever a document speaks of one.
fn own_metrics(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if fields.get("Namespace").is_some_and(|namespace| namespace == "Tidemark") {
                found.insert(fields["MetricName"].as_str().unwrap().to_owned());
            }
            fields.values().for_each(|field| own_metrics(field, found));
        }
        Value::Array(items) => {
            if items.first().is_some_and(|first| first == "Tidemark") {
                found.insert(items[1].as_str().unwrap().to_owned());
            }
            items.iter().for_each(|item| own_metrics(item, found));
        }
        _ => {}
    }
}

#[test]
fn cfn_lint_finds_nothing() {
    for template in [TEMPLATE, "infra/emulators.yaml"] {
        let mut lint = e2e::venv("lint").unwrap().command("cfn-lint");
        e2e::run(lint.args(["--template", template])).unwrap();
    }
}

#[test]
fn every_metric_is_one_of_the_enum() {
    let known: BTreeSet<String> = Metric::ALL.iter().map(|metric| metric.name().to_owned()).collect();
    let mut named = BTreeSet::new();
    own_metrics(template(), &mut named);
    own_metrics(&dashboard(), &mut named);
    assert!(named.len() > 20, "the search finds them: {named:?}");
    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "no such metric: {unknown:?}");
}

#[test]
fn every_alarm_that_tells_somebody_has_a_page_that_names_it() {
    let mut told = 0;
    for (name, description, tells) in alarms() {
        let (_, page) = description
            .split_once("Runbook: docs/runbook/")
            .unwrap_or_else(|| panic!("{name} names no page: {description}"));
        let text =
            std::fs::read_to_string(runbook().join(page)).unwrap_or_else(|error| panic!("{name}: {page}: {error}"));
        if tells {
            told += 1;
            assert!(
                text.contains(&format!("`<prefix>-{name}`")),
                "{page} does not name {name}"
            );
            let index = std::fs::read_to_string(runbook().join("README.md")).unwrap();
            assert!(
                index.contains(&format!("`{name}`")),
                "the runbook's index does not name {name}"
            );
        }
    }
    assert!(told >= 25, "{told} alarms");
}

#[test]
fn every_page_has_all_its_parts() {
    let mut pages = 0;
    for entry in std::fs::read_dir(runbook()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() == "README.md" {
            continue;
        }
        pages += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        for part in [
            "<!-- drill: ",
            "**What it means.**",
            "**Who is hurt.**",
            "## First look\n",
            "## First mitigation\n",
            "## Way back\n",
            "## Over when\n",
            "## Escalate\n",
            "cargo tidemark ",
        ] {
            assert!(text.contains(part), "{} lacks {part:?}", path.display());
        }
    }
    assert!(pages >= 15, "{pages} pages");
}

#[test]
fn the_dashboard_reads_from_health_down_and_shows_every_alarm() {
    let dashboard = dashboard();
    let widgets = dashboard["widgets"].as_array().unwrap();
    let headings: Vec<&str> = widgets
        .iter()
        .filter_map(|widget| widget["properties"]["markdown"].as_str())
        .collect();
    assert_eq!(
        headings,
        [
            "## Is it healthy?",
            "## Who is hurt?",
            "## Where?",
            "## Since when, and what does it cost?"
        ]
    );
    let shown = widgets.iter().find(|widget| widget["type"] == "alarm").unwrap()["properties"]["alarms"].to_string();
    for (name, _, tells) in alarms() {
        assert!(
            !tells || shown.contains(&format!(":alarm:tidemark-{name}\"")),
            "{name} is not on the dashboard"
        );
    }
    // One that is not there would be shown as an error.
    let fewer = dashboard_of(&["CompositeAlarms=false"]).to_string();
    for (name, is_there) in [
        ("stream-near-full", false),
        ("outcomes-burn-fast", false),
        ("heartbeat", true),
    ] {
        assert_eq!(fewer.contains(&format!(":alarm:tidemark-{name}\"")), is_there, "{name}");
    }
    // Widgets of one row do not overlap: CloudWatch would push them down, and the order would be lost.
    let mut taken = BTreeSet::new();
    for widget in widgets {
        let side = |name: &str| widget[name].as_u64().unwrap();
        for x in side("x")..side("x") + side("width") {
            for y in side("y")..side("y") + side("height") {
                assert!(
                    x < 24 && taken.insert((x, y)),
                    "{} overlaps",
                    widget["properties"]["title"]
                );
            }
        }
    }
}

/// The queue and the bucket: what waits in either is in the figure of one look, which the age's alarm watches over.
#[test]
fn the_alarm_of_dead_letters_watches_what_the_look_counts() {
    let resources = template()["Resources"].as_object().unwrap();
    let alarm = resources
        .values()
        .map(|resource| &resource["Properties"])
        .find(|properties| properties["AlarmName"]["Fn::Sub"] == "${Prefix}-dead-letters")
        .unwrap();
    assert_eq!(
        (&alarm["Namespace"], &alarm["MetricName"]),
        (&"Tidemark".into(), &Metric::DeadLetters.name().into())
    );
    let pipeline = read("infra/template.yaml");
    let redrive = &pipeline["Resources"]["RedriveFunction"]["Properties"];
    assert_eq!(alarm["Dimensions"][0]["Value"], redrive["FunctionName"]);
    let looked_at = &redrive["Environment"]["Variables"]["TIDEMARK_DEAD_LETTER_QUEUE_URL"];
    assert_eq!(looked_at["Ref"], "DeadLetterQueue");
    let rule = &pipeline["Resources"]["LookAtDeadLetters"]["Properties"];
    assert_eq!(rule["ScheduleExpression"], "rate(5 minutes)");
    // A look that falls behind the end of a period is in the next one.
    assert_eq!(
        (
            alarm["Period"].as_u64(),
            alarm["EvaluationPeriods"].as_u64(),
            alarm["DatapointsToAlarm"].as_u64()
        ),
        (Some(300), Some(2), Some(1))
    );
    assert_eq!(
        (&alarm["ComparisonOperator"], alarm["Threshold"].as_u64()),
        (&"GreaterThanThreshold".into(), Some(0))
    );
}

/// Thresholds follow the pipeline's parameters: who gives both stacks the same values has alarms that fit.
#[test]
fn what_both_stacks_take_is_the_same_parameter() {
    let pipeline = read("infra/template.yaml");
    let pipelines = pipeline["Parameters"].as_object().unwrap();
    let mut shared = BTreeSet::new();
    for (name, parameter) in template()["Parameters"].as_object().unwrap() {
        let Some(other) = pipelines.get(name) else { continue };
        shared.insert(name.as_str());
        for field in [
            "Type",
            "Default",
            "MinValue",
            "MaxValue",
            "AllowedPattern",
            "AllowedValues",
        ] {
            assert_eq!(parameter[field], other[field], "{name}: {field}");
        }
    }
    let expected = [
        "MappingWindowSeconds",
        "Prefix",
        "StreamRetentionHours",
        "StreamShards",
        "TableReadUnitsMax",
        "TableWriteUnitsMax",
    ];
    assert_eq!(shared, BTreeSet::from(expected));
}

/// Whoever follows the page that deploys the pipeline has its alarms too, and before it: by the command, whose stages have them, and by
/// `sam`.
#[test]
fn the_deploy_page_deploys_the_alarms() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let page = text("docs/reference/deploy.md");
    let at = |words: &str| page.find(words).unwrap_or_else(|| panic!("the page has no {words}"));
    assert!(at("sam deploy --config-env prod-alarms ") < at("sam deploy --config-env prod\n"));
    let parameters = template()["Parameters"].as_object().unwrap().clone();
    let given = |section: &str| -> BTreeSet<String> {
        let (_, list) = section.split_once("parameter_overrides = [").unwrap();
        let pairs = list.split_once(']').unwrap().0.split(", ");
        let names = pairs.map(|pair| pair.trim_matches('"').split('=').next().unwrap().to_owned());
        names.collect()
    };
    let (_, example) = page
        .split_once("-alarms.deploy.parameters]\n")
        .expect("the example of a stage");
    assert!(
        given(example).contains("AlarmTopicArn"),
        "nobody would hear of an alarm"
    );
    let stages = text("samconfig.toml");
    let sections: Vec<&str> = stages.split("-alarms.deploy.parameters]\n").skip(1).collect();
    assert_eq!(sections.len(), 4, "dev, stage, prod and local");
    for section in sections.into_iter().chain([example]) {
        let own = section.split("\n[").next().unwrap();
        let is_of_sam = own.contains(&format!("template_file = \"{TEMPLATE}\""));
        assert!(
            is_of_sam || own.contains("CompositeAlarms=false"),
            "local is the command's alone: {own}"
        );
        for name in given(own) {
            assert!(parameters.contains_key(&name), "the template has no parameter {name}");
        }
    }
}

/// SQS's own age leaves out what was received three times, so that a look at the queue would silence the alarm.
#[test]
fn the_age_of_dead_letters_is_one_that_looking_at_them_can_not_hide() {
    let alarm = &template()["Resources"]["OldestDeadLetter"]["Properties"];
    let metric = &alarm["Metrics"][0]["MetricStat"]["Metric"];
    assert_eq!(
        (&metric["Namespace"], &metric["MetricName"]),
        (&"Tidemark".into(), &"OldestDeadLetterAge".into())
    );
    assert_eq!(metric["Dimensions"][0]["Value"]["Fn::Sub"], "${Prefix}-redrive");
    assert_eq!(
        alarm["Metrics"][1]["Expression"]["Fn::Sub"], "age / 1000 - 3600 * (${StreamRetentionHours} - 24)",
        "seconds since a day was left"
    );
    assert_eq!(
        (&alarm["Threshold"], &alarm["ComparisonOperator"]),
        (&0.into(), &"GreaterThanThreshold".into())
    );
    assert_eq!(
        alarm["TreatMissingData"], "breaching",
        "an age that is not told is not an age of nothing"
    );
    let rule = &read("infra/template.yaml")["Resources"]["LookAtDeadLetters"]["Properties"];
    assert_eq!(rule["ScheduleExpression"], "rate(5 minutes)");
    assert!(alarm["Metrics"][0]["MetricStat"]["Period"].as_u64().unwrap() >= 2 * 5 * 60);
    let widgets = dashboard()["widgets"].to_string();
    let blind = r#"["AWS/SQS","ApproximateAgeOfOldestMessage","QueueName","tidemark-dead-letter""#;
    assert!(!widgets.contains(blind), "nor does the dashboard show the other");
}

/// When no outcome can be sent at all, nothing is `Scored`: the share that missed the objective is of all that should have come.
#[test]
fn the_share_of_late_outcomes_is_one_when_none_can_be_sent() {
    let mut seen = 0;
    for (name, resource) in template()["Resources"].as_object().unwrap() {
        let metrics = &resource["Properties"]["Metrics"];
        let named = |id: &str| {
            let metric = metrics
                .as_array()
                .into_iter()
                .flatten()
                .find(|metric| metric["Id"] == id);
            metric.map(|metric| metric["MetricStat"]["Metric"]["MetricName"].clone())
        };
        if named("bad") != Some("LateOutcomes".into()) {
            continue;
        }
        seen += 1;
        let of = (named("all"), named("unsent"));
        assert_eq!(of, (Some("Scored".into()), Some("Unsent".into())), "{name}");
        let expression = metrics
            .as_array()
            .unwrap()
            .iter()
            .find(|metric| metric["Id"] == "value");
        assert_eq!(
            expression.unwrap()["Expression"],
            "bad / (FILL(all, 0) + FILL(unsent, 0))",
            "{name}"
        );
    }
    assert_eq!(seen, 4, "two windows of a fast burn and two of a slow one");
}
