//! What an order must hold before its record is written: all of it checked at once, and nothing that the
//! caller did not say but the day on which the next payment is due.

use purveyor_sdk::plugin::v1::FieldViolation;
use purveyor_sdk::prost_types::value::Kind;
use purveyor_sdk::v1::{CreateOrderRequest, Date, ErrorReason, Money, Order, OrderItem, Term};
use purveyor_sdk::{Error, Result};

use super::RackNap;
use super::products::partner_of;
use crate::error::number;
use crate::model::{Cycle, Field, Fields, next_due, written};

/// What an item's options may be.
pub(super) const OPTIONS_SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "slserverid": {
      "description": "the subscription, as the upstream writes it",
      "oneOf": [
        { "type": "string", "minLength": 1, "maxLength": 256 },
        { "type": "integer", "minimum": 0 }
      ]
    },
    "serverid": { "description": "the server", "type": "integer", "minimum": 0 }
  }
}"#;

/// From here on a 64-bit float no longer tells neighbouring integers apart.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The longest `slserverid`; the schema says the same.
const MAX_TEXT: usize = 256;

/// An order that can be sent.
#[derive(Debug)]
pub(super) struct Line {
    /// The parameters of `create`, all of those that are told.
    pub(super) fields: Fields,
    /// The partner as it is sent.
    pub(super) partner: i64,
    pub(super) cycle: Cycle,
    pub(super) plan_cycle: Cycle,
    pub(super) next_due: Date,
    pub(super) first_payment: Money,
    pub(super) recurring: Money,
}

/// What is wrong with a request, all of it.
#[derive(Default)]
struct Wrong(Vec<FieldViolation>);

impl Wrong {
    /// The value, or its mistakes are kept. Only FIELD_VIOLATION can be one of several.
    fn keep<T>(&mut self, checked: Result<T>) -> Result<Option<T>> {
        match checked {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.reason == ErrorReason::FieldViolation => {
                self.0.extend(error.violations);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl RackNap {
    /// The one item of an order with all that the upstream wants to know.
    ///
    /// # Errors
    ///
    /// Every FIELD_VIOLATION at once; PRODUCT_NOT_FOUND.
    pub(super) fn line(&self, request: &CreateOrderRequest) -> Result<Line> {
        let order = request.order.as_ref();
        let order = order.ok_or_else(|| Error::field("order", "is missing"))?;
        let [item] = order.items.as_slice() else {
            return Err(Error::field("order.items", "has to be one: a record is of one service"));
        };
        let mut wrong = Wrong::default();
        let head = self.head(order, item, &mut wrong)?;
        let dates = dates(item, &mut wrong)?;
        let amounts = self.amounts(item, &mut wrong)?;
        let options = wrong.keep(options(item))?;
        match (head, dates, amounts, options) {
            (Some(head), Some(dates), Some(amounts), Some(options)) if wrong.0.is_empty() => {
                Ok(assembled(head, dates, amounts, options))
            }
            _ => Err(Error::fields(wrong.0)),
        }
    }

    fn head(&self, order: &Order, item: &OrderItem, wrong: &mut Wrong) -> Result<Option<Head>> {
        let customer = wrong.keep(number(&order.customer, 1, "order.customer"))?;
        let partner = wrong.keep(partner_of(&order.partner, "order.partner"))?;
        let plan = wrong.keep(self.plan_of(&item.product, "order.items[0].product"))?;
        if item.quantity < 1 {
            wrong.keep::<()>(Err(Error::field("order.items[0].quantity", "must be at least 1")))?;
        }
        let quantity = item.quantity;
        Ok(customer.zip(partner).zip(plan).map(|((customer, partner), plan)| Head {
            customer,
            partner,
            plan,
            quantity,
        }))
    }

    fn amounts(&self, item: &OrderItem, wrong: &mut Wrong) -> Result<Option<Amounts>> {
        let pricing = item.pricing.clone().unwrap_or_default();
        let mut amount = |name: &str, given: Option<Money>| {
            let field = format!("order.items[0].pricing.{name}");
            wrong.keep(self.amount(given, &field))
        };
        let recurring = amount("recurring_amount", pricing.recurring_amount)?;
        let purchase = amount("purchase_amount", pricing.purchase_amount)?;
        let first_plan = amount("first_plan_price", pricing.first_plan_price)?;
        let recurring_plan = amount("recurring_plan_price", pricing.recurring_plan_price)?;
        let first_payment = amount("first_payment", pricing.first_payment)?;
        let all = [&recurring, &purchase, &first_plan, &recurring_plan, &first_payment];
        let texts: Option<Vec<String>> =
            all.into_iter().map(|amount| Some(amount.as_ref()?.1.clone())).collect();
        Ok(recurring.zip(first_payment).zip(texts).map(|((recurring, first_payment), texts)| {
            Amounts { texts, recurring: recurring.0, first_payment: first_payment.0 }
        }))
    }

    /// An amount with its digits. The upstream is told no currency, so that another than the account's
    /// would be written as if it were the account's.
    fn amount(&self, given: Option<Money>, field: &str) -> Result<(Money, String)> {
        let missing = "is missing: the upstream writes the amounts that it is told";
        let amount = given.ok_or_else(|| Error::field(field, missing))?;
        if amount.currency_code != self.settings.currency() {
            let message = format!("must be {}, the account's", self.settings.currency());
            return Err(Error::field(format!("{field}.currency_code"), message));
        }
        let digits = amount.to_decimal().map_err(|error| Error::field(field, error.to_string()))?;
        if digits.starts_with('-') {
            return Err(Error::field(field, "must not be negative"));
        }
        Ok((amount, digits))
    }
}

/// Who buys what, and how much of it.
struct Head {
    customer: i64,
    partner: i64,
    plan: i64,
    quantity: i32,
}

/// For how long.
struct Dates {
    cycle: Cycle,
    plan_cycle: Cycle,
    start: String,
    due: String,
    next_due: Date,
}

/// For how much: the five texts in the order of the contract.
struct Amounts {
    texts: Vec<String>,
    recurring: Money,
    first_payment: Money,
}

/// The fifteen parameters, in the order of the document; the two that were not told are left out.
fn assembled(head: Head, dates: Dates, amounts: Amounts, options: Options) -> Line {
    let [amount, purchase, first_plan, recurring_plan, first_payment] =
        std::array::from_fn(|index| amounts.texts.get(index).cloned().unwrap_or_default());
    let mut fields =
        Fields::default().number("customer_id", head.customer).number("quantity", head.quantity);
    if let Some(subscription) = options.subscription {
        fields = fields.field("slserverid", subscription);
    }
    if let Some(server) = options.server {
        fields = fields.field("serverid", server);
    }
    let fields = fields
        .number("planid", head.plan)
        .text("regdate", dates.start)
        .number("amount", amount)
        .number("recuring_amount", purchase)
        .text("nextduedate", dates.due)
        .text("billingcycle", dates.cycle.word)
        .number("first_plan_price", first_plan)
        .number("recuring_plan_price", recurring_plan)
        .text("plan_billing_cycle", dates.plan_cycle.word)
        .number("firstpayment", first_payment)
        .number("pid", head.partner);
    Line {
        fields,
        partner: head.partner,
        cycle: dates.cycle,
        plan_cycle: dates.plan_cycle,
        next_due: dates.next_due,
        first_payment: amounts.first_payment,
        recurring: amounts.recurring,
    }
}

fn dates(item: &OrderItem, wrong: &mut Wrong) -> Result<Option<Dates>> {
    const START: &str = "order.items[0].start_date";
    const DUE: &str = "order.items[0].next_due_date";
    let term = item.term.as_ref();
    let cycle = wrong.keep(cycle(term, "order.items[0].term"))?;
    let plan_cycle = match &item.plan_term {
        None => cycle,
        plan_term => wrong.keep(self::cycle(plan_term.as_ref(), "order.items[0].plan_term"))?,
    };
    let missing = "is missing: the upstream registers the service on this day";
    let start_date = item.start_date.ok_or_else(|| Error::field(START, missing));
    let start = start_date.and_then(|date| Ok((date, written(&date, START)?)));
    let start = wrong.keep(start)?;
    let computed = match (item.next_due_date, &start, cycle) {
        (Some(given), ..) => Some(Ok(given)),
        (None, Some((start, _)), Some(cycle)) => Some(due(*start, cycle, DUE)),
        // Without a beginning or a cycle nothing more can be said of the end.
        _ => None,
    };
    let Some(next_due) = computed else { return Ok(None) };
    let next_due = next_due.and_then(|date| Ok((date, written(&date, DUE)?)));
    let Some((next_due, due)) = wrong.keep(next_due)? else { return Ok(None) };
    let (Some((start_date, start)), Some(cycle), Some(plan_cycle)) = (start, cycle, plan_cycle)
    else {
        return Ok(None);
    };
    let order = |date: &Date| (date.year, date.month, date.day);
    if order(&next_due) < order(&start_date) {
        wrong.keep::<()>(Err(Error::field(DUE, "is before the service begins")))?;
    }
    Ok(Some(Dates { cycle, plan_cycle, start, due, next_due }))
}

fn cycle(term: Option<&Term>, field: &str) -> Result<Cycle> {
    let term = term.ok_or_else(|| Error::field(field, "is missing"))?;
    Cycle::of(term, field)
}

fn due(start: Date, cycle: Cycle, field: &str) -> Result<Date> {
    let missing = format!("is missing: {} does not tell when the next payment is due", cycle.word);
    next_due(start, cycle, field)?.ok_or_else(|| Error::field(field, missing))
}

/// The two parameters that are options.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    subscription: Option<Field>,
    server: Option<Field>,
}

fn options(item: &OrderItem) -> Result<Options> {
    let mut read = Options::default();
    let mut wrong = Wrong::default();
    for (name, value) in item.options.iter().flat_map(|options| &options.fields) {
        let field = format!("order.items[0].options.{name}");
        match name.as_str() {
            "slserverid" => read.subscription = wrong.keep(subscription(&value.kind, &field))?,
            "serverid" => read.server = wrong.keep(whole(&value.kind, &field))?,
            _ => drop(wrong.keep::<()>(Err(Error::field(field, "is not an option of a plan")))?),
        }
    }
    if wrong.0.is_empty() { Ok(read) } else { Err(Error::fields(wrong.0)) }
}

/// The document calls it an integer and shows `618e16ad6764`, so that both are taken, as given.
fn subscription(value: &Option<Kind>, field: &str) -> Result<Field> {
    match value {
        Some(Kind::StringValue(text)) if (1..=MAX_TEXT).contains(&text.len()) => {
            Ok(Field::Text(text.clone()))
        }
        Some(Kind::NumberValue(_)) => whole(value, field),
        _ => Err(Error::field(field, "has to be a text or a whole number")),
    }
}

fn whole(value: &Option<Kind>, field: &str) -> Result<Field> {
    match value {
        Some(Kind::NumberValue(number))
            if number.fract() == 0.0 && (0.0..=EXACT).contains(number) =>
        {
            // Whole and below 2^53, so that its shortest decimal text is the integer.
            Ok(Field::Number(format!("{}", number.abs())))
        }
        _ => Err(Error::field(field, "has to be a whole number that is not negative")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Kind, subscription, whole};

    #[test]
    fn options_are_sent_as_they_are_given() {
        let number = |text: &str| Some(Field::Number(text.to_owned()));
        let check = |value: Kind, text: Option<Field>, whole_number: Option<Field>| {
            let value = Some(value);
            assert_eq!(subscription(&value, "f").ok(), text, "{value:?}");
            assert_eq!(whole(&value, "f").ok(), whole_number, "{value:?}");
        };
        let text = Kind::StringValue("618e16ad6764".to_owned());
        check(text, Some(Field::Text("618e16ad6764".to_owned())), None);
        check(Kind::NumberValue(7.0), number("7"), number("7"));
        check(Kind::NumberValue(-0.0), number("0"), number("0"));
        check(
            Kind::NumberValue(9_007_199_254_740_992.0),
            number("9007199254740992"),
            number("9007199254740992"),
        );
        for wrong in [0.5, -1.0, 1e17, f64::NAN, f64::INFINITY] {
            check(Kind::NumberValue(wrong), None, None);
        }
        check(Kind::StringValue(String::new()), None, None);
        check(Kind::StringValue("x".repeat(257)), None, None);
        check(Kind::BoolValue(true), None, None);
    }
}
