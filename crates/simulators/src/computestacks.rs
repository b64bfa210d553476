//! The ComputeStacks simulator: the admin API's products, billing plans and price rules over JSON,
//! with Basic and OAuth credentials, API versions and the validations of the open source. What the
//! source leaves open is marked as an assumption where it is decided.

mod access;
mod answer;
mod api;
mod billing;
mod decimal;
mod levers;
mod mode;
mod paging;
mod params;
mod person;
mod plans;
mod prices;
mod product;
mod products;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;

use crate::fault;
use crate::json_misanswer;
use crate::rig::Rig;
use crate::server::{Reply, Request, Responder, Site};
use crate::simulator::{self, Instruments, Simulator, StartError};

use answer::Answer;
use state::{Moment, World};

pub use access::UserSeed;
pub use mode::Mode;
pub use state::PlanSeed;

/// The simulated controller.
#[derive(Debug)]
pub struct ComputeStacks {
    rig: Arc<Rig>,
    world: Mutex<World>,
}

/// What the simulator begins with.
#[derive(Debug)]
pub struct Options {
    /// Listeners, clock, ledger and seed.
    pub instruments: Instruments,
    /// The users with an API credential; all of them see the one catalogue of the controller.
    pub users: Vec<UserSeed>,
    /// The names of the regions, whose identifiers count from 1.
    pub regions: Vec<String>,
    /// The billing plans, whose identifiers count from 1.
    pub plans: Vec<PlanSeed>,
    /// The switches.
    pub mode: Mode,
    /// Whether one product has been there for long.
    pub old_product: bool,
}

impl Default for Options {
    /// One administrator, two regions, one monthly billing plan, one old product, every switch at its
    /// default.
    fn default() -> Self {
        Self {
            instruments: Instruments::default(),
            users: vec![UserSeed::default()],
            regions: vec!["fra".to_owned(), "nyc".to_owned()],
            plans: vec![PlanSeed::default()],
            mode: Mode::default(),
            old_product: true,
        }
    }
}

impl ComputeStacks {
    /// Starts a simulator on the running Tokio runtime. It serves until the handle is dropped.
    ///
    /// # Errors
    /// A listener cannot be opened, or the options do not hold together.
    pub async fn start(options: Options) -> Result<Simulator<Self>, StartError> {
        let Options { instruments, users, regions, plans, mode, old_product } = options;
        let rig = Rig::new(instruments.clock.clone(), instruments.ledger.clone(), instruments.seed);
        let rig = Arc::new(rig);
        let world = World::new(mode, regions, (plans, old_product), &rig);
        let stacks = Arc::new(Self { rig: rig.clone(), world: Mutex::new(world) });
        for user in users {
            stacks.put_user(user).map_err(StartError::Options)?;
        }
        simulator::serve(stacks, rig, "", instruments).await
    }

    /// A panic in one call must not make the rest of a test unreadable.
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a call to its end, the durable ledger line included.
    fn perform(&self, request: &Request) -> Reply {
        let moment = Moment { now: self.rig.clock.now(), ledger: &self.rig.ledger };
        let answer = api::answer(&mut self.world(), moment, request);
        answer.unwrap_or_else(Answer::from).into_reply()
    }
}

impl Site for ComputeStacks {
    async fn answer(self: Arc<Self>, request: Request, responder: Responder) {
        let strike = self.rig.meet(&api::name(&request));
        let (stacks, path) = (self.clone(), request.path.clone());
        // The ledger is synced to disk within, which must not hold up a runtime thread.
        let commit = async move {
            let done = tokio::task::spawn_blocking(move || stacks.perform(&request)).await;
            done.unwrap_or_else(|_| Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "call failed"))
        };
        let replace = |kind: &fault::FaultKind| json_misanswer::reply(kind, &path, refusal);
        fault::play(strike, &self.rig.clock, responder, commit, replace).await;
    }
}

/// A refusal on command: a status, and the one sentence of the list; without a sentence an empty body,
/// which is what the upstream answers where there is no such record.
fn refusal(code: i32, text: &str) -> Reply {
    let status = u16::try_from(code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    // A number outside HTTP's range is the test's mistake.
    let status = status.unwrap_or(StatusCode::NOT_IMPLEMENTED);
    match text {
        "" => Answer::empty(status).into_reply(),
        _ => Answer::from(answer::errors(status, [text])).into_reply(),
    }
}
