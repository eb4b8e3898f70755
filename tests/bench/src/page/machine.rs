//! What a measurement says of where and when it was made.

use std::path::Path;

use terminal::clock::now_ms;

use super::results::Machine;
use super::shell::first_line;

/// The processor, its cores, and the load of the last minute, as Linux tells them.
pub fn here() -> Result<Machine, String> {
    let read = |path: &str| std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let (cpus, load) = (read("/proc/cpuinfo")?, read("/proc/loadavg")?);
    let models = cpus
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let models: Vec<&str> = models.map(|(_, model)| model).collect();
    let load = load.split(' ').next().and_then(|load| load.parse().ok());
    Ok(Machine {
        cpu: (*models.first().unwrap_or(&"unknown")).to_owned(),
        cores: u32::try_from(models.len()).unwrap_or(u32::MAX),
        load: load.ok_or("/proc/loadavg is not as it should be")?,
    })
}

/// Today, as 2026-12-01.
pub fn today() -> Result<String, String> {
    let now = jiff::Timestamp::from_millisecond(now_ms()).map_err(|error| error.to_string())?;
    Ok(now.strftime("%Y-%m-%d").to_string())
}

/// The compiler's version, which rust-toolchain.toml names.
pub fn rustc(root: &Path) -> Result<String, String> {
    let line = first_line(root, "rustc", "--version")?;
    Ok(line.split(' ').nth(1).unwrap_or_default().to_owned())
}
