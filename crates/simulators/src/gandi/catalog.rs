//! Prices, and catalog.list over them. The numbers are the simulator's own: the upstream's prices
//! are not documented. It must not know accounts.

use std::collections::BTreeMap;

use dxr::Value;

use super::fault_code::{Cause, GandiFault, Object};
use super::mode::CatalogStyle;
use super::params::{self, Members};
use super::product::{Offer, Term};
use super::xmlrpc::{string, structure};
use crate::money::Cents;

/// What the hosting products cost.
#[derive(Clone, Debug)]
pub(super) struct Catalog {
    prices: BTreeMap<(&'static str, Offer, Term), Cents>,
}

/// The currencies and grids the upstream documents.
const CURRENCIES: [&str; 3] = ["EUR", "USD", "GBP"];
const GRIDS: [&str; 5] = ["A", "B", "C", "D", "E"];

/// The actions that cost something.
const ACTIONS: [&str; 3] = ["add", "renew", "update"];

impl Default for Catalog {
    /// A month's price in euros; a year costs ten months. Other currencies: 1.10 and 0.90 of it.
    fn default() -> Self {
        let months =
            [(Offer::Shares, 1200), (Offer::Cores, 500), (Offer::Disk, 12), (Offer::Memory, 30)];
        let mut prices = BTreeMap::new();
        for (offer, hundredths) in months.into_iter().chain([(Offer::Ips, 200)]) {
            for (currency, percent) in CURRENCIES.into_iter().zip([100, 110, 90]) {
                let month = Cents::new(hundredths).share(percent, 100);
                prices.insert((currency, offer, Term::Month), month);
                prices.insert((currency, offer, Term::Year), month.share(10, 1));
            }
        }
        Self { prices }
    }
}

impl Catalog {
    pub(super) fn knows(currency: &str) -> bool {
        CURRENCIES.contains(&currency)
    }

    /// The price of one unit for one term.
    pub(super) fn price(&self, currency: &str, offer: Offer, term: Term) -> Option<Cents> {
        let currency = CURRENCIES.into_iter().find(|known| *known == currency)?;
        self.prices.get(&(currency, offer, term)).copied()
    }

    /// The price of so many, or a fault when there is no such amount of money.
    pub(super) fn total(
        &self,
        currency: &str,
        offer: Offer,
        term: Term,
        quantity: i32,
    ) -> Result<Cents, GandiFault> {
        let unit = self.price(currency, offer, term);
        let total = unit.and_then(|unit| unit.times(i64::from(quantity)));
        total.ok_or_else(|| {
            GandiFault::caller(Object::Quantity, Cause::Value, "quantity has no price")
        })
    }

    /// catalog.list(apikey, opts, currency, grid, date_price).
    ///
    /// Assumptions: `description` is the product's name; both terms stand in `unit_price` as one
    /// `m` and one `y` for the whole term; every grid has the same prices; `date_price` changes
    /// nothing, for prices never change here.
    pub(super) fn list(&self, style: CatalogStyle, opts: &[Value]) -> Result<Value, GandiFault> {
        let currency = choice(opts.get(1), &CURRENCIES, Object::Currency)?;
        let grid = choice(opts.get(2), &GRIDS, Object::Grid)?;
        let query = Query::read(opts.first())?;
        let mut entries = Vec::new();
        for offer in Offer::ALL.into_iter().filter(|offer| query.wants_offer(*offer)) {
            for action in ACTIONS.into_iter().filter(|action| query.wants_action(action)) {
                entries.push(self.entry(style, currency, grid, offer, action, &query));
            }
        }
        let page = query.page.saturating_mul(query.items_per_page);
        let none = style == CatalogStyle::Absent;
        let listed = entries.into_iter().skip(page).take(query.items_per_page);
        Ok(Value::Array(if none { Vec::new() } else { listed.collect() }))
    }

    fn entry(
        &self,
        style: CatalogStyle,
        currency: &'static str,
        grid: &str,
        offer: Offer,
        action: &str,
        query: &Query,
    ) -> Value {
        let terms = [(Term::Month, "m"), (Term::Year, "y")];
        let wanted = terms.into_iter().filter(|(term, _)| query.wants_term(*term));
        let priced = wanted.filter_map(|(term, unit)| {
            let price = self.price(currency, offer, term)?;
            Some(structure([
                // Doubles exist at this edge only.
                ("price", Value::Double(price.hundredths() as f64 / 100.0)),
                ("min_duration", Value::Integer(1)),
                ("max_duration", Value::Integer(1)),
                ("duration_unit", string(unit)),
                ("currency", string(currency)),
                ("grid", string(grid)),
            ]))
        });
        let priced: Vec<Value> = priced.collect();
        let prices = if style == CatalogStyle::Priced { priced } else { Vec::new() };
        structure([
            ("action", structure([("name", string(action))])),
            (
                "product",
                structure([("type", string("hosting")), ("description", string(offer.name()))]),
            ),
            ("unit_price", Value::Array(prices)),
        ])
    }
}

/// Which entries are asked for.
struct Query {
    hosting: bool,
    descriptions: Option<Vec<String>>,
    action: Option<String>,
    months: Option<f64>,
    page: usize,
    items_per_page: usize,
}

impl Query {
    fn read(opts: Option<&Value>) -> Result<Self, GandiFault> {
        let mut opts = Members::of(opts)?;
        let product = opts.require("product", "Struct", |value| Ok(value.clone()));
        let mut product = Members::of(product.as_ref())?;
        let mut action = Members::of(opts.take("action").as_ref())?;
        let page = opts.take("page").map_or(Ok(0), |value| params::natural(&value, 0))?;
        let size =
            opts.take("items_per_page").map_or(Ok(100), |value| params::natural(&value, 1))?;
        // Understood, and without effect on a list this short in one fixed order.
        for name in ["contact_v5", "sort_by"] {
            opts.take(name);
        }
        opts.finish()?;

        let kind =
            product.require("type", "String", |value| params::text(value).map(str::to_owned));
        let descriptions = product.take("description").map(|value| texts(&value)).transpose()?;
        product.take("quantity").map(|value| params::integer(&value)).transpose()?;
        product.finish()?;

        let name = action.take("name");
        let name = name.map(|value| params::text(&value).map(str::to_owned)).transpose()?;
        let months = action.take("duration").map(|value| float(&value)).transpose()?;
        Members::of(action.take("param").as_ref())?;
        action.finish()?;
        let hosting = kind.is_some_and(|kind| kind == "hosting");
        Ok(Self { hosting, descriptions, action: name, months, page, items_per_page: size })
    }

    fn wants_offer(&self, offer: Offer) -> bool {
        let named = |wanted: &Vec<String>| wanted.iter().any(|name| name == offer.name());
        self.hosting && self.descriptions.as_ref().is_none_or(named)
    }

    fn wants_action(&self, action: &str) -> bool {
        self.action.as_ref().is_none_or(|wanted| wanted == action)
    }

    /// Assumption: `action.duration` counts months.
    fn wants_term(&self, term: Term) -> bool {
        self.months.is_none_or(|months| (months - f64::from(term.months())).abs() < 0.001)
    }
}

/// One of a few words; the first when none is given.
fn choice(
    value: Option<&Value>,
    words: &[&'static str],
    object: Object,
) -> Result<&'static str, GandiFault> {
    let word = match value {
        None | Some(Value::Nil) => return Ok(words.first().copied().unwrap_or_default()),
        Some(value) => params::text(value)?,
    };
    let known = words.iter().find(|known| **known == word);
    known.copied().ok_or_else(|| GandiFault::caller(object, Cause::Value, format!("{word:?}")))
}

/// A string or a list of strings.
fn texts(value: &Value) -> Result<Vec<String>, GandiFault> {
    match value {
        Value::Array(items) => {
            items.iter().map(|item| params::text(item).map(str::to_owned)).collect()
        }
        value => Ok(vec![params::text(value)?.to_owned()]),
    }
}

fn float(value: &Value) -> Result<f64, GandiFault> {
    match value {
        Value::Double(number) => Ok(*number),
        Value::Integer(number) => Ok(f64::from(*number)),
        _ => Err(GandiFault::caller(Object::Float, Cause::Type, "a double is due")),
    }
}
