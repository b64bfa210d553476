//! What the methods of Renewals mean: which services are renewed, that each still expires when the
//! caller believes it does, and how a renewal is shown.
//!
//! Nothing is sent from here that costs anything: a write ends in the journal.

mod check;
mod list;
mod pair;

use futures_util::{StreamExt, TryStreamExt, stream};
use purveyor_sdk::names::{ProviderName, RenewalName, ServiceName};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::{
    CreateRenewalRequest, ErrorReason, GetRenewalRequest, ListRenewalOptionsRequest,
    ListRenewalOptionsResponse, ListRenewalsRequest, ListRenewalsResponse, Renewal,
};
use purveyor_sdk::{Error, Result};

pub(super) use pair::held_services;

use super::Engine;
use super::call::{Call, Written};
use super::fields::Mistakes;
use super::listing::{Asked, ListRequest, Listed};
use super::made_here::Made;
use super::naming::{FoundService, RENEWALS_MADE_BY, parse, require};
use super::page_token::PageTokens;
use super::reading::{about, read};
use super::writing::Target;
use crate::plugin::Provider;

/// How many services of one renewal are read at a time.
const READS: usize = 8;

/// Paying for further terms.
#[derive(Clone)]
pub struct Renewals {
    engine: Engine,
    tokens: PageTokens,
}

impl Renewals {
    /// The renewals of this engine's providers.
    pub fn new(engine: Engine) -> Renewals {
        let tokens = PageTokens::new(engine.store().identity());
        Renewals { engine, tokens }
    }

    /// Lists the ways in which a service can be renewed.
    ///
    /// # Errors
    ///
    /// As Renewals.ListRenewalOptions.
    pub async fn list_options(
        &self,
        call: &Call,
        request: ListRenewalOptionsRequest,
    ) -> Result<ListRenewalOptionsResponse> {
        const METHOD: &str = "Renewals.ListRenewalOptions";
        let name: ServiceName = parse(&request.parent, "parent")?;
        let size = purveyor_sdk::page::size(request.page_size)?;
        let provider = self.engine.able(name.provider(), Op::ListRenewalOptions)?;
        let fingerprint = request.fingerprint();
        let cursor = self.tokens.upstream_cursor(METHOD, &fingerprint, &request.page_token)?;
        let found = self.engine.find_service(call, &provider, &name).await;
        let found = found.map_err(|error| about(error, &request.parent))?;
        let asked = request.for_page(found.name, size, cursor);
        let (op, deadline) = (Op::ListRenewalOptions, call.deadline);
        let mut response: ListRenewalOptionsResponse =
            read(&provider, op, &asked, &[found.upstream_id], deadline).await?;
        self.tokens.seal_upstream(METHOD, &fingerprint, &mut response.next_page_token);
        Ok(response)
    }

    /// Checks and stores a renewal. May be repeated with the same request id.
    ///
    /// # Errors
    ///
    /// As Renewals.CreateRenewal before acceptance.
    pub async fn create(&self, call: &Call, mut request: CreateRenewalRequest) -> Result<Written> {
        let draft = self.engine.draft(call, &request).await?;
        let parent: ProviderName = parse(&request.parent, "parent")?;
        let provider = self.engine.configured(&parent)?;
        let mut mistakes = Mistakes::default();
        let mut renewal = check::renewal(request.renewal.take(), &parent, &mut mistakes);
        mistakes.payment("payment", request.payment.as_ref());
        mistakes.money("max_price", request.max_price.as_ref());
        mistakes.overrides("override_operations", &request.override_operations);
        match &draft.known {
            None => {
                let method = require(&provider, Op::CreateRenewal)?;
                check::method(&renewal, method, &mut mistakes);
                mistakes.finish()?;
                if method.charges_at_once && request.payment.is_none() {
                    let message =
                        "the upstream charges at once, and the request does not say how to pay";
                    return Err(Error::new(ErrorReason::PaymentRequired, message));
                }
                let found = self.services(call, &provider, &renewal).await?;
                match check::expiries(&renewal, &found) {
                    // By this very request, maybe, which is searched for before anything is sent.
                    Err(changed)
                        if changed.reason == ErrorReason::ExpireTimeChanged
                            && self.engine.lost_time().is_some() => {}
                    checked => checked?,
                }
                check::canonical(&mut renewal, &found)?;
            }
            Some(known) => {
                mistakes.finish()?;
                // Names that were canonical need nobody to be asked; an alias does.
                if !known.exclusive.contains(&renewal.service) {
                    let found = self.services(call, &provider, &renewal).await?;
                    check::canonical(&mut renewal, &found)?;
                }
            }
        }
        let mut exclusive = vec![renewal.service.clone()];
        exclusive.extend(renewal.services.iter().map(|service| service.service.clone()));
        request.renewal = Some(renewal);
        let name = match draft.request_id {
            Some(request_id) => Renewal::name_of(&parent, &request_id.to_string())?,
            None => String::new(),
        };
        exclusive.push(name.clone());
        exclusive.sort_unstable();
        exclusive.dedup();
        let target = Target { name, upstream_ids: Vec::new(), exclusive };
        self.engine.write(draft, provider, &request, target).await
    }

    /// Shows one renewal, made here or elsewhere.
    ///
    /// # Errors
    ///
    /// As Renewals.GetRenewal.
    pub async fn get(&self, call: &Call, request: GetRenewalRequest) -> Result<Renewal> {
        let name: RenewalName = parse(&request.name, "name")?;
        self.engine.get_made(call, name.provider(), name.id()).await
    }

    /// Lists the renewals of one provider, or of all.
    ///
    /// # Errors
    ///
    /// As Renewals.ListRenewals.
    pub async fn list(
        &self,
        call: &Call,
        request: ListRenewalsRequest,
    ) -> Result<Listed<ListRenewalsResponse>> {
        let mut mistakes = Mistakes::default();
        mistakes.moment("create_after", request.create_after.as_ref());
        mistakes.finish()?;
        let asked = Asked {
            method: "Renewals.ListRenewals",
            op: Op::ListRenewals,
            made_by: RENEWALS_MADE_BY,
            parent: &request.parent,
            fingerprint: request.fingerprint(),
            page_size: request.page_size,
            page_token: &request.page_token,
        };
        let rows = self.engine.list_made::<Renewal>(&self.tokens, call, asked, &request).await?;
        let response = ListRenewalsResponse {
            renewals: rows.rows,
            next_page_token: rows.next_page_token,
            unreachable: Vec::new(),
        };
        Ok(Listed { response, missed: rows.missed })
    }

    /// The services of a renewal as they are now: `service` first, then `services` in order.
    async fn services(
        &self,
        call: &Call,
        provider: &Provider,
        renewal: &Renewal,
    ) -> Result<Vec<FoundService>> {
        let given = std::iter::once(&renewal.service)
            .chain(renewal.services.iter().map(|service| &service.service));
        let names: Vec<ServiceName> =
            given.map(|name| parse(name, "renewal.services")).collect::<Result<_>>()?;
        stream::iter(names)
            .map(|name| async move {
                let found = self.engine.find_service(call, provider, &name).await;
                found.map_err(|error| about(error, &name.to_string()))
            })
            .buffered(READS)
            .try_collect()
            .await
    }
}
