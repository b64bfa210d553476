//! How an account's key is written, and which providers are one account.

use purveyor_sdk::v1::ErrorReason;

use super::{Account, AccountKey, AccountSetting, Accounts};
use crate::plugin::config::ProviderConfig;

fn config(id: &str, endpoint: &str, setting: AccountSetting) -> ProviderConfig {
    let endpoint = endpoint.parse().unwrap();
    ProviderConfig { account: setting, ..ProviderConfig::new(id, "acme", endpoint) }
}

fn accounts(configs: &[ProviderConfig]) -> Accounts {
    let accounts = Accounts::default();
    configs.iter().for_each(|config| accounts.register(config));
    accounts
}

#[test]
fn account_key_one_account_has_one_text() {
    let check = |endpoint: &str, identity: &str, expected: &str| {
        let endpoint = endpoint.parse().unwrap();
        let key = AccountKey::new("acme", Some(&endpoint), identity);
        assert_eq!(key.as_str(), expected, "{endpoint} {identity}");
    };
    let expected = "acme https://api.acme.example:443 AB-17";
    check("https://api.acme.example/rpc/", "AB-17", expected);
    check("https://API.acme.example:443", "AB-17", expected);
    check("https://api.acme.example./", "AB-17", expected);
    check("http://127.0.0.1:8080/", "a b%", "acme http://127.0.0.1:8080 a%20b%25");
    check("http://[::1]/", "a\nb", "acme http://[::1]:80 a%0Ab");
    assert_eq!(AccountKey::new("acme", None, "a").as_str(), "acme - a");
}

#[test]
fn account_key_differs_for_every_part() {
    let key = |plugin: &str, endpoint: &str, identity: &str| {
        AccountKey::new(plugin, Some(&endpoint.parse().unwrap()), identity)
    };
    let one = key("acme", "https://a.example", "x y");
    for other in [
        key("other", "https://a.example", "x y"),
        key("acme", "https://b.example", "x y"),
        key("acme", "https://a.example:8443", "x y"),
        key("acme", "http://a.example", "x y"),
        key("acme", "https://a.example", "x%20y"),
        key("acme", "https://a.example", "X y"),
    ] {
        assert_ne!(one, other);
    }
}

#[test]
fn equal_identity_two_origins_writes_only_once_it_is_decided() {
    use AccountSetting::{Separate, Shared, Unset};
    let check = |one: AccountSetting, other: AccountSetting, allowed: bool| {
        let accounts = accounts(&[
            config("one", "https://a.example", one),
            config("two", "https://b.example", other),
        ]);
        accounts.learn("one", "X");
        assert!(accounts.may_write("one").is_ok(), "the other's identity is not known yet");
        accounts.learn("two", "X");
        for provider in ["one", "two"] {
            let written = accounts.may_write(provider).map_err(|error| error.reason);
            let expected = if allowed { Ok(()) } else { Err(ErrorReason::AccountChanged) };
            assert_eq!(written, expected, "{provider} {one:?} {other:?}");
        }
        accounts.learn("two", "Y");
        assert!(accounts.may_write("one").is_ok() && accounts.may_write("two").is_ok());
    };
    check(Unset, Unset, false);
    check(Shared, Unset, false);
    check(Separate, Unset, false);
    check(Shared, Separate, false);
    check(Shared, Shared, true);
    check(Separate, Separate, true);
}

fn key(accounts: &Accounts, provider: &str, told: Option<&str>) -> String {
    accounts.account(provider, told).unwrap().key.to_string()
}

#[test]
fn account_setting_decides_whether_origins_share_a_key() {
    use AccountSetting::{Separate, Shared, Unset};
    for (setting, same) in [(Unset, false), (Separate, false), (Shared, true)] {
        let accounts = accounts(&[
            config("one", "https://a.example", setting),
            config("two", "https://b.example", setting),
            config("three", "https://a.example/api", setting),
        ]);
        let [one, two, three] =
            ["one", "two", "three"].map(|provider| key(&accounts, provider, Some("X")));
        assert_eq!((one == two, one == three), (same, true), "{setting:?}");
    }
}

#[test]
fn without_identity_each_provider_is_an_account_unless_account_id_is_set() {
    let plain = |id: &str| config(id, "https://a.example", AccountSetting::Unset);
    let named = |id: &str| ProviderConfig { account_id: Some("one".to_owned()), ..plain(id) };
    let apart = accounts(&[plain("one"), plain("two")]);
    assert_ne!(key(&apart, "one", None), key(&apart, "two", None));
    // The name of version 1 is the same for both, and would tie them together.
    let account = apart.account("one", None).unwrap();
    assert_eq!((account.legacy_key, account.foreign), (None, vec!["two".to_owned()]));
    let together = accounts(&[plain("one"), named("two")]);
    assert_eq!(key(&together, "one", None), key(&together, "two", None));
    assert!(together.account("one", None).unwrap().legacy_key.is_some());
}

#[test]
fn moved_endpoint_keeps_the_account_by_formerly_endpoint() {
    let before = accounts(&[config("one", "https://a.example", AccountSetting::Unset)]);
    let moved = ProviderConfig {
        formerly_endpoint: Some("https://a.example/old".parse().unwrap()),
        ..config("one", "https://new.example", AccountSetting::Unset)
    };
    let moved = accounts(&[moved]);
    assert_eq!(key(&before, "one", Some("X")), key(&moved, "one", Some("X")));
    let lost = accounts(&[config("one", "https://new.example", AccountSetting::Unset)]);
    assert_ne!(key(&before, "one", Some("X")), key(&lost, "one", Some("X")));
}

#[test]
fn account_owns_operations_of_both_versions_and_settings() {
    let account = |setting, told: Option<&str>| -> Account {
        let accounts = accounts(&[config("one", "https://a.example", setting)]);
        accounts.account("one", told).unwrap()
    };
    let told = account(AccountSetting::Unset, Some("X"));
    assert!(told.owns("X", "") && !told.owns("Y", ""));
    assert!(told.owns("X", "acme https://a.example:443 X") && told.owns("X", "acme - X"));
    assert!(!told.owns("X", "acme https://b.example:443 X"));
    // What version 1 stored where the upstream tells nothing.
    let derived = account(AccountSetting::Shared, None);
    assert!(derived.owns("https://a.example/", "") && derived.owns("https://a.example", ""));
    assert!(derived.owns("one", "acme https://a.example:443 one") && !derived.owns("one", ""));
    assert_eq!(derived.aliases, ["acme https://a.example:443 one"]);
}

#[test]
fn stored_identity_counts_only_where_it_was_told() {
    let accounts = accounts(&[config("one", "https://a.example", AccountSetting::Unset)]);
    assert!(!accounts.recall("one", "acme", "https://b.example:443", "X"));
    assert!(!accounts.recall("one", "other", "https://a.example:443", "X"));
    assert!(!accounts.recall("two", "acme", "https://a.example:443", "X"));
    assert!(accounts.recall("one", "acme", "https://a.example:443", "X"));
}

#[test]
fn recalled_identity_is_replaced_by_a_newer_one() {
    let accounts = accounts(&[
        config("one", "https://a.example", AccountSetting::Unset),
        config("two", "https://b.example", AccountSetting::Unset),
    ]);
    let recall = |provider: &str, origin: &str, identity: &str| {
        assert!(accounts.recall(provider, "acme", origin, identity));
    };
    recall("one", "https://a.example:443", "X");
    recall("two", "https://b.example:443", "Y");
    assert!(accounts.may_write("one").is_ok());
    // Another gateway was told that the second is the same account.
    recall("two", "https://b.example:443", "X");
    for provider in ["one", "two"] {
        let refused = accounts.may_write(provider).expect_err("nobody says whether it is one");
        assert_eq!(refused.reason, ErrorReason::AccountChanged, "{provider}");
    }
    // What this process is told counts, whatever was stored.
    accounts.learn("two", "Y");
    recall("two", "https://b.example:443", "X");
    assert!(accounts.may_write("one").is_ok() && accounts.may_write("two").is_ok());
}

#[test]
fn moved_endpoint_keeps_the_names_of_version_1_by_formerly_endpoint() {
    let moved = ProviderConfig {
        formerly_endpoint: Some("https://a.example/api/".parse().unwrap()),
        ..config("one", "https://new.example", AccountSetting::Unset)
    };
    let account = accounts(&[moved]).account("one", None).unwrap();
    for name in ["https://a.example/api/", "https://a.example/api", "https://new.example/"] {
        assert!(account.owns(name, ""), "{name}");
        assert!(account.former_keys.contains(&format!("acme/{name}")), "{name}");
    }
    assert!(!account.owns("https://b.example/", ""));
    assert_eq!(account.legacy_key.as_deref(), Some("acme/https://a.example/api/"));
}

#[test]
fn account_id_set_later_keeps_operations_and_claims() {
    let named = ProviderConfig {
        account_id: Some("X".to_owned()),
        ..config("one", "https://a.example", AccountSetting::Unset)
    };
    let account = accounts(&[named]).account("one", None).unwrap();
    assert_eq!(account.key.as_str(), "acme https://a.example:443 X");
    let before = "acme https://a.example:443 one".to_owned();
    assert!(account.owns("https://a.example/", &before) && account.former_keys.contains(&before));
}

#[test]
fn identity_told_for_the_first_time_keeps_operations_of_version_1() {
    let accounts = accounts(&[config("one", "https://a.example", AccountSetting::Unset)]);
    let account = accounts.account("one", Some("X")).unwrap();
    assert!(account.owns("https://a.example/", "") && account.owns("X", ""));
    assert!(account.former_keys.contains(&"acme/https://a.example/".to_owned()));
}
