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
    show(workspace::cargo().args(["bench", "--workspace", "--benches"])).map(drop)
}
