//! Whether a write has had its effect, judged in one place for an answer, a poll and a search: the
//! product as it was asked for, then each of its price rules; or the product gone.

use std::time::Duration;

use purveyor_sdk::v1::Product;
use purveyor_sdk::{Cx, Error, Result, Step, Write, WriteRequest};

use super::ComputeStacks;
use super::offers::Line;
use crate::checkpoint::{Handle, encode};
use crate::model::{Identity, Likeness, PACKAGE, Plan, Row};

/// What has become of a product that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Gone,
    There,
    /// Something is there that was changed, or that is another product.
    Unsure,
}

impl ComputeStacks {
    /// The fields in which a product is not as a write asks; none: the product is delivered.
    pub(super) fn differs(&self, write: &Write, row: &Row) -> Result<Vec<&'static str>> {
        Ok(match &write.request {
            WriteRequest::CreateProduct(request) => row.differs_as_made(&self.wanted(request)?.0),
            WriteRequest::UpdateProduct(request) => self.read_update(request)?.differs(row),
            _ => return Err(Error::unsupported("the effect of this write on a product")),
        })
    }

    /// How a write goes on with the product that the upstream shows: only one that is as it was asked
    /// for is done, or gets its price rules.
    pub(super) fn accepted(
        &self,
        row: &Row,
        plan: Option<&Plan>,
        differs: &[&str],
        lines: &[Line],
    ) -> Result<Step<Product>> {
        let view = self.shown(row, plan)?;
        let product = row.id;
        if !differs.is_empty() {
            let handle = encode(&Handle::Row { product })?;
            return Ok(Step::Pending { handle, after: Duration::ZERO, view: Some(view) });
        }
        if lines.is_empty() {
            return Ok(Step::Done(view));
        }
        let handle = encode(&Handle::Rules { product })?;
        Ok(Step::Next { handle, view: Some(view), price: None })
    }

    /// Whether a product is gone: it is not found by its identifier, and the whole list lacks it, or
    /// another product has its identifier. One answer that there is no such record proves nothing.
    pub(super) async fn presence(
        &self,
        cx: &Cx,
        product: i64,
        before: Option<Identity>,
    ) -> Result<Presence> {
        if let Some(row) = self.client.product(cx, product).await? {
            return Ok(match before.map(|identity| identity.compare(&row)) {
                Some(Likeness::Same) => Presence::There,
                Some(Likeness::Other) => Presence::Gone,
                Some(Likeness::Unsure) | None => Presence::Unsure,
            });
        }
        let listed = self.client.every_product(cx, |row| row.id == product).await?;
        let lacks = listed.rows.is_empty() && listed.nameless.is_empty();
        Ok(if lacks { Presence::Gone } else { Presence::Unsure })
    }

    /// Whether a product exists. One answer that it does not is asked for once more.
    pub(super) async fn exists(&self, cx: &Cx, product: i64) -> Result<bool> {
        for _ in 0..2 {
            if self.client.product(cx, product).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl super::update::Update<'_> {
    /// The fields in which a product is not as the mask wants it.
    pub(super) fn differs(&self, row: &Row) -> Vec<&'static str> {
        if !self.sets() {
            return Vec::new();
        }
        // What the mask cannot be read for has another shape by now.
        self.changes(row).map_or_else(|_| vec![PACKAGE], |changes| row.differs(&changes))
    }
}
