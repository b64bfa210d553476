//! What all writes share: the request id that answers first, the content that is stored, and the
//! quote instead of a write.
//!
//! A repeat is never refused for what has changed since: what asks the upstream or looks at the clock
//! is done only for a request id that the journal does not know.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prost::Message;
use purveyor_sdk::plugin::v1::{Op, Write};
use purveyor_sdk::v1::quote::Step;
use purveyor_sdk::v1::{
    CancelOrderRequest, CreateOrderRequest, CreateProductRequest, CreateRenewalRequest,
    DeleteProductRequest, Effect, ErrorReason, Money, PayOrderRequest, Quote, ResumeServiceRequest,
    SuspendServiceRequest, TerminateServiceRequest, UpdateProductRequest, UpdateServiceRequest,
};
use purveyor_sdk::{Error, Result};
use uuid::Uuid;

use super::Engine;
use super::accept::Submission;
use super::account::AccountOf;
use super::call::{Call, Written};
use super::fields::{Mistakes, request_id};
use super::price;
use super::reading::naming;
use crate::plugin::Provider;
use crate::store::operation::Operation;

/// The fields that every write request has.
pub(super) trait WriteRequest: Message + Clone + Default {
    /// The method.
    const OP: Op;

    /// The caller's request id as it was given.
    fn request_id(&self) -> &str;
    /// Whether only a quote is wanted.
    fn validate_only(&self) -> bool;
    /// If nothing was sent by then, nothing will be.
    fn start_before(&self) -> Option<&prost_types::Timestamp>;
    /// The most that it may charge; `None` also where it never charges.
    fn max_price(&self) -> Option<&Money>;
    /// What makes two requests the same, and what is carried out: without request id and wait.
    fn content(&self) -> Vec<u8>;
}

macro_rules! write_requests {
    ($($request:ident: $op:ident, |$this:ident| $max_price:expr;)*) => {$(
        impl WriteRequest for $request {
            const OP: Op = Op::$op;

            fn request_id(&self) -> &str {
                &self.request_id
            }

            fn validate_only(&self) -> bool {
                self.validate_only
            }

            fn start_before(&self) -> Option<&prost_types::Timestamp> {
                self.start_before.as_ref()
            }

            fn max_price(&self) -> Option<&Money> {
                let $this = self;
                $max_price
            }

            fn content(&self) -> Vec<u8> {
                let mut content = self.clone();
                content.request_id.clear();
                content.wait = None;
                content.validate_only = false;
                content.encode_to_vec()
            }
        }
    )*};
}

write_requests! {
    CreateProductRequest: CreateProduct, |_it| None;
    UpdateProductRequest: UpdateProduct, |_it| None;
    DeleteProductRequest: DeleteProduct, |_it| None;
    CreateOrderRequest: CreateOrder, |it| it.max_price.as_ref();
    CancelOrderRequest: CancelOrder, |_it| None;
    PayOrderRequest: PayOrder, |it| it.max_price.as_ref();
    UpdateServiceRequest: UpdateService, |it| it.max_price.as_ref();
    SuspendServiceRequest: SuspendService, |_it| None;
    ResumeServiceRequest: ResumeService, |_it| None;
    TerminateServiceRequest: TerminateService, |_it| None;
    CreateRenewalRequest: CreateRenewal, |it| it.max_price.as_ref();
}

/// A write on its way into the journal.
pub(super) struct Draft<'a> {
    call: &'a Call,
    /// `None` for a quote.
    pub request_id: Option<Uuid>,
    /// The operation that the request id has already; then nothing is asked any more.
    pub known: Option<Operation>,
}

/// What a write is about.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// The canonical name.
    pub name: String,
    /// What the upstream calls it; empty for one that is made.
    pub upstream_ids: Vec<String>,
    /// Canonical names of what the write must have for itself.
    pub exclusive: Vec<String>,
}

impl Engine {
    /// Looks for the request id before anything else is asked.
    ///
    /// # Errors
    ///
    /// REQUEST_ID_REQUIRED, FIELD_VIOLATION, ACCEPTANCE_UNKNOWN, STORE_UNAVAILABLE; PROVIDER_UNAVAILABLE where
    /// the write was accepted by a gateway that has the provider.
    pub(super) async fn draft<'a, R: WriteRequest>(
        &self,
        call: &'a Call,
        request: &R,
    ) -> Result<Draft<'a>> {
        let request_id = request_id(request.request_id(), request.validate_only())?;
        let known = match request_id {
            Some(request_id) => self.accepted_before(request_id).await?,
            None => None,
        };
        if let Some(known) = known.as_ref().filter(|known| known.op == R::OP) {
            self.compared_elsewhere(known)?;
        }
        Ok(Draft { call, request_id, known })
    }

    /// Whether the journal has a request id. What is none it does not have.
    ///
    /// # Errors
    ///
    /// ACCEPTANCE_UNKNOWN, STORE_UNAVAILABLE.
    pub async fn knows(&self, text: &str) -> Result<bool> {
        let Ok(Some(request_id)) = request_id(text, false) else { return Ok(false) };
        Ok(self.accepted_before(request_id).await?.is_some())
    }

    /// Stores a checked write, or quotes it.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of `start_before`, ACCOUNT_CHANGED where the configuration has to say first whose
    /// account it is, and those of [`Engine::submit`].
    pub(super) async fn write<R: WriteRequest>(
        &self,
        draft: Draft<'_>,
        provider: Arc<Provider>,
        request: &R,
        target: Target,
    ) -> Result<Written> {
        let start_before = self.start_before(&draft, request)?;
        let content = request.content();
        let Some(request_id) = draft.request_id else {
            let write = Write {
                op: R::OP.into(),
                request: content,
                request_id: String::new(),
                upstream_ids: target.upstream_ids,
            };
            return Ok(match self.quoted(&provider, write, request.max_price()).await {
                Ok(quote) => Written::Quote(Box::new(quote)),
                Err(error) => Written::Refused(naming(&provider, error)),
            });
        };
        let account = match draft.known {
            Some(known) => AccountOf { identity: known.account, key: known.account_key },
            None => {
                let account = self.account_at_acceptance(&provider).await;
                let account = account.map_err(|error| naming(&provider, error))?;
                provider.may_write()?;
                account
            }
        };
        let submission = Submission {
            account,
            caller: draft.call.caller.clone(),
            trace_id: draft.call.trace_id.clone(),
            op: R::OP,
            provider,
            request_id,
            request: content,
            target: target.name,
            upstream_target: target.upstream_ids,
            exclusive: target.exclusive,
            start_before,
            wait: Duration::ZERO,
        };
        Ok(Written::Operation(Box::new(self.submit(submission).await?)))
    }

    fn start_before<R: WriteRequest>(
        &self,
        draft: &Draft<'_>,
        request: &R,
    ) -> Result<Option<Timestamp>> {
        let mut mistakes = Mistakes::default();
        let moment = mistakes.moment("start_before", request.start_before());
        if draft.known.is_none() && moment.is_some_and(|moment| moment <= self.wall()) {
            mistakes.add("start_before", "has passed already");
        }
        mistakes.finish()?;
        Ok(moment)
    }

    async fn quoted(
        &self,
        provider: &Arc<Provider>,
        write: Write,
        max_price: Option<&Money>,
    ) -> Result<Quote> {
        let op = write.op();
        let mut quote = match self.quote(provider, write).await {
            // Not every plugin plans; what it would send is known from its manifest.
            Err(error) if error.reason == ErrorReason::CapabilityUnsupported => Quote::default(),
            answered => answered?,
        };
        if quote.steps.is_empty() {
            quote.steps = steps(provider, op);
        }
        let declared = provider.method(op).map(|method| method.notices.as_slice());
        for notice in declared.unwrap_or_default() {
            if !quote.notices.contains(notice) {
                quote.notices.push(notice.clone());
            }
        }
        if let Some(limit) = max_price {
            price::quoted_within(&quote, limit)?;
        }
        Ok(quote)
    }
}

/// The calls of a method that change something upstream, as the manifest declares them.
fn steps(provider: &Provider, op: Op) -> Vec<Step> {
    let calls = provider.method(op).map(|method| method.calls.as_slice()).unwrap_or_default();
    let declared = calls
        .iter()
        .filter_map(|name| provider.manifest().calls.iter().find(|call| call.name == *name));
    declared
        .filter(|call| !matches!(call.effect(), Effect::Read | Effect::Unspecified))
        .map(|call| Step { call: call.name.clone(), effect: call.effect })
        .collect()
}

/// Refuses a write on something that has changed since the caller read it.
///
/// # Errors
///
/// ETAG_MISMATCH.
pub(super) fn check_etag(name: &str, given: &str, present: &str) -> Result<()> {
    if given.is_empty() || given == present {
        return Ok(());
    }
    let message = format!("{name} has changed since it was read");
    Err(Error::new(ErrorReason::EtagMismatch, message).with_metadata("resource", name))
}
