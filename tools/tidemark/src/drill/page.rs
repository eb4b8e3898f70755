//! A runbook page as a drill reads it: the trouble it is about, and its commands by section.

/// Every page, by name: what is in docs/runbook when the command is built.
pub const PAGES: &[(&str, &str)] = &[
    (
        "outcomes-late",
        include_str!("../../../../docs/runbook/outcomes-late.md"),
    ),
    ("records-lost", include_str!("../../../../docs/runbook/records-lost.md")),
    ("dead-letters", include_str!("../../../../docs/runbook/dead-letters.md")),
    ("retention", include_str!("../../../../docs/runbook/retention.md")),
    (
        "redrive-stuck",
        include_str!("../../../../docs/runbook/redrive-stuck.md"),
    ),
    ("iterator-age", include_str!("../../../../docs/runbook/iterator-age.md")),
    ("poison-flood", include_str!("../../../../docs/runbook/poison-flood.md")),
    ("commit-ratio", include_str!("../../../../docs/runbook/commit-ratio.md")),
    ("degraded", include_str!("../../../../docs/runbook/degraded.md")),
    ("cost-spike", include_str!("../../../../docs/runbook/cost-spike.md")),
    (
        "control-plane",
        include_str!("../../../../docs/runbook/control-plane.md"),
    ),
    ("replay", include_str!("../../../../docs/runbook/replay.md")),
    ("rollback", include_str!("../../../../docs/runbook/rollback.md")),
    ("hot-card", include_str!("../../../../docs/runbook/hot-card.md")),
    (
        "region-trouble",
        include_str!("../../../../docs/runbook/region-trouble.md"),
    ),
];

/// What a command of a page begins with.
const COMMAND: &str = "cargo tidemark ";
/// How the page names its trouble.
const DRILL: &str = "<!-- drill: ";

/// The sections whose commands are run, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// What to look at. The trouble is there.
    FirstLook,
    /// What to do first. The trouble is there.
    FirstMitigation,
    /// What to do when the trouble is gone.
    WayBack,
    /// What shows that it is over: every command has to succeed.
    OverWhen,
}

impl Section {
    const ALL: [(Self, &'static str); 4] = [
        (Self::FirstLook, "First look"),
        (Self::FirstMitigation, "First mitigation"),
        (Self::WayBack, "Way back"),
        (Self::OverWhen, "Over when"),
    ];

    /// Its heading.
    #[must_use]
    pub fn heading(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(section, _)| *section == self)
            .map_or("", |(_, heading)| heading)
    }
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its name: the file's without `.md`.
    pub name: String,
    /// Its heading.
    pub title: String,
    /// The trouble that a drill makes.
    pub trouble: String,
    /// Commands with their arguments, without `cargo tidemark`.
    pub commands: Vec<(Section, Vec<String>)>,
}

impl Page {
    /// Finds a page.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let (name, text) = PAGES.iter().find(|(page, _)| *page == name)?;
        Self::parse(name, text)
    }

    /// Reads a page; `None` when it has no title or names no trouble.
    #[must_use]
    pub fn parse(name: &str, text: &str) -> Option<Self> {
        let title = text.lines().next()?.strip_prefix("# ")?.to_owned();
        let trouble = text.split(DRILL).nth(1)?.split(' ').next()?.to_owned();
        let mut commands = Vec::new();
        let mut section = None;
        let mut in_block = false;
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix("## ") {
                section = Section::ALL
                    .iter()
                    .find(|(_, known)| *known == heading)
                    .map(|(section, _)| *section);
            } else if line.starts_with("```") {
                in_block = line == "```sh";
            } else if in_block
                && let Some(section) = section
                && let Some(command) = line.strip_prefix(COMMAND)
            {
                commands.push((section, words(command)));
            }
        }
        Some(Self {
            name: name.to_owned(),
            title,
            trouble,
            commands,
        })
    }

    /// The commands of a section.
    pub fn of(&self, section: Section) -> impl Iterator<Item = &[String]> {
        self.commands
            .iter()
            .filter(move |(of, _)| *of == section)
            .map(|(_, words)| words.as_slice())
    }
}

/// Words as a shell takes them, double quotes included; pages use no more of a shell than that.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for letter in command.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_page_of_the_runbook_is_a_drill_with_commands_to_look_and_to_know_that_it_is_over() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/runbook");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|file| file.strip_suffix(".md").map(str::to_owned))
            .filter(|name| name != "README")
            .collect();
        let known: BTreeSet<String> = PAGES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(files, known);
        for (name, _) in PAGES {
            let page = Page::find(name).unwrap_or_else(|| panic!("{name} can't be read"));
            for section in [Section::FirstLook, Section::OverWhen] {
                assert!(
                    page.of(section).count() > 0,
                    "{name} has no command under {}",
                    section.heading()
                );
            }
        }
    }

    #[test]
    fn commands_are_found_in_their_sections_only_inside_blocks() {
        let text = "# T\n<!-- drill: steady -->\n## First look\n```sh\ncargo tidemark mode live --reason \"it is over\"\n```\n\
                    cargo tidemark not-a-command\n## Escalate\n```sh\ncargo tidemark nor-this\n```\n";
        let page = Page::parse("p", text).unwrap();
        assert_eq!(
            page.commands,
            [(
                Section::FirstLook,
                ["mode", "live", "--reason", "it is over"].map(str::to_owned).to_vec()
            )]
        );
        assert_eq!((page.title.as_str(), page.trouble.as_str()), ("T", "steady"));
    }
}
