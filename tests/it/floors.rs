//! The floors of the house: an import may only go down.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::visit::{self, Visit};

/// Each floor, and those that it may import from. What is not here is not allowed.
const FLOORS: [(&str, &[&str]); 21] = [
    ("amount", &[]),
    ("digest", &[]),
    ("diagnostic", &[]),
    ("threads", &[]),
    ("store", &["digest", "threads"]),
    ("stage", &["store", "digest", "diagnostic"]),
    ("program", &["stage", "store"]),
    ("pipeline", &["program", "stage", "store", "digest", "diagnostic"]),
    ("graph", &["pipeline", "stage", "digest", "diagnostic"]),
    ("plan", &["graph", "pipeline", "stage", "store", "digest", "diagnostic", "threads"]),
    ("run", &["plan", "graph", "pipeline", "stage", "store", "digest", "diagnostic", "threads"]),
    ("results", &["run", "plan", "graph", "pipeline", "stage", "store", "digest", "amount"]),
    ("search", &["results", "run", "plan", "graph", "pipeline", "store", "digest", "amount"]),
    ("report", &["results", "run", "plan", "graph", "pipeline", "stage", "store", "digest", "amount"]),
    ("ml", &[]),
    ("stages", &["stage", "ml"]),
    (
        "experiment",
        &["search", "results", "run", "plan", "graph", "pipeline", "stage", "stages", "store", "digest", "diagnostic"],
    ),
    ("serve", &["experiment", "results", "stage", "store", "digest"]),
    (
        "cli",
        &[
            "serve",
            "experiment",
            "report",
            "search",
            "results",
            "run",
            "plan",
            "graph",
            "pipeline",
            "stage",
            "stages",
            "store",
            "digest",
            "diagnostic",
            "amount",
            "threads",
            "ml",
        ],
    ),
    ("allocator", &[]),
    ("main", &["allocator", "cli", "stages"]),
];

/// What reports may see of the rooms that they do not stand on: events, what they carry, and how values and names are
/// written.
const EVENTS: [&str; 11] = [
    "event",
    "Event",
    "line",
    "Reporter",
    "Status",
    "PlanStatus",
    "Reason",
    "Counts",
    "InstanceId",
    "InstanceName",
    "plain",
];
/// What `stages` may see of the store: what flows between them.
const ARTIFACTS: [&str; 2] = ["Artifact", "ArtifactError"];

/// One import: what is named below the crate's root, `["run", "Event"]`.
type Import = Vec<String>;

struct Imports {
    module: Vec<String>,
    found: BTreeSet<Import>,
    /// Paths that may start at a module inside.
    inside: BTreeSet<Import>,
}

impl Imports {
    fn of(module: Vec<String>) -> Self {
        Self { module, found: BTreeSet::new(), inside: BTreeSet::new() }
    }

    /// Notes a path that starts at the crate's root.
    fn note(&mut self, path: &[String]) {
        let mut absolute = match path.first().map(String::as_str) {
            Some("crate" | "strata") => Vec::new(),
            Some("super" | "self") => self.module.clone(),
            _ => {
                self.inside.insert(self.module.iter().chain(path).cloned().collect());
                return;
            }
        };
        for part in path {
            match part.as_str() {
                "crate" | "strata" | "self" => {}
                "super" => drop(absolute.pop()),
                part => absolute.push(part.to_owned()),
            }
        }
        self.found.insert(absolute);
    }

    fn tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| prefix.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.note(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.note(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.note(prefix),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(prefix, item)),
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note(&names);
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of sources").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let below = folders.iter().flat_map(|folder| rust_files(folder));
    files.into_iter().filter(|file| file.extension().is_some_and(|e| e == "rs")).chain(below).collect()
}

/// `src/plan/decide.rs` is the module `plan::decide`, `src/plan/mod.rs` is `plan`.
fn module_of(file: &Path, source: &Path) -> Vec<String> {
    let inside = file.strip_prefix(source).expect("a file below src").with_extension("");
    let mut parts: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

fn imports(text: &str, module: Vec<String>) -> BTreeSet<Import> {
    let mut imports = Imports::of(module);
    imports.visit_file(&syn::parse_file(text).expect("sources can be parsed"));
    imports.found
}

/// What is wrong with an import, if anything is.
fn objection(floor: &str, import: &Import) -> Option<String> {
    let floors = BTreeMap::from(FLOORS);
    let to = import.first()?;
    let allowed = floors.get(floor)?;
    let name = import.get(1).map_or("*", String::as_str);
    let fine = match (floor, to.as_str()) {
        _ if to == floor || !floors.contains_key(to.as_str()) => true,
        ("report", "run" | "plan" | "graph" | "pipeline") => EVENTS.contains(&name),
        ("stages", "store") => ARTIFACTS.contains(&name),
        _ => allowed.contains(&to.as_str()),
    };
    (!fine).then(|| format!("{floor} must not import {}", import.join("::")))
}

/// What a file says about names: those that it defines, those that it hands on from elsewhere, and its imports.
#[derive(Default)]
struct File {
    defines: BTreeSet<String>,
    hands_on: BTreeMap<String, Import>,
    imports: BTreeSet<Import>,
}

/// The files of the crate by their modules, without their tests.
fn files() -> BTreeMap<Vec<String>, File> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    for path in rust_files(&source) {
        let module = module_of(&path, &source);
        let text = fs::read_to_string(&path).expect("a source file");
        let mut parsed = syn::parse_file(&text).expect("sources can be parsed");
        let is_test = |item: &syn::Item| matches!(item, syn::Item::Mod(item) if item.ident == "tests");
        parsed.items.retain(|item| !is_test(item));
        let mut file = File::default();
        for item in &parsed.items {
            let name = match item {
                syn::Item::Struct(item) => &item.ident,
                syn::Item::Enum(item) => &item.ident,
                syn::Item::Trait(item) => &item.ident,
                syn::Item::Type(item) => &item.ident,
                syn::Item::Fn(item) => &item.sig.ident,
                syn::Item::Const(item) => &item.ident,
                syn::Item::Static(item) => &item.ident,
                _ => continue,
            };
            file.defines.insert(name.to_string());
        }
        for item in &parsed.items {
            if let syn::Item::Use(item) = item
                && !matches!(item.vis, syn::Visibility::Inherited)
            {
                let mut handed = Imports::of(module.clone());
                handed.tree(&["self".to_owned()], &item.tree);
                for import in handed.found {
                    file.hands_on.extend(import.last().cloned().map(|name| (name, import)));
                }
            }
        }
        let mut imports = Imports::of(module.clone());
        imports.visit_file(&parsed);
        file.imports = imports.found.into_iter().chain(imports.inside).collect();
        files.insert(module, file);
    }
    files
}

/// The file that defines what a path names.
fn home(files: &BTreeMap<Vec<String>, File>, path: &[String], depth: usize) -> Option<Vec<String>> {
    let length = (1..=path.len()).rev().find(|&length| files.contains_key(&path[..length]))?;
    let (module, rest) = path.split_at(length);
    let file = &files[module];
    match rest.first() {
        Some(name) if file.defines.contains(name) => Some(module.to_vec()),
        Some(name) if depth < 8 => home(files, file.hands_on.get(name)?, depth + 1),
        _ => None,
    }
}

/// Files that import each other in a circle, each circle sorted.
fn circles(files: &BTreeMap<Vec<String>, File>) -> Vec<Vec<String>> {
    let mut graph = petgraph::graphmap::DiGraphMap::<&str, ()>::new();
    let names: BTreeMap<&Vec<String>, String> = files.keys().map(|module| (module, module.join("::"))).collect();
    for (module, file) in files {
        for import in &file.imports {
            // The face of a folder puts the files in it together; that is no import from outside.
            if let Some(home) = home(files, import, 0).filter(|home| !home.starts_with(module)) {
                graph.add_edge(&names[module], &names[files.get_key_value(&home).expect("a file").0], ());
            }
        }
    }
    let mut circles: Vec<Vec<String>> = petgraph::algo::tarjan_scc(&graph)
        .into_iter()
        .filter(|component| component.len() > 1)
        .map(|component| component.into_iter().map(str::to_owned).collect())
        .collect();
    circles.iter_mut().for_each(|circle| circle.sort());
    circles
}

#[test]
fn no_two_files_import_each_other_in_a_circle() {
    let files = files();
    assert!(files.len() > 200, "{} files were read", files.len());
    assert_eq!(circles(&files), Vec::<Vec<String>>::new());
}

#[test]
fn a_circle_is_seen() {
    let file = |name: &str, import: &[&str]| {
        let import: Import = import.iter().map(|&part| part.to_owned()).collect();
        let file = File { defines: [name.to_owned()].into(), imports: [import].into(), ..File::default() };
        (vec!["run".to_owned(), name.to_lowercase()], file)
    };
    let open = BTreeMap::from([file("A", &["run", "b", "B"]), file("B", &["run", "c", "C"])]);
    assert!(circles(&open).is_empty());
    let closed = BTreeMap::from([file("A", &["run", "b", "B"]), file("B", &["run", "a", "A"])]);
    assert_eq!(circles(&closed), [["run::a", "run::b"]]);
}

/// The modules whose job is to print, and the verbs.
const PRINTS: [&str; 2] = ["cli", "report"];

#[test]
fn only_the_command_line_and_the_reports_print() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut printing = Vec::new();
    for path in rust_files(&source) {
        let text = fs::read_to_string(&path).expect("a source file");
        let floor = module_of(&path, &source).first().cloned().unwrap_or_default();
        // Macros are banned by a lint; what is left are the streams themselves.
        if ["stdout()", "stderr()"].iter().any(|stream| text.contains(stream)) && !PRINTS.contains(&floor.as_str()) {
            printing.push(path.display().to_string());
        }
    }
    assert_eq!(printing, Vec::<String>::new());
}

#[test]
fn imports_only_go_down() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut objections = Vec::new();
    let mut seen = BTreeSet::new();
    for file in rust_files(&source) {
        let module = module_of(&file, &source);
        let floor = module.first().expect("every file is a module").clone();
        if floor == "lib" {
            continue;
        }
        assert!(FLOORS.iter().any(|(name, _)| *name == floor), "{} is on no floor of the table", file.display());
        let text = fs::read_to_string(&file).expect("a source file");
        for import in imports(&text, module) {
            objections.extend(objection(&floor, &import).map(|words| format!("{}: {words}", file.display())));
            seen.extend(import.first().map(|to| (floor.clone(), to.clone())));
        }
    }
    assert_eq!(objections, Vec::<String>::new());
    // If the reader of imports saw nothing, nothing would be wrong either.
    assert!(seen.contains(&("run".into(), "store".into())) && seen.contains(&("report".into(), "run".into())));
}

#[test]
fn an_import_that_goes_up_is_seen() {
    let seen = |floor: &str, text: &str| {
        let found = imports(text, vec![floor.to_owned(), "inner".to_owned()]);
        found.iter().filter_map(|import| objection(floor, import)).collect::<Vec<_>>()
    };
    assert_eq!(seen("store", "use crate::{digest::StageKey, plan};"), ["store must not import plan"]);
    assert_eq!(seen("ml", "fn f() { crate::stage::Context::new() }"), ["ml must not import stage::Context::new"]);
    assert_eq!(seen("stage", "mod t { use super::super::super::plan::Plan; }"), ["stage must not import plan::Plan"]);
    assert_eq!(seen("report", "use crate::{run::Event, graph::Graph};"), ["report must not import graph::Graph"]);
    assert_eq!(seen("run", "use super::Options; use crate::store::Store;"), Vec::<String>::new());
}
