//! The verdict: compares the ledgers, the clients' own log and what the public API says at the end. It
//! reads nothing else, and must not know what went wrong when.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use purveyor_sdk::v1::Operation;
use purveyor_sdk::v1::operation::State;

use super::call::{ids, rests};
use super::journal::{Answer, Line};
use super::subject::{Entry, Order, Subject};

/// How many problems are told one by one.
const TOLD: usize = 20;

/// What was found at one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Score {
    pub(crate) orders: usize,
    pub(crate) sales: usize,
    /// Sales beyond one for each order.
    pub(crate) double: usize,
    /// Orders that neither ended as they were told nor are listed as unresolved.
    pub(crate) lost: usize,
    /// Sales that no operation owns.
    pub(crate) orphan: usize,
    /// Operations that wait for a person.
    pub(crate) needs_operator: usize,
}

/// What was found altogether.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) scores: Vec<(&'static str, Score)>,
    /// Every broken promise in words; the first ones of many.
    pub(crate) problems: Vec<String>,
    broken: usize,
}

/// What is compared.
pub(crate) struct Evidence<'a> {
    pub(crate) subjects: &'a [Box<dyn Subject>],
    pub(crate) orders: &'a [Order],
    /// The ledgers, in the order of the subjects.
    pub(crate) ledgers: &'a [Vec<Entry>],
    pub(crate) told: &'a [Line],
    pub(crate) operations: &'a [Operation],
}

/// A line of a ledger that sold something.
struct Sale<'a> {
    holder: &'a str,
    id: &'a str,
    asked: String,
}

impl Verdict {
    /// Whether every promise was kept.
    pub(crate) fn holds(&self) -> bool {
        self.broken == 0
    }

    /// The sum over all providers.
    pub(crate) fn total(&self) -> Score {
        self.scores.iter().fold(Score::default(), |sum, (_, score)| Score {
            orders: sum.orders + score.orders,
            sales: sum.sales + score.sales,
            double: sum.double + score.double,
            lost: sum.lost + score.lost,
            orphan: sum.orphan + score.orphan,
            needs_operator: sum.needs_operator + score.needs_operator,
        })
    }

    fn problem(&mut self, problem: String) {
        self.broken += 1;
        if self.problems.len() < TOLD {
            self.problems.push(problem);
        }
    }
}

/// Compares.
pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    let operations: BTreeMap<&str, &Operation> = evidence
        .operations
        .iter()
        .map(|operation| (operation.name.trim_start_matches("operations/"), operation))
        .collect();
    for (index, subject) in evidence.subjects.iter().enumerate() {
        let orders = evidence.orders.iter().filter(|order| order.subject == index);
        let ledger = evidence.ledgers.get(index).map(Vec::as_slice).unwrap_or_default();
        let mut books = Books::open(subject.as_ref(), orders, ledger, &operations);
        books.audit(&mut verdict);
        verdict.scores.push((subject.name(), books.score));
    }
    for line in evidence.told {
        told(evidence, line, &operations, &mut verdict);
    }
    verdict
}

/// An order, how the ledger calls it, and what the journal says of it.
struct Bought<'a> {
    order: &'a Order,
    holder: String,
    asked: String,
    operation: Option<&'a Operation>,
}

/// One provider's orders, operations and sales.
struct Books<'a> {
    subject: &'a dyn Subject,
    orders: Vec<Bought<'a>>,
    sales: Vec<Sale<'a>>,
    score: Score,
}

impl<'a> Books<'a> {
    fn open(
        subject: &'a dyn Subject,
        orders: impl Iterator<Item = &'a Order>,
        ledger: &'a [Entry],
        operations: &BTreeMap<&str, &'a Operation>,
    ) -> Self {
        let with_operation = orders.map(|order| {
            let operation = operations.get(order.request_id.as_str()).copied();
            Bought {
                order,
                holder: subject.holder(order.account),
                asked: subject.asked(order),
                operation,
            }
        });
        let sale = |entry: &'a Entry| {
            let (holder, id) = (entry.account.as_str(), entry.operation_id.as_str());
            subject.sold(entry).map(|asked| Sale { holder, id, asked })
        };
        Self {
            subject,
            orders: with_operation.collect(),
            sales: ledger.iter().filter_map(sale).collect(),
            score: Score::default(),
        }
    }

    fn audit(&mut self, verdict: &mut Verdict) {
        self.score.orders = self.orders.len();
        self.score.sales = self.sales.len();
        self.count_doubles(verdict);
        let mut owned = BTreeSet::new();
        for bought in std::mem::take(&mut self.orders) {
            if let Some(lost) = self.lost(&bought, &mut owned) {
                let Order { number, request_id, .. } = bought.order;
                self.score.lost += 1;
                verdict.problem(format!("order {number} (operations/{request_id}) {lost}"));
            }
        }
        for sale in self.sales.iter().filter(|sale| !owned.contains(&sale.key())) {
            self.score.orphan += 1;
            let Sale { holder, id, asked } = sale;
            verdict.problem(format!("sale {id} of {holder} ({asked}) belongs to no operation"));
        }
    }

    /// By the ledger alone: more sales of a kind than orders of it.
    fn count_doubles(&mut self, verdict: &mut Verdict) {
        let mut balance: BTreeMap<(&str, &str), isize> = BTreeMap::new();
        for sale in &self.sales {
            *balance.entry((sale.holder, &sale.asked)).or_default() += 1;
        }
        for bought in &self.orders {
            *balance.entry((&bought.holder, &bought.asked)).or_default() -= 1;
        }
        for ((holder, asked), surplus) in balance.into_iter().filter(|(_, it)| *it > 0) {
            self.score.double += surplus.unsigned_abs();
            verdict.problem(format!("{holder}, {asked}: {surplus} sales more than orders"));
        }
    }

    /// How an order ended otherwise than it was told, if it did.
    fn lost(
        &mut self,
        bought: &Bought<'_>,
        owned: &mut BTreeSet<(&'a str, &'a str)>,
    ) -> Option<String> {
        let Some(operation) = bought.operation else {
            return Some("is not in the journal".to_owned());
        };
        let mine = self.sales.iter().filter(|sale| sale.holder == bought.holder);
        match operation.state() {
            State::Succeeded => {
                let ids = ids(operation);
                let mine: Vec<_> = mine.filter(|sale| ids.iter().any(|id| id == sale.id)).collect();
                let right = matches!(mine[..], [sale] if sale.asked == bought.asked);
                // One that another order has named already is not this one's.
                let new = mine.iter().all(|sale| owned.insert(sale.key()));
                (!right || !new).then(|| format!("succeeded, and names {ids:?}"))
            }
            State::NeedsOperator => {
                self.score.needs_operator += 1;
                if !self.subject.asks_a_person() {
                    return Some(format!("waits for a person: {}", operation.message));
                }
                // What it bought is known by what was asked, which is no other order's there.
                let mut mine = mine.filter(|sale| sale.asked == bought.asked);
                owned.extend(mine.next().map(Sale::key));
                None
            }
            State::Failed if self.subject.refuses() => None,
            state => Some(format!("ended as {} {:?}", state.as_str_name(), operation.message)),
        }
    }
}

impl<'a> Sale<'a> {
    /// Upstream ids are unique within an account.
    fn key(&self) -> (&'a str, &'a str) {
        (self.holder, self.id)
    }
}

/// What one client was told once has to be true at the end.
fn told(
    evidence: &Evidence<'_>,
    line: &Line,
    operations: &BTreeMap<&str, &Operation>,
    verdict: &mut Verdict,
) {
    let Some(order) = evidence.orders.get(line.order) else { return };
    let Answer::Operation { state, ids: named } = &line.answer else { return };
    if line.wrong {
        let id = &order.request_id;
        return verdict.problem(format!("{id} was accepted with another body"));
    }
    let now = operations.get(order.request_id.as_str());
    let Some(now) = now else {
        return verdict.problem(format!("order {} was accepted and is gone", order.number));
    };
    let was = State::from_str_name(state).unwrap_or_default();
    let ended = rests(was) && was != State::NeedsOperator;
    if ended && (now.state() != was || ids(now) != *named) {
        let is = now.state().as_str_name();
        verdict.problem(format!(
            "order {} was told {state} {named:?}, and is {is} {:?}",
            order.number,
            ids(now)
        ));
    }
}
