//! The providers: each a configured way to an upstream account. What a plugin demands of its provider is
//! not checked here, because no plugin is loaded yet; `declared` does that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::SecretString;
use url::{Host, Url};

use super::document::{Found, Section};
use super::{Context, secret, settings};
use crate::plugin::{
    AccountSetting, CONCURRENT_REQUESTS, MAX_ANSWER_BYTES, ProviderConfig, RateOverride,
    TimingOverride, origin_of,
};

/// The longest name for people.
const DISPLAY_NAME_MAX_CHARS: usize = 100;
/// The longest id of a provider; resource names are made of it.
const ID_MAX_BYTES: usize = 63;
/// The longest identity of an account that the configuration gives.
const ACCOUNT_ID_MAX_BYTES: usize = 256;
/// The most words of refusal, and the longest: each answer to a write is compared with all of them.
const REFUSAL_WORDS_MAX: usize = 64;
const REFUSAL_WORD_MAX_BYTES: usize = 200;
/// The longest name of a plugin; its stamp has room for no more.
const PLUGIN_MAX_BYTES: usize = 32;

pub(crate) fn read(root: &mut Section<'_>, context: &mut Context<'_>) -> Vec<ProviderConfig> {
    let mut providers = Vec::new();
    let (mut ids, mut formers) = (BTreeSet::new(), Vec::new());
    for (id, found) in root.entries("providers") {
        if !is_name(&id, ID_MAX_BYTES) {
            found.place.refuse_with(
                "is not a provider's id",
                "write lowercase letters, digits and \"-\", a letter first, at most 63 bytes",
            );
        }
        context.lines.note(Some(found.place.clone()));
        if let Some(section) = found.section() {
            ids.insert(id.clone());
            providers.extend(provider(id, section, context, &mut formers));
        }
    }
    check_formers(&ids, &formers);
    providers
}

fn provider<'d>(
    id: String,
    mut section: Section<'d>,
    context: &mut Context<'_>,
    formers: &mut Vec<Found<'d, String>>,
) -> Option<ProviderConfig> {
    let s = &mut section;
    let plugin = plugin(s);
    let endpoint = endpoint(s);
    let display_name = display_name(s, &id);
    let time_zone = time_zone(s);
    let account_shared = s.or("account_shared", false);
    let account = account(s);
    let account_id = account_id(s);
    let formerly_endpoint = formerly_endpoint(s, endpoint.as_ref());
    let formerly = formerly(s, context, formers);
    let refusal_words = refusal_words(s, context);
    let allow_private_addresses = s.or("allow_private_addresses", false);
    let credentials = credentials(s, context);
    let configuration = settings::read(s.entries("settings"), &mut context.lines);
    let ca_file = ca_file(s, context);
    let timing = timing(s.section("timing"));
    let rate = rate(s);
    let concurrent_requests = s.size("concurrent_requests", CONCURRENT_REQUESTS, 1..=1000);
    let max_answer_bytes = s.size("max_answer_bytes", MAX_ANSWER_BYTES, 1024..=268_435_456);
    context.lines.note(s.place_of("plugin"));
    context.lines.note(s.place_of("credentials"));
    context.lines.note(s.place_of("timing"));
    context.lines.note(s.place_of("rate"));
    section.end();
    Some(ProviderConfig {
        display_name: display_name.unwrap_or_else(|| id.clone()),
        id,
        plugin: plugin?,
        endpoint: endpoint?,
        time_zone: time_zone.unwrap_or_else(|| "UTC".to_owned()),
        account_shared,
        account,
        account_id,
        formerly_endpoint,
        formerly,
        renamed_to: None,
        refusal_words,
        credentials,
        configuration,
        ca_file,
        timing,
        rate,
        rate_lifted: false,
        concurrent_requests,
        allow_private_addresses,
        max_answer_bytes,
    })
}

fn plugin(section: &mut Section<'_>) -> Option<String> {
    let name = section.required::<String>("plugin")?;
    if is_name(&name.value, PLUGIN_MAX_BYTES) {
        return Some(name.value);
    }
    name.place.refuse_with(
        format!("{:?} is not a plugin's name", name.value),
        "write the name that `purveyor plugin inspect FILE` prints, not the file's",
    );
    None
}

fn endpoint(section: &mut Section<'_>) -> Option<Url> {
    url(section.required::<String>("endpoint")?)
}

/// Where the account was known before its endpoint moved. Scheme, host and port make the account; the
/// whole URL is what version 1 has named it by.
fn formerly_endpoint(section: &mut Section<'_>, endpoint: Option<&Url>) -> Option<Url> {
    let found = section.optional::<String>("formerly_endpoint")?;
    let place = found.place.clone();
    let formerly = url(found)?;
    if endpoint.is_some_and(|endpoint| origin_of(endpoint) == origin_of(&formerly)) {
        place.refuse_with(
            "has the scheme, host and port of `endpoint`, so nothing has moved",
            "leave it out",
        );
    }
    Some(formerly)
}

/// The ids that the provider had before it was renamed.
fn formerly<'d>(
    section: &mut Section<'d>,
    context: &mut Context<'_>,
    formers: &mut Vec<Found<'d, String>>,
) -> Vec<String> {
    context.lines.note(section.place_of("formerly"));
    let ids = section.text_or_texts("formerly");
    let formerly = ids.iter().map(|id| id.value.clone()).collect();
    for id in &ids {
        context.lines.note(Some(id.place.clone()));
        if !is_name(&id.value, ID_MAX_BYTES) {
            id.place.refuse_with(
                format!("{:?} is not a provider's id", id.value),
                "write the id that the provider had before it was renamed",
            );
        }
    }
    formers.extend(ids);
    formerly
}

/// What is stored under an id belongs to one provider.
fn check_formers(ids: &BTreeSet<String>, formers: &[Found<'_, String>]) {
    let mut seen = BTreeSet::new();
    for Found { value: former, place } in formers {
        if ids.contains(former) {
            place.refuse_with(
                format!("{former:?} is a configured provider itself"),
                format!("remove [providers.{former}], or this id"),
            );
        } else if !seen.insert(former) {
            place.refuse_with(
                format!("{former:?} is named twice"),
                "what is stored under an id belongs to one provider",
            );
        }
    }
}

fn account(section: &mut Section<'_>) -> AccountSetting {
    let Some(found) = section.optional::<String>("account") else { return AccountSetting::Unset };
    match found.value.as_str() {
        "shared" => AccountSetting::Shared,
        "separate" => AccountSetting::Separate,
        other => {
            found.place.refuse_with(
                format!("is {other:?}, neither \"shared\" nor \"separate\""),
                "it says whether one identity at several endpoints is one account or several; an \
                 account's identity is `account_id`",
            );
            AccountSetting::Unset
        }
    }
}

fn account_id(section: &mut Section<'_>) -> Option<String> {
    let id = section.optional::<String>("account_id")?;
    let plain = |letter: char| !letter.is_control();
    if id.value.is_empty()
        || id.value.len() > ACCOUNT_ID_MAX_BYTES
        || id.value.trim() != id.value
        || !id.value.chars().all(plain)
    {
        id.place.refuse(format!(
            "is empty, longer than {ACCOUNT_ID_MAX_BYTES} bytes, not one line or has spaces around it"
        ));
    }
    Some(id.value)
}

fn refusal_words(section: &mut Section<'_>, context: &mut Context<'_>) -> Vec<String> {
    let words = section.texts("refusal_words");
    let list = section.place_of("refusal_words");
    if let Some(list) = list.as_ref().filter(|_| words.len() > REFUSAL_WORDS_MAX) {
        list.refuse(format!("has {} words, more than {REFUSAL_WORDS_MAX}", words.len()));
    }
    context.lines.note(list);
    let words = words.into_iter().map(|word| {
        if word.value.trim().is_empty()
            || word.value.len() > REFUSAL_WORD_MAX_BYTES
            || word.value.chars().any(char::is_control)
        {
            word.place.refuse(format!(
                "is blank, longer than {REFUSAL_WORD_MAX_BYTES} bytes or not one line"
            ));
        }
        context.lines.note(Some(word.place));
        word.value
    });
    words.collect()
}

fn url(found: Found<'_, String>) -> Option<Url> {
    let Found { value: text, place } = found;
    // The text is not repeated: it may hold a password.
    let url = match Url::parse(&text) {
        Ok(url) => url,
        Err(error) => {
            place.refuse(format!("is not a URL: {error}"));
            return None;
        }
    };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() == "http" && !loopback {
        place.refuse("is plain http, which is allowed to loopback addresses only");
    } else if !matches!(url.scheme(), "http" | "https") {
        place.refuse(format!("has scheme {:?}, not https", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        place.refuse_with("has a user or a password in it", "use `credentials`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        place.refuse("has a query or a fragment, to which no path can be appended");
    }
    Some(url)
}

fn display_name(section: &mut Section<'_>, id: &str) -> Option<String> {
    let name = section.optional::<String>("display_name")?;
    let length = name.value.chars().count();
    if length == 0 || length > DISPLAY_NAME_MAX_CHARS || name.value.chars().any(char::is_control) {
        name.place.refuse_with(
            format!("is empty, longer than {DISPLAY_NAME_MAX_CHARS} characters or not one line"),
            format!("leave it out to show {id:?}"),
        );
    }
    Some(name.value)
}

fn time_zone(section: &mut Section<'_>) -> Option<String> {
    let zone = section.optional::<String>("time_zone")?;
    if TimeZone::get(&zone.value).is_err() {
        zone.place.refuse_with(
            format!("{:?} is not a time zone", zone.value),
            "write its IANA name, as in \"Europe/Paris\"",
        );
    }
    Some(zone.value)
}

fn credentials(
    section: &mut Section<'_>,
    context: &mut Context<'_>,
) -> BTreeMap<String, SecretString> {
    let mut credentials = BTreeMap::new();
    for (name, found) in section.entries("credentials") {
        let Some(reference) = found.text() else { continue };
        if let Some(secret) = secret::fetch(reference, &found.place, context) {
            credentials.insert(name, secret);
        }
    }
    credentials
}

fn ca_file(section: &mut Section<'_>, context: &Context<'_>) -> Option<PathBuf> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let file = section.optional::<String>("ca_file")?;
    let path = context.folder.join(file.value);
    match std::fs::read_to_string(&path) {
        Ok(text) if text.contains(BEGIN) => {}
        Ok(_) => file.place.refuse(format!("{} holds no certificate in PEM", path.display())),
        Err(error) => file.place.refuse(format!("{} cannot be read: {error}", path.display())),
    }
    Some(path)
}

fn timing(mut section: Section<'_>) -> TimingOverride {
    let mut time = |key| {
        let milliseconds = section.within(key, 1..=86_400_000)?;
        Some(Duration::from_millis(milliseconds.into()))
    };
    let timing = TimingOverride {
        attempt_timeout: time("attempt_timeout_ms"),
        upstream_idle: time("upstream_idle_ms"),
        upstream_processing: time("upstream_processing_ms"),
        listing_lag: time("listing_lag_ms"),
        effect_lag: time("effect_lag_ms"),
    };
    section.end();
    timing
}

fn rate(section: &mut Section<'_>) -> Option<RateOverride> {
    let mut rate = section.optional_section("rate")?;
    for key in ["requests", "period_ms"] {
        rate.required::<i64>(key);
    }
    let requests = rate.within("requests", 1..=1_000_000);
    let period = rate.within("period_ms", 1..=86_400_000);
    rate.end();
    Some(RateOverride { requests: requests?, period: Duration::from_millis(period?.into()) })
}

/// `[a-z][a-z0-9-]*`, at most so long.
fn is_name(text: &str, max_bytes: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= max_bytes
        && text.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && text.bytes().all(plain)
}
