//! A plugin's declaration for people. It must not leave out what the host enforces.

use std::fmt::Write;

use comfy_table::Table;
use purveyor_sdk::plugin::v1::{Call, Manifest, Match, Method, Proof, Words, credential, r#match};
use purveyor_sdk::v1::Evidence;

use crate::cli::columns::headed;
use crate::plugin::Plugin;

/// What the plugin is, what it can do, what it sends, and what it needs.
pub(crate) fn render(plugin: &Plugin) -> String {
    let manifest = &plugin.manifest;
    let stamp = &plugin.stamp;
    let abi = format!("{}.{}", purveyor_abi::raw::MAJOR, stamp.minor);
    let mut page = String::new();
    for (name, value) in [
        ("plugin", plugin.name.as_str()),
        ("version", &plugin.version),
        ("description", &manifest.description),
        ("abi", &abi),
        ("target", &stamp.target),
        ("compiler", &stamp.rustc),
        ("rate", &rate(manifest)),
    ] {
        push(&mut page, format_args!("{name:<13}{value}\n"));
    }
    push(
        &mut page,
        format_args!("\nto pin it\n  [plugins.pins]\n  {:?} = {:?}\n", plugin.file, plugin.sha256),
    );
    section(&mut page, "methods", methods(manifest));
    section(&mut page, "calls", calls(manifest));
    section(&mut page, "proofs that nothing was done", proofs(manifest));
    section(&mut page, "credentials", credentials(manifest));
    push(&mut page, format_args!("\nsettings (JSON Schema)\n"));
    for line in schema(manifest).lines() {
        push(&mut page, format_args!("  {line}\n"));
    }
    page
}

/// Writing to a String cannot fail.
fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = page.write_fmt(text);
}

fn section(page: &mut String, title: &str, table: Table) {
    if table.is_empty() {
        return;
    }
    push(page, format_args!("\n{title}\n"));
    for line in table.trim_fmt().lines() {
        push(page, format_args!(" {line}\n"));
    }
}

fn methods(manifest: &Manifest) -> Table {
    let mut table = headed(&["METHOD", "EFFECT", "EVIDENCE", "ABSENCE IS PROOF", "CALLS"]);
    for method in &manifest.methods {
        table.add_row([
            method.op().as_str_name().trim_start_matches("OP_"),
            effect(manifest, method),
            evidence(method),
            if method.absence_is_proof { "yes" } else { "no" },
            &method.calls.join(", "),
        ]);
    }
    table
}

/// The strongest effect of a method's calls.
fn effect(manifest: &Manifest, method: &Method) -> &'static str {
    let calls = manifest.calls.iter().filter(|call| method.calls.contains(&call.name));
    let strongest = calls.map(Call::effect).max_by_key(|effect| *effect as i32);
    strongest.map_or("-", |effect| effect.as_str_name().trim_start_matches("EFFECT_"))
}

/// How an unknown outcome is found out; a read has none.
fn evidence(method: &Method) -> &'static str {
    match method.evidence() {
        Evidence::Unspecified => "-",
        declared => declared.as_str_name().trim_start_matches("EVIDENCE_"),
    }
}

fn calls(manifest: &Manifest) -> Table {
    let mut table = headed(&["CALL", "EFFECT", "REQUEST", "WORDS", "PROOFS"]);
    for call in &manifest.calls {
        table.add_row([
            call.name.as_str(),
            call.effect().as_str_name().trim_start_matches("EFFECT_"),
            &format!("{} /{}", call.method, call.path.trim_start_matches('/')),
            &call.words.join(", "),
            &call.proofs.join(", "),
        ]);
    }
    table
}

fn proofs(manifest: &Manifest) -> Table {
    let mut table = headed(&["PROOF", "STATUS", "ANSWER", "MAY REPEAT"]);
    for Proof { name, status_min, status_max, matches, may_repeat, .. } in &manifest.proofs {
        let matches: Vec<String> = matches.iter().map(condition).collect();
        table.add_row([
            name.as_str(),
            &format!("{status_min}-{status_max}"),
            &matches.join(" and "),
            if *may_repeat { "yes" } else { "no" },
        ]);
    }
    table
}

fn condition(condition: &Match) -> String {
    let pointer = &condition.pointer;
    match &condition.test {
        None | Some(r#match::Test::Exists(_)) => format!("{pointer} is there"),
        Some(r#match::Test::Equals(text)) => format!("{pointer} is {text:?}"),
        Some(r#match::Test::Prefix(text)) => format!("{pointer} begins with {text:?}"),
        Some(r#match::Test::Suffix(text)) => format!("{pointer} ends with {text:?}"),
        Some(r#match::Test::Words(Words { words, configurable })) => {
            let mut words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
            words.extend(configurable.then(|| "one of refusal_words".to_owned()));
            format!("{pointer} is, in any case, {}", words.join(" or "))
        }
        Some(r#match::Test::IsNull(_)) => format!("{pointer} is null"),
    }
}

fn credentials(manifest: &Manifest) -> Table {
    let mut table = headed(&["CREDENTIAL", "SENT AS", "REQUIRED", "DESCRIPTION"]);
    for credential in &manifest.credentials {
        let placement = match credential.placement() {
            credential::Placement::Unspecified => "never",
            credential::Placement::Header => &credential.header,
            credential::Placement::Basic => "HTTP Basic",
            credential::Placement::Bearer => "HTTP Bearer",
            credential::Placement::Granted => "the plugin computes with it",
        };
        let required = if credential.optional { "no" } else { "yes" };
        table.add_row([&credential.name, placement, required, &credential.description]);
    }
    table
}

fn rate(manifest: &Manifest) -> String {
    let known = manifest.rate.as_ref().filter(|rate| rate.requests > 0);
    let Some((rate, period)) = known.and_then(|rate| Some((rate, rate.period?))) else {
        return "not known".to_owned();
    };
    let milliseconds = i64::from(period.nanos) / 1_000_000 + period.seconds * 1000;
    format!("{} requests in {milliseconds} ms", rate.requests)
}

/// Indented; as it is where it is no JSON, which the loader does not let pass.
fn schema(manifest: &Manifest) -> String {
    let text = &manifest.configuration_schema;
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(text);
    parsed.map_or_else(|_| text.clone(), |schema| format!("{schema:#}"))
}
