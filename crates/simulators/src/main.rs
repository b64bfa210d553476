//! The program around the simulators: reads the command line, starts one provider, says where it
//! listens in one line of JSON, and serves until it is told to stop. It must not hold behaviour of
//! any provider.

mod cli;

use std::io::Write;

use clap::Parser;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use purveyor_simulators::Simulator;
use purveyor_simulators::computestacks::ComputeStacks;
use purveyor_simulators::gandi::Gandi;
use purveyor_simulators::klikk::Klikk;
use purveyor_simulators::ovh::Ovh;
use purveyor_simulators::racknap::RackNap;

use cli::{Command, Provider};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Command::parse().provider {
        Provider::ComputeStacks(args) => {
            serve("computestacks", ComputeStacks::start(args.options()?).await?).await
        }
        Provider::Gandi(args) => serve("gandi", Gandi::start(args.options()?).await?).await,
        Provider::Klikk(args) => serve("klikk", Klikk::start(args.options()?).await?).await,
        Provider::Ovh(args) => serve("ovh", Ovh::start(args.options()?).await?).await,
        Provider::RackNap(args) => serve("racknap", RackNap::start(args.options()?).await?).await,
    }
}

async fn serve<P>(
    provider: &str,
    simulator: Simulator<P>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut end = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let ready = json!({
        "provider": provider,
        "url": simulator.url(),
        "control_url": simulator.control_url(),
    });
    let mut out = std::io::stdout();
    writeln!(out, "{ready}")?;
    out.flush()?;
    tokio::select! {
        _ = end.recv() => {}
        _ = interrupt.recv() => {}
    }
    simulator.shutdown();
    Ok(())
}
