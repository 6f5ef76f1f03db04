//! `docs/table-writes.md` says of every write of the tables what a late, a repeated and a conflicting one does. No write is missing there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

const DOCUMENT: &str = include_str!("../docs/table-writes.md");

/// The calls of the AWS SDK that write, and our own functions that make them.
const WRITES: [&str; 12] = [
    "put_item",
    "update_item",
    "delete_item",
    "transact_write_items",
    "batch_write_item",
    "batch_write_items",
    "write_as_read",
    "write_unmarked",
    "compare_and_swap",
    "compare_and_swap_for",
    "compare_and_swap_with",
    "update_of",
];

/// What only carries out the writes of others.
const CARRIERS: [&str; 8] = [
    "item_update::send",
    "transaction::write",
    "store::batch_write_items",
    "item_update::write_as_read",
    "grants::update",
    "grants::compare_and_swap_for",
    "grants::compare_and_swap_with",
    "rate_limit::update_of",
];

#[test]
fn every_write_of_the_tables_is_in_the_document() {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/src/store");
    let mut found = BTreeSet::new();
    for file in rust_files(&store) {
        let source = std::fs::read_to_string(&file).unwrap();
        let mut writers = Writers { module: module(&file), function: String::new(), found: &mut found };
        writers.visit_file(&syn::parse_file(&source).unwrap());
    }
    for carrier in CARRIERS {
        assert!(found.remove(carrier), "{carrier} writes nothing any more");
    }
    let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let documented: BTreeSet<_> = rows.map(|(name, _)| name.to_owned()).collect();

    assert_eq!(found, documented, "written, and in the document");
}

/// `grants` of `grants.rs`, `store` of `store/mod.rs`.
fn module(file: &Path) -> String {
    let stem = file.file_stem().unwrap().to_str().unwrap();
    if stem == "mod" {
        file.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
    } else {
        stem.to_owned()
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Notes the functions that write.
struct Writers<'a> {
    module: String,
    function: String,
    found: &'a mut BTreeSet<String>,
}

impl Writers<'_> {
    fn note(&mut self) {
        self.found.insert(format!("{}::{}", self.module, self.function));
    }
}

impl<'ast> Visit<'ast> for Writers<'_> {
    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        let outer = std::mem::replace(&mut self.function, function.sig.ident.to_string());
        visit::visit_impl_item_fn(self, function);
        self.function = outer;
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        let outer = std::mem::replace(&mut self.function, function.sig.ident.to_string());
        visit::visit_item_fn(self, function);
        self.function = outer;
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let name = call.method.to_string();
        // An update of one item, or a transaction of a workspace, is written by `write`.
        if WRITES.contains(&name.as_str()) || name == "write" {
            self.note();
        }
        visit::visit_expr_method_call(self, call);
    }

    /// What a macro is given is not parsed.
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let text = call.tokens.to_string();
        if WRITES.iter().chain(&["write"]).any(|name| text.contains(&format!("{name} ("))) {
            self.note();
        }
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(path) = &*call.func {
            let names: Vec<_> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            let last = names.last().map(String::as_str).unwrap_or_default();
            if WRITES.contains(&last) || (names.len() > 1 && names[names.len() - 2] == "transaction" && last == "write")
            {
                self.note();
            }
        }
        visit::visit_expr_call(self, call);
    }
}
