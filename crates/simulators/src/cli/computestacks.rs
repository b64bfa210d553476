//! What the ComputeStacks simulator takes on the command line.

use std::error::Error;

use clap::{Args, ValueEnum};

use purveyor_simulators::computestacks::{Mode, Options, PlanSeed, UserSeed};

use super::Common;

#[derive(Debug, Args)]
pub(crate) struct ComputeStacksArgs {
    #[command(flatten)]
    common: Common,
    /// An administrator's API credential, username:password; several make several administrators.
    #[arg(long = "user", required = true)]
    users: Vec<String>,
    /// A region's name; several may be given, and their identifiers count from 1. Default: fra,
    /// nyc.
    #[arg(long = "region")]
    regions: Vec<String>,
    /// What the billing plan, whose identifier is 1, is billed by.
    #[arg(long, value_enum, default_value = "month")]
    term: Term,
    /// Requests in five minutes until they are throttled; 0: no limit.
    #[arg(long, default_value_t = 0)]
    rate_limit: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Term {
    Hour,
    Month,
}

impl ComputeStacksArgs {
    pub(crate) fn options(self) -> Result<Options, Box<dyn Error>> {
        let Self { common, users, regions, term, rate_limit } = self;
        let first = Options::default();
        let user = |user: String| match user.split_once(':') {
            Some((username, password)) => Ok(UserSeed {
                username: username.to_owned(),
                password: password.to_owned(),
                admin: true,
            }),
            None => Err("a user is given as username:password"),
        };
        let term = match term {
            Term::Hour => "hour",
            Term::Month => "month",
        };
        Ok(Options {
            instruments: common.instruments()?,
            users: users.into_iter().map(user).collect::<Result<_, _>>()?,
            regions: if regions.is_empty() { first.regions.clone() } else { regions },
            plans: vec![PlanSeed { term: term.to_owned(), ..PlanSeed::default() }],
            mode: Mode { rate_limit, ..Mode::default() },
            ..first
        })
    }
}
