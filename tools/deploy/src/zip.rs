//! A zip with one file in it, the `bootstrap` of a function: the same bytes for the same binary, so that it is uploaded once.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use rawzip::time::UtcDateTime;
use rawzip::{CompressionMethod, ZipArchiveWriter};

/// What Lambda runs.
const NAME: &str = "bootstrap";
/// A regular file that everybody may run.
const MODE: u32 = 0o100_755;
/// 1980-01-01, the first day that a zip can name, in seconds since 1970.
const DATE: i64 = 315_532_800;

/// Packs a binary. No clock has a part in the bytes. An error is one of writing to memory.
pub(crate) fn zipped(binary: &[u8]) -> std::io::Result<Vec<u8>> {
    let broken = |error: rawzip::Error| std::io::Error::other(error);
    let mut zip = ZipArchiveWriter::new(Vec::new());
    let file = zip.new_file(NAME).compression_method(CompressionMethod::Deflate);
    let file = file.unix_permissions(MODE).last_modified(UtcDateTime::from_unix(DATE));
    let (mut entry, config) = file.start().map_err(broken)?;
    let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::fast()));
    writer.write_all(binary)?;
    let (encoder, sums) = writer.finish().map_err(broken)?;
    encoder.finish()?;
    entry.finish(sums).map_err(broken)?;
    zip.finish().map_err(broken)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use sha2::{Digest, Sha256};

    use super::*;

    /// Python's own reader, which checks the sums, is the second opinion.
    #[test]
    fn another_reader_finds_the_file_whole_and_executable() {
        let binary: Vec<u8> = (0..100_000_u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.zip");
        std::fs::write(&path, zipped(&binary).unwrap()).unwrap();
        let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
                      i, = z.infolist()\nprint(i.filename, oct(i.external_attr >> 16), i.file_size, i.date_time)\nz.extract(i, sys.argv[2])";
        let read = Command::new("python3")
            .args(["-c", script])
            .arg(&path)
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        assert_eq!(
            String::from_utf8_lossy(&read.stdout).trim(),
            "bootstrap 0o100755 400000 (1980, 1, 1, 0, 0, 0)"
        );
        assert_eq!(std::fs::read(folder.path().join("bootstrap")).unwrap(), binary);
    }

    #[test]
    fn the_same_binary_is_the_same_zip() {
        let zips = [zipped(b"x").unwrap(), zipped(b"x").unwrap()];
        assert_eq!(zips[0], zips[1]);
        // Of another day, too. Where a newer library packs otherwise, write the new digest here: every deployment then sends its
        // functions, and publishes a version, although no code changed.
        let digest = Sha256::digest(&zips[0]);
        let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "d496e2db54c59148");
    }
}
