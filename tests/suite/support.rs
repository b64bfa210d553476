//! What scenarios through gRPC need: a gateway in this process, with real plugins, a store of its
//! own and a free port, and the simulated upstream beside it. It must not know a scenario.

pub(crate) mod client;
pub(crate) mod disk;
pub(crate) mod elsewhere;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod requests;
pub(crate) mod wall_clock;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use purveyor::{app, config};
use purveyor_simulators::gandi::{AccountSeed, Gandi, Mode, Options};
use purveyor_simulators::{Kind, Simulator};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use xtask::artifacts::{self, Artifacts, Profile};
use xtask::configuration::{Configuration, Provider};

use self::client::Client;

/// The API key of the simulated account.
pub(crate) const API_KEY: &str = "testtesttesttesttesttest";

/// The workspace's plugins and programs, built once in a run.
pub(crate) fn built() -> &'static Artifacts {
    static BUILT: LazyLock<Artifacts> = LazyLock::new(|| {
        artifacts::build_as(Profile::Dev, cfg!(feature = "failpoints"))
            .expect("the workspace builds")
    });
    &BUILT
}

/// A gateway on a free port, its store in a folder of its own. Dropping it is as `kill -9`: nothing
/// is drained. [`Gateway::stop`] stops it in order.
pub(crate) struct Gateway {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<anyhow::Result<()>>,
    folder: TempDir,
}

impl Gateway {
    /// Starts a gateway with the providers of `configuration`, and returns when it accepts calls.
    pub(crate) async fn start(configuration: Configuration) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the gateway");
        configuration.write(folder.path()).expect("the configuration is written");
        Self::start_in(folder).await
    }

    /// Starts a gateway on the store and the configuration that an earlier one left.
    pub(crate) async fn start_in(folder: TempDir) -> Self {
        let file = folder.path().join("purveyor.toml");
        let config = config::load(&file).unwrap_or_else(|report| panic!("{report}"));
        let (ready, address) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let serving = app::run(
            config,
            move |address| ready.send(address).expect("it is waited for"),
            async move { drop(stopped.await) },
        );
        let served = tokio::spawn(serving);
        // Nobody sends an address when the gateway ends before it is ready.
        let Ok(address) = address.await else {
            panic!("the gateway did not start: {:?}", served.await)
        };
        Self { address, stop, served, folder }
    }

    /// A caller with a connection of its own.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Stops it in order, and hands back the folder, for the next gateway.
    pub(crate) async fn stop(self) -> TempDir {
        self.stop.send(()).expect("the gateway runs");
        let served = self.served.await.expect("the gateway does not panic");
        served.expect("the gateway stops without an error");
        self.folder
    }
}

/// A configuration with the built plugins, short times and no provider yet.
pub(crate) fn configuration() -> Configuration {
    Configuration::new(built()).engine("look_first_ms", 20).engine("retry_first_ms", 20)
}

/// The longest that a test waits for anything. What it waits for takes a moment; a debug build on a
/// busy machine takes more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Waits until something holds that only asking again can tell.
#[track_caller]
pub(crate) fn until<'a, F>(
    what: &'a str,
    holds: impl Fn() -> F + 'a,
) -> impl Future<Output = ()> + 'a
where
    F: Future<Output = bool> + 'a,
{
    let asked = async move {
        let mut ticks = tokio::time::interval(LOOK_AGAIN);
        while !holds().await {
            ticks.tick().await;
        }
    };
    async move {
        let held = tokio::time::timeout(PATIENCE, asked).await;
        assert!(held.is_ok(), "{what}: not so after {PATIENCE:?}");
    }
}

/// A Gandi simulator whose operations end at once, and the provider that points to it.
pub(crate) async fn gandi() -> (Simulator<Gandi>, Provider) {
    gandi_with(Mode::default()).await
}

/// As [`gandi`], with switches.
pub(crate) async fn gandi_with(mode: Mode) -> (Simulator<Gandi>, Provider) {
    let simulator = upstream(Options { mode, ..Options::default() }).await;
    let provider = provider(&simulator);
    (simulator, provider)
}

/// A Gandi simulator with one account of its own. Accounts of one owner share a gate and the
/// identifiers that they have claimed, so every simulator has another.
pub(crate) async fn upstream(options: Options) -> Simulator<Gandi> {
    static OWNERS: AtomicU32 = AtomicU32::new(1);
    let first = options.accounts.into_iter().next().unwrap_or_default();
    let owner = OWNERS.fetch_add(1, Ordering::Relaxed);
    let handle = format!("TT{owner:04}-GANDI");
    let account = AccountSeed { api_key: API_KEY.to_owned(), handle, ..first };
    let options = Options { accounts: vec![account], ..options };
    Gandi::start(options).await.expect("the simulator starts")
}

/// The provider that points to a simulator, with the times that simulators are started with.
pub(crate) fn provider(simulator: &Simulator<Gandi>) -> Provider {
    provider_at(simulator.url())
}

/// As [`provider`], by the address alone.
pub(crate) fn provider_at(url: &str) -> Provider {
    Provider::new("gandi", url)
        .credential("api-key", API_KEY)
        .timing("attempt_timeout_ms", 1000)
        .timing("upstream_idle_ms", 50)
        .timing("upstream_processing_ms", 50)
        .timing("listing_lag_ms", 50)
}

/// How often the simulator was asked for what costs money.
pub(crate) fn spends(simulator: &Simulator<Gandi>) -> u64 {
    let asked = simulator.requests();
    let spend = |name: &str| name.contains("product.") || name == "operation.cancel";
    asked.iter().filter(|(name, _)| spend(name)).map(|(_, times)| times).sum()
}

/// How often one method was called.
pub(crate) fn asked(simulator: &Simulator<Gandi>, method: &str) -> u64 {
    simulator.requests().get(method).copied().unwrap_or_default()
}

/// The upstream's operations that the ledger has as sales of a kind, oldest first.
pub(crate) fn sold(simulator: &Simulator<Gandi>, kind: Kind) -> Vec<String> {
    let entries = simulator.ledger().into_iter().filter(|entry| entry.sale.kind == kind);
    entries.map(|entry| entry.sale.operation_id).collect()
}
