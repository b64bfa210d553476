//! Plans as products. The upstream shows one plan at a time and has no list: the list is the
//! configuration's, each row asked for.

use purveyor_sdk::futures_util::{StreamExt, stream};
use purveyor_sdk::v1::{
    GetProductRequest, ListProductsRequest, ListProductsResponse, Product, UpstreamRef,
};
use purveyor_sdk::{Cx, Error, Result, etag, page, rows};

use super::RackNap;
use super::order_lines::OPTIONS_SCHEMA;
use crate::error::number;
use crate::model::{Currency, Fields, Plan, Tree};

/// How many plans of a page are asked for at a time.
const READS: usize = 8;

/// The platforms that the upstream knows.
const PLATFORMS: [&str; 2] = ["Linux", "Windows"];

/// What the details are asked for.
struct View {
    platform: Option<&'static str>,
    code: String,
    number: u32,
    partner: i64,
}

pub(super) async fn list(
    racknap: &RackNap,
    cx: &Cx,
    request: &ListProductsRequest,
) -> Result<ListProductsResponse> {
    let view = racknap.view(&request.platform, &request.currency_code, &request.partner)?;
    let plans = racknap.settings.plans.clone();
    let (plans, next_page_token) = page::of(plans, request.page_size, &request.page_token)?;
    let plans = plans.into_iter().map(i64::from);
    let view = &view;
    let details = plans.map(async |plan| (plan, racknap.product(cx, plan, view).await));
    let read: Vec<(i64, Result<Product>)> = stream::iter(details).buffered(READS).collect().await;
    // The list is the configuration's: until one plan is told, an error may be about all of them.
    let told = read.iter().any(|(_, product)| product.is_ok());
    let mut products = Vec::with_capacity(read.len());
    for (plan, product) in read {
        let product = if told { racknap.row(plan, product)? } else { product.map(Some)? };
        products.extend(product);
    }
    Ok(ListProductsResponse { products, next_page_token, ..ListProductsResponse::default() })
}

pub(super) async fn get(
    racknap: &RackNap,
    cx: &Cx,
    request: &GetProductRequest,
) -> Result<Product> {
    let plan = racknap.plan_of(&request.name, "name")?;
    let view = racknap.view(&request.platform, &request.currency_code, &request.partner)?;
    racknap.product(cx, plan, &view).await
}

impl RackNap {
    fn view(&self, platform: &str, currency: &str, partner: &str) -> Result<View> {
        let known = PLATFORMS.into_iter().find(|known| *known == platform);
        if known.is_none() && !platform.is_empty() {
            return Err(Error::field("platform", "has to be Linux or Windows"));
        }
        let (code, number) = self.settings.currency_of(currency)?;
        Ok(View { platform: known, code, number, partner: partner_of(partner, "partner")? })
    }

    /// A plan of the list: where its details cannot be read, its number and why.
    fn row(&self, plan: i64, read: Result<Product>) -> Result<Option<Product>> {
        rows::shown("service/planDetail", read, |gaps| {
            Ok(Product {
                name: self.name.product(plan)?,
                upstream: Some(UpstreamRef::of(plan.to_string())),
                notices: gaps.notices(),
                ..Product::default()
            })
        })
    }

    /// The details of a plan; with a platform by another call, which spells currency and partner
    /// differently.
    async fn product(&self, cx: &Cx, plan: i64, view: &View) -> Result<Product> {
        let fields = Fields::default().number("planid", plan);
        let (call, fields) = match view.platform {
            None => {
                let fields = fields.number("currency", view.number).number("pid", view.partner);
                ("service/planDetail", fields)
            }
            Some(platform) => {
                let fields = fields.text("platform", platform).number("currency_id", view.number);
                let fields = fields.number("partner_id", view.partner);
                ("service/cloud_linux_vps_details", fields)
            }
        };
        let answer = self.client.read(cx, call, &fields).await;
        let answer = answer.map_err(|error| error.with_metadata("plan", plan))?;
        let tax = self.settings.tax;
        let read = Plan::read(&answer, &Currency { code: &view.code, number: view.number, tax });
        let text =
            |name: &str| answer.get(name).and_then(Tree::text).unwrap_or_default().to_owned();
        let (state, message) = (text("status"), text("message"));
        let id = plan.to_string();
        Ok(etag::seal(Product {
            name: self.name.product(plan)?,
            display_name: read.name,
            offers: read.offers,
            notices: read.notices,
            options_schema: OPTIONS_SCHEMA.to_owned(),
            upstream: Some(UpstreamRef { ids: vec![id], state, message, ..UpstreamRef::default() }),
            attributes: Some(read.attributes),
            ..Product::default()
        }))
    }
}

/// The number of a partner; 0 is the main venture, and what an empty one means.
///
/// # Errors
///
/// FIELD_VIOLATION of `field` for what is no number.
pub(super) fn partner_of(text: &str, field: &str) -> Result<i64> {
    if text.is_empty() { Ok(0) } else { number(text, 0, field) }
}
