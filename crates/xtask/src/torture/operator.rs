//! The operators of a run: look into the ledger for what an operation that needs one came to, and say so:
//! early, late, or as soon as nothing can change it any more. A few say the wrong thing.

mod temperament;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::resolve_operation_request::{Executed, NotExecuted, Resolution};
use purveyor_sdk::v1::{Operation, ResolveOperationRequest};
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Status};

pub(crate) use self::temperament::Operators;
use self::temperament::Temperament;
use super::call;
use super::client::Market;
use super::dice::Dice;
use super::faults::TIMING;
use super::restoring::Phase;
use super::subject::{Entry, Order, Subject};
use super::upstream::Desk;
use super::workload::holder;

/// How often it is looked who waits for an operator.
pub(super) const LOOK: Duration = Duration::from_millis(400);
/// How soon it is looked again after a gateway has died meanwhile.
const AGAIN: Duration = Duration::from_millis(50);
/// How long a read may take: a gateway that is stopped answers when others have decided meanwhile.
const READ: Duration = Duration::from_secs(3);

/// How long after an answer was lost the ledger may still come to show its sale, on a busy machine.
fn sure() -> Duration {
    TIMING.idle + TIMING.processing + Duration::from_millis(600)
}

/// The operators at work.
pub(crate) struct Operator {
    over: Arc<AtomicBool>,
    wrong: Wrong,
    task: JoinHandle<Result<Words>>,
}

/// The request ids about which a wrong word may have been taken.
type Wrong = Arc<Mutex<BTreeSet<String>>>;

/// What operators were asked and said.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// The request ids of everything that needed an operator.
    pub(crate) asked: BTreeSet<String>,
    /// Those about which a word was wrong.
    pub(crate) wrong: BTreeSet<String>,
    /// Those about which a word was early, and nobody could look again before it counted.
    pub(crate) hasty: BTreeSet<String>,
    /// How many words of early operators were taken before others would have spoken.
    pub(crate) early: usize,
    /// How many words of late operators were taken.
    pub(crate) late: usize,
}

impl Operator {
    /// Begins.
    pub(crate) fn begin(market: &Arc<Market>, desks: Vec<Vec<Desk>>, operators: Operators) -> Self {
        let (over, wrong) = (Arc::new(AtomicBool::new(false)), Wrong::default());
        let shift = Shift {
            market: Arc::clone(market),
            desks,
            operators,
            over: Arc::clone(&over),
            seen: BTreeMap::new(),
            refused: BTreeMap::new(),
            unsure: BTreeMap::new(),
            unnameable: BTreeSet::new(),
            unbelieved: BTreeSet::new(),
            restored: false,
            wrong: Arc::clone(&wrong),
            words: Words::default(),
        };
        Self { over, wrong, task: tokio::spawn(shift.work()) }
    }

    /// The request ids about which a wrong word may have been taken by now.
    pub(crate) fn wrong(&self) -> BTreeSet<String> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends; what operators were asked and said.
    ///
    /// # Errors
    /// When they could not work.
    pub(crate) async fn end(self) -> Result<Words> {
        self.over.store(true, Ordering::SeqCst);
        self.task.await.context("the operator broke")?
    }
}

struct Shift {
    market: Arc<Market>,
    desks: Vec<Vec<Desk>>,
    operators: Operators,
    over: Arc<AtomicBool>,
    /// Since when each operation needs an operator about its last attempt.
    seen: BTreeMap<String, Asked>,
    /// The last answer to words that were not taken.
    refused: BTreeMap<String, String>,
    /// When it was said that an attempt was not executed that still could be, until the ledger was read once
    /// more: by request id and number of the attempt.
    unsure: BTreeMap<(String, usize), Instant>,
    /// Whose sale the gateway has refused as another one's.
    unnameable: BTreeSet<String>,
    /// Whose wrong word the gateway has refused.
    unbelieved: BTreeSet<String>,
    /// Whether it is known that the store was restored.
    restored: bool,
    wrong: Wrong,
    words: Words,
}

/// What is known of an operation that needs an operator.
struct Asked {
    since: Instant,
    attempts: usize,
    why: String,
}

impl Shift {
    async fn work(mut self) -> Result<Words> {
        let mut dice = Dice::new(self.market.seed, 5);
        let mut pause = LOOK;
        while !self.over.load(Ordering::SeqCst) {
            tokio::time::sleep(pause).await;
            pause = if self.look(&mut dice).await? { LOOK } else { AGAIN };
        }
        Ok(self.closed())
    }

    /// Looks once who waits for an operator, and speaks. Whether the gateway lived that long.
    async fn look(&mut self, dice: &mut Dice) -> Result<bool> {
        let phase = self.market.restoring.as_ref().map(|it| it.phase());
        if phase.and_then(Phase::lost).is_some() && !self.restored {
            // Whatever was said is forgotten, and what needs an operator now does so anew.
            self.restored = true;
            self.unsure.clear();
            self.unnameable.clear();
            self.unbelieved.clear();
            self.seen.values_mut().for_each(|asked| asked.since = Instant::now());
        }
        let channel = self.market.doors.any(dice).await?;
        // A gateway that has just been killed lists nothing; the next one does.
        let listed = tokio::time::timeout(READ, call::operations(&channel, true)).await;
        let Ok(Ok(open)) = listed else { return Ok(false) };
        let due = self.due(&open);
        if due.is_empty() {
            return Ok(true);
        }
        let Ok(mut all) = call::operations(&channel, false).await else { return Ok(false) };
        for name in due {
            // What waits is read on, and is another one after each read.
            let fresh = call::wait(channel.clone(), &name, Duration::ZERO, READ).await;
            let Ok(fresh) = fresh else { return Ok(false) };
            if fresh.state() != State::NeedsOperator {
                continue;
            }
            let Some((temperament, resolution)) = self.word(&fresh, &all)? else { continue };
            let said = self.say(&channel, &fresh, temperament, resolution).await;
            // What it is told belongs to nobody else from then on.
            if let Some(now) = said
                && let Some(known) = all.iter_mut().find(|known| known.name == now.name)
            {
                *known = now;
            }
        }
        Ok(true)
    }

    /// Tells what was asked and what was refused.
    fn closed(mut self) -> Words {
        let mut whys: BTreeMap<String, usize> = BTreeMap::new();
        for asked in self.seen.values() {
            // Without its numbers a reason is a kind of reasons.
            let digit = |it: char| if it.is_ascii_digit() { '#' } else { it };
            *whys.entry(asked.why.chars().map(digit).collect()).or_default() += 1;
        }
        for (why, count) in whys {
            println!("an operator was asked {count} times: {why}");
        }
        for (operation, words) in self.refused {
            println!("an operator was refused: {operation}: {words}");
        }
        self.words.wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.words.hasty = self.unsure.into_keys().map(|(name, _)| name).collect();
        self.words.asked = self.seen.into_keys().collect();
        self.words
    }

    /// Whose operators may speak by now.
    fn due(&mut self, open: &[Operation]) -> Vec<String> {
        let mut due = Vec::new();
        for operation in open.iter().filter(|it| it.state() == State::NeedsOperator) {
            let (name, attempts) = (id(operation), operation.attempts.len());
            let anew = || Asked { since: Instant::now(), attempts, why: operation.message.clone() };
            let asked = self.seen.entry(name.clone()).or_insert_with(anew);
            if asked.attempts != attempts {
                (asked.since, asked.attempts) = (Instant::now(), attempts);
            }
            let since = asked.since;
            if since.elapsed() >= self.temperament(&name).waits() {
                due.push(name);
            }
        }
        // Who has to look again before a word counts does that first.
        due.sort_by_key(|name| !self.unsure.keys().any(|(unsure, _)| unsure == name));
        due
    }

    /// Who has been wrong once, or was not believed, tells the truth from then on.
    fn temperament(&self, name: &str) -> Temperament {
        let purchase = self.market.orders.iter().any(|order| order.request_id == name);
        match self.operators.deal(name, purchase) {
            Temperament::Wrong { .. } if self.is_spent(name) => Temperament::True,
            temperament => temperament,
        }
    }

    /// How long ago it was first seen that an operator is needed.
    fn asked_for(&self, name: &str) -> Duration {
        self.seen.get(name).map(|asked| asked.since.elapsed()).unwrap_or_default()
    }

    fn is_spent(&self, name: &str) -> bool {
        self.unbelieved.contains(name) || self.is_wrong(name)
    }

    fn is_wrong(&self, name: &str) -> bool {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    /// What the operator says of an operation; `None`: nothing, and it is looked at again in the next round.
    fn word(
        &mut self,
        operation: &Operation,
        all: &[Operation],
    ) -> Result<Option<(Temperament, Resolution)>> {
        let name = id(operation);
        let temperament = self.temperament(&name);
        if let Temperament::Wrong { at_own_risk } = temperament {
            let word = NotExecuted { try_again: true, at_own_risk };
            return Ok(Some((temperament, Resolution::NotExecuted(word))));
        }
        let waits = operation.notes.last().is_some_and(|note| note.waits);
        if waits && self.is_wrong(&name) {
            return Ok(None);
        }
        // Who waits for another order alike may be what that one waits for.
        let early = self.asked_for(&name) < Temperament::True.waits();
        let Some(resolution) = self.resolution(operation, all, early)? else { return Ok(None) };
        if waits && matches!(resolution, Resolution::NotExecuted(_)) {
            // It still is as it was said, and by now it cannot become otherwise.
            let attempt = (name, operation.attempts.len());
            if self.unsure.get(&attempt).is_some_and(|said| said.elapsed() >= sure()) {
                self.unsure.remove(&attempt);
            }
            return Ok(None);
        }
        // What an earlier attempt sold stands in the baseline of the one that a wrong word led to, and cannot
        // be named any more. That this one was not executed is true.
        if self.is_wrong(&name)
            && self.unnameable.contains(&name)
            && self.asked_for(&name) > Temperament::Late.waits()
        {
            let word = Resolution::NotExecuted(NotExecuted::default());
            return Ok(Some((temperament, word)));
        }
        Ok(Some((temperament, resolution)))
    }

    /// Says it; the operation as it is then, where that was answered.
    async fn say(
        &mut self,
        channel: &Channel,
        operation: &Operation,
        temperament: Temperament,
        resolution: Resolution,
    ) -> Option<Operation> {
        let name = id(operation);
        let attempt = (name.clone(), operation.attempts.len());
        let early = self.asked_for(&name) < sure();
        let soon = self.asked_for(&name) < Temperament::True.waits();
        let is_wrong = matches!(temperament, Temperament::Wrong { .. });
        let is_unsure = early && !is_wrong && matches!(resolution, Resolution::NotExecuted(_));
        // Whatever is answered, it may have been taken from now on.
        if is_wrong {
            self.wrong.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        } else if is_unsure {
            self.unsure.insert(attempt.clone(), Instant::now());
        }
        let request = ResolveOperationRequest {
            name: operation.name.clone(),
            etag: operation.etag.clone(),
            note: if is_wrong { "not looked" } else { "read in the upstream's books" }.to_owned(),
            resolution: Some(resolution),
        };
        match call::resolve(channel.clone(), &request).await {
            Ok(now) => {
                // Where it counted at once nobody could have looked again.
                if !now.notes.last().is_some_and(|note| note.waits) {
                    self.unsure.remove(&attempt);
                }
                self.words.early += usize::from(temperament == Temperament::Early && soon);
                self.words.late += usize::from(temperament == Temperament::Late);
                Some(now)
            }
            // It is looked at again: it may have changed meanwhile.
            Err(status) => {
                if was_not_taken(&status) && is_unsure {
                    self.unsure.remove(&attempt);
                }
                self.refuse(name, is_wrong, &status);
                let words = format!("{:?} is answered: {status:?}", request.resolution);
                self.refused.insert(request.name, words);
                None
            }
        }
    }

    /// A word was refused, or nobody knows.
    fn refuse(&mut self, name: String, is_wrong: bool, status: &Status) {
        if status.code() == Code::InvalidArgument {
            self.unnameable.insert(name.clone());
        }
        if was_not_taken(status) && is_wrong {
            self.wrong.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            // Who was only too late tries again.
            if status.code() != Code::Aborted {
                self.unbelieved.insert(name);
            }
        }
    }

    /// What became of an operation, by the ledger; `None`: that is for nobody to say, or for nobody who is
    /// `early`.
    fn resolution(
        &self,
        operation: &Operation,
        all: &[Operation],
        early: bool,
    ) -> Result<Option<Resolution>> {
        let Some(subject) = self.market.subject_of(operation) else { return Ok(None) };
        if subject.asks_a_person() && !self.operators.speak_everywhere() {
            return Ok(None);
        }
        let at = self.market.subjects.iter().position(|it| it.name() == subject.name());
        let mut ledger = Vec::new();
        for desk in at.and_then(|at| self.desks.get(at)).into_iter().flatten() {
            ledger.extend(desk.ledger()?);
        }
        let request_id = id(operation);
        let order = self.market.orders.iter().find(|order| order.request_id == request_id);
        let Some(order) = order else {
            return Ok(self.ended(subject, operation, &ledger));
        };
        let named = self.named(order, operation, all);
        let resolution = bought(subject, order, operation, &named, &ledger);
        let own = call::ids(operation);
        let guesses = match &resolution {
            Resolution::Executed(executed) => !own.contains(&executed.upstream_id),
            Resolution::NotExecuted(_) => false,
        };
        // What was sold may be another order's that asks for the same and has not ended.
        let uncertain = early && guesses && is_rivalled(subject, order, &self.market.orders, all);
        Ok((!uncertain).then_some(resolution))
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

    /// Whether what an operation was to end has ended; `None`: no caller of the run wants that.
    fn ended(
        &self,
        subject: &dyn Subject,
        operation: &Operation,
        ledger: &[Entry],
    ) -> Option<Resolution> {
        let ending = self.market.ending(&id(operation))?;
        let order = self.market.orders.get(ending.order)?;
        Some(ended(
            &holder(subject, order.account, order.site),
            ending.since_ms,
            subject,
            operation,
            ledger,
        ))
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
            && (own.contains(&entry.operation_id) || is_free(&entry.operation_id))
    };
    let (undone, sales): (Vec<&Entry>, Vec<&Entry>) =
        ledger.iter().copied().rev().filter(fits).partition(|it| gone.contains(&it.operation_id));
    let sale = sales.iter().find(|sale| own.contains(&sale.operation_id)).or(sales.first());
    match sale {
        Some(sale) => Resolution::Executed(Executed { upstream_id: sale.operation_id.clone() }),
        // What a person has cancelled is not bought again, nor what has been tried again before.
        None => {
            let cancelled = !undone.is_empty() || own.iter().any(|id| gone.contains(id));
            let try_again = operation.notes.is_empty() && !cancelled;
            Resolution::NotExecuted(NotExecuted { try_again, ..NotExecuted::default() })
        }
    }
}

/// Whether another order of the account asks for the same and has not ended.
fn is_rivalled(
    subject: &dyn Subject,
    order: &Order,
    orders: &[Order],
    operations: &[Operation],
) -> bool {
    let account = |it: &Order| (it.subject, it.account, it.site);
    let of_account = orders.iter().filter(|it| account(it) == account(order));
    let asked = subject.asked(order);
    let mut rivals =
        of_account.filter(|it| it.number != order.number && subject.asked(it) == asked);
    let ended = |rival: &Order| operations.iter().any(|it| it.done && id(it) == rival.request_id);
    rivals.any(|rival| !ended(rival))
}

/// What a later step of an operation is in the ledger, and what the first one has made.
fn later_step(subject: &dyn Subject, operation: &Operation) -> Option<(&'static str, String)> {
    let kind = subject.later_step(&operation.attempts.last()?.call)?;
    let made = operation.attempts.iter().find(|attempt| !attempt.upstream_id.is_empty())?;
    Some((kind, made.upstream_id.clone()))
}

/// Whether what an operation was to end has ended. Its id may be another object's by now, which was not
/// sold before that.
fn ended(
    holder: &str,
    since_ms: i64,
    subject: &dyn Subject,
    operation: &Operation,
    ledger: &[Entry],
) -> Resolution {
    let target = operation.target.rsplit('/').next().unwrap_or_default();
    let of_it = |entry: &&Entry| entry.account == holder && entry.operation_id == target;
    let since = |entry: &&Entry| entry.at_ms().is_some_and(|at_ms| at_ms >= since_ms);
    let mut ends = ledger.iter().filter(of_it).filter(since);
    match ends.find_map(|entry| subject.ended(entry)) {
        Some(upstream_id) => Resolution::Executed(Executed { upstream_id }),
        None => Resolution::NotExecuted(NotExecuted { try_again: true, ..NotExecuted::default() }),
    }
}

/// Whether an answer says that a word has changed nothing.
fn was_not_taken(status: &Status) -> bool {
    matches!(status.code(), Code::Aborted | Code::FailedPrecondition | Code::InvalidArgument)
}

fn id(operation: &Operation) -> String {
    operation.name.trim_start_matches("operations/").to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Entry, Executed, NotExecuted, Operation, Resolution, ended, is_rivalled};
    use crate::torture::options::Options;
    use crate::torture::subject::named;
    use crate::torture::workload::orders;

    #[test]
    fn sale_may_be_that_of_an_open_order_alike() {
        let options = Options { tenants: 2, ..Options::of_provider("klikk", 32) };
        let subjects = named("klikk").unwrap();
        let (subject, orders) = (subjects[0].as_ref(), orders(&options, &subjects, 1));
        let check = |ended: &[usize], expected: bool| {
            let operation = |number: &usize| Operation {
                name: format!("operations/{}", orders[*number].request_id),
                done: true,
                ..Operation::default()
            };
            let operations: Vec<_> = ended.iter().map(operation).collect();
            let rivalled = is_rivalled(subject, &orders[0], &orders, &operations);
            assert_eq!(rivalled, expected, "{ended:?}");
        };
        // The second one is of the other tenant, and alike.
        check(&[], true);
        check(&[2, 3], true);
        check(&[1], false);
    }

    #[test]
    fn end_of_an_id_that_came_back_is_the_end_of_what_had_it() {
        let subjects = named("racknap").unwrap();
        let subject = subjects[0].as_ref();
        let target = "providers/racknap-0/services/7".to_owned();
        let operation = Operation { target, ..Operation::default() };
        let entry = |kind: &str, account: &str, second: u8| Entry {
            account: account.to_owned(),
            kind: kind.to_owned(),
            operation_id: "7".to_owned(),
            product_id: None,
            product_name: "plan".to_owned(),
            quantity: 1,
            amount: "500.00".to_owned(),
            duration: None,
            person: false,
            time: format!("2026-01-01T00:00:0{second}Z"),
        };
        let ledger = [
            entry("service_create", "racknap", 1),
            entry("service_terminate", "racknap", 2),
            entry("service_create", "racknap", 3),
            entry("service_terminate", "racknap-1", 5),
        ];
        let at = |second: u8| entry("", "", second).at_ms().unwrap();
        let check = |second: u8, has_ended: bool| {
            let resolution = ended("racknap", at(second), subject, &operation, &ledger);
            let expected = match has_ended {
                true => Resolution::Executed(Executed { upstream_id: "7".to_owned() }),
                false => {
                    Resolution::NotExecuted(NotExecuted { try_again: true, at_own_risk: false })
                }
            };
            assert_eq!(resolution, expected, "{second}");
        };
        check(1, true);
        check(2, true);
        check(4, false);
    }
}
