//! What may come of an operator's wrong word: one sale more, which the operation then tells, or which its
//! upstream does not show. Everything else is a broken promise as it is without such a word.

use std::collections::{BTreeMap, BTreeSet};

use purveyor_sdk::v1::Operation;
use purveyor_sdk::v1::operation::note::Decision;

use super::super::person::is_shared;
use super::super::subject::Subject;
use super::books::{Bought, Sale};
use super::{Evidence, Wrong};

/// Sales of one kind that came of wrong words, and may be.
#[derive(Debug, Default)]
struct Kind {
    orders: usize,
    /// So many sales more than orders own.
    sales: usize,
    /// So many of them are not those of orders alike that have failed.
    of_others: usize,
}

/// The orders of one provider whose operator was wrong.
#[derive(Debug, Default)]
pub(super) struct Excused {
    /// How many there are, excused or not.
    pub(super) wrong_words: usize,
    /// The numbers of those that may be sold once more.
    orders: BTreeSet<usize>,
    /// By account and by what was asked for.
    kinds: BTreeMap<(String, String), Kind>,
}

impl Excused {
    /// `unknown`: the account and the id of what a person has changed, so that it may not be recognized.
    pub(super) fn of(
        subject: &dyn Subject,
        orders: &[Bought<'_>],
        sales: &[Sale<'_>],
        unknown: &BTreeSet<(&str, &str)>,
        evidence: &Evidence<'_>,
    ) -> Self {
        let mut excused = Self::default();
        for bought in orders {
            let Some(operation) = bought.operation.filter(|it| is_denied(it)) else { continue };
            let of_kind = |sale: &&Sale<'_>| {
                sale.holder == bought.holder && sale.asked == bought.asked && !sale.person
            };
            let mut alike = sales.iter().filter(of_kind);
            let shared = evidence.shared && is_shared(bought.order.account);
            // What stands for a request that a restored store may lack was made by no plugin.
            let may_be_lost = operation.attempts.iter().any(|it| it.plugin_version.is_empty());
            let shows = subject.shows_duplicates(shared, may_be_lost)
                && !alike.any(|sale| unknown.contains(&(sale.holder, sale.id)));
            let said = |words: &BTreeSet<String>| words.contains(&bought.order.request_id);
            // Where it shows, the gateway looks again whatever the operator does.
            let is_hasty = said(&evidence.words.hasty) && !shows;
            if !is_hasty && !said(&evidence.words.wrong) {
                continue;
            }
            excused.wrong_words += 1;
            if tells_duplicate(operation) || !shows {
                excused.orders.insert(bought.order.number);
                let kind = excused.kinds.entry((bought.holder.clone(), bought.asked.clone()));
                let kind = kind.or_default();
                kind.orders += 1;
                kind.of_others += 1;
            }
        }
        excused
    }

    /// How many sales beyond one for each order of that kind may be.
    pub(super) fn of_kind(&self, holder: &str, asked: &str) -> usize {
        self.kinds.get(&(holder.to_owned(), asked.to_owned())).map_or(0, |kind| kind.orders)
    }

    /// Whether what is wrong with an order came of such a word. `owns`: one of its sales is known.
    pub(super) fn passes(
        &mut self,
        bought: &Bought<'_>,
        wrong: Option<&Wrong>,
        owns: bool,
    ) -> bool {
        if !self.orders.contains(&bought.order.number) {
            return false;
        }
        let key = (bought.holder.clone(), bought.asked.clone());
        self.kinds.entry(key).or_default().sales += 2 - usize::from(owns);
        matches!(wrong, Some(Wrong::Told(_)))
    }

    /// Whether a sale that nobody owns came of such a word; each counts once.
    pub(super) fn takes(&mut self, sale: &Sale<'_>) -> bool {
        let key = (sale.holder.to_owned(), sale.asked.clone());
        let left = self.kinds.get_mut(&key).map(|kind| &mut kind.sales);
        left.is_some_and(take_one)
    }

    /// Whether a sale alike is not that of an order that failed, but came of such a word about another one.
    pub(super) fn is_of_another(&mut self, bought: &Bought<'_>) -> bool {
        if self.orders.contains(&bought.order.number) {
            return false;
        }
        let key = (bought.holder.clone(), bought.asked.clone());
        let left = self.kinds.get_mut(&key).map(|kind| &mut kind.of_others);
        left.is_some_and(take_one)
    }
}

fn take_one(left: &mut usize) -> bool {
    let some = *left > 0;
    *left = left.saturating_sub(1);
    some
}

/// Whether an operator's word that it was not executed was taken.
fn is_denied(operation: &Operation) -> bool {
    let denies = |decision| matches!(decision, Decision::NotExecuted | Decision::TryAgain);
    operation.notes.iter().any(|note| denies(note.decision()))
}

fn tells_duplicate(operation: &Operation) -> bool {
    operation.problem.as_ref().is_some_and(|problem| problem.reason == "DUPLICATE_DETECTED")
}
