//! What came of the operations of an order. An operation's own word tells its product where it has one.
//! Else the finished operations that are alike take the products that are new and like the item, lowest to
//! lowest, once there are as many of these as of those. What another order was given is passed over. Where
//! the counts stay different, the order takes the lowest that nobody was given: they are alike.

use std::collections::{BTreeMap, BTreeSet};

use super::orders::Line;
use super::wanted::Wanted;
use crate::checkpoint::{Before, OrderProgress};
use crate::model::{Operation, Owned, Stage};

/// What was read of an order and of the account.
pub(super) struct Reading<'a> {
    /// The order's own operations.
    pub(super) operations: &'a BTreeMap<i64, &'a Operation>,
    /// The purchases of the account that are done; read before the products.
    pub(super) finished: &'a [Operation],
    pub(super) products: &'a [Owned],
    /// What other orders have been given since this one was accepted.
    pub(super) claimed: &'a [String],
    /// Whether it may soon be told which product came of which operation.
    pub(super) patient: bool,
}

/// What does not show of an order that its operations have finished.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Delivery {
    /// Operations whose products do not show.
    pub(super) missing: Vec<i64>,
    /// More products show than the operations that are known can have made.
    pub(super) untold: bool,
}

/// Operations that a line's products can have come from.
struct Makers<'a> {
    /// The order's own.
    own: Vec<&'a Operation>,
    /// Others that have made such a product since.
    others: Vec<&'a Operation>,
    /// Others that may have: they do not tell what they made, or may have made it before.
    unsure: Vec<&'a Operation>,
}

/// Puts the products that are told into `progress`.
pub(super) fn deliver(
    lines: &[Line],
    progress: &mut OrderProgress,
    reading: &Reading<'_>,
) -> Delivery {
    let new: Vec<&Owned> =
        reading.products.iter().filter(|it| !progress.known.contains(&it.id)).collect();
    let is_new = |id: i64| new.iter().any(|owned| owned.id == id);
    let mut taken: BTreeSet<i64> = progress.services.values().copied().collect();
    let is_claimed = |owned: &Owned| reading.claimed.contains(&owned.id.to_string());
    for (id, operation) in reading.operations {
        let told = operation.told_product().filter(|told| is_new(*told));
        if let Some(told) = told.filter(|_| !progress.services.contains_key(id))
            && taken.insert(told)
        {
            progress.services.insert(*id, told);
        }
    }
    let others = others(progress, reading, &new, &mut taken);
    let mut delivery = Delivery::default();
    let mut alike: BTreeMap<&Line, Vec<&Operation>> = BTreeMap::new();
    for (line, id) in lines.iter().zip(&progress.placed) {
        let Some(operation) = reading.operations.get(id) else { continue };
        let finished = matches!(operation.stage(), Stage::Done | Stage::Unknown);
        if finished && !progress.services.contains_key(id) {
            match operation.product_id {
                Some(_) => delivery.missing.push(*id),
                None => alike.entry(line).or_default().push(operation),
            }
        }
    }
    for (line, own) in alike {
        let wanted = Wanted::item(line);
        let first = progress.placed.first().copied().unwrap_or_default();
        let sure = |it: &&Operation| {
            wanted.is_named_by(it, &Before::default())
                && (it.id > first || progress.open.contains(&it.id))
        };
        let rivals = others.iter().copied().filter(|it| !wanted.is_contradicted_by(it));
        let like = |owned: &&&Owned| wanted.is_like(owned) && !taken.contains(&owned.id);
        let (claimed, made): (Vec<&Owned>, Vec<&Owned>) =
            new.iter().filter(like).copied().partition(|owned| is_claimed(owned));
        // Each product that another order has been given is one of those operations' already.
        let (others, unsure): (Vec<&Operation>, Vec<&Operation>) = rivals.partition(sure);
        let given = claimed.len().min(others.len());
        let others = others.into_iter().skip(given).collect();
        let unsure = unsure.into_iter().skip(claimed.len() - given).collect();
        let makers = Makers { own, others, unsure };
        let fitting = since(&made, &makers.own);
        let linked = match makers.takes(&made, reading.products) {
            Some(linked) => linked,
            None if fitting.len() < makers.own.len() => {
                delivery.missing.extend(makers.own.iter().map(|it| it.id));
                continue;
            }
            None => {
                delivery.untold = true;
                if reading.patient {
                    continue;
                }
                // They are alike, and nobody else was given these.
                pairs(&makers.own, fitting)
            }
        };
        taken.extend(linked.values());
        let own = |id: &i64| makers.own.iter().any(|operation| operation.id == *id);
        progress.services.extend(linked.into_iter().filter(|(id, _)| own(id)));
    }
    delivery
}

/// Finished purchases of others that may have made what is new. What they tell that they made is taken.
fn others<'a>(
    progress: &OrderProgress,
    reading: &Reading<'a>,
    new: &[&Owned],
    taken: &mut BTreeSet<i64>,
) -> Vec<&'a Operation> {
    let is_new = |id: i64| new.iter().any(|owned| owned.id == id);
    let own: Vec<&Operation> = reading.operations.values().copied().collect();
    let first = begin(&own);
    // What was done before the order, and no earlier than its date tells, may show only now.
    let lags = |it: &Operation| first.is_some() && it.updated.map(|time| time.seconds) >= first;
    let mut others = Vec::new();
    for it in reading.finished.iter().filter(|it| progress.may_have_made(it.id) || lags(it)) {
        match it.told_product().filter(|told| it.product_id.is_some() || is_new(*told)) {
            Some(told) => _ = taken.insert(told),
            None if progress.placed.contains(&it.id) => {}
            None => others.push(it),
        }
    }
    others
}

impl Makers<'_> {
    /// Which product came of which operation, where that is told. Nothing is dated before the operation
    /// that made it.
    fn takes(&self, made: &[&Owned], all: &[Owned]) -> Option<BTreeMap<i64, i64>> {
        let sure: Vec<&Operation> = self.own.iter().chain(&self.others).copied().collect();
        let every: Vec<&Operation> = sure.iter().chain(&self.unsure).copied().collect();
        let (mine, most) = (since(made, &sure), since(made, &every));
        // Each that is not sure has made another product, or one that stood there before.
        let begin = begin(&every);
        let elsewhere = all.iter().filter(|owned| !mine.contains(&owned.id) && dated(owned, begin));
        let accounted =
            self.unsure.is_empty() || begin.is_some() && elsewhere.count() >= self.unsure.len();
        if mine.len() == sure.len() && self.unsure.is_empty() {
            Some(pairs(&sure, mine))
        } else if (mine.len() == sure.len() && accounted) || most.len() == every.len() {
            // Those that are not sure may take others than their rank says.
            Some(pairs(&self.own, since(made, &self.own)))
        } else {
            None
        }
    }
}

/// The lowest operation with the lowest product, and so on.
fn pairs(operations: &[&Operation], products: Vec<i64>) -> BTreeMap<i64, i64> {
    let operations: BTreeSet<i64> = operations.iter().map(|operation| operation.id).collect();
    operations.into_iter().zip(products).collect()
}

/// The products that any of the operations can have made, in order.
fn since(products: &[&Owned], operations: &[&Operation]) -> Vec<i64> {
    let begin = begin(operations);
    let mut ids: Vec<i64> =
        products.iter().filter(|owned| dated(owned, begin)).map(|owned| owned.id).collect();
    ids.sort_unstable();
    ids
}

/// When the first of the operations was made.
fn begin(operations: &[&Operation]) -> Option<i64> {
    operations.iter().filter_map(|operation| operation.created).map(|time| time.seconds).min()
}

fn dated(owned: &Owned, begin: Option<i64>) -> bool {
    owned.created.zip(begin).is_none_or(|(created, begin)| created.seconds >= begin)
}

#[cfg(test)]
mod tests;
