//! Runs commands as somebody would type them at the repository's root, and tells what they said and took.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Everything that a measurement writes lies below, from the repository's root.
pub const SCRATCH: &str = "target/bench";
/// What a command's error shows of its output, in lines.
const LINES_SHOWN: usize = 20;

/// What a command said and took.
pub struct Said {
    pub stdout: String,
    pub wall_s: f64,
    /// On the processor, its children that it waited for included, s.
    pub cpu_s: f64,
    /// The most memory that one process of it took, MB (10⁶ bytes).
    pub peak_mb: f64,
    /// What was counted where it ran by callgrind.
    pub profile: Profile,
}

/// Functions with the instructions in them and below.
#[derive(Default)]
pub struct Profile(Vec<(String, f64)>);

/// Where commands run, and what stands for the words that they have in the place of paths of one machine.
pub struct Shell {
    pub root: PathBuf,
    /// What `DIR` stands for.
    pub directory: Option<PathBuf>,
}

impl Shell {
    /// Runs a command to its end; an error when it ends with a code above this.
    pub fn run(&self, line: &str, exit_max: i32) -> Result<Said, String> {
        self.timed(line, &[], exit_max)
    }

    /// The same by callgrind, which counts instructions: those in and below a function, if one is named.
    pub fn profile(&self, line: &str, exit_max: i32, function: Option<&str>) -> Result<Said, String> {
        let out = format!("{SCRATCH}/callgrind.out");
        let to_file = format!("--callgrind-out-file={out}");
        let only = function.map(within);
        let tool: Vec<&str> = ["valgrind", "--tool=callgrind", &to_file]
            .into_iter()
            .chain(only.as_deref())
            .collect();
        let mut said = self.timed(line, &tool, exit_max)?;
        said.profile = Profile(self.annotated(&out)?);
        Ok(said)
    }

    /// The sum of all profiles in a folder below [`SCRATCH`].
    pub fn profiles(&self, folder: &str) -> Result<Profile, String> {
        let path = self.root.join(SCRATCH).join(folder);
        let files = std::fs::read_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut sums: BTreeMap<String, f64> = BTreeMap::new();
        for file in files {
            let file = file.map_err(|error| format!("{}: {error}", path.display()))?.path();
            // A process writes an empty one first, for what it would write at its end.
            if std::fs::metadata(&file).is_ok_and(|metadata| metadata.len() == 0) {
                continue;
            }
            for (name, count) in self.annotated(&file.display().to_string())? {
                *sums.entry(name).or_default() += count;
            }
        }
        Ok(Profile(sums.into_iter().collect()))
    }

    /// What a file of callgrind's says of each function.
    fn annotated(&self, file: &str) -> Result<Vec<(String, f64)>, String> {
        let line = format!("callgrind_annotate --inclusive=yes --threshold=100 {file}");
        let told = self.timed(&line, &[], 0)?;
        Ok(told.stdout.lines().filter_map(instructions).collect())
    }

    fn timed(&self, line: &str, tool: &[&str], exit_max: i32) -> Result<Said, String> {
        let times = self.root.join(SCRATCH).join("times");
        let mut command = Command::new("time");
        command
            .args(["--format", "%e %U %S %M", "--output"])
            .arg(&times)
            .args(tool);
        for word in line.split(' ') {
            command.arg(self.word(word)?);
        }
        let output = command
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("time: {error}; it is a package of that name"))?;
        let (stdout, stderr) = (lossy(&output.stdout), lossy(&output.stderr));
        if output.status.code().is_none_or(|code| code > exit_max) {
            return Err(format!(
                "{line}: {}\n{}\n{}",
                output.status,
                end_of(&stdout),
                end_of(&stderr)
            ));
        }
        let took = std::fs::read_to_string(&times).map_err(|error| format!("{}: {error}", times.display()))?;
        // An exit code other than 0 stands in a line before.
        let [wall_s, user_s, system_s, peak_kb] = numbers(took.lines().last().unwrap_or_default())[..] else {
            return Err(format!("time told something else: {took}"));
        };
        Ok(Said {
            stdout,
            wall_s,
            cpu_s: user_s + system_s,
            peak_mb: peak_kb * 1_024.0 / 1e6,
            profile: Profile::default(),
        })
    }

    fn word(&self, word: &str) -> Result<PathBuf, String> {
        if word != "DIR" {
            return Ok(word.into());
        }
        let there = self.directory.clone();
        there.ok_or_else(|| "--handbook names the folder of the reference stream, which this section needs".to_owned())
    }

    /// The bytes of a file below [`SCRATCH`].
    pub fn bytes_of(&self, name: &str) -> Result<f64, String> {
        let path = self.root.join(SCRATCH).join(name);
        let metadata = std::fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(metadata.len() as f64)
    }
}

impl Said {
    /// The JSON that it printed.
    pub fn json(&self) -> Result<Value, String> {
        serde_json::from_str(&self.stdout)
            .map_err(|error| format!("{error} in what was printed:\n{}", end_of(&self.stdout)))
    }

    /// The numbers of the first line of its output that has this text.
    pub fn numbers_of(&self, text: &str) -> Result<Vec<f64>, String> {
        let line = self.stdout.lines().find(|line| line.contains(text));
        line.map(numbers)
            .ok_or_else(|| format!("no line has {text:?}:\n{}", end_of(&self.stdout)))
    }
}

impl Profile {
    /// Instructions in and below the functions whose name holds this; the greatest of several, since one calls the other.
    pub fn of(&self, name: &str) -> Result<f64, String> {
        let found = self.0.iter().filter(|(function, _)| function.contains(name));
        let most = found.map(|(_, instructions)| *instructions).fold(0.0, f64::max);
        if most > 0.0 {
            Ok(most)
        } else {
            Err(format!("the profile has no {name}"))
        }
    }

    /// Instructions of the whole program.
    pub fn whole(&self) -> Result<f64, String> {
        self.of("PROGRAM TOTALS")
    }
}

/// Callgrind's option for counting in and below a function alone.
pub fn within(function: &str) -> String {
    format!("--toggle-collect=*{function}*")
}

/// A number of the JSON, by its path.
pub fn figure_at(value: &Value, path: &str) -> Result<f64, String> {
    let pointer = format!("/{}", path.replace('.', "/"));
    let number = value.pointer(&pointer).and_then(Value::as_f64);
    number.ok_or_else(|| format!("no number at {path} in what was printed"))
}

/// A line of callgrind_annotate: `1,234,567 (12.3%)  file:function [object]`.
fn instructions(line: &str) -> Option<(String, f64)> {
    let (count, rest) = line.trim_start().split_once(' ')?;
    let count = count.replace(',', "").parse().ok()?;
    // A share is another one in each profile.
    let (_, function) = rest.split_once("%)")?;
    Some((function.trim_start().to_owned(), count))
}

/// Every number of a text, commas between thousands allowed.
pub fn numbers(text: &str) -> Vec<f64> {
    let is_part = |letter: char| letter.is_ascii_digit() || letter == '.' || letter == ',';
    text.split(|letter| !is_part(letter))
        .filter_map(|part| part.trim_matches(['.', ',']).replace(',', "").parse().ok())
        .collect()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn end_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
}

/// The first line of what a command prints.
pub fn first_line(root: &Path, program: &str, argument: &str) -> Result<String, String> {
    let output = Command::new(program).arg(argument).current_dir(root).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    Ok(lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_instructions_are_read_as_they_are_printed() {
        assert_eq!(
            numbers("10 events: state   194 bytes, 1,019.5, and 3."),
            [10.0, 194.0, 1_019.5, 3.0]
        );
        let line = " 1,234,567 (12.3%)  ???:bench::handler::invoke_warm [bench]";
        let (name, count) = instructions(line).unwrap_or_default();
        assert_eq!(
            (name.as_str(), count),
            ("???:bench::handler::invoke_warm [bench]", 1_234_567.0)
        );
        assert_eq!(instructions("Ir"), None);
    }
}
