//! Evidence: what was there before a step, for `finding` to judge a lost answer by.
//!
//! Identifiers of products are no proof of age here: the upstream does not promise that they only grow,
//! so a baseline lists every product and no highest identifier.

use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Baseline, Cx, Error, Evidence, Result, Write, WriteRequest};

use super::offers::Line;
use super::{ComputeStacks, rules};
use crate::checkpoint::{Before, Handle, Refused, decode, encode};
use crate::model::{Identity, Likeness, Row, digest};

/// How far before a moment a product that was made after it can be dated: as far as the upstream's own clocks
/// may differ.
const DATE_MARGIN_SECONDS: i64 = 60;

pub(super) async fn baseline(stacks: &ComputeStacks, cx: &Cx, asked: Baseline) -> Result<Evidence> {
    if let Some(product) = product_of(&asked.handle)? {
        let lines = stacks.lines_of(&asked.write)?;
        let before = match stacks.before_rules(cx, product, &lines).await {
            Ok(before) => before,
            Err(error) if is_final(&error) => stacks.blocked(product, &error)?,
            Err(error) => return Err(error),
        };
        return told(before, format!("rules of {product}"));
    }
    match &asked.write.request {
        WriteRequest::CreateProduct(request) => {
            let (wanted, _) = stacks.wanted(request)?;
            let label = wanted.label.as_deref().unwrap_or_default();
            let listed = stacks.client.every_product(cx, |_| true).await?;
            let (mut rows, nameless) = (listed.rows, !listed.nameless.is_empty());
            let lost = asked.lost_since.is_some();
            if let Some(since) = &asked.lost_since {
                // What does not tell its date may have been made since.
                let limit = since.seconds - DATE_MARGIN_SECONDS;
                rows.retain(|row| row.created.is_some_and(|created| created.seconds < limit));
            }
            let alike = rows.iter().filter(|row| alike(&row.label, label)).map(|row| row.id);
            let all = rows.iter().map(|row| (row.id, Identity::of(row))).collect();
            Ok(Evidence {
                present_ids: rows.iter().map(|row| row.id.to_string()).collect(),
                evidence: encode(&Before::Products {
                    alike: alike.collect(),
                    all: Some(all),
                    lost,
                    nameless,
                })?,
                similarity: format!("product {}", plain(label)),
                without_lost: lost,
                ..Evidence::default()
            })
        }
        WriteRequest::UpdateProduct(request) => {
            let update = stacks.read_update(request)?;
            let row = stacks.row(cx, update.id, &update.product.name).await?;
            if update.sets() {
                return told(target(cx, &row)?, String::new());
            }
            let before = stacks.before_rules(cx, update.id, &update.lines).await?;
            told(before, format!("rules of {}", update.id))
        }
        WriteRequest::DeleteProduct(request) => {
            // What does not exist is the step's to judge.
            let Ok(id) = stacks.product_id(&request.name, "name") else {
                return told(Before::Setting, String::new());
            };
            let before = match stacks.client.product(cx, id).await? {
                Some(row) => target(cx, &row)?,
                None => Before::Setting,
            };
            told(before, String::new())
        }
        _ => Err(Error::unsupported("evidence of this write")),
    }
}

/// The product of a setting. A setting that is sent again is for the product that the first was for.
fn target(cx: &Cx, row: &Row) -> Result<Before> {
    let earlier = match cx.baseline() {
        [] => None,
        bytes => match decode(bytes)? {
            Before::Target { identity, .. } => Some(identity),
            _ => None,
        },
    };
    let identity = earlier.unwrap_or_else(|| Identity::of(row));
    Ok(Before::Target { identity, digest: digest(row) })
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

    /// Refuses to change another product than the one that the evidence is about.
    ///
    /// # Errors
    ///
    /// STATE_CONFLICT.
    pub(super) fn check_target(&self, evidence: &[u8], row: &Row, name: &str) -> Result<()> {
        if evidence.is_empty() {
            return Ok(());
        }
        match decode(evidence)? {
            Before::Target { identity, .. } if identity.compare(row) == Likeness::Other => {
                Err(Error::state(format!("{name} is another product than it was")))
            }
            _ => Ok(()),
        }
    }

    /// What the step will do for the price rules of a product.
    async fn before_rules(&self, cx: &Cx, product: i64, lines: &[Line]) -> Result<Before> {
        let plan = self.required_plan(cx).await?;
        let lacks = rules::lacks(&plan, product, lines)?;
        Ok(rules::before(&plan, product, &lacks, lines))
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
}

/// The product that a handle goes on with.
fn product_of(handle: &[u8]) -> Result<Option<i64>> {
    if handle.is_empty() {
        return Ok(None);
    }
    match decode(handle)? {
        Handle::Rules { product }
        | Handle::Row { product }
        | Handle::Part { product, .. }
        | Handle::Verify { product }
        | Handle::Broken { product, .. } => Ok(Some(product)),
        Handle::Gone { .. } => Err(Error::fault("nothing follows a deletion")),
    }
}

/// Evidence of a state: what lacks is sent, whoever has sent the rest before.
fn told(before: Before, similarity: String) -> Result<Evidence> {
    let evidence = encode(&before)?;
    Ok(Evidence { evidence, similarity, without_lost: true, ..Evidence::default() })
}

/// Whether waiting does not help.
pub(super) fn is_final(error: &Error) -> bool {
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
pub(super) fn alike(left: &str, right: &str) -> bool {
    plain(left) == plain(right)
}

/// A label without what is often lost of one: case and spaces.
fn plain(label: &str) -> String {
    label.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
