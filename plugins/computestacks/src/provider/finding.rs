//! What became of a step whose answer was lost, judged on one snapshot. A product is ours if it is the
//! only new one that reads as it was asked for; a price rule if what was lacking is there. Whatever else
//! is new is shown, whether it fits or not: labels and prices can be changed in the controller's panel.

use std::collections::{BTreeMap, BTreeSet};

use purveyor_sdk::names;
use purveyor_sdk::v1::{ErrorReason, UpstreamRef};
use purveyor_sdk::{Cx, Error, Find, Finding, Resource, Result, Step, Traces, WriteRequest};

use super::evidence::{alike, is_final};
use super::{ComputeStacks, deletion, rules};
use crate::checkpoint::{Before, Handle, Task, decode, encode};
use crate::model::{Changes, Identity, LABEL, Likeness, Plan, Row, digest};

/// How many products of the baseline are asked for one by one where a list lacks them.
const KNOWN: usize = 50;

/// What keeps a search from deciding, and does not pass, is told as such: a search that fails proves as
/// little as one that finds nothing, and no setting may be sent again for it.
pub(super) async fn find(stacks: &ComputeStacks, cx: &Cx, find: Find) -> Result<Finding> {
    let named = !find.upstream_id.is_empty();
    match decide(stacks, cx, find).await {
        Err(error) if !named && (is_final(&error) || error.reason == ErrorReason::PluginFault) => {
            Ok(Finding::incomplete(error.message))
        }
        decided => decided,
    }
}

async fn decide(stacks: &ComputeStacks, cx: &Cx, find: Find) -> Result<Finding> {
    if let WriteRequest::DeleteProduct(request) = &find.write.request {
        return deletion::find(stacks, cx, request, &find.evidence).await;
    }
    match decode(&find.evidence)? {
        Before::Products { alike, all, lost, nameless } => {
            let known = Known { lost, nameless, ..Known::new(alike, all) };
            stacks.find_product(cx, &find, &known).await
        }
        Before::Rules { product, task, there, .. } => {
            stacks.find_rule(cx, &find, (product, &task), there).await
        }
        Before::Target { identity, digest } => {
            stacks.find_change(cx, &find, Some((identity, digest))).await
        }
        Before::Setting => stacks.find_change(cx, &find, None).await,
        // Nothing was sent after this evidence.
        Before::Blocked { .. } => Ok(Finding::absent()),
    }
}

/// The products of a baseline.
struct Known {
    /// Those that have the label that is asked for.
    alike: Vec<i64>,
    /// All of them; `None` in the evidence of version one.
    all: Option<BTreeMap<i64, Identity>>,
    /// The gateway may lack that the product was made.
    lost: bool,
    /// Products had no identifier before the request.
    nameless: bool,
}

impl Known {
    fn new(alike: Vec<i64>, all: Option<Vec<(i64, Identity)>>) -> Self {
        Self { alike, all: all.map(|all| all.into_iter().collect()), lost: false, nameless: false }
    }

    /// Whether a product was made since. One under an identifier that was there counts if it is another
    /// one, or may be and could be what was asked for.
    fn is_new(&self, row: &Row, wanted: &Changes) -> bool {
        let label = wanted.label.as_deref().unwrap_or_default();
        let Some(all) = &self.all else {
            return (alike(&row.label, label) || row.gaps.has(LABEL))
                && !self.alike.contains(&row.id);
        };
        match all.get(&row.id).map(|before| before.compare(row)) {
            None | Some(Likeness::Other) => true,
            Some(Likeness::Same) => false,
            Some(Likeness::Unsure) => {
                alike(&row.label, label)
                    || is_made_but_for_its_label(row, wanted)
                    || !row.gaps.is_empty()
            }
        }
    }

    /// Identifiers that a whole list shows, highest first.
    fn highest(&self) -> Vec<String> {
        let mut ids: Vec<i64> = match &self.all {
            Some(all) => all.keys().copied().collect(),
            None => self.alike.clone(),
        };
        ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
        ids.iter().take(KNOWN).map(i64::to_string).collect()
    }
}

impl ComputeStacks {
    async fn find_product(&self, cx: &Cx, find: &Find, known: &Known) -> Result<Finding> {
        let WriteRequest::CreateProduct(request) = &find.write.request else {
            return Err(Error::fault("the evidence is that of another write"));
        };
        let (wanted, lines) = self.wanted(request)?;
        let found = |row: &Row, differs: &[&str]| {
            let step = self.accepted(row, None, differs, &lines)?.map(Resource::from);
            Ok(Finding::found(row.id.to_string(), step))
        };
        if !find.upstream_id.is_empty() {
            let Some(id) = names::counted(&find.upstream_id) else { return Ok(Finding::absent()) };
            let row = self.client.product(cx, id).await?;
            let Some(row) = row.filter(|row| known.is_new(row, &wanted)) else {
                return Ok(Finding::absent());
            };
            // Who names it knows that a person has renamed it.
            let mut differs = row.differs_as_made(&wanted);
            differs.retain(|field| *field != LABEL);
            return found(&row, &differs);
        }
        let listed = self.client.every_product(cx, |_| true).await?;
        if let Some(error) = listed.nameless.first() {
            let why = format!("a product has no identifier: {}", error.message);
            return Ok(Finding::incomplete(why));
        }
        if known.nameless {
            let why = "a product had no identifier before the request, and may look new now";
            return Ok(Finding::incomplete(why));
        }
        let rows = listed.rows;
        let is_claimed = |row: &&Row| find.claimed_ids.contains(&row.id.to_string());
        let new: Vec<&Row> =
            rows.iter().filter(|row| known.is_new(row, &wanted) && !is_claimed(row)).collect();
        let tied: Vec<&&Row> =
            new.iter().filter(|row| row.differs_as_made(&wanted).is_empty()).collect();
        if let [one] = tied.as_slice() {
            return found(one, &[]);
        }
        let listed: BTreeSet<String> = rows.iter().map(|row| row.id.to_string()).collect();
        let exists = async |id: String| match names::counted(&id) {
            Some(id) => self.exists(cx, id).await,
            None => Ok(false),
        };
        let incomplete =
            find.incomplete(&known.highest(), |id| listed.contains(id), exists).await?;
        let label = wanted.label.as_deref().unwrap_or_default();
        // Where the gateway may lack other requests as well, only what is like this one can be it.
        let can_be = |row: &&&Row| {
            !known.lost
                || alike(&row.label, label)
                || is_made_but_for_its_label(row, &wanted)
                || !row.gaps.is_empty()
        };
        let unexplained = new.iter().filter(can_be).map(|row| row.upstream()).collect();
        // Another label is another product, as far as anybody can tell later.
        let alike_ids = tied.iter().map(|row| row.id.to_string()).collect();
        Ok(Finding::Absent(Traces { unexplained, incomplete, alike_ids, ..Traces::default() }))
    }

    /// Whether what the step was to make is there. An operator who names something else is told
    /// that it is not.
    async fn find_rule(
        &self,
        cx: &Cx,
        find: &Find,
        (product, task): (i64, &Task),
        there: Option<Vec<i64>>,
    ) -> Result<Finding> {
        let plan = self.required_plan(cx).await?;
        let lines = self.lines_of(&find.write)?;
        let new: Vec<i64> = match task {
            Task::Nothing => return Ok(Finding::absent()),
            Task::Resource => {
                let places = plan.resources.iter().filter(|it| it.product == Some(product));
                places.map(|place| place.id).collect()
            }
            Task::Rule { phase, offer, .. } => {
                let line = lines.get(*offer);
                let line = line.ok_or_else(|| Error::fault("the request has no such offer"))?;
                let rules = plan.phase(product, *phase).into_iter().flat_map(|it| &it.rules);
                let new = rules.filter(|rule| match &there {
                    Some(there) => !there.contains(&rule.id),
                    // Evidence of version one: what stands where the wanted one would.
                    None => rule.is_for(line.currency(), line.max_quantity),
                });
                new.map(|rule| rule.id).collect()
            }
        };
        if !find.upstream_id.is_empty() {
            let named = names::counted(&find.upstream_id);
            if named.is_none_or(|id| !new.contains(&id)) {
                return Ok(Finding::absent());
            }
        }
        if rules::delivered(&plan, product, &lines, task) {
            let handle = encode(&Handle::Rules { product })?;
            return Ok(Finding::found("", Step::<Resource>::next(handle)));
        }
        let incomplete = match (task, there) {
            (Task::Resource, Some(there)) => self.plan_incomplete(cx, &plan, &there).await?,
            (Task::Rule { phase, .. }, _) if plan.phase(product, *phase).is_none() => {
                format!("billing phase {phase} of product {product} is not shown any more")
            }
            _ => String::new(),
        };
        // What is lacking is not there, so no new rule is just what was asked for; each place is.
        let alike_ids = match task {
            Task::Resource => new.iter().map(i64::to_string).collect(),
            _ => Vec::new(),
        };
        let unexplained = new.into_iter().map(reference).collect();
        Ok(Finding::Absent(Traces { unexplained, incomplete, alike_ids, ..Traces::default() }))
    }

    /// Why a plan is not whole; empty: it is. A whole plan shows the newest product that stood in it and
    /// still exists. A plan without a product is read by its identifier, and is what it says.
    async fn plan_incomplete(&self, cx: &Cx, plan: &Plan, there: &[i64]) -> Result<String> {
        for product in there {
            if plan.resources.iter().any(|it| it.product == Some(*product)) {
                return Ok(String::new());
            }
            if self.exists(cx, *product).await? {
                return Ok(format!("product {product} exists and is not in the billing plan"));
            }
        }
        let none = "no product that stood in the billing plan is there any more";
        Ok(if there.is_empty() { String::new() } else { none.to_owned() })
    }

    /// Whether the product is as the mask wants it. It is changed again only where it is the same, and
    /// nobody has changed it since.
    async fn find_change(
        &self,
        cx: &Cx,
        find: &Find,
        before: Option<(Identity, u64)>,
    ) -> Result<Finding> {
        let WriteRequest::UpdateProduct(request) = &find.write.request else {
            return Err(Error::fault("the evidence is that of another write"));
        };
        let update = self.read_update(request)?;
        let name = &update.product.name;
        let Some(row) = self.client.product(cx, update.id).await? else {
            return Ok(Finding::incomplete(format!("{name} is not there any more")));
        };
        if before.is_some_and(|(identity, _)| identity.compare(&row) == Likeness::Other) {
            return Ok(Finding::incomplete(format!("{name} is another product than before")));
        }
        if update.differs(&row).is_empty() {
            let plan = self.billing_plan(cx).await?;
            let step = self.accepted(&row, plan.as_ref(), &[], &update.lines)?;
            return Ok(Finding::found("", step.map(Resource::from)));
        }
        Ok(match before {
            Some((_, before)) if before == digest(&row) => Finding::absent(),
            Some(_) => Finding::incomplete(format!("{name} was changed by somebody since")),
            None => Finding::incomplete(format!("it is not known what {name} was before")),
        })
    }
}

fn is_made_but_for_its_label(row: &Row, wanted: &Changes) -> bool {
    row.differs_as_made(wanted).iter().all(|field| *field == LABEL)
}

fn reference(id: i64) -> UpstreamRef {
    UpstreamRef::of(id.to_string())
}
