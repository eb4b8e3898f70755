//! Which release made a stack, and whether this command's is older. The template's outputs say it, so that everything that deploys
//! the template says it, too.

use std::collections::BTreeMap;

use terminal::error::CliError;
use tidemark_aws::admin::StackInfo;
use tidemark_domain::history::codec::STATE_FORMAT_NEWEST;

/// The release of this command.
pub(crate) const OWN: &str = env!("CARGO_PKG_VERSION");
const RELEASE: &str = "Release";
const STATE_FORMAT: &str = "StateFormat";

/// What a stack says of the release that made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Release {
    /// `None`: a release that did not say it yet.
    pub(crate) version: Option<String>,
    /// The newest format of states that its functions may write.
    pub(crate) state_format: Option<u8>,
}

impl Release {
    pub(crate) fn of(outputs: &BTreeMap<String, String>) -> Self {
        Self {
            version: outputs.get(RELEASE).cloned(),
            state_format: outputs.get(STATE_FORMAT).and_then(|format| format.parse().ok()),
        }
    }

    /// Why this command's release is the older one.
    fn newer_because(&self) -> Option<String> {
        let version = self
            .version
            .as_deref()
            .filter(|version| numbers(version) > numbers(OWN));
        if let Some(version) = version {
            return Some(format!("it was made by release {version}"));
        }
        let format = self.state_format.filter(|format| *format > STATE_FORMAT_NEWEST)?;
        Some(format!(
            "its functions write states of format {format}, and those of this command read formats up to {STATE_FORMAT_NEWEST}"
        ))
    }
}

/// Refuses to put an older release in the place of a newer one; the warning where that is asked for.
pub(crate) fn check(stack: Option<&StackInfo>, allow_older: bool) -> Result<Option<String>, CliError> {
    let Some(stack) = stack else { return Ok(None) };
    let Some(why) = Release::of(&stack.outputs).newer_because() else {
        return Ok(None);
    };
    let what = format!(
        "the stack {} is newer than this command, which is release {OWN}: {why}",
        stack.name
    );
    if allow_older {
        return Ok(Some(format!(
            "{what}. Cards that were written in a newer format wait until the newer release is back."
        )));
    }
    Err(CliError::refused(
        "deploy_older",
        what,
        "An older function gives back the records of cards that a newer one has written in a newer format. Deploy with the newer \
         command, or say that you mean it with --allow-older. Nothing was deployed.",
    ))
}

/// The numbers of a version, for comparing; what stands behind a `-` is of the same release.
fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    release
        .split('.')
        .map(|part| part.parse().unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::templates::Template;

    fn stack(outputs: &[(&str, &str)]) -> StackInfo {
        let both = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        StackInfo {
            name: "tidemark".to_owned(),
            outputs: outputs.iter().map(both).collect(),
            ..StackInfo::default()
        }
    }

    #[test]
    fn the_template_says_the_release_and_the_newest_format_of_the_code() {
        let own = Release {
            version: Some(OWN.to_owned()),
            state_format: Some(STATE_FORMAT_NEWEST),
        };
        let outputs = [RELEASE, STATE_FORMAT].map(|name| {
            let value = Template::PIPELINE.output(name).unwrap_or_default();
            (name.to_owned(), value.to_owned())
        });
        assert_eq!(Release::of(&outputs.into()), own);
    }

    #[test]
    fn an_older_command_is_refused_and_one_of_the_same_or_a_newer_release_is_not() {
        let next = format!("{}", STATE_FORMAT_NEWEST + 1);
        let same = format!("{STATE_FORMAT_NEWEST}");
        for newer in [
            [("Release", "99.0.0"), ("StateFormat", "1")],
            [("Release", OWN), ("StateFormat", next.as_str())],
        ] {
            let stack = stack(&newer);
            let refused = check(Some(&stack), false).unwrap_err();
            assert_eq!(refused.code, "deploy_older", "{newer:?}");
            let warned = check(Some(&stack), true).unwrap();
            assert!(
                warned.is_some_and(|text| text.contains("newer than this command")),
                "{newer:?}"
            );
        }
        for older in [
            &[][..],
            &[("CardsTableName", "t")],
            &[("Release", "0.0.9"), ("StateFormat", "1")],
            &[("Release", OWN), ("StateFormat", same.as_str())],
        ] {
            assert_eq!(check(Some(&stack(older)), false).unwrap(), None, "{older:?}");
        }
        assert_eq!(check(None, false).unwrap(), None);
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(numbers("0.10.0") > numbers("0.9.9") && numbers("1.0.0") > numbers("0.99.99"));
        assert_eq!(numbers("0.1.0-rc.1"), numbers("0.1.0"));
    }
}
