//! Services as the contract shows them.

use purveyor_sdk::prost_types::value::Kind;
use purveyor_sdk::prost_types::{Timestamp, Value as Attribute};
use purveyor_sdk::rows::Gaps;
use purveyor_sdk::serde_json::Value;
use purveyor_sdk::time::to_rfc3339;
use purveyor_sdk::v1::service::{Action, State};
use purveyor_sdk::v1::{RenewalPolicy, Service, Term, UpstreamRef};
use purveyor_sdk::{Cx, Error, Period, Result, etag};

use super::Ovh;
use super::declare::{AUTO_RENEWS, notice};
use super::effect::DAY_SECONDS;
use crate::model::{self, Infos, moment, term_of, to_struct};

/// Members of a service that have a field of their own.
const MAPPED: &[&str] =
    &["serviceId", "creationDate", "expirationDate", "nextBillingDate", "quantity"];

/// Addresses under which names alone are told apart: the name of a VPS is nobody else's.
const NAMED_ALONE: &str = "vps";

impl Ovh {
    /// A service in full.
    pub(super) fn service(
        &self,
        id: i64,
        service: &model::Service,
        infos: Option<&Infos>,
    ) -> Result<Service> {
        self.service_with(id, service, infos, Gaps::default())
    }

    /// The same, of which these gaps are known. A time that is none is a gap too, and stands in the
    /// attributes as it came.
    pub(super) fn service_with(
        &self,
        id: i64,
        service: &model::Service,
        infos: Option<&Infos>,
        mut gaps: Gaps,
    ) -> Result<Service> {
        let told = &service.told;
        let product = told.plan.as_ref().and_then(|it| it.product.as_ref()?.name.clone());
        let policy = policy(service, infos);
        let notices = policy.as_ref().filter(|policy| policy.auto_renew());
        let mut time = |name: &str, text: Option<&String>| {
            let told = text.map(|text| moment(&self.client.zone, text)).transpose();
            gaps.keep(name, told)
        };
        let due = time("nextBillingDate", told.next_billing_date.as_ref());
        let created = time("creationDate", told.creation_date.as_ref());
        let end = gaps.keep("expirationDate", self.expiry(service, infos));
        let interval = told.renew.as_ref().and_then(|renew| renew.interval.as_deref());
        let placed: Vec<&str> = MAPPED.iter().copied().filter(|name| !gaps.has(name)).collect();
        let mut attributes = to_struct(&service.members, &placed);
        if let Some(infos) = infos {
            let kind = Some(Kind::StructValue(to_struct(&infos.members, &[])));
            attributes.fields.insert("serviceInfos".to_owned(), Attribute { kind });
        }
        Ok(etag::seal(Service {
            name: self.name.service(id)?,
            aliases: self.aliases(service)?,
            state: service.state().into(),
            upstream: Some(UpstreamRef {
                ids: vec![id.to_string()],
                r#type: told.route.as_ref().and_then(|it| it.path.clone()).unwrap_or_default(),
                state: service.word().to_owned(),
                ..UpstreamRef::default()
            }),
            service_type: product.unwrap_or_default(),
            display_name: service.shown_name().unwrap_or_default().to_owned(),
            quantity: told.quantity.and_then(|it| it.try_into().ok()).unwrap_or_default(),
            term: interval.map(term_of),
            notices: notices
                .map(|_| notice(AUTO_RENEWS))
                .into_iter()
                .chain(gaps.notices())
                .collect(),
            renewal_policy: policy,
            create_time: created,
            expire_time: end,
            next_due_date: due.map(|due| self.client.zone.day(&due)).transpose()?,
            actions: actions(service.state()),
            attributes: Some(attributes),
            ..Service::default()
        }))
    }

    /// When a service ends: the moment that the service tells, else the day that serviceInfos tells.
    fn expiry(&self, service: &model::Service, infos: Option<&Infos>) -> Result<Option<Timestamp>> {
        let day = infos.and_then(|it| it.members.get("expiration")?.as_str());
        let text = service.told.expiration_date.as_deref().or(day);
        text.map(|text| moment(&self.client.zone, text)).transpose()
    }

    /// When a service ends, asked for where the service itself does not tell.
    pub(super) async fn expiry_now(
        &self,
        cx: &Cx,
        service: &model::Service,
    ) -> Result<Option<Timestamp>> {
        let infos = match service.told.expiration_date {
            Some(_) => None,
            None => self.infos_of(cx, service).await?,
        };
        self.expiry(service, infos.as_ref())
    }

    /// When a service ends, by both places that tell it: the moment of the service itself, and the day of
    /// serviceInfos.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE while they differ: one of them is not up to date, and nothing is to be spent
    /// by either.
    pub(super) async fn agreed_expiry(
        &self,
        cx: &Cx,
        id: i64,
        service: &model::Service,
    ) -> Result<Option<Timestamp>> {
        let infos = self.infos_of(cx, service).await?;
        let end = self.expiry(service, infos.as_ref())?;
        let day = infos.as_ref().and_then(|it| it.members.get("expiration")?.as_str());
        let day = day.map(|day| moment(&self.client.zone, day)).transpose()?;
        match (end, day) {
            (Some(end), Some(day)) if (end.seconds - day.seconds).abs() > DAY_SECONDS => {
                let (end, day) = (to_rfc3339(&end)?, to_rfc3339(&day)?);
                let message = format!("service {id} ends {end}, and {day} by its serviceInfos");
                Err(Error::unavailable(message))
            }
            _ => Ok(end),
        }
    }

    /// The name of a VPS; of others the address, for a domain name and its hosting share the name.
    fn aliases(&self, service: &model::Service) -> Result<Vec<String>> {
        let route = service.route();
        match route.as_slice() {
            [kind, name] if kind == NAMED_ALONE => Ok(vec![self.name.service(name)?]),
            [_, _] | [_, _, _] => Ok(vec![self.name.service(route.join("/"))?]),
            _ => Ok(Vec::new()),
        }
    }
}

/// What happens at the end of the term; serviceInfos tells more than the service.
fn policy(service: &model::Service, infos: Option<&Infos>) -> Option<RenewalPolicy> {
    let word = |name: &str| infos.and_then(|it| it.renew(name)).and_then(Value::as_bool);
    let period = infos.and_then(|it| it.renew("period")).and_then(Value::as_u64);
    let period = period.filter(|months| *months > 0).and_then(|months| months.try_into().ok());
    if infos.is_some_and(|it| it.members.get("renew").is_some_and(Value::is_object)) {
        return Some(RenewalPolicy {
            auto_renew: word("automatic"),
            term: period
                .map(|months: u32| Term::recurring(Period::Months(months), months.to_string())),
            cancel_at_expiry: word("deleteAtExpiration"),
            forced: word("forced").unwrap_or_default(),
        });
    }
    let mode = service.told.renew.as_ref()?.mode.as_deref()?;
    Some(RenewalPolicy { auto_renew: Some(mode == "automatic"), ..RenewalPolicy::default() })
}

/// What the states allow; the upstream has the last word at the call.
fn actions(state: State) -> Vec<Action> {
    let action = |method: &str, allowed: bool, reason: &str| Action {
        method: method.to_owned(),
        allowed,
        reasons: if allowed { Vec::new() } else { vec![reason.to_owned()] },
    };
    let suspended = state == State::Suspended;
    vec![
        action("Services.SuspendService", state == State::Active, "the service is not active"),
        action("Services.ResumeService", suspended, "the service is not suspended"),
        action("Services.TerminateService", suspended, "the service has to be suspended first"),
    ]
}
