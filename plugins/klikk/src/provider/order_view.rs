//! Orders as they are shown. What a status means together with the servers that are there is said here
//! and nowhere else.

use purveyor_sdk::money::ToldPrice;
use purveyor_sdk::prost_types::value::Kind as Field;
use purveyor_sdk::prost_types::{Struct, Value};
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::required_action::Kind as Action;
use purveyor_sdk::v1::{
    CancelPolicy, CreateOrderRequest, ErrorReason, Notice, Order, OrderItem, RequiredAction,
    Status, UpstreamRef,
};
use purveyor_sdk::{Result, etag};

use super::Klikk;
use super::declare::{INVOICE_EXISTS, notice};
use crate::client::{Created, NewItem};
use crate::model::{Due, Item, Life, Server};
use crate::{model, token};

impl Klikk {
    /// An order as anybody sees it.
    pub(super) fn order(&self, told: &model::Order, servers: &[Server]) -> Result<Order> {
        let items = told.items().iter().map(|item| self.item(item, servers));
        let items = items.collect::<Result<Vec<_>>>()?;
        let said = self.statuses.state(told.status.as_deref());
        let states: Vec<State> = items.iter().map(OrderItem::state).collect();
        let order = Order {
            name: self.name.order(told.id)?,
            state: order_state(said, &states).into(),
            upstream: Some(reference(told.id, told.status.as_deref(), &told.message)),
            items,
            create_time: told.created,
            attributes: Some(told.attributes.clone()),
            notices: told.gaps.notices(),
            ..Order::default()
        };
        let order = asking(order, &told.due, &told.message);
        Ok(if told.items.is_some() { etag::seal(order) } else { order })
    }

    /// An order that was made just now, of which the upstream has told no items yet.
    pub(super) fn created(
        &self,
        request: &CreateOrderRequest,
        lines: &[NewItem],
        created: &Created,
    ) -> Result<Order> {
        let asked = request.order.as_ref().map(|order| order.items.as_slice()).unwrap_or_default();
        let state = match &created.due {
            Some(_) => State::AwaitingPayment,
            None => self.statuses.state(created.status.as_deref()),
        };
        let item = |(asked, line): (&OrderItem, &NewItem)| -> Result<OrderItem> {
            Ok(OrderItem {
                product: self.name.product(&line.product)?,
                quantity: 1,
                term: asked.term.clone(),
                display_name: asked.display_name.clone(),
                options: asked.options.clone(),
                state: state.into(),
                ..OrderItem::default()
            })
        };
        let order = Order {
            name: self.name.order(created.order)?,
            state: state.into(),
            upstream: Some(reference(created.order, created.status.as_deref(), &created.message)),
            items: asked.iter().zip(lines).map(item).collect::<Result<_>>()?,
            ..Order::default()
        };
        let nothing = Due::default();
        let due = created.due.as_ref().unwrap_or(&nothing);
        Ok(etag::seal(asking(order, due, &created.message)))
    }

    fn item(&self, told: &Item, servers: &[Server]) -> Result<OrderItem> {
        let server = servers.iter().find(|server| server.item == told.id);
        let there = server.is_some_and(|server| server.life == Life::Running);
        let state = item_state(self.statuses.state(told.status.as_deref()), there);
        let ends = told.auto_renew == Some(false) || state == State::Cancelled;
        let (display_name, mark) = token::split(&told.reference);
        let mut attributes = told.attributes.clone();
        if mark.is_some() {
            // The name as the upstream has it, for whoever looks for it there.
            let whole = Value { kind: Some(Field::StringValue(told.reference.clone())) };
            attributes.fields.insert("reference".to_owned(), whole);
        }
        let sold = self.catalogue.get(&told.product);
        Ok(OrderItem {
            id: told.id.to_string(),
            // A name that is none stands in the notices of the order.
            product: self.name.product(&told.product).unwrap_or_default(),
            quantity: 1,
            term: sold.and_then(|sold| sold.term()),
            display_name: display_name.to_owned(),
            state: state.into(),
            upstream: Some(reference(told.id, told.status.as_deref(), &told.message)),
            services: server
                .map(|it| self.name.service(it.item))
                .transpose()?
                .into_iter()
                .collect(),
            cancellation: if ends { CancelPolicy::AtTermEnd } else { CancelPolicy::Unspecified }
                .into(),
            error: (state == State::Failed).then(|| failure(&told.message)),
            attributes: Some(attributes)
                .filter(|attributes: &Struct| !attributes.fields.is_empty()),
            ..OrderItem::default()
        })
    }
}

/// The items in the order of the marks that they were sent with, so that each stands where the request
/// has it. Without marks they stay where they are.
pub(super) fn in_order(items: &mut [Item], marks: &[String]) {
    items.sort_by_key(|item| {
        let mut own = token::all(&item.reference);
        own.find_map(|mark| marks.iter().position(|known| known == mark)).unwrap_or(usize::MAX)
    });
}

/// What the upstream says, with what has to be done where it waits for money.
fn asking(mut order: Order, due: &Due, message: &str) -> Order {
    if order.state() != State::AwaitingPayment {
        return order;
    }
    order.required_action = Some(RequiredAction {
        kind: Action::Pay.into(),
        message: message.to_owned(),
        amount_due: due.amount.as_ref().map(|told| told.price(Tax::Unspecified)),
        due_time: due.until,
        invoice: due.invoice.clone().unwrap_or_default(),
    });
    order.expire_time = due.until;
    let invoice_exists: Notice = notice(INVOICE_EXISTS);
    order.notices.push(invoice_exists);
    order.notices.extend(due.amount.as_ref().and_then(ToldPrice::notice));
    order
}

/// 200 says that an item is being processed, and stays when it is done: its server tells that.
fn item_state(said: State, server_is_there: bool) -> State {
    if said == State::Provisioning && server_is_there { State::Completed } else { said }
}

/// The state of an order that says `said` and whose items are in these.
fn order_state(said: State, items: &[State]) -> State {
    let any = |state: State| items.contains(&state);
    let all = |state: State| items.iter().all(|item| *item == state);
    let follows = matches!(said, State::Provisioning | State::Completed);
    if !follows || items.is_empty() {
        said
    } else if any(State::AwaitingPayment) {
        State::AwaitingPayment
    } else if any(State::Provisioning) {
        State::Provisioning
    } else if any(State::Unspecified) {
        State::Unspecified
    } else if let Some(one) = items.first().filter(|one| all(**one)) {
        *one
    } else if any(State::Completed) {
        State::Partial
    } else {
        State::Failed
    }
}

fn reference(id: u64, status: Option<&str>, message: &str) -> UpstreamRef {
    UpstreamRef {
        ids: vec![id.to_string()],
        state: status.unwrap_or_default().to_owned(),
        message: message.to_owned(),
        ..UpstreamRef::default()
    }
}

/// Why an item failed, in the upstream's words.
fn failure(message: &str) -> Status {
    let word = ErrorReason::UpstreamFailed.as_str_name().trim_start_matches("ERROR_REASON_");
    // FAILED_PRECONDITION, as every failure of the upstream.
    Status { code: 9, message: message.to_owned(), reason: word.to_owned(), ..Status::default() }
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::time::Zone;

    use super::{State, in_order, item_state, order_state};
    use crate::model::{Members, Order};

    #[test]
    fn states_of_orders() {
        use State::{
            AwaitingPayment, Cancelled, Completed, Expired, Failed, Partial, Provisioning,
            Unspecified,
        };
        fn check(said: State, items: &[State], expected: State) {
            assert_eq!(order_state(said, items), expected, "{said:?} {items:?}");
        }
        check(Provisioning, &[Provisioning, Completed], Provisioning);
        check(Provisioning, &[Completed, Completed], Completed);
        check(Completed, &[Provisioning], Provisioning);
        check(Completed, &[Completed, Failed], Partial);
        check(Completed, &[Completed, Cancelled], Partial);
        check(Completed, &[Unspecified, Completed], Unspecified);
        check(Provisioning, &[Failed, Failed], Failed);
        check(Provisioning, &[Failed, Cancelled], Failed);
        check(Provisioning, &[Cancelled, Cancelled], Cancelled);
        check(Provisioning, &[AwaitingPayment, Completed], AwaitingPayment);
        check(Provisioning, &[], Provisioning);
        for said in [Unspecified, AwaitingPayment, Expired, Cancelled, Failed] {
            check(said, &[Completed], said);
        }
    }

    #[test]
    fn a_server_completes_what_is_being_processed_and_nothing_else() {
        fn check(said: State, server: bool, expected: State) {
            assert_eq!(item_state(said, server), expected, "{said:?} {server}");
        }
        check(State::Provisioning, true, State::Completed);
        check(State::Provisioning, false, State::Provisioning);
        check(State::Completed, false, State::Completed);
        check(State::Unspecified, true, State::Unspecified);
        check(State::Cancelled, true, State::Cancelled);
    }

    #[test]
    fn items_stand_where_the_request_has_them() {
        fn check(told: [&str; 3], expected: [u64; 3]) {
            let item = |(id, name): (usize, &str)| {
                format!(r#"{{"id":{},"name":"VPS","reference":"{name}"}}"#, id + 1)
            };
            let items: Vec<String> = told.into_iter().enumerate().map(item).collect();
            let json = format!(r#"{{"order_id":1,"order_items":[{}]}}"#, items.join(","));
            let members = Members::read(json.as_bytes()).unwrap();
            let mut items = Order::read(members, &Zone::UTC).unwrap().items.unwrap();
            in_order(&mut items, &["00000000".to_owned(), "11111111".to_owned()]);
            let ids: Vec<u64> = items.iter().map(|item| item.id).collect();
            assert_eq!(ids, expected, "{told:?}");
        }
        check(["a [00000000]", "b [11111111]", "c"], [1, 2, 3]);
        check(["b [11111111]", "c", "a [00000000]"], [3, 1, 2]);
        check(["c", "b", "a"], [1, 2, 3]);
    }
}
