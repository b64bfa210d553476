//! What is done to services: suspended, resumed, terminated, whichever identifier they have and whoever
//! made them. The upstream tells no state, so that the state after a success is the one that was asked
//! for.

use purveyor_sdk::v1::service::State;
use purveyor_sdk::v1::{Service, UpstreamRef};
use purveyor_sdk::{Cx, Error, Result, Step};

use super::RackNap;
use crate::client::Written;
use crate::error::number;
use crate::model::Fields;

/// What is done to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Suspend,
    Resume,
    Terminate,
}

impl Change {
    pub(super) fn call(self) -> &'static str {
        match self {
            Self::Suspend => "service/suspend",
            Self::Resume => "service/unsuspend",
            Self::Terminate => "service/terminate",
        }
    }

    fn state(self) -> State {
        match self {
            Self::Suspend => State::Suspended,
            Self::Resume => State::Active,
            Self::Terminate => State::Terminated,
        }
    }
}

pub(super) async fn change(
    racknap: &RackNap,
    cx: &Cx,
    change: Change,
    name: &str,
) -> Result<Step<Service>> {
    let id = service_id(cx.upstream_id(), name)?;
    let fields = Fields::default().number("serviceid", id);
    Ok(match racknap.client.write(cx, change.call(), &fields, None).await? {
        Written::Done(upstream) => Step::Done(racknap.changed(change, id, upstream)?),
        Written::Refused { proof, error } => Step::rejected(proof, error),
        Written::Unknown(message) => Step::Unknown(message),
    })
}

/// The number of a service. What is no number is not there, and nobody needs to be asked.
///
/// # Errors
///
/// SERVICE_NOT_FOUND.
pub(super) fn service_id(upstream: &str, name: &str) -> Result<i64> {
    number(upstream, 1, "name").map_err(|_| Error::service_not_found(name))
}

impl RackNap {
    pub(super) fn changed(
        &self,
        change: Change,
        id: i64,
        upstream: UpstreamRef,
    ) -> Result<Service> {
        let id = id.to_string();
        Ok(Service {
            name: self.name.service(&id)?,
            state: change.state().into(),
            upstream: Some(UpstreamRef { ids: vec![id], ..upstream }),
            ..Service::default()
        })
    }
}
