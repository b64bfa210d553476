//! Orders that were made here.

use prost::Message;
use purveyor_sdk::Result;
use purveyor_sdk::names::{OrderName, ProviderName};
use purveyor_sdk::plugin::v1::{Op, resource};
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::{CreateOrderRequest, ErrorReason, Order, OrderItem};

use super::{Common, Made, Progress, undecodable};
use crate::store::operation::Operation;

impl Made for Order {
    const MADE_BY: Op = Op::CreateOrder;
    const GET: Op = Op::GetOrder;
    const NOT_FOUND: ErrorReason = ErrorReason::OrderNotFound;

    fn name_of(provider: &ProviderName, id: &str) -> Result<String> {
        let name = OrderName::new(provider.clone(), id);
        name.map(|name| name.to_string()).map_err(|error| error.field("name"))
    }

    fn stored(operation: &Operation) -> Result<Order> {
        let request = CreateOrderRequest::decode(operation.request.as_slice());
        let asked = request.map_err(undecodable)?.order.unwrap_or_default();
        let seen = operation.view.as_ref().and_then(|view| view.kind.as_ref());
        Ok(match seen {
            Some(resource::Kind::Order(seen)) => with_asked(seen.clone(), asked).0,
            _ => asked,
        })
    }

    fn follow(&mut self, progress: Progress) {
        let seen = self.state();
        let state = match progress {
            Progress::Unknown => State::OutcomeUnknown,
            Progress::Cancelled => State::Cancelled,
            Progress::Failed if ended(seen) && seen != State::Completed => seen,
            Progress::Failed => State::Failed,
            Progress::Succeeded if seen == State::Unspecified => State::Completed,
            Progress::Pending | Progress::Waiting if seen == State::Unspecified => State::Pending,
            Progress::Pending if seen == State::Completed => State::Provisioning,
            Progress::Pending | Progress::Waiting | Progress::Succeeded => seen,
        };
        self.set_state(state);
        for item in &mut self.items {
            if item.state() == State::Unspecified {
                item.set_state(state);
            }
        }
    }

    fn filled(live: Order, stored: Order, progress: Progress) -> Order {
        let (mut order, missing) = with_asked(live, stored);
        let goes_on = match progress {
            Progress::Pending => true,
            Progress::Waiting => missing,
            _ => false,
        };
        let failed = |item: &OrderItem| matches!(item.state(), State::Failed | State::Cancelled);
        let state = match (progress, order.state()) {
            (Progress::Unknown, _) => State::OutcomeUnknown,
            (_, State::Completed) if goes_on => State::Provisioning,
            (Progress::Succeeded, State::Completed) if order.items.iter().any(failed) => {
                State::Partial
            }
            (_, told) => told,
        };
        order.set_state(state);
        order
    }

    fn upstream_ids(&self) -> &[String] {
        self.upstream.as_ref().map_or(&[], |upstream| &upstream.ids)
    }

    fn common(&mut self) -> Common<'_> {
        Common {
            name: &mut self.name,
            aliases: &mut self.aliases,
            operation: &mut self.operation,
            create_time: &mut self.create_time,
        }
    }
}

/// What was told, with what was asked where nothing was told; and whether an item that was asked for
/// was not told of.
fn with_asked(told: Order, asked: Order) -> (Order, bool) {
    // What is done no longer needs what was needed when the record was made.
    let needed = asked.required_action.filter(|_| waits(told.state()));
    let (items, missing) = with_asked_items(told.items, asked.items);
    let order = Order {
        items,
        reference: first(asked.reference, told.reference),
        customer: first(told.customer, asked.customer),
        partner: first(told.partner, asked.partner),
        annotations: asked.annotations,
        required_action: told.required_action.or(needed),
        ..told
    };
    (order, missing)
}

fn with_asked_items(mut told: Vec<OrderItem>, asked: Vec<OrderItem>) -> (Vec<OrderItem>, bool) {
    let mut missing = false;
    let mut items = Vec::with_capacity(asked.len().max(told.len()));
    for asked in asked {
        match told.iter().position(|told| same_item(told, &asked)) {
            Some(at) => items.push(with_asked_item(told.remove(at), asked)),
            None => {
                missing |= !matches!(asked.state(), State::Failed | State::Cancelled);
                items.push(asked);
            }
        }
    }
    items.append(&mut told);
    (items, missing)
}

/// By identifier where the upstream has given one, else by product, in order.
fn same_item(told: &OrderItem, asked: &OrderItem) -> bool {
    if asked.id.is_empty() {
        told.product.is_empty() || told.product == asked.product
    } else {
        told.id == asked.id
    }
}

fn with_asked_item(told: OrderItem, asked: OrderItem) -> OrderItem {
    OrderItem {
        product: first(told.product, asked.product),
        quantity: if told.quantity == 0 { asked.quantity } else { told.quantity },
        term: told.term.or(asked.term),
        plan_term: told.plan_term.or(asked.plan_term),
        display_name: first(told.display_name, asked.display_name),
        options: told.options.or(asked.options),
        pricing: told.pricing.or(asked.pricing),
        start_date: told.start_date.or(asked.start_date),
        next_due_date: told.next_due_date.or(asked.next_due_date),
        services: if told.services.is_empty() { asked.services } else { told.services },
        ..told
    }
}

fn first(one: String, other: String) -> String {
    if one.is_empty() { other } else { one }
}

/// Whether somebody may have to act, as far as the state says.
fn waits(state: State) -> bool {
    matches!(state, State::Unspecified | State::ActionRequired | State::AwaitingPayment)
}

fn ended(state: State) -> bool {
    matches!(
        state,
        State::Completed | State::Partial | State::Failed | State::Cancelled | State::Expired
    )
}
