//! What an order must hold before it is stored. Pure: asks neither the upstream nor the clock.

use std::collections::BTreeSet;

use purveyor_sdk::names::{ProductName, ProviderName};
use purveyor_sdk::plugin::v1::Method;
use purveyor_sdk::v1::term::Kind;
use purveyor_sdk::v1::{CancelPolicy, Order, OrderItem, OrderPricing};

use crate::engine::fields::Mistakes;

/// The most items of one order, whatever the provider allows: each may be a spend of its own.
const ITEMS: usize = 100;

/// The order as it is stored: what a caller may say, in normal form, and nothing else.
pub(super) fn order(given: Option<Order>, parent: &ProviderName, mistakes: &mut Mistakes) -> Order {
    let Some(given) = given else {
        mistakes.add("order", "is required");
        return Order::default();
    };
    if given.items.is_empty() || given.items.len() > ITEMS {
        mistakes.add("order.items", format!("must be 1 to {ITEMS}"));
    }
    mistakes.text("order.reference", &given.reference);
    mistakes.text("order.customer", &given.customer);
    mistakes.text("order.partner", &given.partner);
    mistakes.annotations("order.annotations", &given.annotations);
    let items = given.items.into_iter().take(ITEMS).enumerate();
    Order {
        items: items
            .map(|(index, given)| item(given, &format!("order.items[{index}]"), parent, mistakes))
            .collect(),
        reference: given.reference,
        customer: given.customer,
        partner: given.partner,
        annotations: given.annotations,
        ..Order::default()
    }
}

fn item(
    given: OrderItem,
    field: &str,
    parent: &ProviderName,
    mistakes: &mut Mistakes,
) -> OrderItem {
    let mut item = OrderItem {
        product: given.product,
        quantity: given.quantity,
        term: given.term,
        plan_term: given.plan_term,
        display_name: given.display_name,
        options: given.options,
        pricing: given.pricing,
        start_date: given.start_date,
        next_due_date: given.next_due_date,
        ..OrderItem::default()
    };
    match item.product.parse::<ProductName>() {
        Ok(product) if product.provider() == parent => {}
        Ok(_) => mistakes.add(format!("{field}.product"), format!("must be a product of {parent}")),
        Err(error) => mistakes.add(format!("{field}.product"), error.to_string()),
    }
    mistakes.quantity(&format!("{field}.quantity"), item.quantity);
    mistakes.term(&format!("{field}.term"), &mut item.term);
    mistakes.term(&format!("{field}.plan_term"), &mut item.plan_term);
    mistakes.text(&format!("{field}.display_name"), &item.display_name);
    mistakes.date(&format!("{field}.start_date"), item.start_date.as_ref());
    mistakes.date(&format!("{field}.next_due_date"), item.next_due_date.as_ref());
    if let Some(given) = &item.pricing {
        pricing(given, &format!("{field}.pricing"), mistakes);
    }
    item
}

fn pricing(given: &OrderPricing, field: &str, mistakes: &mut Mistakes) {
    let amounts = [
        ("recurring_amount", &given.recurring_amount),
        ("purchase_amount", &given.purchase_amount),
        ("first_plan_price", &given.first_plan_price),
        ("recurring_plan_price", &given.recurring_plan_price),
        ("first_payment", &given.first_payment),
    ];
    let mut currencies = BTreeSet::new();
    for (name, amount) in amounts {
        mistakes.money(&format!("{field}.{name}"), amount.as_ref());
        currencies.extend(amount.as_ref().map(|amount| amount.currency_code.as_str()));
    }
    if currencies.len() > 1 {
        mistakes.add(field, "has amounts of more than one currency");
    }
}

/// What the provider's method allows.
pub(super) fn method(order: &Order, method: &Method, mistakes: &mut Mistakes) {
    let most = usize::try_from(method.max_items).unwrap_or(0);
    if most > 0 && order.items.len() > most {
        let message = format!("the provider takes at most {most} in one order");
        mistakes.add("order.items", message);
    }
    if !method.takes_prices {
        for (index, _) in order.items.iter().enumerate().filter(|(_, item)| item.pricing.is_some())
        {
            let field = format!("order.items[{index}].pricing");
            mistakes.add(field, "is not taken: the provider makes its own prices");
        }
    }
    if method.terms.is_empty() {
        return;
    }
    for (index, item) in order.items.iter().enumerate() {
        let allowed = item.term.as_ref().is_some_and(|term| {
            term.kind() == Kind::Recurring && method.terms.contains(&term.period)
        });
        if !allowed {
            let message = format!("must be recurring with one of {}", method.terms.join(", "));
            mistakes.add(format!("order.items[{index}].term"), message);
        }
    }
}

/// The policy that a cancellation is sent with.
pub(super) fn policy(given: i32, allowed: &[i32], mistakes: &mut Mistakes) -> i32 {
    if given != CancelPolicy::Unspecified as i32 {
        if !allowed.is_empty() && !allowed.contains(&given) {
            mistakes.add("policy", format!("the provider has only {}", words(allowed)));
        }
        return given;
    }
    match allowed {
        [] => given,
        [only] => *only,
        several => {
            mistakes.add("policy", format!("must be one of {}", words(several)));
            given
        }
    }
}

fn words(policies: &[i32]) -> String {
    let known = policies.iter().filter_map(|policy| CancelPolicy::try_from(*policy).ok());
    let words: Vec<_> =
        known.map(|policy| policy.as_str_name().trim_start_matches("CANCEL_POLICY_")).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests;
