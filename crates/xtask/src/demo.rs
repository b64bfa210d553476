//! `cargo xtask demo`: the simulated upstreams, the gateway with its real plugins and its embedded
//! store, and a walk through a real job of each over gRPC. It must use nothing but the public API, the ledger and
//! signals: what it shows, anybody can do.

mod call;
mod show;
mod stage;
mod walk;

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result, bail};
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use xtask::artifacts::{self, Profile};

use self::stage::Stage;

/// What can be asked of the demo.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// End after the walk instead of serving on.
    #[arg(long)]
    once: bool,
    /// Where the gateway listens; port 0 takes a free one. Left out: 127.0.0.1:50051, and a free
    /// port when that one is taken.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

/// Where gRPC servers are looked for, and the README's tour looks.
const LISTEN: &str = "127.0.0.1:50051";

/// Walks, and serves on until Ctrl-C unless asked to end.
///
/// # Errors
/// When a step of the walk did not do what it should.
pub(crate) fn run(options: &Options) -> Result<()> {
    println!("building the workspace and its plugins; the first time takes minutes");
    let artifacts = artifacts::build(Profile::Dev)?;
    let folder = tempfile::tempdir().context("cannot make a folder for the demo")?;
    let plugins: Vec<_> = walk::UPSTREAMS.iter().map(|upstream| upstream.plugin).collect();
    let artifacts = artifacts.only(&plugins, &folder.path().join("plugins"))?;
    let listen = listen(options.listen)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut end = End::new()?;
        let mut stage = Stage::set(&artifacts, walk::UPSTREAMS, folder.path(), listen)?;
        tokio::select! {
            walked = walk::all(&mut stage) => walked?,
            signal = end.asked() => bail!("{signal} before the walk was done"),
        }
        println!("\nevery step did what it should");
        if !options.once {
            serve_on(&stage);
            let signal = end.asked().await;
            println!("\n{signal}: stopping the gateway and the simulators");
        }
        stage.clear()
    })
}

/// Says what to do with a gateway that goes on. The last line is for programs: it names the address.
fn serve_on(stage: &Stage) {
    println!("\nthe gateway and the simulators go on; to try in another terminal:\n");
    for line in stage.suggestions() {
        println!("  {line}");
    }
    println!("\nREADME.md has a longer tour. Ctrl-C ends the demo.");
    println!("serving on at {}", stage.address());
}

/// The address that was asked for, or the usual one, unless somebody else listens there.
fn listen(asked: Option<SocketAddr>) -> Result<SocketAddr> {
    if let Some(asked) = asked {
        return Ok(asked);
    }
    let usual: SocketAddr = LISTEN.parse().context("the usual address is none")?;
    if TcpListener::bind(usual).is_ok() {
        return Ok(usual);
    }
    println!("port {} is taken; the gateway takes a free one", usual.port());
    Ok(SocketAddr::new(usual.ip(), 0))
}

/// The signals that end the demo. Ctrl-C reaches the programs too, which are in the same process
/// group, and which stop in order as well.
struct End {
    interrupt: Signal,
    terminate: Signal,
}

impl End {
    /// From now on the signals no longer end the process by themselves.
    fn new() -> Result<Self> {
        let interrupt = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
        let terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        Ok(Self { interrupt, terminate })
    }

    async fn asked(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
