//! One suite for every plugin: what the gateway promises to callers, shown with this plugin behind it.
//!
//! The suite is a caller of the public API over real gRPC. It asks a running gateway, which has the plugin
//! loaded as it is shipped, and an upstream that the plugin's author controls and that keeps a ledger
//! of what it sold. Which cases there are follows from what GetProvider claims; a claim that nothing
//! shows is a failed case. It must never be pointed at an upstream that takes money, and it must not
//! know a provider.
//!
//! An author implements [`Subject`] once, starts a gateway with `development = true` and short
//! `timing` (an effect lag of more than a second) and `look_longest_ms`, and calls [`run`]:
//!
//! * [`Subject::sample`] makes a request that the upstream can fulfil, anew at each call, and first
//!   whatever the request is about: [`Caller::perform`] buys it through the gateway.
//! * [`Subject::violations`] and [`Subject::rejection`] make requests that are refused.
//! * The others look at the upstream and disturb it. [`Subject::omits`] says why an upstream cannot come into
//!   a case.
//!
//! Cases disturb the upstream and count what it sold, so each runs alone on its subject. Equal subjects,
//! each a provider of the same gateway with an upstream of its own, share the cases among them.

mod absence;
mod bad_row;
mod caller;
mod claims;
mod effects;
mod judge;
mod leaves;
mod losses;
mod prices;
mod probe;
mod reads;
mod report;
mod request;
mod stage;
mod trial;
mod writes;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

pub use caller::{Caller, Refusal};
pub use report::{Case, Omission, Report, Row, Verdict, table};
pub use request::Request;
/// The codes of [`Refusal`].
pub use tonic::Code;

use crate::op::{OPS, OpKind};
use crate::plugin::v1::Op;
use crate::v1::Provider;
use losses::{Loss, Trace};
use report::Score;
use stage::Stage;

/// A provider at a running gateway, and the upstream behind it.
pub trait Subject {
    /// Where the gateway listens, `http://127.0.0.1:50051`.
    fn gateway(&self) -> String;

    /// The provider's id at the gateway, `acme`.
    fn provider(&self) -> String;

    /// A request of `op` that the upstream fulfils; each of another thing, so that no two disturb each
    /// other. Request id and `wait` are filled in. `None` where the plugin does not claim `op`.
    ///
    /// # Errors
    ///
    /// When what the request needs cannot be made.
    fn sample(&self, caller: &Caller, op: Op) -> impl Future<Output = Outcome<Option<Request>>>;

    /// Requests of the write `op` with a field that is wrong in the plugin's own terms: its options'
    /// schema, its terms, its quantities.
    ///
    /// # Errors
    ///
    /// As [`Subject::sample`].
    fn violations(
        &self,
        _caller: &Caller,
        _op: Op,
    ) -> impl Future<Output = Outcome<Vec<Violation>>> {
        async { Ok(Vec::new()) }
    }

    /// A request of the write `op` that the upstream will reject, and has been brought to reject.
    ///
    /// # Errors
    ///
    /// As [`Subject::sample`].
    fn rejection(
        &self,
        _caller: &Caller,
        _op: Op,
    ) -> impl Future<Output = Outcome<Option<Rejection>>> {
        async { Ok(None) }
    }

    /// A request of the write `op` that buys again what was bought before and then given up through
    /// the gateway. Where the upstream can be brought to it, what is bought gets the identifier of what
    /// is gone. `None` where nothing is bought, or nothing can be given up.
    ///
    /// # Errors
    ///
    /// As [`Subject::sample`].
    fn again(&self, _caller: &Caller, _op: Op) -> impl Future<Output = Outcome<Option<Request>>> {
        async { Ok(None) }
    }

    /// An update `op` without a mask, of a thing of its own that the upstream shows whole, in which the leaf
    /// `path` alone is set, to a value that the thing does not have. `None` where the upstream has no
    /// other value.
    ///
    /// # Errors
    ///
    /// As [`Subject::sample`].
    fn leaf(
        &self,
        _caller: &Caller,
        _op: Op,
        _path: &str,
    ) -> impl Future<Output = Outcome<Option<Request>>> {
        async { Ok(None) }
    }

    /// Sees to it that the list `op`, as [`Subject::sample`] asks for it afterwards, has two rows or
    /// more, and tells how many it has at least.
    ///
    /// # Errors
    ///
    /// As [`Subject::sample`].
    fn populate(&self, _caller: &Caller, _op: Op) -> impl Future<Output = Outcome<usize>> {
        async { Ok(2) }
    }

    /// What the upstream has sold, changed, ended and paid back so far, oldest first: its ledger.
    /// Whatever a call does that the manifest declares as a spend has a line.
    fn sales(&self) -> impl Future<Output = Vec<Sale>>;

    /// How often each call of the manifest was received, by its name there; whatever is no call of the
    /// manifest under any other name.
    fn requests(&self) -> impl Future<Output = BTreeMap<String, u64>>;

    /// How many connections to the upstream are open.
    fn open_connections(&self) -> impl Future<Output = u64>;

    /// Lets the upstream go wrong at the next request of `call`, a name of the manifest; `false` where
    /// this upstream has no such way to go wrong.
    ///
    /// # Errors
    ///
    /// When the upstream has it and cannot be brought to it.
    fn disturb(&self, call: &str, disturbance: Disturbance) -> impl Future<Output = Outcome<bool>>;

    /// A price that the upstream tells, with requests that have to do with it and each of which is new.
    /// `None` where it tells none.
    ///
    /// # Errors
    ///
    /// As [`Subject::sample`].
    fn priced(&self, caller: &Caller) -> impl Future<Output = Outcome<Option<Priced>>>;

    /// Lets the upstream tell that price in these digits, wherever it tells it, until [`Subject::calm`].
    ///
    /// # Errors
    ///
    /// When the upstream cannot be brought to it.
    fn misprice(&self, priced: &Priced, digits: &str) -> impl Future<Output = Outcome<()>>;

    /// A row that the upstream can be brought to tell in a way that cannot be read whole.
    ///
    /// # Errors
    ///
    /// As [`Subject::sample`].
    fn bad_row(&self, caller: &Caller) -> impl Future<Output = Outcome<BadRow>>;

    /// Lets the upstream tell that row so, until [`Subject::calm`].
    ///
    /// # Errors
    ///
    /// When the upstream cannot be brought to it.
    fn spoil(&self, bad: &BadRow) -> impl Future<Output = Outcome<()>>;

    /// Lets something happen at the upstream that no call of the gateway asks for.
    ///
    /// # Errors
    ///
    /// When the upstream cannot be brought to it.
    fn happens(&self, happening: Happening<'_>) -> impl Future<Output = Outcome<()>> {
        let failure =
            Failure::new(format_args!("the subject lets nothing like this happen: {happening:?}"));
        async { Err(failure) }
    }

    /// Why this upstream has no such case in the write `op`; `None` where it has. What a subject neither
    /// omits nor brings about fails.
    fn omits(&self, _op: Op, _case: Case) -> Option<&'static str> {
        None
    }

    /// Whether every disturbance since the last [`Subject::calm`] has struck. A case whose disturbance did
    /// not strike shows nothing, and fails.
    fn struck(&self) -> impl Future<Output = bool>;

    /// Takes back every disturbance that has not struck, and whatever [`Subject::rejection`] set up.
    fn calm(&self) -> impl Future<Output = ()>;
}

/// How an upstream goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// The connection breaks, and nothing has happened.
    LoseBeforeCommit,
    /// The call takes effect, then the connection breaks without an answer.
    LoseAfterCommit,
    /// The call takes effect, and is answered with a word or code that nobody declares, in the form of this
    /// upstream's refusals.
    UnknownWord,
    /// A complete 400 in the form of this upstream's refusals, which nobody declares; the call takes effect
    /// all the same, or not.
    Undeclared {
        /// Whether it takes effect.
        committed: bool,
    },
    /// The call takes effect, its answer does not come in time, and what it began is under way until
    /// something happens to it, or [`Subject::calm`].
    LoseUnderWay,
    /// The call takes effect, the connection breaks without an answer, and the upstream has cut our mark off
    /// what was made.
    CutMark,
    /// The upstream says its final word of success, and reads show the effect so much later; at once after
    /// [`Subject::calm`].
    EffectLag(Duration),
    /// The upstream accepts a payment and does not carry it out.
    Unpaid,
    /// The upstream's own answer to too many requests.
    RateLimit,
    /// Every answer is compressed and begins with a byte order mark, until [`Subject::calm`].
    Encoded,
    /// A refusal in the form of this upstream's, that repeats the credential of the request: each spelling
    /// of it between `((` and `))`.
    Echo,
    /// The call takes effect, and its answer comes so much later.
    Stall(Duration),
    /// The call succeeds, and the plugin fails afterwards. It is the gateway that goes wrong here, so an
    /// author who cannot bring it to that answers `false`.
    PluginError,
    /// The call succeeds, and before its answer is stored, another gateway takes the operation over and
    /// does not find what was bought. As above, an author may answer `false`.
    TakenOver,
    /// The call succeeds, the object in its answer is another operation's, and the gateway ends before that
    /// is stored. As above, an author may answer `false`.
    Contested,
}

/// What happens at an upstream without a call of the gateway. A person's sales are none of the ledger's
/// lines that [`Subject::sales`] tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening<'a> {
    /// What a call began ends in the upstream's own word of failure.
    Fails(&'a Sale),
    /// A person gives what was sold another name, without our mark.
    Renamed(&'a Sale),
    /// What was sold is ended by a person, and reads do not know it any more.
    Ended(&'a Sale),
    /// The next read of what this call made or changed answers that there is no such thing.
    NotFoundOnce(&'a str),
    /// Listings lack everything that is younger than the case, until [`Subject::calm`].
    ListingsLack,
    /// A person buys something alike, and the upstream dates it a day ahead.
    BoughtAhead,
}

/// A line of an upstream's ledger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sale {
    /// What kind of line it is, in the upstream's words.
    pub kind: String,
    /// The upstream's identifier of what was sold, as an operation of the gateway tells it.
    pub id: String,
}

/// A request with a mistake.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The request.
    pub request: Request,
    /// The path of the field that is wrong: `order.items[0].options.turbo`.
    pub field: String,
}

impl Violation {
    /// A request whose `field` is wrong.
    pub fn new(request: impl Into<Request>, field: &str) -> Self {
        Self { request: request.into(), field: field.to_owned() }
    }
}

/// A price that the upstream tells.
#[derive(Debug, Clone)]
pub struct Priced {
    /// Its digits as the upstream tells them now.
    pub digits: String,
    /// A read that shows it: a list of products, of ways to renew or of orders, or one order.
    pub shown: Request,
    /// Writes that it has no say in, in the order in which they are sent: each of them succeeds.
    pub free: Vec<Request>,
    /// Writes that it has a say in, and that are refused where it is no number.
    pub bound: Vec<Request>,
}

/// A row of a list that is told badly, and requests that have to do with other rows.
#[derive(Debug, Clone)]
pub struct BadRow {
    /// The row's name; empty where it may be any one.
    pub name: String,
    /// What the upstream tells of it and no other row has.
    pub text: String,
    /// The list.
    pub shown: Request,
    /// Reads of other rows.
    pub good: Vec<Request>,
    /// Purchases of others.
    pub free: Vec<Request>,
}

/// A request that the upstream rejects.
#[derive(Debug, Clone)]
pub struct Rejection {
    /// The request.
    pub request: Request,
    /// The reason that its operation ends with: `INSUFFICIENT_CREDIT`.
    pub reason: String,
}

/// Why a case failed, or why something that it needs could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

/// What a case, or a step towards it, comes to.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// A failure in words.
    pub fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal)
    }
}

/// Runs every case over the subjects, which share them. All of them are providers of one plugin and
/// differ in nothing but their upstreams. What goes wrong is in the report.
pub async fn run<S: Subject>(subjects: &[S]) -> Report {
    let mut score = Score::default();
    let stages = match stages(subjects).await {
        Ok(stages) => stages,
        Err(failure) => {
            score.note(Case::Claims, "Providers.GetProvider", Err(failure));
            return score.report(String::new());
        }
    };
    let plugin = stages.first().map_or_else(String::new, |stage| plugin(&stage.claims));
    // What a write does when nothing goes wrong is what is compared with when something does.
    let traces = drain(&stages, first_jobs(), &mut score).await;
    let later = traces.into_iter().flat_map(later_jobs).collect();
    drain(&stages, later, &mut score).await;
    score.report(plugin)
}

async fn stages<S: Subject>(subjects: &[S]) -> Outcome<Vec<Stage<'_, S>>> {
    let mut stages = Vec::new();
    for subject in subjects {
        stages.push(Stage::set(subject).await?);
    }
    match stages.as_slice() {
        [] => Err(Failure::new("there is no subject")),
        _ => Ok(stages),
    }
}

fn plugin(provider: &Provider) -> String {
    provider.plugin.as_ref().map_or_else(String::new, |plugin| plugin.name.clone())
}

/// What one stage does before it takes the next.
enum Job {
    /// What is claimed and what is not.
    Claims,
    /// Everything about a read.
    Read(Op),
    /// A price that is hard to read.
    Price(Case),
    /// A write when nothing goes wrong, and what is refused.
    Write(Op),
    /// One row that cannot be read whole.
    BadRow,
    /// One way for a write to go wrong.
    Loss(Trace, Loss),
}

/// Reads before writes: a read is alone with its upstream, and what a write leaves behind may be under
/// way for long.
fn first_jobs() -> VecDeque<Job> {
    let methods = || OPS.iter().filter(|info| !info.method.is_empty());
    let reads = methods().filter(|info| info.kind == OpKind::Read);
    let writes = methods().filter(|info| info.kind != OpKind::Read);
    [Job::Claims]
        .into_iter()
        .chain(reads.map(|info| Job::Read(info.op)))
        .chain([Case::PriceBeyond, Case::PriceUnread].map(Job::Price))
        .chain([Job::BadRow])
        .chain(writes.map(|info| Job::Write(info.op)))
        .collect()
}

fn later_jobs(trace: Trace) -> Vec<Job> {
    trace.losses().into_iter().map(|loss| Job::Loss(trace.clone(), loss)).collect()
}

/// Every stage takes jobs until none is left.
async fn drain<S: Subject>(
    stages: &[Stage<'_, S>],
    jobs: VecDeque<Job>,
    score: &mut Score,
) -> Vec<Trace> {
    let jobs = Mutex::new(jobs);
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = async |stage: &Stage<'_, S>| {
        let (mut score, mut traces) = (Score::default(), Vec::new());
        while let Some(job) = next() {
            match job {
                Job::Claims => Box::pin(claims::run(stage, &mut score)).await,
                Job::Read(op) => Box::pin(reads::run(stage, op, &mut score)).await,
                Job::Price(case) => Box::pin(prices::run(stage, case, &mut score)).await,
                Job::BadRow => Box::pin(bad_row::run(stage, &mut score)).await,
                Job::Write(op) => traces.extend(Box::pin(writes::run(stage, op, &mut score)).await),
                Job::Loss(trace, loss) => {
                    Box::pin(losses::run(stage, &trace, &loss, &mut score)).await;
                }
            }
        }
        (score, traces)
    };
    let mut traces = Vec::new();
    for (part, found) in join_all(stages.iter().map(work)).await {
        score.add(part);
        traces.extend(found);
    }
    traces
}
