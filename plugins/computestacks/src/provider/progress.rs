//! How a write ends that the upstream accepted: by what is there then. Nothing is counted here: how
//! long an effect is awaited, the gateway decides.

use std::time::Duration;

use purveyor_sdk::v1::{ErrorReason, Product};
use purveyor_sdk::{
    Cx, Error, PollItem, Progress, Resource, Result, Standing, Step, Write, WriteRequest,
};

use super::evidence::is_final;
use super::offers::Line;
use super::{ComputeStacks, deletion, rules};
use crate::checkpoint::{Handle, Refused, Task, decode, encode};
use crate::model::Plan;

/// How long between two reads of what is awaited.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

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

/// What was last heard of the price rules of a product.
enum After {
    /// The upstream accepted this part.
    Part(Task),
    /// The upstream accepted all of them.
    All,
    /// One was refused; `unsent`: by what stood in the way before anything was sent, and may be gone.
    Refusal { error: Refused, unsent: bool },
}

impl ComputeStacks {
    async fn progress(&self, cx: &Cx, item: &PollItem) -> Result<Progress> {
        let (write, handle) = (&item.write, item.handle.as_slice());
        match decode(handle)? {
            Handle::Rules { .. } => Err(Error::fault("a step follows, and no poll")),
            Handle::Row { product } => self.row_progress(cx, write, product, handle).await,
            Handle::Part { product, task } => {
                self.rules_progress(cx, write, product, After::Part(task), handle).await
            }
            Handle::Verify { product } => {
                self.rules_progress(cx, write, product, After::All, handle).await
            }
            Handle::Broken { product, error, unsent } => {
                let after = After::Refusal { error, unsent };
                self.rules_progress(cx, write, product, after, handle).await
            }
            Handle::Gone { product, identity } => {
                let WriteRequest::DeleteProduct(request) = &write.request else {
                    return Err(Error::fault("the handle is that of another write"));
                };
                deletion::progress(self, cx, request, (product, identity), handle).await
            }
        }
    }

    /// A product that was accepted and did not read as asked.
    async fn row_progress(
        &self,
        cx: &Cx,
        write: &Write,
        product: i64,
        handle: &[u8],
    ) -> Result<Progress> {
        let name = self.name.product(product)?;
        let Some(row) = self.client.product(cx, product).await? else {
            return Ok(stands(handle, None, Standing::Unclear, unknown(&name)));
        };
        let plan = self.billing_plan(cx).await?;
        let (differs, lines) = (self.differs(write, &row)?, self.lines_of(write)?);
        Ok(match self.accepted(&row, plan.as_ref(), &differs, &lines)? {
            Step::Done(product) => Progress::Done(product.into()),
            Step::Next { handle, view, price } => {
                Progress::Next { handle, view: view.map(Resource::from), price }
            }
            _ => {
                let fields = differs.join(", ");
                let message =
                    format!("the upstream accepted {name}, and its {fields} is not as asked");
                let error = Error::new(ErrorReason::UpstreamFailed, message);
                let view = self.shown(&row, plan.as_ref())?;
                stands(handle, Some(view), Standing::EffectAwaited, error)
            }
        })
    }

    /// A product whose price rules were accepted, or one of them refused.
    async fn rules_progress(
        &self,
        cx: &Cx,
        write: &Write,
        product: i64,
        after: After,
        handle: &[u8],
    ) -> Result<Progress> {
        let name = self.name.product(product)?;
        let refused = match &after {
            After::Refusal { error, .. } => Some(error.error().with_metadata("product", &*name)),
            After::Part(_) | After::All => None,
        };
        let Some(row) = self.client.product(cx, product).await? else {
            let (standing, error) = match refused {
                Some(refused) => (Standing::NotDone, refused),
                None => (Standing::Unclear, unknown(&name)),
            };
            return Ok(stands(handle, None, standing, error));
        };
        let plan = match self.required_plan(cx).await {
            Ok(plan) => plan,
            Err(error) if is_final(&error) => {
                let view = Some(self.shown(&row, None)?);
                return Ok(match refused {
                    Some(refused) => stands(handle, view, Standing::NotDone, refused),
                    None => stands(handle, view, Standing::Unclear, error),
                });
            }
            Err(error) => return Err(error),
        };
        let lines = self.lines_of(write)?;
        let view = self.shown(&row, Some(&plan))?;
        self.judged(&plan, (product, view), &lines, (after, refused), handle)
    }

    /// What a plan says of the price rules of a product.
    fn judged(
        &self,
        plan: &Plan,
        (product, view): (i64, Product),
        lines: &[Line],
        (after, refused): (After, Option<Error>),
        handle: &[u8],
    ) -> Result<Progress> {
        let lacks = match rules::lacks(plan, product, lines) {
            // However it came about, everything is as it was wanted.
            Ok(lacks) if lacks.is_empty() => return Ok(Progress::Done(view.into())),
            lacks => lacks.map(|all| rules::describe(&all, lines)),
        };
        let goes_on = match &after {
            After::Part(task) => rules::delivered(plan, product, lines, task),
            // What stood in the way before anything was sent is gone.
            After::Refusal { unsent: true, .. } => lacks.is_ok(),
            After::Refusal { unsent: false, .. } | After::All => false,
        };
        if goes_on {
            let handle = encode(&Handle::Rules { product })?;
            return Ok(Progress::Next { handle, view: Some(view.into()), price: None });
        }
        Ok(match (after, refused, lacks) {
            (After::Refusal { unsent: true, .. }, Some(refused), _) => {
                stands(handle, Some(view), Standing::NotDone, refused)
            }
            (_, Some(refused), lacks) => {
                let error = match lacks {
                    Ok(lacks) => refused.with_metadata("lacks", lacks.join("; ")),
                    Err(_) => refused,
                };
                Progress::Failed { error, view: Some(view.into()) }
            }
            (_, None, lacks) => {
                let accepted = "the upstream accepted its price rules and does not show them";
                let error = match lacks {
                    Ok(lacks) => {
                        let error = Error::new(ErrorReason::UpstreamFailed, accepted);
                        rules::unfinished(self, product, &lacks, error)?
                    }
                    Err(error) => error,
                };
                stands(handle, Some(view), Standing::EffectAwaited, error)
            }
        })
    }
}

/// The upstream's word does not go on, and the effect does not show.
fn stands(handle: &[u8], view: Option<Product>, standing: Standing, error: Error) -> Progress {
    let (handle, view) = (handle.to_vec(), view.map(Resource::from));
    Progress::Stands { handle, after: PAUSE, view, standing, error }
}

fn unknown(name: &str) -> Error {
    let message = format!("the upstream accepted {name} and does not know it");
    Error::new(ErrorReason::UpstreamFailed, message)
}
