//! The modules of a crate, as its sources declare them: what each defines, what it imports, and which paths its code names.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::tokens;

/// A module's path from the root of its crate.
pub(super) type ModulePath = Vec<String>;

/// Which module names which other one, and by which paths.
pub(super) type Arrows = BTreeMap<(ModulePath, ModulePath), BTreeSet<String>>;

/// How many imports of imports are followed. An import that leads back to itself is left at that.
const IMPORTS_FOLLOWED_MAX: usize = 12;

/// Words that begin an item. What follows an attribute and begins with another word is a field, a variant or an arm.
const ITEM_WORDS: [&str; 17] = [
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "let",
    "macro_rules",
    "mod",
    "pub",
    "static",
    "struct",
    "trait",
    "type",
    "union",
    "unsafe",
    "use",
];

/// One import: the name that it brings (`None` for all names, `*`), and the path that it names.
struct Import {
    name: Option<String>,
    path: Vec<String>,
}

/// What one module holds.
#[derive(Default)]
struct Module {
    /// The module whose file it stands in: itself, unless it stands between braces.
    home: ModulePath,
    children: BTreeSet<String>,
    defined: BTreeSet<String>,
    imports: Vec<Import>,
    /// Every path that its code names, those of its imports too.
    paths: BTreeSet<Vec<String>>,
}

/// What a path leads to.
enum Target {
    Module(ModulePath),
    /// Something that the file of this module defines.
    In(ModulePath),
}

/// The modules of a crate.
#[derive(Default)]
pub(super) struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

impl Crate {
    /// Reads the crate whose root is that file. `read` gives a file's text, and nothing where there is none.
    pub(super) fn read(root: &str, read: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut found = Self::default();
        let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let mut open = vec![(ModulePath::new(), root.to_owned(), folder)];
        while let Some((path, file, folder)) = open.pop() {
            let Some(text) = read(&file) else { continue };
            let tokens = tokens(&text);
            let mut reader = Reader {
                tokens: &tokens,
                at: 0,
                file: &file,
                home: &path,
                files: Vec::new(),
            };
            if !reader.is_test_file() {
                reader.module(&path, &mut found.modules);
            }
            for child in reader.files {
                let below = child[path.len()..].join("/");
                let candidates = [format!("{folder}/{below}.rs"), format!("{folder}/{below}/mod.rs")];
                let file = candidates.into_iter().find(|file| read(file).is_some());
                open.extend(file.map(|file| (child, file, format!("{folder}/{below}"))));
            }
        }
        found
    }

    /// How many files the crate has.
    pub(super) fn files(&self) -> usize {
        let homes: BTreeSet<&ModulePath> = self.modules.values().map(|module| &module.home).collect();
        homes.len()
    }

    /// Which module names which other one, and by which paths. What stands between braces belongs to the file around it.
    pub(super) fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (at, module) in &self.modules {
            for path in &module.paths {
                if let Some(named) = self.home_of(at, path).filter(|named| *named != module.home) {
                    let arrow = arrows.entry((module.home.clone(), named)).or_default();
                    arrow.insert(path.join("::"));
                }
            }
        }
        arrows
    }

    /// The module whose file defines what a path names. A name that a macro makes belongs to the module that it is looked for in.
    fn home_of(&self, at: &ModulePath, path: &[String]) -> Option<ModulePath> {
        let whole = self.target(at, path, IMPORTS_FOLLOWED_MAX);
        if let Some(Target::In(home)) = whole {
            return Some(home);
        }
        let parts = (1..path.len()).rev().map(|length| &path[..length]);
        let of_parts = parts.map(|part| self.target(at, part, IMPORTS_FOLLOWED_MAX));
        std::iter::once(whole).chain(of_parts).find_map(|target| match target {
            Some(Target::Module(module)) => Some(self.modules[&module].home.clone()),
            _ => None,
        })
    }

    /// What a path leads to that stands in this module.
    fn target(&self, at: &ModulePath, path: &[String], left: usize) -> Option<Target> {
        let supers = path.iter().take_while(|name| *name == "super").count();
        let selfs = usize::from(path.first().is_some_and(|name| name == "self"));
        match path.first()?.as_str() {
            "crate" => self.below(&ModulePath::new(), &path[1..], left),
            "self" => self.target_of_self(at, &path[selfs..], left),
            "super" => self.below(&at[..at.len().checked_sub(supers)?].to_vec(), &path[supers..], left),
            _ => self.below(at, path, left),
        }
    }

    /// `self::super::x` is `super::x`.
    fn target_of_self(&self, at: &ModulePath, rest: &[String], left: usize) -> Option<Target> {
        match rest.first() {
            Some(name) if name == "super" => self.target(at, rest, left),
            _ => self.below(at, rest, left),
        }
    }

    /// What these names lead to from a module on: a child of it, a definition, an import, or one of all the names of another.
    fn below(&self, at: &ModulePath, names: &[String], left: usize) -> Option<Target> {
        let module = self.modules.get(at)?;
        let Some(first) = names.first() else {
            return Some(Target::Module(at.clone()));
        };
        if module.children.contains(first) {
            let child: ModulePath = at.iter().chain([first]).cloned().collect();
            return self.below(&child, &names[1..], left);
        }
        if module.defined.contains(first) {
            return Some(Target::In(module.home.clone()));
        }
        let left = left.checked_sub(1)?;
        let named = module
            .imports
            .iter()
            .filter(|import| import.name.as_ref() == Some(first));
        let by_name = named.filter_map(|import| match self.target(at, &import.path, left)? {
            Target::Module(module) => self.below(&module, &names[1..], left),
            found @ Target::In(_) => Some(found),
        });
        let all = module.imports.iter().filter(|import| import.name.is_none());
        let by_all = all.filter_map(|import| match self.target(at, &import.path, left)? {
            Target::Module(module) => self.below(&module, names, left),
            Target::In(_) => None,
        });
        by_name.chain(by_all).next()
    }
}

/// Reads the tokens of one file.
struct Reader<'a> {
    tokens: &'a [String],
    at: usize,
    file: &'a str,
    /// The module that the file is.
    home: &'a ModulePath,
    /// The modules that it declares and that are files of their own.
    files: Vec<ModulePath>,
}

impl Reader<'_> {
    fn token(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", String::as_str)
    }

    /// Whether the whole file is there for tests: by its name, or by `#![cfg(test)]`.
    fn is_test_file(&self) -> bool {
        let is_named =
            self.file.ends_with("/tests.rs") || self.file.ends_with("_tests.rs") || self.file.contains("/tests/");
        is_named || self.tokens.join("").contains("#![cfg(test)]")
    }

    /// Reads a module to its end: the end of the file, or the brace that closes it.
    fn module(&mut self, path: &ModulePath, modules: &mut BTreeMap<ModulePath, Module>) {
        let mut module = Module {
            home: self.home.clone(),
            ..Module::default()
        };
        let mut depth = 0_usize;
        while self.at < self.tokens.len() {
            let next = self.token(1).to_owned();
            match self.token(0) {
                "#" if next == "[" || next == "!" => self.attribute(),
                "pub" if next == "(" => self.skip_group(1),
                "use" if next != "<" => {
                    self.at += 1;
                    self.import(&[], &mut module);
                }
                "mod" if self.token(2) == ";" || self.token(2) == "{" => {
                    self.declared(next, path, &mut module, modules);
                }
                "macro_rules" if depth == 0 => {
                    module.defined.insert(self.token(2).to_owned());
                    self.at += 3;
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" if depth == 0 => {
                    module.defined.insert(next);
                    self.at += 1;
                }
                "}" if depth == 0 => break,
                mark @ ("{" | "}") => {
                    depth = if mark == "{" { depth + 1 } else { depth - 1 };
                    self.at += 1;
                }
                _ => self.path(&mut module),
            }
        }
        self.at += 1;
        modules.insert(path.clone(), module);
    }

    /// `mod name;` or `mod name { … }`.
    fn declared(
        &mut self,
        name: String,
        path: &ModulePath,
        module: &mut Module,
        modules: &mut BTreeMap<ModulePath, Module>,
    ) {
        let child: ModulePath = path.iter().cloned().chain([name.clone()]).collect();
        module.children.insert(name);
        let is_file = self.token(2) == ";";
        self.at += 3;
        if is_file {
            self.files.push(child);
        } else {
            self.module(&child, modules);
        }
    }

    /// An attribute, and what it stands before where that is there for tests only.
    fn attribute(&mut self) {
        let start = self.at;
        self.skip_group(if self.token(1) == "!" { 2 } else { 1 });
        let text = self.tokens[start..self.at].join("");
        if text.starts_with("#[cfg(test") || text.starts_with("#[cfg(all(test") {
            self.skip_item();
        }
    }

    /// Goes behind the group whose opening mark stands so many tokens ahead.
    fn skip_group(&mut self, ahead: usize) {
        self.at += ahead;
        let mut depth = 0_usize;
        while self.at < self.tokens.len() {
            match self.token(0) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                break;
            }
        }
    }

    /// Goes behind the item, or the field, variant or arm, that stands here.
    fn skip_item(&mut self) {
        while self.token(0) == "#" {
            self.skip_group(1);
        }
        let is_item = ITEM_WORDS.contains(&self.token(0));
        let is_import = self.token(0) == "use" || self.token(1) == "use";
        while self.at < self.tokens.len() {
            match self.token(0) {
                ";" if is_item => return self.at += 1,
                "," if !is_item => return self.at += 1,
                "}" => return,
                "{" => {
                    self.skip_group(0);
                    if is_item && !is_import {
                        return;
                    }
                }
                "(" | "[" => self.skip_group(0),
                _ => self.at += 1,
            }
        }
    }

    /// A tree of an import, up to the mark that ends it.
    fn import(&mut self, before: &[String], module: &mut Module) {
        let mut path = before.to_vec();
        let mut name = None;
        loop {
            match self.token(0) {
                "::" => self.at += 1,
                "{" => return self.imports(&path, module),
                "*" => {
                    module.paths.insert(path.clone());
                    module.imports.push(Import { name: None, path });
                    self.at += 1;
                    return;
                }
                "as" => {
                    name = Some(self.token(1).to_owned());
                    self.at += 2;
                }
                "," | "}" | ";" | "" => break,
                word => {
                    path.push(word.to_owned());
                    self.at += 1;
                }
            }
        }
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = name.or_else(|| path.last().cloned());
        module.paths.insert(path.clone());
        module.imports.push(Import { name, path });
    }

    /// The trees between two braces.
    fn imports(&mut self, before: &[String], module: &mut Module) {
        self.at += 1;
        while self.at < self.tokens.len() && self.token(0) != "}" {
            self.import(before, module);
            if self.token(0) == "," {
                self.at += 1;
            }
        }
        self.at += 1;
    }

    /// A path in the code, of two names or more, or a token that is none.
    fn path(&mut self, module: &mut Module) {
        let is_word = |token: &str| token.starts_with(|letter: char| letter.is_alphabetic() || letter == '_');
        let is_inside = self.at > 0 && self.tokens[self.at - 1] == "::";
        let mut path = Vec::new();
        if is_word(self.token(0)) {
            path.push(self.token(0).to_owned());
            self.at += 1;
            while self.token(0) == "::" && is_word(self.token(1)) {
                path.push(self.token(1).to_owned());
                self.at += 2;
            }
        } else {
            self.at += 1;
        }
        if path.len() > 1 && !is_inside {
            module.paths.insert(path);
        }
    }
}
