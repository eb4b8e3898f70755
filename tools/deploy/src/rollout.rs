//! `tidemark deploy`: what a deployment is, from the first look to the last event.
//!
//! The alarms come first: they name the pipeline's resources by name and ring for none of them while these are absent, and
//! CodeDeploy stops a version when an alarm that it is to ask is not there. The pipeline's first deployment is two: a stack that
//! fails could not take a protected table back, so protection comes when everything is there.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use terminal::error::{CliError, Exit};
use terminal::ui::{self, paint};
use tidemark_aws::AwsSettings;
use tidemark_aws::admin::{ChangeSetKind, ImportedResource};

use crate::account::{self, Look, Wants};
use crate::args::DeployArgs;
use crate::artifacts::{Artifacts, Placed};
use crate::bootstrap::{self, Bootstrap};
use crate::building;
use crate::changes::{self, Asked, Made};
use crate::emulated::{self, Emulated};
use crate::plan::{Done, Plan};
use crate::release::{self, Release};
use crate::smoke;
use crate::stage::StackPlan;
use crate::standing::{self, Standing};
use crate::target::Target;
use crate::templates::Template;
use crate::view;

/// The parameter that the first deployment leaves off.
const PROTECTION: &str = "TableDeletionProtection";

/// What a stage's templates are, and where.
struct Put {
    pipeline: Placed,
    alarms: Placed,
}

pub(crate) async fn run(
    args: &DeployArgs,
    settings: AwsSettings,
    patience_ms: u64,
    json: bool,
) -> Result<Exit, CliError> {
    let target = Target::open(&args.of, &args.set, settings, patience_ms).await?;
    note(json, &view::header(&target));
    let (alarms, pipeline) = standing::look(&target).await?;
    let before = pipeline.present().map(|stack| Release::of(&stack.outputs));
    note(json, &view::releases(before.as_ref()));
    if let Some(warning) = release::check(pipeline.present(), args.allow_older)? {
        ui::note(&paint(ui::WARN, warning));
    }
    let (parameters, stay) = parameters_of(
        &target.stage.pipeline,
        pipeline.present().map(|stack| &stack.parameters),
    );
    let has = pipeline.present().map(|stack| Wants::of(&stack.parameters));
    let looks: Vec<Look> = account::look(&target, Wants::of(&parameters), has).await?;
    note(json, &view::looks(&looks));

    let bootstraps = bootstraps_of(&target, args, &parameters, json).await?;
    let artifacts = Artifacts::open(&target).await?;
    let emulated = target.stage.is_local().then(emulated::alarms);
    let put = put(&artifacts, &bootstraps, emulated.as_ref(), json).await?;
    let mut plan = plan(&target, (&alarms, &pipeline), parameters, &put, &artifacts).await?;
    if let Some(emulated) = emulated {
        (plan.alarms_joined, plan.alarms_left_out) = (emulated.joined, emulated.left_out);
    }
    plan.stay = stay;
    plan.before = before;
    note(json, &view::plan(&target, &plan));

    let made: Vec<&Made> = plan.alarms.iter().chain(&plan.pipeline).collect();
    if args.dry_run {
        changes::take_back(&target, &made).await;
        ui::out(&view::dry_run(&target, &plan, json)?);
        return Ok(Exit::Ok);
    }
    if !made.is_empty()
        && !args.yes
        && let Err(error) = confirmed(&target)
    {
        changes::take_back(&target, &made).await;
        return Err(error);
    }
    let done = carry_out(&target, plan, &put, args, json).await?;
    ui::out(&view::done(&target, &done, json)?);
    Ok(Exit::Ok)
}

/// The parameters that a stack is to have, and those of them that the stage does not name: what a stack was given once stays, as
/// with `sam deploy`, so that nobody loses a key or a VPC by deploying without naming it.
fn parameters_of(
    plan: &StackPlan,
    has: Option<&BTreeMap<String, String>>,
) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let declared = Template::PIPELINE.parameters();
    let stay: BTreeMap<String, String> = has
        .into_iter()
        .flatten()
        .filter(|(name, value)| {
            let is_default = Template::PIPELINE
                .default_of(name)
                .is_some_and(|default| default == value.as_str());
            declared.contains(name.as_str()) && !plan.parameters.contains_key(*name) && !is_default
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut all = plan.parameters.clone();
    all.extend(stay.clone());
    (all, stay)
}

async fn bootstraps_of(
    target: &Target,
    args: &DeployArgs,
    parameters: &BTreeMap<String, String>,
    json: bool,
) -> Result<Vec<Bootstrap>, CliError> {
    let given = parameters.get("Architecture").map(String::as_str);
    let architecture = given
        .or_else(|| Template::PIPELINE.default_of("Architecture"))
        .unwrap_or_default();
    let folder = match &args.bootstraps {
        Some(folder) => folder.clone(),
        None => building::build(architecture, json).await?,
    };
    let bootstraps = bootstrap::read(&folder)?;
    // An emulator runs them on this machine, with its C library.
    bootstrap::fit(&bootstraps, architecture, !target.stage.is_local())?;
    Ok(bootstraps)
}

/// Puts functions and templates where CloudFormation finds them.
async fn put(
    artifacts: &Artifacts<'_>,
    bootstraps: &[Bootstrap],
    emulated: Option<&Emulated>,
    json: bool,
) -> Result<Put, CliError> {
    let mut places = BTreeMap::new();
    for one in bootstraps {
        places.insert(one.function, artifacts.function(one, json).await?);
    }
    let text = Template::PIPELINE.packaged(|function| places.get(function).cloned().unwrap_or_default());
    let alarms = emulated.map_or_else(|| Template::ALARMS.text(), |emulated| emulated.text.clone());
    Ok(Put {
        pipeline: artifacts.template(text).await?,
        alarms: artifacts.template(alarms).await?,
    })
}

/// Has CloudFormation say what it would do.
async fn plan(
    target: &Target,
    (alarms, pipeline): (&Standing, &Standing),
    parameters: BTreeMap<String, String>,
    put: &Put,
    artifacts: &Artifacts<'_>,
) -> Result<Plan, CliError> {
    let stage = &target.stage;
    let mut plan = Plan::default();
    let kind = alarms
        .present()
        .map_or(ChangeSetKind::Create, |_| ChangeSetKind::Update);
    // What the alarms' stack was given once stays, too: the topic, for example.
    let mut of_alarms = stage.alarms.parameters.clone();
    let declared = Template::ALARMS.parameters();
    for (name, value) in alarms.present().into_iter().flat_map(|stack| &stack.parameters) {
        if declared.contains(name.as_str()) {
            of_alarms.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    if stage.is_local() {
        let computed = emulated::computed(&of_alarms);
        of_alarms.extend(computed);
    }
    if let Asked::Made(made) = changes::ask(target, &stage.alarms, kind, put.alarms.at(), &of_alarms).await? {
        plan.alarms = Some(made);
    }
    let asked = match pipeline {
        Standing::Present(_) => {
            changes::ask(
                target,
                &stage.pipeline,
                ChangeSetKind::Update,
                put.pipeline.at(),
                &parameters,
            )
            .await
        }
        Standing::Absent => {
            let mut first = parameters.clone();
            let is_protected = first.get(PROTECTION).is_none_or(|value| value == "true");
            if is_protected {
                first.insert(PROTECTION.to_owned(), "false".to_owned());
                plan.then = Some(parameters);
            }
            changes::ask(
                target,
                &stage.pipeline,
                ChangeSetKind::Create,
                put.pipeline.at(),
                &first,
            )
            .await
        }
        Standing::Kept(kept) => {
            plan.then = Some(parameters.clone());
            take_over(target, kept.clone(), &parameters, &mut plan, artifacts).await
        }
    };
    let checked = asked.and_then(|asked| {
        if let Asked::Made(made) = &asked {
            plan.pipeline = Some(made.clone());
            changes::keeps_data(target, &made.changes)?;
        }
        Ok(())
    });
    if let Err(error) = checked {
        let made: Vec<&Made> = plan.alarms.iter().chain(&plan.pipeline).collect();
        changes::take_back(target, &made).await;
        return Err(error);
    }
    Ok(plan)
}

/// Asks for an import of what was kept. An emulator may be unable to import some kind of resource: it is left out, and made anew.
async fn take_over(
    target: &Target,
    mut kept: Vec<ImportedResource>,
    parameters: &BTreeMap<String, String>,
    plan: &mut Plan,
    artifacts: &Artifacts<'_>,
) -> Result<Asked, CliError> {
    loop {
        let names: Vec<&str> = kept.iter().map(|one| one.logical_id.as_str()).collect();
        let part = artifacts.template(Template::PIPELINE.only(&names)).await?;
        let kind = ChangeSetKind::Import(kept.clone());
        let asked = changes::ask(target, &target.stage.pipeline, kind, part.at(), parameters).await?;
        let Asked::Unable(reason) = &asked else {
            plan.taken_over = kept;
            return Ok(asked);
        };
        let (unable, able): (Vec<_>, Vec<_>) = kept.into_iter().partition(|one| reason.contains(&one.resource_type));
        if unable.is_empty() || able.is_empty() {
            return Err(CliError::refused(
                "deploy_change",
                format!("the emulator can't take over what was kept: {reason}"),
                "Start the emulator anew, which empties it, and deploy again.",
            ));
        }
        plan.made_anew.extend(unable.into_iter().map(|one| one.logical_id));
        kept = able;
    }
}

async fn carry_out(target: &Target, plan: Plan, put: &Put, args: &DeployArgs, json: bool) -> Result<Done, CliError> {
    if let Some(made) = &plan.alarms {
        changes::carry_out(target, made, json).await?;
    }
    emulated::join(target, &plan.alarms_joined).await?;
    if let Some(made) = &plan.pipeline {
        changes::carry_out(target, made, json).await?;
    }
    if let Some(parameters) = &plan.then {
        let stack = &target.stage.pipeline;
        let asked = changes::ask(target, stack, ChangeSetKind::Update, put.pipeline.at(), parameters).await?;
        if let Asked::Made(made) = asked {
            changes::keeps_data(target, &made.changes)?;
            changes::carry_out(target, &made, json).await?;
        }
    }
    let outputs = target.admin.stack(&target.stage.pipeline.name).await;
    let outputs = outputs.ok().flatten().map(|stack| stack.outputs).unwrap_or_default();
    let smoke = if args.no_smoke_test {
        None
    } else {
        Some(smoke::run(target, json).await?)
    };
    Ok(Done { plan, outputs, smoke })
}

/// Asks at the terminal.
fn confirmed(target: &Target) -> Result<(), CliError> {
    let refused = |what: &str| {
        CliError::refused(
            "not_confirmed",
            what,
            "Nothing was deployed. --yes goes without the question, --dry-run only looks.",
        )
    };
    if !std::io::stdin().is_terminal() {
        return Err(refused("nobody is there to be asked"));
    }
    ui::note(&format!(
        "Deploy this to stage {} of account {}? Type yes.",
        target.stage.name, target.account
    ));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && answer.trim() == "yes" {
        Ok(())
    } else {
        Err(refused("the answer was not yes"))
    }
}

fn note(json: bool, text: &str) {
    if !json {
        ui::note(text.trim_end());
    }
}
