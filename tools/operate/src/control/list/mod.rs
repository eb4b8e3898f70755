//! `tidemark list`: the lists that rules ask, changed entry by entry or by a file, and shown.

pub mod args;
mod change;
mod show;

use std::path::Path;

use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use terminal::list_file;
use tidemark_aws::admin::Admin;
use tidemark_domain::catalogue::KeyName;
use tidemark_domain::control::Stamp;
use tidemark_domain::lists::{LIST_REASON_BYTES_MAX, ListOf};

use super::plane::Plane;
use super::until;
use args::ListCommand;
use change::{Edit, change};

/// Runs a verb. `login` is who is logged in.
///
/// # Errors
/// When an entry, a file or the table is not what it should be, or others change the list all the time.
pub async fn run(admin: &Admin, command: &ListCommand, login: Option<&str>, json: bool) -> Result<Exit, CliError> {
    match command {
        ListCommand::Add {
            name,
            values,
            of,
            until,
            reason,
            plane,
        } => {
            let plane = Plane::new(admin, plane, login);
            let (name, now_ms) = (name_of(name)?, now_ms());
            let until_ms = until
                .as_deref()
                .map(|until| until::parse_any(until, now_ms))
                .transpose()?;
            let stamp = stamp(&plane, reason, now_ms).await?;
            let edit = Edit::Add { values, until_ms };
            change(&plane, (name, of.map(ListOf::from)), &edit, &stamp, json).await
        }
        ListCommand::Remove {
            name,
            values,
            reason,
            plane,
        } => {
            let plane = Plane::new(admin, plane, login);
            let stamp = stamp(&plane, reason, now_ms()).await?;
            change(&plane, (name_of(name)?, None), &Edit::Remove { values }, &stamp, json).await
        }
        ListCommand::Import {
            name,
            file,
            of,
            replace_damaged,
            reason,
            plane,
        } => {
            let plane = Plane::new(admin, plane, login);
            let (name, of) = (name_of(name)?, of.map(ListOf::from));
            let stamp = stamp(&plane, reason, now_ms()).await?;
            let of = change::kind_of(&plane, name, of).await?;
            let edit = file_edit(file, of, *replace_damaged)?;
            change(&plane, (name, Some(of)), &edit, &stamp, json).await
        }
        ListCommand::Show { name, values, plane } => {
            let plane = Plane::new(admin, plane, login);
            match name {
                None => show::all(&plane, json).await,
                Some(name) => show::one(&plane, name_of(name)?, values, json).await,
            }
        }
        ListCommand::History { name, limit, plane } => {
            let name = name.as_deref().map(name_of).transpose()?;
            show::history(&Plane::new(admin, plane, login), name, *limit as usize, json).await
        }
    }
}

fn name_of(text: &str) -> Result<KeyName, CliError> {
    KeyName::new(text).ok_or_else(|| {
        CliError::input(
            "list_name",
            format!("{text:?} is no name of a list"),
            "Give 1 to 16 of the characters a to z, 0 to 9 and _, a letter first, as policies declare it.",
        )
    })
}

/// Who changes a list, when and why; the reason is kept with each entry.
async fn stamp(plane: &Plane<'_>, reason: &str, now_ms: i64) -> Result<Stamp, CliError> {
    let reason = list_file::reason_of(reason).map_err(|problem| {
        CliError::usage(
            "list_reason",
            problem,
            format!("It is kept with each entry: write at most {LIST_REASON_BYTES_MAX} bytes on one line."),
        )
    })?;
    plane.stamp(&reason, now_ms).await
}

fn file_edit(file: &Path, of: ListOf, replaces_damaged: bool) -> Result<Edit<'static>, CliError> {
    let read = list_file::read(file, of)?;
    if read.entries.is_empty() {
        return Err(CliError::input(
            "list_file",
            format!("{}: there is no entry in it", file.display()),
            "An empty file would empty the list: take entries out with tidemark list remove. Nothing was changed.",
        ));
    }
    let name = file
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Edit::Import {
        file: name,
        read,
        replaces_damaged,
    })
}
