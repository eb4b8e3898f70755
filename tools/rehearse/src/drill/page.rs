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
    (
        "function-fails",
        include_str!("../../../../docs/runbook/function-fails.md"),
    ),
    (
        "state-corrupt",
        include_str!("../../../../docs/runbook/state-corrupt.md"),
    ),
    ("letters-lost", include_str!("../../../../docs/runbook/letters-lost.md")),
    (
        "producers-throttled",
        include_str!("../../../../docs/runbook/producers-throttled.md"),
    ),
    ("poison-flood", include_str!("../../../../docs/runbook/poison-flood.md")),
    ("commit-ratio", include_str!("../../../../docs/runbook/commit-ratio.md")),
    ("degraded", include_str!("../../../../docs/runbook/degraded.md")),
    ("keys-unread", include_str!("../../../../docs/runbook/keys-unread.md")),
    ("map-missing", include_str!("../../../../docs/runbook/map-missing.md")),
    (
        "rules-undefined",
        include_str!("../../../../docs/runbook/rules-undefined.md"),
    ),
    ("model-stale", include_str!("../../../../docs/runbook/model-stale.md")),
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
    ("region-lost", include_str!("../../../../docs/runbook/region-lost.md")),
];

/// What a command of a page begins with.
const COMMAND: &str = "cargo tidemark ";
/// What stands behind a command that may end with another code than 0, as a comment to the shell: `# exit 1: records wait`, or
/// `# exit 0 or 1: …` where it depends on how far things have gone.
const EXITS: &str = " # exit ";
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
pub struct RunbookPage {
    /// Its name: the file's without `.md`.
    pub name: String,
    /// Its heading.
    pub title: String,
    /// The trouble that a drill makes.
    pub trouble: String,
    /// Its commands, in order.
    pub commands: Vec<PageCommand>,
}

/// A command of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageCommand {
    /// Under which heading it stands.
    pub section: Section,
    /// Its arguments, without `cargo tidemark`.
    pub words: Vec<String>,
    /// The codes with which it may end, by the page's own word; 0 where that says nothing.
    pub exits: Vec<i32>,
}

impl PageCommand {
    /// Reads a line of a block; `None` when it is no command of this program, or its comment names no codes.
    fn parse(section: Section, line: &str) -> Option<Self> {
        let command = line.strip_prefix(COMMAND)?;
        let (command, exits) = match command.split_once(EXITS) {
            None => (command, vec![0]),
            Some((command, comment)) => {
                let codes = comment.split(':').next()?;
                let codes: Result<_, _> = codes.split(" or ").map(|code| code.trim().parse()).collect();
                (command, codes.ok()?)
            }
        };
        Some(Self {
            section,
            words: words(command.trim_end()),
            exits,
        })
    }
}

impl RunbookPage {
    /// Finds a page.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let (name, text) = PAGES.iter().find(|(page, _)| *page == name)?;
        Self::parse(name, text)
    }

    /// Reads a page; `None` when it has no title, names no trouble, or has a command that can't be read.
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
                && line.starts_with(COMMAND)
            {
                // A command that can't be read is no command that may be left out.
                commands.push(PageCommand::parse(section, line)?);
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
    pub fn of(&self, section: Section) -> impl Iterator<Item = &PageCommand> {
        self.commands.iter().filter(move |command| command.section == section)
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
            let page = RunbookPage::find(name).unwrap_or_else(|| panic!("{name} can't be read"));
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
        let text = "# T\n<!-- drill: steady -->\n## First look\n```sh\ncargo tidemark mode live --reason \"it is over\"\ncargo tidemark dlq --check # exit 0 or 1: it depends\n```\n\
                    cargo tidemark not-a-command\n## Escalate\n```sh\ncargo tidemark nor-this\n```\n";
        let page = RunbookPage::parse("p", text).unwrap();
        let command = |words: &[&str], exits: &[i32]| PageCommand {
            section: Section::FirstLook,
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            exits: exits.to_vec(),
        };
        assert_eq!(
            page.commands,
            [
                command(&["mode", "live", "--reason", "it is over"], &[0]),
                command(&["dlq", "--check"], &[0, 1]),
            ]
        );
        let unreadable = text.replace("exit 0 or 1", "exit maybe");
        assert_eq!(RunbookPage::parse("p", &unreadable), None);
        assert_eq!((page.title.as_str(), page.trouble.as_str()), ("T", "steady"));
    }
}
