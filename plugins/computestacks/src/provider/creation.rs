//! Making a product: the product first, then its place in the billing plan and its price rules,
//! each in a step of its own.

use purveyor_sdk::v1::{CreateProductRequest, Product};
use purveyor_sdk::{Cx, Error, Result, Step};

use super::offers::{self, Line};
use super::{ComputeStacks, rules};
use crate::client::Sent;
use crate::model::Changes;

pub(super) async fn create(
    stacks: &ComputeStacks,
    cx: &Cx,
    request: &CreateProductRequest,
) -> Result<Step<Product>> {
    let (wanted, lines) = stacks.wanted(request)?;
    if !cx.handle().is_empty() {
        return rules::step(stacks, cx, &lines).await;
    }
    if !lines.is_empty() {
        // A plan that does not exist is found out before there is a product.
        stacks.billing_plan(cx).await?;
    }
    match stacks.client.create(cx, &wanted).await? {
        // A new product is in no plan.
        Sent::Accepted(row) => stacks.accepted(&row, None, &row.differs_as_made(&wanted), &lines),
        Sent::Refused { proof, error } => Ok(Step::rejected(proof, error)),
        Sent::Unknown(message) => Ok(Step::unknown(message)),
    }
}

impl ComputeStacks {
    /// What a request wants: the product, and its price rules.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION with every mistake.
    pub(super) fn wanted(&self, request: &CreateProductRequest) -> Result<(Changes, Vec<Line>)> {
        let product = request.product.as_ref();
        let product = product.ok_or_else(|| Error::field("product", "is required"))?;
        match (Changes::of_new(product), offers::lines(&self.config, product)) {
            (Ok(wanted), Ok(lines)) => Ok((wanted, lines)),
            (Err(one), Err(other)) => {
                Err(Error::fields(one.violations.into_iter().chain(other.violations)))
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }
}
