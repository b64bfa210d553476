//! What the OVHcloud simulator takes on the command line.

use std::error::Error;
use std::str::FromStr;

use clap::Args;

use purveyor_simulators::ovh::{AccountSeed, Mode, Options};

use super::Common;

/// How far apart the numbers of two accounts' services are.
const NUMBERS: i64 = 1_000_000;

#[derive(Debug, Args)]
pub(crate) struct OvhArgs {
    #[command(flatten)]
    common: Common,
    /// An account's keys, `APPLICATION_KEY:APPLICATION_SECRET:CONSUMER_KEY`; several make several
    /// accounts, each with services of its own.
    #[arg(long = "keys", required = true)]
    keys: Vec<Keys>,
    /// Milliseconds a paid order is checking, and as many it is delivering.
    #[arg(long, default_value_t = 0)]
    step_ms: u64,
    /// Limit each consumer key to 60 requests in 60 seconds.
    #[arg(long)]
    rate_limit: bool,
}

#[derive(Clone, Debug)]
struct Keys {
    application_key: String,
    application_secret: String,
    consumer_key: String,
}

impl FromStr for Keys {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let keys: Vec<&str> = text.split(':').collect();
        match keys.as_slice() {
            [key, secret, consumer] if keys.iter().all(|key| !key.is_empty()) => Ok(Self {
                application_key: (*key).to_owned(),
                application_secret: (*secret).to_owned(),
                consumer_key: (*consumer).to_owned(),
            }),
            _ => Err("three keys with colons between them are needed"),
        }
    }
}

impl OvhArgs {
    pub(crate) fn options(self) -> Result<Options, Box<dyn Error>> {
        let Self { common, keys, step_ms, rate_limit } = self;
        let mode =
            Mode { checking_ms: step_ms, delivering_ms: step_ms, rate_limit, ..Mode::default() };
        let accounts = (0..).zip(keys).map(|(number, keys)| account(number, keys)).collect();
        Ok(Options { accounts, instruments: common.instruments()?, mode })
    }
}

fn account(number: i64, keys: Keys) -> AccountSeed {
    let Keys { application_key, application_secret, consumer_key } = keys;
    let mut seed = AccountSeed {
        nichandle: format!("xx{}-ovh", 1111 + number),
        application_key,
        application_secret,
        consumer_key,
        ..AccountSeed::default()
    };
    for service in &mut seed.services {
        let ids =
            [&mut service.id].into_iter().chain(&mut service.with).chain(&mut service.options);
        ids.for_each(|id| *id += number * NUMBERS);
    }
    seed
}
