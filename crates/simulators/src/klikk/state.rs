//! The whole state of the simulated upstream, and what time does to it: orders are delivered, invoices
//! lapse, terms renew themselves or end. Every sale passes through here, and the ledger has it before
//! the state does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::account::AccountSeed;
use super::answer::Answer;
use super::mode::Mode;
use super::order::{CURRENCY, Hidden, Item, Order, Payment, Status, Term};
use crate::ledger::{Kind, Ledger, Sale};
use crate::money::Cents;

/// Where ids begin: those of the document, so that examples look alike.
const FIRST_ORDER: u64 = 73;
const FIRST_ITEM: u64 = 1293;

/// How old the order is that an account begins with.
const OLD: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most terms that one look charges: a clock at the end of time must not write for ever.
const MOST_RENEWALS: i32 = 1200;

/// Everything the upstream knows.
#[derive(Debug)]
pub(super) struct World {
    pub(super) mode: Mode,
    pub(super) accounts: Vec<AccountSeed>,
    pub(super) orders: BTreeMap<u64, Order>,
    /// Orders that time may still deliver or let lapse.
    open: BTreeSet<u64>,
    /// Before this no term of an order ends.
    next_end: Timestamp,
    next_order: u64,
    next_item: u64,
    /// Old orders that were made: their ids go down from where ids begin.
    old_orders: u64,
}

/// The moment of a call and where its sales are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    pub(super) now: Timestamp,
    pub(super) ledger: &'a Ledger,
}

/// What is asked for by one call, or by a person.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) items: Vec<Wanted>,
    pub(super) fingerprint: String,
    /// How far ahead of now the order is dated, by a person.
    pub(super) person: Option<Duration>,
}

/// An item that is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) product: String,
    pub(super) reference: String,
    pub(super) amount: Cents,
}

impl Moment<'_> {
    fn record(&self, sales: Vec<Sale>) -> Result<(), Answer> {
        let written = self.ledger.append(self.now, sales);
        written.map_err(|error| Answer::internal(&format!("ledger: {error}")))
    }
}

impl World {
    /// An empty world. Ids go on after those a ledger names already, so that a restart does not give
    /// two sales the same id.
    pub(super) fn new(mode: Mode, ledger: &Ledger) -> Self {
        let entries = ledger.entries();
        let after = |ids: &mut dyn Iterator<Item = &String>, first: u64| {
            let last = ids.filter_map(|id| id.parse::<u64>().ok()).max();
            last.map_or(first, |last| first.max(last + 1))
        };
        let orders = &mut entries.iter().map(|entry| &entry.sale.operation_id);
        let items = &mut entries.iter().filter_map(|entry| entry.sale.product_id.as_ref());
        Self {
            mode,
            accounts: Vec::new(),
            orders: BTreeMap::new(),
            open: BTreeSet::new(),
            next_end: Timestamp::MAX,
            next_order: after(orders, FIRST_ORDER),
            next_item: after(items, FIRST_ITEM),
            old_orders: 0,
        }
    }

    /// The old order of an account that is new.
    pub(super) fn put_old_order(&mut self, now: Timestamp, account: usize) {
        let place = self.old_orders + 1;
        let (Some(id), Some(item)) =
            (FIRST_ORDER.checked_sub(place), FIRST_ITEM.checked_sub(place))
        else {
            return;
        };
        if id == 0 {
            return;
        }
        self.old_orders = place;
        let then = now.checked_sub(OLD).unwrap_or(now);
        let wanted = Wanted {
            product: super::actions::VPS.to_owned(),
            reference: "old".to_owned(),
            amount: Cents::ZERO,
        };
        let lapsed = Payment::Lapsed(Status::new(408, "Not paid in time"));
        let items = vec![Item::new(item, wanted)];
        let order = Order::new(id, account, items, then, String::new());
        self.orders.insert(id, Order { payment: lapsed, ..order });
    }

    /// Takes an order and charges its first term, or makes its invoice where the credit does not cover
    /// it. Returns the order's id.
    pub(super) fn take(
        &mut self,
        moment: Moment<'_>,
        account: usize,
        asked: Asked,
    ) -> Result<u64, Answer> {
        let id = self.next_order;
        let limit = self.mode.name_limit.unwrap_or(usize::MAX);
        let items = (self.next_item..).zip(asked.items).map(|(id, mut wanted)| {
            wanted.reference = wanted.reference.chars().take(limit).collect();
            Item::new(id, wanted)
        });
        let mut order = Order::new(id, account, items.collect(), moment.now, asked.fingerprint);
        order.held = self.mode.order_status.map(|code| Status::new(code, "Held by a switch"));
        if let Some(ahead) = asked.person {
            order.person = true;
            order.dated = moment.now.checked_add(ahead).unwrap_or(Timestamp::MAX);
        }
        let (total, payer) = (order.total(), self.payer(account)?);
        let covered = payer.credit >= total;
        let kind = if covered { Kind::OrderItem } else { Kind::OrderItemInvoiced };
        let sales = order.items.iter().map(|item| sale(&order, payer, kind, Some(item)));
        moment.record(sales.collect())?;
        if covered {
            self.spend(account, total);
        } else {
            let lasts = Duration::from_millis(self.mode.payment_ms);
            let until = moment.now.checked_add(lasts).unwrap_or(Timestamp::MAX);
            order.payment = Payment::Due { invoice: format!("K-{id}"), until };
        }
        self.next_order += 1;
        self.next_item += order.items.len() as u64;
        self.open.insert(id);
        self.orders.insert(id, order);
        Ok(id)
    }

    /// Pays an order's invoice, from outside of the account's credit.
    pub(super) fn pay(&mut self, moment: Moment<'_>, id: u64) -> Result<bool, Answer> {
        let Some(order) = self.orders.get(&id) else { return Ok(false) };
        if !matches!(order.payment, Payment::Due { .. }) {
            return Ok(false);
        }
        let paid = sale(order, self.payer(order.account)?, Kind::InvoicePaid, None);
        moment.record(vec![Sale { person: true, ..paid }])?;
        if let Some(order) = self.orders.get_mut(&id) {
            order.payment = Payment::Paid { at: moment.now };
        }
        Ok(true)
    }

    /// Cancels an order, or one item of it; false where there is none.
    ///
    /// Assumptions: a cancelled item may be cancelled again; an order that nobody has paid for has no
    /// period, and ends at once.
    pub(super) fn cancel(&mut self, now: Timestamp, id: u64, item: Option<u64>) -> bool {
        let Some(order) = self.orders.get_mut(&id) else { return false };
        if item.is_some_and(|item| order.items.iter().all(|known| known.id != item)) {
            return false;
        }
        let wanted = |known: &&mut Item| item.is_none_or(|item| item == known.id);
        for known in order.items.iter_mut().filter(wanted) {
            known.cancelled.get_or_insert(now);
        }
        let all = order.items.iter().all(|item| item.cancelled.is_some());
        if all && matches!(order.payment, Payment::Due { .. }) {
            order.payment = Payment::Lapsed(Status::new(410, "Order is cancelled"));
        }
        true
    }

    /// Lets time move everything to where it should be.
    pub(super) fn settle(&mut self, moment: Moment<'_>) -> Result<(), Answer> {
        let delivery = Duration::from_millis(self.mode.delivery_ms);
        let Self { orders, open, next_end, .. } = self;
        open.retain(|id| {
            let Some(order) = orders.get_mut(id) else { return false };
            if order.held.is_none() {
                order.progress(moment.now, delivery);
            }
            *next_end = order.ends().fold(*next_end, Timestamp::min);
            order.is_open()
        });
        if moment.now < self.next_end {
            return Ok(());
        }
        let ids: Vec<u64> = self.orders.keys().copied().collect();
        ids.into_iter().try_for_each(|id| self.renew(moment, id))?;
        self.next_end = self.orders.values().flat_map(Order::ends).min().unwrap_or(Timestamp::MAX);
        Ok(())
    }

    /// Charges or ends the terms of an order that are over.
    ///
    /// Assumption: a renewal is charged whatever the credit; the credit may go below nothing.
    fn renew(&mut self, moment: Moment<'_>, id: u64) -> Result<(), Answer> {
        let Some(order) = self.orders.get_mut(&id) else { return Ok(()) };
        let mut over = Vec::new();
        for item in &mut order.items {
            let Some(term) = item.term.as_mut().filter(|term| !term.ended) else { continue };
            if item.cancelled.is_some() {
                term.ended = term.end <= moment.now;
                continue;
            }
            let mut charged = 0;
            while term.end <= moment.now && charged < MOST_RENEWALS {
                charged += 1;
                term.terms += 1;
                term.end = add_months(term.begun, term.terms);
            }
            over.extend((0..charged).map(|_| item.clone()));
        }
        if over.is_empty() {
            return Ok(());
        }
        let order = order.clone();
        let payer = self.payer(order.account)?;
        let sales = over.iter().map(|item| {
            let renewed = sale(&order, payer, Kind::AutoRenewal, Some(item));
            Sale { person: false, ..renewed }
        });
        moment.record(sales.collect())?;
        let total = over.iter().fold(Cents::ZERO, |sum, item| sum + item.amount);
        self.spend(order.account, total);
        Ok(())
    }

    fn payer(&self, account: usize) -> Result<&AccountSeed, Answer> {
        self.accounts.get(account).ok_or_else(|| Answer::internal("account is gone"))
    }

    fn spend(&mut self, account: usize, amount: Cents) {
        if let Some(account) = self.accounts.get_mut(account) {
            account.credit -= amount;
        }
    }
}

impl Item {
    fn new(id: u64, wanted: Wanted) -> Self {
        let Wanted { product, reference, amount } = wanted;
        Self { id, product, reference, amount, cancelled: None, term: None, held: None }
    }
}

impl Order {
    fn new(
        id: u64,
        account: usize,
        items: Vec<Item>,
        created: Timestamp,
        fingerprint: String,
    ) -> Self {
        Self {
            id,
            account,
            items,
            created,
            dated: created,
            hidden: None,
            person: false,
            payment: Payment::Paid { at: created },
            held: None,
            fingerprint,
        }
    }

    /// Whether a read shows it; one that does not is counted.
    pub(super) fn is_seen(&mut self) -> bool {
        match &mut self.hidden {
            None => true,
            Some(Hidden { reads: None, .. }) => false,
            Some(Hidden { reads: Some(0), .. }) => {
                self.hidden = None;
                true
            }
            Some(Hidden { reads: Some(reads), .. }) => {
                *reads -= 1;
                false
            }
        }
    }

    /// Whether time alone may deliver it or let it lapse.
    fn is_open(&self) -> bool {
        match self.payment {
            Payment::Due { .. } => true,
            Payment::Lapsed(_) => false,
            Payment::Paid { .. } => self.items.iter().any(|item| item.term.is_none()),
        }
    }

    /// When its terms end that have not ended.
    fn ends(&self) -> impl Iterator<Item = Timestamp> {
        let terms = self.items.iter().filter_map(|item| item.term.as_ref());
        terms.filter(|term| !term.ended).map(|term| term.end)
    }

    /// Delivers what is paid and due, and lapses what nobody has paid.
    fn progress(&mut self, now: Timestamp, delivery: Duration) {
        match self.payment.clone() {
            Payment::Due { until, .. } if until <= now => {
                self.payment = Payment::Lapsed(Status::new(408, "Not paid in time"));
            }
            Payment::Paid { at } => {
                let at = at.checked_add(delivery).unwrap_or(Timestamp::MAX);
                if at <= now {
                    self.deliver(at);
                }
            }
            Payment::Due { .. } | Payment::Lapsed(_) => {}
        }
    }

    fn deliver(&mut self, at: Timestamp) {
        for item in self.items.iter_mut().filter(|item| item.held.is_none()) {
            item.term.get_or_insert_with(|| Term {
                begun: at,
                terms: 1,
                end: add_months(at, 1),
                ended: false,
            });
        }
    }
}

/// Assumption: a term is a month; a day that the month does not have is its last day.
fn add_months(time: Timestamp, months: i32) -> Timestamp {
    let later = time.to_zoned(TimeZone::UTC).checked_add(months.months());
    later.map_or(Timestamp::MAX, |later| later.timestamp())
}

/// A line of the ledger, about one item or about the whole order.
fn sale(order: &Order, payer: &AccountSeed, kind: Kind, item: Option<&Item>) -> Sale {
    Sale {
        account: payer.profile.clone(),
        kind,
        operation_id: order.id.to_string(),
        product_id: item.map(|item| item.id.to_string()),
        product_name: item.map_or("invoice", |item| &item.product).to_owned(),
        quantity: 1,
        duration: item.map(|_| "1 month".to_owned()),
        amount: item.map_or_else(|| order.total(), |item| item.amount),
        currency: CURRENCY.to_owned(),
        fingerprint: order.fingerprint.clone(),
        person: order.person,
    }
}
