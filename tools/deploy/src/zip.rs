//! A zip with one file in it, the `bootstrap` of a function: the same bytes for the same binary, so that it is uploaded once.

use std::io::Write;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// What Lambda runs.
const NAME: &[u8] = b"bootstrap";
/// A regular file that everybody may run, as Unix has it in the upper half of the attributes.
const MODE: u32 = 0o100_755 << 16;
/// 1980-01-01, the first day that a zip can name.
const DATE: u16 = 1 << 5 | 1;
/// Version 2.0 knows deflate; the upper byte says that the attributes are Unix's.
const VERSION: u16 = 20;
const MADE_BY: u16 = 3 << 8 | VERSION;
const DEFLATE: u16 = 8;

/// Packs a binary. An error is one of writing to memory, or a binary of 4 GiB.
pub(crate) fn zipped(binary: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut crc = Crc::new();
    crc.update(binary);
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(binary)?;
    let packed = encoder.finish()?;
    let too_large = |_| std::io::Error::other("a zip of this form holds less than 4 GiB");
    let (size, packed_size) = (
        u32::try_from(binary.len()).map_err(too_large)?,
        u32::try_from(packed.len()).map_err(too_large)?,
    );

    // What both headers of the file say of it, from the version to the length of its name.
    let mut of_file = Vec::new();
    for field in [VERSION, 0, DEFLATE, 0, DATE] {
        of_file.extend(field.to_le_bytes());
    }
    for field in [crc.sum(), packed_size, size] {
        of_file.extend(field.to_le_bytes());
    }
    of_file.extend(u16::try_from(NAME.len()).unwrap_or_default().to_le_bytes());

    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend(&of_file);
    zip.extend([0; 2]); // no further fields
    zip.extend(NAME);
    zip.extend(&packed);

    let directory_at = u32::try_from(zip.len()).map_err(too_large)?;
    let mut directory = b"PK\x01\x02".to_vec();
    directory.extend(MADE_BY.to_le_bytes());
    directory.extend(&of_file);
    directory.extend([0; 8]); // no further fields, no comment, the first disk, a binary file
    directory.extend(MODE.to_le_bytes());
    directory.extend([0; 4]); // the file begins where the zip does
    directory.extend(NAME);
    let directory_size = u32::try_from(directory.len()).map_err(too_large)?;
    zip.extend(directory);

    zip.extend(b"PK\x05\x06\0\0\0\0");
    for files in [1_u16, 1] {
        zip.extend(files.to_le_bytes());
    }
    zip.extend(directory_size.to_le_bytes());
    zip.extend(directory_at.to_le_bytes());
    zip.extend([0; 2]); // no comment
    Ok(zip)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

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
        assert_eq!(zipped(b"x").unwrap(), zipped(b"x").unwrap());
    }
}
