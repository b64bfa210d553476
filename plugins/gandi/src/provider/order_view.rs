//! Orders as they are shown: one item for each upstream operation. What a step means is said here and
//! nowhere else.

use std::collections::BTreeMap;

use purveyor_sdk::prost_types::{ListValue, Struct, Value, value::Kind as Field};
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::required_action::Kind as Action;
use purveyor_sdk::v1::{ErrorReason, Order, OrderItem, RequiredAction, UpstreamRef};
use purveyor_sdk::{Result, etag};

use super::Gandi;
use super::orders::Line;
use crate::checkpoint::{OrderProgress, status};
use crate::model::{Kind, Operation, Stage, term_of};

/// What was read of an order of ours: its operations, and the services that came of them.
#[derive(Debug, Default)]
pub(super) struct Read<'a> {
    pub(super) operations: BTreeMap<i64, &'a Operation>,
    /// Operations whose products do not show.
    pub(super) missing: Vec<i64>,
}

impl Gandi {
    /// An order that is made of these operations, as anybody sees it.
    pub(super) fn order(&self, operations: &[&Operation]) -> Result<Order> {
        let items = operations.iter().map(|operation| self.item(operation));
        self.whole(items.collect::<Result<_>>()?, operations)
    }

    /// An order of ours, with the items that the upstream does not know (yet).
    pub(super) fn own_order(
        &self,
        lines: &[Line],
        progress: &OrderProgress,
        read: &Read<'_>,
    ) -> Result<Order> {
        let mut items = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            let mut item = match progress.placed.get(index) {
                Some(id) => match read.operations.get(id) {
                    Some(operation) => self.item(operation)?,
                    None => placed(*id),
                },
                None => unplaced(index, progress),
            };
            let service = progress.placed.get(index).and_then(|id| progress.services.get(id));
            item.services =
                service.map(|id| self.name.service(*id)).transpose()?.into_iter().collect();
            let missing = progress.placed.get(index).is_some_and(|id| read.missing.contains(id));
            match item.state() {
                State::Completed if missing => item.set_state(State::Provisioning),
                _ if service.is_some() => {
                    item.set_state(State::Completed);
                    item.error = None;
                }
                _ => {}
            }
            item.product = self.name.product(line.product)?;
            item.quantity = line.quantity;
            item.term = Some(line.duration.term());
            items.push(item);
        }
        let operations = progress.placed.iter().filter_map(|id| read.operations.get(id).copied());
        self.whole(items, &operations.collect::<Vec<_>>())
    }

    /// One item, as its operation tells of it.
    fn item(&self, operation: &Operation) -> Result<OrderItem> {
        // A name that is none of ours stands in the attributes.
        let product = operation.product_name.as_deref().map(|name| self.name.product(name));
        let failed = operation.stage() == Stage::Error;
        Ok(OrderItem {
            id: operation.id.to_string(),
            product: product.and_then(Result::ok).unwrap_or_default(),
            quantity: quantity(operation.quantity),
            term: operation.duration.as_deref().map(term_of),
            state: item_state(operation.stage()).into(),
            upstream: Some(operation.upstream()),
            error: failed.then(|| status(ErrorReason::UpstreamFailed, failure(operation))),
            ..OrderItem::default()
        })
    }

    fn whole(&self, items: Vec<OrderItem>, operations: &[&Operation]) -> Result<Order> {
        let upstream = upstream(&items);
        let states: Vec<State> = items.iter().map(OrderItem::state).collect();
        let support = operations.iter().find(|operation| operation.stage() == Stage::Support);
        let created = operations.iter().filter_map(|operation| operation.created);
        Ok(etag::seal(Order {
            name: self.name.order(upstream.id())?,
            state: order_state(&states).into(),
            required_action: support.map(|operation| RequiredAction {
                kind: Action::ContactUpstream.into(),
                message: failure(operation).to_owned(),
                ..RequiredAction::default()
            }),
            create_time: created.min_by_key(|moment| (moment.seconds, moment.nanos)),
            attributes: attributes(operations),
            notices: operations.iter().flat_map(|it| it.gaps.notices()).collect(),
            upstream: Some(upstream),
            items,
            ..Order::default()
        }))
    }
}

/// A quantity as the contract holds it; 0: not told.
pub(super) fn quantity(told: Option<i64>) -> i32 {
    told.and_then(|quantity| i32::try_from(quantity).ok()).unwrap_or_default()
}

/// Why an operation does not go on, in the upstream's words where it has any.
pub(super) fn failure(operation: &Operation) -> &str {
    match operation.last_error.as_str() {
        "" => "the upstream gives no reason",
        text => text,
    }
}

fn item_state(stage: Stage) -> State {
    match stage {
        Stage::Open => State::Provisioning,
        Stage::Done => State::Completed,
        Stage::Error => State::Failed,
        Stage::Support => State::ActionRequired,
        Stage::Cancelled => State::Cancelled,
        Stage::Unknown => State::Unspecified,
    }
}

/// The state of an order whose items are in these.
fn order_state(items: &[State]) -> State {
    let any = |state: State| items.contains(&state);
    let all = |state: State| items.iter().all(|item| *item == state);
    if any(State::ActionRequired) {
        State::ActionRequired
    } else if any(State::Provisioning) || any(State::Pending) {
        State::Provisioning
    } else if any(State::Unspecified) {
        State::Unspecified
    } else if all(State::Completed) {
        State::Completed
    } else if all(State::Cancelled) {
        State::Cancelled
    } else if any(State::Completed) {
        State::Partial
    } else {
        State::Failed
    }
}

/// An item whose operation was made and not looked at since.
fn placed(id: i64) -> OrderItem {
    let (id, kind) = (id.to_string(), Kind::Add.word().to_owned());
    OrderItem {
        id: id.clone(),
        state: State::Provisioning.into(),
        upstream: Some(UpstreamRef { r#type: kind, ..UpstreamRef::of(id) }),
        ..OrderItem::default()
    }
}

/// An item that has no operation: not yet, or not any more.
fn unplaced(index: usize, progress: &OrderProgress) -> OrderItem {
    let Some(refused) = &progress.refused else {
        return OrderItem { state: State::Pending.into(), ..OrderItem::default() };
    };
    let error = if index == progress.placed.len() {
        refused.status()
    } else {
        let message = "not ordered, because an item before it was refused";
        status(ErrorReason::UpstreamRejected, message)
    };
    OrderItem { state: State::Failed.into(), error: Some(error), ..OrderItem::default() }
}

/// The operations of all items as one: identifiers in the items' order, each word once.
fn upstream(items: &[OrderItem]) -> UpstreamRef {
    let told = || items.iter().filter_map(|item| item.upstream.as_ref());
    let once = |word: fn(&UpstreamRef) -> &str, separator: &str| {
        let mut words: Vec<&str> = Vec::new();
        for word in told().map(word) {
            if !word.is_empty() && !words.contains(&word) {
                words.push(word);
            }
        }
        words.join(separator)
    };
    UpstreamRef {
        ids: told().flat_map(|upstream| upstream.ids.iter().cloned()).collect(),
        r#type: once(|upstream| &upstream.r#type, ","),
        state: once(|upstream| &upstream.state, ","),
        message: once(|upstream| &upstream.message, "; "),
    }
}

/// The operations' other members, in the items' order.
fn attributes(operations: &[&Operation]) -> Option<Struct> {
    let values = operations
        .iter()
        .map(|operation| Value { kind: Some(Field::StructValue(operation.attributes.clone())) });
    let values: Vec<Value> = values.collect();
    let list = Value { kind: Some(Field::ListValue(ListValue { values })) };
    (!operations.is_empty())
        .then(|| Struct { fields: BTreeMap::from([("operations".to_owned(), list)]) })
}

#[cfg(test)]
mod tests {
    use super::{State, order_state};

    #[test]
    fn states_of_orders() {
        use State::{
            ActionRequired, Cancelled, Completed, Failed, Partial, Pending, Provisioning,
            Unspecified,
        };
        fn check(items: &[State], expected: State) {
            assert_eq!(order_state(items), expected, "{items:?}");
        }
        check(&[Completed, Completed], Completed);
        check(&[Completed, Failed], Partial);
        check(&[Completed, Cancelled], Partial);
        check(&[Failed, Failed], Failed);
        check(&[Failed, Cancelled], Failed);
        check(&[Cancelled, Cancelled], Cancelled);
        check(&[Completed, Provisioning, Failed], Provisioning);
        check(&[Provisioning, Pending], Provisioning);
        check(&[ActionRequired, Provisioning], ActionRequired);
        check(&[Unspecified, Completed], Unspecified);
        check(&[Unspecified, Provisioning], Provisioning);
    }
}
