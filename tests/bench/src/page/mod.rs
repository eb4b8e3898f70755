//! `page`: measures, keeps what was measured in docs/reference/benchmarks.json, and renders docs/reference/benchmarks.md from that file and
//! tests/bench/page/benchmarks.template. No figure of the page is written by hand.

mod machine;
mod results;
mod sections;
mod shell;
mod template;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use results::{Measurement, Results, Spread};
use sections::{Job, SECTIONS, Section, Sizes};
use shell::{SCRATCH, Shell};

/// Runs of each command, unless another number is asked for.
const RUNS: u32 = 3;

/// What its help says.
pub const USAGE: &str = "usage: bench page [--only SECTION[,SECTION]] [--runs N] [--events N] [--handbook DIR] [--dev] [--check | --render]

  Measures, writes docs/reference/benchmarks.json and renders docs/reference/benchmarks.md from it. What is not measured again keeps its
  older figures, with their day.

  --only       these sections; without it, those that take minutes at most
  --runs       of each command [default: 3]; the page shows medians
  --events     another size, for sections that say so: a look, since the page's own size is part of its command
  --handbook   the folder of the Handbook's stream, for the section of that name
  --dev        by what the dev profile builds, where the page has release's
  --render     measures nothing: renders the page
  --check      measures nothing: fails unless the page is what the results render to
";

/// What was asked for.
#[derive(Default)]
struct Options {
    only: Vec<String>,
    runs: Option<u32>,
    sizes: Sizes,
    handbook: Option<PathBuf>,
    dev: bool,
    check: bool,
    render: bool,
}

/// Carries out the verb.
///
/// # Errors
/// When the words are no options, a command fails, or the page is not what the results render to.
pub fn run(words: &[&str]) -> Result<String, String> {
    if words.contains(&"--help") {
        return Ok(format!("{USAGE}\n{}", sections::list()));
    }
    let options = parse(words)?;
    let root = root();
    if options.check {
        return check(&root);
    }
    if !options.render {
        measure(&root, &options)?;
    }
    let results = Results::read(&root)?;
    let page = template::render(&read(&root, template::FILE)?, &results, &known())?;
    std::fs::write(root.join(template::PAGE), page).map_err(|error| format!("{}: {error}", template::PAGE))?;
    Ok(format!("{} is rendered from {}\n", template::PAGE, results::FILE))
}

fn parse(words: &[&str]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .copied()
                .ok_or_else(|| format!("{word} wants a value\n\n{USAGE}"))
        };
        let number = |text: &str| text.parse::<u32>().map_err(|_| format!("{text} is no number"));
        match *word {
            "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
            "--runs" => options.runs = Some(number(value()?)?.max(1)),
            "--events" => options.sizes.events = Some(number(value()?)?),
            "--handbook" => options.handbook = Some(std::path::absolute(value()?).map_err(|error| error.to_string())?),
            "--dev" => options.dev = true,
            "--check" => options.check = true,
            "--render" => options.render = true,
            _ => return Err(format!("{word} is no option\n\n{}{}", USAGE, sections::list())),
        }
    }
    let unknown = options
        .only
        .iter()
        .find(|name| !SECTIONS.iter().any(|section| section.name == *name));
    match unknown {
        Some(name) => Err(format!("there is no section {name}\n\n{}", sections::list())),
        None => Ok(options),
    }
}

/// The repository's root, where this program was built.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

fn read(root: &Path, file: &str) -> Result<String, String> {
    std::fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"))
}

/// The names of all measurements that the sections make.
fn known() -> Vec<String> {
    let jobs = SECTIONS.iter().flat_map(|section| (section.jobs)(&Sizes::default()));
    jobs.map(|job| job.name).collect()
}

/// Whether the committed page is what the committed results render to, and nothing else stands among the results.
fn check(root: &Path) -> Result<String, String> {
    let results = Results::read(root)?;
    let known = known();
    if let Some(name) = results.measurements.keys().find(|name| !known.contains(name)) {
        return Err(format!("{}: no section measures {name}", results::FILE));
    }
    let rendered = template::render(&read(root, template::FILE)?, &results, &known)?;
    let page = read(root, template::PAGE)?;
    match rendered
        .lines()
        .zip(page.lines())
        .position(|(ours, theirs)| ours != theirs)
    {
        _ if rendered == page => Ok(format!("{} is what {} renders to\n", template::PAGE, results::FILE)),
        at => Err(format!(
            "{}:{} is not what {} renders to: `bench page --render`",
            template::PAGE,
            at.map_or(page.lines().count(), |at| at + 1),
            results::FILE
        )),
    }
}

/// Runs the sections that were asked for. What a command gave is kept as soon as it was run often enough.
fn measure(root: &Path, options: &Options) -> Result<(), String> {
    let is_asked = |section: &&Section| match options.only.as_slice() {
        [] => !section.is_long,
        only => only.iter().any(|name| name == section.name),
    };
    let chosen: Vec<&Section> = SECTIONS.iter().filter(is_asked).collect();
    let shell = Shell {
        root: root.to_path_buf(),
        directory: options.handbook.clone(),
    };
    std::fs::create_dir_all(root.join(SCRATCH)).map_err(|error| format!("{SCRATCH}: {error}"))?;
    let mut jobs: Vec<Job> = chosen
        .iter()
        .flat_map(|section| (section.jobs)(&options.sizes))
        .collect();
    if options.dev {
        jobs.iter_mut().for_each(Job::by_dev);
    }
    build(&shell, &jobs)?;
    for (at, job) in (1..).zip(&jobs) {
        eprintln!("{at} of {}: {}: {}", jobs.len(), job.name, job.command);
        let measurement = measured(&shell, job, options.runs.unwrap_or(RUNS))?;
        for (name, spread) in &measurement.figures {
            eprintln!("  {name} {} ({} to {})", spread.median, spread.least, spread.greatest);
        }
        let mut results = Results::read(root)?;
        results.measurements.insert(job.name.clone(), measurement);
        results.write(root)?;
    }
    Ok(())
}

/// Builds what the commands run, by the whole workspace so that nothing is built twice.
fn build(shell: &Shell, jobs: &[Job]) -> Result<(), String> {
    let runs = |folder: &str| {
        let named = |line: &String| line.contains(folder);
        jobs.iter()
            .any(|job| named(&job.command) || job.before.iter().any(named))
    };
    for (folder, line) in [
        ("target/release/", "cargo build --release --workspace --bins"),
        ("target/debug/", "cargo build --workspace --bins"),
    ] {
        // What a script runs is a release's.
        if runs(folder) || (folder == "target/release/" && runs("tests/bench/peers/")) {
            eprintln!("{line}");
            shell.run(line, 0)?;
        }
    }
    Ok(())
}

fn measured(shell: &Shell, job: &Job, runs: u32) -> Result<Measurement, String> {
    for line in &job.before {
        eprintln!("  {line}");
        shell.run(line, 0)?;
    }
    let (date, machine) = (machine::today()?, machine::here()?);
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for run in 1..=runs {
        let exit_max = i32::from(job.may_refuse);
        let said = match job.by_callgrind {
            true => shell.profile(&job.command, exit_max, job.within)?,
            false => shell.run(&job.command, exit_max)?,
        };
        eprintln!("  run {run} of {runs}: {:.1} s", said.wall_s);
        for (name, value) in (job.figures)(&said, shell)? {
            values.entry(name).or_default().push(value);
        }
    }
    let spreads = values
        .into_iter()
        .map(|(name, values)| Some((name, Spread::of(values)?)));
    let is_release = !job.command.starts_with("cargo") && !job.command.contains("target/debug/");
    Ok(Measurement {
        before: job.before.clone(),
        command: job.shown(),
        profile: if is_release { "release" } else { "dev" }.to_owned(),
        date,
        rustc: machine::rustc(&shell.root)?,
        machine,
        runs,
        figures: spreads.flatten().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_results_render_to() {
        let checked = check(&root());
        assert!(checked.is_ok(), "{checked:?}");
    }

    #[test]
    fn a_section_that_is_not_there_and_an_unknown_option_are_told() {
        for words in [
            ["--only", "nothing"].as_slice(),
            &["--fast"],
            &["--runs"],
            &["--runs", "many"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
        let options = parse(&["--only", "handler,score", "--runs", "1", "--events", "100"]).unwrap_or_default();
        assert_eq!(
            (options.only.len(), options.runs, options.sizes.events),
            (2, Some(1), Some(100))
        );
    }
}
