//! The whole pipeline on this machine: local AWS, resources, the real score function, the mapping between them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use localcloud::{
    EsmOptions, Function, FunctionSpec, LocalCloud, LocalConfig, LocalError, Mapping, MappingSpec, Names, Provisioned,
    Reads,
};
use terminal::error::CliError;
use terminal::ui;
use tidemark_engine::causes;

/// Records of one invocation; the template has the same.
const BATCH_SIZE: u32 = 500;
/// Retries of a batch before it goes to the dead-letter queue; the template has the same.
const RETRIES_MAX: u32 = 20;
/// Age beyond which a record is not tried again, in seconds; the template has the same.
const RECORD_AGE_S_MAX: u32 = 21_600;

/// How long one call of the redrive function may take, in milliseconds; the template has the same.
const REDRIVE_TIMEOUT_MS: u64 = 120_000;

/// How often the mapping reads an idle shard of another emulator, in milliseconds: they are slower than our own.
const POLL_OTHERS_MS: u64 = 250;

/// How to start a pipeline.
#[derive(Clone, Debug)]
pub struct StackOptions<'a> {
    /// Where the local AWS keeps its logs.
    pub data_dir: &'a Path,
    /// Shards of each stream.
    pub shards: u16,
    /// The score function's binary; the one beside this command when absent, built when needed.
    pub score_binary: Option<&'a Path>,
    /// Options of the mapping.
    pub mapping: EsmOptions,
    /// How the mapping comes by new records.
    pub reads: Reads,
    /// The fault layer's seed, where there is to be one.
    pub fault_seed: Option<u64>,
    /// Whether the local AWS has AWS's limits by the second.
    pub aws_limits: bool,
    /// Settings of both functions beside their own.
    pub env: Vec<(String, String)>,
    /// The port of 127.0.0.1 that the local AWS answers on; 0 for a free one.
    pub port: u16,
    /// Another emulator that has streams, table and queues.
    pub on: Option<&'a str>,
    /// The region; the local AWS's own when absent.
    pub region: Option<&'a str>,
    /// Whether progress is kept to itself.
    pub quiet: bool,
}

impl<'a> StackOptions<'a> {
    /// The mapping as in the template, and no fault layer.
    #[must_use]
    pub fn new(data_dir: &'a Path, shards: u16, score_binary: Option<&'a Path>, quiet: bool) -> Self {
        Self {
            data_dir,
            shards,
            score_binary,
            mapping: mapping_options(),
            reads: Reads::default(),
            fault_seed: None,
            aws_limits: true,
            env: Vec::new(),
            port: 0,
            on: None,
            region: None,
            quiet,
        }
    }
}

/// A running pipeline.
#[derive(Debug)]
pub struct Stack {
    /// The services.
    pub cloud: LocalCloud,
    /// What they are called.
    pub names: Names,
    /// Where they are.
    pub provisioned: Provisioned,
    /// The score function.
    pub function: Function,
    /// The redrive function, where its binary stands beside the score function's.
    pub redrive: Option<Function>,
    /// What moves records to it.
    pub mapping: Mapping,
}

impl Stack {
    /// Builds the score function when needed, and starts everything.
    ///
    /// # Errors
    /// When the function can't be built, or something does not start.
    pub async fn start(
        data_dir: &Path,
        shards: u16,
        score_binary: Option<&Path>,
        quiet: bool,
    ) -> Result<Self, CliError> {
        Self::start_with(StackOptions::new(data_dir, shards, score_binary, quiet)).await
    }

    /// The same with other options.
    ///
    /// # Errors
    /// When the function can't be built, or something does not start.
    pub async fn start_with(options: StackOptions<'_>) -> Result<Self, CliError> {
        let binary = match options.score_binary {
            Some(named) => named.to_path_buf(),
            None => own_score_binary(options.quiet).await?,
        };
        let binary = existing(binary)?;
        let what = options.on.map_or("starting the local AWS".to_owned(), |on| {
            format!("making streams, table and queues on {on}")
        });
        let bar = ui::step(&what, options.quiet);
        let mut config = LocalConfig::new(options.data_dir);
        config.fault_seed = options.fault_seed;
        config.port = options.port;
        config.aws_limits = options.aws_limits;
        config.on = options.on.map(str::to_owned);
        if let Some(region) = options.region {
            region.clone_into(&mut config.region);
        }
        let cloud = LocalCloud::start(config).await.map_err(failed)?;
        let names = Names {
            shards: u32::from(options.shards),
            ..Names::default()
        };
        let provisioned = cloud.provision(&names).await.map_err(failed)?;
        let mut spec = FunctionSpec::new(names.function.clone(), binary.clone());
        spec.env = cloud.function_env(&names, &provisioned);
        spec.env.extend(options.env.clone());
        let function = cloud.start_function(spec).await.map_err(failed)?;
        let redrive = start_redrive(&cloud, &names, &provisioned, &binary, options.env).await?;
        let mut spec = MappingSpec::new(names.transactions_stream.clone(), function.clone());
        spec.options = options.mapping;
        spec.reads = options.reads;
        if options.on.is_some() && options.reads == Reads::Eager {
            spec.reads = Reads::Every(POLL_OTHERS_MS);
        }
        spec.on_failure_queue_url = Some(provisioned.dead_letter_queue_url.clone());
        let mapping = cloud.start_mapping(spec).await.map_err(failed)?;
        bar.finish_and_clear();
        Ok(Self {
            cloud,
            names,
            provisioned,
            function,
            redrive,
            mapping,
        })
    }

    /// Stops everything in order: first what reads, then the function, then the services.
    pub async fn stop(self) {
        self.mapping.stop().await;
        self.function.stop().await;
        if let Some(redrive) = &self.redrive {
            redrive.stop().await;
        }
        self.cloud.stop().await;
    }
}

/// The mapping's options, as in the template.
#[must_use]
pub fn mapping_options() -> EsmOptions {
    EsmOptions {
        batch_size: BATCH_SIZE,
        bisect_on_error: true,
        retries_max: Some(RETRIES_MAX),
        record_age_s_max: Some(RECORD_AGE_S_MAX),
        report_item_failures: true,
        ..EsmOptions::default()
    }
}

/// An error of the local AWS for a person.
#[allow(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
pub fn failed(error: LocalError) -> CliError {
    if let LocalError::Port { port, source } = &error {
        let what = format!("port {port} of 127.0.0.1 can't be listened on: {source}");
        return CliError::machine(
            "local_port",
            what,
            "Stop what listens there (perhaps another `local up`), give another --port, or leave it out for a free one.",
        );
    }
    CliError::machine(
        "local_aws",
        causes(&error),
        "Run `cargo tidemark doctor`, and look at the logs in the data directory.",
    )
}

/// The score function's binary, which stands beside this command's. Inside a checkout it is built first: cargo knows
/// best whether there is anything to do.
async fn own_score_binary(quiet: bool) -> Result<PathBuf, CliError> {
    let here = std::env::current_exe()
        .map_err(|e| CliError::machine("own_path", e, "Run the command through `cargo tidemark`."))?;
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    // Only in a folder of cargo's does cargo own the binary.
    let built_by_cargo = here.parent().is_some_and(|dir| dir.join(".fingerprint").is_dir());
    if built_by_cargo && manifest.is_file() {
        build_score(&manifest, &here, quiet).await?;
    }
    Ok(here.with_file_name(format!("score{}", std::env::consts::EXE_SUFFIX)))
}

/// Offers the redrive function, to be invoked as in Lambda's API.
async fn start_redrive(
    cloud: &LocalCloud,
    names: &Names,
    provisioned: &Provisioned,
    score_binary: &Path,
    env: Vec<(String, String)>,
) -> Result<Option<Function>, CliError> {
    let binary = beside(score_binary, "redrive");
    if !binary.is_file() {
        return Ok(None);
    }
    let mut spec = FunctionSpec::new(names.redrive_function.clone(), binary);
    spec.env = cloud.redrive_env(names, provisioned);
    spec.env.extend(env);
    spec.timeout_ms = REDRIVE_TIMEOUT_MS;
    cloud.start_function(spec).await.map(Some).map_err(failed)
}

/// Another function's binary, which stands beside the score function's.
fn beside(binary: &Path, name: &str) -> PathBuf {
    binary.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

fn existing(binary: PathBuf) -> Result<PathBuf, CliError> {
    if binary.is_file() {
        return Ok(binary);
    }
    Err(CliError::machine(
        "no_score_binary",
        format!(
            "the score function's binary is not beside this command, at {}",
            binary.display()
        ),
        "In the checkout: cargo install --path functions/score && cargo install --path functions/redrive, or name one with --score-binary.",
    ))
}

async fn build_score(manifest: &Path, here: &Path, quiet: bool) -> Result<(), CliError> {
    let bar = ui::step("building the functions", quiet);
    let mut cargo = tokio::process::Command::new("cargo");
    // The same selection as `cargo tidemark` has, so that nothing shared is built twice.
    cargo
        .args([
            "build",
            "--quiet",
            "--bin",
            "score",
            "--bin",
            "redrive",
            "--manifest-path",
        ])
        .arg(manifest);
    if here
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|profile| profile == "release")
    {
        cargo.arg("--release");
    }
    let output = cargo.stdin(Stdio::null()).output().await;
    bar.finish_and_clear();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(CliError::machine(
            "score_build",
            format!(
                "the functions do not build:\n{}",
                String::from_utf8_lossy(&output.stderr).trim_end()
            ),
            "Mend what the compiler says; `cargo tidemark doctor` tells what is missing on this machine.",
        )),
        Err(e) => Err(CliError::machine(
            "no_cargo",
            format!("cargo can't be run: {e}"),
            "Install Rust with rustup.",
        )),
    }
}
