//! How a write ends whose price rules were accepted or refused: by what is there then.

use std::time::Duration;

use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Cx, Error, PollItem, Progress, Resource, Result};

use super::{ComputeStacks, rules};
use crate::checkpoint::{Handle, decode, encode};

/// How often rules that were accepted are looked for, and how long between.
const LOOKS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn poll(
    stacks: &ComputeStacks,
    cx: &Cx,
    items: Vec<PollItem>,
) -> Result<Vec<Progress>> {
    let mut outcomes = Vec::with_capacity(items.len());
    for item in items {
        outcomes.push(match stacks.progress(cx, &item).await {
            Ok(progress) => progress,
            Err(error) => Progress::Unavailable(error),
        });
    }
    Ok(outcomes)
}

impl ComputeStacks {
    async fn progress(&self, cx: &Cx, item: &PollItem) -> Result<Progress> {
        let lines = self.lines_of(&item.write)?;
        let (product, looks, refused) = match decode(&item.handle)? {
            Handle::Verify { product, looks } => (product, looks, None),
            Handle::Broken { product, error } => (product, LOOKS, Some(error)),
            Handle::Rules { .. } => return Err(Error::fault("a step follows, and no poll")),
        };
        let name = self.name.product(product)?;
        let Some(row) = self.client.product(cx, product).await? else {
            let error = Error::product_not_found(&name).with_reason(ErrorReason::UpstreamFailed);
            return Ok(Progress::Failed { error, view: None });
        };
        let (lacks, view) = match (self.billing_plan(cx).await, &refused) {
            (Ok(plan), _) => {
                let view = self.shown(&row, plan.as_ref())?;
                (self.described(cx, product, &lines).await, view)
            }
            // What was refused may be the very plan.
            (Err(error), Some(_)) if error.reason == ErrorReason::StateConflict => {
                (Err(error), self.shown(&row, None)?)
            }
            (Err(error), _) => return Err(error),
        };
        match (lacks, refused) {
            // However it came about, everything is as it was wanted.
            (Ok(lacks), _) if lacks.is_empty() => Ok(Progress::Done(Resource::from(view))),
            (Err(error), _) if error.reason != ErrorReason::StateConflict => Err(error),
            (lacks, Some(refused)) => {
                let mut error = refused.error().with_metadata("product", name);
                if let Ok(lacks) = lacks {
                    error = error.with_metadata("lacks", lacks.join("; "));
                }
                Ok(Progress::Failed { error, view: Some(Resource::from(view)) })
            }
            (Ok(_), None) if looks < LOOKS => Ok(Progress::Pending {
                handle: encode(&Handle::Verify { product, looks: looks + 1 })?,
                after: PAUSE,
                view: Some(Resource::from(view)),
            }),
            (lacks, None) => {
                let accepted = "the upstream accepted its price rules and does not show them";
                let error = match lacks {
                    Ok(lacks) => {
                        let error = Error::new(ErrorReason::UpstreamFailed, accepted);
                        rules::unfinished(self, product, &lacks, error)?
                    }
                    Err(error) => error,
                };
                Ok(Progress::Failed { error, view: Some(Resource::from(view)) })
            }
        }
    }
}
