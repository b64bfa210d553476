//! The configuration, read from real files: what is accepted, and each mistake with its line.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use prost_types::Duration as ProtoDuration;
use purveyor::config::{Environment, LogFormat, Store, load_with};
use purveyor::plugin::AccountSetting;
use purveyor_sdk::plugin::v1::r#match::Test;
use purveyor_sdk::plugin::v1::{
    Call, Credential, Manifest, Match, Proof, Rate, Success, Timing, Words,
};
use secrecy::ExposeSecret;
use tempfile::TempDir;

/// A value that must not be seen anywhere.
const CANARY: &str = "canary-5d1f0c";
const PIN: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A folder with what configurations of these tests refer to.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("plugins")).unwrap();
    fs::write(path.join("plugins/libpurveyor_acme.so"), "not loaded here").unwrap();
    for (name, content, mode) in [
        ("key", CANARY, 0o600),
        ("open-key", CANARY, 0o644),
        ("empty-key", "\n", 0o600),
        ("ca.pem", "-----BEGIN CERTIFICATE-----\n", 0o644),
        ("not-a-ca.pem", "hello", 0o644),
    ] {
        fs::write(path.join(name), content).unwrap();
        fs::set_permissions(path.join(name), Permissions::from_mode(mode)).unwrap();
    }
    fs::write(path.join("binary-key"), [0xff, 0xfe]).unwrap();
    folder
}

fn environment() -> Environment {
    Environment::of([("ACME_KEY", CANARY)])
}

/// Reads `toml` and compares the report with `expected`, without the name of the folder.
#[track_caller]
fn check(toml: &str, expected: &str) {
    let folder = folder();
    let file = folder.path().join("purveyor.toml");
    fs::write(&file, toml).unwrap();
    let report = match load_with(&file, &environment()) {
        Ok(_) => String::new(),
        Err(report) => report.to_string(),
    };
    let shown = report.replace(&format!("{}/", folder.path().display()), "");
    assert!(!shown.contains(CANARY), "a secret is shown: {shown}");
    assert_eq!(shown, expected.trim(), "\n--- for\n{toml}");
}

/// As [`check`], for a mistake of one provider: `lines` follow the header on line 7.
#[track_caller]
fn check_provider(lines: &str, expected: &str) {
    check(&format!("{BASE}[providers.acme]\n{lines}\n"), expected);
}

const BASE: &str = r#"[server]
listen = "127.0.0.1:0"
[store]
url = "sqlite:purveyor.db"
[plugins]
directory = "plugins"
"#;
const ACME: &str = "plugin = \"acme\"\nendpoint = \"https://acme.example/\"\n";

#[test]
fn a_whole_file_is_read() {
    let folder = folder();
    let file = folder.path().join("purveyor.toml");
    let toml = format!(
        r#"{BASE}pins = {{ "libpurveyor_acme.so" = "{PIN}" }}
[server.limits]
working_calls = 7
connection_age_s = 60
[engine]
development = true
look_first_ms = 20
[telemetry]
log_format = "json"
log_filter = "warn,purveyor=debug"
[providers.acme]
plugin = "acme"
endpoint = "http://127.0.0.1:8080/api"
display_name = "Acme"
time_zone = "Europe/Paris"
account_shared = true
refusal_words = ["Avvist", " nei "]
account = "separate"
account_id = "AB 12"
formerly_endpoint = "https://old.acme.example/"
allow_private_addresses = true
ca_file = "ca.pem"
concurrent_requests = 3
max_answer_bytes = 2048
credentials = {{ key = "file:key", other = "env:ACME_KEY" }}
[providers.acme.settings]
region = "eu"
ratio = 0.5
list = [1, {{ deep = true }}]
[providers.acme.timing]
listing_lag_ms = 1500
[providers.acme.rate]
requests = 30
period_ms = 2000
"#
    );
    fs::write(&file, toml).unwrap();

    let config = load_with(&file, &environment()).unwrap();

    assert_eq!(config.server.limits.working_calls, 7);
    assert_eq!(config.server.limits.connection_age, Duration::from_secs(60));
    assert_eq!(config.server.limits.streams_per_connection, 256);
    assert_eq!(config.store, Store::Sqlite { path: folder.path().join("purveyor.db") });
    assert_eq!(config.plugins.directory, folder.path().join("plugins"));
    assert_eq!(config.plugins.pins["libpurveyor_acme.so"], PIN);
    assert!(!config.plugins.allow_unpinned);
    assert_eq!(config.telemetry.log_format, LogFormat::Json);
    assert!(config.development);
    let [acme] = config.providers.as_slice() else { panic!("one provider") };
    assert_eq!((acme.id.as_str(), acme.display_name.as_str()), ("acme", "Acme"));
    assert_eq!(acme.credentials["key"].expose_secret(), CANARY);
    assert_eq!(acme.credentials["other"].expose_secret(), CANARY);
    assert_eq!(
        (acme.account, acme.account_id.as_deref(), acme.refusal_words.as_slice()),
        (AccountSetting::Separate, Some("AB 12"), &["Avvist".to_owned(), " nei ".to_owned()][..])
    );
    assert_eq!(
        acme.formerly_endpoint.as_ref().map(url::Url::as_str),
        Some("https://old.acme.example/")
    );
    assert_eq!(acme.timing.listing_lag, Some(Duration::from_millis(1500)));
    assert_eq!(acme.rate.map(|rate| rate.requests), Some(30));
    let settings = serde_json::json!({"region": "eu", "ratio": 0.5, "list": [1, {"deep": true}]});
    assert_eq!(acme.configuration, settings);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert!(!format!("{config:?}").contains(CANARY), "a secret is shown");
}

#[test]
fn defaults_are_enough() {
    check(BASE, "");
    check_provider(ACME, "");
}

#[test]
fn every_mistake_stands_in_one_report() {
    check(
        r#"[server]
listen = "0.0.0.0:50051"
reflexion = true
[server.limits]
working_calls = 0
[store]
[plugins]
directory = "plugin"
[providers.Acme]
endpoint = "ftp://acme.example"
credentials = { key = "hunter2" }
"#,
        r#"
purveyor.toml:2: server.listen: 0.0.0.0 is not a loopback address; there is no authentication in this version, so everybody who reaches the gateway can spend; listen on 127.0.0.1 or [::1]
purveyor.toml:3: server.reflexion: is not known; did you mean "reflection"?
purveyor.toml:5: server.limits.working_calls: is 0, outside of 1 to 100000
purveyor.toml:6: store.url: is missing
purveyor.toml:8: plugins.directory: plugin is not a folder
purveyor.toml:9: providers.Acme: is not a provider's id; write lowercase letters, digits and "-", a letter first, at most 63 bytes
purveyor.toml:9: providers.Acme.plugin: is missing
purveyor.toml:10: providers.Acme.endpoint: has scheme "ftp", not https
purveyor.toml:11: providers.Acme.credentials.key: is not a reference to a secret; write "file:PATH", "env:NAME" or "credential:NAME"; the secret itself must not stand in this file
"#,
    );
}

#[test]
fn syntax_errors_are_reported_alone() {
    check("[server\nlisten = 1", "purveyor.toml:1: is not TOML: unclosed table, expected `]`");
    check("a = 1\na = 2", "purveyor.toml:2: is not TOML: duplicate key");
    check(
        "[server]\nlisten = \"x\nb = nope",
        "purveyor.toml:2: is not TOML: invalid basic string, expected `\"`
purveyor.toml:3: is not TOML: invalid float, expected `nan`",
    );
}

#[test]
fn an_empty_file_misses_what_is_required() {
    check(
        "",
        "purveyor.toml:1: plugins.directory: is missing
purveyor.toml:1: server.listen: is missing
purveyor.toml:1: store.url: is missing",
    );
}

#[test]
fn kinds_of_values_are_checked() {
    for (line, expected) in [
        ("reflection = 1", "3: server.reflection: is a whole number, not true or false"),
        ("reflection = \"yes\"", "3: server.reflection: is a text, not true or false"),
        ("limits = 3", "3: server.limits: is a whole number, not a table"),
        ("limits = [1]", "3: server.limits: is a list, not a table"),
        (
            "limits.connections = 1.5",
            "3: server.limits.connections: is a number with a fraction, not a whole number of 64 bits",
        ),
        (
            "limits.connections = 99999999999999999999",
            "3: server.limits.connections: is a number of more than 64 bits, not a whole number of 64 bits",
        ),
        ("limits.connections = -1", "3: server.limits.connections: is -1, outside of 1 to 100000"),
        (
            "limits.drain_ms = 2026-01-01",
            "3: server.limits.drain_ms: is a date or time, not a whole number of 64 bits",
        ),
        (
            "limits.conections = 5",
            "3: server.limits.conections: is not known; did you mean \"connections\"?",
        ),
        ("zzz = 5", "3: server.zzz: is not known"),
    ] {
        let toml = BASE.replacen("[store]", &format!("{line}\n[store]"), 1);
        check(&toml, &format!("purveyor.toml:{expected}"));
    }
}

#[test]
fn listening_and_storing() {
    for (from, to, expected) in [
        (
            "127.0.0.1:0",
            "localhost",
            "2: server.listen: \"localhost\" is not an address with a port; write an IP address and a port, as in \"127.0.0.1:50051\" or \"[::1]:50051\"",
        ),
        (
            "127.0.0.1:0",
            "[::]:1",
            "2: server.listen: :: is not a loopback address; there is no authentication in this version, so everybody who reaches the gateway can spend; listen on 127.0.0.1 or [::1]",
        ),
        (
            "sqlite:purveyor.db",
            "postgres://u:canary-5d1f0c@h/db",
            "4: store.url: has a password in it; leave it out, and write store.password = \"file:PATH\"",
        ),
        (
            "sqlite:purveyor.db",
            "purveyor.db",
            "4: store.url: has no scheme; write \"sqlite:PATH\" or \"postgres://USER@HOST/DATABASE\"",
        ),
        (
            "sqlite:purveyor.db",
            "sqlite:",
            "4: store.url: names no file; write \"sqlite:PATH\" or \"postgres://USER@HOST/DATABASE\"",
        ),
        (
            "sqlite:purveyor.db",
            "sqlite::memory:",
            "4: store.url: \":memory:\" is not a path; write \"sqlite:PATH\" or \"postgres://USER@HOST/DATABASE\"",
        ),
        (
            "sqlite:purveyor.db",
            "sqlite:no/such/file.db",
            "4: store.url: folder no/such does not exist",
        ),
    ] {
        check(&BASE.replacen(from, to, 1), &format!("purveyor.toml:{expected}"));
    }
    check(&BASE.replacen("127.0.0.1:0", "[::1]:50051", 1), "");
}

#[test]
fn account_settings_that_make_no_sense_are_refused() {
    check_provider(&format!("{ACME}account = \"shared\"\naccount_id = \"7\""), "");
    check_provider(&format!("{ACME}formerly_endpoint = \"https://acme.example:8443/\""), "");
    check_provider(&format!("{ACME}formerly = \"acme-1\""), "");
    check_provider(&format!("{ACME}formerly = [\"acme-1\", \"acme-2\"]"), "");
    for (line, expected) in [
        (
            "account = \"sandbox\"",
            "account: is \"sandbox\", neither \"shared\" nor \"separate\"; it says whether one identity at several endpoints is one account or several; an account's identity is `account_id`",
        ),
        (
            "account_id = \"\"",
            "account_id: is empty, longer than 256 bytes, not one line or has spaces around it",
        ),
        (
            "account_id = \" 7\"",
            "account_id: is empty, longer than 256 bytes, not one line or has spaces around it",
        ),
        (
            "formerly_endpoint = \"https://ACME.example:443/old\"",
            "formerly_endpoint: has the scheme, host and port of `endpoint`, so nothing has moved; leave it out",
        ),
        (
            "formerly_endpoint = \"acme.example\"",
            "formerly_endpoint: is not a URL: relative URL without a base",
        ),
        ("formerly = 5", "formerly: is a whole number, not a list of texts"),
        (
            "formerly = \"A\"",
            "formerly: \"A\" is not a provider's id; write the id that the provider had before it was renamed",
        ),
        (
            "formerly = \"acme\"",
            "formerly: \"acme\" is a configured provider itself; remove [providers.acme], or this id",
        ),
        (
            "formerly = [\"x\", \"x\"]",
            "formerly.1: \"x\" is named twice; what is stored under an id belongs to one provider",
        ),
    ] {
        let expected = format!("purveyor.toml:10: providers.acme.{expected}");
        check_provider(&format!("{ACME}{line}"), &expected);
    }
}

#[test]
fn refusal_words_that_are_none_are_refused_by_their_place() {
    check_provider(&format!("{ACME}refusal_words = []"), "");
    let many = vec!["\"no\""; 65].join(", ");
    let long = "é".repeat(101);
    let none = "is blank, longer than 200 bytes or not one line";
    for (line, expected) in [
        ("\"no\"".to_owned(), "refusal_words: is a text, not a list of texts".to_owned()),
        ("[\"no\", 5]".to_owned(), "refusal_words.1: is a whole number, not a text".to_owned()),
        ("[\"no\", \" \"]".to_owned(), format!("refusal_words.1: {none}")),
        ("[\"no\\nmore\"]".to_owned(), format!("refusal_words.0: {none}")),
        (format!("[\"{long}\"]"), format!("refusal_words.0: {none}")),
        (format!("[{many}]"), "refusal_words: has 65 words, more than 64".to_owned()),
    ] {
        let expected = format!("purveyor.toml:10: providers.acme.{expected}");
        check_provider(&format!("{ACME}refusal_words = {line}"), &expected);
    }
}

#[test]
fn delays_of_the_engine() {
    check(
        &format!("{BASE}[engine]\nretry_first_ms = 900\nretry_longest_ms = 800\nlook_first = 1\n"),
        "purveyor.toml:8: engine.retry_first_ms: is longer than retry_longest_ms
purveyor.toml:10: engine.look_first: is not known; did you mean \"look_first_ms\"?",
    );
}

#[test]
fn operations_are_never_kept_too_short() {
    check(&format!("{BASE}[engine]\nretention_days = 400\n"), "");
    check(
        &format!("{BASE}[engine]\nretention_days = 399\n"),
        "purveyor.toml:8: engine.retention_days: is 399, outside of 400 to 36500",
    );
}

#[test]
fn telemetry() {
    check(
        &format!("{BASE}[telemetry]\nlog_format = \"xml\"\nlog_filter = \"purveyor=loud\"\n"),
        "purveyor.toml:8: telemetry.log_format: \"xml\" is no format; write \"text\" or \"json\"
purveyor.toml:9: telemetry.log_filter: \"purveyor=loud\" is no filter; write a level, or directives as in \"info,purveyor::engine=debug\"",
    );
}

#[test]
fn pins() {
    let short = "ba7816bf";
    for (pin, expected) in [
        (
            format!("libpurveyor_acme.so = \"{PIN}\""),
            "8: plugins.pins.libpurveyor_acme: is a table, not a text",
        ),
        (
            format!("\"libpurveyor_acme.so\" = \"{short}\""),
            "8: plugins.pins.libpurveyor_acme.so: is not a SHA-256 in 64 lowercase hex digits; `purveyor plugin inspect FILE` prints it",
        ),
        (
            format!("\"libpurveyor_acme.so\" = \"{}\"", PIN.to_uppercase()),
            "8: plugins.pins.libpurveyor_acme.so: is not a SHA-256 in 64 lowercase hex digits; `purveyor plugin inspect FILE` prints it",
        ),
        (
            format!("\"libpurveyor_akme.so\" = \"{PIN}\""),
            "8: plugins.pins.libpurveyor_akme.so: is not in plugins; did you mean \"libpurveyor_acme.so\"?",
        ),
        (
            format!("\"../libpurveyor_acme.so\" = \"{PIN}\""),
            "8: plugins.pins.../libpurveyor_acme.so: is not the name of a plugin's file; write it as it stands in the directory, as in \"libpurveyor_acme.so\"",
        ),
    ] {
        check(&format!("{BASE}[plugins.pins]\n{pin}\n"), &format!("purveyor.toml:{expected}"));
    }
}

#[test]
fn providers() {
    for (lines, expected) in [
        ("plugin = \"acme\"", "7: providers.acme.endpoint: is missing"),
        (
            "plugin = \"libacme.so\"\nendpoint = \"https://a.example\"",
            "8: providers.acme.plugin: \"libacme.so\" is not a plugin's name; write the name that `purveyor plugin inspect FILE` prints, not the file's",
        ),
        (
            "plugin = \"acme\"\nendpoint = \"acme.example\"",
            "9: providers.acme.endpoint: is not a URL: relative URL without a base",
        ),
        (
            "plugin = \"acme\"\nendpoint = \"http://acme.example\"",
            "9: providers.acme.endpoint: is plain http, which is allowed to loopback addresses only",
        ),
        (
            "plugin = \"acme\"\nendpoint = \"https://u:canary-5d1f0c@acme.example\"",
            "9: providers.acme.endpoint: has a user or a password in it; use `credentials`",
        ),
        (
            "plugin = \"acme\"\nendpoint = \"https://acme.example/?key=canary-5d1f0c\"",
            "9: providers.acme.endpoint: has a query or a fragment, to which no path can be appended",
        ),
    ] {
        check_provider(lines, &format!("purveyor.toml:{expected}"));
    }
    for (line, expected) in [
        (
            "display_name = \"\"",
            "display_name: is empty, longer than 100 characters or not one line; leave it out to show \"acme\"",
        ),
        (
            "time_zone = \"Paris\"",
            "time_zone: \"Paris\" is not a time zone; write its IANA name, as in \"Europe/Paris\"",
        ),
        (
            "ca_file = \"none.pem\"",
            "ca_file: none.pem cannot be read: No such file or directory (os error 2)",
        ),
        ("ca_file = \"not-a-ca.pem\"", "ca_file: not-a-ca.pem holds no certificate in PEM"),
        ("max_answer_bytes = 1", "max_answer_bytes: is 1, outside of 1024 to 268435456"),
        (
            "timing.attempt_timeout = 5",
            "timing.attempt_timeout: is not known; did you mean \"attempt_timeout_ms\"?",
        ),
        ("timing.listing_lag_ms = 0", "timing.listing_lag_ms: is 0, outside of 1 to 86400000"),
        ("rate = { requests = 5 }", "rate.period_ms: is missing"),
        ("rate = 5", "rate: is a whole number, not a table"),
        (
            "settings.since = 2026-01-01",
            "settings.since: is a date or time, which plugins do not take; write it as a text",
        ),
        ("settings.deep.list = [1, nan]", "settings.deep.list.1: is no number that JSON can carry"),
        ("setings = {}", "setings: is not known; did you mean \"settings\"?"),
    ] {
        let expected = format!("purveyor.toml:10: providers.acme.{expected}");
        check_provider(&format!("{ACME}{line}"), &expected);
    }
    check(
        &format!("{BASE}[providers]\nacme = 5"),
        "purveyor.toml:8: providers.acme: is a whole number, not a table",
    );
}

#[test]
fn secrets() {
    for (reference, expected) in [
        (
            "\"canary-5d1f0c\"",
            "is not a reference to a secret; write \"file:PATH\", \"env:NAME\" or \"credential:NAME\"; the secret itself must not stand in this file",
        ),
        ("5", "is a whole number, not a text"),
        ("\"env:NO_SUCH\"", "environment variable \"NO_SUCH\" is not set"),
        ("\"file:none\"", "none cannot be read: No such file or directory (os error 2)"),
        ("\"file:empty-key\"", "the secret is empty"),
        ("\"file:binary-key\"", "binary-key is not UTF-8"),
        ("\"credential:key\"", "no systemd credentials were passed to this process"),
        ("\"credential:../key\"", "\"../key\" is not a credential's name"),
    ] {
        let expected = format!("purveyor.toml:10: providers.acme.credentials.key: {expected}");
        check_provider(&format!("{ACME}credentials.key = {reference}"), &expected);
    }
}

#[test]
fn systemd_credentials_are_read() {
    let folder = folder();
    let file = folder.path().join("purveyor.toml");
    let toml = format!("{BASE}[providers.acme]\n{ACME}credentials.key = \"credential:key\"\n");
    fs::write(&file, toml).unwrap();
    let directory = folder.path().to_str().unwrap();
    let environment = Environment::of([("CREDENTIALS_DIRECTORY", directory)]);

    let config = load_with(&file, &environment).unwrap();

    assert_eq!(config.providers[0].credentials["key"].expose_secret(), CANARY);
}

#[test]
fn what_should_not_stay_so_is_warned_of() {
    let folder = folder();
    let file = folder.path().join("purveyor.toml");
    let toml = format!(
        "{BASE}allow_unpinned = true\n[providers.acme]\n{ACME}credentials.key = \"file:open-key\"\n"
    );
    fs::write(&file, toml).unwrap();

    let config = load_with(&file, &environment()).unwrap();

    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    let path = folder.path().join("open-key");
    assert_eq!(
        warnings,
        [
            "7: plugins.allow_unpinned: plugins are loaded without a pin; for development only"
                .to_owned(),
            format!(
                "11: providers.acme.credentials.key: {} has mode 644; others than owner and group can use it",
                path.display()
            ),
        ]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_said_to_be_so() {
    let missing = load_with(Path::new("no-such.toml"), &environment()).unwrap_err().to_string();
    assert_eq!(missing, "no-such.toml: cannot be read: No such file or directory (os error 2)");
}

/// What the plugin `acme` demands in these tests.
fn manifest() -> Manifest {
    let schema = r#"{
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "region": { "enum": ["eu", "us"] },
            "limits": { "type": "object", "properties": { "deep": { "type": "integer" } } }
        }
    }"#;
    let credential = |name: &str, optional| Credential {
        name: name.to_owned(),
        description: format!("the {name} of the account"),
        optional,
        ..Credential::default()
    };
    Manifest {
        name: "acme".to_owned(),
        configuration_schema: schema.to_owned(),
        credentials: vec![credential("key", false), credential("second", true)],
        rate: Some(Rate { requests: 30, period: Some(ProtoDuration { seconds: 2, nanos: 0 }) }),
        timing: Some(Timing {
            listing_lag: Some(ProtoDuration { seconds: 5, nanos: 0 }),
            ..Timing::default()
        }),
        ..Manifest::default()
    }
}

/// Reads a provider with these lines, which has to succeed, and compares what its plugin says.
#[track_caller]
fn check_declared(lines: &str, expected: &str) {
    check_declared_by(&manifest(), lines, expected);
}

#[track_caller]
fn check_declared_by(manifest: &Manifest, lines: &str, expected: &str) {
    let folder = folder();
    let file = folder.path().join("purveyor.toml");
    fs::write(&file, format!("{BASE}[providers.acme]\n{lines}\n")).unwrap();
    let config = load_with(&file, &environment()).unwrap();
    let manifests = BTreeMap::from([("acme".to_owned(), manifest)]);
    let report = match config.check_declared(&manifests, &["broken"]) {
        Ok(()) => String::new(),
        Err(report) => report.to_string(),
    };
    let shown = report.replace(&format!("{}/", folder.path().display()), "");
    assert!(!shown.contains(CANARY), "a secret is shown: {shown}");
    assert_eq!(shown, expected.trim(), "\n--- for\n{lines}");
}

#[test]
fn what_the_plugin_demands() {
    let keyed = format!("{ACME}credentials.key = \"env:ACME_KEY\"\n");
    check_declared(&keyed, "");
    check_declared(&format!("{keyed}settings = {{ region = \"eu\", limits.deep = 5 }}"), "");
    check_declared(&keyed.replace("\"acme\"", "\"broken\""), "");
    for (lines, expected) in [
        (ACME.to_owned(), "7: providers.acme.credentials.key: is missing; the key of the account"),
        (
            format!("{keyed}credentials.secnd = \"env:ACME_KEY\""),
            "10: providers.acme.credentials.secnd: is not known to plugin \"acme\"; did you mean \"second\"?",
        ),
        (
            keyed.replace("\"acme\"", "\"akme\""),
            "8: providers.acme.plugin: no plugin \"akme\" is in plugins; did you mean \"acme\"?",
        ),
        (
            format!("{keyed}[providers.acme.settings]\nregion = \"canary-5d1f0c\""),
            "12: providers.acme.settings.region: value is not one of \"eu\" or \"us\"",
        ),
        (
            format!(
                "{keyed}[providers.acme.settings]\n[providers.acme.settings.limits]\ndeep = \"x\""
            ),
            "13: providers.acme.settings.limits.deep: value is not of type \"integer\"",
        ),
        (
            format!("{keyed}settings.reigon = 1"),
            "11: providers.acme.settings.reigon: is not known to plugin \"acme\"",
        ),
        (
            format!("{keyed}timing.listing_lag_ms = 4999"),
            "11: providers.acme.timing.listing_lag_ms: is below the plugin's floor of 5000 ms; only engine.development lifts floors, for simulators",
        ),
        (
            format!("{keyed}rate = {{ requests = 31, period_ms = 2000 }}"),
            "11: providers.acme.rate: is above what the upstream allows: 30 in 2000 ms; only engine.development lifts rates, for simulators",
        ),
    ] {
        check_declared(&lines, &format!("purveyor.toml:{expected}"));
    }
    check_declared(&format!("{keyed}timing.listing_lag_ms = 5000"), "");
    check_declared(&format!("{keyed}rate = {{ requests = 30, period_ms = 2000 }}"), "");
    let lifted = format!(
        "{keyed}timing.listing_lag_ms = 1\nrate = {{ requests = 31, period_ms = 2000 }}\n[engine]\ndevelopment = true"
    );
    check_declared(&lifted, "");
}

#[test]
fn refusal_words_are_checked_against_the_manifest() {
    let condition = |pointer: &str, test| Match { pointer: pointer.to_owned(), test: Some(test) };
    let success = Success {
        matches: vec![
            condition("/status", Test::Equals("Success".to_owned())),
            condition("/kind", Test::Equals("Order".to_owned())),
        ],
        ..Success::default()
    };
    let proof = |configurable| {
        let words = Words { words: vec!["Error".to_owned()], configurable };
        Proof { matches: vec![condition("/status", Test::Words(words))], ..Proof::default() }
    };
    let declares = |configurable| Manifest {
        calls: vec![Call { success: Some(success.clone()), ..Call::default() }],
        proofs: vec![proof(configurable)],
        credentials: Vec::new(),
        ..manifest()
    };
    let words = |words: &str| format!("{ACME}refusal_words = [{words}]");
    for none in [declares(false), Manifest { proofs: Vec::new(), ..declares(false) }] {
        check_declared_by(
            &none,
            &words("\"Avvist\""),
            "purveyor.toml:10: providers.acme.refusal_words: plugin \"acme\" takes no words of refusal; leave it out",
        );
        check_declared_by(&none, &words(""), "");
    }
    // A word of success elsewhere in the answer is none where refusals stand.
    check_declared_by(&declares(true), &words("\"Avvist\", \"Order\", \"error\""), "");
    check_declared_by(
        &declares(true),
        &words("\"Avvist\",\n\" SUCCESS\""),
        "purveyor.toml:11: providers.acme.refusal_words.1: \" SUCCESS\" is a word of success to plugin \"acme\"",
    );
}
