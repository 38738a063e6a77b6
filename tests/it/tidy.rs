//! What no compiler checks: imports point one way and make no circle, files and handlers stay small.
//!
//! How long other functions may be is a lint: `clippy.toml`.

mod graph;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use graph::Graph;
use syn::{
    ItemFn,
    visit::{Visit, visit_file},
};

const FILE_LINES_MAX: usize = 450;

const HANDLER_LINES_MAX: usize = 15;

/// The modules of the crate as the map in ARCHITECTURE.md has them, each with those that it may import.
fn map() -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    let (_, map) = text.split_once("| module | what it is | may import |\n|---|---|---|\n").unwrap();
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut below: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for row in map.lines().take_while(|line| line.starts_with('|')).collect::<Vec<_>>().into_iter().rev() {
        let [_, modules, _, imports, _] = row.split('|').collect::<Vec<_>>().try_into().unwrap();
        let imports = if imports.trim() == "all below" { below.clone() } else { names(imports) };
        below.extend(names(modules));
        rows.extend(names(modules).into_iter().map(|module| (module, imports.clone())));
    }
    rows
}

/// The Rust files below a folder of the repository: their path from there, and their text.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn paths(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
        files.into_iter().chain(folders.iter().flat_map(|folder| paths(folder))).collect()
    }

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = paths(&folder).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    let below = |path: &Path| path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
    files.map(|path| (below(&path), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn imports_make_no_circle() {
    let graph = Graph::of(sources("src"));
    let circles = graph.circles();
    let circles: Vec<_> = circles.iter().map(|circle| arrows(circle)).collect();
    assert!(
        circles.is_empty(),
        "import from the sibling that defines a thing, never through a parent's mod.rs:\n{}",
        circles.join("\n")
    );
}

/// A circle in one line.
fn arrows(circle: &[&str]) -> String {
    [circle, &circle[..1]].concat().join(" → ")
}

#[test]
fn modules_import_what_the_map_says() {
    let map = map();
    let (files, module) = (sources("src"), |file: &str| file.split(['/', '.']).next().unwrap().to_owned());
    let are_roots = |module: &String| matches!(module.as_str(), "lib" | "main");
    let modules: BTreeSet<_> =
        files.iter().map(|(file, _)| module(file)).filter(|name| !are_roots(name)).collect();
    assert_eq!(modules, map.iter().map(|(name, _)| name.clone()).collect(), "src/ and the map");
    for (from, to) in Graph::of(files).edges().filter(|(from, to)| module(from) != module(to)) {
        let allowed = map.iter().find(|(name, _)| *name == module(from)).map(|(_, allowed)| allowed);
        let is_allowed = allowed.map_or(are_roots(&module(from)), |allowed| allowed.contains(&module(to)));
        assert!(is_allowed, "by the map, {from} may not import {to}");
    }
}

#[test]
fn files_stay_small() {
    for (file, text) in sources("src").into_iter().chain(sources("tests")) {
        let lines = text.lines().count();
        assert!(lines <= FILE_LINES_MAX, "{file} has {lines} lines, more than {FILE_LINES_MAX}");
    }
}

/// The functions that are documented as an operation: their names, and how many lines they have.
#[derive(Default)]
struct Handlers(Vec<(String, usize)>);

impl<'ast> Visit<'ast> for Handlers {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        let is_operation =
            |path: &syn::Path| path.segments.iter().map(|segment| &segment.ident).eq(["utoipa", "path"]);
        if function.attrs.iter().any(|attribute| is_operation(attribute.path())) {
            let first = function.sig.fn_token.span.start().line;
            let last = function.block.brace_token.span.close().end().line;
            self.0.push((function.sig.ident.to_string(), last - first + 1));
        }
    }
}

#[test]
fn handlers_stay_small() {
    let mut handlers = Handlers::default();
    for (file, text) in sources("src/api") {
        visit_file(&mut handlers, &syn::parse_file(&text).unwrap_or_else(|error| panic!("{file}: {error}")));
    }
    assert!(!handlers.0.is_empty(), "no handler is found");
    for (name, lines) in handlers.0 {
        assert!(lines <= HANDLER_LINES_MAX, "{name} has {lines} lines, more than {HANDLER_LINES_MAX}");
    }
}

/// The circles among some files.
fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let graph = Graph::of(files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())));
    graph.circles().iter().map(|circle| arrows(circle)).collect()
}

#[test]
fn a_circle_is_found_however_it_is_imported() {
    const LIB: (&str, &str) = ("lib.rs", "mod a; mod b;");
    for import in [
        "use crate::a::Limit;",
        "use crate::{a::Limit as Bound};",
        "use crate::{b::{self, Two as Other}, a as parent};",
        "use super::Limit;",
        "use super::*;",
        "use super::{two::Two, Limit};",
        "use super::super::a::Limit;",
        "use self::super::Limit;",
        "fn one() -> super::Limit { todo!() }",
        "fn one() { let _ = crate::a::Limit::default(); }",
        "type One = Vec<Option<crate::a::Limit>>;",
        "fn one() { println!(\"{}\", [crate::a::limit()]); }",
        "macro_rules! one { () => { use crate::{b, a::Limit}; } }",
        "mod inner { use super::super::Limit; }",
        "#[derive(Debug)] struct One { #[check(super::Limit::new)] one: u8 }",
    ] {
        let found = circles(&[
            LIB,
            ("a/mod.rs", "mod one; mod two; pub struct Limit;"),
            ("a/one.rs", import),
            ("a/two.rs", "pub struct Two;"),
            ("b.rs", "pub struct Two;"),
        ]);
        assert_eq!(found, ["a/mod.rs → a/one.rs → a/mod.rs"], "{import}");
    }
    let found = circles(&[
        LIB,
        ("a/mod.rs", "mod one; mod two;"),
        ("a/one.rs", "use super::two::Two;"),
        ("a/two.rs", "use crate::b::B;"),
        ("b.rs", "use crate::a::one::One;"),
    ]);
    assert_eq!(found, ["a/one.rs → a/two.rs → b.rs → a/one.rs"], "a long one");
}

#[test]
fn imports_that_make_no_circle_are_let_be() {
    let found = circles(&[
        ("main.rs", "use customers_api::a::One;"),
        ("lib.rs", "pub mod a;\npub mod b;"),
        ("a/mod.rs", "mod one;\nmod two;\npub use one::One;"),
        (
            "a/one.rs",
            "use super::two::{Two, other};\nuse crate::b::B;\nuse self::inner::Inner;\npub(super) struct One;\n\
             mod inner { use super::One; pub(in crate::a) struct Inner; }\n\
             impl One { fn one(&self) { let _ = (self.two(), ::b::B, crate::b::B); } }\n\
             #[cfg(test)] mod tests { use super::super::One; }",
        ),
        ("a/two.rs", "//! See [`super::One`].\nuse std::fmt;"),
        ("b.rs", "pub struct B;"),
    ]);
    assert_eq!(found, Vec::<String>::new());
}
