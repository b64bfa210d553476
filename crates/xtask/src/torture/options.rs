//! What can be asked of the torture run.

use clap::{Args, ValueEnum};

/// What can be asked of the torture run.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Where the gateways keep their journal.
    #[arg(long, value_enum, default_value = "sqlite")]
    pub(crate) store: Store,
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
    #[arg(long, value_enum, default_value = "release")]
    pub(crate) profile: crate::Profile,
}

impl Options {
    /// What `cargo xtask test` runs: every provider on a store, and every control on the provider that
    /// can be bought from at will.
    pub(crate) fn of_test() -> Vec<Self> {
        let whole = Self {
            store: Store::Sqlite,
            orders: 300,
            provider: "all".to_owned(),
            accounts: 8,
            seed: 1,
            control: None,
            clients: 64,
            profile: crate::Profile::Release,
        };
        let control = |control| Self {
            orders: 150,
            provider: "klikk".to_owned(),
            control: Some(control),
            ..whole.clone()
        };
        let controls = [Control::Naive, Control::NoSettle, Control::NoPreconnect].map(control);
        [whole].into_iter().chain(controls).collect()
    }

    /// In a few words.
    pub(crate) fn told(&self) -> String {
        let Self { store: Store::Sqlite, provider, control, .. } = self;
        match control {
            Some(control) => format!("{}, {provider}", control.word()),
            None => format!("{provider} on sqlite"),
        }
    }
}

/// Where journals are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    /// A file beside the gateway.
    Sqlite,
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
