//! Orders: one upstream operation and one spend for each item, a step each. The first refusal ends the
//! buying: with nothing bought the order fails, else it goes on with what was bought.

use std::collections::BTreeMap;

use purveyor_sdk::plugin::v1::FieldViolation;
use purveyor_sdk::v1::{
    CreateOrderRequest, ErrorReason, GetOrderRequest, ListOrdersRequest, ListOrdersResponse, Order,
    OrderItem, Price,
};
use purveyor_sdk::{CarryOn, Cx, Error, Level, Result, Step, page, rows};

use super::order_view::Read;
use super::prices::sum;
use super::progress::first_look;
use super::{Gandi, upstream_id};
use crate::checkpoint::{Before, OrderProgress, Refused, decode, encode};
use crate::client::{Listing, PAGE, Spent};
use crate::error::{self, proof};
use crate::model::{Action, Duration, Kind, Operation};

/// The most items of one order.
const MAX_ITEMS: usize = 20;

/// The most operations that a list goes back: an account has not had more.
const MAX_OFFSET: usize = 1_000_000_000;

/// One item, checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    pub(super) product: &'static str,
    pub(super) quantity: i32,
    pub(super) duration: Duration,
}

pub(super) async fn create(
    gandi: &Gandi,
    cx: &Cx,
    request: &CreateOrderRequest,
) -> Result<Step<Order>> {
    let lines = gandi.lines(request)?;
    let before: Before = decode(cx.baseline())?;
    let progress = gandi.order_progress(cx.handle(), &before)?;
    let line = lines.get(progress.placed.len());
    let line = line.ok_or_else(|| Error::fault("every item of the order is placed already"))?;
    let limited = request.max_price.is_some();
    let price = match gandi.price_to_place(cx, &lines, &progress, &before, limited).await {
        Ok(price) => price,
        Err(error) => return gandi.not_placed(&lines, progress, proof::FAULT, error),
    };
    let item = (line.product, line.quantity, line.duration);
    match gandi.client.create(cx, item, price).await? {
        Spent::Accepted(operation) => gandi.placed(&lines, progress, &operation),
        Spent::Refused { proof, error } => gandi.not_placed(&lines, progress, proof, error),
        Spent::Unknown(message) => Ok(Step::Unknown(message)),
    }
}

pub(super) async fn get(gandi: &Gandi, cx: &Cx, request: &GetOrderRequest) -> Result<Order> {
    let operations = gandi.operations_of(cx, cx.upstream_ids(), &request.name).await?;
    gandi.order(&operations.iter().collect::<Vec<_>>())
}

pub(super) async fn list(
    gandi: &Gandi,
    cx: &Cx,
    request: &ListOrdersRequest,
) -> Result<ListOrdersResponse> {
    let wanted = |order: &Order| {
        rows::is_incomplete(&order.notices)
            || (request.states.is_empty() || request.states.contains(&order.state))
                && request.customer.is_empty()
    };
    let (listed, next_page_token) = gandi
        .listed(cx, Kind::Add, &request.page_token, request.page_size, request.create_after)
        .await?;
    let orders = listed.iter().map(|operation| gandi.order(&[operation]));
    let orders =
        orders.filter(|order| order.as_ref().map_or(true, wanted)).collect::<Result<_>>()?;
    Ok(ListOrdersResponse { orders, next_page_token, ..ListOrdersResponse::default() })
}

impl Gandi {
    /// The items of a request.
    ///
    /// # Errors
    ///
    /// Every FIELD_VIOLATION at once; PRODUCT_NOT_FOUND.
    pub(super) fn lines(&self, request: &CreateOrderRequest) -> Result<Vec<Line>> {
        let order = request.order.as_ref();
        let order = order.ok_or_else(|| Error::field("order", "is missing"))?;
        if order.items.is_empty() || order.items.len() > MAX_ITEMS {
            return Err(Error::field("order.items", format!("must be 1 to {MAX_ITEMS}")));
        }
        for (field, value) in
            [("order.customer", &order.customer), ("order.partner", &order.partner)]
        {
            if !value.is_empty() {
                return Err(Error::field(field, "the upstream sells to the account's owner only"));
            }
        }
        let mut violations = Vec::new();
        let mut lines = Vec::new();
        for (index, item) in order.items.iter().enumerate() {
            match self.line(item, &format!("order.items[{index}]")) {
                Ok(line) => lines.push(line),
                Err(error) if error.reason == ErrorReason::FieldViolation => {
                    violations.extend(error.violations);
                }
                Err(error) => return Err(error),
            }
        }
        if violations.is_empty() { Ok(lines) } else { Err(Error::fields(violations)) }
    }

    fn line(&self, item: &OrderItem, path: &str) -> Result<Line> {
        let violation = |field: &str, description: &str| FieldViolation {
            field: format!("{path}.{field}"),
            description: description.to_owned(),
        };
        let unknown = "the upstream takes none";
        let has_options = item.options.as_ref().is_some_and(|it| !it.fields.is_empty());
        let taken = [
            ("options", has_options),
            ("pricing", item.pricing.is_some()),
            ("plan_term", item.plan_term.is_some()),
            ("start_date", item.start_date.is_some()),
            ("next_due_date", item.next_due_date.is_some()),
        ];
        let mut violations: Vec<FieldViolation> = taken
            .iter()
            .filter(|(_, there)| *there)
            .map(|(field, _)| violation(field, unknown))
            .collect();
        if item.quantity < 1 {
            violations.push(violation("quantity", "must be at least 1"));
        }
        let duration = Duration::of(item.term.as_ref(), &format!("{path}.term"));
        let duration = duration.map_err(|error| violations.extend(error.violations)).ok();
        let product = self.known_product(&item.product, &format!("{path}.product"));
        match (product, duration) {
            (Ok(product), Some(duration)) if violations.is_empty() => {
                Ok(Line { product, quantity: item.quantity, duration })
            }
            (Err(error), _) if error.reason != ErrorReason::FieldViolation => Err(error),
            (product, _) => {
                violations.extend(product.err().into_iter().flat_map(|error| error.violations));
                Err(Error::fields(violations))
            }
        }
    }

    /// How far an order is, of a handle; of the evidence where nothing was placed yet.
    pub(super) fn order_progress(&self, handle: &[u8], before: &Before) -> Result<OrderProgress> {
        if !handle.is_empty() {
            return decode(handle);
        }
        Ok(OrderProgress {
            known: before.products.iter().map(|product| product.id).collect(),
            highest: Some(before.highest()),
            open: before.open.clone(),
            ..OrderProgress::default()
        })
    }

    /// What the whole order costs now, where the caller has set a limit and nothing can be told against
    /// placing the next item. The upstream judges the credit for each call; only here can it be judged
    /// for the whole order, so that none is left in part for want of it.
    async fn price_to_place(
        &self,
        cx: &Cx,
        lines: &[Line],
        progress: &OrderProgress,
        before: &Before,
        limited: bool,
    ) -> Result<Option<Price>> {
        if before.gone {
            return Err(error::emptied());
        }
        let judges_credit = progress.placed.is_empty() && lines.len() > 1;
        if !judges_credit && !limited {
            return Ok(None);
        }
        let catalog = self.catalog(cx, Action::Add, &self.config.currency).await?;
        let amount = |it: &Line| self.amount(&catalog, it.product, it.duration, it.quantity.into());
        let total = sum(&lines.iter().map(amount).collect::<Vec<_>>());
        let price = total.as_ref().map(|told| self.price(told));
        if !judges_credit {
            return Ok(price);
        }
        let (Some(total), Some(balance)) = (total, self.balance(cx).await?) else {
            return Ok(price);
        };
        // In another currency, and of what is no amount, nothing can be said.
        if balance.is_less(&total) == Some(true) {
            let message = format!("the order costs {total}, and the prepaid account has {balance}");
            return Err(Error::new(ErrorReason::InsufficientCredit, message));
        }
        Ok(price)
    }

    /// How an order goes on after an item was placed.
    pub(super) fn placed(
        &self,
        lines: &[Line],
        mut progress: OrderProgress,
        operation: &Operation,
    ) -> Result<Step<Order>> {
        progress.placed.push(operation.id);
        let operations = BTreeMap::from([(operation.id, operation)]);
        let read = Read { operations, missing: progress.placed.clone() };
        let view = Some(self.own_order(lines, &progress, &read)?);
        let handle = encode(&progress)?;
        Ok(if progress.placed.len() < lines.len() {
            Step::Next { handle, view, price: None }
        } else {
            Step::Pending { handle, after: first_look(operation.eta), view }
        })
    }

    /// How an order goes on after an item was refused, by the upstream or here.
    fn not_placed(
        &self,
        lines: &[Line],
        mut progress: OrderProgress,
        proof: &'static str,
        error: Error,
    ) -> Result<Step<Order>> {
        let passes = matches!(
            error.reason,
            ErrorReason::UpstreamUnavailable | ErrorReason::UpstreamRateLimit
        );
        if passes && proof == proof::FAULT {
            return Err(error);
        }
        if progress.placed.is_empty() {
            return Ok(Step::Rejected { proof, error, carry_on: None });
        }
        progress.refused = Some(Refused::new(&error));
        let view = Some(self.own_order(lines, &progress, &Read::default())?);
        let carry_on = Some(CarryOn { handle: encode(&progress)?, view });
        Ok(Step::Rejected { proof, error, carry_on })
    }

    /// The operations behind an order's identifiers: one for each of its items.
    ///
    /// # Errors
    ///
    /// ORDER_NOT_FOUND unless all of them are operations that order something.
    pub(super) async fn operations_of(
        &self,
        cx: &Cx,
        upstream: &[String],
        name: &str,
    ) -> Result<Vec<Operation>> {
        let not_found = || Error::order_not_found(name);
        let ids = upstream.iter().map(|id| upstream_id(id)).collect::<Option<Vec<_>>>();
        let ids = ids.filter(|ids| (1..=MAX_ITEMS).contains(&ids.len())).ok_or_else(not_found)?;
        let mut read = self.by_id(cx, &ids).await?;
        let operations = ids.iter().map(|id| match read.remove(id) {
            Some(Ok(operation)) if operation.is(Kind::Add) => Ok(operation),
            Some(Err(error)) => error::missing(Err(error), not_found),
            _ => Err(not_found()),
        });
        operations.collect()
    }

    /// One page of the operations of a kind, the newest first, and the token of the next: how many
    /// were listed so far.
    pub(super) async fn listed(
        &self,
        cx: &Cx,
        kind: Kind,
        token: &str,
        page_size: i32,
        created_from: Option<purveyor_sdk::prost_types::Timestamp>,
    ) -> Result<(Vec<Operation>, String)> {
        let offset = cursor(token)?;
        let (page, size) = upstream_page(offset, page::size(page_size)?.min(PAGE));
        // The upstream compares for later, the contract for at or later; times are whole seconds.
        let after = created_from.map(|moment| {
            let seconds = moment.seconds.saturating_sub(i64::from(moment.nanos == 0));
            self.client.zone.xml_rpc(&purveyor_sdk::prost_types::Timestamp { seconds, nanos: 0 })
        });
        let after = after.transpose()?;
        let listing = Listing { kind: Some(kind), after, page, size, ..Listing::default() };
        let listed = self.client.operations(cx, listing).await?;
        for error in &listed.nameless {
            cx.log(Level::WARN, &format!("a listed operation cannot be shown: {error}"));
        }
        let next = if listed.len() < size { String::new() } else { (offset + size).to_string() };
        // The upstream was asked for this kind alone.
        let is_listed = |it: &Operation| it.is(kind) || it.may_be_any();
        Ok((listed.rows.into_iter().filter(is_listed).collect(), next))
    }
}

/// How many rows a token of ours leaves out.
fn cursor(token: &str) -> Result<usize> {
    let parsed = if token.is_empty() { Some(0) } else { token.parse().ok() };
    parsed.filter(|offset| *offset <= MAX_OFFSET).ok_or_else(|| {
        Error::new(ErrorReason::PageTokenInvalid, "the page token is not of this list")
    })
}

/// The upstream counts in pages of one size: the page that begins at the offset, as large as it can
/// be up to `most`.
fn upstream_page(offset: usize, most: usize) -> (usize, usize) {
    let size = (1..=most).rev().find(|size| offset.is_multiple_of(*size)).unwrap_or(1);
    (offset / size, size)
}

#[cfg(test)]
mod tests {
    use super::{cursor, upstream_page};

    #[test]
    fn cursors() {
        fn check(token: &str, expected: Option<usize>) {
            assert_eq!(cursor(token).ok(), expected, "{token:?}");
        }
        check("", Some(0));
        check("150", Some(150));
        for token in ["-1", "x", "1.5", "99999999999", "18446744073709551616"] {
            check(token, None);
        }
    }

    #[test]
    fn a_page_begins_at_its_offset_and_is_never_larger_than_asked() {
        fn check(offset: usize, most: usize, expected: (usize, usize)) {
            assert_eq!(upstream_page(offset, most), expected, "{offset} {most}");
        }
        check(0, 50, (0, 50));
        check(50, 50, (1, 50));
        check(50, 10, (5, 10));
        check(10, 50, (1, 10));
        check(7, 5, (7, 1));
        check(120, 100, (2, 60));
    }
}
