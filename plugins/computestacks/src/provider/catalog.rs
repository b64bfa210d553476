//! The catalogue as it is: pages of it, one product of it, and what a product costs by the
//! configured billing plan.

use purveyor_sdk::prost_types::{ListValue, Value as Field, value::Kind};
use purveyor_sdk::v1::{
    ErrorReason, GetProductRequest, ListProductsRequest, ListProductsResponse, ListView, Product,
};
use purveyor_sdk::{Cx, Error, Level, Result, etag, page};

use super::ComputeStacks;
use crate::model::{Plan, Row};

/// The attribute with the price rules that no offer can show.
const UNSHOWN: &str = "price_rules_not_shown";

/// The upstream's pages are ours: a cursor is the page's number and size.
pub(super) async fn list(
    stacks: &ComputeStacks,
    cx: &Cx,
    request: ListProductsRequest,
) -> Result<ListProductsResponse> {
    let size = page::size(request.page_size)?;
    let (number, size) = match request.page_token.as_str() {
        "" => (1, size),
        token => cursor(token)?,
    };
    let rows = stacks.client.products(cx, number, size).await?;
    let full = request.view() == ListView::Full;
    let plan = match stacks.config.billing_plan {
        Some(_) if full => stacks.billing_plan(cx).await?,
        _ => None,
    };
    // Without a plan the listing tells all that is known of a product.
    let whole = full || stacks.config.billing_plan.is_none();
    let show = |row: &Row| {
        let product = stacks.shown(row, plan.as_ref())?;
        Ok(if whole { product } else { Product { etag: String::new(), ..product } })
    };
    for error in &rows.nameless {
        cx.log(Level::WARN, &format!("a product of the catalogue cannot be shown: {error}"));
    }
    let products = rows.rows.iter().map(show).collect::<Result<_>>()?;
    let next_page_token = if rows.more { format!("{}/{size}", number + 1) } else { String::new() };
    Ok(ListProductsResponse { products, next_page_token, ..ListProductsResponse::default() })
}

pub(super) async fn get(
    stacks: &ComputeStacks,
    cx: &Cx,
    request: &GetProductRequest,
) -> Result<Product> {
    let id = stacks.product_id(&request.name, "name")?;
    let row = stacks.client.product(cx, id).await?;
    let row = row.ok_or_else(|| Error::product_not_found(&request.name))?;
    let plan = stacks.billing_plan(cx).await?;
    stacks.shown(&row, plan.as_ref())
}

impl ComputeStacks {
    /// The product of that identifier, which a write is about.
    ///
    /// # Errors
    ///
    /// PRODUCT_NOT_FOUND, naming `name`; UPSTREAM_UNAVAILABLE where it cannot be read whole.
    pub(super) async fn row(&self, cx: &Cx, id: i64, name: &str) -> Result<Row> {
        let row = self.client.product(cx, id).await?;
        let row = row.ok_or_else(|| Error::product_not_found(name))?;
        row.check_whole().map(|()| row)
    }

    /// The configured billing plan; `None` where none is configured.
    ///
    /// # Errors
    ///
    /// STATE_CONFLICT where the upstream has no such plan.
    pub(super) async fn billing_plan(&self, cx: &Cx) -> Result<Option<Plan>> {
        let Some(id) = self.config.billing_plan else { return Ok(None) };
        let plan = self.client.plan(cx, id).await?;
        let missing = || Error::state(format!("the upstream has no billing plan {id}"));
        plan.map(Some).ok_or_else(missing)
    }

    /// A product with its offers, sealed.
    pub(super) fn shown(&self, row: &Row, plan: Option<&Plan>) -> Result<Product> {
        let mut product = row.show(self.name.product(row.id)?);
        if let Some(plan) = plan {
            product.offers = plan.offers(row.id);
            product.notices.extend(plan.notices(row.id));
            let unshown = plan.unshown(row.id);
            if !unshown.is_empty() {
                let values =
                    unshown.into_iter().map(|id| Field { kind: Some(Kind::StringValue(id)) });
                let list = Kind::ListValue(ListValue { values: values.collect() });
                let attributes = product.attributes.get_or_insert_default();
                attributes.fields.insert(UNSHOWN.to_owned(), Field { kind: Some(list) });
            }
        }
        Ok(etag::seal(product))
    }
}

fn cursor(token: &str) -> Result<(usize, usize)> {
    let parts = token.split_once('/').and_then(|(number, size)| {
        let (number, size) = (number.parse::<usize>().ok()?, size.parse::<usize>().ok()?);
        (number > 0 && (1..=page::MAX).contains(&size)).then_some((number, size))
    });
    parts.ok_or_else(|| {
        Error::new(ErrorReason::PageTokenInvalid, "the page token is not of this list")
    })
}
