//! The RackNap simulator: the six actions of its Product/Service API v2, with the records that they
//! write. What the document leaves open is marked as an assumption where it is decided.

mod account;
mod actions;
mod catalog;
mod levers;
mod mode;
mod params;
mod refusal;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::fault;
use crate::json_misanswer;
use crate::rig::Rig;
use crate::server::{Reply, Request, Responder, Site};
use crate::simulator::{self, Instruments, Simulator, StartError};

use actions::{Run, Visit};
use params::Params;
use refusal::{Cause, Refusal};
use state::{Moment, World};

pub use account::AccountSeed;
pub use catalog::{CyclePrice, PlanSeed};
pub use mode::{AmountStyle, ErrorStyle, Mode, Repeats, Termination};
pub use state::{Record, Service, ServiceState};

/// Where the upstream serves its API.
const PATH: &str = "/api/v2";

/// What stands before an action.
const ACTIONS: &str = "/api/v2/service/";

/// The simulated upstream.
#[derive(Debug)]
pub struct RackNap {
    rig: Arc<Rig>,
    world: Mutex<World>,
}

/// What the simulator begins with.
#[derive(Debug)]
pub struct Options {
    /// Listeners, clock, ledger and seed.
    pub instruments: Instruments,
    /// The accounts; each needs a token and a name of its own.
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

impl RackNap {
    /// Starts a simulator on the running Tokio runtime. It serves until the handle is dropped.
    ///
    /// # Errors
    /// A listener cannot be opened, or the options do not hold together.
    pub async fn start(options: Options) -> Result<Simulator<Self>, StartError> {
        let Options { instruments, accounts, mode } = options;
        let rig = Rig::new(instruments.clock.clone(), instruments.ledger.clone(), instruments.seed);
        let mut world = World::new(mode, &rig.ledger);
        for account in accounts {
            world.put_account(account).map_err(StartError::Options)?;
        }
        let racknap = Arc::new(Self { rig: Arc::new(rig), world: Mutex::new(world) });
        let rig = racknap.rig.clone();
        simulator::serve(racknap, rig, PATH, instruments).await
    }

    /// A panic in one call must not make the rest of a test unreadable.
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> Moment<'_> {
        Moment { now: self.rig.clock.now(), ledger: &self.rig.ledger }
    }

    /// Takes a call to its end, the durable ledger line included.
    fn perform(&self, action: &str, run: Run, request: &Request) -> Reply {
        let mut world = self.world();
        match self.answer(&mut world, action, run, request) {
            Ok(text) => document(StatusCode::OK, text),
            Err(refusal) => refuse(&world.mode, &refusal),
        }
    }

    /// Assumptions: the token is checked before anything else, then the header, then the parameters,
    /// which stand in the body alone.
    fn answer(
        &self,
        world: &mut World,
        action: &str,
        run: Run,
        request: &Request,
    ) -> Result<String, Refusal> {
        let moment = self.moment();
        let position = account::authenticate(&world.accounts, &request.headers, moment.now)?;
        let account = world.accounts.get(position).cloned();
        let account = account.ok_or_else(|| Refusal::new(Cause::Internal, "Account is gone."))?;
        let cache = request.headers.get(http::header::CACHE_CONTROL);
        if cache.is_none_or(|value| value != "no-cache") {
            let message = "cache-control: no-cache is required.";
            return Err(Refusal::new(Cause::HeaderMissing, message));
        }
        if !request.query.is_empty() {
            let message = "Parameters stand in the body.";
            return Err(Refusal::new(Cause::BodyUnreadable, message));
        }
        let params = Params::read(&request.headers, &request.body)?;
        let fingerprint = Sha256::digest(format!("{action}\n{}", params.canonical()));
        let fingerprint = hex::encode(fingerprint);
        run(Visit { world, moment, account: &account, params, fingerprint })
    }
}

/// An error of the upstream: a status that is not `Success`, a code and a message.
fn refuse(mode: &Mode, refusal: &Refusal) -> Reply {
    let Refusal { code, status, message } = refusal;
    let status = match mode.errors {
        ErrorStyle::Ok => StatusCode::OK,
        ErrorStyle::Http => *status,
    };
    let mut answer = json!({ "status": "Error", "message": message });
    answer[mode.code_member.as_str()] = json!(code);
    document(status, answer.to_string())
}

fn document(status: StatusCode, text: String) -> Reply {
    Reply::new(status, "application/json", Bytes::from(text))
}

impl Site for RackNap {
    async fn answer(self: Arc<Self>, request: Request, responder: Responder) {
        let path = request.path.clone();
        let action = path.strip_prefix(ACTIONS).unwrap_or_default();
        let run = actions::find(action).filter(|_| request.method == Method::POST);
        let mode = self.world().mode.clone();
        let misanswer = |kind: &fault::FaultKind| {
            json_misanswer::reply(kind, &path, |code, text| {
                let status = StatusCode::BAD_REQUEST;
                refuse(&mode, &Refusal { code, status, message: text.to_owned() })
            })
        };
        let Some(run) = run else {
            let strike = self.rig.meet(&format!("{} {path}", request.method));
            let refusal = async { no_action(&request, action) };
            return fault::play(strike, &self.rig.clock, responder, refusal, misanswer).await;
        };
        let strike = self.rig.meet(action);
        let (racknap, name) = (self.clone(), action.to_owned());
        // The ledger is synced to disk within, which must not hold up a runtime thread.
        let commit = async move {
            let done =
                tokio::task::spawn_blocking(move || racknap.perform(&name, run, &request)).await;
            done.unwrap_or_else(|_| Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "call failed"))
        };
        fault::play(strike, &self.rig.clock, responder, commit, misanswer).await;
    }
}

/// What is no call. Assumption: what has no address is a page of the web server, not of the API.
fn no_action(request: &Request, action: &str) -> Reply {
    if actions::find(action).is_none() {
        return Reply::text(StatusCode::NOT_FOUND, "not found");
    }
    Reply::text(StatusCode::METHOD_NOT_ALLOWED, &format!("{} is not allowed", request.method))
}
