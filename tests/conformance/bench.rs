//! What subjects share: several simulators of one kind behind one gateway, and how a simulator is looked
//! at and disturbed. It must not know a provider.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use purveyor_sdk::conformance::{Disturbance, Failure, Outcome, Sale};
use purveyor_simulators::{Dress, Encoding, Fault, FaultKind, Simulator};
use tempfile::TempDir;
use xtask::artifacts::Artifacts;
use xtask::configuration::{Configuration, Provider};
use xtask::gateway;
use xtask::process::Running;

/// How many upstreams of one kind share the cases. Most of a case is waiting.
pub(crate) const UPSTREAMS: usize = 10;

/// A gateway with one provider for each upstream. It runs until this is dropped.
pub(crate) struct Gateway {
    _running: Running,
    _folder: TempDir,
    address: String,
}

/// What a manifest's call is at its simulator: its name there, and how it answers too many requests.
#[derive(Clone, Copy)]
pub(crate) struct Calls {
    /// The manifest's names and the simulator's; what is not among them has one name.
    pub(crate) names: &'static [(&'static str, &'static str)],
    /// A refusal in a word or code that nobody declares.
    pub(crate) unknown_word: fn() -> FaultKind,
    /// A complete 400 that nobody declares.
    pub(crate) undeclared: fn() -> FaultKind,
    /// The code of a refusal that has a text.
    pub(crate) echo: i32,
    /// What the provider is configured with, as the upstream could repeat it.
    pub(crate) credentials: &'static [&'static str],
    /// The answer to too many requests; `None` where the upstream has no such answer.
    pub(crate) rate_limit: fn() -> Option<FaultKind>,
}

/// One upstream and the provider that points to it.
pub(crate) struct Bench<P> {
    pub(crate) upstream: Simulator<P>,
    /// The provider's id.
    pub(crate) provider: String,
    /// Where the gateway listens.
    pub(crate) gateway: String,
    /// Where a file asks for an error of the plugin.
    errors: PathBuf,
    calls: Calls,
}

/// Stands in a refusal for every spelling of the credentials.
const ECHO: &str = "ECHO-OF-CREDENTIALS";

/// How long an effect is awaited: longer than the suite lets one lag.
const EFFECT_LAG_MS: u64 = 1500;

/// Longer than an attempt may take.
const SILENCE_MS: u64 = 2000;

/// How long something lasts that lasts until the end of a case.
pub(crate) const FOR_GOOD_MS: u64 = 3_600_000;

/// The times that simulators are started with: what settles does so within four seconds, two of which
/// are the gateway's own.
pub(crate) fn timed(provider: Provider) -> Provider {
    provider
        .timing("attempt_timeout_ms", 1000)
        .timing("upstream_idle_ms", 50)
        .timing("upstream_processing_ms", 50)
        .timing("listing_lag_ms", 50)
        .timing("effect_lag_ms", EFFECT_LAG_MS)
}

/// Starts the real program with a provider for each upstream.
///
/// # Errors
/// When it does not start.
pub(crate) fn serve<P>(
    artifacts: &Artifacts,
    upstreams: Vec<Simulator<P>>,
    provider: impl Fn(&Simulator<P>) -> Provider,
    calls: Calls,
) -> Result<(Gateway, Vec<Bench<P>>)> {
    let folder = tempfile::tempdir().context("no folder for the gateway")?;
    let configuration = Configuration::new(artifacts)
        .engine("look_first_ms", 20)
        .engine("look_longest_ms", 500)
        .engine("retry_first_ms", 20)
        .log_filter("warn");
    let named = upstreams.iter().enumerate();
    let configuration = named.fold(configuration, |configuration, (number, upstream)| {
        configuration.provider(&id(number), provider(upstream))
    });
    let file = configuration.write(folder.path())?;
    let errors = folder.path().join("errors");
    std::fs::create_dir(&errors).context("no folder for the plugins' errors")?;
    let failpoints = format!(
        "errors={}{}",
        errors.display(),
        std::env::var("CONF_CONTROL").map(|it| format!(",control={it}")).unwrap_or_default()
    );
    let variables = [("PURVEYOR_FAILPOINTS", failpoints.as_str())];
    let (running, address) =
        gateway::serve_with(artifacts.program("purveyor")?, &file, &variables)?;
    let address = format!("http://{address}");
    let gateway = Gateway { _running: running, _folder: folder, address };
    let benches = upstreams.into_iter().enumerate().map(|(number, upstream)| Bench {
        upstream,
        provider: id(number),
        gateway: gateway.address.clone(),
        errors: errors.clone(),
        calls,
    });
    let benches = benches.collect();
    Ok((gateway, benches))
}

fn id(number: usize) -> String {
    format!("subject-{number}")
}

impl<P> Bench<P> {
    /// The ledger, without what a person did at the upstream.
    pub(crate) fn sales(&self) -> Vec<Sale> {
        let entries = self.upstream.ledger().into_iter().filter(|entry| !entry.sale.person);
        entries
            .map(|entry| Sale {
                kind: format!("{:?}", entry.sale.kind),
                id: entry.sale.operation_id,
            })
            .collect()
    }

    /// The requests by the manifest's names.
    pub(crate) fn requests(&self) -> BTreeMap<String, u64> {
        let mut requests = BTreeMap::new();
        for (method, times) in self.upstream.requests() {
            let names = self.calls.names.iter();
            let name = names.clone().find(|(_, theirs)| *theirs == method).map(|(ours, _)| *ours);
            *requests.entry(name.map_or(method, str::to_owned)).or_default() += times;
        }
        requests
    }

    /// Arms a fault for the next request of a call; `false` where there is no such fault.
    ///
    /// # Errors
    /// When the gateway cannot be asked for it.
    pub(crate) fn disturb(&self, call: &str, disturbance: Disturbance) -> Outcome<bool> {
        let kind = match disturbance {
            Disturbance::LoseBeforeCommit => FaultKind::DropBeforeCommit,
            Disturbance::LoseAfterCommit => FaultKind::DropAfterCommit,
            Disturbance::Stall(time) => return Ok(self.commit(call, slow(milliseconds(time)))),
            Disturbance::LoseUnderWay => return Ok(self.commit(call, slow(SILENCE_MS))),
            Disturbance::Undeclared { committed: false } => (self.calls.undeclared)(),
            Disturbance::Undeclared { committed: true } => {
                return Ok(self.commit(call, (self.calls.undeclared)()));
            }
            // How an upstream comes into these, its subject knows.
            Disturbance::CutMark | Disturbance::EffectLag(_) | Disturbance::Unpaid => {
                return Ok(false);
            }
            Disturbance::PluginError => return self.ask("error", call),
            Disturbance::Contested => return self.ask("contested", call),
            Disturbance::TakenOver => return self.ask("taken-over", call),
            Disturbance::UnknownWord => {
                return Ok(self.commit(call, (self.calls.unknown_word)()));
            }
            Disturbance::Encoded => {
                self.upstream.set_dress(Dress {
                    byte_order_mark: true,
                    compression: Some(Encoding::Gzip),
                    ..Dress::default()
                });
                return Ok(true);
            }
            Disturbance::Echo => {
                self.upstream.set_dress(Dress {
                    put: vec![(ECHO.to_owned(), self.echo())],
                    ..Dress::default()
                });
                FaultKind::Fault { code: self.calls.echo, text: ECHO.to_owned() }
            }
            Disturbance::RateLimit => match (self.calls.rate_limit)() {
                Some(kind) => kind,
                None => return Ok(false),
            },
        };
        self.fail(call, kind);
        Ok(true)
    }

    /// Every spelling of the credentials that an upstream could answer.
    fn echo(&self) -> String {
        let spellings = self.calls.credentials.iter().flat_map(|credential| {
            [(*credential).to_owned(), STANDARD.encode(credential), hex::encode(credential)]
        });
        let spellings = spellings.chain(["{authorization}".to_owned()]);
        spellings.map(|spelling| format!("(({spelling})) ")).collect()
    }

    /// Whether every fault that was armed has struck.
    pub(crate) fn struck(&self) -> bool {
        self.upstream.armed().is_empty() && !self.asked().exists()
    }

    /// The file that asks for something to happen in the gateway, until it does.
    fn asked(&self) -> PathBuf {
        self.errors.join(&self.provider)
    }

    /// Asks for something to happen in the gateway. One without failpoints cannot be brought to that.
    fn ask(&self, what: &str, call: &str) -> Outcome<bool> {
        if !cfg!(feature = "failpoints") {
            return Ok(false);
        }
        let asked = std::fs::write(self.asked(), format!("{what} {call}"));
        asked.map(|()| true).map_err(Failure::new)
    }

    /// Takes back every disturbance that has not struck.
    pub(crate) fn calm(&self) {
        self.upstream.clear_faults();
        self.upstream.set_dress(Dress::default());
        // There is none, unless one was asked for.
        let _none = std::fs::remove_file(self.asked());
    }

    /// Lets the answers to a call tell another text where a text stands first.
    pub(crate) fn respell(&self, call: &str, from: &str, to: &str) {
        let kind = FaultKind::Respell { from: from.to_owned(), to: to.to_owned() };
        self.upstream.inject(Fault::next(self.theirs(call), kind).times(u32::MAX));
    }

    /// Arms any fault for the next request of a call.
    pub(crate) fn fail(&self, call: &str, kind: FaultKind) {
        self.upstream.inject(Fault::next(self.theirs(call), kind));
    }

    /// As [`Bench::fail`], where the call takes effect first.
    fn commit(&self, call: &str, kind: FaultKind) -> bool {
        self.upstream.inject(Fault::next(self.theirs(call), kind).committed());
        true
    }

    fn theirs<'a>(&self, call: &'a str) -> &'a str
    where
        'static: 'a,
    {
        self.calls.names.iter().find(|(ours, _)| *ours == call).map_or(call, |(_, theirs)| *theirs)
    }
}

fn slow(ms: u64) -> FaultKind {
    FaultKind::Slow { ms }
}

pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
