//! Renewals as the contract shows them: an order whose lines all renew something.

use purveyor_sdk::prost_types::value::Kind;
use purveyor_sdk::prost_types::{ListValue, Struct, Timestamp, Value as Attribute};
use purveyor_sdk::rows::{self, Gaps};
use purveyor_sdk::v1::renewal::State;
use purveyor_sdk::v1::{ErrorReason, Renewal, ServiceRef};
use purveyor_sdk::{Cx, Level, Result, etag};

use super::Ovh;
use super::order_view::{Line, Seen, attributes, cost};
use super::renewals::Extension;
use crate::error;
use crate::model::{self, term_of};

/// The word of lines that renew.
const RENEW: &str = "renew";

impl Ovh {
    /// A renewal of ours: the request knows what the order does not tell. `ends` are the services'
    /// ends after the renewal, where they have moved.
    pub(super) fn own_renewal(
        &self,
        extension: &Extension,
        seen: &Seen,
        ends: &[Option<Timestamp>],
    ) -> Result<Renewal> {
        let reference = |(at, guarded): (usize, &super::renewals::Guarded)| {
            let end = ends.get(at).copied().flatten();
            Ok(ServiceRef {
                service: self.name.service(guarded.id)?,
                expected_expire_time: end.or(guarded.expected),
                new_expire_time: end,
                ..ServiceRef::default()
            })
        };
        Ok(etag::seal(Renewal {
            service: self.name.service(extension.service)?,
            services: extension
                .services
                .iter()
                .enumerate()
                .map(reference)
                .collect::<Result<_>>()?,
            term: Some(term_of(&extension.period.to_string())),
            ..self.renewal(seen)?
        }))
    }

    /// A renewal as its order tells of it.
    pub(super) fn renewal(&self, seen: &Seen) -> Result<Renewal> {
        let priced = self.priced(&seen.order)?;
        Ok(Renewal {
            name: self.name.renewal(seen.id)?,
            state: seen.renewal_state().into(),
            upstream: Some(seen.upstream()),
            order: self.name.order(seen.id)?,
            price: cost(&seen.order),
            notices: priced.notices,
            required_action: self.needed(seen)?,
            create_time: priced.create_time,
            ..Renewal::default()
        })
    }

    /// A renewal as the upstream's order and its lines tell it, of which these gaps are known.
    pub(super) async fn told_renewal(
        &self,
        cx: &Cx,
        seen: &Seen,
        lines: &[Line],
        mut gaps: Gaps,
    ) -> Result<Renewal> {
        let services = match self.services_of_lines(cx, lines).await {
            Err(error) if rows::is_gone(&error) => Vec::new(),
            told => gaps.keep_alone("serviceInfos", told)?,
        };
        let service = services.first().map(|first| first.service.clone()).unwrap_or_default();
        let word = lines.iter().find_map(|line| line.extension.as_ref()?.0.duration());
        let details =
            lines.iter().map(|line| Attribute { kind: Some(Kind::StructValue(attributes(line))) });
        let details = Kind::ListValue(ListValue { values: details.collect() });
        let details = ("details".to_owned(), Attribute { kind: Some(details) });
        let mut renewal = Renewal {
            service,
            services,
            term: word.map(term_of),
            attributes: Some(Struct { fields: [details].into() }),
            ..self.renewal(seen)?
        };
        renewal.notices.extend(gaps.notices());
        Ok(etag::seal(renewal))
    }

    /// The services that the lines name, where every name leads to one: only the names of VPS do.
    pub(super) async fn services_of_lines(
        &self,
        cx: &Cx,
        lines: &[Line],
    ) -> Result<Vec<ServiceRef>> {
        let mut services = Vec::new();
        for line in lines {
            let name = line.detail.domain.as_str();
            if matches!(name, "" | "*" | "." | "..") {
                return Ok(Vec::new());
            }
            let infos = match self.client.infos(cx, &["vps".to_owned(), name.to_owned()]).await {
                Ok(infos) => infos,
                Err(error) if error.reason == ErrorReason::ServiceNotFound => return Ok(Vec::new()),
                Err(error) if error::is_not_granted(&error) => {
                    cx.log(Level::WARN, "the consumer key may not ask for the names of VPS");
                    return Ok(Vec::new());
                }
                Err(error) => return Err(error),
            };
            let id = infos.service_id;
            let service: model::Service = self.client.service(cx, id).await?;
            services.push(ServiceRef {
                service: self.name.service(id)?,
                expected_expire_time: self.expiry_now(cx, &service).await?,
                display_name: name.to_owned(),
                ..ServiceRef::default()
            });
        }
        Ok(services)
    }
}

impl Seen {
    pub(super) fn renewal_state(&self) -> State {
        match &self.status {
            Some(status) => status.of_renewal(self.lapsed),
            None => State::Processing,
        }
    }
}

/// Whether lines renew: `None` where the upstream does not tell (yet).
pub(super) fn renews(lines: &[Line]) -> Option<bool> {
    if lines.is_empty() {
        return None;
    }
    let mut told = true;
    for line in lines {
        match line.renews() {
            Some(true) => {}
            Some(false) => return Some(false),
            None => told = false,
        }
    }
    told.then_some(true)
}

impl Line {
    /// Whether it renews, where it tells what it is for.
    pub(super) fn renews(&self) -> Option<bool> {
        let (extension, _) = self.extension.as_ref()?;
        extension.action().map(|action| action == RENEW)
    }
}
