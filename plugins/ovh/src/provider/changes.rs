//! Changes of a service: suspended, reopened, terminated, and what happens at the end of its term. All
//! are settings, and done when a read shows them.

use purveyor_sdk::names;
use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::v1::service::State;
use purveyor_sdk::v1::{ErrorReason, RenewalPolicy, Service, UpdateServiceRequest};
use purveyor_sdk::{Cx, Error, Period, Result, Step, WriteRequest, etag};

use super::Ovh;
use crate::checkpoint::{Changed, encode};
use crate::error::Spent;
use crate::model::{self, Infos};

/// The pause before a change is looked for.
const FIRST_LOOK: std::time::Duration = std::time::Duration::from_secs(1);

/// What is done to a service as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Suspend,
    Resume,
    Terminate,
}

/// What a change is to come to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wanted {
    Act(Act),
    /// These members of serviceInfos' `renew`.
    Policy(Vec<(&'static str, Value)>),
}

pub(super) async fn act(ovh: &Ovh, cx: &Cx, act: Act, name: &str) -> Result<Step<Service>> {
    let id = target(cx.upstream_id(), name)?;
    let service = ovh.client.service(cx, id).await?;
    check_act(act, &service)?;
    let spent = ovh.client.act(cx, act.call(), id).await?;
    ovh.changed(id, &service, None, spent)
}

pub(super) async fn update(
    ovh: &Ovh,
    cx: &Cx,
    request: &UpdateServiceRequest,
) -> Result<Step<Service>> {
    let name = request.service.as_ref().map(|it| it.name.as_str()).unwrap_or_default();
    let (id, members) = (target(cx.upstream_id(), name)?, members(request)?);
    let service = ovh.client.service(cx, id).await?;
    let mut infos = ovh.changeable(cx, &service).await?;
    for (member, value) in members {
        infos.set_renew(member, value);
    }
    let spent = ovh.client.put_infos(cx, &service.route(), &infos).await?;
    ovh.changed(id, &service, Some(&infos), spent)
}

/// The number of the service that a write is about.
pub(super) fn target(upstream: &str, name: &str) -> Result<i64> {
    names::counted(upstream).ok_or_else(|| Error::service_not_found(name))
}

/// What a write wants of its service, with the service's name; `None` for other writes.
pub(super) fn wanted(request: &WriteRequest) -> Result<Option<(&str, Wanted)>> {
    Ok(Some(match request {
        WriteRequest::SuspendService(request) => (&request.name, Wanted::Act(Act::Suspend)),
        WriteRequest::ResumeService(request) => (&request.name, Wanted::Act(Act::Resume)),
        WriteRequest::TerminateService(request) => (&request.name, Wanted::Act(Act::Terminate)),
        WriteRequest::UpdateService(request) => {
            let name = request.service.as_ref().map(|it| it.name.as_str()).unwrap_or_default();
            (name, Wanted::Policy(members(request)?))
        }
        _ => return Ok(None),
    }))
}

/// SUSPEND_FIRST for the end of a service that is not suspended, STATE_CONFLICT for what has ended: what
/// the upstream says of it itself is a conflict, which proves nothing.
pub(super) fn check_act(act: Act, service: &model::Service) -> Result<()> {
    match (act, service.state()) {
        (Act::Terminate, State::Active | State::Expired | State::Resuming | State::Suspending) => {
            let message = "the upstream terminates suspended services only";
            Err(Error::new(ErrorReason::SuspendFirst, message))
        }
        (Act::Suspend | Act::Resume, State::Terminating | State::Terminated) => {
            Err(Error::new(ErrorReason::StateConflict, "the service has ended"))
        }
        _ => Ok(()),
    }
}

impl Act {
    pub(super) fn call(self) -> &'static str {
        match self {
            Self::Suspend => "service.suspend",
            Self::Resume => "service.reopen",
            Self::Terminate => "service.terminate",
        }
    }
}

impl Wanted {
    /// Whether it is done when the upstream has the service no more.
    pub(super) fn is_gone_shown(&self) -> bool {
        *self == Self::Act(Act::Terminate)
    }

    /// Whether the service is as it was to be.
    pub(super) fn is_shown(&self, service: &model::Service, infos: Option<&Infos>) -> bool {
        match self {
            Self::Act(Act::Suspend) => service.state() == State::Suspended,
            Self::Act(Act::Resume) => matches!(service.state(), State::Active | State::Expired),
            Self::Act(Act::Terminate) => service.state() == State::Terminated,
            Self::Policy(members) => infos.is_some_and(|infos| {
                members.iter().all(|(name, value)| infos.renew(name) == Some(value))
            }),
        }
    }

    /// Whether the upstream is on its way there.
    pub(super) fn is_under_way(&self, service: &model::Service) -> bool {
        let state = service.state();
        match self {
            Self::Act(Act::Suspend) => state == State::Suspending,
            Self::Act(Act::Resume) => state == State::Resuming,
            Self::Act(Act::Terminate) => state == State::Terminating,
            Self::Policy(_) => false,
        }
    }
}

impl Ovh {
    /// serviceInfos of a service whose policy is to be changed.
    ///
    /// # Errors
    ///
    /// STATE_CONFLICT for a service that has none, or whose policy is forced.
    pub(super) async fn changeable(&self, cx: &Cx, service: &model::Service) -> Result<Infos> {
        let infos = self.infos_of(cx, service).await?;
        let infos = infos.ok_or_else(|| Error::state("the service tells no renewal policy"))?;
        if infos.renew("forced") == Some(&Value::Bool(true)) {
            return Err(Error::state("the upstream forbids changing the renewal policy"));
        }
        Ok(infos)
    }

    /// A service as a change shows at it; `None` where the upstream does not know it.
    pub(super) async fn changing(
        &self,
        cx: &Cx,
        id: i64,
    ) -> Result<Option<(model::Service, Option<Infos>)>> {
        match self.client.service(cx, id).await {
            Ok(service) => {
                let infos = self.infos_of(cx, &service).await?;
                Ok(Some((service, infos)))
            }
            Err(error) if error.reason == ErrorReason::ServiceNotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the list lacks a service too that could not be read: one 404 alone says little.
    pub(super) async fn is_gone(&self, cx: &Cx, id: i64) -> Result<bool> {
        Ok(!self.client.services(cx).await?.contains(&id))
    }

    /// A service that the upstream has no more.
    pub(super) fn terminated(&self, id: i64) -> Result<Service> {
        let state = State::Terminated.into();
        Ok(etag::seal(Service { state, ..self.brief(id)? }))
    }

    fn changed(
        &self,
        id: i64,
        service: &model::Service,
        infos: Option<&Infos>,
        spent: Spent,
    ) -> Result<Step<Service>> {
        Ok(match spent {
            Spent::Accepted => Step::Pending {
                handle: encode(&Changed::default())?,
                after: FIRST_LOOK,
                view: Some(self.service(id, service, infos)?),
            },
            Spent::Refused { proof, error } => Step::rejected(proof, error),
            Spent::Unknown(message) => Step::Unknown(message),
        })
    }
}

/// The members of `renew` that a request sets. The gateway refuses a mask that names an unset one, but may
/// have accepted it when unset was false and the term that of before.
///
/// # Errors
///
/// FIELD_VIOLATION for a path that cannot be changed, and a term that is no whole number of months.
fn members(request: &UpdateServiceRequest) -> Result<Vec<(&'static str, Value)>> {
    let service = request.service.as_ref().ok_or_else(|| Error::field("service", "is missing"))?;
    let policy = service.renewal_policy.clone().unwrap_or_default();
    let mask = request.update_mask.as_ref().map(|mask| mask.paths.as_slice()).unwrap_or_default();
    let whole = mask.iter().any(|path| path == "renewal_policy");
    let mut set = Vec::new();
    let named = |path: &str| whole || mask.iter().any(|it| it == path);
    if named("renewal_policy.auto_renew") {
        set.push(("automatic", json!(policy.auto_renew())));
    }
    if named("renewal_policy.cancel_at_expiry") {
        set.push(("deleteAtExpiration", json!(policy.cancel_at_expiry())));
    }
    let term_named = mask.iter().any(|path| path == "renewal_policy.term");
    if term_named || (whole && policy.term.is_some()) {
        set.push(("period", json!(months(&policy)?)));
    }
    if set.is_empty() {
        return Err(Error::field("update_mask", "names nothing that can be changed"));
    }
    Ok(set)
}

fn months(policy: &RenewalPolicy) -> Result<u32> {
    let term = policy.term.as_ref();
    match term.and_then(|term| term.checked_period().ok().flatten()) {
        Some(Period::Months(months)) => Ok(months),
        _ => {
            let field = "service.renewal_policy.term";
            Err(Error::field(field, "must be a whole number of months or years"))
        }
    }
}
