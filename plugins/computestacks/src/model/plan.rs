//! The billing plan: which products are in it, in which phases, at what prices. It decides nothing
//! about what is missing.

use purveyor_sdk::Result;
use purveyor_sdk::money::{Decimal, ToldPrice};
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::product::Offer;
use purveyor_sdk::v1::{Notice, Term};

use super::field::Fields;

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
    /// As the upstream wrote it; unset: without an end.
    max_qty: Option<String>,
    pub(crate) price: ToldPrice,
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
            price: Some(rule.price.price(Tax::Unspecified)),
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
        let rules = self.rules(product).filter(|rule| !rule.is_whole());
        rules.map(|rule| rule.id.to_string()).collect()
    }

    /// What a reader should know of prices of a product that are no amounts.
    pub(crate) fn notices(&self, product: i64) -> Vec<Notice> {
        self.rules(product).filter_map(|rule| rule.price.notice()).collect()
    }

    /// The same of every price in the plan.
    pub(crate) fn all_notices(&self) -> Vec<Notice> {
        let rules = self.resources.iter().flat_map(|it| &it.phases).flat_map(|it| &it.rules);
        rules.filter_map(|rule| rule.price.notice()).collect()
    }

    fn rules(&self, product: i64) -> impl Iterator<Item = &Rule> {
        let resources = self.resources.iter().filter(move |it| it.product == Some(product));
        resources.flat_map(|it| &it.phases).flat_map(|phase| &phase.rules)
    }
}

impl Resource {
    fn read(fields: &Fields) -> Result<Self> {
        let phases = fields.objects("billing_phases")?;
        let product = fields.object("product")?.map(|product| product.id()).transpose()?;
        let id = fields.id()?;
        let at = format!("billing_resources/{id}");
        let phases = phases.iter().map(|phase| Phase::read(phase, &at)).collect::<Result<_>>()?;
        Ok(Self { id, product, phases })
    }
}

impl Phase {
    fn read(fields: &Fields, at: &str) -> Result<Self> {
        // The documents call them otherwise than the source does.
        let mut rules = fields.objects("prices")?;
        if rules.is_empty() {
            rules = fields.objects("billing_resource_prices")?;
        }
        let id = fields.id()?;
        let at = format!("{at}/billing_phases/{id}");
        Ok(Self {
            id,
            phase_type: fields.text("phase_type")?.unwrap_or_default(),
            rules: rules.iter().map(|rule| Rule::read(rule, &at)).collect::<Result<_>>()?,
        })
    }
}

impl Rule {
    fn read(fields: &Fields, at: &str) -> Result<Self> {
        let id = fields.id()?;
        let currency = fields.written("currency").unwrap_or_default();
        let at = format!("{at}/billing_resource_prices/{id}");
        let price = fields.price("price", &at, &currency);
        let region = |region: &Fields| Ok((region.id()?, region.text("name")?.unwrap_or_default()));
        let regions = fields.objects("regions")?.iter().map(region).collect::<Result<_>>()?;
        Ok(Self { id, currency, max_qty: fields.written("max_qty"), price, regions })
    }

    /// The largest quantity; `None` without an end, or where it is no whole number.
    pub(crate) fn max_quantity(&self) -> Option<i32> {
        let number = Decimal::parse(self.max_qty.as_deref()?).ok()?;
        number.whole().and_then(|whole| whole.try_into().ok())
    }

    fn is_whole(&self) -> bool {
        self.max_qty.is_none() || self.max_quantity().is_some_and(|max| max > 0)
    }

    /// Whether this rule stands where one for such a currency and quantity would.
    pub(crate) fn is_for(&self, currency: &str, max_quantity: Option<i32>) -> bool {
        self.currency == currency && self.is_whole() && self.max_quantity() == max_quantity
    }
}

#[cfg(test)]
mod tests {
    use super::Plan;
    use purveyor_sdk::serde_json;

    /// The offers of a product with one rule beside a good one, as `amount or text|ceiling|quantity`,
    /// and how many notices there are.
    fn offers(rule: &str) -> (Vec<String>, usize) {
        let json = format!(
            r#"{{"term":"month","billing_resources":[{{"id":4,"product":{{"id":9}},"billing_phases":[
            {{"id":6,"phase_type":"final","prices":[{{"id":8,"regions":[],{rule}}},
            {{"id":9,"regions":[],"currency":"EUR","max_qty":null,"price":"2.0"}}]}}]}}]}}"#
        );
        let plan = Plan::read(&serde_json::from_str(&json).unwrap()).unwrap();
        let shown = plan.offers(9).into_iter().map(|offer| {
            let price = offer.price.unwrap();
            let text = price.amount.map_or(price.display_text, |amount| amount.to_string());
            let ceiling = price.ceiling.map(|it| it.to_string()).unwrap_or_default();
            format!("{text}|{ceiling}|{}", offer.max_quantity)
        });
        (shown.collect(), plan.notices(9).len())
    }

    #[test]
    fn a_price_in_any_spelling_hides_no_other() {
        fn check(price: &str, expected: &str, notices: usize) {
            let rule = format!(r#""currency":"EUR","max_qty":"5.0000000000","price":{price}"#);
            let shown = [format!("{expected}|5"), "2 EUR||0".to_owned()].to_vec();
            assert_eq!(offers(&rule), (shown, notices), "{price}");
        }
        check(r#""0.0001369863""#, "0.000136986 EUR|0.000136987 EUR", 0);
        check(r#""0.1000000000""#, "0.1 EUR|", 0);
        check("1e1", "10 EUR|", 0);
        check(r#""0.1369863e-3""#, "0.000136986 EUR|0.000136987 EUR", 0);
        check("-1.5", "-1.5 EUR|", 0);
        for wrong in ["NaN", "1,234.50", "n/a", "1e400", "9999999999999999999999999999999999999999"]
        {
            check(&format!("\"{wrong}\""), &format!("{wrong}|"), 1);
        }
        for (wrong, shown) in [("1e400", "1e400"), ("null", ""), ("\"\"", ""), ("{}", "{}")] {
            check(wrong, &format!("{shown}|"), 1);
        }
    }

    #[test]
    fn a_currency_or_quantity_that_is_none_hides_no_other_rule() {
        let good = "2 EUR||0".to_owned();
        let (shown, _) = offers(r#""max_qty":null,"price":"1""#);
        assert_eq!(shown, ["1||0".to_owned(), good.clone()]);
        let (shown, _) = offers(r#""currency":5,"max_qty":null,"price":"1""#);
        assert_eq!(shown, ["1||0".to_owned(), good.clone()]);
        let (shown, _) = offers(r#""currency":"EUR","max_qty":"many","price":"1""#);
        assert_eq!(shown, [good]);
    }
}
