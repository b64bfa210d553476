//! One identity at two endpoints: nothing is written until the configuration says whether that is one
//! account or two.

use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{GetProviderRequest, Provider as Shown};
use purveyor_simulators::gandi::{AccountSeed, Gandi, Options};
use purveyor_simulators::{Fault, Kind, Simulator};
use tonic::Code;

use super::{RENEW, in_progress, patient, renew, under};
use crate::support::client::{Client, order, succeeded, told};
use crate::support::requests::{purchase, renewal};
use crate::support::{API_KEY, Gateway, LATER, configuration, sold, spends};

/// Production and sandbox: two upstreams that know the account by one identity and count alike.
async fn pair(handle: &str) -> (Simulator<Gandi>, Simulator<Gandi>) {
    let start = || {
        let account = AccountSeed {
            api_key: API_KEY.to_owned(),
            handle: handle.to_owned(),
            ..AccountSeed::default()
        };
        Gandi::start(Options { accounts: vec![account], ..Options::default() })
    };
    (start().await.expect("it starts"), start().await.expect("it starts"))
}

async fn gateway(
    upstreams: &(Simulator<Gandi>, Simulator<Gandi>),
    account: Option<&str>,
) -> Gateway {
    let set = |upstream| {
        let provider = patient(upstream);
        match account {
            Some(setting) => provider.account(setting),
            None => provider,
        }
    };
    let (production, sandbox) = (set(&upstreams.0), set(&upstreams.1));
    let configured = configuration().provider("production", production);
    Gateway::start(configured.provider("sandbox", sandbox)).await
}

async fn shown(client: &Client, provider: &str) -> Shown {
    let request = GetProviderRequest { name: format!("providers/{provider}") };
    client.providers().get_provider(request).await.expect("it is configured").into_inner()
}

#[tokio::test]
async fn create_order_one_identity_at_two_origins_is_refused_until_it_is_decided() {
    let upstreams = pair("ORIGINS1-GANDI").await;
    let gateway = gateway(&upstreams, None).await;
    let client = gateway.client().await;
    // Nobody knows yet who the sandbox is.
    succeeded(client.ordered(purchase("production", &[("shares", 2)])).await);
    for provider in ["sandbox", "production"] {
        let status = client.order(purchase(provider, &[("shares", 2)])).await;
        let status = status.expect_err("it is not decided");
        let (code, reason, _) = told(&status);
        assert_eq!((code, &*reason), (Code::FailedPrecondition, "ACCOUNT_CHANGED"), "{status}");
        assert!(status.message().contains("account = \"separate\""), "{status}");
        let notices = shown(&client, provider).await.notices;
        assert!(notices.iter().any(|it| it.reason == "ACCOUNT_UNDECIDED"), "{notices:?}");
        // Reads go on.
        client.all_services(provider).await.expect("services");
        client.all_orders(provider).await;
    }
    assert_eq!((spends(&upstreams.0), spends(&upstreams.1)), (1, 0));
}

#[tokio::test]
async fn create_order_separate_accounts_with_equal_ids_do_not_collide() {
    let upstreams = pair("ORIGINS2-GANDI").await;
    let gateway = gateway(&upstreams, Some("separate")).await;
    let client = gateway.client().await;
    let mut ids = Vec::new();
    for provider in ["production", "sandbox"] {
        let operation = succeeded(client.ordered(purchase(provider, &[("shares", 2)])).await);
        ids.push(order(&operation).upstream.clone().expect("sold").id().to_owned());
        let listed = client.all_orders(provider).await;
        let names: Vec<_> = listed.iter().map(|order| order.name.clone()).collect();
        assert_eq!(names, [operation.target]);
    }
    assert_eq!(ids[0], ids[1], "the scenario has equal identifiers");
    assert_eq!((sold(&upstreams.0, Kind::ProductAdd).len(), spends(&upstreams.1)), (1, 1));
    // Nor do their services hold each other off.
    let service = client.all_services("production").await.expect("services").pop().expect("one");
    let theirs = client.service(&under("sandbox", &service)).await.expect("equal identifiers");
    upstreams.0.inject(Fault::next(RENEW, LATER));
    let first = renew(&client, renewal(&service.name, service.expire_time)).await;
    client.reaches(&first.expect("accepted").name, State::Reconciling).await;
    let second = renew(&client, renewal(&theirs.name, theirs.expire_time)).await;
    succeeded(client.done(&second.expect("accepted").name).await);
}

#[tokio::test]
async fn create_renewal_shared_account_at_two_origins_renews_once() {
    let upstreams = pair("ORIGINS3-GANDI").await;
    let gateway = gateway(&upstreams, Some("shared")).await;
    let client = gateway.client().await;
    let service = client.bought(purchase("production", &[("shares", 2)])).await;
    upstreams.0.inject(Fault::next(RENEW, LATER));
    let first = renew(&client, renewal(&service.name, service.expire_time)).await;
    let first = first.expect("accepted");
    client.reaches(&first.name, State::Reconciling).await;
    // The other simulator has bought nothing; a service of its own with the same identifier stands for
    // the one that both show.
    crate::support::elsewhere::buy(&upstreams.1, "shares", 2).await;
    let theirs = client.service(&under("sandbox", &service)).await.expect("it is there");
    in_progress(renew(&client, renewal(&theirs.name, theirs.expire_time)).await, &first);
    assert_eq!(sold(&upstreams.1, Kind::ProductRenew).len(), 0);
}
