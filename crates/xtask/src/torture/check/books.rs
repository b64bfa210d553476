//! One provider's books: which sale belongs to which order, by the ledger and by how the orders ended.

use std::collections::{BTreeMap, BTreeSet};

use purveyor_sdk::v1::Operation;
use purveyor_sdk::v1::operation::{Attempt, Outcome, State};

use super::super::call::{ids, items, reason};
use super::super::journal::{Answer, Line};
use super::super::operator::Words;
use super::super::person::Object;
use super::super::subject::{Entry, Order, Subject};
use super::super::workload::holder;
use super::wrong_words::Excused;
use super::{Evidence, Score, Verdict, Wrong, told};

/// A line of a ledger that sold something.
pub(super) struct Sale<'a> {
    pub(super) holder: &'a str,
    pub(super) id: &'a str,
    /// Where it stands in the ledger: an upstream may reuse its id.
    pub(super) line: usize,
    pub(super) asked: String,
    item: Option<String>,
    /// When it was sold, in milliseconds since 1970.
    at_ms: Option<i64>,
    /// A person bought or paid it.
    pub(super) person: bool,
    /// A person bought it. What a person has paid for a caller may be the caller's all the same.
    foreign: bool,
    /// It was taken back before it came to anything.
    undone: bool,
}

/// An order, how the ledger calls it, what the journal says of it and what its caller was told.
pub(super) struct Bought<'a> {
    pub(super) order: &'a Order,
    pub(super) holder: String,
    pub(super) asked: String,
    pub(super) operation: Option<&'a Operation>,
    pub(super) told: &'a [&'a Line],
}

/// One provider's orders, operations and sales.
pub(super) struct Books<'a> {
    subject: &'a dyn Subject,
    orders: Vec<Bought<'a>>,
    sales: Vec<Sale<'a>>,
    /// The account and the id of what a person has done something to.
    touched: BTreeSet<(&'a str, &'a str)>,
    words: &'a Words,
    speak_everywhere: bool,
    /// What came of operators' wrong words, and may be.
    excused: Excused,
    kept_from: &'a [&'static str],
    /// The time that a restored store lacks, in milliseconds since 1970.
    lost: Option<(i64, i64)>,
    /// Whose order, for what, and when its success was told first.
    successes: Vec<(String, String, i64)>,
    effect_lag_ms: i64,
    /// What was ended: whose, the id that it had, and where that stands in the ledger.
    ends: Vec<(&'a str, String, usize)>,
    pub(super) score: Score,
}

impl<'a> Books<'a> {
    pub(super) fn open(
        (index, subject): (usize, &'a dyn Subject),
        orders: impl Iterator<Item = &'a Order>,
        ledger: &'a [Entry],
        (operations, told): (&BTreeMap<&str, &'a Operation>, &'a BTreeMap<usize, Vec<&'a Line>>),
        evidence: &Evidence<'a>,
    ) -> Self {
        let bought = orders.map(|order| Bought {
            order,
            holder: holder(subject, order.account, order.site),
            asked: subject.asked(order),
            operation: operations.get(order.request_id.as_str()).copied(),
            told: told.get(&order.number).map(Vec::as_slice).unwrap_or_default(),
        });
        // What a caller has not begun before is a person's own, also where a caller is given its id later.
        let lines = ledger.iter().enumerate().rev().filter(|(_, it)| !it.person);
        let of_callers: BTreeMap<_, _> = lines.map(|(line, it)| (object(it), line)).collect();
        let undone =
            ledger.iter().filter_map(|it| Some((it.account.as_str(), subject.undone(it)?)));
        let undone: BTreeSet<_> = undone.collect();
        let bought: Vec<Bought<'a>> = bought.collect();
        let success = |it: &Bought<'_>| {
            Some((it.holder.clone(), it.asked.clone(), told::told_at(it.told, State::Succeeded)?))
        };
        let sale = |(line, entry): (usize, &'a Entry)| {
            let (holder, id) = object(entry);
            let (item, at_ms) = (subject.item(entry), entry.at_ms());
            let person = entry.person;
            let foreign = person && of_callers.get(&(holder, id)).is_none_or(|first| line < *first);
            let undone = undone.contains(&(holder, id.to_owned()));
            let asked = subject.sold(entry)?;
            Some(Sale { holder, id, line, asked, item, at_ms, person, foreign, undone })
        };
        let end = |(line, entry): (usize, &'a Entry)| {
            subject.ended(entry).map(|id| (entry.account.as_str(), id, line))
        };
        let sales: Vec<Sale<'a>> = ledger.iter().enumerate().filter_map(sale).collect();
        let touched = objects(evidence.touched, index);
        let disguised = objects(evidence.disguised, index);
        let unknown: BTreeSet<_> = touched.union(&disguised).copied().collect();
        let excused = Excused::of(subject, &bought, &sales, &unknown, evidence);
        Self {
            subject,
            successes: bought.iter().filter_map(success).collect(),
            orders: bought,
            sales,
            touched,
            words: evidence.words,
            speak_everywhere: evidence.speak_everywhere,
            excused,
            kept_from: evidence.kept_from,
            lost: evidence.lost,
            effect_lag_ms: i64::try_from(evidence.effect_lag_ms).unwrap_or(i64::MAX),
            ends: ledger.iter().enumerate().filter_map(end).collect(),
            score: Score::default(),
        }
    }

    pub(super) fn audit(&mut self, verdict: &mut Verdict) {
        self.score.orders = self.orders.iter().filter(|it| is_first(it.order)).count();
        self.score.sales = self.sales.iter().filter(|sale| !sale.foreign).count();
        self.count_needs_operator();
        self.score.wrong_words = self.excused.wrong_words;
        let ids: BTreeSet<_> = self.sales.iter().map(|sale| (sale.holder, sale.id)).collect();
        let reuses = self.subject.reuse_ids().is_some();
        self.score.came_back = if reuses { self.sales.len() - ids.len() } else { 0 };
        self.count_doubles(verdict);
        let mut orders = std::mem::take(&mut self.orders);
        // Who names a sale owns it; what is left belongs to those that ended otherwise.
        orders.sort_by_key(|bought| match bought.operation.map(Operation::state) {
            Some(State::Succeeded) => 0,
            Some(State::Failed | State::Cancelled) => 1,
            _ => 2,
        });
        let mut owned = BTreeMap::new();
        let mut sold = BTreeSet::new();
        for bought in orders {
            let wrong = match self.outcome(&bought, &mut owned, &sold) {
                Ok(()) => self.told_wrong(&bought, owned.get(&bought.order.number).copied()),
                Err(wrong) => Some(wrong),
            };
            if owned.contains_key(&bought.order.number) {
                sold.insert(bought.order.intent);
            } else if is_first(bought.order)
                && self.is_touched(&bought, &bought.operation.map(self::ids).unwrap_or_default())
            {
                self.score.overtaken += 1;
            }
            if !self.excused.passes(
                &bought,
                wrong.as_ref(),
                owned.contains_key(&bought.order.number),
            ) {
                self.note(&bought, wrong, verdict);
            }
        }
        let owned: BTreeSet<usize> = owned.into_values().collect();
        let orphan = |sale: &&Sale<'_>| !sale.person && !owned.contains(&sale.line);
        for sale in self.sales.iter().filter(orphan) {
            if self.excused.takes(sale) {
                continue;
            }
            self.score.orphan += 1;
            let Sale { holder, id, asked, .. } = sale;
            verdict.problem(format!("sale {id} of {holder} ({asked}) belongs to no operation"));
        }
    }

    fn note(&mut self, bought: &Bought<'_>, wrong: Option<Wrong>, verdict: &mut Verdict) {
        let Order { number, request_id, provider, .. } = bought.order;
        let name = format!("order {number} (operations/{request_id}, {provider})");
        match wrong {
            None => {}
            Some(Wrong::Lost(how)) => {
                self.score.lost += 1;
                verdict.problem(format!("{name} is lost: {how}"));
            }
            Some(Wrong::Told(how)) => {
                self.score.told_wrong += 1;
                verdict.problem(format!("{name} was told wrong: {how}"));
            }
        }
    }

    /// Whoever was asked about it, or was told of it, knows.
    fn count_needs_operator(&mut self) {
        let needs = State::NeedsOperator;
        let told = |line: &&Line| match &line.answer {
            Answer::Operation { state, .. } => !line.wrong && state == needs.as_str_name(),
            _ => false,
        };
        let needed = |bought: &&Bought<'_>| {
            bought.operation.is_some_and(|it| it.state() == needs)
                || self.words.asked.contains(&bought.order.request_id)
                || bought.told.iter().any(&told)
        };
        self.score.needs_operator = self.orders.iter().filter(needed).count();
        self.score.operations = self.orders.iter().filter(|it| it.operation.is_some()).count();
    }

    /// Whether a person has done something to what an order is about.
    fn is_touched(&self, bought: &Bought<'_>, named: &[String]) -> bool {
        let target = self.subject.target(bought.order);
        let mut names = named.iter().chain(&target);
        names.any(|name| self.touched.contains(&(bought.holder.as_str(), name.as_str())))
    }

    /// By the ledger alone: more sales of a kind than intents of it.
    fn count_doubles(&mut self, verdict: &mut Verdict) {
        let mut balance: BTreeMap<(&str, &str), isize> = BTreeMap::new();
        for sale in self.sales.iter().filter(|sale| !sale.person) {
            *balance.entry((sale.holder, &sale.asked)).or_default() += 1;
        }
        for bought in self.orders.iter().filter(|bought| is_first(bought.order)) {
            *balance.entry((&bought.holder, &bought.asked)).or_default() -= 1;
        }
        for ((holder, asked), surplus) in balance.into_iter().filter(|(_, it)| *it > 0) {
            let excused = surplus.unsigned_abs().min(self.excused.of_kind(holder, asked));
            self.score.of_wrong_words += excused;
            let surplus = surplus.unsigned_abs() - excused;
            self.score.double += surplus;
            if surplus > 0 {
                verdict.problem(format!("{holder}, {asked}: {surplus} sales more than orders"));
            }
        }
    }

    /// How the order ended at last, against the ledger. What it has bought goes into `owned`, by number
    /// of the order; `sold` are the intents of orders that were looked at before.
    fn outcome(
        &mut self,
        bought: &Bought<'_>,
        owned: &mut BTreeMap<usize, usize>,
        sold: &BTreeSet<usize>,
    ) -> Result<(), Wrong> {
        let number = bought.order.number;
        // One of two that want the same is enough; the other one may end as it likes, but it ends.
        let other_sold = sold.contains(&bought.order.intent);
        let Some(operation) = bought.operation else {
            let accepted = bought.told.iter().any(|line| told::is_accepted(line));
            let kept = self.is_touched(bought, &[]);
            if accepted || (!other_sold && is_first(bought.order) && !kept) {
                return Err(Wrong::Lost("is not in the journal".to_owned()));
            }
            return Ok(());
        };
        match operation.state() {
            State::Succeeded => {
                let sale = self.named(bought, operation, owned).map_err(Wrong::Told)?;
                owned.insert(number, sale);
                self.effect(bought, sale).map_err(Wrong::Told)
            }
            State::Failed | State::Cancelled => {
                let ended = operation.state().as_str_name();
                if let Some(sale) = self.left_over(bought, operation, owned) {
                    owned.insert(number, sale);
                    if self.sale(sale).is_some_and(|sale| sale.undone) {
                        return Ok(());
                    }
                    return Err(Wrong::Told(format!("ended as {ended}, and was sold")));
                }
                // What the upstream refuses, though without a declared proof, is not sent again.
                let reason = reason(operation);
                let sent =
                    |it: &Attempt| !matches!(it.outcome(), Outcome::NotSent | Outcome::Absent);
                let kept = self.kept_from.contains(&reason) && !operation.attempts.iter().any(sent);
                // An operator's word counts, and this one has read the ledger.
                let proven = kept || matches!(reason, "UPSTREAM_REJECTED" | "NOT_EXECUTED");
                let refused =
                    operation.state() == State::Failed && (proven || self.subject.refuses());
                let kept = refused || self.is_touched(bought, &ids(operation));
                if kept || other_sold || !is_first(bought.order) {
                    return Ok(());
                }
                Err(Wrong::Lost(format!("ended as {ended} {:?}", operation.result)))
            }
            State::NeedsOperator => {
                if self.speak_everywhere || !self.subject.asks_a_person() {
                    return Err(Wrong::Lost(format!("waits for a person: {}", operation.message)));
                }
                // What it bought is known by what was asked, which is no other order's there.
                if let Some(sale) = self.unowned(bought, owned) {
                    owned.insert(number, sale);
                }
                Ok(())
            }
            state => {
                let state = state.as_str_name();
                Err(Wrong::Lost(format!("is still {state} {:?}", operation.message)))
            }
        }
    }

    /// The one sale that a success names, which nobody else has named.
    fn named(
        &self,
        bought: &Bought<'_>,
        operation: &Operation,
        owned: &BTreeMap<usize, usize>,
    ) -> Result<usize, String> {
        let ids = ids(operation);
        let wrong = || format!("succeeded, and names {ids:?}");
        let holder = |sale: &&Sale<'_>| sale.holder == bought.holder;
        let named =
            || self.sales.iter().filter(holder).filter(|sale| ids.iter().any(|id| id == sale.id));
        // Several sales of one id are there alone where the upstream reuses it.
        let distinct: BTreeSet<&str> = named().map(|sale| sale.id).collect();
        if distinct.len() != 1 {
            return Err(wrong());
        }
        if named().all(|sale| sale.foreign) {
            return Err(format!("succeeded, and a person bought {ids:?}"));
        }
        let taken: BTreeSet<usize> = owned.values().copied().collect();
        let fits = |sale: &&Sale<'_>| !sale.foreign && sale.asked == bought.asked;
        let new = || named().filter(fits).filter(|sale| !taken.contains(&sale.line));
        // Of two sales alike under one id, the one that was ended is that of the order whose end was told.
        // What a person was given the id of later is a caller's only where a person pays for callers.
        let ended = told::is_ended(bought.told);
        let rank = |sale: &&Sale<'_>| (sale.person, self.is_ended(sale) != ended);
        let sale = new().min_by_key(rank).ok_or_else(wrong)?;
        let items = items(operation);
        match &sale.item {
            Some(item) if !items.is_empty() && items != [item.clone()] => {
                Err(format!("succeeded with the items {items:?}, and {item} was sold"))
            }
            _ => Ok(sale.line),
        }
    }

    fn sale(&self, line: usize) -> Option<&Sale<'a>> {
        self.sales.iter().find(|sale| sale.line == line)
    }

    /// Whether the sale of a success came to something, and had when the success was told.
    fn effect(&self, bought: &Bought<'_>, line: usize) -> Result<(), String> {
        let Some(sale) = self.sale(line) else { return Ok(()) };
        if sale.undone {
            return Err(format!("succeeded, and {} was cancelled before it was done", sale.id));
        }
        let told =
            told::told_at(bought.told, State::Succeeded).filter(|_| self.subject.shows_late());
        let Some(at_ms) = told else { return Ok(()) };
        // Alike orders may take each other's effects: by then as many have to show as have succeeded.
        let alike = |sale: &&Sale<'_>| {
            !sale.foreign && sale.holder == bought.holder && sale.asked == bought.asked
        };
        let shows =
            |sale: &&Sale<'_>| sale.at_ms.is_none_or(|sold| sold + self.effect_lag_ms <= at_ms);
        let shown = self.sales.iter().filter(alike).filter(shows).count();
        let key = (bought.holder.as_str(), bought.asked.as_str());
        let succeeded = self.successes.iter().filter(|(holder, asked, told)| {
            (holder.as_str(), asked.as_str()) == key && *told <= at_ms
        });
        match succeeded.count() {
            succeeded if succeeded > shown => {
                Err(format!("succeeded when {shown} of {succeeded} effects showed"))
            }
            _ => Ok(()),
        }
    }

    /// A sale of what was asked for that nobody has named.
    fn unowned(&self, bought: &Bought<'_>, owned: &BTreeMap<usize, usize>) -> Option<usize> {
        let taken: BTreeSet<usize> = owned.values().copied().collect();
        let named = bought.operation.map(ids).unwrap_or_default();
        // What a person pays after the end is no caller's any more.
        let failed = told::told_at(bought.told, State::Failed).unwrap_or(i64::MAX);
        let own = |sale: &Sale<'_>| {
            let paid_before = sale.at_ms.is_none_or(|paid| paid < failed);
            !sale.person || (paid_before && named.iter().any(|id| id == sale.id))
        };
        let mine = |sale: &&Sale<'_>| {
            !sale.foreign && own(sale) && sale.holder == bought.holder && sale.asked == bought.asked
        };
        let mut sales = self.sales.iter().filter(mine);
        sales.find(|sale| !taken.contains(&sale.line)).map(|sale| sale.line)
    }

    /// The sale of an order that ended without success. One that came of an operator's wrong word about an
    /// order alike is not its own.
    fn left_over(
        &mut self,
        bought: &Bought<'_>,
        operation: &Operation,
        owned: &BTreeMap<usize, usize>,
    ) -> Option<usize> {
        let line = self.unowned(bought, owned)?;
        let named =
            self.sale(line).is_some_and(|sale| ids(operation).iter().any(|id| id == sale.id));
        (named || !self.excused.is_of_another(bought)).then_some(line)
    }

    /// What the caller was told on the way, against how it is at the end.
    fn told_wrong(&self, bought: &Bought<'_>, owned: Option<usize>) -> Option<Wrong> {
        let sale = owned.and_then(|line| self.sale(line));
        let ended = sale.is_some_and(|sale| self.is_ended(sale));
        told::wrong(bought, ended, self.lost).map(Wrong::Told)
    }

    /// Whether what was sold was ended, before its id came back.
    fn is_ended(&self, sale: &Sale<'_>) -> bool {
        let same = |other: &&Sale<'_>| other.holder == sale.holder && other.id == sale.id;
        let later = self.sales.iter().filter(same).map(|other| other.line);
        let next = later.filter(|line| *line > sale.line).min().unwrap_or(usize::MAX);
        self.ends.iter().any(|(holder, id, line)| {
            (*holder, id.as_str()) == (sale.holder, sale.id) && (sale.line..next).contains(line)
        })
    }
}

/// The account and the id of what belongs to one of the providers.
fn objects(of: &BTreeSet<Object>, subject: usize) -> BTreeSet<(&str, &str)> {
    let of = of.iter().filter(|(index, ..)| *index == subject);
    of.map(|(_, holder, id)| (holder.as_str(), id.as_str())).collect()
}

/// The account and the id of a line.
fn object(entry: &Entry) -> (&str, &str) {
    (entry.account.as_str(), entry.operation_id.as_str())
}

/// Whether it is the first order of its intent.
fn is_first(order: &Order) -> bool {
    order.intent == order.number
}
