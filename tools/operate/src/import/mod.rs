//! `tidemark import`: the history of cards from a file straight into the table, through the fold and the conditional writes of the
//! score function, beside live traffic. Nothing is sent, nobody is alerted.
//!
//! Each event is one of its card's distinct events, whoever brings it first: the stream, this file, or a second import at the same
//! time. So a run that broke off is done again from the beginning, and a day that both have counts once.

pub mod args;
mod importer;
mod look;
mod rows;
#[cfg(test)]
mod tests;
mod view;

use std::io::BufRead;

use indicatif::ProgressBar;
use terminal::chunk::LineChunk;
use terminal::error::{CliError, Exit};
use terminal::input::EventFile;
use terminal::lines::Lines;
use terminal::{files, ui};
use tidemark_aws::admin::Admin;
use tidemark_domain::policy::Policy;
use tidemark_engine::port::StateStore;

use crate::control;
use crate::lists;
use crate::send::unopened;
use args::ImportArgs;
use importer::{Importer, NothingTaken, Tally};
use look::Look;

/// Write units that an import takes in a second, unless `--write-units` says otherwise: a quarter of what a new table on demand takes.
pub const WRITE_UNITS_PER_SECOND: u64 = 1_000;

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Rows are taken into their cards.
    Import,
    /// It is said what that would do.
    DryRun,
    /// It is looked whether it was done.
    Check,
}

/// Imports a file, says what that would do, or looks whether it was done.
///
/// # Errors
/// When the file can't be read, or the table can't be read or takes nothing.
pub async fn run(admin: &Admin, args: &ImportArgs, json: bool) -> Result<Exit, CliError> {
    let table = args.deployment.name(args.table.as_ref(), "cards");
    let file = EventFile::new(&args.file, args.map.as_deref())?;
    let policy = match &args.policy {
        Some(path) => files::policy(Some(path))?,
        None => control::in_force(admin, &args.deployment, args.table.as_ref()).await?,
    };
    let purpose = match (args.dry_run, args.check) {
        (true, _) => Purpose::DryRun,
        (_, true) => Purpose::Check,
        _ => Purpose::Import,
    };
    let policy = lists::with_lists(admin, &table, policy).await.map_err(|error| {
        error.into_cli(|error| {
            let what = format!("the lists in table {table}: {error}");
            CliError::service(
                "control_table",
                what,
                "Check --table, AWS_ENDPOINT_URL, AWS_REGION and credentials.",
            )
        })
    })?;
    let store = admin.store(&table);
    let tally = if purpose == Purpose::Import {
        #[allow(clippy::cast_precision_loss, reason = "40,000 at most")]
        let write_units = args.write_units as f64;
        import(Importer::new(store, &policy, Some(write_units)), &file, &policy, json).await?
    } else {
        import(Importer::new(Look::new(store), &policy, None), &file, &policy, json).await?
    };
    view::report(&tally, purpose, args, &table, policy.version, json);
    file.note_rows(false);
    Ok(exit(&tally, purpose))
}

/// Takes a whole file.
async fn import<S: StateStore>(
    mut importer: Importer<S>,
    file: &EventFile,
    policy: &Policy,
    json: bool,
) -> Result<Tally, CliError> {
    let (input, bytes) = file.open().map_err(|error| unopened(file, &error))?;
    let bar = ui::bar(bytes.unwrap_or_default(), "bytes of the file", json || bytes.is_none());
    let bytes_max = policy.bounds.payload_bytes_max;
    let lines = file.events(bar.wrap_read(input), bytes_max);
    let mut lines = lines.map_err(|error| error.into_cli(""))?;
    let taken = take_all(&mut importer, &mut lines).await;
    ProgressBar::finish_and_clear(&bar);
    taken.map(|()| importer.tally)
}

async fn take_all<S: StateStore, R: BufRead>(importer: &mut Importer<S>, lines: &mut Lines<R>) -> Result<(), CliError> {
    let mut chunk = LineChunk::default();
    loop {
        let so_far = format!(
            "; {} events before it are imported, and importing them again is safe",
            ui::grouped(importer.tally.imported)
        );
        chunk.fill(lines).map_err(|error| error.into_cli(&so_far))?;
        if chunk.lines.is_empty() {
            return Ok(());
        }
        importer.take(&chunk).await.map_err(|NothingTaken(why)| {
            CliError::service(
                "import_stopped",
                format!("the table takes nothing: {why}{so_far}"),
                "Check the table's name, its permissions and limits; then import the whole file again.",
            )
        })?;
        chunk.clear();
    }
}

/// How the command ends. A check that saw no event holds nothing.
fn exit(tally: &Tally, purpose: Purpose) -> Exit {
    let is_whole = tally.not_taken_total() == 0;
    match purpose {
        _ if tally.lines == 0 => Exit::Nothing,
        Purpose::Check if tally.known + tally.imported == 0 => Exit::Nothing,
        // What would count or take effect now is missing; of a label whose event is dropped, nothing can be there.
        Purpose::Check if tally.imported + tally.applied > tally.labels_without_card => Exit::Failed,
        _ if is_whole && tally.refused.total() == 0 => Exit::Ok,
        _ => Exit::Failed,
    }
}
