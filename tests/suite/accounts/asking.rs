//! When the upstream is asked whose account it is, and what is done while it does not answer.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use purveyor::plugin::{
    Environment, ManualClock, PluginsConfig, Provider, ProviderConfig, RateOverride, Registry,
};
use purveyor_sdk::plugin::v1::{CallContext, CallKind, Op};
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::v1::operation::State;
use purveyor_simulators::gandi::Options;
use purveyor_simulators::{Fault, FaultKind, Kind};

use crate::support::client::succeeded;
use crate::support::requests::purchase;
use crate::support::{
    API_KEY, Gateway, HOUR, asked, built, configuration, provider, sold, until, upstream,
};

const WHO: &str = "hosting.account.info";

fn silent() -> Fault {
    Fault::next(WHO, FaultKind::DropBeforeCommit).times(1000)
}

#[tokio::test]
async fn create_order_while_nobody_tells_the_account_is_accepted_and_sent_later() {
    let upstream = upstream(Options::default()).await;
    let configured = configuration().provider("gandi", provider(&upstream));
    // The first gateway knows nothing of the account, the second what the first has stored.
    let mut gateway = Gateway::start(configured).await;
    for sales in 1..=2 {
        upstream.inject(silent());
        let client = gateway.client().await;
        let order = client.order(purchase("gandi", &[("shares", 2)])).await;
        let order = order.expect("it is accepted");
        let tried = || async { !client.operation(&order.name).await.message.is_empty() };
        crate::support::until("it was tried", tried).await;
        let waiting = client.operation(&order.name).await;
        assert_eq!((waiting.state(), waiting.attempts.len()), (State::Accepted, 0));
        upstream.clear_faults();
        succeeded(client.done(&order.name).await);
        assert_eq!(sold(&upstream, Kind::ProductAdd).len(), sales);
        drop(client);
        gateway = Gateway::start_in(gateway.stop().await).await;
    }
}

fn config(id: &str, endpoint: &str) -> ProviderConfig {
    let mut config = ProviderConfig::new(id, "gandi", endpoint.parse().expect("a URL"));
    config.credentials.insert("api-key".to_owned(), API_KEY.into());
    config
}

async fn registry(accounts: Vec<ProviderConfig>) -> (Registry, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let plugins = PluginsConfig {
        directory: built().plugins.clone(),
        pins: built().pins.clone(),
        ..PluginsConfig::default()
    };
    (Registry::open(plugins, accounts, Environment::new(clock.clone())).await, clock)
}

#[tokio::test]
async fn identify_asks_again_after_an_hour_and_after_a_credential_was_refused() {
    let upstream = upstream(Options::default()).await;
    let (registry, clock) = registry(vec![config("gandi", upstream.url())]).await;
    let provider = registry.get("gandi").expect("it is configured");
    let identified = async |times: u64| {
        let identified = provider.identify().await.expect("it is told");
        assert_eq!(asked(&upstream, WHO), times);
        identified
    };
    assert!(identified(1).await.asked);
    clock.advance(Duration::from_secs(3599));
    assert!(!identified(1).await.asked);
    clock.advance(Duration::from_secs(1));
    assert!(identified(2).await.asked);
    // The upstream refuses the credential in another call.
    let refused = FaultKind::Fault { code: 510_150, text: "Error on object".to_owned() };
    upstream.inject(Fault::next("hosting.account.info", refused));
    let read = async || {
        let request = CallContext::default();
        provider.call(CallKind::Read, Op::ListServices, &[], &request).await
    };
    let error = read().await.expect_err("the credential is refused");
    assert_eq!((error.reason, asked(&upstream, WHO)), (ErrorReason::UpstreamCredentials, 3));
    assert!(identified(4).await.asked);
    // Any other failure says nothing of the account. A read on a pooled connection is sent once more.
    let dropped = Fault::next("hosting.account.info", FaultKind::DropBeforeCommit);
    upstream.inject(dropped.times(2));
    read().await.expect_err("no answer");
    let before = asked(&upstream, WHO);
    assert!(!identified(before).await.asked);
    // While it cannot be asked, what it told last is known, and is not told as fresh.
    clock.advance(HOUR);
    upstream.inject(silent());
    provider.identify().await.expect_err("nobody answers");
    assert!(provider.told_account().is_some());
}

/// A refusal that comes while the identity is on its way says that the credential may have changed since.
#[tokio::test]
async fn identify_asks_again_after_a_refusal_that_came_while_it_was_asking() {
    let upstream = upstream(Options::default()).await;
    let (registry, _clock) = registry(vec![config("gandi", upstream.url())]).await;
    let provider = registry.get("gandi").expect("it is configured");
    let told = FaultKind::Fault { code: 510_150, text: "Error on object".to_owned() };
    let refusals = [(told, 0), (FaultKind::Status { status: 401 }, 3)];
    for (refusal, before) in refusals {
        upstream.inject(Fault::next(WHO, FaultKind::Slow { ms: 3_600_000 }));
        let asking = tokio::spawn({
            let provider = Arc::clone(&provider);
            async move { provider.identify().await }
        });
        until("it is asked", async || asked(&upstream, WHO) == before + 1).await;
        upstream.inject(Fault::next(WHO, refusal));
        let context = CallContext::default();
        let read = provider.call(CallKind::Read, Op::ListServices, &[], &context).await;
        read.expect_err("the credential is refused");
        upstream.advance(Duration::from_secs(3600));
        let identified = asking.await.expect("it ends").expect("it is told");
        assert!(identified.asked);
        let again = provider.identify().await.expect("it is told");
        assert_eq!((again.asked, asked(&upstream, WHO)), (true, before + 3));
        assert!(!provider.identify().await.expect("it is told").asked);
        provider.forget_identity();
    }
}

/// The configuration alone says whose account it is where the plugin cannot: what was stored under an
/// earlier one does not count, not even until the first step.
#[tokio::test]
async fn changed_account_id_counts_at_once_where_the_plugin_does_not_identify() {
    let ours = |id: &str, account_id: Option<&str>| {
        let endpoint = format!("https://{id}.example").parse().expect("a URL");
        let mut config = ProviderConfig::new(id, "klikk", endpoint);
        config.credentials.insert("login".to_owned(), "user:password".to_owned().into());
        ProviderConfig { account_id: account_id.map(str::to_owned), ..config }
    };
    let (registry, _clock) = registry(vec![ours("one", Some("B")), ours("two", Some("B"))]).await;
    let one = registry.get("one").expect("it is configured");
    one.recall_account("klikk", "https://one.example:443", "A");
    let account = one.account().expect("it is stored");
    assert_eq!(
        (&*account.identity, account.key.as_str()),
        ("B", "klikk https://one.example:443 B")
    );
    assert!(one.undecided_account().is_some_and(|why| why.contains("account B is known")));
}

/// Reads until the account's rate leaves no turn.
async fn turns(provider: &Provider) -> usize {
    let mut turns = 0;
    let context = CallContext::default();
    while provider.call(CallKind::Read, Op::ListServices, &[], &context).await.is_ok() {
        turns += 1;
    }
    turns
}

#[tokio::test]
async fn rate_is_shared_by_providers_of_one_account_and_not_between_origins() {
    let upstream = upstream(Options::default()).await;
    let elsewhere = upstream.url().replace("127.0.0.1", "localhost");
    let rate = RateOverride { requests: 6, period: Duration::from_secs(600) };
    let limited = |id: &str, url: &str| ProviderConfig { rate: Some(rate), ..config(id, url) };
    let accounts = vec![
        limited("one", upstream.url()),
        limited("two", upstream.url()),
        limited("three", &elsewhere),
    ];
    let (registry, _clock) = registry(accounts).await;
    let provider = |id: &str| registry.get(id).expect("it is configured");
    for id in ["one", "two", "three"] {
        provider(id).identify().await.expect("it is told");
    }
    let (one, two, three) = (provider("one"), provider("two"), provider("three"));
    assert_eq!((turns(&one).await, turns(&two).await, turns(&three).await), (5, 0, 5));
}
