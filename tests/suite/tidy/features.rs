//! Every dependency is built once: with the same features for the program, for the tests and for the
//! project's own commands.

use std::collections::BTreeMap;
use std::process::Command;

use xtask::workspace;

/// The features of every dependency, where edges of these kinds are followed.
fn features(edges: &str) -> BTreeMap<String, String> {
    let tree = Command::new(env!("CARGO"))
        .current_dir(workspace::root())
        .args(["tree", "--workspace", "--locked", "--offline", "--prefix", "none"])
        .args(["--edges", edges, "--format", "{p}|{f}"])
        .output()
        .expect("cargo tree runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).expect("it is text");
    let line = |line: &str| {
        let (package, features) = line.split_once('|').expect("a package and its features");
        (package.to_owned(), features.trim_end_matches(" (*)").to_owned())
    };
    text.lines().filter(|text| !text.is_empty()).map(line).collect()
}

fn differences(
    program: &BTreeMap<String, String>,
    tests: &BTreeMap<String, String>,
) -> Vec<String> {
    let differs = |(package, features): (&String, &String)| {
        let in_tests = tests.get(package)?;
        (in_tests != features)
            .then(|| format!("{package}: {features:?}, and {in_tests:?} in tests"))
    };
    program.iter().filter_map(differs).collect()
}

#[test]
fn dependencies_have_one_set_of_features() {
    let one = |features: &str| BTreeMap::from([("a v1".to_owned(), features.to_owned())]);
    assert_eq!(differences(&one("x"), &one("x,y")).len(), 1, "the rule can fail");
    let found = differences(&features("normal,build"), &features("normal,build,dev"));
    assert!(
        found.is_empty(),
        "tests need more features, so everything above these is built twice; add them to \
         crates/xtask/Cargo.toml: {found:#?}"
    );
}
