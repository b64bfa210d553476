//! What scenarios through gRPC need: a gateway in this process, with real plugins, a store of its
//! own and a free port, and the simulated upstream beside it. It must not know a scenario.

pub(crate) mod client;
pub(crate) mod disk;
pub(crate) mod elsewhere;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod requests;
pub(crate) mod wall_clock;

use std::any::Any;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use purveyor::{app, config};
use purveyor_simulators::gandi::{AccountSeed, Gandi, Mode, Options};
use purveyor_simulators::{FaultKind, Kind, Simulator};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use xtask::artifacts::{self, Artifacts, Profile};
use xtask::configuration::{Configuration, Provider};

use self::client::Client;

/// The API key of the simulated account.
pub(crate) const API_KEY: &str = "testtesttesttesttesttest";

/// So slow that only moving the simulator's clock on ends it.
pub(crate) const FOR_EVER: FaultKind = FaultKind::Slow { ms: 3_600_000 };

/// The call takes effect when the simulator's clock is moved on, and not before; its answer is lost.
pub(crate) const LATER: FaultKind = FaultKind::LateCommit { ms: 3_600_000 };

/// How far the simulator's clock is moved on to end [`FOR_EVER`] and [`LATER`].
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

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

/// How many independent cases of one test run at a time. Each waits most of the time, and starts programs.
const AT_A_TIME: usize = 4;

/// Checks cases that have nothing to do with each other, some at a time, and names all that do not hold. To be
/// called in a runtime of several threads: while the start of a program is awaited, others answer it.
pub(crate) async fn check_each<C, F>(
    cases: impl IntoIterator<Item = C>,
    name: impl Fn(&C) -> String,
    check: impl Fn(C) -> F,
) where
    F: Future<Output = ()>,
{
    let checks = cases.into_iter().map(|case| {
        let (name, checked) = (name(&case), AssertUnwindSafe(check(case)).catch_unwind());
        async move { checked.await.err().map(|panic| format!("{name}: {}", said(panic))) }
    });
    let ends = stream::iter(checks).buffer_unordered(AT_A_TIME);
    let failures: Vec<String> = ends.filter_map(async |failure| failure).collect().await;
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The message of a panic.
pub(crate) fn said(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast::<String>().map(|text| *text);
    let text = text.or_else(|panic| panic.downcast::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|_| "a panic without a message".to_owned())
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

/// A Gandi simulator with one account of its own. Another simulator has another handle, so that nothing of
/// the one's can be taken for the other's, whatever an account is told apart by.
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
pub(crate) fn asked<P>(simulator: &Simulator<P>, method: &str) -> u64 {
    simulator.requests().get(method).copied().unwrap_or_default()
}

/// The upstream's operations that the ledger has as sales of a kind, oldest first.
pub(crate) fn sold(simulator: &Simulator<Gandi>, kind: Kind) -> Vec<String> {
    let entries = simulator.ledger().into_iter().filter(|entry| entry.sale.kind == kind);
    entries.map(|entry| entry.sale.operation_id).collect()
}
