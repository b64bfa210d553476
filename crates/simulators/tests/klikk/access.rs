//! Who may call: each refusal has an answer of its own, and refuses before anything is made.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use purveyor_simulators::klikk::{AccountSeed, Klikk, Options};

use crate::client::{TOKEN, order, raw};

#[tokio::test]
async fn tokens_logins_filters_and_second_factors() {
    let named = |token: &str| AccountSeed {
        account_token: token.to_owned(),
        profile: token.to_owned(),
        ..AccountSeed::default()
    };
    let accounts = vec![
        AccountSeed { login: Some("kari:secret".to_owned()), ..AccountSeed::default() },
        AccountSeed {
            ip_filter: vec!["192.0.2.1".parse().unwrap()],
            ..named("filteredtoken00000000")
        },
        AccountSeed {
            ip_filter: vec!["127.0.0.1".parse().unwrap()],
            ..named("admittedtoken00000000")
        },
        AccountSeed {
            login: Some("ola:secret".to_owned()),
            two_factor: true,
            ..named("twofactortoken0000000")
        },
        AccountSeed { locked: true, ..named("lockedtoken0000000000") },
    ];
    let simulator = Klikk::start(Options { accounts, ..Options::default() }).await.unwrap();
    let check = async |headers: &[(&str, &str)], status: u16, message: &str| {
        let before = simulator.ledger().len();
        let (seen, body) = raw(simulator.url(), headers, order(&["a"]).to_string()).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(seen, status, "{headers:?} {body}");
        assert!(body["message"].as_str().unwrap().contains(message), "{body}");
        let sold = usize::from(status == 200);
        assert_eq!(simulator.ledger().len() - before, sold, "{headers:?}");
    };
    let basic = |login: &str| format!("Basic {}", BASE64_STANDARD.encode(login));
    let token = |value| [("X-Account-Token", value)];
    check(&token(TOKEN), 200, "").await;
    check(&token("admittedtoken00000000"), 200, "").await;
    check(&token("twofactortoken0000000"), 200, "").await;
    check(&[("authorization", &basic("kari:secret"))], 200, "").await;
    check(&[], 401, "Authentication required").await;
    check(&token("unknowntoken000000000"), 401, "Invalid account token").await;
    check(&[("authorization", &basic("kari:wrong"))], 401, "Wrong user name").await;
    check(&[("authorization", &basic("kari"))], 401, "Wrong user name").await;
    check(&[("authorization", "Basic ???")], 401, "Authentication required").await;
    check(&[("authorization", "Bearer x")], 401, "Authentication required").await;
    check(&[("authorization", &basic("ola:secret"))], 401, "Two-factor").await;
    check(&token("filteredtoken00000000"), 403, "from this address").await;
    check(&token("lockedtoken0000000000"), 403, "may not use").await;
    // A token counts before a login.
    let both =
        [("X-Account-Token", "lockedtoken0000000000"), ("authorization", &basic("kari:secret"))];
    check(&both, 403, "may not use").await;
}

#[tokio::test]
async fn what_is_no_account_is_refused() {
    let check = async |seed: AccountSeed| {
        let options = Options { accounts: vec![seed], ..Options::default() };
        assert!(Klikk::start(options).await.is_err());
    };
    check(AccountSeed { account_token: "short".to_owned(), ..AccountSeed::default() }).await;
    check(AccountSeed { account_token: "a b".repeat(10), ..AccountSeed::default() }).await;
    check(AccountSeed { login: Some("kari".to_owned()), ..AccountSeed::default() }).await;
}
