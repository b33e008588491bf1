//! Imports between the files of one crate: circles, and imports that go up where a layer stands on another.
//!
//! A file that imports what stands in the file of its own folder (`super::Error`, `crate::config::Options` from `config/read.rs`)
//! leans on the folder that it is a part of; that is how a folder is written and no import in this sense. Everything else is:
//! `crate::…`, `super::…` and the path of a child, in a `use` or in the midst of code. Tests are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::crates::Crates;

/// Two files may need each other, as two halves of one thing; more are a knot.
pub const MOST: usize = 2;

/// Layers inside crates: package, who may not import, whom.
pub const LAYERS: [(&str, &str, &str); 1] = [("sotp-snmp", "engine", "probe")];

/// Which file of a crate imports which; files are named as modules (`config/read`), the root by nothing.
#[derive(Debug, Default)]
pub struct Imports(BTreeMap<String, BTreeSet<String>>);

impl Imports {
    /// Reads the files of a crate below `source`, the folder of its root file.
    ///
    /// # Errors
    /// When a file cannot be read or is no Rust.
    pub fn read(source: &Path) -> anyhow::Result<Self> {
        let library = source.join("lib.rs").exists();
        let mut files = Vec::new();
        for path in crate::files(source, ".rs")? {
            let name = path.strip_prefix(source)?.with_extension("");
            let name = name.to_string_lossy().into_owned();
            let test = name.split('/').any(|part| part == "tests");
            if test || name.starts_with("bin/") || (name == "main" && library) {
                continue;
            }
            let root = name == "lib" || name == "main";
            let text = std::fs::read_to_string(&path)?;
            files.push((if root { String::new() } else { name }, text));
        }
        Self::of(&files)
    }

    /// The imports of files given as module and text.
    ///
    /// # Errors
    /// When a text is no Rust.
    pub fn of(files: &[(String, String)]) -> anyhow::Result<Self> {
        let names: BTreeSet<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let mut imports = BTreeMap::new();
        for (name, text) in files {
            let tokens: TokenStream = text
                .parse()
                .map_err(|error| anyhow!("{error}"))
                .with_context(|| format!("module `{name}` is no Rust"))?;
            let mut paths = Vec::new();
            walk(tokens, &parts(name), &mut paths);
            let found = paths
                .iter()
                .filter_map(|path| file_of(path, &names))
                .filter(|file| !within(name, file))
                .map(str::to_owned)
                .collect();
            imports.insert(name.clone(), found);
        }
        Ok(Self(imports))
    }

    /// The circles over more than one file, each sorted.
    #[must_use]
    pub fn circles(&self) -> Vec<Vec<&str>> {
        let reached: BTreeMap<&str, BTreeSet<&str>> = self
            .0
            .keys()
            .map(|name| (name.as_str(), self.reached(name)))
            .collect();
        let mut circles = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, there) in &reached {
            if seen.insert(*name) && there.contains(name) {
                let circle: Vec<&str> = there
                    .iter()
                    .copied()
                    .filter(|other| reached.get(other).is_some_and(|back| back.contains(name)))
                    .collect();
                seen.extend(circle.iter().copied());
                circles.push(circle);
            }
        }
        circles
    }

    /// Every file that `from` needs, by itself or through others.
    fn reached(&self, from: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open = vec![from];
        while let Some(name) = open.pop() {
            for next in self.0.get(name).into_iter().flatten() {
                if found.insert(next.as_str()) {
                    open.push(next);
                }
            }
        }
        found
    }

    /// What is wrong with the imports of the crate `package`.
    #[must_use]
    pub fn problems(&self, package: &str) -> Vec<String> {
        let mut problems = Vec::new();
        for circle in self.circles() {
            if circle.len() > MOST {
                let ways = self.ways(&circle);
                problems.push(format!(
                    "{package}: {} files import each other in a circle: {ways}",
                    circle.len()
                ));
            }
        }
        for (_, low, high) in LAYERS.iter().filter(|(name, ..)| *name == package) {
            for (from, to) in self
                .0
                .iter()
                .flat_map(|(from, all)| all.iter().map(move |to| (from, to)))
            {
                if within(from, low) && within(to, high) {
                    problems.push(format!(
                        "{package}: {from} imports {to}; {high} stands on {low}"
                    ));
                }
            }
        }
        problems
    }

    fn ways(&self, circle: &[&str]) -> String {
        let mut ways = Vec::new();
        for from in circle {
            let to: Vec<&str> = self
                .0
                .get(*from)
                .into_iter()
                .flatten()
                .map(String::as_str)
                .filter(|to| circle.contains(to))
                .collect();
            ways.push(format!("{from} → {}", to.join(" ")));
        }
        ways.join("; ")
    }
}

/// The problems of all our crates.
///
/// # Errors
/// When a file cannot be read or is no Rust.
pub fn problems(crates: &Crates) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for package in crates.ours() {
        let source = package.folder().join("src");
        if source.is_dir() {
            problems.extend(Imports::read(&source)?.problems(&package.name));
        }
    }
    Ok(problems)
}

fn parts(name: &str) -> Vec<String> {
    name.split('/')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether `name` is `folder` or stands in it; everything stands in the root.
fn within(name: &str, folder: &str) -> bool {
    folder.is_empty()
        || name == folder
        || name
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// The file that holds what `path` names: that of its longest beginning which is one.
fn file_of<'a>(path: &[String], files: &BTreeSet<&'a str>) -> Option<&'a str> {
    (0..=path.len())
        .rev()
        .find_map(|length| files.get(path[..length].join("/").as_str()).copied())
}

/// Collects the full path of all that `tokens` name, in the module `here`. A path that begins with neither `crate`, `super` nor `self`
/// is taken for one of a child; that of another crate or a type leads to no file but the one at hand.
fn walk(tokens: TokenStream, here: &[String], paths: &mut Vec<Vec<String>>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    let mut test = false;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                let attribute = tokens.get(at + 1).map(ToString::to_string);
                test |= attribute.is_some_and(|text| text.replace(' ', "") == "[cfg(test)]");
                at += 2;
            }
            TokenTree::Ident(word) if *word == "mod" => {
                let (name, body) = (tokens.get(at + 1), tokens.get(at + 2));
                if let (Some(name), Some(TokenTree::Group(body)), false) = (name, body, test) {
                    let mut inner = here.to_vec();
                    inner.push(name.to_string());
                    walk(body.stream(), &inner, paths);
                }
                test = false;
                at += 3;
            }
            TokenTree::Ident(_) => at = path(&tokens, at, here, None, paths),
            TokenTree::Group(group) => {
                walk(group.stream(), here, paths);
                test &= group.delimiter() != Delimiter::Brace;
                at += 1;
            }
            TokenTree::Punct(punct) => {
                test &= punct.as_char() != ';';
                at += 1;
            }
            TokenTree::Literal(_) => at += 1,
        }
    }
}

/// Reads one path that begins at `at`, with the trees of a `use` in it, and returns where it ends. Inside a tree, `before` is what
/// stands before the brace.
fn path(
    tokens: &[TokenTree],
    mut at: usize,
    here: &[String],
    before: Option<&[String]>,
    paths: &mut Vec<Vec<String>>,
) -> usize {
    let mut whole = before.unwrap_or(here).to_vec();
    // A single word is a variable, a field or a keyword as well as a child.
    let mut sure = before.is_some();
    let mut words = 0;
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        let word = word.to_string();
        match word.as_str() {
            "crate" => whole.clear(),
            "super" => drop(whole.pop()),
            "self" => {}
            _ => whole.push(word.clone()),
        }
        words += 1;
        sure |= words > 1 || word == "crate" || word == "super";
        at += 1;
        let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
        if !(colon(at) && colon(at + 1)) {
            break;
        }
        at += 2;
        if let Some(TokenTree::Group(group)) = tokens.get(at)
            && group.delimiter() == Delimiter::Brace
        {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            let comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
            for tree in inner.split(comma) {
                path(tree, 0, here, Some(&whole), paths);
            }
            return at + 1;
        }
    }
    if sure {
        paths.push(whole);
    }
    at
}
