//! Gzip files of comma-separated numbers with a header: no quotes, as in the reference stream.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use flate2::read::MultiGzDecoder;

/// The rows of a file.
pub(super) struct Rows {
    path: PathBuf,
    reader: BufReader<MultiGzDecoder<File>>,
    header: Vec<String>,
    line: String,
    number: u64,
}

impl Rows {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| super::failed(path, &error))?;
        let mut reader = BufReader::new(MultiGzDecoder::new(file));
        let mut line = String::new();
        reader
            .read_line(&mut line)
            .map_err(|error| super::failed(path, &error))?;
        let header = line.trim_end().split(',').map(str::to_owned).collect();
        Ok(Self {
            path: path.to_path_buf(),
            reader,
            header,
            line,
            number: 1,
        })
    }

    /// The places of columns.
    pub(super) fn columns<const N: usize>(&self, names: [&str; N]) -> Result<[usize; N], String> {
        let mut places = [0; N];
        for (place, name) in places.iter_mut().zip(names) {
            let found = self.header.iter().position(|column| column == name);
            *place = found.ok_or_else(|| format!("{}: no column {name}", self.path.display()))?;
        }
        Ok(places)
    }

    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, String> {
        self.line.clear();
        self.number += 1;
        let bytes = self
            .reader
            .read_line(&mut self.line)
            .map_err(|error| super::failed(&self.path, &error))?;
        Ok((bytes > 0).then_some(Row {
            path: &self.path,
            number: self.number,
            text: self.line.trim_end(),
        }))
    }
}

/// One row.
pub(super) struct Row<'a> {
    path: &'a Path,
    number: u64,
    text: &'a str,
}

impl Row<'_> {
    pub(super) fn parse<T: FromStr>(&self, column: usize) -> Result<T, String> {
        let text = self.text.split(',').nth(column).unwrap_or_default();
        text.parse()
            .map_err(|_| format!("{}:{}: \"{text}\" in column {column}", self.path.display(), self.number))
    }
}
