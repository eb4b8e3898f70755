//! A change of a list: what it needs is read, what is new is written, and last of all the item that names the list changes on the
//! condition that nobody else was first. So a change that breaks off has changed nothing.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use terminal::error::{CliError, Exit};
use terminal::list_file::{self, ListFile};
use terminal::ui::{self, grouped, shown};
use tidemark_aws::admin::{ControlPut, Expected};
use tidemark_domain::catalogue::KeyName;
use tidemark_domain::control::lists::{LISTS, NamedList, NamedLists, list_key, list_part_fields};
use tidemark_domain::control::{Change, ControlItem, Stamp};
use tidemark_domain::lifetime::RECORD_MS_MAX;
use tidemark_domain::lists::{LISTS_MAX, ListChange, ListDraft, ListNote, ListOf, ListPartKey, ListPut, NewEntry};

use crate::control::plane::{Plane, Stored};
use crate::control::{print, until};
use crate::lists::{self, NoList};

/// How often a change is made again on top of another operator's: changes of different entries do not contradict.
const ATTEMPTS_MAX: u32 = 5;
/// Parts that are written at once.
const WRITES_AT_ONCE: usize = 8;
/// Entries that a change names.
const NAMED_MAX: usize = 5;

/// What is to be done with a list.
pub(super) enum Edit<'a> {
    /// Entries are put in.
    Add {
        values: &'a [String],
        until_ms: Option<i64>,
    },
    /// Entries are taken out.
    Remove { values: &'a [String] },
    /// The list is made what a file says.
    Import {
        file: String,
        read: ListFile,
        replaces_damaged: bool,
    },
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    added: usize,
    changed: usize,
    same: usize,
    removed: usize,
    absent: usize,
    ended: usize,
}

impl Done {
    const fn put(&mut self, put: ListPut) {
        match put {
            ListPut::New => self.added += 1,
            ListPut::Changed => self.changed += 1,
            ListPut::Same => self.same += 1,
        }
    }
}

/// What is stored of the lists.
async fn stored(plane: &Plane<'_>) -> Result<Stored<NamedLists>, CliError> {
    let stored = plane.read(LISTS, NamedLists::from_fields).await?;
    if matches!(stored, Stored::Broken(_)) {
        return Err(CliError::refused(
            "control_item",
            "the item that names the lists was broken by hand; changing one would lose the others",
            "Mend or delete the item (pk control, sk lists), then import the lists again; functions keep the last good copies until then.",
        ));
    }
    Ok(stored)
}

/// What a list is of: what it was made of, or what somebody says of a new one.
pub(super) async fn kind_of(plane: &Plane<'_>, name: KeyName, said: Option<ListOf>) -> Result<ListOf, CliError> {
    let stored = stored(plane).await?;
    kind(stored.good().and_then(|named| named.find(name)), name, said)
}

fn kind(found: Option<&NamedList>, name: KeyName, said: Option<ListOf>) -> Result<ListOf, CliError> {
    match (found, said) {
        (Some(found), Some(said)) if found.of != said => Err(NoList::OtherKind {
            name,
            found: found.of.as_str(),
            declared: said.as_str(),
        }
        .into_cli(|_| unreachable!("it was read"))),
        (Some(found), _) => Ok(found.of),
        (None, Some(said)) => Ok(said),
        (None, None) => Err(CliError::refused(
            "list_unknown",
            format!("there is no list `{name}` yet"),
            "Say what it is of with --of ids, --of countries or --of addresses, which makes it; tidemark list show has those there are.",
        )),
    }
}

/// Changes a list and reports what was done. Another operator's change of it at the same time is no obstacle to putting entries in and
/// taking them out; a file is not imported over what somebody else has just done.
pub(super) async fn change(
    plane: &Plane<'_>,
    (name, said): (KeyName, Option<ListOf>),
    edit: &Edit<'_>,
    stamp: &Stamp,
    json: bool,
) -> Result<Exit, CliError> {
    let (mut attempt, mut first_seen): (u32, Option<u64>) = (1, None);
    loop {
        let stored = stored(plane).await?;
        let named = stored.good().cloned().unwrap_or_default();
        let before = named.find(name);
        let of = kind(before, name, said)?;
        let revision = before.map_or(0, |list| list.revision);
        if matches!(edit, Edit::Import { .. }) && *first_seen.get_or_insert(revision) != revision {
            return Err(plane.conflict(ControlItem::Lists).await);
        }
        if before.is_none() && named.all().len() >= LISTS_MAX {
            let what = format!("there are {LISTS_MAX} lists, and no room for another");
            let advice = "Put entries into one that there is: a list is never taken away, since outcomes name it.";
            return Err(CliError::refused("list_limit", what, advice));
        }
        let (draft, done) = edited(plane, before, of, edit, stamp).await?;
        let made = draft.finish().map_err(list_file::wrong)?;
        let list = named_list(name, revision + 1, &made);
        if before.is_some_and(|before| before.manifest == list.manifest) && !is_rewriting(edit) {
            return Ok(report(edit, &list, done, 0, json));
        }
        let detail = detail(name, edit, done, &list);
        let written = write(plane, &made, stamp).await?;
        let next = named.changed(list.clone());
        let change = Change {
            item: ControlItem::Lists,
            revision: next.revision,
            action: action(edit).to_owned(),
            detail,
            stamp: stamp.clone(),
        };
        match plane
            .change(LISTS, next.to_fields(stamp), stored.expected(), &change)
            .await
        {
            Err(error) if error.code == "control_conflict" && attempt < ATTEMPTS_MAX => attempt += 1,
            Err(error) => return Err(error),
            Ok(()) => return Ok(report(edit, &list, done, written, json)),
        }
    }
}

const fn is_rewriting(edit: &Edit<'_>) -> bool {
    matches!(
        edit,
        Edit::Import {
            replaces_damaged: true,
            ..
        }
    )
}

const fn action(edit: &Edit<'_>) -> &'static str {
    match edit {
        Edit::Add { .. } => "add",
        Edit::Remove { .. } => "remove",
        Edit::Import { .. } => "import",
    }
}

fn named_list(name: KeyName, revision: u64, made: &ListChange) -> NamedList {
    NamedList {
        name,
        of: made.manifest.of,
        revision,
        manifest: ListPartKey::of(&made.manifest.encode()),
        version: made.manifest.version(),
        entries: made.manifest.entries() as u64,
    }
}

/// The list with the change made, of which as much was read as that took.
async fn edited(
    plane: &Plane<'_>,
    before: Option<&NamedList>,
    of: ListOf,
    edit: &Edit<'_>,
    stamp: &Stamp,
) -> Result<(ListDraft, Done), CliError> {
    let mut draft = match before {
        Some(before) if !is_rewriting(edit) => {
            let manifest = lists::manifest(plane.admin(), plane.table(), before).await;
            ListDraft::stored(&manifest.map_err(|error| failed(plane, error))?)
        }
        _ => ListDraft::new(of),
    };
    let note = Arc::new(ListNote {
        at_ms: stamp.at_ms,
        who: stamp.who.clone(),
        reason: stamp.reason.clone(),
    });
    let done = match edit {
        Edit::Add { values, until_ms } => {
            let values = spelt(of, values)?;
            let wanted = draft.wanted(values.iter().map(String::as_str));
            read(plane, &mut draft, wanted).await?;
            let new = values.into_iter().map(|value| NewEntry {
                value,
                until_ms: *until_ms,
                reason: None,
            });
            put(&mut draft, new, &note)?
        }
        Edit::Remove { values } => {
            let values = spelt(of, values)?;
            let wanted = draft.wanted(values.iter().map(String::as_str));
            read(plane, &mut draft, wanted).await?;
            let mut done = Done::default();
            for value in &values {
                match draft.remove(value).map_err(list_file::wrong)? {
                    Some(_) => done.removed += 1,
                    None => done.absent += 1,
                }
            }
            done
        }
        Edit::Import { read: file, .. } => {
            let unread = draft.unread();
            read(plane, &mut draft, unread).await?;
            import(&mut draft, file, &note)?
        }
    };
    if draft.needs_all() {
        let unread = draft.unread();
        read(plane, &mut draft, unread).await?;
    }
    Ok((draft, done))
}

fn put(draft: &mut ListDraft, new: impl Iterator<Item = NewEntry>, note: &Arc<ListNote>) -> Result<Done, CliError> {
    let mut done = Done::default();
    for entry in new {
        let put = draft.put(entry, note).map_err(|error| match error {
            tidemark_domain::lists::ListError::TooMany => list_file::too_many("the list would have too many entries"),
            other => list_file::wrong(other),
        })?;
        done.put(put);
    }
    Ok(done)
}

/// Makes a list what a file says. What ended so long ago that no record can come for which it holds is left out.
fn import(draft: &mut ListDraft, file: &ListFile, note: &Arc<ListNote>) -> Result<Done, CliError> {
    let is_over =
        |until_ms: Option<i64>| until_ms.is_some_and(|end_ms| end_ms.saturating_add(RECORD_MS_MAX) <= note.at_ms);
    let (over, lasting): (Vec<&NewEntry>, Vec<&NewEntry>) =
        file.entries.iter().partition(|entry| is_over(entry.until_ms));
    // What goes makes room first.
    let kept: std::collections::HashSet<&str> = lasting.iter().map(|entry| entry.value.as_str()).collect();
    let removed = draft.retain(|entry| kept.contains(entry.value.as_str()));
    let mut done = put(draft, lasting.into_iter().cloned(), note)?;
    done.removed = removed;
    done.ended = over.len();
    Ok(done)
}

/// Entries in their one spelling; all of them or an error.
fn spelt(of: ListOf, values: &[String]) -> Result<Vec<String>, CliError> {
    let spelt = values.iter().zip(1..).map(|(value, number)| {
        list_file::value_of(of, value).map_err(|problem| {
            CliError::input(
                "list_entry",
                format!("entry {number}: {problem}"),
                "Nothing was changed; docs/concepts/lists.md says what entries look like.",
            )
        })
    });
    spelt.collect()
}

fn failed(plane: &Plane<'_>, error: NoList) -> CliError {
    error.into_cli(|error| plane.failed(error))
}

/// Reads parts into a draft.
async fn read(plane: &Plane<'_>, draft: &mut ListDraft, keys: Vec<ListPartKey>) -> Result<(), CliError> {
    let parts = lists::all_bytes(plane.admin(), plane.table(), keys).await;
    for (key, bytes) in parts.map_err(|error| failed(plane, error))? {
        draft
            .take(key, &bytes)
            .map_err(|error| failed(plane, NoList::Damaged(error)))?;
    }
    Ok(())
}

/// Writes the parts that are new and then the manifest; how many items that were.
async fn write(plane: &Plane<'_>, made: &ListChange, stamp: &Stamp) -> Result<usize, CliError> {
    let writes = made
        .parts
        .iter()
        .map(|(key, bytes)| write_one(plane, *key, bytes, stamp));
    let () = stream::iter(writes)
        .buffer_unordered(WRITES_AT_ONCE)
        .try_collect()
        .await?;
    let manifest = made.manifest.encode();
    write_one(plane, ListPartKey::of(&manifest), &manifest, stamp).await?;
    Ok(made.parts.len() + 1)
}

/// Writes a part where it is not there as it should be.
async fn write_one(plane: &Plane<'_>, key: ListPartKey, bytes: &[u8], stamp: &Stamp) -> Result<(), CliError> {
    let sort = list_key(key);
    let mut put = ControlPut {
        sort: sort.clone(),
        fields: list_part_fields(bytes.to_vec(), stamp),
        expected: Expected::Absent,
    };
    if plane.put(&put).await? {
        return Ok(());
    }
    // It is named by its content: whoever wrote it wrote the same, unless it was damaged since.
    let stored = plane.raw(&sort).await?;
    let is_there = |fields| tidemark_domain::control::lists::list_part_bytes(fields).is_ok_and(|found| found == bytes);
    match stored {
        Some(fields) if is_there(&fields) => Ok(()),
        Some(fields) => {
            put.expected = Expected::AsRead(fields);
            if plane.put(&put).await? {
                Ok(())
            } else {
                Err(plane.conflict(ControlItem::Lists).await)
            }
        }
        None => Err(plane.conflict(ControlItem::Lists).await),
    }
}

/// What the change says for ever.
fn detail(name: KeyName, edit: &Edit<'_>, done: Done, list: &NamedList) -> String {
    let what = match edit {
        Edit::Add { values, until_ms } => {
            let until = until_ms.map_or_else(String::new, |until_ms| format!(" until {}", until::show(until_ms)));
            format!("{}{until}", some_of(values))
        }
        Edit::Remove { values } => some_of(values),
        Edit::Import { file, .. } => shown(file).into_owned(),
    };
    let Done {
        added,
        changed,
        removed,
        ..
    } = done;
    format!(
        "{name}: {what}: {added} added, {changed} changed, {removed} removed; {} entries, version {}",
        list.entries, list.version
    )
}

fn some_of(values: &[String]) -> String {
    let named: Vec<String> = values
        .iter()
        .take(NAMED_MAX)
        .map(|value| shown(value).into_owned())
        .collect();
    match values.len().saturating_sub(NAMED_MAX) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn report(edit: &Edit<'_>, list: &NamedList, done: Done, written: usize, json: bool) -> Exit {
    let duplicates = match edit {
        Edit::Import { read, .. } => read.duplicates,
        Edit::Add { .. } | Edit::Remove { .. } => 0,
    };
    let value = json!({
        "list": list.name.as_str(), "of": list.of.as_str(), "version": list.version.to_string(), "entries": list.entries,
        "added": done.added, "changed": done.changed, "same": done.same, "removed": done.removed, "absent": done.absent,
        "ended": done.ended, "duplicates": duplicates, "items_written": written,
    });
    let number = |count: usize| grouped(count as u64);
    let mut text = format!(
        "{}: {} added, {} changed, {} removed; {} entries, version {}\n",
        ui::paint(ui::HEADING, list.name),
        number(done.added),
        number(done.changed),
        number(done.removed),
        grouped(list.entries),
        list.version
    );
    let mut say = |count: usize, what: &str| {
        if count > 0 {
            text += &format!("  {} {what}\n", number(count));
        }
    };
    say(done.same, "were there already");
    say(done.absent, "were not there");
    say(
        done.ended,
        "had ended so long ago that nothing can come for them, and were left out",
    );
    say(
        usize::try_from(duplicates).unwrap_or(usize::MAX),
        "lines said again what an earlier one said",
    );
    text += &match written {
        0 => "nothing was written\n".to_owned(),
        items => format!("{} items were written; rules see it within 15 seconds\n", number(items)),
    };
    print(json, &value, &text)
}
