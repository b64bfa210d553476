//! Prices as the catalogue tells them. What has no price there has none here: nothing is derived from
//! the price of something else.

use purveyor_sdk::Result;
use purveyor_sdk::money::ToldPrice;
use purveyor_sdk::xmlrpc::Value;

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
    amount: ToldPrice,
    /// `None` where what stands there says nothing of time, and so of any.
    time: Option<Time>,
}

/// Of how many units of time a price can be.
#[derive(Debug)]
struct Time {
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
    /// UPSTREAM_UNAVAILABLE where it cannot be understood. A price that is no amount, and an entry
    /// without a list of prices, hide nothing beside them.
    pub(crate) fn read(value: &Value, action: Action, currency: &str, grid: &str) -> Result<Self> {
        let entries = value.as_array().ok_or_else(|| field::not_understood("catalog.list"))?;
        let mut catalog = Self::default();
        for (index, entry) in entries.iter().enumerate() {
            let product = entry.get("product").unwrap_or(&Value::Nil);
            let named = entry.get("action").unwrap_or(&Value::Nil);
            let other = |name: Option<&str>, wanted| name.is_some_and(|name| name != wanted);
            if other(field::text(named, "name")?, action.word())
                || other(field::text(product, "type")?, "hosting")
            {
                continue;
            }
            let Some(description) = field::text(product, "description")? else { continue };
            let at = format!("catalog.list[{index}]");
            let prices = UnitPrice::all(entry, &at, currency, grid);
            catalog.entries.push(Entry { description: description.to_owned(), prices });
        }
        Ok(catalog)
    }

    /// Adds the entries of a further page.
    pub(crate) fn extend(&mut self, more: Self) {
        self.entries.extend(more.entries);
    }

    /// The price of one unit of a product for one duration. `None` also where the catalogue has two
    /// different ones: neither would be more than a guess. One that is no amount is told before those
    /// beside it, because the upstream may charge by it.
    pub(crate) fn price(&self, description: &str, duration: Duration) -> Option<ToldPrice> {
        let entries = self.entries.iter().filter(|entry| entry.description == description);
        let prices: Vec<&UnitPrice> = entries.flat_map(|entry| &entry.prices).collect();
        for (unit, count) in spellings(duration) {
            let fits = prices.iter().filter(|price| price.is_for(unit, count));
            let mut found: Vec<&ToldPrice> = fits.map(|price| &price.amount).collect();
            found.dedup_by(|one, other| one.same(other));
            if let Some(wrong) = found.iter().find(|price| price.notice().is_some()) {
                return Some((*wrong).clone());
            }
            match found.as_slice() {
                [] => {}
                [one] => return Some(one.times(count)),
                _ => return None,
            }
        }
        None
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
    /// The prices of an entry in one currency and grid.
    fn all(entry: &Value, at: &str, currency: &str, grid: &str) -> Vec<Self> {
        let Some(prices) = field::present(entry, "unit_price") else { return Vec::new() };
        let Some(rows) = prices.as_array() else {
            let path = format!("{at}.unit_price");
            let amount = ToldPrice::none(path, &field::written(prices), currency);
            return vec![Self { amount, time: None }];
        };
        let rows = rows.iter().enumerate();
        rows.filter_map(|(index, row)| {
            Self::read(row, &format!("{at}.unit_price[{index}]"), currency, grid)
        })
        .collect()
    }

    /// `None` for another currency or grid, and for a price without an amount.
    fn read(value: &Value, at: &str, currency: &str, grid: &str) -> Option<Self> {
        // A word of another type is another word.
        let word = |name: &str| field::present(value, name).map(field::written);
        if word("currency").as_deref() != Some(currency)
            || word("grid").is_some_and(|told| told != grid)
        {
            return None;
        }
        let amount = field::price(value, "price", at, currency)?;
        let bound = |name: &'static str| field::int(value, name).map_err(|_| name);
        let (least, most) = match (bound("min_duration"), bound("max_duration")) {
            (Ok(least), Ok(most)) => (least.unwrap_or(1), most.unwrap_or(i64::MAX)),
            (Err(name), _) | (_, Err(name)) => {
                let path = format!("{at}.{name}");
                let amount = ToldPrice::none(path, &word(name).unwrap_or_default(), currency);
                return Some(Self { amount, time: None });
            }
        };
        let unit = word("duration_unit").unwrap_or_default();
        Some(Self { amount, time: Some(Time { unit, least, most }) })
    }

    fn is_for(&self, unit: &str, count: i64) -> bool {
        let is = |time: &Time| time.unit == unit && (time.least..=time.most).contains(&count);
        self.time.as_ref().is_none_or(is)
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Catalog, Duration};
    use purveyor_sdk::v1::price::Tax;
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
        let price = catalog.price("disk", duration)?.price(Tax::Included);
        Some(price.amount.map_or(price.display_text, |amount| amount.to_decimal().unwrap()))
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
        check(vec![eur("0.1", "m", 1), eur("1e-1", "m", 1)], Some("0.1"), None);
        check(vec![eur("1e1", "m", 12)], Some("10"), Some("120"));
        check(vec![eur("0.00000000025", "m", 12)], Some("0"), Some("0.000000003"));
        check(vec![eur("nan", "m", 1), eur("0.2", "m", 1)], Some("nan"), None);
        check(vec![eur("nan", "m", 1), eur("0.2", "y", 1)], Some("nan"), Some("0.2"));
        check(vec![eur("1e400", "m", 12)], Some("1e400"), Some("1e400"));
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
        assert_eq!(catalog.price("disk", Duration::Month), None);
    }

    #[test]
    fn an_entry_that_is_none_hides_no_other() {
        fn check(wrong: Value, expected: Option<&str>) {
            let mut wrong = vec![wrong];
            assert_eq!(told(wrong.clone(), Duration::Month).as_deref(), expected);
            let mut other = entry("add", vec![price("1.0", "m", 1, "EUR")]);
            if let Value::Struct(members) = &mut other {
                let named = [("type", "hosting".into()), ("description", "ips".into())];
                members.insert("product".to_owned(), Value::from(named));
            }
            wrong.push(other);
            let catalog = Catalog::read(&Value::Array(wrong), Action::Add, "EUR", "A").unwrap();
            assert!(catalog.price("ips", Duration::Month).unwrap().notice().is_none());
        }
        check(entry("add", vec![price("n/a", "m", 1, "EUR")]), Some("n/a"));
        check(entry("add", vec![Value::Int(3)]), None);
        let listless = Value::from([
            ("product", Value::from([("description", "disk".into())])),
            ("unit_price", Value::Int(3)),
        ]);
        check(listless, Some("3"));
        let cases = [("currency", Value::Int(1), None), ("max_duration", "x".into(), Some("x"))];
        for (name, wrong, expected) in cases {
            let mut row = price("1.0", "m", 1, "EUR");
            if let Value::Struct(members) = &mut row {
                members.insert(name.to_owned(), wrong);
            }
            check(entry("add", vec![row]), expected);
        }
        assert!(Catalog::read(&Value::Nil, Action::Add, "EUR", "A").is_err());
    }
}
