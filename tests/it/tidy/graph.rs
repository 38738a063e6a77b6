//! The files of a crate and what each imports from the others.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{
    Attribute, ItemMod, ItemUse, Macro, MetaList, Path, UseName, UseRename, UseTree, Visibility,
    visit::{Visit, visit_item_mod, visit_path},
};

/// The name by which `main.rs` knows the library.
const CRATE: &str = "customers_api";

/// An edge for each `mod x;`, which is the parent's, and for each path to another file.
///
/// A path leads to the deepest file that it names. Modules for tests do not count.
pub(super) struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    /// From the path below `src` of each file, and its text.
    pub(super) fn of(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let files: Vec<_> = files.into_iter().collect();
        let modules = files.iter().map(|(file, _)| (module_of(file), file.clone())).collect();
        let edges = files.iter().map(|(file, text)| (file.clone(), imports(&modules, file, text))).collect();
        Self(edges)
    }

    /// Each file with each that it imports from.
    pub(super) fn edges(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(from, to)| to.iter().map(move |to| (from.as_str(), to.as_str())))
    }

    /// Circles, each as its files in order; one is found at least for each file that is part of any.
    pub(super) fn circles(&self) -> BTreeSet<Vec<&str>> {
        self.0.keys().filter_map(|file| self.circle(file)).map(rotated).collect()
    }

    /// The shortest way from a file back to itself.
    fn circle<'a>(&'a self, file: &'a str) -> Option<Vec<&'a str>> {
        let (mut ways, mut seen) = (vec![vec![file]], BTreeSet::new());
        while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in ways {
                for next in &self.0[way[way.len() - 1]] {
                    if next == file {
                        return Some(way);
                    }
                    if seen.insert(next) {
                        longer.push([&way[..], &[next]].concat());
                    }
                }
            }
            ways = longer;
        }
        None
    }
}

/// The same circle from its first name in the alphabet on.
fn rotated(mut circle: Vec<&str>) -> Vec<&str> {
    let first = (0..circle.len()).min_by_key(|index| circle[*index]).unwrap_or_default();
    circle.rotate_left(first);
    circle
}

/// The path of a module, from the crate on.
type Module = Vec<String>;

fn module_of(file: &str) -> Module {
    let path = file.strip_suffix(".rs").unwrap();
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" { Module::new() } else { path.split('/').map(str::to_owned).collect() }
}

fn imports(modules: &BTreeMap<Module, String>, file: &str, text: &str) -> BTreeSet<String> {
    let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let module = module_of(file);
    let root = if file == "main.rs" { module.clone() } else { Module::new() };
    let mut reader = Reader { modules, root, module, found: BTreeSet::new() };
    reader.visit_file(&syntax);
    reader.found.remove(file);
    reader.found
}

struct Reader<'a> {
    modules: &'a BTreeMap<Module, String>,
    root: Module,
    /// Where the reader is: in the file's module, or in one inside the file.
    module: Module,
    found: BTreeSet<String>,
}

impl Reader<'_> {
    /// Notes the file that a path leads to.
    fn follow(&mut self, path: &[String]) {
        let Some((first, rest)) = path.split_first() else { return };
        let mut module = match first.as_str() {
            "crate" => self.root.clone(),
            CRATE => Module::new(),
            "self" => self.module.clone(),
            "super" => self.module[..self.module.len() - 1].to_vec(),
            _ => [&self.module[..], std::slice::from_ref(first)].concat(),
        };
        let is_relative = module.len() > self.module.len();
        if is_relative && !self.modules.contains_key(&module) {
            return; // The name of another crate or of something in scope.
        }
        for name in rest {
            if name == "super" { drop(module.pop()) } else { module.push(name.clone()) }
        }
        while !module.is_empty() && !self.modules.contains_key(&module) {
            module.pop();
        }
        self.found.extend(self.modules.get(&module).cloned());
    }

    fn follow_tree(&mut self, mut path: Module, tree: &UseTree) {
        match tree {
            UseTree::Path(segment) => {
                path.push(segment.ident.to_string());
                self.follow_tree(path, &segment.tree);
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.follow_tree(path.clone(), tree));
            }
            UseTree::Glob(_) => self.follow(&path),
            UseTree::Name(UseName { ident }) | UseTree::Rename(UseRename { ident, .. }) => {
                if ident != "self" {
                    path.push(ident.to_string());
                }
                self.follow(&path);
            }
        }
    }

    /// Paths in what a macro gets, which has no syntax yet.
    fn follow_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if let TokenTree::Group(group) = &tokens[at] {
                self.follow_tokens(group.stream());
            }
            let length = path_length(&tokens[at..]);
            if length > 0 {
                let path = tokens[at..at + length].iter().cloned().collect();
                self.follow_tree(Module::new(), &syn::parse2(path).unwrap());
            }
            at += length.max(1);
        }
    }
}

/// How many tokens belong to the path `crate::…`, `self::…` or `super::…` that begins here.
fn path_length(tokens: &[TokenTree]) -> usize {
    let is_colon =
        |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
    let starts =
        matches!(&tokens[0], TokenTree::Ident(name) if name == "crate" || name == "self" || name == "super");
    let mut length = 1;
    while starts && is_colon(length) && is_colon(length + 1) {
        match tokens.get(length + 2) {
            Some(TokenTree::Ident(_)) => length += 3,
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => return length + 3,
            Some(TokenTree::Punct(mark)) if mark.as_char() == '*' => return length + 3,
            _ => break,
        }
    }
    if length == 1 { 0 } else { length }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if is_for_tests(&item.attrs) {
            return;
        }
        self.module.push(item.ident.to_string());
        if item.content.is_some() {
            visit_item_mod(self, item);
        } else {
            let child =
                self.modules.get(&self.module).unwrap_or_else(|| panic!("{:?} has no file", self.module));
            self.found.insert(child.clone());
        }
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() && !is_for_tests(&item.attrs) {
            self.follow_tree(Module::new(), &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let names: Module = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if path.leading_colon.is_none() && names.len() > 1 {
            self.follow(&names);
        }
        visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.follow_tokens(call.tokens.clone());
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        self.follow_tokens(list.tokens.clone());
    }

    /// `pub(super)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}
