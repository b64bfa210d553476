//! A client that wants its order and takes no error for an answer: it sends the same request id again
//! until an operation has ended, hangs up, has no patience, and tries another body now and then. It
//! writes down whatever it is told and believes none of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use purveyor_sdk::v1::Operation;
use purveyor_sdk::v1::operation::State;
use tokio::sync::{Barrier, watch};
use tonic::{Code, Status};

use super::call::{self, PATIENCE, Write, rests};
use super::dice::Dice;
use super::fleet::Doors;
use super::journal::{Answer, Journal, Line};
use super::restoring::{Phase, Restoring, now_ms};
use super::subject::{Order, Subject};

/// Two clients of one intent wait so long for each other, so that they send at once.
const MEET: Duration = Duration::from_secs(2);
/// One of two clients of an intent gives up when it has been refused so often after the other one's
/// operation has ended. Nobody else gives up.
const REFUSED_MAX: u32 = 10;

/// The orders and what all clients share.
pub(crate) struct Market {
    pub(crate) seed: u64,
    pub(crate) subjects: Vec<Box<dyn Subject>>,
    pub(crate) orders: Vec<Order>,
    pub(crate) doors: Arc<Doors>,
    pub(crate) journal: Journal,
    pub(crate) next: AtomicUsize,
    pub(crate) done: Arc<AtomicUsize>,
    /// The backup that is restored, where one is.
    pub(crate) restoring: Option<Arc<Restoring>>,
    /// Whether clients misbehave too.
    pub(crate) unruly: bool,
    /// Where two clients of one intent meet.
    pub(crate) meetings: BTreeMap<usize, Barrier>,
    /// Which intents somebody has got an answer to that lasts.
    pub(crate) decided: Vec<AtomicBool>,
    /// Which orders are done, with the end of what they made.
    pub(crate) finished: watch::Sender<Vec<bool>>,
    /// By request id: what is to be ended.
    pub(crate) endings: Mutex<BTreeMap<String, Ending>>,
}

/// An end that a client wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    /// The number of the order that made what is to be ended.
    pub(crate) order: usize,
    /// It did not happen before this, in milliseconds since 1970.
    pub(crate) since_ms: i64,
}

impl Market {
    /// The provider of an operation, by what it is about.
    pub(crate) fn subject_of(&self, operation: &Operation) -> Option<&dyn Subject> {
        let provider = operation.target.strip_prefix("providers/").unwrap_or_default();
        let subject = self.subjects.iter().find(|subject| provider.starts_with(subject.name()));
        subject.map(AsRef::as_ref)
    }

    /// The end that a client wants under a request id.
    pub(crate) fn ending(&self, request_id: &str) -> Option<Ending> {
        let endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        endings.get(request_id).copied()
    }

    fn ends(&self, order: usize, request_id: String) -> Result<()> {
        let ending = Ending { order, since_ms: now_ms()? };
        let mut endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        endings.insert(request_id, ending);
        Ok(())
    }
}

/// Where the two clients of each intent meet that is sent twice.
pub(crate) fn meetings(orders: &[Order]) -> BTreeMap<usize, Barrier> {
    let twins = orders.iter().filter(|order| order.intent != order.number);
    twins.map(|order| (order.intent, Barrier::new(2))).collect()
}

/// Takes one order after another until none is left; then asks again for what it was told in the time that a
/// restored store lacks.
///
/// # Errors
/// When the log cannot be written.
pub(crate) async fn buy(market: Arc<Market>) -> Result<()> {
    let restoring = market.restoring.as_deref();
    // Those that were answered while what happened was lost.
    let mut forgotten: Vec<&Order> = Vec::new();
    while let Some(order) = market.orders.get(market.next.fetch_add(1, Ordering::SeqCst)) {
        let early = restoring.is_some_and(Restoring::begin);
        let answered = Client::new(&market, order).order().await?;
        market.finished.send_modify(|finished| finished[order.number] = true);
        market.done.fetch_add(1, Ordering::SeqCst);
        let Some(restoring) = restoring.filter(|_| early) else { continue };
        if answered.is_some_and(|at_ms| may_be_lost(restoring.phase(), at_ms)) {
            forgotten.push(order);
        } else {
            restoring.settle();
        }
        if restoring.phase().lost().is_some() {
            ask_again(&market, restoring, std::mem::take(&mut forgotten)).await?;
        }
    }
    let Some(restoring) = restoring else { return Ok(()) };
    restoring.restored().await?;
    ask_again(&market, restoring, forgotten).await
}

async fn ask_again(market: &Market, restoring: &Restoring, orders: Vec<&Order>) -> Result<()> {
    for order in orders {
        Client::new(market, order).ask_again().await?;
        restoring.settle();
    }
    Ok(())
}

/// Whether what was answered then is missing in the restored store, or will be.
fn may_be_lost(phase: Phase, at_ms: i64) -> bool {
    match phase {
        Phase::Before | Phase::Wanted => false,
        Phase::Lost { .. } => true,
        Phase::After { from_ms, until_ms } | Phase::Settled { from_ms, until_ms } => {
            (from_ms..=until_ms).contains(&at_ms)
        }
    }
}

struct Client<'a> {
    market: &'a Market,
    order: &'a Order,
    dice: Dice,
}

/// How a call is made.
enum Manner {
    Patient,
    /// The deadline is almost at once.
    Hasty(Duration),
    /// The client hangs up after so long.
    Leaving(Duration),
}

/// What is sent under one request id.
struct Sending {
    write: Write,
    request_id: String,
    /// It ends what the order has made.
    ends: bool,
}

/// What a call came to, as far as it decides how to go on.
enum Told {
    Operation(Box<Operation>),
    /// An error that comes again however often it is tried.
    Refused,
    Nothing,
}

impl<'a> Client<'a> {
    fn new(market: &'a Market, order: &'a Order) -> Self {
        let dice = Dice::new(market.seed, (1 << 40) + order.number as u64);
        Self { market, order, dice }
    }

    /// Gets what it wants; when it was told how that ended, unless something has ended it since.
    async fn order(mut self) -> Result<Option<i64>> {
        let subject = self.market.subjects[self.order.subject].as_ref();
        if let Some(after) = self.order.after {
            self.market.finished.subscribe().wait_for(|finished| finished[after]).await?;
            tokio::time::sleep(subject.reused_after()).await;
        }
        if let Some(meeting) = self.market.meetings.get(&self.order.intent) {
            // The other one may be far behind, or already gone on.
            let _met = tokio::time::timeout(MEET, meeting.wait()).await;
        }
        let sending = self.sending();
        let tries_wrong = self.market.unruly && self.dice.percent(8);
        let ended = self.until_it_rests(&sending, tries_wrong).await?;
        let answered = now_ms()?;
        self.market.decided[self.order.intent].store(true, Ordering::SeqCst);
        let is_done = |it: &Operation| it.state() == State::Succeeded;
        let Some(ended) = ended.filter(|it| self.order.ends && is_done(it)) else {
            return Ok(Some(answered));
        };
        let restoring = self.market.restoring.clone();
        let Some(restoring) = restoring else {
            self.end(&ended).await?;
            return Ok(None);
        };
        restoring.begin_end().await?;
        let lost = may_be_lost(restoring.phase(), answered);
        let ended = if lost { self.until_it_rests(&sending, false).await? } else { Some(ended) };
        if let Some(ended) = ended.filter(is_done) {
            self.end(&ended).await?;
        }
        restoring.ended();
        Ok(None)
    }

    async fn ask_again(mut self) -> Result<()> {
        let sending = self.sending();
        self.until_it_rests(&sending, false).await.map(drop)
    }

    fn sending(&self) -> Sending {
        let subject = self.market.subjects[self.order.subject].as_ref();
        let request_id = self.order.request_id.clone();
        Sending { write: subject.write(self.order), request_id, ends: false }
    }

    /// Ends what the order has made, where that can be done.
    async fn end(&mut self, made: &Operation) -> Result<()> {
        let subject = self.market.subjects[self.order.subject].as_ref();
        let Some(write) = subject.end(made) else { return Ok(()) };
        let sending = Sending { write, request_id: self.dice.uuid(), ends: true };
        self.market.ends(self.order.number, sending.request_id.clone())?;
        self.until_it_rests(&sending, false).await.map(drop)
    }

    /// Whether a request that was accepted in this call is in the store for good.
    fn is_kept(&self, begun_in: Option<Phase>) -> bool {
        let now = self.market.restoring.as_ref().map(|it| it.phase());
        match (begun_in, now) {
            (Some(phase), Some(now)) => {
                phase.lost().is_some() || matches!(now, Phase::Before | Phase::Wanted)
            }
            _ => true,
        }
    }

    /// Asks again and again; `None`: the other one of two has got it.
    async fn until_it_rests(
        &mut self,
        sending: &Sending,
        tries_wrong: bool,
    ) -> Result<Option<Operation>> {
        let (mut accepted, mut refused) = (false, 0);
        let begun_in = self.market.restoring.as_ref().map(|it| it.phase());
        loop {
            // Once it is accepted, waiting and asking again are the same.
            let asks = accepted && self.dice.percent(50);
            let operation = match self.call(sending, asks).await? {
                Told::Operation(operation) => operation,
                told => {
                    let decided = self.market.decided[self.order.intent].load(Ordering::SeqCst);
                    let may_give_up = decided && !sending.ends;
                    refused += u32::from(matches!(told, Told::Refused) && may_give_up);
                    if !accepted && refused > REFUSED_MAX {
                        return Ok(None);
                    }
                    tokio::time::sleep(Duration::from_millis(self.dice.between(2, 40))).await;
                    continue;
                }
            };
            if !accepted && tries_wrong && self.is_kept(begun_in) {
                self.try_another_body().await?;
            }
            accepted = true;
            if rests(operation.state()) {
                return Ok(Some(*operation));
            }
        }
    }

    /// One call.
    async fn call(&mut self, sending: &Sending, asks: bool) -> Result<Told> {
        let channel = self.market.doors.any(&mut self.dice).await?;
        let wait = Duration::from_millis(self.dice.between(0, 3000));
        let manner = self.manner();
        let patience = match manner {
            Manner::Hasty(patience) => patience,
            _ => PATIENCE,
        };
        let id = sending.request_id.clone();
        let write = sending.write.clone();
        let calling = async move {
            if asks {
                call::wait(channel, &id, wait, patience).await
            } else {
                write.send(channel, &id, wait, patience).await
            }
        };
        let called = match manner {
            Manner::Leaving(after) => tokio::time::timeout(after, calling).await.ok(),
            _ => Some(calling.await),
        };
        let answer = called.as_ref().map_or(Answer::HungUp, Answer::of);
        self.note(false, sending.ends, answer)?;
        Ok(match called {
            Some(Ok(operation)) => Told::Operation(Box::new(operation)),
            Some(Err(status)) if lasts(&status) => Told::Refused,
            _ => Told::Nothing,
        })
    }

    fn manner(&mut self) -> Manner {
        if !self.market.unruly {
            return Manner::Patient;
        }
        match self.dice.roll(100) {
            0..10 => Manner::Hasty(Duration::from_millis(self.dice.between(1, 60))),
            10..20 => Manner::Leaving(Duration::from_micros(self.dice.between(200, 60_000))),
            _ => Manner::Patient,
        }
    }

    /// The request id is taken, so this has to be refused, and nothing of it may ever be sold.
    async fn try_another_body(&mut self) -> Result<()> {
        let wrong = Order { wrong: true, ..self.order.clone() };
        let write = self.market.subjects[self.order.subject].write(&wrong);
        let channel = self.market.doors.any(&mut self.dice).await?;
        let sent: Result<Operation, Status> =
            write.send(channel, &self.order.request_id, Duration::ZERO, PATIENCE).await;
        self.note(true, false, Answer::of(&sent))
    }

    fn note(&self, wrong: bool, ends: bool, answer: Answer) -> Result<()> {
        let at_ms = now_ms()?;
        self.market.journal.write(&Line { order: self.order.number, at_ms, wrong, ends, answer })
    }
}

/// Whether an error says that the same call will be refused again. A gateway without the provider says nothing
/// of the others.
fn lasts(status: &Status) -> bool {
    let without = status.code() == Code::NotFound && status.message().contains("no providers/");
    !without
        && matches!(
            status.code(),
            Code::FailedPrecondition
                | Code::InvalidArgument
                | Code::Aborted
                | Code::AlreadyExists
                | Code::NotFound
        )
}
