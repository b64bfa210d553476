//! Evidence: what was there before a step, and what became of one whose answer was lost. A product
//! is found by its label and its values among those that are new; a price rule by its place, which
//! is unique. What is alike and does not fit is for a person to judge.

use purveyor_sdk::names;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{
    Baseline, Cx, Error, Evidence, Find, Finding, Resource, Result, Step, Write, WriteRequest,
};

use super::offers::Line;
use super::{ComputeStacks, deletion, rules};
use crate::checkpoint::{Before, Handle, Refused, Task, decode, encode};
use crate::model::{Changes, Row};

pub(super) async fn baseline(stacks: &ComputeStacks, cx: &Cx, asked: Baseline) -> Result<Evidence> {
    if let Some(product) = product_of(&asked.handle)? {
        let lines = stacks.lines_of(&asked.write)?;
        let before = match stacks.lacks(cx, product, &lines).await {
            Ok(lacks) => rules::before(product, &lacks, &lines),
            Err(error) if is_final(&error) => stacks.blocked(product, &error)?,
            Err(error) => return Err(error),
        };
        return told(before, format!("rules of {product}"));
    }
    match &asked.write.request {
        WriteRequest::CreateProduct(request) => {
            let (wanted, _) = stacks.wanted(request)?;
            let label = wanted.label.as_deref().unwrap_or_default();
            let rows = stacks.client.every_product(cx, |row| alike(&row.label, label)).await?;
            let alike: Vec<i64> = rows.iter().map(|row| row.id).collect();
            Ok(Evidence {
                present_ids: alike.iter().map(i64::to_string).collect(),
                evidence: encode(&Before::Products { alike })?,
                similarity: format!("product {}", plain(label)),
                ..Evidence::default()
            })
        }
        WriteRequest::UpdateProduct(request) => {
            let update = stacks.read_update(request)?;
            if update.sets() {
                return told(Before::Setting, String::new());
            }
            stacks.row(cx, update.id, &update.product.name).await?;
            let lacks = stacks.lacks(cx, update.id, &update.lines).await?;
            let before = rules::before(update.id, &lacks, &update.lines);
            told(before, format!("rules of {}", update.id))
        }
        _ => Err(Error::unsupported("evidence of this write")),
    }
}

pub(super) async fn find(stacks: &ComputeStacks, cx: &Cx, find: Find) -> Result<Finding> {
    if let WriteRequest::DeleteProduct(request) = &find.write.request {
        return deletion::find(stacks, cx, request).await;
    }
    match decode(&find.evidence)? {
        Before::Products { alike } => stacks.find_product(cx, &find, &alike).await,
        Before::Rules { product, task, .. } => stacks.find_rule(cx, &find, product, &task).await,
        Before::Setting => stacks.find_change(cx, &find).await,
        // Nothing was sent after this evidence.
        Before::Blocked { .. } => Ok(Finding::absent()),
    }
}

impl ComputeStacks {
    /// The price rules that a write asks for.
    pub(super) fn lines_of(&self, write: &Write) -> Result<Vec<Line>> {
        match &write.request {
            WriteRequest::CreateProduct(request) => Ok(self.wanted(request)?.1),
            WriteRequest::UpdateProduct(request) => Ok(self.read_update(request)?.lines),
            _ => Err(Error::unsupported("price rules of this write")),
        }
    }

    /// A product exists, and its price rules cannot be made.
    fn blocked(&self, product: i64, error: &Error) -> Result<Before> {
        let name = self.name.product(product)?;
        let message =
            format!("{name} exists, and its price rules cannot be made: {}", error.message);
        let reason = match error.reason {
            ErrorReason::FieldViolation => ErrorReason::UpstreamRejected,
            reason => reason,
        };
        Ok(Before::Blocked { product, error: Refused::new(&Error::new(reason, message)) })
    }

    async fn find_product(&self, cx: &Cx, find: &Find, before: &[i64]) -> Result<Finding> {
        let WriteRequest::CreateProduct(request) = &find.write.request else {
            return Err(Error::fault("the evidence is that of another write"));
        };
        let (wanted, lines) = self.wanted(request)?;
        let found = |row: &Row| {
            let step = self.created(row, &lines)?.map(Resource::from);
            Ok(Finding::found(row.id.to_string(), step))
        };
        if !find.upstream_id.is_empty() {
            let named = names::counted(&find.upstream_id).filter(|id| !before.contains(id));
            let Some(id) = named else { return Ok(Finding::absent()) };
            let row = self.client.product(cx, id).await?;
            return row.as_ref().map_or(Ok(Finding::absent()), found);
        }
        let label = wanted.label.as_deref().unwrap_or_default();
        let new = |row: &Row| {
            alike(&row.label, label)
                && !before.contains(&row.id)
                && !find.claimed_ids.contains(&row.id.to_string())
        };
        let new = self.client.every_product(cx, new).await?;
        let fitting: Vec<&Row> = new.iter().filter(|row| row.is_made_as(&wanted)).collect();
        match (fitting.as_slice(), new.as_slice()) {
            ([one], _) => found(one),
            ([], []) => Ok(Finding::absent()),
            ([], all) => Ok(Finding::unexplained(all.iter().map(Row::upstream).collect())),
            (several, _) => {
                Ok(Finding::unexplained(several.iter().map(|it| it.upstream()).collect()))
            }
        }
    }

    /// Whether what the step was to make is there. An operator who names something else is told
    /// that it is not.
    async fn find_rule(&self, cx: &Cx, find: &Find, product: i64, task: &Task) -> Result<Finding> {
        let Some(plan) = self.billing_plan(cx).await? else {
            return Err(Error::state("the configuration names no billing plan"));
        };
        let resources: Vec<_> =
            plan.resources.iter().filter(|it| it.product == Some(product)).collect();
        let ids: Vec<i64> = match task {
            Task::Nothing => return Ok(Finding::absent()),
            Task::Resource => resources.iter().map(|resource| resource.id).collect(),
            Task::Rule { phase, offer, regions, .. } => {
                let lines = self.lines_of(&find.write)?;
                let line = lines.get(*offer);
                let line = line.ok_or_else(|| Error::fault("the request has no such offer"))?;
                let phases =
                    resources.iter().flat_map(|it| &it.phases).filter(|it| it.id == *phase);
                let rules = phases.flat_map(|phase| &phase.rules).filter(|rule| {
                    rule.is_for(line.currency(), line.max_quantity)
                        && rule.price == line.price
                        && regions.iter().all(|id| rule.regions.iter().any(|(it, _)| it == id))
                });
                rules.map(|rule| rule.id).collect()
            }
        };
        let named = names::counted(&find.upstream_id);
        let as_named = find.upstream_id.is_empty() || named.is_some_and(|id| ids.contains(&id));
        match ids.as_slice() {
            [_] if as_named => {
                let handle = encode(&Handle::Rules { product })?;
                Ok(Finding::found("", Step::<Resource>::next(handle)))
            }
            [] | [_] => Ok(Finding::absent()),
            several => Ok(Finding::unexplained(several.iter().map(|id| reference(*id)).collect())),
        }
    }

    /// Whether the product is as the mask wants it.
    async fn find_change(&self, cx: &Cx, find: &Find) -> Result<Finding> {
        let WriteRequest::UpdateProduct(request) = &find.write.request else {
            return Err(Error::fault("the evidence is that of another write"));
        };
        let update = self.read_update(request)?;
        let Some(row) = self.client.product(cx, update.id).await? else {
            return Ok(Finding::absent());
        };
        let wanted: Changes = update.changes(&row)?;
        if !row.is(&wanted) {
            return Ok(Finding::absent());
        }
        let plan = self.billing_plan(cx).await?;
        let step = self.updated(&row, plan.as_ref(), &update)?;
        Ok(Finding::found("", step.map(Resource::from)))
    }
}

/// The product that a handle goes on with.
fn product_of(handle: &[u8]) -> Result<Option<i64>> {
    if handle.is_empty() {
        return Ok(None);
    }
    match decode(handle)? {
        Handle::Rules { product } | Handle::Verify { product, .. } => Ok(Some(product)),
        Handle::Broken { product, .. } => Ok(Some(product)),
    }
}

fn told(before: Before, similarity: String) -> Result<Evidence> {
    Ok(Evidence { evidence: encode(&before)?, similarity, ..Evidence::default() })
}

fn reference(id: i64) -> purveyor_sdk::v1::UpstreamRef {
    purveyor_sdk::v1::UpstreamRef { id: id.to_string(), ..Default::default() }
}

/// Whether waiting does not help.
fn is_final(error: &Error) -> bool {
    !matches!(
        error.reason,
        ErrorReason::UpstreamUnavailable
            | ErrorReason::UpstreamRateLimit
            | ErrorReason::DeadlineExceeded
            | ErrorReason::Overloaded
            | ErrorReason::ProviderUnavailable
            | ErrorReason::Internal
            | ErrorReason::PluginFault
    )
}

/// Whether the upstream could have made one label of the other.
fn alike(left: &str, right: &str) -> bool {
    plain(left) == plain(right)
}

/// A label without what is often lost of one: case and spaces.
fn plain(label: &str) -> String {
    label.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
