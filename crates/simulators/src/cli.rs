//! The command line: what every simulator takes. What one provider takes beside it is in a file of its
//! own.

mod computestacks;
mod gandi;
mod klikk;
mod ovh;
mod racknap;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use purveyor_simulators::{Clock, Instruments, Ledger};

/// Stateful simulators of upstream providers.
#[derive(Debug, Parser)]
#[command(name = "purveyor-simulators")]
pub(crate) struct Command {
    #[command(subcommand)]
    pub(crate) provider: Provider,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Provider {
    /// The catalogue of ComputeStacks' admin API over JSON.
    #[command(name = "computestacks")]
    ComputeStacks(computestacks::ComputeStacksArgs),
    /// Gandi's hosting.product methods over XML-RPC.
    Gandi(gandi::GandiArgs),
    /// Klikk's orders and servers over JSON.
    Klikk(klikk::KlikkArgs),
    /// OVHcloud's services, renewals and orders, signed requests over JSON.
    Ovh(ovh::OvhArgs),
    /// RackNap's Product/Service API v2 over JSON or forms.
    #[command(name = "racknap")]
    RackNap(racknap::RackNapArgs),
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

impl Common {
    fn instruments(self) -> Result<Instruments, Box<dyn Error>> {
        let ledger = match &self.ledger {
            Some(path) => Ledger::open(path)?,
            None => Ledger::in_memory(),
        };
        let clock =
            if self.manual_clock { Clock::manual(jiff::Timestamp::now()) } else { Clock::real() };
        Ok(Instruments {
            listen: self.listen,
            control: self.control,
            tls: None,
            clock: Arc::new(clock),
            ledger: Arc::new(ledger),
            seed: self.seed,
        })
    }
}
