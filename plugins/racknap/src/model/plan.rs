//! The details of a plan, of which the document says nothing. What looks like an amount becomes an offer
//! and everything else an attribute, so that nothing is dropped and no amount goes where none belongs.
//!
//! Assumptions: an amount is a number, or a text with a digit in it, below a member whose name speaks of
//! money or is a billing cycle, or any text that says something and whose own name ends in a word for
//! money; its cycle is that name, or stands beside it as `billingcycle`; the plan's name is `name` or
//! `plan_name`.

use purveyor_sdk::money::ToldPrice;
use purveyor_sdk::prost_types::Struct;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::product::Offer;
use purveyor_sdk::v1::{Notice, Price, Term};

use super::{Cycle, Tree};

/// The parts of names that speak of money.
const MONEY: [&str; 6] = ["price", "amount", "cost", "fee", "payment", "charge"];

/// Members that have a place of their own.
const PLACED: [&str; 4] = ["status", "message", "name", "plan_name"];

/// What is read of a plan.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) offers: Vec<Offer>,
    /// What a reader should know of prices that are no amounts.
    pub(crate) notices: Vec<Notice>,
    pub(crate) attributes: Struct,
}

/// In which currency the amounts are.
pub(crate) struct Currency<'a> {
    pub(crate) code: &'a str,
    /// The upstream's number.
    pub(crate) number: u32,
    pub(crate) tax: Tax,
}

/// What stands around a value.
#[derive(Clone, Copy, Default)]
struct Around<'a> {
    /// The name of the member that speaks of money.
    money: Option<&'a str>,
    /// The word of the cycle.
    cycle: Option<&'a str>,
    /// Whether the value itself is named by its cycle.
    keyed: bool,
    /// Whether the value's own name says that it is an amount.
    own: bool,
}

impl Plan {
    pub(crate) fn read(answer: &Tree, currency: &Currency<'_>) -> Self {
        let text = |name: &str| answer.get(name).and_then(Tree::text);
        let name = text("name").or_else(|| text("plan_name")).unwrap_or_default().to_owned();
        let mut plan = Self { name, ..Self::default() };
        let around = within(answer, Around::default());
        for (name, value) in answer.members() {
            if PLACED.contains(&name.as_str()) && value.text().is_some() {
                continue;
            }
            if let Some(rest) = plan.take(value, named(name, around), name, currency) {
                plan.attributes.fields.insert(name.clone(), rest.shown());
            }
        }
        plan
    }

    /// Takes the amounts out of the value at a place and answers what is left, if anything is.
    fn take(
        &mut self,
        value: &Tree,
        around: Around<'_>,
        at: &str,
        currency: &Currency<'_>,
    ) -> Option<Tree> {
        match value {
            Tree::Number(text) | Tree::Text(text) if is_amount(text, around) => {
                let told = ToldPrice::new(at, text, currency.code);
                self.notices.extend(told.notice());
                self.offers.push(offer(&told, around, currency));
                None
            }
            Tree::List(values) => {
                let rows = values.iter().enumerate();
                let left: Vec<_> = rows
                    .filter_map(|(row, value)| {
                        self.take(value, around, &format!("{at}[{row}]"), currency)
                    })
                    .collect();
                (left.is_empty() == values.is_empty()).then_some(Tree::List(left))
            }
            Tree::Object(members) => {
                let (inside, offers) = (within(value, around), self.offers.len());
                let mut left = Vec::new();
                for (name, value) in members {
                    let at = format!("{at}.{name}");
                    let rest = self.take(value, named(name, inside), &at, currency);
                    left.extend(rest.map(|rest| (name.clone(), rest)));
                }
                // The cycle went with the amounts that stood beside it.
                if self.offers.len() > offers {
                    left.retain(|(name, _)| !is_cycle_member(name));
                }
                (left.is_empty() == members.is_empty()).then_some(Tree::Object(left))
            }
            other => Some(other.clone()),
        }
    }
}

/// What stands around the members of an object.
fn within<'a>(object: &'a Tree, around: Around<'a>) -> Around<'a> {
    let cycle = object.members().iter().find(|(name, _)| is_cycle_member(name));
    let cycle = cycle.and_then(|(_, value)| value.text()).or(around.cycle);
    Around { cycle, keyed: false, own: false, ..around }
}

/// What stands around the value of a member.
fn named<'a>(name: &'a str, around: Around<'a>) -> Around<'a> {
    if Cycle::of_word(name).is_some() {
        return Around { cycle: Some(name), keyed: true, own: around.money.is_some(), ..around };
    }
    let lower = name.to_lowercase();
    let money = MONEY.iter().any(|part| lower.contains(part)).then_some(name);
    let own = MONEY.iter().any(|part| lower.ends_with(part));
    Around { money: money.or(around.money), own, ..around }
}

fn is_cycle_member(name: &str) -> bool {
    matches!(name, "billingcycle" | "billing_cycle" | "plan_billing_cycle")
}

fn is_amount(text: &str, around: Around<'_>) -> bool {
    let speaks = around.money.is_some() || around.keyed;
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    (speaks && has_digit) || (around.own && !text.trim().is_empty())
}

/// An amount as an offer, under the upstream's name of it.
fn offer(told: &ToldPrice, around: Around<'_>, currency: &Currency<'_>) -> Offer {
    let upstream_currency = currency.number.to_string();
    let price = Price { upstream_currency, ..told.price(currency.tax) };
    let term: Option<Term> = around.cycle.map(Cycle::term_of);
    let phase = around.money.unwrap_or_default().to_owned();
    Offer { term, price: Some(price), phase, ..Offer::default() }
}

#[cfg(test)]
mod tests {
    use super::{Currency, Plan, Tax, Tree};

    fn read(json: &str) -> Plan {
        let currency = Currency { code: "INR", number: 1, tax: Tax::Excluded };
        Plan::read(&Tree::read(json.as_bytes()).unwrap(), &currency)
    }

    /// The offers as `period|upstream cycle|phase|amount or text`, and the names of the attributes.
    fn check(json: &str, offers: &[&str], attributes: &[&str]) {
        let plan = read(json);
        let found: Vec<_> = plan
            .offers
            .iter()
            .map(|offer| {
                let term = offer.term.clone().unwrap_or_default();
                let price = offer.price.as_ref().unwrap();
                let amount = match &price.amount {
                    Some(amount) => amount.to_string(),
                    None => price.display_text.clone(),
                };
                assert_eq!(price.upstream_currency, "1");
                format!("{}|{}|{}|{amount}", term.period, term.upstream_value, offer.phase)
            })
            .collect();
        assert_eq!(found, offers, "{json}");
        assert_eq!(plan.attributes.fields.keys().collect::<Vec<_>>(), attributes, "{json}");
    }

    #[test]
    fn amounts_become_offers_wherever_they_stand() {
        let row =
            r#"{"billingcycle": "Monthly", "first_plan_price": 10.50, "recuring_plan_price": "9"}"#;
        let both =
            ["P1M|Monthly|first_plan_price|10.5 INR", "P1M|Monthly|recuring_plan_price|9 INR"];
        check(&format!(r#"{{"pricing": [{row}]}}"#), &both, &[]);
        check(&format!(r#"{{"data": {{"pricing": {row}, "cpu": 2}}}}"#), &both, &["data"]);
        check(
            r#"{"monthly": 5, "Annually": "55.00", "Yearly": 60}"#,
            &["P1M|monthly||5 INR", "P1Y|Annually||55 INR"],
            &["Yearly"],
        );
        check(r#"{"price": {"Monthly": 5}}"#, &["P1M|Monthly|price|5 INR"], &[]);
        check(
            r#"{"Monthly": {"price": 5, "sku": "a"}}"#,
            &["P1M|Monthly|price|5 INR"],
            &["Monthly"],
        );
        check(r#"{"setup_fee": "1.00"}"#, &["||setup_fee|1 INR"], &[]);
        check(
            r#"{"billingcycle": "Fortnightly", "price": 3}"#,
            &["|Fortnightly|price|3 INR"],
            &["billingcycle"],
        );
    }

    #[test]
    fn an_amount_in_any_spelling_is_read_or_shown() {
        fn spelled(value: &str, expected: &str, notice: Option<&str>) {
            let json = format!(r#"{{"pricing": [{{"price": {value}}}, {{"price": 5}}]}}"#);
            let rows = [format!("||price|{expected}"), "||price|5 INR".to_owned()];
            check(&json, &rows.each_ref().map(String::as_str), &[]);
            let places: Vec<_> = read(&json).notices.into_iter().map(|it| it.source).collect();
            assert_eq!(places, Vec::from_iter(notice), "{json}");
        }
        let place = Some("pricing[0].price");
        spelled("1e3", "1000 INR", None);
        spelled(r#""48.0000000000""#, "48 INR", None);
        spelled("-0.5", "-0.5 INR", None);
        spelled("0.1234567891", "0.123456789 INR", None);
        spelled(r#""₹ 48.00""#, "₹ 48.00", place);
        spelled(r#""1,234.50""#, "1,234.50", place);
        spelled(r#""n/a""#, "n/a", place);
        spelled(r#""NaN""#, "NaN", place);
        spelled("1e400", "1e400", place);
        let rounded = read(r#"{"price": "0.1234567891"}"#).offers[0].price.clone().unwrap();
        assert_eq!(rounded.display_text, "0.1234567891");
        assert_eq!(rounded.ceiling.unwrap().to_string(), "0.12345679 INR");
        check(
            r#"{"price": {"Monthly": "n/a", "sku": "a"}}"#,
            &["P1M|Monthly|price|n/a"],
            &["price"],
        );
        // What says nothing is no amount that is not understood.
        check(r#"{"price": "", "fee": null}"#, &[], &["fee", "price"]);
    }

    #[test]
    fn everything_else_is_an_attribute() {
        check(
            r#"{"status": "Success", "message": "m", "name": "n", "planid": 24, "ram": {"size": 4096},
                "price_type": "fixed", "prices_with_tax": true, "os": ["a"], "none": null, "empty": []}"#,
            &[],
            &["empty", "none", "os", "planid", "price_type", "prices_with_tax", "ram"],
        );
        assert_eq!(read(r#"{"name": "Office 365"}"#).name, "Office 365");
        // A member of another type than its place has goes where nothing is dropped.
        check(r#"{"name": ["a"], "message": 7}"#, &[], &["message", "name"]);
        check("[1]", &[], &[]);
    }
}
