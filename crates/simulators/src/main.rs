//! The program around the simulators: reads the command line, starts one provider, says where it
//! listens in one line of JSON, and serves until it is told to stop. It must not hold behaviour of
//! any provider.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use purveyor_simulators::gandi::{AccountSeed, Gandi, Mode, Options};
use purveyor_simulators::{Cents, Clock, Instruments, Ledger};

/// Stateful simulators of upstream providers.
#[derive(Debug, Parser)]
#[command(name = "purveyor-simulators")]
struct Command {
    #[command(subcommand)]
    provider: Provider,
}

#[derive(Debug, Subcommand)]
enum Provider {
    /// Gandi's hosting.product methods over XML-RPC.
    Gandi(GandiArgs),
}

#[derive(Debug, Args)]
struct Common {
    /// Where the provider's API listens; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where the control API listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    control: SocketAddr,
    /// The file of sales; without it they are kept in memory.
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// Seed of fault tables that name none.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Time stands still and moves by command.
    #[arg(long)]
    manual_clock: bool,
}

#[derive(Debug, Args)]
struct GandiArgs {
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

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Command { provider: Provider::Gandi(args) } = Command::parse();
    let mut end = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let simulator = Gandi::start(gandi(args)?).await?;
    let ready = json!({
        "provider": "gandi",
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

fn gandi(args: GandiArgs) -> Result<Options, Box<dyn std::error::Error>> {
    let GandiArgs { common, api_keys, prepaid, step_ms, rate_limit } = args;
    let accounts = (0..).zip(api_keys).map(|(number, api_key)| {
        let first = AccountSeed::default();
        let handle = match number {
            0 => first.handle.clone(),
            number => format!("SIM{number:04}-GANDI"),
        };
        AccountSeed { api_key, handle, id: first.id + number, prepaid, ..first }
    });
    Ok(Options {
        instruments: instruments(common)?,
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

fn instruments(common: Common) -> Result<Instruments, Box<dyn std::error::Error>> {
    let ledger = match &common.ledger {
        Some(path) => Ledger::open(path)?,
        None => Ledger::in_memory(),
    };
    let clock =
        if common.manual_clock { Clock::manual(jiff::Timestamp::now()) } else { Clock::real() };
    Ok(Instruments {
        listen: common.listen,
        control: common.control,
        tls: None,
        clock: Arc::new(clock),
        ledger: Arc::new(ledger),
        seed: common.seed,
    })
}
