//! No circle between the modules of a crate: what a module names never leads back to it, over however many others.
//!
//! A module names another one by an import or by a path in its code. An import of an import is followed to the file that
//! defines the name, so a parent that hands on what its children define names nobody's user by that. Modules are held against
//! their siblings, at each level: what a child names is named by its parent too, and a parent and its child are one room, which
//! may use each other. Tests are left out.

mod modules;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};

use modules::{Arrows, Crate, ModulePath};

/// The roots of the workspace's crates: each library, and each program.
fn roots() -> Vec<String> {
    let files = e2e::tracked_files().unwrap().into_iter().map(|file| file.path);
    let is_root = |path: &String| path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs");
    files.filter(is_root).collect()
}

/// The crate below a root, from the files on disk.
fn read(root: &str) -> Crate {
    let folder = e2e::workspace_root();
    Crate::read(root, &|path| std::fs::read_to_string(folder.join(path)).ok())
}

/// The two siblings that an arrow runs between: the modules in which its ends stand, where their ways part. Nothing between a
/// module and one inside of it.
fn siblings(from: &ModulePath, to: &ModulePath) -> Option<(ModulePath, ModulePath)> {
    let shared = from.iter().zip(to).take_while(|(one, other)| one == other).count();
    Some((from.get(..=shared)?.to_vec(), to.get(..=shared)?.to_vec()))
}

/// Which modules each module leads to among its siblings.
fn reached(arrows: &Arrows) -> BTreeMap<ModulePath, BTreeSet<ModulePath>> {
    let mut named: BTreeMap<ModulePath, BTreeSet<ModulePath>> = BTreeMap::new();
    for (from, to) in arrows.keys().filter_map(|(from, to)| siblings(from, to)) {
        named.entry(from).or_default().insert(to);
    }
    let reached_from = |module: &ModulePath| {
        let mut reached = BTreeSet::new();
        let mut open = vec![module];
        while let Some(next) = open.pop() {
            let new = named.get(next).into_iter().flatten();
            open.extend(new.filter(|other| reached.insert((*other).clone())));
        }
        reached
    };
    named
        .keys()
        .map(|module| (module.clone(), reached_from(module)))
        .collect()
}

/// The circles: sets of siblings each of which leads to each other one.
fn circles(arrows: &Arrows) -> BTreeSet<BTreeSet<ModulePath>> {
    let reached = reached(arrows);
    let leads_back = |from: &ModulePath, to: &ModulePath| reached.get(from).is_some_and(|there| there.contains(to));
    let circle_of = |module: &ModulePath| -> BTreeSet<ModulePath> {
        let there = reached[module].iter();
        there.filter(|other| leads_back(other, module)).cloned().collect()
    };
    let circles = reached.keys().map(circle_of);
    circles.filter(|circle| !circle.is_empty()).collect()
}

/// A circle for a reader: each arrow of it, and the paths that make the arrow.
fn told(circle: &BTreeSet<ModulePath>, arrows: &Arrows, folder: &str) -> String {
    let mut text = format!("{} modules below {folder} lead to each other:\n", circle.len());
    for ((from, to), paths) in arrows {
        let ends = siblings(from, to);
        if ends.is_some_and(|(from, to)| circle.contains(&from) && circle.contains(&to)) {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            text += &format!("  {} -> {}: {}\n", from.join("::"), to.join("::"), paths.join(", "));
        }
    }
    text
}

#[test]
fn no_modules_of_a_crate_lead_to_each_other_in_a_circle() {
    let (mut files, mut seen, mut words) = (0, 0, String::new());
    for root in roots() {
        let (folder, _) = root.rsplit_once('/').unwrap();
        let modules = read(&root);
        let arrows = modules.arrows();
        files += modules.files();
        seen += arrows.len();
        for circle in circles(&arrows) {
            words += &told(&circle, &arrows, folder);
        }
    }
    assert!(
        files > 250 && seen > 500,
        "the look is blind: {files} files, {seen} arrows"
    );
    assert!(words.is_empty(), "{words}");
}

/// The circles of a made-up crate.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let read = |path: &str| {
        let file = files.iter().find(|(name, _)| *name == path);
        file.map(|(_, text)| (*text).to_owned())
    };
    let circles = circles(&Crate::read("src/lib.rs", &read).arrows());
    let name = |module: &ModulePath| module.join("::");
    let names = circles
        .iter()
        .map(|circle| circle.iter().map(name).collect::<Vec<_>>().join(" "));
    names.collect()
}

#[test]
fn the_look_for_circles_is_not_blind() {
    let root = ("src/lib.rs", "mod a; mod b; mod c; pub use b::B as Handed;");
    let b = ("src/b.rs", "pub struct B; use crate::a::A;");
    let c = ("src/c.rs", "pub struct C;");
    // Each way to name what another file defines.
    for text in [
        "use crate::b::B; pub struct A;",
        "use super::b::B; pub struct A;",
        "use self::super::b::B as Other; pub struct A;",
        "use super::{c::{self, C}, b::{B}}; pub struct A;",
        "use crate::b::*; pub struct A;",
        "use crate::b; pub struct A;",
        "pub struct A; fn f() { let x = crate::b::B; }",
        "pub struct A(super::b::B);",
        "pub struct A; fn f() { use crate::b::B; }",
        "pub use crate::b::B; pub struct A;",
        "pub struct A; mod inner { fn f(x: super::super::b::B) {} }",
        "#[cfg(test)] mod tests { use crate::c::C; } use crate::b::B; pub struct A;",
        "#[cfg(test)] use crate::c::C; use crate::b::B; pub struct A;",
        "use crate::Handed; pub struct A;",
        "use crate::b::made_by_a_macro; pub struct A;",
    ] {
        assert_eq!(circles_of(&[root, ("src/a.rs", text), b, c]), ["a b"], "{text}");
    }
    // Over three files, and from a child to a sibling of its parent and back.
    let three = [
        ("src/a.rs", "use crate::c::C; pub struct A;"),
        b,
        ("src/c.rs", "pub struct C; use crate::b::B;"),
    ];
    assert_eq!(circles_of(&[[root].as_slice(), &three].concat()), ["a b c"]);
    let parent = ("src/a/mod.rs", "mod child; pub struct A;");
    let child = ("src/a/child.rs", "fn f() -> crate::b::B {}");
    assert_eq!(circles_of(&[root, parent, child, b, c]), ["a b"]);
    // Two children of one parent.
    let root = ("src/lib.rs", "mod a;");
    let parent = ("src/a.rs", "mod b; mod c;");
    let children = [
        ("src/a/b.rs", "pub struct B(super::c::C);"),
        ("src/a/c.rs", "pub struct C(super::b::B);"),
    ];
    assert_eq!(circles_of(&[[root, parent], children].concat()), ["a::b a::c"]);
}

#[test]
fn what_is_no_circle_is_not_called_one() {
    let root = ("src/lib.rs", "mod a; mod b; pub use b::B as Handed; pub use a::A;");
    let b = ("src/b.rs", "pub struct B; use crate::a::A;");
    let tests = ("src/a/tests.rs", "use crate::b::B;");
    for text in [
        "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }",
        "pub struct A; #[cfg(test)] mod tests;",
        "pub struct A; #[cfg(test)] use crate::b::B;",
        "pub struct A; /// As [`crate::b::B`].\n fn f() { g(\"crate::b::B\") }",
        "pub struct A; use other::b::B; fn f(x: b::Unknown) {}",
        "use crate::A as Own; pub struct A;",
        // A parent and its child may use each other.
        "mod inside; fn f() { inside::g(); } pub struct A;",
    ] {
        let child = ("src/a/inside.rs", "pub fn g() -> super::A {}");
        let found = circles_of(&[root, ("src/a.rs", text), b, tests, child]);
        assert!(found.is_empty(), "{text}: {found:?}");
    }
}
