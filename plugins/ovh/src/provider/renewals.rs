//! Renewals: an unpaid order, which costs nothing and lapses, and then its payment, where the request
//! says so. Two steps, the order's number stored between them; the ends that the caller expects are
//! compared right before both.

use purveyor_sdk::names;
use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::rows::{self, Gaps};
use purveyor_sdk::v1::payment::Choice;
use purveyor_sdk::v1::{
    CreateRenewalRequest, ErrorReason, ListRenewalsRequest, ListRenewalsResponse, Renewal,
    UpstreamRef,
};
use purveyor_sdk::{Cx, Error, Period, Result, Step, page};

use super::Ovh;
use super::order_view::{Seen, cost};
use super::orders::{FULL_ROWS, ORDER};
use super::payments::{FIRST_LOOK, check_unpaid, choice};
use super::renewal_view::renews;
use crate::checkpoint::{Before, Ending, Followed, decode, encode};
use crate::error::{self, Spent};
use crate::model::{Status, Strategy};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Extension {
    pub(super) service: i64,
    pub(super) services: Vec<Guarded>,
    pub(super) period: Period,
}

/// A service and the end that the caller expects.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Guarded {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) expected: Option<Timestamp>,
}

pub(super) async fn create(
    ovh: &Ovh,
    cx: &Cx,
    request: &CreateRenewalRequest,
) -> Result<Step<Renewal>> {
    let extension = ovh.extension(cx, request).await?;
    let pays = choice(request.payment.as_ref())?;
    match (cx.handle(), pays) {
        ([], pays) => {
            let names = ovh.guard(cx, &extension).await?;
            ovh.check_free(cx, &names, None).await?;
            ovh.ordered(cx, &extension, &names, pays.is_some()).await
        }
        (handle, Some(choice)) => {
            let order = decode::<Followed>(handle)?.order;
            ovh.settle(cx, &extension, order, &choice).await
        }
        (_, None) => Err(Error::fault("a renewal without a payment has one step")),
    }
}

pub(super) async fn get(ovh: &Ovh, cx: &Cx, name: &str) -> Result<Renewal> {
    let not_found = || Error::renewal_not_found(name);
    let id = names::counted(cx.upstream_id()).ok_or_else(not_found)?;
    let (seen, lines, gaps) = error::missing(ovh.told(cx, id).await, not_found)?;
    // Where the upstream does not tell what an order is for, whoever asks for a renewal knows.
    if renews(&lines) == Some(false) {
        return Err(not_found());
    }
    ovh.told_renewal(cx, &seen, &lines, gaps).await
}

pub(super) async fn list(
    ovh: &Ovh,
    cx: &Cx,
    request: &ListRenewalsRequest,
) -> Result<ListRenewalsResponse> {
    let size = page::size(request.page_size)?.min(FULL_ROWS);
    let (ids, next_page_token) =
        ovh.newest(cx, request.create_after, &request.page_token, size).await?;
    let mut renewals = Vec::new();
    for id in ids {
        let known = |gaps: &Gaps| {
            let row = ovh.brief_renewal(id)?;
            Ok(Some(Renewal { notices: gaps.notices(), ..row }))
        };
        let row = rows::shown(ORDER, ovh.listed_renewal(cx, id).await, known)?.flatten();
        let Some(row) = row else { continue };
        let of_service = |service: &str| row.services.iter().any(|it| it.service == service);
        // One that does not tell its services cannot be left out for them.
        let wanted =
            request.service.is_empty() || row.services.is_empty() || of_service(&request.service);
        let state = request.states.is_empty()
            || request.states.contains(&row.state)
            || rows::is_incomplete(&row.notices);
        if wanted && state {
            renewals.push(row);
        }
    }
    Ok(ListRenewalsResponse { renewals, next_page_token, ..ListRenewalsResponse::default() })
}

impl Ovh {
    /// A listed order as a renewal; `None` for one that is none, or does not tell. One whose lines cannot be
    /// read may be one.
    async fn listed_renewal(&self, cx: &Cx, id: i64) -> Result<Option<Renewal>> {
        let mut gaps = Gaps::default();
        let lines = self.known_lines(cx, id, &mut gaps).await?;
        let may_renew = !gaps.is_empty() && renews(&lines).is_none();
        if renews(&lines) != Some(true) && !may_renew {
            return Ok(None);
        }
        let seen = self.known_seen(cx, id, &mut gaps).await?;
        self.told_renewal(cx, &seen, &lines, gaps).await.map(Some)
    }

    fn brief_renewal(&self, id: i64) -> Result<Renewal> {
        let upstream = Some(UpstreamRef::of(id.to_string()));
        Ok(Renewal { name: self.name.renewal(id)?, upstream, ..Renewal::default() })
    }

    /// What a request asks for.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION, SERVICE_NOT_FOUND.
    pub(super) async fn extension(
        &self,
        cx: &Cx,
        request: &CreateRenewalRequest,
    ) -> Result<Extension> {
        let renewal = request.renewal.as_ref();
        let renewal = renewal.ok_or_else(|| Error::field("renewal", "is missing"))?;
        let period = renewal.term.as_ref().and_then(|term| term.checked_period().ok().flatten());
        let period = period
            .ok_or_else(|| Error::field("renewal.term", "must be recurring with a period"))?;
        let service = self.service_id(cx, &renewal.service, "renewal.service").await?;
        let mut services = Vec::new();
        for (at, reference) in renewal.services.iter().enumerate() {
            let field = format!("renewal.services[{at}].service");
            let id = self.service_id(cx, &reference.service, &field).await?;
            let (name, expected) = (reference.service.clone(), reference.expected_expire_time);
            services.push(Guarded { id, name, expected });
        }
        if services.is_empty() {
            services.push(Guarded { id: service, name: renewal.service.clone(), expected: None });
        }
        if !services.iter().any(|guarded| guarded.id == service) {
            return Err(Error::field("renewal.services", "lack renewal.service"));
        }
        Ok(Extension { service, services, period })
    }

    /// Whether every service ends when the caller expects it to; the services' names.
    ///
    /// # Errors
    ///
    /// SERVICE_NOT_FOUND, FIELD_VIOLATION, EXPIRE_TIME_CHANGED.
    pub(super) async fn guard(&self, cx: &Cx, extension: &Extension) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for (at, guarded) in extension.services.iter().enumerate() {
            let not_found = || Error::service_not_found(&guarded.name);
            let service = self.client.service(cx, guarded.id).await;
            let service = error::missing(service, not_found)?;
            names.extend(service.name().map(str::to_owned));
            let end = self.agreed_expiry(cx, guarded.id, &service).await?;
            if end.is_some() && guarded.expected.is_none() {
                let field = format!("renewal.services[{at}].expected_expire_time");
                return Err(Error::field(field, "is missing, and the upstream tells an expiry"));
            }
            if end != guarded.expected {
                let message = format!("{} does not expire when it is expected to", guarded.name);
                return Err(Error::new(ErrorReason::ExpireTimeChanged, message));
            }
        }
        Ok(names)
    }

    /// The first step: the unpaid order. Where the step was begun before, an order that it has left
    /// behind is taken instead of a second one.
    async fn ordered(
        &self,
        cx: &Cx,
        extension: &Extension,
        names: &[String],
        pays: bool,
    ) -> Result<Step<Renewal>> {
        let strategy =
            self.chosen(cx, extension.service, &extension.ids(), extension.period).await?;
        let left = match cx.baseline() {
            [] => None,
            evidence => self.left_behind(cx, &strategy, &decode(evidence)?).await?,
        };
        let seen = match left {
            Some(seen) => seen,
            None => {
                let order = self.client.renew(cx, extension.service, &strategy, false).await?;
                let unnumbered =
                    || Error::unavailable("the upstream made an order without a number");
                let id = order.id.ok_or_else(unnumbered)?;
                let status = Some(Status("notPaid".to_owned()));
                Seen { id, order, status, lapsed: false }
            }
        };
        let followed = extension.followed(seen.id);
        self.known.add(seen.id, names, followed.months);
        let view = self.own_renewal(extension, &seen, &[])?;
        if !pays {
            return Ok(Step::Done(view));
        }
        Ok(Step::Next { handle: encode(&followed)?, view: Some(view), price: cost(&seen.order) })
    }

    /// The second step: the payment.
    async fn settle(
        &self,
        cx: &Cx,
        extension: &Extension,
        order: i64,
        choice: &Choice,
    ) -> Result<Step<Renewal>> {
        let seen = self.seen(cx, order).await?;
        let goes_on = |status: &Status| status.is_paid() || status.is_checked();
        let earlier = decode::<Followed>(cx.baseline()).map(|it| it.earlier).unwrap_or_default();
        let paid = seen.status.as_ref().is_some_and(goes_on)
            || self.client.payment(cx, order).await? == Some(true);
        if paid {
            // An earlier attempt has come through after all, or somebody else has paid it.
            return self.paid(extension, seen, earlier);
        }
        check_unpaid(&seen)?;
        let names = self.guard(cx, extension).await?;
        self.check_free(cx, &names, Some(order)).await?;
        let means = self.means(cx, &seen, choice, "payment.method").await?;
        let price = cost(&seen.order);
        match self.client.pay(cx, order, &means, price).await? {
            Spent::Accepted => self.paid(extension, Seen { status: None, ..seen }, earlier),
            Spent::Refused { proof, error } => Ok(Step::rejected(proof, error)),
            Spent::Unknown(message) => Ok(Step::Unknown(message)),
        }
    }

    /// How a renewal goes on when its order is paid.
    pub(super) fn paid(
        &self,
        extension: &Extension,
        seen: Seen,
        earlier: Vec<i64>,
    ) -> Result<Step<Renewal>> {
        let handle = encode(&Followed { earlier, ..extension.followed(seen.id) })?;
        let view = Some(self.own_renewal(extension, &seen, &[])?);
        Ok(Step::Pending { handle, after: FIRST_LOOK, view })
    }

    /// An unpaid order that an earlier try of the first step has made and whose answer was lost: new
    /// since the step was first begun, and just like the one that would be made now. Of several none
    /// is known to be ours, and of none there is none.
    async fn left_behind(
        &self,
        cx: &Cx,
        strategy: &Strategy,
        before: &Before,
    ) -> Result<Option<Seen>> {
        if before.begun == 0 {
            return Ok(None);
        }
        let mut found = Vec::new();
        for id in self.client.orders(cx, Some(&before.since)).await? {
            if before.orders.contains(&id) {
                continue;
            }
            let lines = self.lines(cx, id).await?;
            let duration = |line: &super::order_view::Line| {
                line.extension.as_ref().and_then(|(it, _)| it.duration().map(str::to_owned))
            };
            let like = renews(&lines) == Some(true)
                && lines.len() == strategy.services.len()
                && lines.iter().all(|line| duration(line).as_ref() == Some(&strategy.period));
            if !like || !self.names_fit(cx, strategy, &lines).await? {
                continue;
            }
            let seen = self.seen(cx, id).await?;
            if seen.status.as_ref().is_some_and(Status::is_unpaid) && !seen.lapsed {
                found.push(seen);
            }
        }
        Ok(if found.len() == 1 { found.pop() } else { None })
    }

    /// Whether the lines are about the strategy's services, by their names.
    async fn names_fit(
        &self,
        cx: &Cx,
        strategy: &Strategy,
        lines: &[super::order_view::Line],
    ) -> Result<bool> {
        let mut names = Vec::new();
        for id in &strategy.services {
            let service = self.client.service(cx, *id).await?;
            names.push(service.name().unwrap_or_default().to_owned());
        }
        let mut told: Vec<&str> = lines.iter().map(|line| line.detail.domain.as_str()).collect();
        names.sort_unstable();
        told.sort_unstable();
        Ok(names == told)
    }
}

impl Extension {
    pub(super) fn ids(&self) -> Vec<i64> {
        self.services.iter().map(|guarded| guarded.id).collect()
    }

    /// What an order of it is to do: the guard holds until right before the payment, so that the expected
    /// ends are those of before.
    pub(super) fn followed(&self, order: i64) -> Followed {
        let ending = |guarded: &Guarded| Ending {
            service: guarded.id,
            end: guarded.expected.map(|end| end.seconds),
        };
        let months = match self.period {
            Period::Months(months) => Some(months),
            _ => None,
        };
        Followed {
            ends: self.services.iter().map(ending).collect(),
            months,
            ..Followed::new(order)
        }
    }
}
