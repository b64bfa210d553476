//! Stateful simulators of the upstream providers, with a ledger and faults.
//!
//! Every simulator is an HTTP server that keeps its own state, writes each real sale to an
//! append-only ledger before it answers, and goes wrong on command. The ledger is the truth
//! against which the gateway is judged, so this crate knows nothing of the gateway: it must not
//! depend on any other crate of the project.

pub mod computestacks;
pub mod gandi;
pub mod klikk;
pub mod ovh;
pub mod racknap;

mod clock;
mod control;
mod fault;
mod json_misanswer;
mod ledger;
mod money;
mod rig;
mod server;
mod simulator;

pub use clock::Clock;
pub use fault::{Fault, FaultKind, Row, Table};
pub use ledger::{Entry, Kind, Ledger, LedgerError, Sale};
pub use money::Cents;
pub use server::{ConnectionCount, Dress, Encoding};
pub use simulator::{Instruments, Simulator, StartError};
