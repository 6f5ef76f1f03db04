//! The rules that hold the house together, read off its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What a function may do on AWS is the fields of its struct, made by `shared::environment`: it has no SDK of its own, and it
/// knows neither another function nor anything that is local.
#[test]
fn functions_depend_on_no_aws_crate_and_not_on_each_other() {
    let functions = names(&format!("{ROOT}/functions"));
    assert_eq!(
        functions,
        ["admin", "audit", "authorize", "feed", "login", "mcp", "people", "register", "revoke", "token", "wellknown"]
    );

    for function in &functions {
        let manifest = read(&format!("{ROOT}/functions/{function}/Cargo.toml"));
        let (_, dependencies) = manifest.split_once("[dependencies]").expect("dependencies");
        for line in dependencies.lines().take_while(|line| !line.starts_with("[lints")) {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            let foreign = name.starts_with("aws-") || ["local", "fakes"].contains(&name);
            assert!(!foreign && !functions.iter().any(|other| other == name), "{function} depends on {name}");
        }
    }
}

/// Every `main.rs` of a function is the same but for its name.
#[test]
fn every_function_main_is_the_same() {
    let mut shapes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for function in names(&format!("{ROOT}/functions")) {
        let main = read(&format!("{ROOT}/functions/{function}/src/main.rs"));
        let lib = read(&format!("{ROOT}/functions/{function}/src/lib.rs"));
        // One has nobody to answer.
        let main = main.replace("lambda::listen(", "lambda::serve(");
        let kind = lib.split("impl Function for ").nth(1).or_else(|| lib.split("impl Listener for ").nth(1));
        let kind = kind.and_then(|rest| rest.split(' ').next()).expect("a function");
        let shape = main.replace(&format!("{function}::"), "name::").replace(&format!("`{function}`"), "`name`");
        // Imports stand in the order of their names.
        let mut lines: Vec<_> = shape.lines().map(|line| line.replace(kind, "Kind")).collect();
        lines.sort();
        shapes.entry(lines.join("\n")).or_default().push(function);
    }
    assert_eq!(shapes.len(), 1, "{shapes:#?}");
}

/// A module enters `shared` when a second function needs it.
#[test]
fn shared_modules_serve_two_functions() {
    // The workspace is written by the local system too.
    const ONE_IS_ENOUGH: [&str; 1] = ["store::workspace"];
    let uses: Vec<String> = names(&format!("{ROOT}/functions"))
        .iter()
        .map(|function| sources(&format!("{ROOT}/functions/{function}/src")).iter().map(|path| read(path)).collect())
        .collect();
    let inside: String = sources(&format!("{ROOT}/shared/src")).iter().map(|path| read(path)).collect();

    for module in names(&format!("{ROOT}/shared/src")) {
        let module = module.trim_end_matches(".rs");
        if ["lib", "store"].contains(&module) || ONE_IS_ENOUGH.contains(&module) {
            continue;
        }
        let direct = uses.iter().filter(|text| text.contains(&format!("shared::{module}"))).count();
        // What other shared modules stand on serves whoever they serve.
        let through = inside.contains(&format!("crate::{module}"));
        assert!(direct >= 2 || through, "shared::{module} serves {direct} functions");
    }
}

/// Nobody reaches a tenant's things but by an `Access`; whoever holds the deployment itself needs none, and is no function.
#[test]
fn no_function_uses_operator_access() {
    for path in sources(&format!("{ROOT}/functions")) {
        assert!(!read(&path).contains("as_operator"), "{path}");
    }
}

/// No drawers, and no second name for a thing.
#[test]
fn no_utility_files_and_no_re_exports() {
    for folder in ["functions", "shared", "infra", "tests"] {
        for path in sources(&format!("{ROOT}/{folder}")) {
            let stem = Path::new(&path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
            let drawer = ["util", "utils", "helper", "helpers", "common", "types", "models", "prelude", "misc"];
            assert!(!drawer.contains(&stem.as_str()), "{path}");
            let text = read(&path);
            assert!(
                !text.lines().any(|line| line.trim_start().starts_with("pub use ") && !line.contains("lambda_http")),
                "{path} re-exports"
            );
        }
    }
}

/// Words that this project once coined, each for something that has a standard name (docs/glossary.md).
#[test]
fn no_coined_word_names_a_type_or_a_file() {
    const COINED: [&str; 64] = [
        "Again",
        "Asked",
        "Back",
        "Bar",
        "Beyond",
        "By",
        "Complaint",
        "Declined",
        "Deed",
        "Desk",
        "Destination",
        "Dice",
        "Direct",
        "Door",
        "Ear",
        "Elsewhere",
        "Ended",
        "Ender",
        "Ending",
        "Era",
        "Fault",
        "Halfway",
        "Hearing",
        "Hears",
        "House",
        "Journey",
        "Known",
        "Leads",
        "Life",
        "Listed",
        "Manager",
        "Misconfigured",
        "Mistake",
        "NoKey",
        "Overheard",
        "Own",
        "Patience",
        "Play",
        "Presented",
        "Proven",
        "Question",
        "Reach",
        "Refusal",
        "Refused",
        "Said",
        "Salt",
        "Shell",
        "Sought",
        "Spare",
        "Stage",
        "Standing",
        "StandIn",
        "StandStill",
        "Stranded",
        "Theatre",
        "Told",
        "Trail",
        "Turn",
        "Visible",
        "Wanted",
        "Watch",
        "Way",
        "Work",
        "World",
    ];
    let kinds = ["struct ", "enum ", "trait ", "type "];
    for folder in ["functions", "shared", "infra", "tests"] {
        for path in sources(&format!("{ROOT}/{folder}")) {
            let stem = Path::new(&path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().replace('_', "");
            assert!(!COINED.iter().any(|word| word.eq_ignore_ascii_case(&stem)), "{path}");
            for line in read(&path).lines() {
                let line = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
                let line = line.trim_start_matches("pub ");
                let Some(rest) = kinds.iter().find_map(|kind| line.strip_prefix(kind)) else { continue };
                let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
                let negation = name.strip_prefix("Un").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_lowercase()));
                assert!(!COINED.contains(&name.as_str()) && !negation, "{path} names a type {name}");
            }
        }
    }
}

/// What the README shows of the first command is what it prints.
#[test]
fn readme_shows_the_printed_output() {
    let (readme, printed) = (read(&format!("{ROOT}/README.md")), read(&format!("{ROOT}/infra/local/src/main.rs")));
    let shown = readme.split("```").find(|block| block.contains("is running")).expect("what it prints");
    let sentences: Vec<_> = shown.lines().filter(|line| line.ends_with(':')).collect();
    assert_eq!(sentences.len(), 2, "{shown}");
    for sentence in sentences {
        assert!(printed.contains(sentence), "{sentence}");
    }
}

/// The mail that an operator copies into their project is the file beside what its database runs.
#[test]
fn documents_show_the_mail_template() {
    let page = read(&format!("{ROOT}/docs/supabase.md"));
    let template = read(&format!("{ROOT}/infra/supabase/sign-in-mail.html"));
    assert!(page.contains(&format!("```html\n{template}```\n")), "{template}");
    assert!(page.contains("`infra/supabase/sign-in-mail.html`"));

    // A code, and a link that comes back to us with its hash, in mails of ours alone; in all others what was there.
    let (ours, others) = template.split_once("{{ else }}").unwrap();
    for part in ["\"CALLBACK\"", "{{ .Token }}", "\"{{ .RedirectTo }}&token_hash={{ .TokenHash }}\""] {
        assert!(ours.contains(part) && !others.contains(part), "{part}");
    }
    // Where our page is, the deployment says: `AuthPath` moves it.
    assert!(!template.contains("/auth"), "{template}");
    assert!(page.contains("Replace `CALLBACK` by the output `NextSupabase` without the `**` at its end."));
    assert!(others.contains("{{ .ConfirmationURL }}") && !ours.contains(".ConfirmationURL"));
    assert!(others.trim_end().ends_with("{{ end }}"));
}

/// A bare `cargo run` starts the local system: one package alone says what it runs.
#[test]
fn cargo_run_starts_the_local_system() {
    let packages = names(&format!("{ROOT}/infra")).into_iter().map(|name| format!("{ROOT}/infra/{name}/Cargo.toml"));
    let manifests = packages.filter_map(|path| std::fs::read_to_string(path).ok());
    let running = manifests.filter(|manifest| manifest.contains("\ndefault-run"));
    let names: Vec<_> = running.map(|manifest| manifest.lines().nth(1).unwrap().to_owned()).collect();
    assert_eq!(names, ["name = \"local\""]);
}

/// A rule that the threat model names is held by a test of that name.
#[test]
fn threat_model_names_tests_that_exist() {
    let document = read(&format!("{ROOT}/docs/threat-model.md"));
    let tests: String = sources(&format!("{ROOT}/tests")).iter().map(|path| read(path)).collect();
    let named = document.split('`').skip(1).step_by(2).filter(|word| word.matches('_').count() >= 3);
    let named: Vec<_> =
        named.filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).collect();

    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(tests.contains(&format!("fn {name}(")), "{name}");
    }
}

/// Every dependency says why it is there.
#[test]
fn every_dependency_has_its_reason() {
    let manifest = read(&format!("{ROOT}/Cargo.toml"));
    let (_, rest) = manifest.split_once("[workspace.dependencies]").expect("dependencies");
    let ours = [
        "shared",
        "audit",
        "admin",
        "authorize",
        "login",
        "mcp",
        "feed",
        "people",
        "register",
        "revoke",
        "token",
        "wellknown",
        "attempt-log",
        "derived-schema",
        "supabase-users",
        "local",
        "fakes",
        "tests",
        "workspace-file",
    ];
    for line in rest.lines().take_while(|line| !line.starts_with('[')) {
        let name = line.split(' ').next().unwrap_or_default();
        if line.contains('=') && !line.starts_with('#') && !ours.contains(&name) {
            assert!(line.contains("  # "), "no reason: {line}");
        }
    }
}

fn names(folder: &str) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    names
}

fn sources(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::from(folder)];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            if !path.ends_with("node_modules") && !path.ends_with("target") {
                waiting
                    .extend(std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path.to_string_lossy().into_owned());
        }
    }
    found
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
