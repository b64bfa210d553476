//! Orders as the contract shows them: prices, dates, items, and what a person has to do.

use purveyor_sdk::prost_types::value::Kind;
use purveyor_sdk::prost_types::{Struct, Timestamp, Value as Attribute};
use purveyor_sdk::rows::{self, Gaps};
use purveyor_sdk::serde_json::{Map, Value};
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::required_action::Kind as Need;
use purveyor_sdk::v1::{ErrorReason, Notice, Order, OrderItem, Price, RequiredAction, UpstreamRef};
use purveyor_sdk::{Cx, Result, etag};

use super::Ovh;
use crate::model::{self, Detail, Extension, Status, moment, notices, price, term_of, to_struct};

/// The most details of one order that are read.
const MAX_DETAILS: usize = 50;

/// Where the prices of an order stand.
const WITH_TAX: &str = "order.priceWithTax";
const WITHOUT_TAX: &str = "order.priceWithoutTax";
const TAX: &str = "order.tax";

/// Where the parts of an order stand.
const STATUS: &str = "/me/order/{orderId}/status";
const DETAILS: &str = "/me/order/{orderId}/details";

/// A line of an order with what it is for, where the region tells.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) detail: Detail,
    pub(super) extension: Option<(Extension, Value)>,
}

/// An order and how far it has come.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) id: i64,
    pub(super) order: model::Order,
    /// `None` right after a payment, when nothing was asked.
    pub(super) status: Option<Status>,
    /// Whether its time to be paid is over.
    pub(super) lapsed: bool,
}

impl Ovh {
    /// An order and its status, by one look.
    pub(super) async fn seen(&self, cx: &Cx, id: i64) -> Result<Seen> {
        let order = self.client.order(cx, id).await?;
        let status = self.client.status(cx, id).await?;
        let lapsed = self.is_over(cx, &order).await?;
        Ok(Seen { id, order, status: Some(status), lapsed })
    }

    /// The same; `None` where the upstream does not know the order.
    pub(super) async fn seen_if_there(&self, cx: &Cx, id: i64) -> Result<Option<Seen>> {
        match self.seen(cx, id).await {
            Ok(seen) => Ok(Some(seen)),
            Err(error) if error.reason == ErrorReason::OrderNotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether an order's time to be paid is over, by the upstream's clock.
    pub(super) async fn is_over(&self, cx: &Cx, order: &model::Order) -> Result<bool> {
        let now = self.client.upstream_now(cx).await?;
        Ok(self.time(order.expiration_date.as_ref())?.is_some_and(|end| end.seconds <= now))
    }

    /// An order, its status and its lines as far as they can be read. Its own answer is needed.
    pub(super) async fn known(&self, cx: &Cx, id: i64) -> Result<(Seen, Vec<Line>, Gaps)> {
        let mut gaps = Gaps::default();
        let seen = self.known_seen(cx, id, &mut gaps).await?;
        let lines = self.known_lines(cx, id, &mut gaps).await?;
        Ok((seen, lines, gaps))
    }

    /// The same, of one order that is asked for: its status is what it is asked for.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE where its status cannot be read.
    pub(super) async fn told(&self, cx: &Cx, id: i64) -> Result<(Seen, Vec<Line>, Gaps)> {
        let mut gaps = Gaps::default();
        let seen = self.known_seen(cx, id, &mut gaps).await?;
        gaps.check(&format!("order {id}"))?;
        let lines = self.known_lines(cx, id, &mut gaps).await?;
        Ok((seen, lines, gaps))
    }

    /// An order and its status as far as they can be read.
    pub(super) async fn known_seen(&self, cx: &Cx, id: i64, gaps: &mut Gaps) -> Result<Seen> {
        let order = self.client.order(cx, id).await?;
        let status = gaps.keep_alone(STATUS, self.client.status(cx, id).await)?;
        // A date that is none is a gap where it is shown.
        let end = self.time(order.expiration_date.as_ref()).ok().flatten();
        let now = self.client.upstream_now(cx).await?;
        let lapsed = end.is_some_and(|end| end.seconds <= now);
        Ok(Seen { id, order, status: Some(status), lapsed })
    }

    /// The lines of an order as far as they can be read; of one that cannot, the number.
    pub(super) async fn known_lines(&self, cx: &Cx, id: i64, gaps: &mut Gaps) -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        let numbers = gaps.keep_alone(DETAILS, self.client.details(cx, id).await)?;
        for number in numbers.into_iter().take(MAX_DETAILS) {
            let at = format!("{DETAILS}/{number}");
            let known = |gap: &Gaps| {
                gaps.extend(gap);
                Ok(Detail { id: number, ..Detail::default() })
            };
            let detail = self.client.detail(cx, id, number).await;
            let Some(detail) = rows::shown(&at, detail, known)? else { continue };
            let extension = self.client.extension(cx, id, number).await;
            let extension = gaps.keep_alone(&format!("{at}/extension"), extension)?;
            lines.push(Line { detail, extension });
        }
        Ok(lines)
    }

    /// The lines of an order; a new one may have none yet.
    pub(super) async fn lines(&self, cx: &Cx, id: i64) -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        for number in self.client.details(cx, id).await?.into_iter().take(MAX_DETAILS) {
            let detail = self.client.detail(cx, id, number).await?;
            let extension = self.client.extension(cx, id, number).await?;
            lines.push(Line { detail, extension });
        }
        Ok(lines)
    }

    /// An order in full.
    pub(super) fn shown(&self, seen: &Seen, lines: &[Line]) -> Result<Order> {
        self.shown_with(seen, lines, &Gaps::default())
    }

    /// The same, of which these gaps are known.
    pub(super) fn shown_with(&self, seen: &Seen, lines: &[Line], gaps: &Gaps) -> Result<Order> {
        let name = self.name.order(seen.id)?;
        let state = seen.order_state();
        let prices = lines.iter().map(|line| {
            let at = line.price_path();
            notices(&[(line.detail.total_price.as_ref(), &at)])
        });
        let mut order = Order {
            name: name.clone(),
            aliases: vec![name],
            state: state.into(),
            upstream: Some(seen.upstream()),
            items: lines.iter().map(|line| item(line, state)).collect::<Result<_>>()?,
            required_action: self.needed(seen)?,
            has_secrets: true,
            ..self.priced(&seen.order)?
        };
        order.notices.extend(prices.flatten().chain(gaps.notices()));
        Ok(etag::seal(order))
    }

    /// What an answer tells of an order by itself: prices and dates. A date that is none is a gap.
    pub(super) fn priced(&self, order: &model::Order) -> Result<Order> {
        let mut gaps = Gaps::default();
        let mut time = |name: &str, text: Option<&String>| gaps.keep(name, self.time(text));
        let create_time = time("order.date", order.date.as_ref());
        let expire_time = time("order.expirationDate", order.expiration_date.as_ref());
        let retraction_time = time("order.retractionDate", order.retraction_date.as_ref());
        Ok(Order {
            price_with_tax: cost(order),
            price_without_tax: price(order.price_without_tax.as_ref(), WITHOUT_TAX, Tax::Excluded),
            tax: price(order.tax.as_ref(), TAX, Tax::Unspecified),
            notices: price_notices(order).into_iter().chain(gaps.notices()).collect(),
            create_time,
            expire_time,
            retraction_time,
            ..Order::default()
        })
    }

    /// What a person has to do before the order goes on.
    pub(super) fn needed(&self, seen: &Seen) -> Result<Option<RequiredAction>> {
        Ok(match seen.order_state() {
            State::AwaitingPayment => Some(RequiredAction {
                kind: Need::Pay.into(),
                message: "the upstream waits for payment".to_owned(),
                amount_due: cost(&seen.order),
                due_time: self.time(seen.order.expiration_date.as_ref()).ok().flatten(),
                ..RequiredAction::default()
            }),
            State::ActionRequired => Some(RequiredAction {
                kind: Need::ProvideDocuments.into(),
                message: "the upstream asks for documents".to_owned(),
                ..RequiredAction::default()
            }),
            _ => None,
        })
    }

    fn time(&self, text: Option<&String>) -> Result<Option<Timestamp>> {
        text.map(|text| moment(&self.client.zone, text)).transpose()
    }
}

impl Line {
    /// Where its price stands.
    fn price_path(&self) -> String {
        format!("order.details[{}].totalPrice", self.detail.id)
    }
}

impl Seen {
    /// An order that the upstream does not know any more: nothing but its number.
    pub(super) fn gone(id: i64) -> Self {
        Self { id, order: model::Order::default(), status: None, lapsed: false }
    }

    pub(super) fn upstream(&self) -> UpstreamRef {
        UpstreamRef {
            ids: vec![self.id.to_string()],
            r#type: "order".to_owned(),
            state: self.status.as_ref().map(|status| status.0.clone()).unwrap_or_default(),
            ..UpstreamRef::default()
        }
    }

    pub(super) fn order_state(&self) -> State {
        match &self.status {
            Some(status) => status.of_order(self.lapsed),
            None => State::Provisioning,
        }
    }
}

/// What an order costs, with tax: what is paid for it.
pub(super) fn cost(order: &model::Order) -> Option<Price> {
    price(order.price_with_tax.as_ref(), WITH_TAX, Tax::Included)
}

/// What a reader should know of prices of an order that are no amounts.
pub(super) fn price_notices(order: &model::Order) -> Vec<Notice> {
    notices(&[
        (order.price_with_tax.as_ref(), WITH_TAX),
        (order.price_without_tax.as_ref(), WITHOUT_TAX),
        (order.tax.as_ref(), TAX),
    ])
}

fn item(line: &Line, state: State) -> Result<OrderItem> {
    let Line { detail, extension } = line;
    let told = extension.as_ref().map(|(extension, _)| extension);
    let action = told.and_then(Extension::action).unwrap_or_default();
    Ok(OrderItem {
        id: detail.id.to_string(),
        quantity: detail.quantity.parse().unwrap_or_default(),
        term: told.and_then(Extension::duration).map(term_of),
        display_name: detail.description.clone(),
        price: price(detail.total_price.as_ref(), &line.price_path(), Tax::Unspecified),
        state: state.into(),
        upstream: Some(UpstreamRef {
            ids: vec![detail.id.to_string()],
            r#type: action.to_owned(),
            ..UpstreamRef::default()
        }),
        attributes: Some(attributes(line)),
        ..OrderItem::default()
    })
}

/// What a line tells beside its fields.
pub(super) fn attributes(line: &Line) -> Struct {
    let text = |text: &str| Attribute { kind: Some(Kind::StringValue(text.to_owned())) };
    let mut kept = match &line.extension {
        Some((_, Value::Object(members))) => to_struct(members, &[]),
        _ => to_struct(&Map::new(), &[]),
    };
    kept.fields.insert("domain".to_owned(), text(&line.detail.domain));
    kept.fields.insert("quantity".to_owned(), text(&line.detail.quantity));
    kept.fields.insert("description".to_owned(), text(&line.detail.description));
    kept
}
