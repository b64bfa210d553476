//! The price rules of a product: what it lacks, and one step towards having it. What a step does is
//! decided by its evidence, so that a lost answer is looked for as exactly that; nothing is ever
//! taken away here.

use std::time::Duration;

use purveyor_sdk::v1::{ErrorReason, Product};
use purveyor_sdk::{CarryOn, Cx, Error, Result, Step};

use super::ComputeStacks;
use super::offers::{FINAL, Line};
use crate::checkpoint::{Before, Handle, Refused, Task, decode, encode};
use crate::client::{NewRule, Place, Sent};
use crate::model::Plan;

/// How many products of the plan are kept to see whether a plan that is read later is whole.
const KNOWN: usize = 10;

/// One thing that a product lacks to be sold as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lack {
    /// A place in the billing plan.
    Resource,
    /// The rule of an offer, by its index, for these regions. Its place is known once the product
    /// is in the plan.
    Rule { place: Option<(i64, i64)>, offer: usize, regions: Vec<i64> },
}

impl Lack {
    /// In words, as an error says it.
    fn describe(&self, lines: &[Line]) -> String {
        match self {
            Self::Resource => "its place in the billing plan".to_owned(),
            Self::Rule { offer, regions, .. } => {
                let price = lines.get(*offer).map(|line| line.price.to_string());
                let regions: Vec<String> = regions.iter().map(i64::to_string).collect();
                let (price, regions) = (price.unwrap_or_default(), regions.join(", "));
                format!("its price of {price} in the regions {regions}")
            }
        }
    }
}

/// What a product lacks, in the order in which it is made.
///
/// # Errors
///
/// STATE_CONFLICT where the plan holds the product in a way that was not made here: more than once,
/// without a final phase, or at another price. PRICE_UNKNOWN where the price that stands in the place
/// of a wanted one is no amount.
pub(super) fn lacks(plan: &Plan, product: i64, lines: &[Line]) -> Result<Vec<Lack>> {
    let mut resources = plan.resources.iter().filter(|it| it.product == Some(product));
    let Some(resource) = resources.next() else {
        lines.iter().enumerate().try_for_each(|(offer, line)| not_rounded(offer, line))?;
        let rules = lines.iter().enumerate().map(|(offer, line)| Lack::Rule {
            place: None,
            offer,
            regions: line.regions.clone(),
        });
        return Ok(std::iter::once(Lack::Resource).chain(rules).collect());
    };
    if resources.next().is_some() {
        let message = format!("product {product} is in the billing plan more than once");
        return Err(Error::state(message));
    }
    let phase = resource.phases.iter().find(|phase| phase.phase_type == FINAL);
    let phase = phase.ok_or_else(|| {
        Error::state(format!("billing resource {} has no final phase", resource.id))
    })?;
    let mut lacks = Vec::new();
    for (offer, line) in lines.iter().enumerate() {
        let alike =
            phase.rules.iter().filter(|rule| rule.is_for(line.currency(), line.max_quantity));
        let there: Vec<_> = alike
            .flat_map(|rule| rule.regions.iter().map(move |(region, _)| (*region, rule)))
            .filter(|(region, _)| line.regions.contains(region))
            .collect();
        for (region, rule) in &there {
            if !rule.price.is(&line.price, line.ceiling.as_ref())? {
                return Err(Error::state(format!(
                    "price rule {} is {} in region {region} already, and not {}; it has to be deleted upstream first",
                    rule.id, rule.price, line.price
                )));
            }
        }
        let missing = |region: &&i64| there.iter().all(|(there, _)| there != *region);
        let regions: Vec<i64> = line.regions.iter().filter(missing).copied().collect();
        if !regions.is_empty() {
            not_rounded(offer, line)?;
            let place = Some((resource.id, phase.id));
            lacks.push(Lack::Rule { place, offer, regions });
        }
    }
    Ok(lacks)
}

/// Refuses to make a rule of a price that was shown rounded: it would be another price.
fn not_rounded(offer: usize, line: &Line) -> Result<()> {
    let field = format!("product.offers[{offer}].price.ceiling");
    let message = "is of a rounded price, which no rule can be made of";
    line.ceiling.as_ref().map_or(Ok(()), |_| Err(Error::field(field, message)))
}

/// Whether the plan shows what a step was to make.
pub(super) fn delivered(plan: &Plan, product: i64, lines: &[Line], task: &Task) -> bool {
    match task {
        Task::Nothing => true,
        Task::Resource => {
            plan.resources.iter().filter(|it| it.product == Some(product)).count() == 1
        }
        Task::Rule { offer, .. } => lines.get(*offer).is_some_and(|line| {
            lacks(plan, product, std::slice::from_ref(line)).is_ok_and(|lacks| lacks.is_empty())
        }),
    }
}

/// All that is lacking, in words.
pub(super) fn describe(lacks: &[Lack], lines: &[Line]) -> Vec<String> {
    lacks.iter().map(|lack| lack.describe(lines)).collect()
}

/// The evidence before a step: what it will do, and what stands beside that.
pub(super) fn before(plan: &Plan, product: i64, lacks: &[Lack], lines: &[Line]) -> Before {
    let task = match lacks.first() {
        None => Task::Nothing,
        Some(Lack::Rule { place: Some((resource, phase)), offer, regions }) => Task::Rule {
            resource: *resource,
            phase: *phase,
            offer: *offer,
            regions: regions.clone(),
            last: lacks.len() == 1,
        },
        Some(Lack::Resource | Lack::Rule { place: None, .. }) => Task::Resource,
    };
    let there = match &task {
        Task::Nothing => Vec::new(),
        Task::Resource => {
            let mut resources: Vec<_> = plan.resources.iter().collect();
            resources.sort_by_key(|resource| std::cmp::Reverse(resource.id));
            resources.into_iter().filter_map(|it| it.product).take(KNOWN).collect()
        }
        Task::Rule { phase, .. } => {
            let rules = plan.phase(product, *phase).map(|phase| &phase.rules);
            rules.into_iter().flatten().map(|rule| rule.id).collect()
        }
    };
    let lacks = describe(lacks, lines);
    Before::Rules { product, task, lacks, there: Some(there) }
}

/// Does what the evidence says, which is at most one request.
pub(super) async fn step(stacks: &ComputeStacks, cx: &Cx, lines: &[Line]) -> Result<Step<Product>> {
    let (product, task, lacks) = match decode(cx.baseline())? {
        Before::Rules { product, task, lacks, .. } => (product, task, lacks),
        Before::Blocked { product, error } => {
            return refused(stacks, (product, true), "", error.error());
        }
        Before::Setting | Before::Target { .. } | Before::Products { .. } => {
            return Err(Error::fault("the evidence is that of another step"));
        }
    };
    let plan = stacks.config.billing_plan;
    let plan = plan.ok_or_else(|| Error::state("the configuration names no billing plan"))?;
    let sent = match &task {
        Task::Nothing => return complete(stacks, cx, product, lines).await,
        Task::Resource => stacks.client.add_resource(cx, plan, product).await?,
        Task::Rule { resource, phase, offer, regions, .. } => {
            let line = lines.get(*offer);
            let line = line.ok_or_else(|| Error::fault("the request has no such offer"))?;
            let price = line.price.to_decimal();
            let rule = NewRule {
                currency: line.currency(),
                price: price.map_err(|error| Error::fault(error.to_string()))?,
                max_quantity: line.max_quantity,
                regions,
            };
            let place = Place { plan, resource: *resource, phase: *phase };
            stacks.client.add_rule(cx, place, &rule).await?
        }
    };
    match sent {
        // A plan that lags would have it made again.
        Sent::Accepted(_) => {
            Ok(Step::pending(encode(&Handle::Part { product, task })?, Duration::ZERO))
        }
        Sent::Refused { proof, error } => {
            refused(stacks, (product, false), proof, unfinished(stacks, product, &lacks, error)?)
        }
        Sent::Unknown(message) => Ok(Step::unknown(message)),
    }
}

/// Ends a write whose product lacks nothing; what reads otherwise by now is awaited.
async fn complete(
    stacks: &ComputeStacks,
    cx: &Cx,
    product: i64,
    lines: &[Line],
) -> Result<Step<Product>> {
    let plan = stacks.required_plan(cx).await?;
    let row = stacks.client.product(cx, product).await?;
    let whole = lacks(&plan, product, lines).is_ok_and(|lacks| lacks.is_empty());
    match row.filter(|_| whole) {
        Some(row) => Ok(Step::Done(stacks.shown(&row, Some(&plan))?)),
        None => Ok(Step::pending(encode(&Handle::Verify { product })?, Duration::ZERO)),
    }
}

/// A refusal that leaves the product as it is: a poll shows it with the error, or goes on where nothing
/// was sent and nothing stands in the way any more.
fn refused(
    stacks: &ComputeStacks,
    (product, unsent): (i64, bool),
    proof: &'static str,
    error: Error,
) -> Result<Step<Product>> {
    let handle = encode(&Handle::Broken { product, error: Refused::new(&error), unsent })?;
    let error = error.with_metadata("product", stacks.name.product(product)?);
    Ok(Step::Rejected { proof, error, carry_on: Some(CarryOn { handle, view: None }) })
}

/// The error of a write that has made a product and not all of its price rules.
pub(super) fn unfinished(
    stacks: &ComputeStacks,
    product: i64,
    lacks: &[String],
    error: Error,
) -> Result<Error> {
    let name = stacks.name.product(product)?;
    let lacks = lacks.join("; ");
    // What is missing here is something of the plan, never the product.
    let reason = match error.reason {
        ErrorReason::ProductNotFound => ErrorReason::StateConflict,
        reason => reason,
    };
    let message = format!("{name} exists and lacks {lacks}: {}", error.message);
    Ok(Error { message, ..error }
        .with_reason(reason)
        .with_metadata("product", name)
        .with_metadata("lacks", lacks))
}

impl ComputeStacks {
    /// The configured billing plan, where one is needed.
    ///
    /// # Errors
    ///
    /// STATE_CONFLICT where none is configured or the upstream has none; what keeps it from being read.
    pub(super) async fn required_plan(&self, cx: &Cx) -> Result<Plan> {
        let none = || Error::state("the configuration names no billing plan");
        self.billing_plan(cx).await?.ok_or_else(none)
    }
}

#[cfg(test)]
mod tests {
    use super::{Lack, Line, Plan, Task, before, lacks};
    use crate::checkpoint::Before;
    use purveyor_sdk::serde_json;
    use purveyor_sdk::v1::{ErrorReason, Money};

    fn line(price: &str, max_quantity: Option<i32>, regions: &[i64]) -> Line {
        let price = Money::parse("EUR", price).unwrap();
        Line { price, ceiling: None, max_quantity, regions: regions.to_vec() }
    }

    fn plan(rules: &str) -> Plan {
        let json = format!(
            r#"{{"term":"month","billing_resources":[{{"id":4,"product":{{"id":9}},"billing_phases":[
            {{"id":5,"phase_type":"trial","prices":[]}},
            {{"id":6,"phase_type":"final","prices":[{rules}]}}]}}]}}"#
        );
        Plan::read(&serde_json::from_str(&json).unwrap()).unwrap()
    }

    fn rule(currency: &str, max: &str, price: &str, region: i64) -> String {
        format!(
            r#"{{"id":8,"currency":"{currency}","max_qty":{max},"price":"{price}","regions":[{{"id":{region},"name":"r"}}]}}"#
        )
    }

    #[test]
    fn a_product_that_is_in_no_plan_lacks_everything() {
        let lines = [line("1", None, &[1])];
        let all = lacks(&plan(""), 7, &lines).unwrap();
        assert_eq!(all[0], Lack::Resource);
        assert_eq!(all[1], Lack::Rule { place: None, offer: 0, regions: vec![1] });
        let before = before(&plan(""), 7, &all, &lines);
        let Before::Rules { task, lacks, there, .. } = before else { panic!() };
        assert_eq!((task, there), (Task::Resource, Some(vec![9])));
        assert_eq!(lacks, ["its place in the billing plan", "its price of 1 EUR in the regions 1"]);
    }

    #[test]
    fn only_what_is_missing_is_made() {
        fn check(rules: &str, line: Line, expected: Option<&[i64]>) {
            let found = lacks(&plan(rules), 9, &[line]).unwrap();
            let regions = found.first().map(|lack| match lack {
                Lack::Rule { place: Some((4, 6)), offer: 0, regions } => regions.clone(),
                other => panic!("{other:?}"),
            });
            assert_eq!(regions.as_deref(), expected, "{rules}");
        }
        check("", line("1", None, &[1, 2]), Some(&[1, 2]));
        check(&rule("EUR", "null", "1.0", 1), line("1", None, &[1, 2]), Some(&[2]));
        check(&rule("EUR", "null", "1.00", 1), line("1", None, &[1]), None);
        check(&rule("USD", "null", "1.0", 1), line("1", None, &[1]), Some(&[1]));
        check(&rule("EUR", "\"5.0\"", "1.0", 1), line("1", None, &[1]), Some(&[1]));
        check(&rule("EUR", "\"5.0\"", "1.0", 1), line("1", Some(5), &[1]), None);
        check(&rule("EUR", "\"5.5\"", "1.0", 1), line("1", Some(5), &[1]), Some(&[1]));
        check(&rule("EUR", "\"0.5e1\"", "1.0000000000", 1), line("1", Some(5), &[1]), None);
        check(&rule("EUR", "null", "1e0", 1), line("1", None, &[1]), None);
        // What is no amount stands in the way of nothing but its own place.
        check(&rule("USD", "null", "n/a", 1), line("1", None, &[1]), Some(&[1]));
        check(&rule("EUR", "\"many\"", "n/a", 1), line("1", None, &[1]), Some(&[1]));
    }

    #[test]
    fn what_contradicts_is_left_to_people() {
        let other = lacks(&plan(&rule("EUR", "null", "2.0", 1)), 9, &[line("1", None, &[1])]);
        assert!(other.unwrap_err().message.contains("price rule 8 is 2 EUR in region 1"));
        let near = rule("EUR", "null", "1.0000000001", 1);
        let other = lacks(&plan(&near), 9, &[line("1", None, &[1])]).unwrap_err();
        assert!(other.message.contains("price rule 8 is 1.0000000001 EUR"), "{other}");
        let shown =
            Line { ceiling: Money::parse("EUR", "1.000000001").ok(), ..line("1", None, &[1]) };
        assert!(lacks(&plan(&near), 9, std::slice::from_ref(&shown)).unwrap().is_empty());
        for without in [plan(""), Plan::read(&Default::default()).unwrap()] {
            let refused = lacks(&without, 9, std::slice::from_ref(&shown)).unwrap_err();
            assert_eq!(refused.violations[0].field, "product.offers[0].price.ceiling");
        }
        let none = lacks(&plan(&rule("EUR", "null", "n/a", 1)), 9, &[line("1", None, &[1])]);
        let none = none.unwrap_err();
        assert_eq!(none.reason, ErrorReason::PriceUnknown);
        let path = "billing_resources/4/billing_phases/6/billing_resource_prices/8.price";
        assert_eq!((&*none.metadata["path"], &*none.metadata["digits"]), (path, "n/a"));
        let mut twice = plan("");
        twice.resources.extend(plan("").resources);
        assert!(lacks(&twice, 9, &[]).unwrap_err().message.contains("more than once"));
        let mut none = plan("");
        none.resources[0].phases.pop();
        assert!(lacks(&none, 9, &[]).unwrap_err().message.contains("no final phase"));
    }
}
