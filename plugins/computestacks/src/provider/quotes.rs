//! What a write would do. Nothing in a catalogue costs anything, so no quote has a price; it
//! refuses what the write would be refused for, as far as reading can tell.

use purveyor_sdk::v1::quote::Step;
use purveyor_sdk::v1::{
    CreateProductRequest, DeleteProductRequest, Effect, Quote, UpdateProductRequest,
};
use purveyor_sdk::{Cx, Error, Result, Write, WriteRequest};

use super::ComputeStacks;
use super::declare::{self, NEEDS_PRICE_RULES, RECREATES_PACKAGE, notice};
use super::rules::{self, Lack};

pub(super) async fn plan(stacks: &ComputeStacks, cx: &Cx, write: Write) -> Result<Quote> {
    match &write.request {
        WriteRequest::CreateProduct(request) => stacks.quote_creation(cx, request).await,
        WriteRequest::UpdateProduct(request) => stacks.quote_update(cx, request).await,
        WriteRequest::DeleteProduct(request) => stacks.quote_deletion(cx, request).await,
        _ => Err(Error::unsupported("a quote of this write")),
    }
}

impl ComputeStacks {
    async fn quote_creation(&self, cx: &Cx, request: &CreateProductRequest) -> Result<Quote> {
        let (_, lines) = self.wanted(request)?;
        let mut steps = vec![step(declare::CREATE, Effect::Spend)];
        let asked = !lines.is_empty();
        if asked {
            self.billing_plan(cx).await?;
            steps.push(step(declare::ADD_RESOURCE, Effect::Spend));
            steps.extend(lines.iter().map(|_| step(declare::ADD_RULE, Effect::Spend)));
        }
        let notices = vec![notice(NEEDS_PRICE_RULES)];
        Ok(Quote { steps, notices, upstream_asked: asked, ..Quote::default() })
    }

    async fn quote_update(&self, cx: &Cx, request: &UpdateProductRequest) -> Result<Quote> {
        let update = self.read_update(request)?;
        let row = self.row(cx, update.id, &update.product.name).await?;
        update.changes(&row)?;
        let mut quote = Quote { upstream_asked: true, ..Quote::default() };
        if update.sets() {
            quote.steps.push(step(declare::UPDATE, Effect::Setting));
        }
        if update.recreates() {
            quote.notices.push(notice(RECREATES_PACKAGE));
        }
        if !update.lines.is_empty() {
            let lacks = match self.billing_plan(cx).await? {
                Some(plan) => rules::lacks(&plan, update.id, &update.lines)?,
                None => Vec::new(),
            };
            quote.steps.extend(lacks.iter().map(|lack| match lack {
                Lack::Resource => step(declare::ADD_RESOURCE, Effect::Spend),
                Lack::Rule { .. } => step(declare::ADD_RULE, Effect::Spend),
            }));
        }
        Ok(quote)
    }

    async fn quote_deletion(&self, cx: &Cx, request: &DeleteProductRequest) -> Result<Quote> {
        let id = self.product_id(&request.name, "name")?;
        let there = self.client.product(cx, id).await?.is_some();
        if !there && !request.allow_missing {
            return Err(Error::product_not_found(&request.name));
        }
        let steps = there.then(|| step(declare::DELETE, Effect::Setting));
        Ok(Quote { steps: Vec::from_iter(steps), upstream_asked: true, ..Quote::default() })
    }
}

fn step(call: &str, effect: Effect) -> Step {
    Step { call: call.to_owned(), effect: effect.into() }
}
