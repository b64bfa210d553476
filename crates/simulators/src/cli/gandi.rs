//! What the Gandi simulator takes on the command line.

use std::error::Error;

use clap::Args;

use purveyor_simulators::Cents;
use purveyor_simulators::gandi::{AccountSeed, Mode, Options};

use super::Common;

#[derive(Debug, Args)]
pub(crate) struct GandiArgs {
    #[command(flatten)]
    common: Common,
    /// An account's API key, 24 lower-case letters and digits; several make several accounts.
    #[arg(long = "api-key", required = true)]
    api_keys: Vec<String>,
    /// What each account can spend.
    #[arg(long, default_value = "1337.42")]
    prepaid: Cents,
    /// Milliseconds an operation stays in each of BILL, WAIT and RUN.
    #[arg(long, default_value_t = 0)]
    step_ms: u64,
    /// Limit each API key to 30 requests in 2 seconds.
    #[arg(long)]
    rate_limit: bool,
}

impl GandiArgs {
    pub(crate) fn options(self) -> Result<Options, Box<dyn Error>> {
        let Self { common, api_keys, prepaid, step_ms, rate_limit } = self;
        let accounts = (0..).zip(api_keys).map(|(number, api_key)| {
            let first = AccountSeed::default();
            let handle = match number {
                0 => first.handle.clone(),
                number => format!("SIM{number:04}-GANDI"),
            };
            AccountSeed { api_key, handle, id: first.id + number, prepaid, ..first }
        });
        Ok(Options {
            instruments: common.instruments()?,
            accounts: accounts.collect(),
            mode: Mode {
                bill_ms: step_ms,
                wait_ms: step_ms,
                run_ms: step_ms,
                rate_limit,
                ..Mode::default()
            },
        })
    }
}
