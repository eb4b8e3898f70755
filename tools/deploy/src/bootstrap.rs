//! The functions' binaries: found, and looked at before they are sent, since Lambda says of a wrong one only that it does not start.

use std::path::{Path, PathBuf};

use terminal::error::CliError;

/// The functions, by the names of their binaries.
pub(crate) const FUNCTIONS: [&str; 2] = ["score", "redrive"];
/// The processors, by ELF's numbers and the template's names.
const MACHINES: [(u16, &str); 2] = [(62, "x86_64"), (183, "arm64")];
/// The C library that `provided.al2023` has: 2.34.
const GLIBC_MINOR_MAX: u32 = 34;
/// What the names of that library's versions begin with.
const GLIBC: &[u8] = b"GLIBC_2.";
/// Bytes of a function's code, unpacked (Lambda's limit).
const CODE_BYTES_MAX: usize = 250 * 1024 * 1024;

/// A function's binary.
#[derive(Clone, Debug)]
pub(crate) struct Bootstrap {
    pub(crate) function: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) processor: &'static str,
}

/// Reads both functions' binaries from a folder, as cargo-lambda writes them (`score/bootstrap`) or as cargo does (`score`).
pub(crate) fn read(folder: &Path) -> Result<Vec<Bootstrap>, CliError> {
    FUNCTIONS
        .into_iter()
        .map(|function| read_one(folder, function))
        .collect()
}

fn read_one(folder: &Path, function: &'static str) -> Result<Bootstrap, CliError> {
    let path = places(folder, function).into_iter().find(|path| path.is_file());
    let Some(path) = path else {
        return Err(CliError::input(
            "deploy_bootstrap",
            format!("{} has neither {function}/bootstrap nor {function}", folder.display()),
            "Name the folder that cargo-lambda wrote (target/lambda) with --bootstraps, or leave it out to have them built.",
        ));
    };
    let bytes = std::fs::read(&path).map_err(|error| {
        let what = format!("{} can't be read: {error}", path.display());
        CliError::input("deploy_bootstrap", what, "Check the file and its permissions.")
    })?;
    let processor = processor(&bytes).map_err(|why| wrong(function, &path, &why))?;
    if bytes.len() > CODE_BYTES_MAX {
        let why = format!(
            "has {} MB, and Lambda takes {} MB",
            bytes.len() >> 20,
            CODE_BYTES_MAX >> 20
        );
        return Err(wrong(function, &path, &why));
    }
    Ok(Bootstrap {
        function,
        bytes,
        processor,
    })
}

fn places(folder: &Path, function: &str) -> [PathBuf; 2] {
    [folder.join(function).join("bootstrap"), folder.join(function)]
}

fn wrong(function: &str, path: &Path, why: &str) -> CliError {
    CliError::input(
        "deploy_bootstrap",
        format!("the {function} function's {} {why}", path.display()),
        "Build it with `cargo lambda build --release --package score --package redrive`, or leave --bootstraps out. Nothing was deployed.",
    )
}

/// Refuses what Lambda would not run: a binary for another processor than the template's, or one that needs a newer C library than
/// Lambda has. An emulator runs them with the C library of this machine.
pub(crate) fn fit(bootstraps: &[Bootstrap], architecture: &str, on_lambda: bool) -> Result<(), CliError> {
    for one in bootstraps {
        let told = |why: String, advice: String| {
            let what = format!("the {} function's bootstrap {why}", one.function);
            Err(CliError::input(
                "deploy_bootstrap",
                what,
                advice + " Nothing was deployed.",
            ))
        };
        if one.processor != architecture {
            let flag = if architecture == "arm64" { " --arm64" } else { "" };
            return told(
                format!(
                    "is for {}, and the stage has Architecture={architecture}",
                    one.processor
                ),
                format!(
                    "Build it with `cargo lambda build --release{flag}`, or deploy with --set Architecture={}.",
                    one.processor
                ),
            );
        }
        if let Some(minor) = glibc_minor(&one.bytes).filter(|minor| on_lambda && *minor > GLIBC_MINOR_MAX) {
            return told(
                format!("needs glibc 2.{minor}, and provided.al2023 has 2.{GLIBC_MINOR_MAX}"),
                "Build it with cargo-lambda, which links for an older one, or on Amazon Linux 2023.".to_owned(),
            );
        }
    }
    Ok(())
}

/// For which processor an ELF binary is.
fn processor(bytes: &[u8]) -> Result<&'static str, String> {
    let (Some(b"\x7fELF\x02\x01"), Some(&[low, high])) = (bytes.get(..6), bytes.get(18..20)) else {
        return Err("is no 64-bit ELF binary, which Lambda runs".to_owned());
    };
    let number = u16::from_le_bytes([low, high]);
    let known = MACHINES.into_iter().find(|(machine, _)| *machine == number);
    known
        .map(|(_, name)| name)
        .ok_or_else(|| format!("is for a processor that Lambda has not (ELF machine {number})"))
}

/// The newest version of the C library that a binary asks for: the 34 of 2.34.
fn glibc_minor(bytes: &[u8]) -> Option<u32> {
    let places = bytes
        .windows(GLIBC.len())
        .enumerate()
        .filter(|(_, window)| *window == GLIBC);
    let minors = places.filter_map(|(at, _)| {
        let digits = bytes[at + GLIBC.len()..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit());
        String::from_utf8(digits.copied().collect()).ok()?.parse().ok()
    });
    minors.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u16, text: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01".to_vec();
        bytes.resize(18, 0);
        bytes.extend(machine.to_le_bytes());
        bytes.extend(text);
        bytes
    }

    fn one(bytes: Vec<u8>) -> Vec<Bootstrap> {
        let processor = processor(&bytes).unwrap();
        vec![Bootstrap {
            function: "score",
            bytes,
            processor,
        }]
    }

    #[test]
    fn a_binary_for_the_other_processor_is_refused_and_told() {
        let error = fit(&one(elf(183, b"")), "x86_64", true).unwrap_err();
        assert_eq!(error.code, "deploy_bootstrap");
        assert!(
            error.what.contains("is for arm64") && error.advice.contains("--set Architecture=arm64"),
            "{error:?}"
        );
        fit(&one(elf(183, b"")), "arm64", true).unwrap();
        fit(&one(elf(62, b"")), "x86_64", true).unwrap();
        assert!(
            fit(&one(elf(62, b"")), "arm64", true)
                .unwrap_err()
                .advice
                .contains("--arm64")
        );
    }

    #[test]
    fn a_binary_that_needs_a_newer_c_library_is_refused() {
        let needs = |versions: &[u8]| fit(&one(elf(62, versions)), "x86_64", true);
        needs(b"..GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_PRIVATE\0").unwrap();
        let error = needs(b"GLIBC_2.17\0GLIBC_2.39\0GLIBC_2.4\0").unwrap_err();
        assert!(error.what.contains("needs glibc 2.39"), "{error}");
    }

    #[test]
    fn what_is_no_binary_of_linux_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(folder.path()).unwrap_err();
        assert!(error.what.contains("neither score/bootstrap nor score"), "{error}");
        std::fs::write(folder.path().join("score"), "#!/bin/sh\n").unwrap();
        let error = read(folder.path()).unwrap_err();
        assert!(error.what.contains("no 64-bit ELF binary"), "{error}");
        std::fs::write(folder.path().join("score"), elf(243, b"")).unwrap();
        assert!(read(folder.path()).unwrap_err().what.contains("ELF machine 243"));
    }

    #[test]
    fn both_forms_of_a_folder_are_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("score")).unwrap();
        std::fs::write(folder.path().join("score/bootstrap"), elf(62, b"a")).unwrap();
        std::fs::write(folder.path().join("redrive"), elf(62, b"b")).unwrap();
        let both = read(folder.path()).unwrap();
        assert_eq!(both.iter().map(|one| one.function).collect::<Vec<_>>(), FUNCTIONS);
    }
}
