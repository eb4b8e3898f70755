//! `tidemark drill`: a runbook page carried out on a local AWS with the trouble really there.

pub mod args;
mod broken;
mod learned;
pub mod page;
pub mod pipeline;
mod published;
mod region;
pub mod run;
mod sign;
pub mod trouble;

use terminal::error::{CliError, Exit};
use terminal::ui::{self, paint};

use args::DrillArgs;
use page::{PAGES, RunbookPage};
use pipeline::PipelineOptions;
use run::{DrillReport, drill};
use trouble::Trouble;

/// Carries out one page, all of them, or lists them.
///
/// # Errors
/// When there is no such page, or the local AWS does not start.
pub async fn run(args: &DrillArgs, json: bool) -> Result<Exit, CliError> {
    let pages = chosen(args)?;
    if pages.is_empty() {
        ui::out(&list(json));
        return Ok(Exit::Ok);
    }
    let mut reports = Vec::with_capacity(pages.len());
    for page in &pages {
        let trouble = Trouble::named(&page.trouble).ok_or_else(|| {
            let what = format!(
                "page {} names a trouble that no drill makes: {}",
                page.name, page.trouble
            );
            CliError::machine("drill_page", what, "This is a bug in tidemark: please report it.")
        })?;
        ui::note(&format!("{}: {}", paint(ui::HEADING, &page.name), trouble.words()));
        let options = PipelineOptions {
            data_dir: &args.data_dir.join("drill").join(&page.name),
            score_binary: args.score_binary.as_deref(),
            seed: args.seed,
            quiet: json,
        };
        let report = Box::pin(drill(page, trouble, options)).await?;
        if !json {
            ui::out(&render(&report));
        }
        reports.push(report);
    }
    if json {
        let text = serde_json::to_string_pretty(&reports)
            .map_err(|e| CliError::machine("report", e, "This is a bug in tidemark: please report it."))?;
        ui::out(&format!("{text}\n"));
    } else if reports.len() > 1 {
        ui::out(&summary(&reports));
    }
    Ok(if reports.iter().all(|report| report.passed) {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

fn chosen(args: &DrillArgs) -> Result<Vec<RunbookPage>, CliError> {
    let all = || {
        PAGES
            .iter()
            .filter_map(|(name, text)| RunbookPage::parse(name, text))
            .collect()
    };
    match &args.page {
        _ if args.all => Ok(all()),
        None => Ok(Vec::new()),
        Some(name) => {
            let name = name.trim_end_matches(".md");
            let page = RunbookPage::find(name).ok_or_else(|| {
                let names: Vec<&str> = PAGES.iter().map(|(name, _)| *name).collect();
                CliError::input(
                    "no_such_page",
                    format!("the runbook has no page {name:?}"),
                    format!("Pages: {}.", names.join(", ")),
                )
            })?;
            Ok(vec![page])
        }
    }
}

fn list(json: bool) -> String {
    let pages = PAGES.iter().filter_map(|(name, text)| RunbookPage::parse(name, text));
    if json {
        let names: Vec<_> = pages
            .map(|page| serde_json::json!({ "page": page.name, "title": page.title }))
            .collect();
        return format!("{}\n", serde_json::Value::from(names));
    }
    pages
        .map(|page| format!("  {:<18}{}\n", page.name, page.title))
        .collect()
}

fn render(report: &DrillReport) -> String {
    let mut text = String::new();
    for ran in &report.commands {
        let exit = ran
            .exit
            .map_or_else(|| "stopped".to_owned(), |code| format!("exit {code}"));
        let style = if ran.is_as_expected() { ui::DIM } else { ui::BAD };
        text += &format!(
            "  {:<17} tidemark {}  {}\n",
            ran.section,
            ran.command,
            paint(style, exit)
        );
    }
    if !report.passed {
        for ran in report.commands.iter().filter(|ran| !ran.is_as_expected()) {
            text += &format!(
                "\n{}\n{}\n",
                paint(ui::HEADING, format!("tidemark {}", ran.command)),
                ran.output
            );
        }
    }
    text + &format!("  {}\n", verdict(report))
}

fn verdict(report: &DrillReport) -> String {
    match report.recovery_ms {
        Some(ms) if report.passed => paint(
            ui::GOOD,
            format!("passed: over after {}.{} s", ms / 1_000, ms % 1_000 / 100),
        ),
        Some(_) => paint(ui::BAD, "failed: a command of the page did not end as the page says"),
        None => paint(ui::BAD, "failed: it was not over in time"),
    }
}

fn summary(reports: &[DrillReport]) -> String {
    let mut text = format!("\n{}\n", paint(ui::HEADING, "Recovery times"));
    for report in reports {
        text += &format!("  {:<18}{}\n", report.page, verdict(report));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_names_a_trouble_that_a_drill_can_make() {
        for (name, text) in PAGES {
            let page = RunbookPage::parse(name, text).unwrap();
            assert!(Trouble::named(&page.trouble).is_some(), "{name}: {}", page.trouble);
        }
    }

    #[test]
    fn an_unknown_page_is_told_with_the_known_ones() {
        let args = |page: &str| DrillArgs {
            page: Some(page.to_owned()),
            all: false,
            seed: 1,
            data_dir: ".tidemark".into(),
            score_binary: None,
        };
        let error = chosen(&args("nothing")).unwrap_err();
        assert!(error.advice.contains("dead-letters"), "{}", error.advice);
        assert_eq!(chosen(&args("dead-letters.md")).unwrap()[0].name, "dead-letters");
    }
}
