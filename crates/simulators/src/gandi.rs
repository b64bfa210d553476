//! The Gandi simulator: the `hosting.product.*` methods of its XML-RPC API as documented for
//! versions 3.1.2 to 3.2, with the money, the operations and the oddities that go with them. What
//! the documents leave open is marked as an assumption where it is decided.

mod account;
mod calendar;
mod catalog;
mod fault_code;
mod levers;
mod listing;
mod methods;
mod misanswer;
mod mode;
mod operation;
mod params;
mod product;
mod purchase;
mod state;
mod xmlrpc;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::fault;
use crate::rig::Rig;
use crate::server::{Reply, Request, Responder, Site};
use crate::simulator::{self, Instruments, Simulator, StartError};

use fault_code::GandiFault;
use methods::Answer;
use state::{Moment, World};
use xmlrpc::{Call, NullStyle as Nulls};

pub use account::AccountSeed;
pub use levers::PersonCommand;
pub use mode::{CatalogStyle, Mode, ShortCredit};
pub use xmlrpc::NullStyle;

/// Where the upstream serves its API.
const PATH: &str = "/xmlrpc/";

/// The simulated upstream.
#[derive(Debug)]
pub struct Gandi {
    rig: Arc<Rig>,
    world: Mutex<World>,
}

/// What the simulator begins with.
#[derive(Debug)]
pub struct Options {
    /// Listeners, clock, ledger and seed.
    pub instruments: Instruments,
    /// The accounts; each needs an API key and a handle of its own.
    pub accounts: Vec<AccountSeed>,
    /// The switches.
    pub mode: Mode,
}

impl Default for Options {
    /// One account as recorded, every switch at its default.
    fn default() -> Self {
        Self {
            instruments: Instruments::default(),
            accounts: vec![AccountSeed::default()],
            mode: Mode::default(),
        }
    }
}

impl Gandi {
    /// Starts a simulator on the running Tokio runtime. It serves until the handle is dropped.
    ///
    /// # Errors
    /// A listener cannot be opened, or the options do not hold together.
    pub async fn start(options: Options) -> Result<Simulator<Self>, StartError> {
        let Options { instruments, accounts, mode } = options;
        let rig = Rig::new(instruments.clock.clone(), instruments.ledger.clone(), instruments.seed);
        let world = World::new(mode, &rig.ledger).map_err(StartError::Options)?;
        let gandi = Arc::new(Self { rig: Arc::new(rig), world: Mutex::new(world) });
        for account in accounts {
            gandi.put_account(account).map_err(StartError::Options)?;
        }
        let rig = gandi.rig.clone();
        simulator::serve(gandi, rig, PATH, instruments).await
    }

    /// A panic in one call must not make the rest of a test unreadable.
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> Moment<'_> {
        Moment { now: self.rig.clock.now(), ledger: &self.rig.ledger }
    }

    /// Takes a call to its end, the durable ledger line included.
    fn perform(&self, call: &Call) -> Reply {
        let mut world = self.world();
        let answer = methods::answer(&mut world, self.moment(), call);
        let nulls = world.mode.null_style;
        drop(world);
        document(match answer {
            Ok(Answer::Value(value)) => xmlrpc::response(&value, nulls),
            Ok(Answer::Emptied) => xmlrpc::response(&dxr::Value::Nil, Nulls::Nil),
            Err(GandiFault { code, text, .. }) => xmlrpc::fault(code, &text),
        })
    }
}

/// An answer of the upstream: always 200, faults too.
fn document(text: String) -> Reply {
    Reply::new(StatusCode::OK, "text/xml", Bytes::from(text))
}

impl Site for Gandi {
    async fn answer(self: Arc<Self>, request: Request, responder: Responder) {
        let here = request.path == PATH && request.method == Method::POST;
        let call = if here { xmlrpc::read_call(&request.body) } else { None };
        let Some(call) = call else {
            let name = format!("{} {}", request.method, request.path);
            let strike = self.rig.meet(&name);
            let refusal = async { refuse(&request) };
            return fault::play(strike, &self.rig.clock, responder, refusal, misanswer::reply)
                .await;
        };
        let strike = self.rig.meet(&call.method);
        let gandi = self.clone();
        // The ledger is synced to disk within, which must not hold up a runtime thread.
        let commit = async move {
            let done = tokio::task::spawn_blocking(move || gandi.perform(&call)).await;
            done.unwrap_or_else(|_| Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "call failed"))
        };
        fault::play(strike, &self.rig.clock, responder, commit, misanswer::reply).await;
    }
}

/// What is no call. Assumption: a body that is no XML-RPC call is a bad request.
fn refuse(request: &Request) -> Reply {
    if request.path != PATH {
        return Reply::text(StatusCode::NOT_FOUND, "not found");
    }
    if request.method != Method::POST {
        return Reply::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    }
    Reply::text(StatusCode::BAD_REQUEST, "not an XML-RPC call")
}
