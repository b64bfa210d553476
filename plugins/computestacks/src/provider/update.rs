//! Changing a product: the fields that the mask names in one request, and the price rules that are
//! missing in a step each.

use std::time::Duration;

use purveyor_sdk::v1::{ErrorReason, Product, UpdateProductRequest};
use purveyor_sdk::{Cx, Error, Result, Step};

use super::offers::{self, Line};
use super::{ComputeStacks, rules};
use crate::checkpoint::{Handle, encode};
use crate::client::Sent;
use crate::model::{Changes, Row};

const OFFERS: &str = "offers";

/// What a request wants, as far as it can be told without asking.
#[derive(Debug)]
pub(super) struct Update<'a> {
    pub(super) id: i64,
    pub(super) product: &'a Product,
    pub(super) paths: Vec<&'a str>,
    /// The price rules that should be there; none where the mask does not name them.
    pub(super) lines: Vec<Line>,
}

pub(super) async fn update(
    stacks: &ComputeStacks,
    cx: &Cx,
    request: &UpdateProductRequest,
) -> Result<Step<Product>> {
    let update = stacks.read_update(request)?;
    if !cx.handle().is_empty() || !update.sets() {
        return rules::step(stacks, cx, &update.lines).await;
    }
    let row = stacks.row(cx, update.id, &update.product.name).await?;
    stacks.check_target(cx.baseline(), &row, &update.product.name)?;
    let changes = update.changes(&row)?;
    let plan = stacks.billing_plan(cx).await?;
    if let Some(plan) = &plan {
        // Prices that contradict are found out before anything is changed.
        rules::lacks(plan, update.id, &update.lines)?;
    }
    match stacks.client.update(cx, update.id, &changes).await? {
        // The next change of a part is filled up from what is read, so this one has to show there.
        Sent::Accepted(row) => Ok(Step::Pending {
            handle: encode(&Handle::Row { product: row.id })?,
            after: Duration::ZERO,
            view: Some(stacks.shown(&row, plan.as_ref())?),
        }),
        Sent::Refused { proof, error } if error.reason == ErrorReason::ProductNotFound => {
            Ok(Step::rejected(proof, Error::product_not_found(&update.product.name)))
        }
        Sent::Refused { proof, error } => Ok(Step::rejected(proof, error)),
        Sent::Unknown(message) => Ok(Step::unknown(message)),
    }
}

impl Update<'_> {
    /// Whether the product itself is to be changed.
    pub(super) fn sets(&self) -> bool {
        self.paths.iter().any(|path| *path != OFFERS)
    }

    /// Whether the package is to be changed, which makes it anew.
    pub(super) fn recreates(&self) -> bool {
        self.paths.iter().any(|path| path.split('.').next() == Some("package"))
    }

    pub(super) fn changes(&self, present: &Row) -> Result<Changes> {
        Changes::of_update(self.product, &self.paths, present)
    }
}

impl ComputeStacks {
    /// # Errors
    ///
    /// FIELD_VIOLATION, PRODUCT_NOT_FOUND.
    pub(super) fn read_update<'a>(&self, request: &'a UpdateProductRequest) -> Result<Update<'a>> {
        let product = request.product.as_ref();
        let product = product.ok_or_else(|| Error::field("product", "is required"))?;
        let id = self.product_id(&product.name, "product.name")?;
        let masked = request.update_mask.iter().flat_map(|mask| &mask.paths);
        let paths: Vec<&str> = masked.map(String::as_str).collect();
        if paths.is_empty() {
            return Err(Error::field("update_mask", "names nothing that could be changed"));
        }
        let lines = if paths.contains(&OFFERS) {
            if product.offers.is_empty() {
                let message = "price rules are only added here, and none is given";
                return Err(Error::field("product.offers", message));
            }
            offers::lines(&self.config, product)?
        } else {
            Vec::new()
        };
        Ok(Update { id, product, paths, lines })
    }
}
