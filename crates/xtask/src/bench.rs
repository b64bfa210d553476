//! `cargo xtask bench`: builds plugins and program as they are shipped and runs the benchmarks,
//! which write their own tables. It must not judge a number.

use anyhow::Result;
use xtask::artifacts::{self, Profile};
use xtask::workspace;

use crate::steps::show;

/// Runs every benchmark of the workspace.
///
/// # Errors
/// When a build or a benchmark fails.
pub(crate) fn run() -> Result<()> {
    artifacts::build(Profile::Release)?;
    // By name: otherwise every library is built once more to find that it has no benchmarks.
    for (package, bench) in [("purveyor-abi", "boundary"), ("purveyor", "gateway")] {
        let arguments = ["bench", "--package", package, "--bench", bench];
        show(workspace::cargo().args(arguments))?;
    }
    Ok(())
}
