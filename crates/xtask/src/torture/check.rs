//! The verdict: compares the ledgers, the clients' own log and what the public API says at the end. It
//! reads nothing else, and must not know what went wrong when.

mod books;
#[cfg(test)]
mod tests;
mod told;
mod wrong_words;

use std::collections::{BTreeMap, BTreeSet};

use purveyor_sdk::v1::Operation;

use self::books::Books;
use super::journal::Line;
use super::operator::Words;
use super::person::Object;
use super::subject::{Entry, Order, Subject};

/// How many problems are told one by one.
const TOLD: usize = 20;

/// Of fewer orders all may be refused by chance.
const JUDGED: usize = 8;

/// What was found at one provider. What came of an operator's wrong word is counted apart. No order counts as
/// `lost` and as `told_wrong`, and no sale as anything but `double` and `orphan`, which count sales and not
/// orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Score {
    /// Intents: two orders of one intent count once.
    pub(crate) orders: usize,
    pub(crate) sales: usize,
    /// Sales beyond one for each intent, by the ledger alone.
    pub(crate) double: usize,
    /// Orders that are not in the journal or open still, wait for a person where nobody has to, or ended
    /// without success where nothing was sold and nothing was refused.
    pub(crate) lost: usize,
    /// Orders of which a caller was told what the ledger does not show: success without the one sale that
    /// is named, of the quantity and product asked for, and its items; an end without success although it
    /// was sold; what is not so any more at the end; that an accepted request is not there or is
    /// another's; an ending that did not happen.
    pub(crate) told_wrong: usize,
    /// Sales that no operation owns.
    pub(crate) orphan: usize,
    /// Operations that needed an operator, whatever became of them.
    pub(crate) needs_operator: usize,
    /// All operations that orders became.
    pub(crate) operations: usize,
    /// Sales under an id that an earlier sale of the account had.
    pub(crate) came_back: usize,
    /// Orders that sold nothing and are about what a person has done something to.
    pub(crate) overtaken: usize,
    /// Orders about which an operator said wrongly that they were not executed.
    pub(crate) wrong_words: usize,
    /// Sales beyond one that came of such a word, and are told or cannot be known.
    pub(crate) of_wrong_words: usize,
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
    /// What a person has done something to.
    pub(crate) touched: &'a BTreeSet<Object>,
    /// What does not show any more what it was bought as.
    pub(crate) disguised: &'a BTreeSet<Object>,
    /// Whether every other account is shared with others.
    pub(crate) shared: bool,
    /// What operators were asked and said.
    pub(crate) words: &'a Words,
    /// Whether they speak also where the upstream shows nothing of what it sold.
    pub(crate) speak_everywhere: bool,
    /// The reasons for which an order may fail before anything is sent: what upstreams show wrongly in the
    /// run.
    pub(crate) kept_from: &'a [&'static str],
    /// The time that a restored store lacks, in milliseconds since 1970.
    pub(crate) lost: Option<(i64, i64)>,
    /// How long each effect does not show; 0: it shows at once.
    pub(crate) effect_lag_ms: u64,
}

/// What is wrong with one order.
enum Wrong {
    Lost(String),
    Told(String),
}

impl Score {
    /// How many of the operations needed an operator, of one.
    pub(crate) fn needs_operator_rate(&self) -> f64 {
        let of = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        of(self.needs_operator) / of(self.operations.max(1))
    }
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
            told_wrong: sum.told_wrong + score.told_wrong,
            orphan: sum.orphan + score.orphan,
            needs_operator: sum.needs_operator + score.needs_operator,
            operations: sum.operations + score.operations,
            came_back: sum.came_back + score.came_back,
            overtaken: sum.overtaken + score.overtaken,
            wrong_words: sum.wrong_words + score.wrong_words,
            of_wrong_words: sum.of_wrong_words + score.of_wrong_words,
        })
    }

    /// Breaks the promise that every caller learns how its order ended: so many have not.
    pub(crate) fn require_answers(&mut self, without: usize) {
        if without > 0 {
            self.problem(format!("{without} callers were not told how their order ended"));
        }
    }

    /// Breaks the promise that orders are executed where a provider has sold less than half of them, or
    /// nothing where a person is asked: a gateway that refuses everything breaks no other promise there. What
    /// a person at the upstream has overtaken need not be sold.
    pub(crate) fn require_sales(&mut self, subjects: &[Box<dyn Subject>]) {
        for (subject, (name, score)) in subjects.iter().zip(self.scores.clone()) {
            let Score { orders, sales, overtaken, .. } = score;
            let due = orders.saturating_sub(overtaken);
            let enough = sales > 0 && (subject.asks_a_person() || 2 * sales >= due);
            if orders >= JUDGED && !enough {
                self.problem(format!("{name} sold only {sales} of {orders} orders"));
            }
        }
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
    let mut told: BTreeMap<usize, Vec<&Line>> = BTreeMap::new();
    for line in evidence.told {
        told.entry(line.order).or_default().push(line);
    }
    for (index, subject) in evidence.subjects.iter().enumerate() {
        let orders = evidence.orders.iter().filter(|order| order.subject == index);
        let ledger = evidence.ledgers.get(index).map(Vec::as_slice).unwrap_or_default();
        let of = (index, subject.as_ref());
        let mut books = Books::open(of, orders, ledger, (&operations, &told), evidence);
        books.audit(&mut verdict);
        verdict.scores.push((subject.name(), books.score));
    }
    verdict
}
