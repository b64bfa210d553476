//! What can be asked of the torture run.

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

/// Gateways on a store that can be shared, where nothing else is said.
const REPLICAS: usize = 3;

/// What can be asked of the torture run.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Where the gateways keep their journal.
    #[arg(long, value_enum, default_value = "sqlite")]
    pub(crate) store: Store,
    /// Gateways on one store; several need a store that can be shared, and are its default.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) replicas: Option<u8>,
    /// Orders over all providers.
    #[arg(long, default_value_t = 300)]
    pub(crate) orders: usize,
    /// A provider's name, or `all`.
    #[arg(long, default_value = "all")]
    pub(crate) provider: String,
    /// Accounts at each provider; an upstream that is found out by comparing listings is bought from
    /// one by one in each.
    #[arg(long, default_value_t = 8)]
    pub(crate) accounts: usize,
    /// Decides what goes wrong when, as far as processes can be decided about.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Run a gateway that makes a known mistake; it has to buy twice, or the run fails.
    #[arg(long, value_enum)]
    pub(crate) control: Option<Control>,
    /// Clients at a time.
    #[arg(long, default_value_t = 64)]
    pub(crate) clients: usize,
    /// How the programs are built.
    #[arg(long, value_enum, default_value = "dev")]
    pub(crate) profile: crate::Profile,
}

impl Options {
    /// What `cargo xtask test` runs: every provider on each store, and every control on the provider that
    /// can be bought from at will.
    pub(crate) fn of_test() -> Vec<Self> {
        let whole = Self {
            store: Store::Sqlite,
            replicas: None,
            orders: 300,
            provider: "all".to_owned(),
            accounts: 8,
            seed: 1,
            control: None,
            clients: 64,
            profile: crate::Profile::Dev,
        };
        let shared = Self { store: Store::Postgres, ..whole.clone() };
        let control = |control| Self {
            orders: 150,
            provider: "klikk".to_owned(),
            control: Some(control),
            ..whole.clone()
        };
        let controls = [Control::Naive, Control::NoSettle, Control::NoPreconnect].map(control);
        [whole, shared].into_iter().chain(controls).collect()
    }

    /// How many gateways there are.
    ///
    /// # Errors
    /// When the store is one gateway's alone and there shall be several.
    pub(crate) fn gateways(&self) -> Result<usize> {
        let replicas = match (self.store, self.replicas) {
            (Store::Sqlite, None) => 1,
            (Store::Postgres, None) => REPLICAS,
            (_, Some(replicas)) => usize::from(replicas),
        };
        ensure!(
            replicas == 1 || self.store == Store::Postgres,
            "{replicas} gateways cannot share an embedded store; --store postgres can be shared"
        );
        Ok(replicas)
    }

    /// In a few words.
    pub(crate) fn told(&self) -> String {
        let Self { store, provider, control, .. } = self;
        match control {
            Some(control) => format!("{}, {provider}", control.word()),
            None => format!("{provider} on {}", store.word()),
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
    fn word(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// The mistakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Control {
    /// What broke is sent again at once.
    Naive,
    /// Absence is proof at once.
    NoSettle,
    /// The connection is made after the permit.
    NoPreconnect,
}

impl Control {
    /// Its name, here and for the gateway.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::NoSettle => "no-settle",
            Self::NoPreconnect => "no-preconnect",
        }
    }
}
