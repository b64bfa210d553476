//! `cargo xtask demo`: a simulated upstream, the gateway with real plugins and its embedded store,
//! and a walk through a real job over gRPC. It must use nothing but the public API, the ledger and
//! signals: what it shows, anybody can do.

mod call;
mod control;
mod stage;
mod walk;

use std::path::Path;

use anyhow::{Context, Result, bail};
use xtask::artifacts::{self, Profile};

use self::stage::Stage;

/// Walks, and serves on until Ctrl-C unless `once`.
///
/// # Errors
/// When a step of the walk did not do what it should.
pub(crate) fn run(once: bool) -> Result<()> {
    println!("building the workspace and its plugins");
    let artifacts = artifacts::build(Profile::Dev)?;
    let folder = tempfile::tempdir().context("cannot make a folder for the demo")?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        // Ctrl-C reaches the programs too, which are in the same process group and stop in order.
        tokio::select! {
            walked = perform(&artifacts, folder.path(), once) => walked,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("cannot wait for Ctrl-C")?;
                bail!("interrupted")
            }
        }
    })
}

async fn perform(artifacts: &artifacts::Artifacts, folder: &Path, once: bool) -> Result<()> {
    let mut stage = Stage::set(artifacts, folder)?;
    walk::all(&mut stage).await?;
    println!("\nevery step did what it should");
    if once {
        return stage.clear();
    }
    println!("\nserving on at {}; Ctrl-C ends it. Try\n", stage.address());
    for line in stage.suggestions() {
        println!("  {line}");
    }
    tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")?;
    stage.clear()
}
