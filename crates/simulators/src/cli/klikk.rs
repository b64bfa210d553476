//! What the Klikk simulator takes on the command line.

use std::error::Error;

use clap::Args;

use purveyor_simulators::Cents;
use purveyor_simulators::klikk::{AccountSeed, Mode, Options};

use super::Common;

#[derive(Debug, Args)]
pub(crate) struct KlikkArgs {
    #[command(flatten)]
    common: Common,
    /// An account's token (`X-Account-Token`), at least 16 letters and digits; several make several
    /// accounts.
    #[arg(long = "account-token", required = true)]
    account_tokens: Vec<String>,
    /// The first account's `user:password` for HTTP Basic.
    #[arg(long)]
    login: Option<String>,
    /// What each account can spend.
    #[arg(long, default_value = "100000.00")]
    credit: Cents,
    /// Milliseconds from an order to its servers.
    #[arg(long, default_value_t = 0)]
    delivery_ms: u64,
    /// Milliseconds for which a new order is missing from order_list.
    #[arg(long, default_value_t = 0)]
    listing_lag_ms: u64,
}

impl KlikkArgs {
    pub(crate) fn options(self) -> Result<Options, Box<dyn Error>> {
        let Self { common, account_tokens, mut login, credit, delivery_ms, listing_lag_ms } = self;
        let accounts = (0..).zip(account_tokens).map(|(number, account_token)| {
            let first = AccountSeed::default();
            let profile = match number {
                0 => first.profile.clone(),
                number => format!("profile-{number}"),
            };
            AccountSeed { account_token, profile, credit, login: login.take(), ..first }
        });
        Ok(Options {
            accounts: accounts.collect(),
            instruments: common.instruments()?,
            mode: Mode { delivery_ms, listing_lag_ms, ..Mode::default() },
        })
    }
}
