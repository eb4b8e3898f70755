//! The recipes are true: each file that one names is there, and holds what the recipe says that it holds.

use e2e::{TrackedFile, tracked_files};

/// Where the recipes stand.
const PAGE: &str = "docs/recipes.md";

/// A recipe: its heading, how many files it says that it takes, and its table.
struct Recipe<'p> {
    name: &'p str,
    counted: usize,
    rows: Vec<(&'p str, &'p str)>,
}

/// A section becomes a recipe when it says how many files it takes: `**N files**`.
fn recipe(section: &str) -> Option<Recipe<'_>> {
    let (name, rest) = section.split_once('\n')?;
    let (counted, _) = rest.split_once(" files**")?;
    let (_, counted) = counted.rsplit_once("**")?;
    let rows = rest.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.splitn(2, "` | ");
        Some((cells.next()?, cells.next()?.trim_end_matches(" |")))
    });
    Some(Recipe {
        name,
        counted: counted.parse().ok()?,
        rows: rows.collect(),
    })
}

/// What is wrong with a recipe.
fn problems(recipe: &Recipe<'_>, files: &[TrackedFile]) -> Vec<String> {
    let mut problems = Vec::new();
    if recipe.rows.len() != recipe.counted {
        problems.push(format!(
            "{} rows, and {} files are said",
            recipe.rows.len(),
            recipe.counted
        ));
    }
    for (path, held) in &recipe.rows {
        let Some(file) = files.iter().find(|file| file.path == *path) else {
            problems.push(format!("there is no {path}"));
            continue;
        };
        let words: Vec<&str> = held.split('`').skip(1).step_by(2).collect();
        if words.is_empty() {
            problems.push(format!("{path}: nothing in backticks says what it holds"));
        }
        let missing = words.into_iter().filter(|word| !file.text.contains(word));
        problems.extend(missing.map(|word| format!("{path} has no {word}")));
    }
    problems
}

#[test]
fn each_file_of_a_recipe_holds_what_the_recipe_says() {
    let files = tracked_files().unwrap();
    let page = files.iter().find(|file| file.path == PAGE).expect(PAGE);
    let recipes: Vec<Recipe<'_>> = page.text.split("\n## ").filter_map(recipe).collect();
    assert!(recipes.len() >= 5, "{} recipes", recipes.len());
    let told = recipes.iter().flat_map(|recipe| {
        let problems = problems(recipe, &files).into_iter();
        problems.map(|problem| format!("{}: {problem}", recipe.name))
    });
    let told: Vec<String> = told.collect();
    assert!(told.is_empty(), "{PAGE}:\n{}", told.join("\n"));
}

#[test]
fn a_recipe_that_is_not_true_is_found() {
    let file = |path: &str, text: &str| TrackedFile {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let files = [file("a.rs", "enum Metric"), file("b.rs", "")];
    let told = |section: &str| problems(&recipe(section).unwrap(), &files);
    let table = |rows: &str| format!("Add a thing\nIt takes **2 files**.\n| file | what |\n|---|---|\n{rows}");
    assert_eq!(
        told(&table("| `a.rs` | a line of `Metric` |\n| `b.rs` | `` |\n")),
        [""; 0]
    );
    assert_eq!(
        told(&table("| `a.rs` | a line of `Metric` |\n")),
        ["1 rows, and 2 files are said"]
    );
    assert_eq!(
        told(&table("| `a.rs` | `Code` |\n| `c.rs` | `x` |\n")),
        ["a.rs has no Code", "there is no c.rs"]
    );
    assert!(recipe("Before you begin\nNothing.").is_none());
}
