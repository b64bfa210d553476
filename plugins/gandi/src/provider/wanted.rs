//! What a write asks of the upstream, and what shows it: in an operation, in a product, and how often it
//! has happened. Answers, polls and searches judge by this alone.

use purveyor_sdk::{Error, Result, Write, WriteRequest};

use super::Gandi;
use super::changes::{change, terminated};
use super::orders::Line;
use crate::checkpoint::{Before, Snapshot};
use crate::model::{Duration, Kind, Operation, Owned, PRODUCTS, term_of};

/// The mean length of a month, in seconds.
const MONTH_SECONDS: i64 = 2_629_746;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) kind: Kind,
    /// The product that is changed; none where one is made.
    pub(super) product: Option<i64>,
    /// Its name; empty where it is not known.
    pub(super) name: String,
    /// How many it shall be, where the call names it.
    pub(super) quantity: Option<i64>,
    /// The term, where the call names one.
    pub(super) duration: Option<Duration>,
    /// The end that a renewal moves, in seconds since 1970.
    pub(super) end: Option<i64>,
}

/// Quantity and end of a product: all that a write can change.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    quantity: Option<i64>,
    end: Option<i64>,
}

impl From<&Owned> for State {
    fn from(owned: &Owned) -> Self {
        Self { quantity: owned.quantity, end: owned.end.map(|end| end.seconds) }
    }
}

impl From<&Snapshot> for State {
    fn from(snapshot: &Snapshot) -> Self {
        Self { quantity: snapshot.quantity, end: snapshot.end }
    }
}

impl Gandi {
    /// What the step that is about to begin, or was lost, asks for; of a write that has one step alone,
    /// at any time.
    pub(super) fn wanted(&self, write: &Write, handle: &[u8], before: &Before) -> Result<Wanted> {
        let named = |kind, id: i64| Wanted {
            kind,
            product: Some(id),
            name: before.product(id).map(|product| product.name.clone()).unwrap_or_default(),
            quantity: None,
            duration: None,
            end: None,
        };
        match &write.request {
            WriteRequest::CreateOrder(request) => {
                let lines = self.lines(request)?;
                let progress = self.order_progress(handle, before)?;
                let line = lines.get(progress.placed.len());
                line.map(Wanted::item).ok_or_else(|| Error::fault("the order has no such item"))
            }
            WriteRequest::UpdateService(request) => {
                let change = change(request, write.upstream_id())?;
                let quantity = Some(change.quantity.into());
                Ok(Wanted { quantity, ..named(Kind::Update, change.service) })
            }
            WriteRequest::TerminateService(request) => {
                Ok(named(Kind::Delete, terminated(request, write.upstream_id())?))
            }
            WriteRequest::CreateRenewal(request) => {
                let extension = self.extension(request)?;
                Ok(Wanted {
                    duration: Some(extension.duration),
                    end: extension.expected_end.map(|end| end.seconds),
                    ..named(Kind::Renew, extension.service)
                })
            }
            _ => Err(Error::unsupported("evidence of this write")),
        }
    }
}

impl Wanted {
    /// One item of an order.
    pub(super) fn item(line: &Line) -> Self {
        Self {
            kind: Kind::Add,
            product: None,
            name: line.product.to_owned(),
            quantity: Some(line.quantity.into()),
            duration: Some(line.duration),
            end: None,
        }
    }

    /// How often it has happened to its product, which is in this state, or gone: a term of a renewal is
    /// once.
    pub(super) fn effects(&self, product: Option<State>) -> i32 {
        match (self.kind, product) {
            (Kind::Renew, Some(State { end: Some(end), .. })) => {
                let term = self.duration.map_or(1, Duration::months) * MONTH_SECONDS;
                match self.end.map(|before| end - before) {
                    None => 1,
                    Some(..=0) => 0,
                    Some(later) => {
                        i32::try_from(((later + term / 2) / term).max(1)).unwrap_or(i32::MAX)
                    }
                }
            }
            (Kind::Update, Some(State { quantity, .. })) => (quantity == self.quantity).into(),
            (Kind::Delete, None) => 1,
            _ => 0,
        }
    }

    /// Whether a product could be what the item ordered.
    pub(super) fn is_like(&self, owned: &Owned) -> bool {
        let period = owned.duration.as_deref().map(|word| term_of(word).period);
        owned.name == self.name
            && owned.quantity == self.quantity
            && period.is_none_or(|period| Some(period) == self.period())
    }

    /// Whether an operation cannot be it. What the operation does not tell contradicts nothing, and
    /// neither does a name that is not the documents' own, or what the upstream counts in a change.
    pub(super) fn is_contradicted_by(&self, operation: &Operation) -> bool {
        fn differ<T: PartialEq>(told: Option<T>, wanted: Option<T>) -> bool {
            told.zip(wanted).is_some_and(|(told, wanted)| told != wanted)
        }
        let both_for_sale = names_product(operation) && is_for_sale(&self.name);
        let counted = self.quantity.filter(|_| self.kind == Kind::Add);
        differ(operation.product_id, self.product)
            || (both_for_sale && operation.product_name.as_ref() != Some(&self.name))
            || differ(operation.quantity, counted)
            || differ(period(operation), self.period())
    }

    /// Whether an operation names it: the product, or else all that the call said, where the account had
    /// no other product of that name.
    pub(super) fn is_named_by(&self, operation: &Operation, before: &Before) -> bool {
        if let (Some(_), told @ Some(_)) = (self.product, operation.told_product()) {
            return told == self.product;
        }
        let of_name = before.products.iter().filter(|product| product.name == self.name).count();
        operation.product_name.as_ref() == Some(&self.name)
            && (self.product.is_none() || of_name == 1)
            && (self.quantity.is_none() || operation.quantity == self.quantity)
            && (self.duration.is_none() || period(operation) == self.period())
    }

    fn period(&self) -> Option<String> {
        self.duration.map(|duration| duration.term().period)
    }
}

/// Whether an operation tells a product that can be bought.
pub(super) fn names_product(operation: &Operation) -> bool {
    operation.product_name.as_deref().is_some_and(is_for_sale)
}

pub(super) fn is_for_sale(name: &str) -> bool {
    PRODUCTS.contains(&name)
}

fn period(operation: &Operation) -> Option<String> {
    operation.duration.as_deref().map(|word| term_of(word).period)
}

#[cfg(test)]
pub(super) mod tests;
