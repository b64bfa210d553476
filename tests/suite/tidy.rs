//! Holds the sources to the rules of ARCHITECTURE.md and of the style that a compiler cannot hold.
//! Every rule is a test of its own, which first shows that it can fail. It must not check what a
//! lint checks already.

mod features;
mod rule;
mod scan;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use rule::{Rule, Source, hold, in_tests, problems, under};
use scan::words;

#[test]
fn a_file_opens_with_its_purpose() {
    hold(
        &Rule {
            applies: |_| true,
            line: |_, _| false,
            whole: |source| {
                let opens = source.text.starts_with("//!");
                (!opens).then(|| "the first line is not `//!`: what is the file for?".to_owned())
            },
        },
        &[("src/a.rs", "use std::fmt;\n"), ("build.rs", "\n//! Late.\n")],
        &[("src/a.rs", "//! For this, not for that.\n")],
    );
}

#[test]
fn a_file_has_at_most_600_lines() {
    let rule = Rule {
        applies: |path| !in_tests(path),
        line: |_, _| false,
        whole: |source| {
            let lines = source.text.lines().count();
            (lines > 600).then(|| format!("{lines} lines"))
        },
    };
    let long = "//! Long.\n".repeat(601);
    hold(&rule, &[("src/a.rs", &long)], &[("tests/a.rs", &long), ("src/a.rs", "//! Short.\n")]);
}

#[test]
fn nine_of_ten_files_have_at_most_400_lines() {
    let short_enough = |mut lengths: Vec<usize>| {
        lengths.sort_unstable();
        lengths.get(lengths.len() * 9 / 10).is_none_or(|length| *length <= 400)
    };
    assert!(!short_enough(vec![10, 20, 30, 40, 50, 60, 70, 80, 401, 402]));
    assert!(short_enough(vec![10, 20, 30, 40, 50, 60, 70, 80, 90, 400]));
    let files = rule::sources();
    let lengths = files.iter().filter(|source| !in_tests(&source.path));
    assert!(short_enough(lengths.map(|source| source.text.lines().count()).collect()));
}

#[test]
fn files_have_names_that_say_something() {
    let rule = Rule {
        applies: |_| true,
        line: |_, _| false,
        whole: |source| {
            let name = source.path.rsplit('/').next().unwrap_or_default();
            [
                "mod.rs",
                "utils.rs",
                "util.rs",
                "common.rs",
                "helpers.rs",
                "helper.rs",
                "manager.rs",
                "misc.rs",
            ]
            .contains(&name)
            .then(|| "not a name that says anything".to_owned())
        },
    };
    hold(&rule, &[("src/mod.rs", ""), ("crates/a/src/utils.rs", "")], &[("src/modern.rs", "")]);
}

#[test]
fn nothing_is_left_for_later() {
    let rule = Rule {
        applies: |_| true,
        whole: |_| None,
        line: |raw, code| {
            let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("HA", "CK")];
            words(raw).any(|word| marks.contains(&word))
                || words(code).any(|word| word == concat!("to", "do"))
                || code.contains(concat!("unimple", "mented!"))
        },
    };
    hold(
        &rule,
        &[
            ("src/a.rs", concat!("// TO", "DO: more\n")),
            ("src/a.rs", concat!("fn f() { to", "do!() }\n")),
            ("tests/a.rs", concat!("fn f() { unimple", "mented!() }\n")),
        ],
        &[("src/a.rs", "// A hackathon, and what is to do.\n")],
    );
}

#[test]
fn tests_are_neither_ignored_nor_asleep() {
    let rule = Rule {
        applies: in_tests,
        whole: |_| None,
        line: |_, code| {
            let squeezed: String = code.split_whitespace().collect();
            squeezed.contains("#[ignore")
                || (words(code).any(|word| word == "sleep") && !code.contains(".sleep("))
        },
    };
    hold(
        &rule,
        &[
            ("tests/a.rs", "#[ignore]\n"),
            ("crates/a/tests/a.rs", "#[ignore = \"slow\"]\n"),
            ("tests/a.rs", "thread::sleep(second);\n"),
            ("src/a/tests.rs", "tokio::time::sleep(second).await;\n"),
        ],
        &[
            ("tests/a.rs", "// sleep\nlet text = \"#[ignore]\";\ncx.sleep(t).await\n"),
            ("src/a.rs", "sleep(x)\n"),
        ],
    );
}

#[test]
fn imports_name_what_they_import() {
    let rule = Rule {
        applies: |_| true,
        whole: |_| None,
        line: |_, code| {
            let code = code.trim().trim_start_matches("pub ");
            // In a test module the parent is what is tested, all of it.
            code.starts_with("use ") && code.contains('*') && code != "use super::*;"
        },
    };
    hold(
        &rule,
        &[("src/a.rs", "use std::fmt::*;\n"), ("src/a.rs", "    pub use crate::{a, b::*};\n")],
        &[("src/a.rs", "    use super::*;\n"), ("src/a.rs", "let use_it = 3 * 4;\n")],
    );
}

#[test]
fn no_file_knows_a_machine() {
    let places = [
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("/Us", "ers/"),
        concat!("arti", "factory"),
    ];
    let names = |text: &str| places.iter().any(|place| text.contains(place));
    assert!(names(concat!("see /ho", "me/somebody/notes")));
    assert!(!names("see the workbench and /proc/self/fd"));
    let found: Vec<String> =
        rule::texts().into_iter().filter(|text| names(&text.text)).map(|text| text.path).collect();
    assert!(found.is_empty(), "paths or hosts of a machine in {found:?}");
}

#[test]
fn grpc_stays_in_the_api() {
    let rule = Rule {
        // The command line is a client of the public API, like any other program.
        applies: |path| {
            under(path, "src")
                && !["src/api", "src/app", "src/cli/operations"]
                    .iter()
                    .any(|allowed| under(path, allowed))
        },
        whole: |_| None,
        line: |_, code| words(code).any(|word| word == "tonic" || word.starts_with("tonic_")),
    };
    hold(
        &rule,
        &[("src/engine.rs", "use tonic::Status;\n"), ("src/store/a.rs", "tonic_types::x()\n")],
        &[("src/api/a.rs", "use tonic::Status;\n"), ("src/engine.rs", "// tonic drops it\n")],
    );
}

#[test]
fn status_codes_are_named_in_one_file() {
    let rule = Rule {
        applies: |path| {
            under(path, "src") && path != "src/api/status.rs" && !under(path, "src/api/status")
        },
        whole: |_| None,
        line: |_, code| {
            code.split("tonic::").skip(1).any(|rest| words(rest).next() == Some("Code"))
                || (code.contains("use tonic::") && words(code).any(|word| word == "Code"))
        },
    };
    hold(
        &rule,
        &[
            ("src/api/a.rs", "tonic::Code::NotFound\n"),
            ("src/app.rs", "use tonic::{Code, Status};\n"),
        ],
        &[("src/api/status.rs", "use tonic::Code;\n"), ("src/api/a.rs", "use tonic::Coded;\n")],
    );
}

#[test]
fn sql_stays_in_the_store() {
    let rule = Rule {
        applies: |path| under(path, "src") && !under(path, "src/store"),
        whole: |_| None,
        line: |raw, code| {
            let starts = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "PRAGMA "];
            words(code).any(|word| word == "rusqlite")
                || starts.iter().any(|start| raw.contains(&format!("\"{start}")))
        },
    };
    hold(
        &rule,
        &[
            ("src/engine/a.rs", "use rusqlite::Connection;\n"),
            ("src/api/a.rs", "db.run(\"SELECT 1\")\n"),
        ],
        &[("src/store/a.rs", "use rusqlite::Row;\n"), ("src/api/a.rs", "// rusqlite\n")],
    );
}

#[test]
fn unsafe_code_stays_at_the_boundary() {
    let rule = Rule {
        applies: |path| {
            !["crates/abi", "crates/sdk/src/dispatch", "src/plugin/loader", "tests/plugins/raw"]
                .iter()
                .any(|allowed| under(path, allowed))
        },
        whole: |_| None,
        line: |_, code| words(code).any(|word| word == "unsafe" || word == "libloading"),
    };
    hold(
        &rule,
        &[("src/plugin/a.rs", "unsafe { x() }\n"), ("src/a.rs", "libloading::Library\n")],
        &[("src/plugin/loader.rs", "unsafe { x() }\n"), ("src/a.rs", "// unsafe, \"unsafe\"\n")],
    );
}

#[test]
fn the_environment_is_read_by_the_configuration() {
    let rule = Rule {
        applies: |path| {
            (under(path, "src") || under(path, "crates/sdk") || under(path, "plugins"))
                && !under(path, "src/config")
                && !path.ends_with("build.rs")
        },
        whole: |_| None,
        line: |_, code| {
            ["env::var", "env::vars", "env::var_os", "set_var"]
                .iter()
                .any(|call| code.contains(call))
        },
    };
    hold(
        &rule,
        &[("src/app.rs", "std::env::var(name)\n"), ("plugins/a/src/lib.rs", "env::vars_os()\n")],
        &[("src/config/environment.rs", "env::var(name)\n"), ("src/a.rs", "env!(\"NAME\")\n")],
    );
}

#[test]
fn the_host_knows_no_provider() {
    let rule = Rule {
        applies: |path| under(path, "src") || path == "build.rs",
        whole: |_| None,
        line: |raw, _| {
            let raw = raw.to_lowercase();
            rule::plugin_names().iter().any(|name| raw.contains(name))
        },
    };
    hold(
        &rule,
        &[("src/engine.rs", "// as Gandi does\n"), ("build.rs", "\"plugins/gandi\"\n")],
        &[("src/engine.rs", "// as some upstreams do\n"), ("tests/a.rs", "gandi()\n")],
    );
}

#[test]
fn layers_know_those_below_them_alone() {
    let forbidden: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("src/store", &["api", "app", "cli", "config", "engine", "plugin"] as &[_]),
        ("src/plugin", &["api", "app", "cli", "config", "engine", "store"]),
        ("src/engine", &["api", "app", "cli", "config"]),
        ("src/api", &["app", "cli", "config"]),
        ("src/config", &["app", "cli"]),
        ("src/telemetry", &["api", "app", "cli", "engine", "plugin", "store"]),
    ]);
    let breaks = |source: &Source| {
        let layer = forbidden.iter().find(|(layer, _)| under(&source.path, layer));
        let others = layer.map_or(&[] as &[_], |(_, others)| others);
        let mut code = source.code.split("crate::").skip(1);
        code.any(|rest| others.contains(&words(rest).next().unwrap_or_default()))
    };
    assert!(breaks(&Source::new("src/store/a.rs", "use crate::engine::Engine;")));
    assert!(breaks(&Source::new("src/engine.rs", "crate::api::status::of(x)")));
    assert!(!breaks(&Source::new("src/engine.rs", "use crate::store::Store; // crate::api")));
    let found: Vec<String> =
        rule::sources().into_iter().filter(breaks).map(|source| source.path).collect();
    assert!(found.is_empty(), "these know what is above them: {found:?}");
}

#[test]
fn crates_know_those_below_them_alone() {
    let allowed = |path: &str| -> &[&str] {
        match path {
            "crates/abi" | "crates/sdk-macros" | "crates/simulators" => &[],
            "crates/sdk" => &["purveyor-abi", "purveyor-sdk-macros"],
            path if path.starts_with("plugins/") => &["purveyor-sdk"],
            _ => &["purveyor", "purveyor-abi", "purveyor-sdk", "purveyor-simulators"],
        }
    };
    let breaks = |path: &str, manifest: &str| -> Vec<String> {
        let manifest: toml::Table = manifest.parse().unwrap();
        let names = manifest.get("dependencies").and_then(toml::Value::as_table);
        let names = names.into_iter().flat_map(toml::Table::keys);
        names
            .filter(|name| name.starts_with("purveyor") && !allowed(path).contains(&name.as_str()))
            .map(|name| format!("{path} depends on {name}"))
            .collect()
    };
    assert!(!breaks("crates/abi", "[dependencies]\npurveyor-sdk = \"1\"").is_empty());
    assert!(!breaks("plugins/a", "[dependencies]\npurveyor-abi = \"1\"").is_empty());
    assert!(!breaks("crates/xtask", "[dependencies]\npurveyor-gandi = \"1\"").is_empty());
    assert!(breaks("plugins/a", "[dependencies]\npurveyor-sdk = \"1\"\nserde = \"1\"").is_empty());
    let found: Vec<String> = rule::packages()
        .iter()
        .flat_map(|path| {
            let manifest = fs::read_to_string(rule::root().join(path).join("Cargo.toml")).unwrap();
            breaks(path, &manifest)
        })
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn every_package_takes_the_lints() {
    let takes = |manifest: &str| {
        let manifest: toml::Table = manifest.parse().unwrap();
        let lints = manifest.get("lints").and_then(toml::Value::as_table);
        lints.is_some_and(|lints| {
            lints.get("workspace").and_then(toml::Value::as_bool) == Some(true)
                || (lints.contains_key("rust") && lints.contains_key("clippy"))
        })
    };
    assert!(!takes("[package]\nname = \"a\""));
    assert!(takes("[lints]\nworkspace = true"));
    for path in rule::packages() {
        let manifest = fs::read_to_string(rule::root().join(&path).join("Cargo.toml")).unwrap();
        assert!(takes(&manifest), "{path} does not take the workspace's lints");
    }
}

#[test]
fn plugins_link_no_runtime_no_tls_and_no_http_client() {
    const FORBIDDEN: [&str; 14] = [
        "async-std",
        "aws-lc-rs",
        "curl",
        "h2",
        "hyper",
        "isahc",
        "native-tls",
        "openssl",
        "reqwest",
        "ring",
        "rustls",
        "smol",
        "tokio",
        "ureq",
    ];
    let linked = |tree: &str| -> Vec<String> {
        let names = tree.lines().filter_map(|line| line.split_whitespace().next());
        names.filter(|name| FORBIDDEN.contains(name)).map(str::to_owned).collect()
    };
    assert_eq!(linked("purveyor-a v0.1.0 (path)\nserde v1.0.0\ntokio v1.54.1 (*)"), ["tokio"]);
    for name in rule::plugin_packages() {
        let found = linked(&tree(&["--edges", "normal", "--package", &name]));
        assert!(found.is_empty(), "{name} links {found:?}");
    }
}

#[test]
fn banned_packages_are_not_in_the_tree() {
    let deny = fs::read_to_string(rule::root().join("deny.toml")).unwrap();
    let deny: toml::Table = deny.parse().unwrap();
    let bans = deny["bans"]["deny"].as_array().unwrap();
    let banned: Vec<&str> = bans.iter().map(|ban| ban["name"].as_str().unwrap()).collect();
    let found = |tree: &str| -> Vec<String> {
        let names = tree.lines().filter_map(|line| line.split_whitespace().next());
        names.filter(|name| banned.contains(name)).map(str::to_owned).collect()
    };
    assert_eq!(found("serde v1.0.0\nring v0.17.0 (*)"), ["ring"]);
    let found = found(&tree(&["--workspace", "--edges", "normal,build"]));
    assert!(found.is_empty(), "banned and yet linked: {found:?}");
}

#[test]
fn problems_are_told_with_their_line() {
    let rule = Rule { applies: |_| true, whole: |_| None, line: |_, code| code.contains("b") };
    let source = Source::new("src/a.rs", "a\nb // c\n");
    assert_eq!(problems(&rule, &[source]), ["src/a.rs:2: b // c"]);
}

/// What cargo says that is linked, a package a line.
fn tree(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix", "none"])
        .args(arguments)
        .current_dir(rule::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
