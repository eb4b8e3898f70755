//! Files of events: JSON lines as they are, or rows of another shape under a map. Every verb that takes a file opens it here.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use tidemark_mapping::{MapSalt, SALT_VARIABLE};
use translate::{RowAccount, RowMap, Translator, unpack};

use crate::error::CliError;
use crate::lines::{AccountOfRows, Lines, LinesError};
use crate::ui;

const BUFFER_BYTES: usize = 1 << 20;
/// How a Parquet file begins, and ends.
#[cfg(feature = "parquet")]
const PARQUET_MAGIC: &[u8] = b"PAR1";

/// A file of events.
#[derive(Clone, Debug)]
pub struct EventFile {
    path: PathBuf,
    map: Option<Arc<RowMap>>,
    account: AccountOfRows,
}

impl From<&Path> for EventFile {
    fn from(path: &Path) -> Self {
        Self::from(path.to_path_buf())
    }
}

impl From<&PathBuf> for EventFile {
    fn from(path: &PathBuf) -> Self {
        Self::from(path.clone())
    }
}

/// The same file: its account, too, is one.
impl From<&Self> for EventFile {
    fn from(file: &Self) -> Self {
        file.clone()
    }
}

impl From<PathBuf> for EventFile {
    fn from(path: PathBuf) -> Self {
        Self {
            path,
            map: None,
            account: AccountOfRows::default(),
        }
    }
}

impl EventFile {
    /// A file of JSON lines; or, with a map's file, of the rows that the map is of. `-` is standard input.
    ///
    /// # Errors
    /// When the map can't be read, or is wrong.
    pub fn new(path: &Path, map: Option<&Path>) -> Result<Self, CliError> {
        let map = map.map(read_map).transpose()?;
        Ok(Self {
            map,
            ..Self::from(path)
        })
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a map makes its events.
    #[must_use]
    pub const fn is_mapped(&self) -> bool {
        self.map.is_some()
    }

    /// Opens it, and says how many bytes there are to read, as far as that is known. The rows of a Parquet file are read as JSON lines,
    /// where the command was built with it.
    ///
    /// # Errors
    /// When it can't be opened, or is a Parquet file that is cut or damaged.
    pub fn open(&self) -> io::Result<(Box<dyn Read + Send>, Option<u64>)> {
        if self.path == Path::new("-") {
            return Ok((Box::new(io::stdin()), None));
        }
        let file = File::open(&self.path)?;
        let data = file.metadata().ok().filter(std::fs::Metadata::is_file);
        #[cfg(feature = "parquet")]
        if data.is_some() && is_parquet(&file)? {
            let rows = columns::ObjectLines::new(file).map_err(io::Error::other)?;
            return Ok((Box::new(rows), None));
        }
        Ok((Box::new(file), data.map(|data| data.len())))
    }

    /// The events of what was opened, at most so many bytes each; under a map it is unpacked first.
    ///
    /// # Errors
    /// When it can't be read, or has not the columns that the map names.
    pub fn events<'r>(
        &self,
        input: impl Read + Send + 'r,
        bytes_max: usize,
    ) -> Result<Lines<Box<dyn BufRead + Send + 'r>>, LinesError> {
        let Some(map) = &self.map else {
            let input = BufReader::with_capacity(BUFFER_BYTES, input);
            return Ok(Lines::new(Box::new(input), bytes_max));
        };
        let translator = Translator::new(unpack(input)?, Arc::clone(map))?;
        Ok(Lines::of_rows(translator, bytes_max, Arc::clone(&self.account)))
    }

    /// Whether its rows are those of a Parquet file, which [`EventFile::open`] reads as JSON lines.
    #[must_use]
    pub fn is_parquet(&self) -> bool {
        #[cfg(feature = "parquet")]
        if self.path != Path::new("-") {
            let found = File::open(&self.path).and_then(|file| is_parquet(&file));
            return found.unwrap_or(false);
        }
        false
    }

    /// Opens it and gives its events.
    ///
    /// # Errors
    /// When it can't be opened or read, or has not the columns that the map names.
    pub fn lines(&self, bytes_max: usize) -> Result<Lines<Box<dyn BufRead + Send>>, LinesError> {
        self.events(self.open()?.0, bytes_max)
    }

    /// What has become of its rows, once all of them were read under a map.
    #[must_use]
    pub fn account(&self) -> Option<RowAccount> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says on stderr which rows the map refused, for a verb that does not count them, and which came twice.
    pub fn note_rows(&self, with_refused: bool) {
        let Some(account) = self.account() else { return };
        if with_refused && account.refused_total > 0 {
            ui::note(&refused_text(&account));
        }
        if let Some(repeats) = repeats_text(&account) {
            ui::note(&repeats);
        }
    }
}

/// Whether a file begins as Parquet does; it is read from its beginning afterwards.
#[cfg(feature = "parquet")]
fn is_parquet(mut file: &File) -> io::Result<bool> {
    use std::io::Seek;

    let mut start = Vec::new();
    file.take(PARQUET_MAGIC.len() as u64).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start == PARQUET_MAGIC)
}

/// `3 rows were refused: 2 time_text, 1 columns; …`.
fn refused_text(account: &RowAccount) -> String {
    let codes = account.refused_by_code.iter();
    let codes: Vec<String> = codes
        .map(|(code, count)| format!("{} {code}", ui::grouped(*count)))
        .collect();
    let rows = if account.refused_total == 1 {
        "row was"
    } else {
        "rows were"
    };
    format!(
        "{} {rows} refused by the map: {}; `tidemark map check` names them",
        ui::grouped(account.refused_total),
        codes.join(", ")
    )
}

/// What is to be said of rows that came twice; `None`: nothing.
#[must_use]
pub fn repeats_text(account: &RowAccount) -> Option<String> {
    let repeats = &account.repeats;
    let mut said = Vec::new();
    let first = |same_time: bool| {
        let first = repeats.first.iter().find(|repeat| repeat.same_time == same_time);
        first.map_or_else(String::new, |repeat| {
            format!(", the first on lines {} and {}", repeat.earlier_line, repeat.line)
        })
    };
    if repeats.same_event > 0 {
        let count = ui::grouped(repeats.same_event);
        said.push(format!(
            "{count} rows are events of earlier rows (same card, id and time): each counts once{}",
            first(true)
        ));
    }
    if repeats.same_id > 0 {
        let count = ui::grouped(repeats.same_id);
        said.push(format!(
            "{count} rows have the card and the id of an earlier row, at another time: each is an event{}",
            first(false)
        ));
    }
    if !repeats.all_looked_at {
        let held = ui::grouped(translate::limits::IDS_HELD_MAX as u64);
        said.push(format!(
            "rows that come twice were looked for among the first {held} transactions only"
        ));
    }
    (!said.is_empty()).then(|| said.join("\n"))
}

/// The text of a file, up to a length and one byte further: whoever looks at it says that it is too long.
fn read_to(path: &Path, bytes_max: usize) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(bytes_max as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// The salt of published maps, from the environment.
#[must_use]
pub fn map_salt() -> Option<MapSalt> {
    salt_of(SALT_VARIABLE).map(MapSalt::new)
}

fn salt_of(variable: &str) -> Option<String> {
    let found = std::env::vars_os().find(|(name, _)| name == variable);
    found.and_then(|(_, salt)| salt.into_string().ok())
}

/// A map of a file, with the salts of the environment.
///
/// # Errors
/// When it can't be read, or is wrong: every problem with its line.
pub fn read_map(path: &Path) -> Result<Arc<RowMap>, CliError> {
    let name = path.display().to_string();
    let text = read_to(path, translate::limits::MAP_BYTES_MAX).map_err(|e| {
        let what = format!("{name}: {e}");
        CliError::input(
            "map_file",
            what,
            "Name a readable map (TOML): tidemark map suggest FILE drafts one.",
        )
    })?;
    let map = RowMap::parse(&text, &name, &salt_of);
    map.map(Arc::new).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        CliError::input("map", lines.join("\n"), "docs/reference/map.md has every key of a map.")
    })
}
