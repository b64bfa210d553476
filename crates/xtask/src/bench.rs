//! `cargo xtask bench`: builds what is measured as it is shipped and runs the benchmarks,
//! which write their own tables. It must not judge a number.

use anyhow::{Result, ensure};
use clap::ValueEnum;
use xtask::artifacts::{self, Profile};
use xtask::{postgres, workspace};

use crate::steps::beating;

/// The benchmarks, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// What a call through the boundary costs.
    Boundary,
    /// What the gateway costs.
    Gateway,
    /// What the store costs when it has grown.
    Growth,
}

/// Runs one benchmark of the workspace, which may be told more, or every one.
///
/// # Errors
/// When a build or a benchmark fails.
pub(crate) fn run(only: Option<Bench>, told: &[String]) -> Result<()> {
    for bench in Bench::value_variants().iter().filter(|bench| only.is_none_or(|it| it == **bench))
    {
        // By name: otherwise every library is built once more to find that it has no benchmarks.
        let (package, bench) = match bench {
            Bench::Boundary => ("purveyor-abi", "boundary"),
            Bench::Gateway => {
                artifacts::build(Profile::Release)?;
                ("purveyor", "gateway")
            }
            Bench::Growth => {
                postgres::install()?;
                ("purveyor", "growth")
            }
        };
        let arguments = ["bench", "--package", package, "--bench", bench];
        let mut cargo = workspace::cargo();
        let status = beating(bench, || cargo.args(arguments).arg("--").args(told).status())?;
        ensure!(status.success(), "{cargo:?} ended with {status}");
    }
    Ok(())
}
