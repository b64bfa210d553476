//! The billing plan: which products are in it, in which phases, at what prices. It decides nothing
//! about what is missing.

use purveyor_sdk::Result;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::product::Offer;
use purveyor_sdk::v1::{Money, Price, Term};

use super::field::{Fields, not_understood};

/// A billing plan.
#[derive(Debug)]
pub(crate) struct Plan {
    /// `hour` or `month`.
    term: String,
    pub(crate) resources: Vec<Resource>,
}

/// A product in the plan.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) id: i64,
    /// None where the upstream does not tell whose resource it is.
    pub(crate) product: Option<i64>,
    pub(crate) phases: Vec<Phase>,
}

/// A stretch of a subscription.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) id: i64,
    pub(crate) phase_type: String,
    pub(crate) rules: Vec<Rule>,
}

/// One price rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: i64,
    pub(crate) currency: String,
    /// Digits; unset: without an end.
    max_qty: Option<String>,
    pub(crate) price: Money,
    /// Identifier and name.
    pub(crate) regions: Vec<(i64, String)>,
}

impl Plan {
    pub(crate) fn read(fields: &Fields) -> Result<Self> {
        let resources = fields.objects("billing_resources")?;
        Ok(Self {
            term: fields.text("term")?.unwrap_or_default(),
            resources: resources.iter().map(Resource::read).collect::<Result<_>>()?,
        })
    }

    /// The ways in which a product can be bought, in the upstream's order. The upstream meters what
    /// is used, by its plan's term.
    pub(crate) fn offers(&self, product: i64) -> Vec<Offer> {
        let resources = self.resources.iter().filter(|it| it.product == Some(product));
        let phases = resources.flat_map(|resource| &resource.phases);
        let rules = phases.flat_map(|phase| phase.rules.iter().map(move |rule| (phase, rule)));
        let offer = |(phase, rule): (&Phase, &Rule)| Offer {
            term: Some(Term::metered(self.term.clone())),
            price: Some(Price {
                upstream_currency: rule.currency.clone(),
                ..Price::of(rule.price.clone(), Tax::Unspecified)
            }),
            max_quantity: rule.max_quantity().unwrap_or_default(),
            regions: rule.regions.iter().map(|(_, name)| name.clone()).collect(),
            phase: phase.phase_type.clone(),
            ..Offer::default()
        };
        // A rule that ends inside a unit is no offer of units.
        rules.filter(|(_, rule)| rule.is_whole()).map(offer).collect()
    }

    /// A phase of a product in the plan.
    pub(crate) fn phase(&self, product: i64, phase: i64) -> Option<&Phase> {
        let resources = self.resources.iter().filter(|it| it.product == Some(product));
        resources.flat_map(|it| &it.phases).find(|it| it.id == phase)
    }

    /// The price rules of a product that no offer can show.
    pub(crate) fn unshown(&self, product: i64) -> Vec<String> {
        let resources = self.resources.iter().filter(|it| it.product == Some(product));
        let rules = resources.flat_map(|it| &it.phases).flat_map(|phase| &phase.rules);
        rules.filter(|rule| !rule.is_whole()).map(|rule| rule.id.to_string()).collect()
    }
}

impl Resource {
    fn read(fields: &Fields) -> Result<Self> {
        let phases = fields.objects("billing_phases")?;
        let product = fields.object("product")?.map(|product| product.id()).transpose()?;
        Ok(Self {
            id: fields.id()?,
            product,
            phases: phases.iter().map(Phase::read).collect::<Result<_>>()?,
        })
    }
}

impl Phase {
    fn read(fields: &Fields) -> Result<Self> {
        // The documents call them otherwise than the source does.
        let mut rules = fields.objects("prices")?;
        if rules.is_empty() {
            rules = fields.objects("billing_resource_prices")?;
        }
        Ok(Self {
            id: fields.id()?,
            phase_type: fields.text("phase_type")?.unwrap_or_default(),
            rules: rules.iter().map(Rule::read).collect::<Result<_>>()?,
        })
    }
}

impl Rule {
    fn read(fields: &Fields) -> Result<Self> {
        let currency = fields.text("currency")?.unwrap_or_default();
        let iso = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
        let code = if iso { currency.as_str() } else { "" };
        let digits = fields.decimal("price")?.ok_or_else(|| not_understood("price"))?;
        let price = Money::parse(code, &digits);
        let price = price.map_err(|error| not_understood("price").with_source(error))?;
        let region = |region: &Fields| Ok((region.id()?, region.text("name")?.unwrap_or_default()));
        let regions = fields.objects("regions")?.iter().map(region).collect::<Result<_>>()?;
        let max_qty = fields.decimal("max_qty")?;
        Ok(Self { id: fields.id()?, currency, max_qty, price, regions })
    }

    /// The largest quantity; `None` without an end, or where it is no whole number.
    pub(crate) fn max_quantity(&self) -> Option<i32> {
        let (units, decimals) =
            self.max_qty.as_deref()?.split_once('.').unwrap_or((self.max_qty.as_deref()?, ""));
        decimals.bytes().all(|digit| digit == b'0').then(|| units.parse().ok()).flatten()
    }

    fn is_whole(&self) -> bool {
        self.max_qty.is_none() || self.max_quantity().is_some_and(|max| max > 0)
    }

    /// Whether this rule stands where one for such a currency and quantity would.
    pub(crate) fn is_for(&self, currency: &str, max_quantity: Option<i32>) -> bool {
        self.currency == currency && self.is_whole() && self.max_quantity() == max_quantity
    }
}
