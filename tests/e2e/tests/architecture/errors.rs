//! An error tells its cause once: as its source, which `causes` walks, and not in its own text besides.

use e2e::tracked_files;

/// The sources of errors that a file declares and their own text repeats.
fn repeats(code: &str) -> Vec<String> {
    let starts = code.match_indices("#[error(\"").map(|(at, mark)| at + mark.len());
    starts.flat_map(|at| repeated(&code[at..])).collect()
}

/// `rest` begins with the text of an error; its declaration follows.
fn repeated(rest: &str) -> Vec<String> {
    let end = end_of_literal(rest);
    let (text, rest) = rest.split_at(end);
    let Some((_, rest)) = rest.split_once(")]") else {
        return Vec::new();
    };
    let declaration = without_comments(rest);
    let Some(open) = declaration.find(['(', '{', ',', ';']) else {
        return Vec::new();
    };
    let sources = match declaration[open..].chars().next() {
        Some('{') => named_sources(inside(&declaration[open..])),
        Some('(') => numbered_sources(inside(&declaration[open..])),
        _ => Vec::new(),
    };
    let is_told = |name: &String| {
        [":", "}", "."]
            .iter()
            .any(|next| text.contains(&format!("{{{name}{next}")))
    };
    let told = sources.into_iter().filter(is_told);
    told.map(|name| format!("\"{text}\" tells {name}, which is its source"))
        .collect()
}

fn end_of_literal(rest: &str) -> usize {
    let mut escaped = false;
    let end = rest.char_indices().find(|(_, letter)| {
        let ends = *letter == '"' && !escaped;
        escaped = *letter == '\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |(at, _)| at)
}

/// The declaration that comes next, without comments and without attributes that are no mark of a source.
fn without_comments(rest: &str) -> String {
    let lines = rest.lines().map(str::trim);
    let lines = lines.filter(|line| !line.starts_with("//") && (!line.starts_with("#[") || is_mark(line)));
    let declaration = lines.collect::<Vec<_>>().join("\n");
    declaration.replace("pub(crate)", "pub").replace("pub(super)", "pub")
}

fn is_mark(text: &str) -> bool {
    text.contains("#[source]") || text.contains("#[from]")
}

/// What lies within the brackets with which a text begins.
fn inside(text: &str) -> &str {
    let mut depth = 0;
    let end = text.char_indices().find(|(_, letter)| {
        depth += match letter {
            '(' | '{' | '[' => 1,
            ')' | '}' | ']' => -1,
            _ => 0,
        };
        depth == 0
    });
    end.and_then(|(at, _)| text.get(1..at)).unwrap_or_default()
}

fn numbered_sources(fields: &str) -> Vec<String> {
    let fields = fields.split(',').enumerate();
    let sources = fields.filter(|(_, field)| is_mark(field));
    sources.map(|(at, _)| at.to_string()).collect()
}

/// Fields with the mark, and the field `source`, which thiserror takes for one without.
fn named_sources(fields: &str) -> Vec<String> {
    let names = fields.split(",\n").filter_map(|field| {
        let (before, _) = field.split_once(": ")?;
        let name = before.split_whitespace().last()?;
        (is_mark(before) || name == "source").then(|| name.to_owned())
    });
    names.collect()
}

#[test]
fn no_error_tells_its_source_in_its_own_text() {
    let files = tracked_files().unwrap();
    let code = files.iter().filter(|file| file.path.ends_with(".rs"));
    // The text of this file and of `causes` has such errors on purpose: as examples.
    let code = code
        .filter(|file| !file.path.ends_with("architecture/errors.rs") && !file.path.ends_with("engine/src/causes.rs"));
    let mut errors = 0;
    let mut found = Vec::new();
    for file in code {
        errors += file.text.matches("#[error(\"").count();
        let of_file = repeats(&file.text);
        found.extend(of_file.into_iter().map(|what| format!("{}: {what}", file.path)));
    }
    assert!(errors > 100, "{errors} errors: the look is blind");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_look_for_repeated_sources_is_not_blind() {
    let wrong = [
        "#[error(\"can't read: {0}\")]\n    Read(#[from] io::Error),",
        "#[error(\"{0:?}\")]\n    Read(#[source] io::Error),",
        "#[error(\"{1}: {0}\")]\n    Read(String, #[source] io::Error),",
        "#[error(\"{program}: {source}\")]\n    Io {\n        /// Which, where.\n        program: String,\n        source: io::Error,\n    },",
        "#[error(\"policy {version}: {why}\")]\n    Policy {\n        version: u32,\n        #[source]\n        why: Why,\n    },",
        "#[error(\"no answer: {0}\")]\npub(crate) struct Repeats(#[source] Middle);",
        "#[error(\"a \\\"word\\\": {source}\")]\npub struct S {\n    source: Middle,\n}",
    ];
    for code in wrong {
        assert_eq!(repeats(code).len(), 1, "{code}");
    }
    let right = [
        "#[error(transparent)]\n    Read(#[from] io::Error),",
        "#[error(\"can't read {0}\")]\n    Read(String, #[source] io::Error),",
        "#[error(\"can't open {path}\")]\n    Open {\n        path: PathBuf,\n        #[source]\n        source: io::Error,\n    },",
        "#[error(\"no {0}\")]\n    No(u8),\n    /// Next.\n    #[error(\"other\")]\n    Other(#[source] io::Error),",
        "#[error(\"nothing\")]\n    Nothing,",
    ];
    for code in right {
        assert_eq!(repeats(code), Vec::<String>::new(), "{code}");
    }
}
