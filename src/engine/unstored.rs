//! Logs what was observed upstream and cannot be stored. Where the store does not come back, that line is
//! all that is left of a purchase, so it carries what a person needs to repair the store by hand. It
//! carries no secrets: what comes of an answer had them cut out before it reaches the engine.

use crate::plugin::Spend;
use crate::store::operation::Operation;
use crate::store::{Change, StoreError};

/// What cannot be stored of one operation, from the first try on.
pub(super) struct UnstoredOutcome {
    /// What the host saw of the request, where one was sent.
    spend: Option<Spend>,
    logged: bool,
}

impl UnstoredOutcome {
    pub(super) fn new(spend: Option<Spend>) -> Self {
        Self { spend, logged: false }
    }

    /// Logs everything the first time, and later only that it still fails.
    pub(super) fn log(&mut self, change: &Change, error: &StoreError) {
        let request_id = change.operation.request_id;
        if self.logged {
            tracing::warn!(
                %request_id, provider = change.operation.provider, %error,
                "what was seen upstream still cannot be stored; trying again"
            );
            return;
        }
        self.logged = true;
        log_whole(change, self.spend.as_ref(), error);
    }
}

/// Logs what cannot be stored, with all that is known of it.
pub(super) fn log_whole(change: &Change, spend: Option<&Spend>, error: &StoreError) {
    let Change { operation, claims, .. } = change;
    let attempt = operation.attempts.last();
    let claims: Vec<_> = claims.iter().map(|new| new.claim.upstream_id.as_str()).collect();
    tracing::error!(
        request_id = %operation.request_id,
        provider = operation.provider,
        account = operation.account,
        target = operation.target,
        upstream_target = ?operation.upstream_target,
        method = operation.op.as_str_name(),
        state = operation.state.as_str_name(),
        step = operation.step,
        attempt = attempt.map(|it| it.number),
        call = attempt.map(|it| it.call.as_str()),
        effect = attempt.map(|it| it.effect.as_str_name()),
        permit_time = attempt.map(|it| tracing::field::display(it.permit_time)),
        outcome = attempt.map(|it| it.outcome.as_str_name()),
        observed = spend.map(|it| tracing::field::debug(&it.seen)),
        http_status = spend.and_then(|it| it.answer.as_ref()).map(|answer| answer.status),
        upstream_id = upstream_id(operation),
        upstream_status = operation.upstream.state,
        upstream_message = operation.upstream.message,
        claims = ?claims,
        message = attempt.map(|it| it.message.as_str()).unwrap_or(&operation.message),
        %error,
        "what was seen upstream cannot be stored; trying again"
    );
}

/// The identifier that the upstream gave, in the last attempt or for the operation as a whole.
fn upstream_id(operation: &Operation) -> &str {
    let of_attempt = operation.attempts.last().map(|attempt| attempt.upstream_id.as_str());
    of_attempt.filter(|id| !id.is_empty()).unwrap_or(operation.upstream.id())
}
