//! The settings of the redrive function: the score function's, and where messages and records are.

use std::collections::BTreeMap;

use tidemark_engine::config::BATCH_RECORDS_MAX;
use tidemark_redrive::RedriveConfig;
use tidemark_redrive::limits::{GET_RECORDS_MAX, SHARD_READS_PER_SECOND};
use tidemark_settings::{Config, Knob, Reader, SettingProblem, Tuner};

/// The settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What it has in common with the score function.
    pub pipeline: Config,
    /// Stream that is read again, by name.
    pub transactions_stream: String,
    /// Queue of batches that were given up.
    pub dead_letter_queue_url: String,
    /// Bucket of batches that were given up with their payload, where there is one.
    pub letters_bucket: Option<String>,
    /// Queue of what can't be redriven.
    pub unrecoverable_queue_url: String,
    /// The redrive's bounds.
    pub redrive: RedriveConfig,
}

impl Settings {
    /// Reads the settings out of `variables`; `read_file` gives a policy file's text.
    ///
    /// # Errors
    /// Every problem, in one list.
    pub fn read(
        variables: &BTreeMap<String, String>,
        read_file: impl Fn(&str) -> std::io::Result<String>,
    ) -> Result<Self, Vec<SettingProblem>> {
        let mut reader = Reader::new(variables);
        let pipeline = Config::take(&mut reader, read_file, "redrive");
        let transactions_stream = reader.stream("TIDEMARK_TRANSACTIONS_STREAM");
        let dead_letter_queue_url = reader.queue_url("TIDEMARK_DEAD_LETTER_QUEUE_URL");
        let unrecoverable_queue_url = reader.queue_url("TIDEMARK_UNRECOVERABLE_QUEUE_URL");
        let letters_bucket = letters_bucket(&mut reader);
        let redrive = bounds(&mut reader, None);
        let read = pipeline
            .zip(transactions_stream)
            .zip(dead_letter_queue_url.zip(unrecoverable_queue_url));
        let (read, unknown) = reader.finish(read)?;
        let ((pipeline, transactions_stream), (dead_letter_queue_url, unrecoverable_queue_url)) = read;
        Ok(Self {
            pipeline: Config { unknown, ..pipeline },
            transactions_stream,
            dead_letter_queue_url,
            letters_bucket,
            unrecoverable_queue_url,
            redrive,
        })
    }

    /// The variables for tuning that the score function has not, with their ranges and defaults.
    #[must_use]
    pub fn knobs() -> Vec<Knob> {
        let mut knobs = Vec::new();
        bounds(&mut Reader::new(&BTreeMap::new()), Some(&mut knobs));
        knobs
    }
}

/// The name of a bucket: empty where the deployment has none.
fn letters_bucket(reader: &mut Reader<'_>) -> Option<String> {
    let variable = "TIDEMARK_LETTERS_BUCKET";
    reader.optional(variable)?;
    reader.required(variable, is_bucket, "a bucket's name: 3 to 63 of a-z, 0-9 and hyphens")
}

fn is_bucket(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut ends = name.bytes().take(1).chain(name.bytes().next_back());
    (3..=63).contains(&name.len()) && name.bytes().all(|byte| fits(byte) || byte == b'-') && ends.all(fits)
}

/// The redrive's bounds. With `knobs`, the list of variables is written down on the way.
fn bounds(reader: &mut Reader<'_>, knobs: Option<&mut Vec<Knob>>) -> RedriveConfig {
    let mut config = RedriveConfig::default();
    let mut tune = Tuner::new(reader, knobs);
    tune.set(
        "TIDEMARK_RATE_PER_SECOND_MAX",
        1,
        1_000_000,
        &mut config.rate_per_second_max,
    );
    tune.set(
        "TIDEMARK_READS_PER_SECOND_MAX",
        1,
        u64::from(SHARD_READS_PER_SECOND),
        &mut config.reads_per_second_max,
    );
    tune.set(
        "TIDEMARK_PAGE_RECORDS_MAX",
        1,
        u64::from(GET_RECORDS_MAX),
        &mut config.page_records_max,
    );
    tune.set(
        "TIDEMARK_BATCH_RECORDS_MAX",
        1,
        BATCH_RECORDS_MAX as u64,
        &mut config.batch_records_max,
    );
    tune.set("TIDEMARK_EMPTY_PAGES_MAX", 1, 100_000, &mut config.empty_pages_max);
    config
}
