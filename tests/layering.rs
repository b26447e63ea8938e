//! The modules of `cache-core` point one way, and no crate of the workspace is unsafe.
//!
//! The order is explained in ARCHITECTURE.md.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail like the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module may use those above it in this list: not its neighbours, and nothing below.
const LAYERS: [&[&str]; 12] = [
    &["answer", "chance", "clock", "error", "hashed", "kept", "owned", "sync"],
    &["batched", "give_up", "key"],
    &["entry"],
    &["backend", "policy"],
    &["codec"],
    &["call_site", "decide", "event", "storage"],
    &["epochs"],
    &["function"],
    &["local"],
    &["engine"],
    &["__private"],
    &["testing"],
];

#[test]
fn each_module_uses_only_what_lies_above_it() {
    let files = source_files(&core().join("src"));
    let modules = root_modules();

    let mut upward: Vec<String> = Vec::new();
    for (file, text) in &files {
        let Some(own) = module_of(file) else { continue };
        for used in roots_used(text).iter().map(|name| modules.get(name).unwrap_or(name)) {
            if used != own && layer_of(used) >= layer_of(own) {
                upward.push(format!("src/{file} uses `crate::{used}`"));
            }
        }
    }

    upward.dedup();
    assert!(upward.is_empty(), "these point up or sideways:\n{}", upward.join("\n"));
}

#[test]
fn the_root_is_reached_by_its_name() {
    let files = source_files(&core().join("src"));

    for (file, text) in &files {
        // `a.rs` and `a/mod.rs` lie one step below the root, `a/b.rs` two.
        let depth = file.trim_end_matches("/mod.rs").matches('/').count() + 1;
        let climb = "super::".repeat(depth);
        assert!(
            module_of(file).is_none() || !text.contains(&climb),
            "src/{file}: write `crate::` for `{climb}`"
        );
    }
}

#[test]
fn the_layers_name_every_module() {
    let text = code_of(&core().join("src/lib.rs"));

    let mut declared: Vec<&str> = text.lines().filter_map(declared_module).collect();
    let mut layered = LAYERS.concat();

    declared.sort_unstable();
    layered.sort_unstable();
    assert_eq!(layered, declared);
}

#[test]
fn an_upward_import_is_seen() {
    let text = "use crate::engine::Cache;\nuse crate::{\n    Error,\n    key::{Key, Tag},\n};\nfn f() { crate::local::g(); $crate::event::h(); $crate::m!() }";

    let used = roots_used(text);

    assert_eq!(used, ["Error", "engine", "event", "key", "local"]);
}

#[test]
fn no_crate_is_unsafe() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(workspace.contains("unsafe_code = \"forbid\""));

    for package in [root(), core(), root().join("cache-macros"), root().join("cache-redis")] {
        let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{} leaves the lints out", package.display());
    }
    // What the attribute writes is compiled under the lints of others.
    for (file, text) in source_files(&root().join("cache-macros/src/expand")) {
        assert!(!text.contains("unsafe"), "cache-macros/src/expand/{file} writes `unsafe`");
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn core() -> PathBuf {
    root().join("cache-core")
}

/// The module of the root that a file belongs to; none for the root itself.
fn module_of(file: &str) -> Option<&str> {
    let first = file.split('/').next().unwrap_or(file);
    Some(first.trim_end_matches(".rs")).filter(|module| *module != "lib")
}

fn layer_of(module: &str) -> usize {
    let layer = LAYERS.iter().position(|layer| layer.contains(&module));
    layer.unwrap_or_else(|| panic!("`{module}` is in no layer"))
}

/// `mod error;` or `pub mod key;` as it stands in the root.
fn declared_module(line: &str) -> Option<&str> {
    line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';')
}

/// What the root re-exports, and from which module: `Error` from `error`.
fn root_modules() -> BTreeMap<String, String> {
    let text = code_of(&core().join("src/lib.rs"));
    let mut modules = BTreeMap::new();
    for statement in text.split(';') {
        let Some((_, path)) = statement.split_once("pub use ") else {
            continue;
        };
        let Some((module, names)) = path.split_once("::") else {
            continue;
        };
        for name in names.trim_matches(['{', '}', ' ', '\n']).split(',') {
            modules.insert(name.trim().to_owned(), module.to_owned());
        }
    }
    modules
}

/// The first steps of all paths that begin at the root, sorted.
fn roots_used(text: &str) -> Vec<String> {
    let mut roots = Vec::new();
    for (at, step) in text.match_indices("crate::") {
        let rest = &text[at + step.len()..];
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        match rest.strip_prefix('{') {
            Some(group) => roots.extend(firsts_of(group)),
            // An exported macro stands at the root, wherever it is written.
            None if rest[word_of(rest).len()..].starts_with('!') => {}
            None => roots.push(word_of(rest).to_owned()),
        }
    }
    roots.sort_unstable();
    roots.dedup();
    roots
}

/// The first words of the elements of `a, b::{c, d}, e}`.
fn firsts_of(group: &str) -> Vec<String> {
    let mut firsts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                firsts.push(word_of(group[start..at].trim()).to_owned());
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    firsts.retain(|first| !first.is_empty());
    firsts
}

fn word_of(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// All Rust files below a folder, by their path in it, with their code.
fn source_files(folder: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.push((name, code_of(&path)));
            }
        }
    }
    assert!(!files.is_empty(), "{} holds no code", folder.display());
    files.sort_unstable();
    files
}

/// A file without its comments and its tests, which may look anywhere.
fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    code.lines().filter(is_code).fold(String::new(), |code, line| code + line + "\n")
}
