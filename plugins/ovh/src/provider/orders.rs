//! Orders: one, a list, and what only the buyer may see. The newest come first; each row in full costs
//! several calls of about sixty a minute, so a full page is short.

use purveyor_sdk::names;
use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::rows::{self, Gaps};
use purveyor_sdk::time::to_rfc3339;
use purveyor_sdk::v1::{
    ErrorReason, ListOrdersRequest, ListOrdersResponse, ListView, Order, OrderSecrets, UpstreamRef,
};
use purveyor_sdk::{Cx, Error, Result, page};

use super::Ovh;
use crate::error;

/// The most rows of a page that is read in full.
pub(super) const FULL_ROWS: usize = 8;

/// Where an order stands.
pub(super) const ORDER: &str = "/me/order/{orderId}";

pub(super) async fn get(ovh: &Ovh, cx: &Cx, name: &str) -> Result<Order> {
    let id = number(cx.upstream_id(), name)?;
    let told = ovh.told(cx, id).await;
    let (seen, lines, gaps) = error::missing(told, || Error::order_not_found(name))?;
    ovh.shown_with(&seen, &lines, &gaps)
}

pub(super) async fn secrets(ovh: &Ovh, cx: &Cx, name: &str) -> Result<OrderSecrets> {
    let id = number(cx.upstream_id(), name)?;
    let told = ovh.client.secrets(cx, id).await;
    let told = error::missing(told, || Error::order_not_found(name))?;
    Ok(OrderSecrets {
        password: told.password.unwrap_or_default(),
        url: told.url.unwrap_or_default(),
        pdf_url: told.pdf_url.unwrap_or_default(),
    })
}

pub(super) async fn list(
    ovh: &Ovh,
    cx: &Cx,
    request: &ListOrdersRequest,
) -> Result<ListOrdersResponse> {
    let full = request.view() == ListView::Full || !request.states.is_empty();
    let most = if full { FULL_ROWS } else { page::MAX };
    let size = page::size(request.page_size)?.min(most);
    let (ids, next_page_token) =
        ovh.newest(cx, request.create_after, &request.page_token, size).await?;
    let mut orders = Vec::with_capacity(ids.len());
    for id in ids {
        let row = if full { ovh.read_order(cx, id).await } else { ovh.brief_order(id) };
        let known = |gaps: &Gaps| Ok(Order { notices: gaps.notices(), ..ovh.brief_order(id)? });
        let Some(row) = rows::shown(ORDER, row, known)? else { continue };
        let wanted = request.states.is_empty() || request.states.contains(&row.state);
        if wanted || rows::is_incomplete(&row.notices) {
            orders.push(row);
        }
    }
    Ok(ListOrdersResponse { orders, next_page_token, ..ListOrdersResponse::default() })
}

/// The number that an order's or a renewal's identifier is.
pub(super) fn number(upstream: &str, name: &str) -> Result<i64> {
    names::counted(upstream).ok_or_else(|| Error::order_not_found(name))
}

impl Ovh {
    async fn read_order(&self, cx: &Cx, id: i64) -> Result<Order> {
        let (seen, lines, gaps) = self.known(cx, id).await?;
        self.shown_with(&seen, &lines, &gaps)
    }

    /// One page of the numbers of orders, the newest first, and the token of the next: the last
    /// number. New orders do not move what is still to come.
    pub(super) async fn newest(
        &self,
        cx: &Cx,
        from: Option<Timestamp>,
        token: &str,
        size: usize,
    ) -> Result<(Vec<i64>, String)> {
        let before = match token {
            "" => i64::MAX,
            token => names::counted(token).ok_or_else(|| {
                Error::new(ErrorReason::PageTokenInvalid, "the page token is not of this list")
            })?,
        };
        let from = from.map(|from| to_rfc3339(&from)).transpose()?;
        let mut ids = self.client.orders(cx, from.as_deref()).await?;
        ids.retain(|id| *id < before);
        ids.sort_unstable_by(|one, other| other.cmp(one));
        ids.dedup();
        let more = ids.len() > size;
        ids.truncate(size);
        let next = ids.last().filter(|_| more).map(i64::to_string).unwrap_or_default();
        Ok((ids, next))
    }

    fn brief_order(&self, id: i64) -> Result<Order> {
        let upstream = Some(UpstreamRef::of(id.to_string()));
        Ok(Order { name: self.name.order(id)?, upstream, ..Order::default() })
    }
}
