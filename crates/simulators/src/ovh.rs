//! The OVHcloud simulator: services, their renewals, orders and payments of the API version 1.0,
//! with its signatures and its oddities. What the documents leave open is marked as an assumption
//! where it is decided.

mod account;
mod answer;
mod auth;
mod auth_calls;
mod levers;
mod mode;
mod order;
mod order_calls;
mod payment_calls;
mod person;
mod routes;
mod service;
mod service_calls;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use http::header::HOST;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::fault::FaultKind;
use crate::rig::Rig;
use crate::server::{Reply, Request, Responder, Site};
use crate::simulator::{self, Instruments, Simulator, StartError};
use crate::{fault, json_misanswer};

use answer::Refusal;
use auth::Signed;
use routes::{Found, Visit};
use state::{Moment, World};

pub use account::{AccountSeed, Mean, Rule};
pub use mode::{Lapsed, Mode};
pub use person::Happening;
pub use service::ServiceSeed;

/// Where the upstream serves this version of its API.
const PATH: &str = "/1.0";

/// The two calls that nobody signs.
const TIME: &str = "GET /auth/time";
const CREDENTIAL: &str = "POST /auth/credential";

/// The simulated upstream.
#[derive(Debug)]
pub struct Ovh {
    rig: Arc<Rig>,
    world: Mutex<World>,
    scheme: &'static str,
}

/// What the simulator begins with.
#[derive(Debug)]
pub struct Options {
    /// Listeners, clock, ledger and seed.
    pub instruments: Instruments,
    /// The accounts; each needs keys and services of its own.
    pub accounts: Vec<AccountSeed>,
    /// The switches.
    pub mode: Mode,
}

impl Default for Options {
    /// One account with four services, every switch at its default.
    fn default() -> Self {
        Self {
            instruments: Instruments::default(),
            accounts: vec![AccountSeed::default()],
            mode: Mode::default(),
        }
    }
}

impl Ovh {
    /// Starts a simulator on the running Tokio runtime. It serves until the handle is dropped.
    ///
    /// # Errors
    /// A listener cannot be opened, or the options do not hold together.
    pub async fn start(options: Options) -> Result<Simulator<Self>, StartError> {
        let Options { instruments, accounts, mode } = options;
        let rig = Rig::new(instruments.clock.clone(), instruments.ledger.clone(), instruments.seed);
        let world = Mutex::new(World::new(mode, &rig.ledger));
        let scheme = if instruments.tls.is_some() { "https" } else { "http" };
        let ovh = Arc::new(Self { rig: Arc::new(rig), world, scheme });
        for account in accounts {
            ovh.put_account(account).map_err(StartError::Options)?;
        }
        let rig = ovh.rig.clone();
        simulator::serve(ovh, rig, PATH, instruments).await
    }

    /// A panic in one call must not make the rest of a test unreadable.
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> Moment<'_> {
        Moment { now: self.rig.clock.now(), ledger: &self.rig.ledger }
    }

    /// Takes a call to its end, the durable ledger line included.
    fn perform(&self, call: &Call, request: &Request) -> Reply {
        let mut world = self.world();
        world.queries += 1;
        let query = world.queries;
        answer::reply(self.answer_of(&mut world, call, request), query)
    }

    fn answer_of(
        &self,
        world: &mut World,
        call: &Call,
        request: &Request,
    ) -> Result<Value, Refusal> {
        let moment = self.moment();
        world.settle(moment.now);
        let header = |name| request.headers.get(name).and_then(|value| value.to_str().ok());
        match call {
            Call::Time => Ok(auth_calls::time(moment)),
            Call::Credential => {
                let application = header("x-ovh-application");
                auth_calls::request(world, moment, application, &request.body)
            }
            Call::Routed { found, path } => {
                let host = header(HOST.as_str()).unwrap_or_default();
                let (whole, query) = (&request.path, &request.query);
                let mark = if query.is_empty() { "" } else { "?" };
                let signed = Signed {
                    method: request.method.as_str(),
                    path,
                    url: &format!("{}://{host}{whole}{mark}{query}", self.scheme),
                    headers: &request.headers,
                    body: &request.body,
                };
                let caller = auth::caller(world, moment.now, &signed)?;
                let consumer = header("x-ovh-consumer").unwrap_or_default();
                routes::limit(world, moment, consumer)?;
                let mut visit = Visit {
                    world,
                    moment,
                    caller,
                    name: found.route.name,
                    segments: found.segments.clone(),
                    query: routes::query(&request.query),
                    body: &request.body,
                    fingerprint: fingerprint(request),
                };
                (found.route.handler)(&mut visit)
            }
            Call::Unknown(_) => Err(order_calls::no_such_call()),
        }
    }
}

/// What a request asks for.
enum Call {
    Time,
    Credential,
    Routed {
        found: Found,
        path: String,
    },
    /// Nothing that is simulated, by method and path.
    Unknown(String),
}

impl Call {
    fn of(request: &Request) -> Self {
        let unknown = || Self::Unknown(format!("{} {}", request.method, request.path));
        let Some(path) = request.path.strip_prefix(PATH).filter(|path| path.starts_with('/'))
        else {
            return unknown();
        };
        match format!("{} {path}", request.method).as_str() {
            TIME => Self::Time,
            CREDENTIAL => Self::Credential,
            _ => match routes::find(request.method.as_str(), path) {
                Some(found) => Self::Routed { found, path: path.to_owned() },
                None => unknown(),
            },
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Time => TIME,
            Self::Credential => CREDENTIAL,
            Self::Routed { found, .. } => found.route.name,
            Self::Unknown(name) => name,
        }
    }
}

fn fingerprint(request: &Request) -> String {
    let mut hash = Sha256::new();
    hash.update(request.method.as_str());
    hash.update(&request.path);
    hash.update(&request.body);
    hex::encode(hash.finalize())
}

impl Site for Ovh {
    async fn answer(self: Arc<Self>, request: Request, responder: Responder) {
        let call = Call::of(&request);
        let strike = self.rig.meet(call.name());
        let (ovh, path) = (self.clone(), request.path.clone());
        // The ledger is synced to disk within, which must not hold up a runtime thread.
        let commit = async move {
            let done = tokio::task::spawn_blocking(move || ovh.perform(&call, &request)).await;
            done.unwrap_or_else(|_| Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "call failed"))
        };
        let replace = |kind: &FaultKind| json_misanswer::reply(kind, &path, answer::fault);
        fault::play(strike, &self.rig.clock, responder, commit, replace).await;
    }
}
