//! What the RackNap simulator takes on the command line.

use std::error::Error;

use clap::Args;

use purveyor_simulators::racknap::{AccountSeed, Mode, Options};

use super::Common;

#[derive(Debug, Args)]
pub(crate) struct RackNapArgs {
    #[command(flatten)]
    common: Common,
    /// An account's token, at least 8 printable characters; several make several accounts.
    #[arg(long = "token", required = true)]
    tokens: Vec<String>,
    /// A customer that services can be created for; several may be given. Default: 652.
    #[arg(long = "customer")]
    customers: Vec<i64>,
}

impl RackNapArgs {
    pub(crate) fn options(self) -> Result<Options, Box<dyn Error>> {
        let Self { common, tokens, customers } = self;
        let accounts = (0..).zip(tokens).map(|(number, token)| {
            let first = AccountSeed::default();
            let name = match number {
                0 => first.name.clone(),
                number => format!("racknap-{number}"),
            };
            let customers =
                if customers.is_empty() { first.customers.clone() } else { customers.clone() };
            AccountSeed { token, name, customers, ..first }
        });
        Ok(Options {
            accounts: accounts.collect(),
            instruments: common.instruments()?,
            mode: Mode::default(),
        })
    }
}
