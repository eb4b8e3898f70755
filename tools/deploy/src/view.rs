//! What a deployment says, for people and as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use terminal::error::CliError;
use terminal::ui::{self, paint};
use tidemark_aws::admin::StackChange;

use crate::account::Look;
use crate::changes::Made;
use crate::plan::{Done, Plan};
use crate::release::{self, Release};
use crate::smoke::{CARD, Passed};
use crate::target::Target;

/// Changes of one kind that are named; the rest is counted.
const NAMED_MAX: usize = 12;

pub(crate) fn header(target: &Target) -> String {
    let stage = &target.stage;
    let place = target.endpoint.as_ref().map_or_else(
        || format!("account {}, region {}", target.account, target.region),
        |url| format!("{url}, region {}", target.region),
    );
    format!(
        "{}\n  stacks {} and {}, prefix {}\n  {place}, as {}",
        paint(ui::HEADING, format!("Stage {}", stage.name)),
        stage.pipeline.name,
        stage.alarms.name,
        stage.prefix(),
        target.caller
    )
}

/// Which release is deployed over which.
pub(crate) fn releases(before: Option<&Release>) -> String {
    let own = release::OWN;
    match before {
        None => format!("  release {own}, the first here"),
        Some(Release { version: None, .. }) => format!("  release {own}, over a stack that does not say its release"),
        Some(Release {
            version: Some(version), ..
        }) => format!("  release {own}, over {version}"),
    }
}

pub(crate) fn looks(looks: &[Look]) -> String {
    let line = |look: &Look| {
        let mark = if look.good {
            paint(ui::GOOD, "✓")
        } else {
            paint(ui::WARN, "–")
        };
        format!("  {mark} {}\n", look.what)
    };
    looks.iter().map(line).collect()
}

pub(crate) fn plan(target: &Target, plan: &Plan) -> String {
    let mut text = String::new();
    for (stack, made) in [
        (&target.stage.alarms.name, &plan.alarms),
        (&target.stage.pipeline.name, &plan.pipeline),
    ] {
        match made {
            Some(made) => {
                text += &format!("{}\n", paint(ui::HEADING, format!("Changes of the stack {stack}")));
                text += &changes(&made.changes);
            }
            None => text += &format!("The stack {stack} is as it should be.\n"),
        }
    }
    if !plan.taken_over.is_empty() {
        text += "These were kept when the stack was deleted. They are taken over with what they hold; then the rest of the template is made.\n";
    }
    if !plan.made_anew.is_empty() {
        let names = plan.made_anew.join(", ");
        let what = format!("This emulator can't take over {names}: it is made anew, and what it held is gone.\n");
        text += &paint(ui::WARN, what);
    }
    if !plan.alarms_left_out.is_empty() {
        let what = format!(
            "{} alarms are left out that compute from several metrics: emulators have no such alarms.\n",
            plan.alarms_left_out.len()
        );
        text += &paint(ui::DIM, what);
    }
    if !plan.stay.is_empty() {
        let stay: Vec<String> = plan
            .stay
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        text += &format!(
            "The stage does not name these parameters, and they stay as the stack has them: {}\n",
            stay.join(" ")
        );
    }
    text
}

/// Changes by what they do.
fn changes(all: &[StackChange]) -> String {
    let mut by_action: BTreeMap<(u8, String), Vec<&str>> = BTreeMap::new();
    for change in all {
        let replaces = matches!(change.replacement.as_deref(), Some("True"));
        let (order, action) = match change.action.as_str() {
            "Import" => (0, "take over".to_owned()),
            "Add" => (1, "add".to_owned()),
            "Modify" if replaces => (3, "replace".to_owned()),
            "Modify" => (2, "change".to_owned()),
            "Remove" => (4, "remove".to_owned()),
            other => (5, other.to_lowercase()),
        };
        by_action.entry((order, action)).or_default().push(&change.logical_id);
    }
    let line = |((order, action), names): (&(u8, String), &Vec<&str>)| {
        let style = match order {
            0 | 1 => ui::GOOD,
            2 => ui::WARN,
            _ => ui::BAD,
        };
        let more = names.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let named = names[..names.len().min(NAMED_MAX)].join(", ");
        format!("  {} {}: {named}{more}\n", paint(style, action), names.len())
    };
    by_action.iter().map(line).collect()
}

pub(crate) fn dry_run(target: &Target, plan: &Plan, json: bool) -> Result<String, CliError> {
    let report = json!({ "stage": target.stage.name, "dry_run": true, "changes": changes_json(target, plan) });
    ui::json_or(json, &report, |_| {
        "Nothing was changed: this was only a look. The zips and templates stay in the bucket, under the names of their bytes.\n".to_owned()
    })
}

pub(crate) fn done(target: &Target, done: &Done, json: bool) -> Result<String, CliError> {
    let report = json!({
        "stage": target.stage.name,
        "prefix": target.stage.prefix(),
        "account": target.account,
        "region": target.region,
        "release": release::OWN,
        "release_before": done.plan.before.as_ref().and_then(|before| before.version.as_ref()),
        "changes": changes_json(target, &done.plan),
        "taken_over": done.plan.taken_over.iter().map(|one| &one.logical_id).collect::<Vec<_>>(),
        "made_anew": done.plan.made_anew,
        "alarms_left_out": done.plan.alarms_left_out.len(),
        "alarms_left_out_names": done.plan.alarms_left_out.iter().map(|name| format!("{}-{name}", target.stage.prefix())).collect::<Vec<_>>(),
        "outputs": done.outputs,
        "smoke_test": done.smoke.as_ref().map(smoke_json),
    });
    ui::json_or(json, &report, |_| done_text(target, done))
}

fn smoke_json(passed: &Passed) -> Value {
    json!({
        "event_id": passed.event_id, "card_id": passed.card_id, "decision": passed.outcome.decision, "score": passed.outcome.score,
        "state_version": passed.outcome.state_version, "waited_ms": passed.waited_ms,
    })
}

fn changes_json(target: &Target, plan: &Plan) -> Value {
    let of = |made: &Option<Made>| -> Vec<Value> {
        let all = made.iter().flat_map(|made| &made.changes);
        all.map(|change| {
            json!({
                "action": change.action, "logical_id": change.logical_id, "resource_type": change.resource_type,
                "replacement": change.replacement,
            })
        })
        .collect()
    };
    let stage = &target.stage;
    json!({ stage.alarms.name.clone(): of(&plan.alarms), stage.pipeline.name.clone(): of(&plan.pipeline) })
}

fn done_text(target: &Target, done: &Done) -> String {
    let mut text = format!(
        "{}\n",
        paint(
            ui::GOOD,
            format!("Stage {} is deployed, release {}.", target.stage.name, release::OWN)
        )
    );
    if let Some(passed) = &done.smoke {
        text += &format!(
            "  One event of the card {} went through in {}.{} s: score {}, decision {}.\n",
            passed.card_id,
            passed.waited_ms / 1_000,
            passed.waited_ms % 1_000 / 100,
            passed.outcome.score,
            json!(passed.outcome.decision).as_str().unwrap_or_default()
        );
        text += &paint(
            ui::DIM,
            format!("  Readers of outcomes leave cards out that begin with {CARD}: nobody has them.\n"),
        );
    }
    text += "\nNext:\n";
    let prefix = target.stage.prefix();
    if target.stage.is_local() {
        let url = target.endpoint.as_deref().unwrap_or_default();
        text += &format!(
            "  export AWS_ENDPOINT_URL={url} AWS_REGION={} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test\n",
            target.region
        );
    } else {
        text += &format!("  export AWS_REGION={}\n", target.region);
    }
    if prefix != "tidemark" {
        text += &format!("  export TIDEMARK_PREFIX={prefix}\n");
    }
    text += "  tidemark watch                          the pipeline as it works\n";
    text += "  tidemark simulate --events 100 | tidemark send    some events to look at\n";
    text += &format!("  {}        stacks, mapping and alarms\n", target.command("status"));
    if let Some(arn) = done.outputs.get("TransactionsStreamArn") {
        text += &format!("Let producers put into {arn} (kinesis:PutRecords), the card as the partition key.\n");
    }
    if let Some(arn) = done.outputs.get("OperatorPolicyArn") {
        text += &format!("Attach {arn} to whoever uses the command.\n");
    }
    if !target.stage.is_local() && !target.stage.alarms.parameters.contains_key("AlarmTopicArn") {
        text += &paint(
            ui::WARN,
            "Alarms change their state, and nobody hears of it: give the alarms' stack AlarmTopicArn in samconfig.toml.\n",
        );
    }
    text
}
