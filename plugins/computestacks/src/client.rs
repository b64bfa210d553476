//! The upstream's calls, one function each: values in, what is told out. A read whose answer cannot
//! be understood is an error; an answer to a write that proves nothing is unknown. A write is never
//! sent twice here, and no meaning is given to what is read.

use purveyor_sdk::http::Request;
use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Answer, Cx, Error, Result};

use crate::error::{self, Verdict};
use crate::model::{Changes, Fields, Plan, Row, not_understood};

mod session;

pub(crate) use session::{API_CREDENTIAL, PASSWORD, Session, USERNAME};

/// Rows of a page where the whole list is wanted.
const PAGE: usize = 200;
/// The most pages of one listing: a listing that does not end must not be followed for ever.
const MAX_PAGES: usize = 500;
/// How often a listing is begun anew that changed while it was read.
const MAX_LISTINGS: usize = 3;

/// The way to one controller.
pub(crate) struct Client {
    pub(crate) session: Session,
    pub(crate) api_version: u32,
}

/// How a write was answered.
#[derive(Debug)]
pub(crate) enum Sent<T> {
    /// The upstream did it.
    Accepted(T),
    /// Nothing was done; which declared proof says so, and the error for the caller.
    Refused { proof: &'static str, error: Error },
    /// The answer does not tell.
    Unknown(String),
}

/// One page of the catalogue.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) rows: Vec<Row>,
    /// Why rows have no identifier that can be read: they cannot be shown, and may be any.
    pub(crate) nameless: Vec<Error>,
    /// Whether another page follows.
    pub(crate) more: bool,
    total: Option<usize>,
    /// Whether the version of the API that is asked for goes away.
    pub(crate) deprecated: bool,
}

/// Products of the whole catalogue.
#[derive(Debug, Default)]
pub(crate) struct Products {
    pub(crate) rows: Vec<Row>,
    /// As [`Page::nameless`].
    pub(crate) nameless: Vec<Error>,
}

/// Which phase a price rule goes into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) plan: i64,
    pub(crate) resource: i64,
    pub(crate) phase: i64,
}

/// A price rule as it is sent.
#[derive(Debug)]
pub(crate) struct NewRule<'a> {
    pub(crate) currency: &'a str,
    /// Decimal text.
    pub(crate) price: String,
    pub(crate) max_quantity: Option<i32>,
    pub(crate) regions: &'a [i64],
}

impl Client {
    /// `GET /api/version`, as it is told.
    pub(crate) async fn version(&self, cx: &Cx) -> Result<Fields> {
        let build = || cx.http().call("version");
        let answer = self.headed(build()).send().await?;
        if answer.status == 200 { answer.json() } else { Err(error::of_read(cx, &answer)) }
    }

    /// One product; `None` where there is none.
    pub(crate) async fn product(&self, cx: &Cx, id: i64) -> Result<Option<Row>> {
        let read = self.read(cx, || cx.http().call("products.get").segment(id)).await;
        let Some(answer) = found(read)? else { return Ok(None) };
        let row = row(&answer)?;
        if row.id == id { Ok(Some(row)) } else { Err(not_understood("id")) }
    }

    /// One page of the catalogue, counted from 1.
    pub(crate) async fn products(&self, cx: &Cx, page: usize, size: usize) -> Result<Page> {
        let build = || {
            let request = cx.http().call("products.list");
            request.query("page", page).query("per_page", size)
        };
        let answer = self.read(cx, build).await?;
        let rows = answer.json::<Fields>()?;
        if !rows.has("products") {
            return Err(not_understood("products"));
        }
        let listed = rows.objects("products")?;
        let mut nameless = Vec::new();
        let read = listed.iter().map(Row::read);
        let rows = read.filter_map(|row| row.map_err(|error| nameless.push(error)).ok()).collect();
        let total = answer.header("total").and_then(|total| total.trim().parse().ok());
        let linked = answer.header("link").is_some_and(|link| link.contains("rel=\"next\""));
        let more = !listed.is_empty()
            && match total {
                Some(total) => page.saturating_mul(size) < total,
                None => linked || listed.len() == size,
            };
        let deprecated = answer.header("api-deprecated") == Some("true");
        Ok(Page { rows, nameless, more, total, deprecated })
    }

    /// Every product that `wanted` takes. A list that changes while it is read is read again,
    /// because a row could be missed.
    pub(crate) async fn every_product(
        &self,
        cx: &Cx,
        wanted: impl Fn(&Row) -> bool,
    ) -> Result<Products> {
        for _ in 0..MAX_LISTINGS {
            if let Some(rows) = self.listing(cx, &wanted).await? {
                return Ok(rows);
            }
        }
        Err(Error::unavailable("the upstream's list of products changes while it is read"))
    }

    /// `None` where it changed meanwhile.
    async fn listing(&self, cx: &Cx, wanted: &impl Fn(&Row) -> bool) -> Result<Option<Products>> {
        let (mut kept, mut seen, mut total) = (Products::default(), 0, None);
        for number in 1..=MAX_PAGES {
            let page = self.products(cx, number, PAGE).await?;
            if number > 1 && page.total != total {
                return Ok(None);
            }
            total = page.total;
            seen += page.rows.len() + page.nameless.len();
            kept.rows.extend(page.rows.into_iter().filter(wanted));
            kept.nameless.extend(page.nameless);
            if !page.more {
                return Ok(total.is_none_or(|total| total == seen).then_some(kept));
            }
        }
        Err(Error::unavailable("the upstream's list of products does not end"))
    }

    /// A billing plan with everything in it; `None` where there is none.
    pub(crate) async fn plan(&self, cx: &Cx, id: i64) -> Result<Option<Plan>> {
        let read = self.read(cx, || cx.http().call("billing_plans.get").segment(id)).await;
        let Some(answer) = found(read)? else { return Ok(None) };
        let plan = answer.json::<Fields>()?.object("billing_plan")?;
        Plan::read(&plan.ok_or_else(|| not_understood("billing_plan"))?).map(Some)
    }

    /// `POST /api/admin/products`. A second one makes a second product.
    pub(crate) async fn create(&self, cx: &Cx, wanted: &Changes) -> Result<Sent<Row>> {
        let build = || cx.http().call("products.create").json(&wanted.to_json());
        Ok(told(self.write(cx, 201, build).await?))
    }

    /// `PATCH /api/admin/products/{id}`.
    pub(crate) async fn update(&self, cx: &Cx, id: i64, wanted: &Changes) -> Result<Sent<Row>> {
        let build = || cx.http().call("products.update").segment(id).json(&wanted.to_json());
        Ok(told(self.write(cx, 200, build).await?))
    }

    /// `DELETE /api/admin/products/{id}`.
    pub(crate) async fn delete(&self, cx: &Cx, id: i64) -> Result<Sent<Answer>> {
        self.write(cx, 204, || cx.http().call("products.delete").segment(id)).await
    }

    /// Puts a product into a billing plan.
    pub(crate) async fn add_resource(
        &self,
        cx: &Cx,
        plan: i64,
        product: i64,
    ) -> Result<Sent<Answer>> {
        let body = json!({ "billing_resource": { "product_id": product } });
        let build = || cx.http().call("billing_resources.create").segment(plan).json(&body);
        self.write(cx, 201, build).await
    }

    /// Sets a price in a phase.
    pub(crate) async fn add_rule(
        &self,
        cx: &Cx,
        place: Place,
        rule: &NewRule<'_>,
    ) -> Result<Sent<Answer>> {
        let mut price: Value = json!({
            "currency": rule.currency,
            "price": rule.price,
            "region_ids": rule.regions,
        });
        if let (Value::Object(members), Some(max)) = (&mut price, rule.max_quantity) {
            members.insert("max_qty".to_owned(), max.into());
        }
        let body = json!({ "billing_resource_price": price });
        let build = || {
            let request = cx.http().call("billing_resource_prices.create").segment(place.plan);
            request.segment(place.resource).segment(place.phase).json(&body)
        };
        self.write(cx, 201, build).await
    }

    /// Sends a read, and once more with another token where the first is no longer good.
    async fn read<'a>(&self, cx: &'a Cx, build: impl Fn() -> Request<'a>) -> Result<Answer> {
        for _ in 0..2 {
            let key = self.session.key(cx, self).await?;
            let answer = key.put_into(self.headed(build())).send().await?;
            if answer.status == 401 && self.session.drop_token(&key) {
                continue;
            }
            return match answer.status {
                200 => Ok(answer),
                _ => Err(error::of_read(cx, &answer)),
            };
        }
        Err(Error::credentials("the upstream takes none of its own tokens"))
    }

    /// Sends what must not be sent twice, and what is done when it is answered with the status
    /// `done`. An error is the host's, which knows what became of it.
    async fn write<'a>(
        &self,
        cx: &'a Cx,
        done: u16,
        build: impl Fn() -> Request<'a>,
    ) -> Result<Sent<Answer>> {
        let key = self.session.key(cx, self).await?;
        let answer = key.put_into(self.headed(build())).send().await?;
        if answer.status == done {
            return Ok(Sent::Accepted(answer));
        }
        let renewable = answer.status == 401 && self.session.drop_token(&key);
        Ok(match error::of_write(cx, &answer, renewable) {
            Verdict::Refused { proof, error } => Sent::Refused { proof, error },
            Verdict::Unknown(message) => Sent::Unknown(message),
        })
    }

    /// The version of the API stands in the media type.
    fn headed<'a>(&self, request: Request<'a>) -> Request<'a> {
        request.header("accept", format!("application/json; api_version={}", self.api_version))
    }
}

/// The product that a write made or changed.
fn told(sent: Sent<Answer>) -> Sent<Row> {
    match sent {
        Sent::Accepted(answer) => match row(&answer) {
            Ok(row) => Sent::Accepted(row),
            Err(error) => Sent::Unknown(error.message),
        },
        Sent::Refused { proof, error } => Sent::Refused { proof, error },
        Sent::Unknown(message) => Sent::Unknown(message),
    }
}

fn row(answer: &Answer) -> Result<Row> {
    let product = answer.json::<Fields>()?.object("product")?;
    Row::read(&product.ok_or_else(|| not_understood("product"))?)
}

/// `None` where the upstream says that there is no such record.
fn found(read: Result<Answer>) -> Result<Option<Answer>> {
    match read {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.reason == ErrorReason::ProductNotFound => Ok(None),
        Err(error) => Err(error),
    }
}
