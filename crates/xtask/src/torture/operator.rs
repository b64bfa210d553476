//! The operator of a run: looks into the ledger for what an operation that needs one came to, and says so.
//! Its words are true, as far as they can be: what is not decided yet it leaves alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::resolve_operation_request::{Executed, NotExecuted, Resolution};
use purveyor_sdk::v1::{Operation, ResolveOperationRequest};
use tokio::task::JoinHandle;

use super::call::{self, PATIENCE};
use super::client::Market;
use super::dice::Dice;
use super::faults::TIMING;
use super::subject::{Entry, Order, Subject};
use super::upstream::Desk;
use super::workload::holder;

/// How often it is looked who waits for an operator.
const LOOK: Duration = Duration::from_millis(400);

/// The operator at work.
pub(crate) struct Operator {
    over: Arc<AtomicBool>,
    task: JoinHandle<Result<BTreeSet<String>>>,
}

impl Operator {
    /// Begins.
    pub(crate) fn begin(market: &Arc<Market>, desks: Vec<Vec<Desk>>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let shift = Shift {
            market: Arc::clone(market),
            desks,
            over: Arc::clone(&over),
            seen: BTreeMap::new(),
            refused: BTreeMap::new(),
        };
        Self { over, task: tokio::spawn(shift.work()) }
    }

    /// Ends; the request ids of everything that needed an operator.
    ///
    /// # Errors
    /// When it could not work.
    pub(crate) async fn end(self) -> Result<BTreeSet<String>> {
        self.over.store(true, Ordering::SeqCst);
        self.task.await.context("the operator broke")?
    }
}

struct Shift {
    market: Arc<Market>,
    desks: Vec<Vec<Desk>>,
    over: Arc<AtomicBool>,
    /// Since when each operation needs an operator, and why.
    seen: BTreeMap<String, (Instant, String)>,
    /// The last answer to words that were not taken.
    refused: BTreeMap<String, String>,
}

impl Shift {
    async fn work(mut self) -> Result<BTreeSet<String>> {
        let mut dice = Dice::new(self.market.seed, 5);
        while !self.over.load(Ordering::SeqCst) {
            tokio::time::sleep(LOOK).await;
            let channel = self.market.doors.any(&mut dice).await?;
            // A gateway that has just been killed lists nothing; the next one does.
            let Ok(open) = call::operations(&channel, true).await else { continue };
            let needs = |it: &&Operation| it.state() == State::NeedsOperator;
            let mut decided = Vec::new();
            for operation in open.iter().filter(needs) {
                let asked = || (Instant::now(), operation.message.clone());
                let (since, _) = self.seen.entry(id(operation)).or_insert_with(asked);
                // By then the upstream has done whatever it still does.
                if since.elapsed() > TIMING.past_settle() {
                    decided.push(operation);
                }
            }
            if decided.is_empty() {
                continue;
            }
            let Ok(all) = call::operations(&channel, false).await else { continue };
            for waiting in decided {
                // What waits is read on, and is another one after each read.
                let name = id(waiting);
                let fresh = call::wait(channel.clone(), &name, Duration::ZERO, PATIENCE).await;
                let Ok(fresh) = fresh else { continue };
                if fresh.state() != State::NeedsOperator {
                    continue;
                }
                let operation = &fresh;
                let Some(resolution) = self.resolution(operation, &all)? else { continue };
                let request = ResolveOperationRequest {
                    name: operation.name.clone(),
                    etag: operation.etag.clone(),
                    note: "read in the upstream's books".to_owned(),
                    resolution: Some(resolution),
                };
                match call::resolve(channel.clone(), &request).await {
                    // One at a time: what it is told belongs to nobody else from then on.
                    Ok(_) => break,
                    // It is looked at again: it may have changed meanwhile.
                    Err(status) => {
                        let words = format!("{:?} is answered: {status:?}", request.resolution);
                        self.refused.insert(request.name, words);
                    }
                }
            }
        }
        let mut whys: BTreeMap<String, usize> = BTreeMap::new();
        for (_, why) in self.seen.values() {
            // Without its numbers a reason is a kind of reasons.
            let why = why.chars().map(|it| if it.is_ascii_digit() { '#' } else { it }).collect();
            *whys.entry(why).or_default() += 1;
        }
        for (why, count) in whys {
            println!("an operator was asked {count} times: {why}");
        }
        for (operation, words) in self.refused {
            println!("an operator was refused: {operation}: {words}");
        }
        Ok(self.seen.into_keys().collect())
    }

    /// What became of an operation, by the ledger; `None`: that is for nobody to say.
    fn resolution(&self, operation: &Operation, all: &[Operation]) -> Result<Option<Resolution>> {
        let Some(subject) = self.market.subject_of(operation) else { return Ok(None) };
        if subject.asks_a_person() {
            return Ok(None);
        }
        let at = self.market.subjects.iter().position(|it| it.name() == subject.name());
        let mut ledger = Vec::new();
        for desk in at.and_then(|at| self.desks.get(at)).into_iter().flatten() {
            ledger.extend(desk.ledger()?);
        }
        let request_id = id(operation);
        let order = self.market.orders.iter().find(|order| order.request_id == request_id);
        Ok(Some(match order {
            Some(order) => {
                let named = self.named(order, operation, all);
                bought(subject, order, operation, &named, &ledger)
            }
            None => ended(subject, operation, &ledger),
        }))
    }

    /// What other orders of the account name: the ids of another upstream may be equal.
    /// An id that came back is named by as many as had it.
    fn named(
        &self,
        order: &Order,
        operation: &Operation,
        all: &[Operation],
    ) -> BTreeMap<String, usize> {
        let alike = |other: &&Order| {
            (other.subject, other.account, other.site) == (order.subject, order.account, order.site)
        };
        let of_account = self.market.orders.iter().filter(alike);
        let of_account: BTreeSet<&str> = of_account.map(|it| it.request_id.as_str()).collect();
        let others = all.iter().filter(|other| other.name != operation.name);
        let others = others.filter(|other| of_account.contains(id(other).as_str()));
        let mut named = BTreeMap::new();
        for id in others.flat_map(call::ids) {
            *named.entry(id).or_default() += 1;
        }
        named
    }
}

fn bought(
    subject: &dyn Subject,
    order: &Order,
    operation: &Operation,
    named: &BTreeMap<String, usize>,
    ledger: &[Entry],
) -> Resolution {
    let (holder, asked) = (holder(subject, order.account, order.site), subject.asked(order));
    let own = call::ids(operation);
    // Other accounts may have equal ids.
    let ledger: Vec<&Entry> = ledger.iter().filter(|entry| entry.account == holder).collect();
    if let Some((kind, made)) = later_step(subject, operation) {
        let done = |it: &Entry| it.kind == kind && it.product_id.as_ref() == Some(&made);
        return match ledger.iter().any(|it| done(it)) {
            true => Resolution::Executed(Executed { upstream_id: made }),
            false => {
                Resolution::NotExecuted(NotExecuted { try_again: true, ..NotExecuted::default() })
            }
        };
    }
    let gone: BTreeSet<String> = ledger.iter().filter_map(|entry| subject.undone(entry)).collect();
    let of_caller = |id: &str| ledger.iter().any(|it| it.operation_id == id && !it.person);
    let is_free = |id: &String| {
        let sold = ledger.iter().filter(|it| it.operation_id == *id && !it.person);
        let sold = sold.filter(|it| subject.sold(it).is_some()).count();
        sold > named.get(id).copied().unwrap_or_default()
    };
    let fits = |entry: &&Entry| {
        subject.sold(entry).as_ref() == Some(&asked)
            && of_caller(&entry.operation_id)
            && !gone.contains(&entry.operation_id)
            && (own.contains(&entry.operation_id) || is_free(&entry.operation_id))
    };
    let sales: Vec<&Entry> = ledger.iter().copied().rev().filter(fits).collect();
    let sale = sales.iter().find(|sale| own.contains(&sale.operation_id)).or(sales.first());
    match sale {
        Some(sale) => Resolution::Executed(Executed { upstream_id: sale.operation_id.clone() }),
        // What a person has cancelled is not bought again, nor what has been tried again before.
        None => {
            let cancelled = own.iter().any(|id| gone.contains(id));
            let try_again = operation.notes.is_empty() && !cancelled;
            Resolution::NotExecuted(NotExecuted { try_again, ..NotExecuted::default() })
        }
    }
}

/// What a later step of an operation is in the ledger, and what the first one has made.
fn later_step(subject: &dyn Subject, operation: &Operation) -> Option<(&'static str, String)> {
    let kind = subject.later_step(&operation.attempts.last()?.call)?;
    let made = operation.attempts.iter().find(|attempt| !attempt.upstream_id.is_empty())?;
    Some((kind, made.upstream_id.clone()))
}

/// Whether what an operation was to end has ended.
fn ended(subject: &dyn Subject, operation: &Operation, ledger: &[Entry]) -> Resolution {
    let target = operation.target.rsplit('/').next().unwrap_or_default();
    let of_it = |entry: &&Entry| entry.operation_id == target;
    let last = ledger.iter().rev().find(of_it);
    match last.and_then(|entry| subject.ended(entry)) {
        Some(upstream_id) => Resolution::Executed(Executed { upstream_id }),
        None => Resolution::NotExecuted(NotExecuted { try_again: true, ..NotExecuted::default() }),
    }
}

fn id(operation: &Operation) -> String {
    operation.name.trim_start_matches("operations/").to_owned()
}
