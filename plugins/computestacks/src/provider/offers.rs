//! Offers of a request as price rules of the upstream: one rule for each offer, in the final phase,
//! for the regions that the offer names.

use purveyor_sdk::plugin::v1::FieldViolation;
use purveyor_sdk::v1::product::Offer;
use purveyor_sdk::v1::term::Kind;
use purveyor_sdk::v1::{Money, Product};
use purveyor_sdk::{Error, Result};

use crate::config::ComputeStacksConfig;

/// The phase without an end, which every billing resource begins with.
pub(super) const FINAL: &str = "final";

/// One price rule as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) price: Money,
    /// Set where the caller gives back a price that was shown rounded.
    pub(super) ceiling: Option<Money>,
    pub(super) max_quantity: Option<i32>,
    /// Identifiers, in order.
    pub(super) regions: Vec<i64>,
}

/// The rules that the offers of a product ask for.
///
/// # Errors
///
/// FIELD_VIOLATION with every mistake.
pub(super) fn lines(config: &ComputeStacksConfig, product: &Product) -> Result<Vec<Line>> {
    let mut wrong = Wrong::default();
    if !product.offers.is_empty() && config.billing_plan.is_none() {
        wrong.add("product.offers", "the configuration names no billing plan to put them into");
        return Err(Error::fields(wrong.found));
    }
    let mut lines: Vec<Line> = Vec::new();
    for (index, offer) in product.offers.iter().enumerate() {
        let field = format!("product.offers[{index}]");
        let Some(line) = line(config, offer, &field, &mut wrong) else { continue };
        if lines.iter().any(|other| other.collides(&line)) {
            wrong.add(field, "is for a currency, quantity and region that another offer is for");
        }
        lines.push(line);
    }
    if wrong.found.is_empty() { Ok(lines) } else { Err(Error::fields(wrong.found)) }
}

impl Line {
    pub(super) fn currency(&self) -> &str {
        &self.price.currency_code
    }

    /// Whether the upstream would take one for the other.
    fn collides(&self, other: &Self) -> bool {
        self.currency() == other.currency()
            && self.max_quantity == other.max_quantity
            && self.regions.iter().any(|region| other.regions.contains(region))
    }
}

#[derive(Default)]
struct Wrong {
    found: Vec<FieldViolation>,
}

impl Wrong {
    fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.found.push(FieldViolation { field: field.into(), description: description.into() });
    }
}

fn line(
    config: &ComputeStacksConfig,
    offer: &Offer,
    field: &str,
    wrong: &mut Wrong,
) -> Option<Line> {
    let metered = offer.term.as_ref().is_none_or(|term| {
        matches!(term.kind(), Kind::Metered | Kind::Unspecified) && term.period.is_empty()
    });
    if !metered {
        wrong.add(format!("{field}.term"), "the upstream meters by its billing plan's own term");
    }
    if offer.min_quantity > 1 {
        wrong.add(format!("{field}.min_quantity"), "begins where the rule below ends");
    }
    if !matches!(offer.phase.as_str(), "" | FINAL) {
        wrong.add(format!("{field}.phase"), "only the final phase is made here");
    }
    let regions = regions(config, offer, field, wrong);
    let amount = offer.price.as_ref().and_then(|price| price.amount.clone());
    let currency = amount.as_ref().is_some_and(|amount| !amount.currency_code.is_empty());
    if !currency {
        wrong.add(format!("{field}.price"), "needs an amount with its currency");
    }
    let negative = amount.as_ref().is_some_and(|it| it.units < 0 || it.nanos < 0);
    if negative {
        wrong.add(format!("{field}.price.amount"), "must not be negative");
    }
    let max_quantity = Some(offer.max_quantity).filter(|max| *max > 0);
    let ceiling = offer.price.as_ref().and_then(|price| price.ceiling.as_deref().cloned());
    Some(Line { price: amount.filter(|_| currency)?, ceiling, max_quantity, regions: regions? })
}

/// The regions of an offer; all that are configured where it names none.
fn regions(
    config: &ComputeStacksConfig,
    offer: &Offer,
    field: &str,
    wrong: &mut Wrong,
) -> Option<Vec<i64>> {
    let field = format!("{field}.regions");
    let mut ids: Vec<i64> = if offer.regions.is_empty() {
        config.regions.values().copied().collect()
    } else {
        let known = |name: &String| config.regions.get(name).copied();
        let ids: Option<Vec<i64>> = offer.regions.iter().map(known).collect();
        if ids.is_none() {
            wrong.add(&field, "names a region that the configuration does not");
        }
        ids?
    };
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        wrong.add(&field, "the configuration names no region, and every rule needs one");
    }
    (!ids.is_empty()).then_some(ids)
}

#[cfg(test)]
mod tests {
    use super::{Line, Money, Offer, Product, lines};
    use crate::config::ComputeStacksConfig;
    use purveyor_sdk::Period;
    use purveyor_sdk::v1::price::Tax;
    use purveyor_sdk::v1::{Price, Term};

    fn config() -> ComputeStacksConfig {
        ComputeStacksConfig {
            billing_plan: Some(1),
            regions: [("fra".to_owned(), 7), ("nyc".to_owned(), 2)].into(),
            ..ComputeStacksConfig::default()
        }
    }

    fn offer(amount: &str) -> Offer {
        let amount = Money::parse("EUR", amount).unwrap();
        let price = Some(Price::of(amount, Tax::Unspecified));
        Offer { price, term: Some(Term::metered("")), ..Offer::default() }
    }

    fn fields(config: &ComputeStacksConfig, offers: Vec<Offer>) -> Vec<String> {
        let product = Product { offers, ..Product::default() };
        let violations = lines(config, &product).err().map(|error| error.violations);
        violations.into_iter().flatten().map(|it| it.field).collect()
    }

    #[test]
    fn an_offer_is_a_rule_for_its_regions() {
        let one = Offer { regions: vec!["fra".to_owned()], max_quantity: 5, ..offer("0.00535") };
        let product = Product { offers: vec![one, offer("2")], ..Product::default() };
        let price = |text| Money::parse("EUR", text).unwrap();
        let expected = [
            Line {
                price: price("0.00535"),
                ceiling: None,
                max_quantity: Some(5),
                regions: vec![7],
            },
            Line { price: price("2"), ceiling: None, max_quantity: None, regions: vec![2, 7] },
        ];
        assert_eq!(lines(&config(), &product).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        fn check(change: impl FnOnce(&mut Offer), expected: &str) {
            let mut offer = offer("1");
            change(&mut offer);
            assert_eq!(fields(&config(), vec![offer]), [format!("product.offers[0].{expected}")]);
        }
        check(|it| it.term = Some(Term::recurring(Period::Months(1), "")), "term");
        check(|it| it.min_quantity = 2, "min_quantity");
        check(|it| it.phase = "trial".to_owned(), "phase");
        check(|it| it.regions = vec!["mars".to_owned()], "regions");
        check(|it| it.price = None, "price");
        check(
            |it| it.price = Some(Price::of(Money::parse("", "1").unwrap(), Tax::Unspecified)),
            "price",
        );
        check(|it| it.price = offer("-1").price, "price.amount");
        let again = Offer { regions: vec!["nyc".to_owned()], ..offer("2") };
        assert_eq!(fields(&config(), vec![offer("1"), again]), ["product.offers[1]"]);
        let tier = Offer { max_quantity: 5, ..offer("2") };
        assert!(fields(&config(), vec![offer("1"), tier]).is_empty());
    }

    #[test]
    fn offers_need_a_plan_and_regions() {
        let without = ComputeStacksConfig { billing_plan: None, ..config() };
        assert_eq!(fields(&without, vec![offer("1")]), ["product.offers"]);
        assert!(fields(&without, vec![]).is_empty());
        let nowhere = ComputeStacksConfig { regions: Default::default(), ..config() };
        assert_eq!(fields(&nowhere, vec![offer("1")]), ["product.offers[0].regions"]);
    }
}
