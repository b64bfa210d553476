//! Services on record: what was adopted, bought here or acted upon. Beside what the upstream tells
//! they hold what only we know; where it tells nothing they are all there is.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use purveyor_sdk::etag;
use purveyor_sdk::names::ServiceName;
use purveyor_sdk::plugin::v1::{Op, resource};
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::service::State as ServiceState;
use purveyor_sdk::v1::{ErrorReason, Order, OrderItem, Price, Service, UpstreamRef};

use uuid::Uuid;

use super::Engine;
use super::machine::{Now, Policy, SERVICE_KIND, delivered};
use super::policy::{AccountNames, listing_lag};
use crate::plugin::Provider;
use crate::store::age::Age;
use crate::store::operation::{HeldClaim, Operation};
use crate::store::{ServiceRecord, StoreError};

impl Engine {
    /// What an operation tells of services, as it shall stand on record: of those that an order became,
    /// and of the one that was changed. It is committed with the operation; where somebody else has put
    /// one of them meanwhile, it is to be asked for again.
    ///
    /// # Errors
    ///
    /// When a record cannot be read.
    pub(super) async fn records_of(
        &self,
        operation: &Operation,
    ) -> Result<Vec<ServiceRecord>, StoreError> {
        let mut records: Vec<ServiceRecord> = Vec::new();
        for service in services_of(operation) {
            let Some(upstream) = service.upstream.clone().filter(|it| !it.id().is_empty()) else {
                continue;
            };
            if let Some(record) = records.iter_mut().find(|it| it.upstream_id == upstream.id()) {
                record.service = merged(std::mem::take(&mut record.service), service);
                continue;
            }
            let before = self.service_record(&operation.provider, upstream.id()).await?;
            let record = after(before.clone(), service, &operation.provider, operation.request_id);
            if before.as_ref() != Some(&record) {
                records.push(record);
            }
        }
        Ok(records)
    }

    /// The claims that end with an operation: those of what it ended upstream. What only ends with its term
    /// is not gone.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) async fn closed_by(
        &self,
        operation: &Operation,
    ) -> Result<Vec<HeldClaim>, StoreError> {
        if !ends_its_target(operation) {
            return Ok(Vec::new());
        }
        let Policy { gate, aliases, legacy_gate, .. } = self.policy(operation);
        let names = std::iter::once(gate).chain(aliases).chain(legacy_gate);
        let [target] = operation.upstream_target.as_slice() else { return Ok(Vec::new()) };
        self.claims_of_object(names, target, operation.op).await
    }

    /// The open claims of an upstream object: of a service as what was delivered, and of whichever
    /// operation delivered it under that very identifier; of a product of whichever made it.
    async fn claims_of_object(
        &self,
        accounts: impl Iterator<Item = String>,
        upstream_id: &str,
        ended_by: Op,
    ) -> Result<Vec<HeldClaim>, StoreError> {
        let mut open = Vec::new();
        for account in accounts {
            open.extend(self.store().open_claims(&account, upstream_id).await?);
        }
        let mut closed = Vec::new();
        for held in open {
            let maker = self.store().get(held.by).await?;
            let is_object = maker.is_some_and(|maker| match ended_by {
                Op::DeleteProduct => maker.op == Op::CreateProduct,
                _ => delivered(&maker).iter().any(|id| id == upstream_id),
            });
            if is_object || (held.claim.kind == SERVICE_KIND && ended_by != Op::DeleteProduct) {
                closed.push(held);
            }
        }
        Ok(closed)
    }

    /// A service on record, under whichever id its provider had.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) async fn service_record(
        &self,
        provider: &str,
        upstream_id: &str,
    ) -> Result<Option<ServiceRecord>, StoreError> {
        for id in self.inner.providers.ids_of(provider) {
            if let Some(record) = self.store().service(&id, upstream_id).await? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// As the store's `services`, under all ids that the provider had.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) async fn service_records(
        &self,
        provider: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<ServiceRecord>, StoreError> {
        let mut records = BTreeMap::new();
        for id in self.inner.providers.ids_of(provider) {
            for record in self.store().services(&id, after, limit).await? {
                records.entry(record.upstream_id.clone()).or_insert(record);
            }
        }
        Ok(records.into_values().take(limit).collect())
    }

    /// Keeps what a read of a service showed that was begun at `asked`: reads that are a listing's lag apart,
    /// or more, and show that it is gone, end the claims on it. Only a service on record is kept book of.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub(super) async fn read_showed(
        &self,
        provider: &Provider,
        upstream_id: &str,
        present: bool,
        asked: Age,
    ) -> Result<(), StoreError> {
        let Some(record) = self.service_record(provider.id(), upstream_id).await? else {
            return Ok(());
        };
        let Now { age: now, slack, .. } = self.now().await?;
        let lag = listing_lag(provider);
        let gone_since = match (present, record.gone_since) {
            (true, None) => return Ok(()),
            (true, Some(_)) => None,
            (false, None) => Some(now),
            (false, Some(since)) if asked < since + lag + slack => return Ok(()),
            (false, Some(_)) => {
                return self.close_gone(provider, upstream_id, Op::TerminateService, now).await;
            }
        };
        // Where somebody else has put the record meanwhile, the next read tells the same.
        let record = ServiceRecord { gone_since, ..record };
        self.store().put_service(record).await.map(drop)
    }

    /// As [`Engine::read_showed`], of a product that was made here. Nothing is on record of products, so what
    /// a read showed is known to this process alone, and the next one begins anew.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub(super) async fn product_read_showed(
        &self,
        provider: &Provider,
        upstream_id: &str,
        present: bool,
        asked: Age,
    ) -> Result<(), StoreError> {
        if present {
            self.inner.gone.is_there(provider.id(), upstream_id);
            return Ok(());
        }
        let Now { age, slack, .. } = self.now().await?;
        let since = self.inner.gone.since(provider.id(), upstream_id, age);
        if asked < since + listing_lag(provider) + slack {
            return Ok(());
        }
        self.close_gone(provider, upstream_id, Op::DeleteProduct, age).await?;
        self.inner.gone.is_there(provider.id(), upstream_id);
        Ok(())
    }

    /// Closes the claims on what is gone.
    async fn close_gone(
        &self,
        provider: &Provider,
        upstream_id: &str,
        ended_by: Op,
        now: Age,
    ) -> Result<(), StoreError> {
        let Some(account) = provider.account() else { return Ok(()) };
        let names = AccountNames::of(&account);
        let closes = self.claims_of_object(names.all().cloned(), upstream_id, ended_by).await?;
        if closes.is_empty() {
            return Ok(());
        }
        self.store().close_claims(closes, now).await
    }
}

/// The products that a read of this process has shown to be gone, by provider and identifier, and the age at
/// the first such read.
#[derive(Debug, Default)]
pub(super) struct Gone(Mutex<BTreeMap<(String, String), Age>>);

/// So many are remembered. Identifiers that never were are asked for as well.
const GONE_MAX: usize = 10_000;

impl Gone {
    /// Since when it is gone; from `now` on where that is new.
    fn since(&self, provider: &str, upstream_id: &str, now: Age) -> Age {
        let mut gone = self.products();
        let key = (provider.to_owned(), upstream_id.to_owned());
        if gone.len() >= GONE_MAX && !gone.contains_key(&key) {
            // They are noticed again by the next read of each.
            gone.clear();
        }
        *gone.entry(key).or_insert(now)
    }

    fn is_there(&self, provider: &str, upstream_id: &str) {
        self.products().remove(&(provider.to_owned(), upstream_id.to_owned()));
    }

    fn products(&self) -> MutexGuard<'_, BTreeMap<(String, String), Age>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a read shows that something is there; `None` where it shows neither that nor that it is gone.
pub(super) fn shows<T>(read: &purveyor_sdk::Result<T>, not_found: ErrorReason) -> Option<bool> {
    match read {
        Ok(_) => Some(true),
        Err(error) if error.reason == not_found => Some(false),
        Err(_) => None,
    }
}

/// Whether an operation has ended the upstream object that it was about.
fn ends_its_target(operation: &Operation) -> bool {
    if operation.state != State::Succeeded || operation.upstream_target.is_empty() {
        return false;
    }
    let seen = operation.view.as_ref().and_then(|view| view.kind.as_ref());
    match (operation.op, seen) {
        (Op::DeleteProduct, _) => true,
        (Op::TerminateService, Some(resource::Kind::Service(service))) => {
            matches!(service.state(), ServiceState::Terminated | ServiceState::Unspecified)
        }
        (Op::TerminateService, _) => true,
        _ => false,
    }
}

/// A record with what an operation tells, in the version that it replaces.
pub(super) fn after(
    before: Option<ServiceRecord>,
    told: Service,
    provider: &str,
    request_id: Uuid,
) -> ServiceRecord {
    let before = before.unwrap_or_else(|| ServiceRecord {
        provider: provider.to_owned(),
        upstream_id: told.upstream.as_ref().map_or("", UpstreamRef::id).to_owned(),
        operation: request_id,
        service: Service::default(),
        version: 0,
        gone_since: None,
    });
    // It was told of, so it is there: an identifier may have come back.
    ServiceRecord { service: merged(before.service, told), gone_since: None, ..before }
}

/// The services that an operation tells something of.
fn services_of(operation: &Operation) -> Vec<Service> {
    let seen = operation.view.as_ref().and_then(|view| view.kind.as_ref());
    match (operation.op, seen) {
        (Op::CreateOrder, Some(resource::Kind::Order(order))) => {
            let items = order.items.iter();
            items.flat_map(|item| bought(operation, order, item)).collect()
        }
        (
            Op::UpdateService | Op::SuspendService | Op::ResumeService | Op::TerminateService,
            seen,
        ) if operation.state == State::Succeeded => {
            let told = match seen {
                Some(resource::Kind::Service(service)) => service.clone(),
                _ => Service::default(),
            };
            vec![acted_on(operation, told)]
        }
        _ => Vec::new(),
    }
}

fn bought<'a>(
    operation: &'a Operation,
    order: &'a Order,
    item: &'a OrderItem,
) -> impl Iterator<Item = Service> + 'a {
    let delivered = item.state() == OrderState::Completed;
    item.services.iter().filter_map(move |name| {
        let parsed: ServiceName = name.parse().ok()?;
        let upstream = UpstreamRef::of(parsed.id().to_owned());
        let state = if delivered { ServiceState::Active } else { ServiceState::Unspecified };
        Some(Service {
            name: name.clone(),
            upstream: Some(upstream),
            state: state.into(),
            product: item.product.clone(),
            order: operation.target.clone(),
            order_item: item.id.clone(),
            customer: order.customer.clone(),
            partner: order.partner.clone(),
            display_name: item.display_name.clone(),
            quantity: item.quantity,
            term: item.term.clone(),
            price: told_price(item),
            start_date: item.start_date,
            next_due_date: item.next_due_date,
            annotations: order.annotations.clone(),
            ..Service::default()
        })
    })
}

/// What a term costs where the caller told it to the upstream, which cannot be asked for it. Whether tax
/// is in it, nobody has said.
fn told_price(item: &OrderItem) -> Option<Price> {
    let amount = item.pricing.as_ref()?.recurring_amount.clone()?;
    Some(Price::of(amount, Tax::Unspecified))
}

fn acted_on(operation: &Operation, told: Service) -> Service {
    let state = match (told.state(), operation.op) {
        (ServiceState::Unspecified, Op::SuspendService) => ServiceState::Suspended,
        (ServiceState::Unspecified, Op::ResumeService) => ServiceState::Active,
        (ServiceState::Unspecified, Op::TerminateService) => ServiceState::Terminated,
        (told, _) => told,
    };
    let ids = operation.upstream_target.clone();
    let upstream = UpstreamRef { ids, ..told.upstream.unwrap_or_default() };
    Service {
        name: operation.target.clone(),
        upstream: Some(upstream),
        state: state.into(),
        ..told
    }
}

/// What is new over what was on record; what is not told stays.
pub(super) fn merged(before: Service, told: Service) -> Service {
    let text = |told: String, before: String| if told.is_empty() { before } else { told };
    let state = if told.state == 0 { before.state } else { told.state };
    let mut annotations = before.annotations;
    annotations.extend(told.annotations);
    Service {
        aliases: if told.aliases.is_empty() { before.aliases } else { told.aliases },
        state,
        upstream: told.upstream.or(before.upstream),
        product: text(told.product, before.product),
        service_type: text(told.service_type, before.service_type),
        order: text(told.order, before.order),
        order_item: text(told.order_item, before.order_item),
        customer: text(told.customer, before.customer),
        partner: text(told.partner, before.partner),
        display_name: text(told.display_name, before.display_name),
        quantity: if told.quantity == 0 { before.quantity } else { told.quantity },
        term: told.term.or(before.term),
        price: told.price.or(before.price),
        renewal_policy: told.renewal_policy.or(before.renewal_policy),
        create_time: told.create_time.or(before.create_time),
        expire_time: told.expire_time.or(before.expire_time),
        next_due_date: told.next_due_date.or(before.next_due_date),
        start_date: told.start_date.or(before.start_date),
        actions: if told.actions.is_empty() { before.actions } else { told.actions },
        endpoints: if told.endpoints.is_empty() { before.endpoints } else { told.endpoints },
        annotations,
        attributes: told.attributes.or(before.attributes),
        notices: if told.notices.is_empty() { before.notices } else { told.notices },
        name: text(before.name, told.name),
        recorded_only: false,
        etag: String::new(),
    }
}

/// A service of which our record is all that is known.
pub(super) fn recorded(record: ServiceRecord) -> Service {
    etag::seal(Service { recorded_only: true, ..record.service })
}

/// What the upstream tells, with what only our record knows.
pub(super) fn overlaid(mut live: Service, record: Option<ServiceRecord>) -> Service {
    let name = live.name.clone();
    live.aliases.retain(|alias| *alias != name);
    if let Some(record) = record {
        let ours = record.service;
        if !live.name.starts_with(&format!("providers/{}/", record.provider)) {
            // It was put on record before the provider was renamed, and keeps its name.
            let renamed = std::mem::replace(&mut live.name, ours.name);
            live.aliases.push(renamed);
        }
        for (told, ours) in [
            (&mut live.order, ours.order),
            (&mut live.order_item, ours.order_item),
            (&mut live.product, ours.product),
        ] {
            if told.is_empty() {
                *told = ours;
            }
        }
        live.annotations.extend(ours.annotations);
    }
    live
}

#[cfg(test)]
mod tests;
