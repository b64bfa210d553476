//! The Klikk simulator: orders and servers behind one URL and a word in a JSON body, with accounts,
//! credit, invoices and terms that renew themselves. What the document leaves open, which is most, is
//! marked as an assumption where it is decided.

mod access;
mod account;
mod actions;
mod answer;
mod levers;
mod mode;
mod options;
mod order;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::rig::Rig;
use crate::server::{Reply, Request, Responder, Site};
use crate::simulator::{self, Instruments, Simulator, StartError};
use crate::{fault, json_misanswer};

use answer::Answer;
use state::{Moment, World};

pub use account::AccountSeed;
pub use mode::{Mode, ShortCredit};

/// Where the upstream serves its API.
const PATH: &str = "/api";

/// The simulated upstream.
#[derive(Debug)]
pub struct Klikk {
    rig: Arc<Rig>,
    world: Mutex<World>,
}

/// What the simulator begins with.
#[derive(Debug)]
pub struct Options {
    /// Listeners, clock, ledger and seed.
    pub instruments: Instruments,
    /// The accounts; each needs a token and a profile of its own.
    pub accounts: Vec<AccountSeed>,
    /// The switches.
    pub mode: Mode,
}

impl Default for Options {
    /// One account, every switch at its default.
    fn default() -> Self {
        Self {
            instruments: Instruments::default(),
            accounts: vec![AccountSeed::default()],
            mode: Mode::default(),
        }
    }
}

impl Klikk {
    /// Starts a simulator on the running Tokio runtime. It serves until the handle is dropped.
    ///
    /// # Errors
    /// A listener cannot be opened, or the options do not hold together.
    pub async fn start(options: Options) -> Result<Simulator<Self>, StartError> {
        let Options { instruments, accounts, mode } = options;
        let rig = Rig::new(instruments.clock.clone(), instruments.ledger.clone(), instruments.seed);
        let world = Mutex::new(World::new(mode, &rig.ledger));
        let klikk = Arc::new(Self { rig: Arc::new(rig), world });
        for account in accounts {
            klikk.put_account(account).map_err(StartError::Options)?;
        }
        let rig = klikk.rig.clone();
        simulator::serve(klikk, rig, PATH, instruments).await
    }

    /// A panic in one call must not make the rest of a test unreadable.
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> Moment<'_> {
        Moment { now: self.rig.clock.now(), ledger: &self.rig.ledger }
    }

    /// Takes a request to its end, the durable ledger line included.
    fn perform(&self, request: &Request) -> Reply {
        let answer = self.answer_to(request).unwrap_or_else(|refusal| refusal);
        answer.into_reply()
    }

    fn answer_to(&self, request: &Request) -> Result<Answer, Answer> {
        let (mut world, moment) = (self.world(), self.moment());
        world.settle(moment)?;
        if request.path != PATH {
            return Err(Answer::error(StatusCode::NOT_FOUND, "Not found"));
        }
        if request.method != Method::POST {
            return Err(Answer::error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"));
        }
        let account = access::account(&world, request)?;
        let call = call(request).ok_or_else(|| Answer::bad("Invalid JSON"))?;
        actions::answer(&mut world, moment, account, &call)
    }
}

/// The call in a request's body: an object.
fn call(request: &Request) -> Option<Map<String, Value>> {
    serde_json::from_slice(&request.body).ok()
}

impl Site for Klikk {
    async fn answer(self: Arc<Self>, request: Request, responder: Responder) {
        let action = call(&request).and_then(|call| Some(call.get("action")?.as_str()?.to_owned()));
        let name = action.unwrap_or_else(|| format!("{} {}", request.method, request.path));
        let strike = self.rig.meet(&name);
        let klikk = self.clone();
        // The ledger is synced to disk within, which must not hold up a runtime thread.
        let commit = async move {
            let done = tokio::task::spawn_blocking(move || klikk.perform(&request)).await;
            done.unwrap_or_else(|_| Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "call failed"))
        };
        let replace = |kind: &fault::FaultKind| {
            json_misanswer::reply(kind, PATH, |code, text| {
                let status = u16::try_from(code).ok();
                let status = status.and_then(|code| StatusCode::from_u16(code).ok());
                let body = json!({ "status": code, "message": text });
                Answer::with(status.unwrap_or(StatusCode::NOT_IMPLEMENTED), body).into_reply()
            })
        };
        fault::play(strike, &self.rig.clock, responder, commit, replace).await;
    }
}
