//! Services as `/service/{serviceId}` and `serviceInfos` tell them.

use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::serde_json::{Map, Value};
use purveyor_sdk::v1::service::State;
use purveyor_sdk::{Answer, Result};

use super::document;
use crate::checkpoint::Identity;

/// What `/service/{serviceId}` tells.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) told: Told,
    /// Every member, as it came.
    pub(crate) members: Map<String, Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "camelCase")]
pub(crate) struct Told {
    pub(crate) creation_date: Option<String>,
    pub(crate) expiration_date: Option<String>,
    pub(crate) next_billing_date: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) quantity: Option<i64>,
    pub(crate) plan: Option<Plan>,
    pub(crate) renew: Option<RenewMode>,
    pub(crate) resource: Option<Resource>,
    pub(crate) route: Option<Route>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct Plan {
    pub(crate) product: Option<Named>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct Named {
    pub(crate) name: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct RenewMode {
    pub(crate) mode: Option<String>,
    pub(crate) interval: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "camelCase")]
pub(crate) struct Resource {
    pub(crate) name: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) state: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct Route {
    pub(crate) path: Option<String>,
    pub(crate) url: Option<String>,
}

/// What `serviceInfos` tells; it is put back whole when it is changed.
#[derive(Debug, Clone)]
pub(crate) struct Infos {
    pub(crate) service_id: i64,
    /// Every member, as it came.
    pub(crate) members: Map<String, Value>,
}

impl Service {
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE for an answer that tells nothing of a service, or of another one.
    pub(crate) fn read(answer: &Answer, id: i64) -> Result<Self> {
        let service = Self { told: answer.json()?, members: document(answer)? };
        let other = service.members.get("serviceId").is_some_and(|told| told.as_i64() != Some(id));
        let Told { state, resource, expiration_date, .. } = &service.told;
        let nothing = state.is_none() && resource.is_none() && expiration_date.is_none();
        if other || nothing { Err(answer.not_understood()) } else { Ok(service) }
    }

    /// The name for machines.
    pub(crate) fn name(&self) -> Option<&str> {
        self.told.resource.as_ref()?.name.as_deref()
    }

    /// What the upstream never changes of it.
    pub(crate) fn identity(&self) -> Identity {
        let name = self.name().map(str::to_owned);
        Identity { created: self.told.creation_date.clone(), name }
    }

    /// The name for people.
    pub(crate) fn shown_name(&self) -> Option<&str> {
        let shown = self.told.resource.as_ref()?.display_name.as_deref();
        shown.filter(|name| !name.is_empty()).or_else(|| self.name())
    }

    /// The upstream's word for the state that counts: what happens to the resource before what
    /// happens to the contract.
    pub(crate) fn word(&self) -> &str {
        let resource = self.told.resource.as_ref().and_then(|it| it.state.as_deref());
        match resource {
            Some(word) if word != "ok" => word,
            _ => self.told.state.as_deref().unwrap_or_default(),
        }
    }

    pub(crate) fn state(&self) -> State {
        match self.word() {
            "ok" => State::Active,
            "pending" => State::Pending,
            "expired" => State::Expired,
            "suspended" => State::Suspended,
            "suspending" | "toSuspend" => State::Suspending,
            "opening" | "toOpen" => State::Resuming,
            "deleting" | "toDelete" => State::Terminating,
            "deleted" => State::Terminated,
            _ => State::Unspecified,
        }
    }

    /// The segments of the service's own address below the endpoint, `vps` and its name.
    pub(crate) fn route(&self) -> Vec<String> {
        let url = self.told.route.as_ref().and_then(|route| route.url.as_deref());
        segments(url.unwrap_or_default())
    }
}

/// The segments of a route.
pub(crate) fn segments(route: &str) -> Vec<String> {
    route.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

impl Infos {
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE for an answer that names no service.
    pub(crate) fn read(answer: &Answer) -> Result<Self> {
        let members = document(answer)?;
        let service_id = members.get("serviceId").and_then(Value::as_i64);
        let service_id = service_id.ok_or_else(|| answer.not_understood())?;
        Ok(Self { service_id, members })
    }

    /// A member of `renew`.
    pub(crate) fn renew(&self, name: &str) -> Option<&Value> {
        self.members.get("renew")?.get(name)
    }

    /// Sets members of `renew`, which becomes an object where it was none.
    pub(crate) fn set_renew(&mut self, name: &str, value: Value) {
        let renew = self.members.entry("renew").or_insert(Value::Null);
        if !renew.is_object() {
            *renew = Value::Object(Map::new());
        }
        if let Value::Object(members) = renew {
            members.insert(name.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Service, State};
    use purveyor_sdk::serde_json::{Value, from_value, json};

    #[test]
    fn states_of_resource_and_contract() {
        fn check(contract: Value, resource: Value, expected: State) {
            let told = json!({"state": contract, "resource": {"state": resource}});
            let told = from_value(told).unwrap();
            let service = Service { told, members: Default::default() };
            assert_eq!(service.state(), expected, "{contract} {resource}");
        }
        check(json!("ok"), json!("ok"), State::Active);
        check(json!("ok"), json!(null), State::Active);
        check(json!("expired"), json!("ok"), State::Expired);
        check(json!("expired"), json!("deleted"), State::Terminated);
        check(json!("ok"), json!("toSuspend"), State::Suspending);
        check(json!("ok"), json!("suspended"), State::Suspended);
        check(json!("ok"), json!("toOpen"), State::Resuming);
        check(json!("ok"), json!("toDelete"), State::Terminating);
        check(json!("pending"), json!(null), State::Pending);
        check(json!("unpaid"), json!(null), State::Unspecified);
        check(json!(null), json!("melting"), State::Unspecified);
    }
}
