//! Imports go down: no file of a crate imports, directly or through others, a file that imports it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, UseTree};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A module as its path from the root of its crate: `["store", "grants"]`.
type ModulePath = Vec<String>;

#[test]
fn no_file_imports_itself_through_others() {
    let mut cycles = Vec::new();
    for root in crate_roots() {
        let files = Crate::read(&root);
        let imports: BTreeMap<_, _> = files.modules.keys().map(|module| (module, files.imports(module))).collect();
        cycles.extend(imports.keys().filter_map(|module| {
            let cycle = shortest_cycle(module, &imports)?;
            let names: Vec<_> = cycle.iter().map(|module| format!("crate::{}", module.join("::"))).collect();
            Some(format!("{}: {}", root.display(), names.join(" -> ")))
        }));
    }
    assert!(cycles.is_empty(), "circles of imports:\n{}", cycles.join("\n"));
}

/// What the rule is about is found: a use of a type, of a function by its module's name, and one through a parent.
#[test]
fn imports_of_every_form_are_found() {
    let folder = std::env::temp_dir().join(format!("import-cycles-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("a")).unwrap();
    for (name, text) in [
        ("lib.rs", "mod a; mod b; mod c; #[cfg(test)] mod tests { use super::b; }"),
        ("a/mod.rs", "mod inner; use crate::{b::B, c};"),
        ("a/inner.rs", "use super::super::c::C; fn f() { crate::b::g() }"),
        ("b.rs", "//! `crate::a` in a comment is no import.\nstruct B; fn g() {}"),
        ("c.rs", "struct C; #[cfg(test)] mod tests { use crate::a::inner; }"),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }

    let files = Crate::read(&folder.join("lib.rs"));

    let module = |path: &[&str]| path.iter().map(ToString::to_string).collect::<ModulePath>();
    let imports = |path: &[&str]| files.imports(&module(path)).into_iter().collect::<Vec<_>>();
    assert_eq!(imports(&[]), Vec::<ModulePath>::new());
    assert_eq!(imports(&["a"]), [module(&["b"]), module(&["c"])]);
    assert_eq!(imports(&["a", "inner"]), [module(&["b"]), module(&["c"])]);
    assert_eq!(imports(&["b"]), Vec::<ModulePath>::new());
    assert_eq!(imports(&["c"]), Vec::<ModulePath>::new());
    std::fs::remove_dir_all(folder).unwrap();
}

/// Every `lib.rs` and `main.rs` of what is ours, but for the tests' own crate.
fn crate_roots() -> Vec<PathBuf> {
    let mut roots = Vec::new();
    for parent in ["functions", "infra", "."] {
        for entry in std::fs::read_dir(format!("{ROOT}/{parent}")).expect("a folder") {
            let source = entry.expect("an entry").path().join("src");
            roots.extend(["lib.rs", "main.rs"].map(|name| source.join(name)).into_iter().filter(|path| path.is_file()));
        }
    }
    assert!(roots.len() >= 20, "{roots:?}");
    roots.sort();
    roots
}

/// The files of a crate, by module. What is for tests alone is left out.
struct Crate {
    modules: BTreeMap<ModulePath, Vec<Item>>,
}

impl Crate {
    fn read(root: &Path) -> Self {
        let mut files = Self { modules: BTreeMap::new() };
        files.add(Vec::new(), root);
        files
    }

    fn add(&mut self, module: ModulePath, path: &Path) {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let folder = if ["lib.rs", "main.rs", "mod.rs"].contains(&name) {
            path.parent().expect("a folder").to_owned()
        } else {
            path.with_extension("")
        };
        let items: Vec<_> = file.items.into_iter().filter(|item| !is_for_tests(item)).collect();
        for item in &items {
            if let Item::Mod(ItemMod { ident, content: None, .. }) = item {
                let files = [folder.join(format!("{ident}.rs")), folder.join(format!("{ident}/mod.rs"))];
                let file = files.iter().find(|path| path.is_file()).unwrap_or_else(|| panic!("{files:?}"));
                self.add([&module[..], &[ident.to_string()]].concat(), file);
            }
        }
        self.modules.insert(module, items);
    }

    /// The other modules of the crate that a module's file names in its imports or in its code.
    fn imports(&self, module: &ModulePath) -> BTreeSet<ModulePath> {
        let mut paths = Paths(Vec::new());
        for item in &self.modules[module] {
            paths.visit_item(item);
        }
        let named = paths.0.iter().filter_map(|path| self.resolve(module, path));
        named.filter(|named| named != module).collect()
    }

    /// The innermost module of this crate that a path goes through; none if it leads into another crate.
    fn resolve(&self, module: &ModulePath, path: &[String]) -> Option<ModulePath> {
        let ups = path.iter().take_while(|segment| *segment == "super").count();
        let first = path.first()?;
        let absolute = match first.as_str() {
            "crate" => path[1..].to_vec(),
            "self" => [module, &path[1..]].concat(),
            "super" => [&module[..module.len().checked_sub(ups)?], &path[ups..]].concat(),
            _ => {
                let child = [&module[..], std::slice::from_ref(first)].concat();
                self.modules.contains_key(&child).then(|| [module, path].concat())?
            }
        };
        (0..=absolute.len())
            .rev()
            .map(|length| absolute[..length].to_vec())
            .find(|path| self.modules.contains_key(path))
    }
}

/// Every path of a piece of code, those of imports without their branches.
struct Paths(Vec<Vec<String>>);

impl Paths {
    fn add_tree(&mut self, before: &[String], tree: &UseTree) {
        match tree {
            UseTree::Path(path) => self.add_tree(&[before, &[path.ident.to_string()]].concat(), &path.tree),
            UseTree::Name(name) => self.0.push([before, &[name.ident.to_string()]].concat()),
            UseTree::Rename(rename) => self.0.push([before, &[rename.ident.to_string()]].concat()),
            UseTree::Glob(_) => self.0.push(before.to_vec()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(before, tree)),
        }
    }
}

impl<'a> Visit<'a> for Paths {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_for_tests(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        // One word alone is a name of this file, or one that an import brought.
        if path.segments.len() > 1 && path.leading_colon.is_none() {
            self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }
}

fn is_for_tests(item: &Item) -> bool {
    let attributes: &[Attribute] = match item {
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        _ => &[],
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

/// The shortest way from a module back to it, if it is the first of that circle by name.
fn shortest_cycle(
    start: &ModulePath,
    imports: &BTreeMap<&ModulePath, BTreeSet<ModulePath>>,
) -> Option<Vec<ModulePath>> {
    let mut ways = vec![vec![start.clone()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in way.last().and_then(|last| imports.get(last)).into_iter().flatten() {
                if next == start {
                    return way.iter().all(|module| module >= start).then_some(way);
                }
                if seen.insert(next.clone()) {
                    longer.push([&way[..], std::slice::from_ref(next)].concat());
                }
            }
        }
        ways = longer;
    }
    None
}
