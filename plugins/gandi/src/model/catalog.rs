//! Prices as the catalogue tells them. What has no price there has none here: nothing is derived from
//! the price of something else.

use purveyor_sdk::v1::Money;
use purveyor_sdk::xmlrpc::Value;
use purveyor_sdk::{Error, Result};

use super::field;
use super::term::Duration;

/// What a price is for; `action.name` upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Add,
    Renew,
    Update,
}

/// The prices of one action in one currency and one grid.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    description: String,
    prices: Vec<UnitPrice>,
}

/// A price for one unit of quantity and one unit of time.
#[derive(Debug)]
struct UnitPrice {
    amount: Money,
    unit: String,
    least: i64,
    most: i64,
}

impl Action {
    /// The upstream's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Renew => "renew",
            Self::Update => "update",
        }
    }
}

impl Catalog {
    /// Reads what `catalog.list` answers, and keeps the entries of this action, currency and grid.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE where it cannot be understood; an amount that is none is no price.
    pub(crate) fn read(value: &Value, action: Action, currency: &str, grid: &str) -> Result<Self> {
        let entries = value.as_array().ok_or_else(|| field::not_understood("catalog.list"))?;
        let mut catalog = Self::default();
        for entry in entries {
            let product = entry.get("product").unwrap_or(&Value::Nil);
            let named = entry.get("action").unwrap_or(&Value::Nil);
            let other = |name: Option<&str>, wanted| name.is_some_and(|name| name != wanted);
            if other(field::text(named, "name")?, action.word())
                || other(field::text(product, "type")?, "hosting")
            {
                continue;
            }
            let Some(description) = field::text(product, "description")? else { continue };
            let prices = field::present(entry, "unit_price").map_or(Ok(&[][..]), |prices| {
                prices.as_array().ok_or_else(|| field::not_understood("unit_price"))
            })?;
            let prices = prices.iter().map(|price| UnitPrice::read(price, currency, grid));
            let prices = prices.filter_map(Result::transpose).collect::<Result<_>>()?;
            catalog.entries.push(Entry { description: description.to_owned(), prices });
        }
        Ok(catalog)
    }

    /// Adds the entries of a further page.
    pub(crate) fn extend(&mut self, more: Self) {
        self.entries.extend(more.entries);
    }

    /// The price of one unit of a product for one duration. `None` also where the catalogue has two
    /// different ones: neither would be more than a guess.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE for an amount that no money can hold.
    pub(crate) fn price(&self, description: &str, duration: Duration) -> Result<Option<Money>> {
        let entries = self.entries.iter().filter(|entry| entry.description == description);
        let prices: Vec<&UnitPrice> = entries.flat_map(|entry| &entry.prices).collect();
        for (unit, count) in spellings(duration) {
            let fits = |price: &&&UnitPrice| {
                price.unit == unit && (price.least..=price.most).contains(&count)
            };
            let mut found: Vec<&Money> =
                prices.iter().filter(fits).map(|price| &price.amount).collect();
            found.dedup();
            match found.as_slice() {
                [] => {}
                [one] => {
                    let total = one.checked_mul(count);
                    return total.map(Some).map_err(|error| {
                        Error::unavailable("the catalogue's price is out of range")
                            .with_source(error)
                    });
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// The ways in which the catalogue can say a duration, the most direct first.
/// Assumption: a unit price is for one `duration_unit`.
fn spellings(duration: Duration) -> Vec<(&'static str, i64)> {
    match duration {
        Duration::Month => vec![("m", 1)],
        Duration::Year => vec![("y", 1), ("m", duration.months())],
    }
}

impl UnitPrice {
    /// `None` for another currency or grid, and for a price without an amount.
    fn read(value: &Value, currency: &str, grid: &str) -> Result<Option<Self>> {
        let told = field::text(value, "currency")?;
        if told != Some(currency) || field::text(value, "grid")?.is_some_and(|told| told != grid) {
            return Ok(None);
        }
        let Some(digits) = field::decimal(value, "price")? else { return Ok(None) };
        let amount = Money::parse(currency, &digits);
        let amount = amount.map_err(|error| field::not_understood("price").with_source(error))?;
        let least = field::int(value, "min_duration")?.unwrap_or(1);
        Ok(Some(Self {
            amount,
            unit: field::text(value, "duration_unit")?.unwrap_or_default().to_owned(),
            least,
            most: field::int(value, "max_duration")?.unwrap_or(i64::MAX),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Catalog, Duration};
    use purveyor_sdk::xmlrpc::Value;

    fn price(amount: &str, unit: &str, most: i64, currency: &str) -> Value {
        Value::from([
            ("price", Value::Double(amount.to_owned())),
            ("min_duration", Value::Int(1)),
            ("max_duration", Value::Int(most)),
            ("duration_unit", unit.into()),
            ("currency", currency.into()),
            ("grid", "A".into()),
        ])
    }

    fn entry(action: &str, prices: Vec<Value>) -> Value {
        Value::from([
            ("action", Value::from([("name", action.into())])),
            ("product", Value::from([("type", "hosting".into()), ("description", "disk".into())])),
            ("unit_price", Value::Array(prices)),
        ])
    }

    fn told(entries: Vec<Value>, duration: Duration) -> Option<String> {
        let catalog = Catalog::read(&Value::Array(entries), Action::Add, "EUR", "A").unwrap();
        catalog.price("disk", duration).unwrap().map(|amount| amount.to_decimal().unwrap())
    }

    #[test]
    fn prices_are_read_digit_by_digit() {
        fn check(prices: Vec<Value>, month: Option<&str>, year: Option<&str>) {
            let entries = vec![entry("add", prices)];
            assert_eq!(told(entries.clone(), Duration::Month).as_deref(), month);
            assert_eq!(told(entries, Duration::Year).as_deref(), year);
        }
        let eur = |amount, unit, most| price(amount, unit, most, "EUR");
        check(vec![eur("0.1", "m", 1), eur("0.29", "y", 1)], Some("0.1"), Some("0.29"));
        check(vec![eur("0.1", "m", 12)], Some("0.1"), Some("1.2"));
        check(vec![eur("0.1", "m", 11)], Some("0.1"), None);
        check(vec![eur("0.1", "m", 1), eur("0.2", "m", 1)], None, None);
        check(vec![price("0.1", "m", 1, "USD")], None, None);
        check(vec![], None, None);
    }

    #[test]
    fn other_actions_and_types_have_no_say() {
        let prices = vec![price("1.0", "m", 1, "EUR")];
        assert_eq!(told(vec![entry("renew", prices.clone())], Duration::Month), None);
        assert_eq!(told(vec![], Duration::Month), None);
        let unpriced = Value::from([
            ("product", Value::from([("type", "hosting".into()), ("description", "disk".into())])),
            ("unit_price", Value::from("")),
        ]);
        assert_eq!(
            told(vec![unpriced, entry("add", prices)], Duration::Month).as_deref(),
            Some("1")
        );
    }

    #[test]
    fn another_grid_has_no_say() {
        let entries = Value::Array(vec![entry("add", vec![price("1.0", "m", 1, "EUR")])]);
        let catalog = Catalog::read(&entries, Action::Add, "EUR", "B").unwrap();
        assert_eq!(catalog.price("disk", Duration::Month).unwrap(), None);
    }

    #[test]
    fn what_is_no_price_is_refused() {
        fn check(value: Value) {
            assert!(Catalog::read(&value, Action::Add, "EUR", "A").is_err(), "{value:?}");
        }
        check(Value::Nil);
        check(Value::Array(vec![entry("add", vec![price("1e3", "m", 1, "EUR")])]));
        check(Value::Array(vec![entry("add", vec![price("0.1234567891", "m", 1, "EUR")])]));
        check(Value::Array(vec![Value::from([
            ("product", Value::from([("description", "disk".into())])),
            ("unit_price", Value::Int(3)),
        ])]));
    }
}
