//! Arguments of `send`.

use std::path::PathBuf;

use clap::Args;

use crate::places::ToStreamArgs;

/// Arguments of `send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// JSON lines, one event a line; - is stdin
    #[arg(long, short, default_value = "-")]
    pub input: PathBuf,
    /// A map of the file: it is rows of another shape, CSV or JSON lines, packed or not (docs/reference/map.md)
    #[arg(long, value_name = "MAP")]
    pub map: Option<PathBuf>,
    /// Where to
    #[command(flatten)]
    pub to: ToStreamArgs,
}
