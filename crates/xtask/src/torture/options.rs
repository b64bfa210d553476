//! What can be asked of the torture run.

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use super::controls::Control;

/// Gateways on a store that can be shared, where nothing else is said.
const REPLICAS: usize = 3;
/// Orders over all providers, where nothing else is said.
const ORDERS: usize = 300;
/// Orders over all providers in each of the two runs of the project's tests: enough for every fault, and
/// little enough for a test.
const TEST_ORDERS: usize = 80;
/// A seed that deals orders of every kind to them.
const TEST_SEED: u64 = 5;
/// Accounts at each provider, where nothing else is said.
const ACCOUNTS: usize = 8;
/// Clients at a time, where nothing else is said.
const CLIENTS: usize = 64;

/// What can be asked of the torture run.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Where the gateways keep their journal; by default SQLite, or what the control needs.
    #[arg(long, value_enum)]
    pub(crate) store: Option<Store>,
    /// Gateways on one store; several need a store that can be shared, and are its default.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) replicas: Option<u8>,
    /// Orders over all providers; by default 300, or what the control needs.
    #[arg(long)]
    pub(crate) orders: Option<usize>,
    /// A provider's name, or `all`; by default all, or the one that the control needs.
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// Accounts at each provider; an upstream that is found out by comparing listings is bought from
    /// one by one in each; by default 8, or what the control needs.
    #[arg(long)]
    pub(crate) accounts: Option<usize>,
    /// Decides what goes wrong when, as far as processes can be decided about.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Run a gateway that makes a known mistake; it has to buy twice, or to leave an order to a person
    /// where that is its mistake, or the run fails.
    #[arg(long, value_enum)]
    pub(crate) control: Option<Control>,
    /// Run the faults, the kill plan and the workload of a control around a gateway without its
    /// mistake; every promise has to be kept.
    #[arg(long, value_enum, conflicts_with = "control")]
    pub(crate) workload_of: Option<Control>,
    /// Ways to go wrong that the run is spared.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) without: Vec<Hazard>,
    /// Clients at a time; by default 64, or what the control needs.
    #[arg(long)]
    pub(crate) clients: Option<usize>,
    /// How many callers buy alike products at once in each account.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) tenants: u8,
    /// Run what `cargo xtask test` runs, whatever else is said.
    #[arg(long)]
    pub(crate) of_test: bool,
    /// How the programs are built.
    #[arg(long, value_enum, default_value = "dev")]
    pub(crate) profile: crate::Profile,
}

impl Options {
    /// What `cargo xtask test` runs: every provider on each store, and every control on the provider that
    /// can make its mistake; the longest first, since several go on at a time.
    pub(crate) fn of_test() -> Vec<Self> {
        let orders = Some(TEST_ORDERS);
        let whole = Self { orders, tenants: 2, seed: TEST_SEED, ..Self::plain() };
        let shared = Self { store: Some(Store::Postgres), ..whole.clone() };
        let control = |control: &Control| Self { control: Some(*control), ..Self::plain() };
        let mut runs: Vec<Self> = Control::value_variants().iter().map(control).collect();
        runs.insert(0, shared);
        runs.insert(2, whole);
        runs
    }

    /// A run of one provider.
    #[cfg(test)]
    pub(crate) fn of_provider(provider: &str, orders: usize) -> Self {
        Self { provider: Some(provider.to_owned()), orders: Some(orders), ..Self::plain() }
    }

    /// What a run is where nothing is asked.
    fn plain() -> Self {
        Self {
            store: None,
            replicas: None,
            orders: None,
            provider: None,
            accounts: None,
            seed: 1,
            control: None,
            workload_of: None,
            without: Vec::new(),
            clients: None,
            tenants: 1,
            of_test: false,
            profile: crate::Profile::Dev,
        }
    }

    /// The control that decides about faults, kill plan and workload.
    pub(crate) fn workload(&self) -> Option<Control> {
        self.control.or(self.workload_of)
    }

    /// Whether things may go wrong in this way.
    pub(crate) fn has(&self, hazard: Hazard) -> bool {
        let part = self.workload().is_none_or(|control| control.hazards().contains(&hazard));
        part && !self.without.contains(&hazard)
    }

    /// Where the gateways keep their journal.
    pub(crate) fn store(&self) -> Store {
        self.store.or(self.workload().map(Control::store)).unwrap_or(Store::Sqlite)
    }

    /// Orders over all providers.
    pub(crate) fn orders(&self) -> usize {
        self.orders.or(self.workload().map(Control::orders)).unwrap_or(ORDERS)
    }

    /// Accounts at each provider.
    pub(crate) fn accounts(&self) -> usize {
        self.accounts.or(self.workload().and_then(Control::accounts)).unwrap_or(ACCOUNTS)
    }

    /// Clients at a time.
    pub(crate) fn clients(&self) -> usize {
        self.clients.or(self.workload().and_then(Control::clients)).unwrap_or(CLIENTS)
    }

    /// A provider's name, or `all`.
    pub(crate) fn provider(&self) -> &str {
        let of_control = self.workload().map(Control::provider);
        self.provider.as_deref().or(of_control).unwrap_or("all")
    }

    /// How many gateways there are.
    ///
    /// # Errors
    /// When the store is one gateway's alone and there shall be several.
    pub(crate) fn gateways(&self) -> Result<usize> {
        let asked = self.replicas.or(self.workload().and_then(Control::replicas));
        let replicas = match (self.store(), asked) {
            (Store::Sqlite, None) => 1,
            (Store::Postgres, None) => REPLICAS,
            (_, Some(replicas)) => usize::from(replicas),
        };
        ensure!(
            replicas == 1 || self.store() == Store::Postgres,
            "{replicas} gateways cannot share an embedded store; --store postgres can be shared"
        );
        Ok(replicas)
    }

    /// In a few words.
    pub(crate) fn told(&self) -> String {
        let (store, provider) = (self.store().word(), self.provider());
        match (self.control, self.workload_of) {
            (Some(control), _) => format!("{}, {provider}", control.word()),
            (_, Some(of)) => format!("without the mistake {}, {provider}", of.word()),
            _ => format!("{provider} on {store}"),
        }
    }
}

/// Where journals are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    /// A file beside the gateway.
    Sqlite,
    /// A PostgreSQL server of the run's own.
    Postgres,
}

impl Store {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// A way to go wrong that a run may be spared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Hazard {
    /// Two provider entries of one account; some renewals are sent through both at once.
    TwoEntries,
    /// Two upstreams whose accounts have one identity, and whose objects have equal ids.
    TwoUpstreams,
    /// Upstreams that reuse the id of what was ended.
    ReturningIds,
    /// Plugins that err after the answer.
    PluginErrors,
    /// Gateways that are stopped for longer than lease and window, and continued.
    Stops,
    /// Gateways whose wall clock is stepped.
    ClockSteps,
    /// A replica that is restarted every few seconds for the whole run.
    Restarts,
    /// A person who buys, renews, pays, renames and cancels at the upstream.
    Person,
    /// A person who changes the quantity of what callers have bought, before they know of it too.
    ChangedQuantities,
    /// Effects that show a while after the upstream's last word.
    EffectLag,
    /// Reads that once do not know what was accepted.
    NotFound,
    /// Names that are cut.
    CutNames,
    /// Rows of a person that are dated ahead.
    DatedAhead,
    /// Words that no document knows.
    UnknownWords,
    /// Operators who speak early, late or wrongly, also where the upstream shows nothing of what it sold.
    Operators,
    /// A backup that is put in the store's place in the middle of the run.
    RestoredBackup,
    /// Gateways that for a while have a configuration without one of the providers.
    RollingConfiguration,
    /// A provider that now and then does not answer at all.
    HangingProvider,
}
