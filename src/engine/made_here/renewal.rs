//! Renewals that were made here.

use prost::Message;
use purveyor_sdk::Result;
use purveyor_sdk::names::{ProviderName, RenewalName};
use purveyor_sdk::plugin::v1::{Op, resource};
use purveyor_sdk::v1::renewal::State;
use purveyor_sdk::v1::{CreateRenewalRequest, ErrorReason, Renewal};

use super::{Common, Made, Progress, undecodable};
use crate::store::operation::Operation;

impl Made for Renewal {
    const MADE_BY: Op = Op::CreateRenewal;
    const GET: Op = Op::GetRenewal;
    const NOT_FOUND: ErrorReason = ErrorReason::RenewalNotFound;

    fn name_of(provider: &ProviderName, id: &str) -> Result<String> {
        let name = RenewalName::new(provider.clone(), id);
        name.map(|name| name.to_string()).map_err(|error| error.field("name"))
    }

    fn stored(operation: &Operation) -> Result<Renewal> {
        let request = CreateRenewalRequest::decode(operation.request.as_slice());
        let asked = request.map_err(undecodable)?.renewal.unwrap_or_default();
        let seen = operation.view.as_ref().and_then(|view| view.kind.as_ref());
        Ok(match seen {
            Some(resource::Kind::Renewal(seen)) => with_asked(seen.clone(), asked),
            _ => asked,
        })
    }

    fn follow(&mut self, progress: Progress) {
        let seen = self.state();
        let state = match progress {
            Progress::Unknown => State::OutcomeUnknown,
            Progress::Cancelled => State::Cancelled,
            Progress::Failed if matches!(seen, State::Expired | State::Cancelled) => seen,
            Progress::Failed => State::Failed,
            Progress::Succeeded if seen == State::Unspecified => State::Completed,
            Progress::Pending | Progress::Waiting if seen == State::Unspecified => State::Pending,
            Progress::Pending if seen == State::Completed => State::Processing,
            Progress::Pending | Progress::Waiting | Progress::Succeeded => seen,
        };
        self.set_state(state);
    }

    fn filled(live: Renewal, stored: Renewal, progress: Progress) -> Renewal {
        let mut renewal = with_asked(live, stored);
        match (progress, renewal.state()) {
            (Progress::Unknown, _) => renewal.set_state(State::OutcomeUnknown),
            (Progress::Pending, State::Completed) => renewal.set_state(State::Processing),
            _ => {}
        }
        renewal
    }

    fn upstream_ids(&self) -> &[String] {
        self.upstream.as_ref().map_or(&[], |upstream| &upstream.ids)
    }

    fn common(&mut self) -> Common<'_> {
        Common {
            name: &mut self.name,
            aliases: &mut self.aliases,
            operation: &mut self.operation,
            create_time: &mut self.create_time,
        }
    }
}

/// What was told, with what was asked where nothing was told.
fn with_asked(told: Renewal, asked: Renewal) -> Renewal {
    // What is done no longer needs what was needed when the record was made.
    let needed = asked.required_action.filter(|_| waits(told.state()));
    Renewal {
        service: if told.service.is_empty() { asked.service } else { told.service },
        services: if told.services.is_empty() { asked.services } else { told.services },
        term: told.term.or(asked.term),
        order: if told.order.is_empty() { asked.order } else { told.order },
        price: told.price.or(asked.price),
        annotations: asked.annotations,
        required_action: told.required_action.or(needed),
        ..told
    }
}

/// Whether somebody may have to act, as far as the state says.
fn waits(state: State) -> bool {
    matches!(state, State::Unspecified | State::ActionRequired | State::AwaitingPayment)
}
