//! What scenarios through gRPC need: a gateway in this process, with real plugins, a store of its
//! own and a free port, and the simulated upstream beside it. It must not know a scenario.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use purveyor::{app, config};
use purveyor_simulators::Simulator;
use purveyor_simulators::gandi::{AccountSeed, Gandi, Mode, Options};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use xtask::artifacts::{self, Artifacts, Profile};
use xtask::configuration::{Configuration, Provider};

/// The API key of the simulated account.
pub(crate) const API_KEY: &str = "testtesttesttesttesttest";

/// The workspace's plugins and programs, built once in a run.
pub(crate) fn built() -> &'static Artifacts {
    static BUILT: LazyLock<Artifacts> =
        LazyLock::new(|| artifacts::build(Profile::Dev).expect("the workspace builds"));
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
        let (ready, mut address) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let serving = app::run(config, move |address| drop(ready.send(address)), async move {
            drop(stopped.await)
        });
        let mut served = tokio::spawn(serving);
        let address = tokio::select! {
            address = &mut address => address.expect("the gateway is ready"),
            ended = &mut served => panic!("the gateway did not start: {ended:?}"),
        };
        Self { address, stop, served, folder }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection of its own.
    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address));
        endpoint.expect("an address").connect().await.expect("the gateway accepts connections")
    }

    /// The folder of its store and its configuration.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file of its store.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder().join("purveyor.db")
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

/// A Gandi simulator whose operations end at once, and the provider that points to it.
pub(crate) async fn gandi() -> (Simulator<Gandi>, Provider) {
    gandi_with(Mode::default()).await
}

/// As [`gandi`], with switches.
pub(crate) async fn gandi_with(mode: Mode) -> (Simulator<Gandi>, Provider) {
    let account = AccountSeed { api_key: API_KEY.to_owned(), ..AccountSeed::default() };
    let options = Options { accounts: vec![account], mode, ..Options::default() };
    let simulator = Gandi::start(options).await.expect("the simulator starts");
    let provider = Provider::new("gandi", simulator.url())
        .credential("api-key", API_KEY)
        .timing("attempt_timeout_ms", 500)
        .timing("upstream_idle_ms", 50)
        .timing("upstream_processing_ms", 50)
        .timing("listing_lag_ms", 50);
    (simulator, provider)
}
