//! The four methods that cost or return money: create, renew, update and delete a hosting product.
//! Each checks everything first and then hands one order to the state; none changes it itself.

use dxr::Value;
use jiff::Timestamp;

use super::fault_code::{Cause, GandiFault, Object};
use super::methods::Visit;
use super::operation::{Action, Order};
use super::params::{self, Members, Mistake};
use super::product::{Offer, Product, Term, Wish, read_quantity};
use super::state::short_of;
use crate::money::Cents;

/// The key under which a caller asks for a dry run.
const DRY_RUN: &str = "--dry-run";

/// hosting.product.create(apikey, product): charges the price of a new product.
pub(super) fn create(visit: &mut Visit<'_>) -> Result<Value, GandiFault> {
    params::check_count(visit.params, 2, 2)?;
    let mut members = Members::of(visit.params.get(1))?;
    let dry = dry_run(&mut members)?;
    let term = members.require("duration", "Duration", Term::read);
    let offer = members.require("product_name", "Enum", Offer::read);
    let quantity = members.require("quantity", "Integer", read_quantity);
    conclude(visit, dry, members, |visit| {
        // Every member was read, or its mistake would have ended the call before this.
        let (Some(term), Some(offer), Some(quantity)) = (term, offer, quantity) else {
            return Err(GandiFault::internal("a member is missing"));
        };
        let currency = &visit.account()?.currency;
        let amount = visit.world.catalog.total(currency, offer, term, quantity)?;
        Ok(Order {
            action: Action::Add,
            product_id: visit.world.upcoming_product(),
            product_name: offer.name().to_owned(),
            quantity,
            term: Some(term),
            amount,
            fingerprint: visit.fingerprint.clone(),
            person: visit.world.person.is_some(),
        })
    })
}

/// hosting.product.renew(apikey, product_id, {duration}): charges another term.
pub(super) fn renew(visit: &mut Visit<'_>) -> Result<Value, GandiFault> {
    params::check_count(visit.params, 3, 3)?;
    let id = product_id(visit)?;
    let mut members = Members::of(visit.params.get(2))?;
    let dry = dry_run(&mut members)?;
    let term = members.require("duration", "Duration", Term::read);
    conclude(visit, dry, members, |visit| {
        let product = product(visit, id)?;
        allowed(visit, &product, Wish::Renew, product.quantity)?;
        let term = term.ok_or_else(|| GandiFault::internal("a member is missing"))?;
        let currency = &visit.account()?.currency;
        let offer = offer(&product)?;
        let amount = visit.world.catalog.total(currency, offer, term, product.quantity)?;
        Ok(order(visit, Action::Renew, &product, product.quantity, Some(term), amount))
    })
}

/// hosting.product.update(apikey, product_id, {quantity}): charges what more units cost for the
/// rest of the term; fewer units give nothing back.
///
/// Assumption: the price of the rest is the unit price for the product's last term, by seconds,
/// rounded to whole cents.
pub(super) fn update(visit: &mut Visit<'_>) -> Result<Value, GandiFault> {
    params::check_count(visit.params, 3, 3)?;
    let id = product_id(visit)?;
    let mut members = Members::of(visit.params.get(2))?;
    let dry = dry_run(&mut members)?;
    let quantity = members.require("quantity", "Integer", read_quantity);
    conclude(visit, dry, members, |visit| {
        let product = product(visit, id)?;
        let quantity = quantity.ok_or_else(|| GandiFault::internal("a member is missing"))?;
        let fewer = product.quantity.saturating_sub(quantity).max(0);
        allowed(visit, &product, Wish::Update, fewer)?;
        if quantity == product.quantity {
            let detail = format!("quantity is {quantity} already");
            let cause = Cause::NothingToUpdate;
            return Err(GandiFault::caller(Object::HostingProduct, cause, detail));
        }
        let amount = difference(visit, &product, quantity)?;
        Ok(order(visit, Action::Update, &product, quantity, None, amount))
    })
}

/// hosting.product.delete(apikey, product_id): gives a product up. What shares have left of their
/// term is paid back when the operation is done.
pub(super) fn delete(visit: &mut Visit<'_>) -> Result<Value, GandiFault> {
    params::check_count(visit.params, 2, 2)?;
    let id = product_id(visit)?;
    let product = product(visit, id)?;
    allowed(visit, &product, Wish::Remove, product.quantity)?;
    let order = order(visit, Action::Delete, &product, product.quantity, None, Cents::ZERO);
    visit.world.take(visit.moment, visit.position, order)
}

/// Ends a call: reports mistakes, or makes the order, or says what a dry run found.
///
/// Assumption: the product methods honour `--dry-run` as contact.create does.
fn conclude(
    visit: &mut Visit<'_>,
    dry: bool,
    members: Members,
    make: impl FnOnce(&Visit<'_>) -> Result<Order, GandiFault>,
) -> Result<Value, GandiFault> {
    let mut mistakes = members.into_mistakes();
    if !dry {
        Mistake::first(mistakes)?;
        let order = make(visit)?;
        return visit.world.take(visit.moment, visit.position, order);
    }
    if mistakes.is_empty() {
        let account = visit.account()?;
        let covered = make(visit).and_then(|order| match account.prepaid >= order.amount {
            true => Ok(()),
            false => Err(short_of(order.amount, account)),
        });
        mistakes.extend(covered.err().map(Mistake::whole));
    }
    Ok(Value::Array(mistakes.iter().map(Mistake::value).collect()))
}

fn dry_run(members: &mut Members) -> Result<bool, GandiFault> {
    match members.take(DRY_RUN) {
        None => Ok(false),
        Some(Value::Boolean(dry)) => Ok(dry),
        Some(_) => Err(GandiFault::caller(Object::Boolean, Cause::Type, DRY_RUN)),
    }
}

fn product_id(visit: &Visit<'_>) -> Result<i32, GandiFault> {
    visit.params.get(1).map_or(Ok(0), params::integer)
}

/// The caller's product of that id.
fn product(visit: &Visit<'_>, id: i32) -> Result<Product, GandiFault> {
    let now = visit.moment.now;
    let find = |products: &[Product]| {
        products.iter().find(|product| product.id == id && product.is_there(now)).cloned()
    };
    if let Some(product) = find(&visit.account()?.products) {
        return Ok(product);
    }
    let elsewhere = visit.world.accounts.iter().any(|account| find(&account.products).is_some());
    let cause = if elsewhere { Cause::NoRight } else { Cause::DontExist };
    Err(GandiFault::caller(Object::HostingProduct, cause, format!("product {id}")))
}

/// Refuses what the product's own lists of errors forbid, and changes to a product that another
/// operation is changing. `given_up` is how many units would go.
///
/// Assumption: two renewals may be open at once, for both only add terms.
fn allowed(
    visit: &Visit<'_>,
    product: &Product,
    wish: Wish,
    given_up: i32,
) -> Result<(), GandiFault> {
    let account = visit.account()?;
    let needed = account.needs(product, given_up, visit.moment.now);
    let mut obstacles = product.obstacles(wish, needed);
    if wish == Wish::Update && needed {
        obstacles.push("not_available_resource");
    }
    let busy = visit.world.operations.values().any(|operation| {
        let both_renew = wish == Wish::Renew && operation.order.action == Action::Renew;
        operation.order.product_id == product.id && !operation.step.is_final() && !both_renew
    });
    if busy {
        obstacles.push("operation_in_progress");
    }
    if obstacles.is_empty() {
        return Ok(());
    }
    let detail = obstacles.join(", ");
    Err(GandiFault::caller(Object::HostingProduct, Cause::State, detail))
}

fn offer(product: &Product) -> Result<Offer, GandiFault> {
    Offer::of_name(&product.name).ok_or_else(|| {
        GandiFault::caller(Object::HostingProduct, Cause::State, "product is not for sale")
    })
}

/// What more units cost from now to the product's end.
fn difference(visit: &Visit<'_>, product: &Product, quantity: i32) -> Result<Cents, GandiFault> {
    let more = quantity - product.quantity;
    if more <= 0 {
        return Ok(Cents::ZERO);
    }
    let currency = &visit.account()?.currency;
    let whole = visit.world.catalog.total(currency, offer(product)?, product.term, more)?;
    let now: Timestamp = visit.moment.now;
    let (ahead, term) = product.remaining(now, &visit.world.zone);
    Ok(whole.share(ahead, term))
}

fn order(
    visit: &Visit<'_>,
    action: Action,
    product: &Product,
    quantity: i32,
    term: Option<Term>,
    amount: Cents,
) -> Order {
    Order {
        action,
        product_id: product.id,
        product_name: product.name.clone(),
        quantity,
        term,
        amount,
        fingerprint: visit.fingerprint.clone(),
        person: visit.world.person.is_some(),
    }
}
