use std::fs;

use super::*;

fn variables() -> Variables {
    [("TOOLS_AT".to_owned(), "https://tools.example".to_owned())].into()
}

fn parsed(text: &str) -> Result<WorkspaceFile, ValidationErrors> {
    WorkspaceFile::parse(text, "demo.yaml", None, &variables())
}

/// The errors of a text, a line each.
fn errors(text: &str) -> Vec<String> {
    parsed(text).map_or_else(|wrong| wrong.to_string().lines().map(str::to_owned).collect(), |_| Vec::new())
}

/// The errors of Acme with these lines, the first of which is the fourth of the file.
fn of_acme(lines: &str) -> Vec<String> {
    let lines = format!("    {}\n", lines.trim_end().replace('\n', "\n    "));
    errors(&format!("tenants:\n  acme: {{ name: Acme }}\n{lines}").replace(" { name: Acme }", "\n    name: Acme"))
}

#[test]
fn the_file_as_a_whole_is_validated() {
    for (text, expected) in [
        ("", "demo.yaml: the file is empty"),
        ("# nothing\n", "demo.yaml: the file is empty"),
        ("tenants", "demo.yaml:1:1: the file: this must be a mapping with tenants, local, not text"),
        (
            "tenant:\n  acme: { name: Acme }",
            "demo.yaml:1:1: the file: `tenant` is not a key of it; did you mean `tenants`?",
        ),
        (
            "tenants: [acme]",
            "demo.yaml:1:10: the file: `tenants` must be a mapping of each tenant by its name, not a list",
        ),
        ("tenants:\n\tacme: 1", "demo.yaml:2:2: this is not YAML: tabs"),
        ("tenants: {}\n---\ntenants: {}", "demo.yaml:2:1: a file holds one document: what follows `---` is not read"),
        ("tenants:\n  Acme: { name: Acme }", "demo.yaml:2:3: tenant Acme: a tenant's id has 1 to 64 of `a-z 0-9 _ -`"),
        ("tenants:\n  acme: {}", "demo.yaml:2:3: tenant acme: `name` is missing"),
        (
            "tenants:\n  acme: Acme",
            "demo.yaml:2:9: tenant acme: this must be a mapping with name, roles, members, tools, skills, entity_types, entities, views, documents, not text",
        ),
        (
            "tenants:\n  a: { name: A }\n  b: { name: B }\n  a: { name: C }",
            "demo.yaml:4:3: `a` stands in line 2 already",
        ),
        ("tenants:\n  a: &a { name: A }\n  b: *a", "demo.yaml:3:6: `*…` repeats what stands elsewhere: write it out"),
        (
            "tenants:\n  a: { name: !Ref A }",
            "demo.yaml:2:14: `!…` has no meaning here: put text that begins with it in quotes",
        ),
        ("tenants:\n  a: { [b]: c, name: A }", "demo.yaml:2:8: a key must be text"),
    ] {
        let found = errors(text);
        assert!(found.first().is_some_and(|first| first.starts_with(expected)), "{text:?}: {found:#?}");
    }
}

/// What the local system may do besides; a deployment is given nothing of it.
#[test]
fn local_origins_are_read_beside_the_tenants() {
    let file =
        parsed("tenants: {}\nlocal: { outbound_allow: [http://localhost:3000, HTTPS://Tools.Example.com/] }").unwrap();
    let origins: Vec<_> = file.outbound_allow().iter().map(ToString::to_string).collect();
    assert_eq!(origins, ["http://localhost:3000", "https://tools.example.com"]);
    for none in ["", "local:", "local: {}", "local: { outbound_allow: }"] {
        assert_eq!(parsed(&format!("tenants: {{}}\n{none}")).unwrap().outbound_allow(), [], "{none}");
    }

    for (local, expected) in [
        ("yes", "demo.yaml:2:8: the local system: this must be a mapping with outbound_allow, not text"),
        ("{ outbound: [] }", "demo.yaml:2:10: the local system: `outbound` is not a key of it"),
        (
            "{ outbound_allow: http://localhost }",
            "demo.yaml:2:26: the local system: `outbound_allow` must be a list of origins, not text",
        ),
        ("{ outbound_allow: [3000] }", "demo.yaml:2:27: the local system: an origin must be text, not a number"),
        (
            "{ outbound_allow: [localhost:3000] }",
            "demo.yaml:2:27: the local system: `localhost:3000` is no origin: http or https, a host and a port, such as \
             http://localhost:3000",
        ),
    ] {
        let found = errors(&format!("tenants: {{}}\nlocal: {local}"));
        assert!(found.first().is_some_and(|first| first.starts_with(expected)), "{local}: {found:#?}");
    }
}

#[test]
fn validation_errors_name_their_location_and_what_is_allowed() {
    for (lines, expected) in [
        (
            "roles:\n  editor: [entities:wirte]",
            "demo.yaml:5:16: role editor of tenant acme: `entities:wirte` is no permission; did you mean `entities:write`?",
        ),
        (
            "roles:\n  editor: [offline_access]",
            "demo.yaml:5:16: role editor of tenant acme: `offline_access` is no permission; allowed are tools:execute, \
             skills:read, views:read, entities:read, entities:write, documents:read, documents:write, chat:create, \
             connections:manage",
        ),
        (
            "roles:\n  editor: [7]",
            "demo.yaml:5:16: role editor of tenant acme: a permission must be text, not a number",
        ),
        (
            "roles:\n  editor: all",
            "demo.yaml:5:15: role editor of tenant acme: this must be a list of permissions, not text",
        ),
        (
            "roles:\n  an editor: []",
            "demo.yaml:5:7: role an editor of tenant acme: a name has 1 to 64 of `A-Z a-z 0-9 _ -`",
        ),
        (
            "members:\n  Ana: { role: owner }",
            "demo.yaml:5:7: member Ana of tenant acme: a member is named by their id at the sign-in service: a UUID in lower case",
        ),
        (
            "members:\n  5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01: { role: ownr }",
            "demo.yaml:5:53: member 5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01 of tenant acme: `ownr` is no role of this tenant; did \
             you mean `owner`?",
        ),
        (
            "members:\n  5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01: { role: boss }\nroles: { editor: [] }",
            "demo.yaml:5:53: member 5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01 of tenant acme: `boss` is no role of this tenant; \
             allowed are editor, owner, admin, member, viewer",
        ),
        (
            "skills:\n  report: { titel: Report, description: How, content: Do }",
            "demo.yaml:5:7: skill report of tenant acme: `title` is missing\n\
             demo.yaml:5:17: skill report of tenant acme: `titel` is not a key of it; did you mean `title`?",
        ),
        (
            "skills:\n  report: { title: 2024, description: true, content: }",
            "demo.yaml:5:24: skill report of tenant acme: `title` must be text (put it in quotes), not a number\n\
             demo.yaml:5:43: skill report of tenant acme: `description` must be text (put it in quotes), not true or false\n\
             demo.yaml:5:56: skill report of tenant acme: `content` must be text, not nothing",
        ),
        (
            "skills:\n  report: { title: '', description: How, content: A, content_file: a.md }",
            "demo.yaml:5:24: skill report of tenant acme: `title` is empty\n\
             demo.yaml:5:72: skill report of tenant acme: `content` and `content_file` exclude each other",
        ),
        (
            "skills:\n  report: { title: Report, description: How }",
            "demo.yaml:5:7: skill report of tenant acme: `content` or `content_file` is missing",
        ),
        (
            "skills:\n  report: { title: Report, description: How, content_file: a.md }",
            "demo.yaml:5:64: skill report of tenant acme: `content_file` needs a workspace file that is read from a folder",
        ),
    ] {
        assert_eq!(of_acme(lines).join("\n"), expected, "{lines}");
    }
}

#[test]
fn tools_are_validated() {
    for (lines, expected) in [
        (
            "tools:\n  list_skills: { title: A, description: B, url: 'https://a.example', input_schema: { type: object } }",
            "demo.yaml:5:7: tool list_skills of tenant acme: the name is one of the built-in tools'",
        ),
        (
            "tools:\n  a: { title: A, description: B, url: ftp://a.example, input_schema: { type: object } }",
            "demo.yaml:5:43: tool a of tenant acme: the url must be http or https, without credentials or fragment, of at \
             most 1,024 bytes",
        ),
        (
            "tools:\n  a: { title: A, description: B, function: invoices, input_schema: { type: object } }",
            "demo.yaml:5:48: tool a of tenant acme: the function must be the ARN of a Lambda function, with or without an alias \
             or version",
        ),
        (
            "tools:\n  a: { title: A, description: B, url: 'https://a.example', function: invoices, input_schema: { type: object } }",
            "demo.yaml:5:74: tool a of tenant acme: `url` and `function` exclude each other",
        ),
        (
            "tools:\n  a: { title: A, description: B, input_schema: { type: object } }",
            "demo.yaml:5:7: tool a of tenant acme: `url` is missing",
        ),
        (
            "tools:\n  a: { title: A, description: B, url: '${TOOLS_AR}/a', input_schema: { type: object } }",
            "demo.yaml:5:43: tool a of tenant acme: `${TOOLS_AR}` is not a variable; did you mean `TOOLS_AT`?",
        ),
        (
            "tools:\n  a: { title: A, description: B, url: '${TOOLS_AT', input_schema: { type: object } }",
            "demo.yaml:5:43: tool a of tenant acme: `${` is not closed",
        ),
        (
            "tools:\n  a: { title: A, description: B, url: 'https://a.example', timeout_seconds: 60, read_only: 1, input_schema: { type: object } }",
            "demo.yaml:5:81: tool a of tenant acme: `timeout_seconds` must be a whole number from 1 to 25, not 60\n\
             demo.yaml:5:96: tool a of tenant acme: `read_only` must be true or false, not a number",
        ),
        (
            "tools:\n  a: { title: A, description: B, url: 'https://a.example', input_schema: { type: string } }",
            "demo.yaml:5:78: tool a of tenant acme: `input_schema`: the schema must have the type object",
        ),
        (
            "tools:\n  a: { title: A, description: B, url: 'https://a.example', input_schema: { type: object, anyOf: [ { required: [b] } ], properties: { b: {} } } }",
            "demo.yaml:5:94: tool a of tenant acme: `input_schema`: the input schema must not have anyOf, oneOf, allOf, enum or not \
             at its top: hosts refuse every tool for it",
        ),
        (
            "tools:\n  a: { title: A, description: B, url: 'https://a.example', input_schema: { type: object, properties: { $b: {}, c: { properties: { 'd e': {} } } } } }",
            "demo.yaml:5:108: tool a of tenant acme: `input_schema`: a property must have a name of 1 to 64 of A-Z, a-z, 0-9, _, . \
             and -: hosts refuse every tool for another\n\
             demo.yaml:5:135: tool a of tenant acme: `input_schema`: a property must have a name of 1 to 64 of A-Z, a-z, 0-9, _, . \
             and -: hosts refuse every tool for another",
        ),
        (
            "tools:\n  a: { title: A, description: B, url: 'https://a.example', input_schema: { type: object, properties: { b: { type: strin } } } }",
            "demo.yaml:5:113: tool a of tenant acme: `input_schema` is no JSON Schema: ",
        ),
    ] {
        let found = of_acme(lines).join("\n");
        let same = found == expected || expected.ends_with(": ") && found.starts_with(expected);
        assert!(
            same,
            "{lines}
{found}
{expected}"
        );
    }
}

/// Acme with an entity type, in one line, and these lines.
fn with_invoices(lines: &str) -> String {
    let schema = "{ type: object, properties: { due: { type: string }, paid: { type: boolean } }, required: [due], \
                  additionalProperties: false }";
    of_acme(&format!("entity_types: {{ invoice: {{ title: Invoice, description: One, schema: {schema} }} }}\n{lines}"))
        .join("\n")
}

#[test]
fn references_are_validated() {
    for (lines, expected) in [
        ("entities:\n  invoice:\n    one: { due: 2026-12-01, paid: true }\n    two: { due: soon }", ""),
        (
            "entities:\n  invoise:\n    one: { due: 2026-12-01 }",
            "demo.yaml:6:7: records of type invoise of tenant acme: `invoise` is no usable entity type of this tenant; did you mean \
             `invoice`?",
        ),
        (
            "entities:\n  invoice:\n    one: { paid: maybe, colour: red }\n    a b: {}\n    two: 2",
            "demo.yaml:7:14: invoice one of tenant acme: Additional properties are not allowed ('colour' was unexpected)\n\
             demo.yaml:7:14: invoice one of tenant acme: \"due\" is a required property\n\
             demo.yaml:7:16: invoice one of tenant acme: \"maybe\" is not of type \"boolean\"\n\
             demo.yaml:8:9: invoice a b of tenant acme: a name has 1 to 64 of `A-Z a-z 0-9 _ -`\n\
             demo.yaml:9:14: invoice two of tenant acme: this must be a mapping of its fields, not a number",
        ),
        (
            "views:\n  open: { title: Open, description: Open ones, type: invoices }",
            "demo.yaml:6:58: view open of tenant acme: `invoices` is no usable entity type of this tenant; did you mean `invoice`?",
        ),
        (
            "views:\n  open: { title: Open, description: Open ones, type: invoice, columns: [due, payed], sort: [{ field: du }], \
             filter: [{ field: paid, op: eq, value: false }, { field: state, op: exists }] }",
            "demo.yaml:6:82: view open of tenant acme: `payed` is no field of invoice; allowed are due, paid\n\
             demo.yaml:6:99: view open of tenant acme: `du` is no field of invoice; did you mean `due`?\n\
             demo.yaml:6:163: view open of tenant acme: `state` is no field of invoice; allowed are due, paid",
        ),
        (
            "views:\n  open: { title: Open, description: Open ones, type: invoice, filter: [{ field: paid, op: like }] }",
            "demo.yaml:6:76: view open of tenant acme: `filter[0]`: op is one of eq, ne, lt, le, gt, ge, in, contains, exists",
        ),
        (
            "views:\n  open: { title: Open, description: Open ones, filter: [] }",
            "demo.yaml:6:7: view open of tenant acme: `type` is missing",
        ),
        (
            "skills:\n  report: { title: Report, description: How, content: 'Of {{ week }}, {{weak}} and {{a b}}', arguments: { week: { \
             description: Which } } }",
            "demo.yaml:6:59: skill report of tenant acme: `{{weak}}` in its content is none of its arguments; did you mean `week`?",
        ),
        (
            "skills:\n  report: { title: Report, description: How, content: 'Of {{week}}' }",
            "demo.yaml:6:59: skill report of tenant acme: `{{week}}` in its content is none of its arguments; there are none",
        ),
        (
            "skills:\n  report: { title: Report, description: How, content: A, arguments: { week: { required: 1 }, a b: {} } }",
            "demo.yaml:6:75: argument week of skill report of tenant acme: `description` is missing\n\
             demo.yaml:6:93: argument week of skill report of tenant acme: `required` must be true or false, not a number\n\
             demo.yaml:6:98: argument a b of skill report of tenant acme: a name has 1 to 64 of `A-Z a-z 0-9 _ -`",
        ),
        (
            "documents:\n  a: { titel: A, content: B }",
            "demo.yaml:6:7: document a of tenant acme: `title` is missing\n\
             demo.yaml:6:12: document a of tenant acme: `titel` is not a key of it; did you mean `title`?",
        ),
    ] {
        assert_eq!(with_invoices(lines), expected, "{lines}");
    }
}

#[test]
fn all_validation_errors_are_reported_at_once() {
    let found = of_acme(
        "colour: red\n\
         members:\n  x: { role: owner }\n\
         skills:\n  a b: { title: A, description: B, content: C }\n  c: {}\n  c: {}\n",
    );
    let places: Vec<_> = found.iter().map(|line| line.split(':').nth(1).unwrap().to_owned()).collect();
    assert_eq!(places, ["4", "6", "8", "9", "9", "9", "10"], "{found:#?}");
}

#[test]
fn content_files_are_read_from_the_folder() {
    const OUTSIDE: &str = "must be a path below the folder of this file, without `..` and hidden names";

    let folder = std::env::temp_dir().join(format!("amble-workspace-{}", std::process::id()));
    fs::create_dir_all(folder.join("inside/skills")).unwrap();
    fs::write(folder.join("inside/skills/a.md"), "# A\n").unwrap();
    fs::write(folder.join("inside/long.md"), "a".repeat(256 * 1024 + 1)).unwrap();
    fs::write(folder.join("inside/bytes.md"), [0xff]).unwrap();
    fs::write(folder.join("outside.md"), "secret").unwrap();
    std::os::unix::fs::symlink(folder.join("outside.md"), folder.join("inside/link.md")).unwrap();
    fs::write(folder.join("inside/.env"), "secret").unwrap();
    std::os::unix::fs::symlink(folder.join("inside/.env"), folder.join("inside/notes.md")).unwrap();
    let path = folder.join("inside/file.yaml");
    let of = |named: &str| {
        let skill = format!("{{ title: A, description: B, content_file: {named} }}");
        fs::write(&path, format!("tenants:\n  acme:\n    name: Acme\n    skills:\n      a: {skill}\n")).unwrap();
        WorkspaceFile::read(&path, &variables()).map(|file| file.tenants[0].items[0].comparable()["content"].clone())
    };

    assert_eq!(of("skills/a.md").unwrap(), "# A\n");
    for (named, wrong) in [
        ("../outside.md", OUTSIDE),
        ("/etc/hostname", OUTSIDE),
        (".env", OUTSIDE),
        (".aws/credentials", OUTSIDE),
        ("notes/.git/config", OUTSIDE),
        ("link.md", "is not in the folder of this file"),
        ("notes.md", "is not in the folder of this file"),
        ("long.md", "is longer than 262144 bytes"),
        ("bytes.md", "is not text in UTF-8"),
        ("none.md", "cannot be read: No such file or directory (os error 2)"),
    ] {
        let expected = format!("{}:5:52: skill a of tenant acme: `{named}` {wrong}", path.display());
        assert_eq!(of(named).unwrap_err().to_string(), expected);
    }
    let none = WorkspaceFile::read(&folder.join("none.yaml"), &variables()).unwrap_err().to_string();
    assert!(none.ends_with("none.yaml: cannot be read: No such file or directory (os error 2)"), "{none}");
    fs::remove_dir_all(folder).unwrap();
}
