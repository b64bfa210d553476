//! What a person does in the controller's own panel: makes, changes, renames and deletes products, and
//! reprices rules. The ledger says of each line that a person did it.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ComputeStacks;
use super::answer::{Answer, Refusal as Refused};
use super::decimal::Decimal;
use super::products::{self, change};
use super::state::{By, Moment, World};
use crate::control::{Refusal, read};
use crate::ledger::Kind;
use crate::server::Request;
use crate::simulator::Simulator;

/// A product, as the API's own body has it, and how far ahead it is dated.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Making {
    product: Value,
    #[serde(default)]
    ahead_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changing {
    product: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repricing {
    price: Value,
}

impl Simulator<ComputeStacks> {
    /// A person makes a product, in the form of the API's body, dated so many seconds ahead; its
    /// identifier.
    ///
    /// # Errors
    /// The product is not valid.
    pub fn person_makes(&self, product: &Value, ahead_seconds: i64) -> Result<i64, String> {
        self.provider().person_makes(product, ahead_seconds)
    }

    /// A person changes what is named of a product.
    ///
    /// # Errors
    /// There is no such product, or it is not valid then.
    pub fn person_changes(&self, id: i64, product: &Value) -> Result<(), String> {
        self.provider().person_changes(id, product)
    }

    /// A person gives a product another label.
    ///
    /// # Errors
    /// There is no such product.
    pub fn person_renames(&self, id: i64, label: &str) -> Result<(), String> {
        self.person_changes(id, &json!({ "label": label }))
    }

    /// A person deletes a product.
    ///
    /// # Errors
    /// There is no such product, or it is used.
    pub fn person_deletes(&self, id: i64) -> Result<(), String> {
        self.provider().person_deletes(id)
    }

    /// A person takes a product out of every billing plan.
    ///
    /// # Errors
    /// There is no such product.
    pub fn person_takes_out(&self, product: i64) -> Result<(), String> {
        self.provider().person_takes_out(product)
    }

    /// A person gives a price rule another price.
    ///
    /// # Errors
    /// There is no such rule, or that is no price.
    pub fn person_reprices(&self, rule: i64, price: &str) -> Result<(), String> {
        self.provider().person_reprices(rule, &json!(price))
    }
}

impl ComputeStacks {
    /// Obeys a command about a person; `None`: it is about something else.
    pub(super) fn obey_person(
        &self,
        command: &str,
        body: &Bytes,
    ) -> Option<Result<Value, Refusal>> {
        let command = command.replacen(" /person/", " ", 1);
        let (method, path) = command.split_once(' ')?;
        let (noun, id) = path.split_once('/').unwrap_or((path, ""));
        let bad = |reason: String| Refusal::new(StatusCode::BAD_REQUEST, reason);
        let done = |()| json!({});
        let number = || id.parse::<i64>().map_err(|error| bad(error.to_string()));
        Some(match (method, noun, id.is_empty()) {
            ("POST", "products", true) => read(body).and_then(|it: Making| {
                let made = self.person_makes(&it.product, it.ahead_seconds);
                made.map(|id| json!({ "id": id })).map_err(bad)
            }),
            ("PATCH", "products", false) => read(body).and_then(|it: Changing| {
                self.person_changes(number()?, &it.product).map(done).map_err(bad)
            }),
            ("DELETE", "products", false) => {
                number().and_then(|id| self.person_deletes(id).map(done).map_err(bad))
            }
            ("DELETE", "places", false) => {
                number().and_then(|id| self.person_takes_out(id).map(done).map_err(bad))
            }
            ("PATCH", "rules", false) => read(body).and_then(|it: Repricing| {
                self.person_reprices(number()?, &it.price).map(done).map_err(bad)
            }),
            _ => return None,
        })
    }

    fn person_makes(&self, product: &Value, ahead_seconds: i64) -> Result<i64, String> {
        let request = panel(Method::POST, json!({ "product": product }));
        self.by_person(|world, moment, by| {
            let dated = moment.now + SignedDuration::from_secs(ahead_seconds);
            let made = products::create(world, moment, &request, (by, dated)).map_err(reason)?;
            let made: Value = serde_json::from_str(&made.text_body()).unwrap_or_default();
            made["product"]["id"].as_i64().ok_or_else(|| made.to_string())
        })
    }

    fn person_changes(&self, id: i64, product: &Value) -> Result<(), String> {
        let request = panel(Method::PATCH, json!({ "product": product }));
        self.by_person(|world, moment, by| {
            products::update(world, moment, &request, (by, id)).map(drop).map_err(reason)
        })
    }

    fn person_deletes(&self, id: i64) -> Result<(), String> {
        let request = panel(Method::DELETE, Value::Null);
        self.by_person(|world, moment, by| {
            products::destroy(world, moment, &request, (by, id)).map(drop).map_err(reason)
        })
    }

    fn person_takes_out(&self, product: i64) -> Result<(), String> {
        let request = panel(Method::DELETE, Value::Null);
        self.by_person(|world, moment, by| {
            let taken = world.present.products.get(&product);
            let taken = taken.ok_or_else(|| format!("no product {product}"))?;
            moment.record(change(taken, Kind::ProductUpdate, by), &request).map_err(reason)?;
            for plan in world.present.plans.values_mut() {
                plan.resources.retain(|resource| resource.product != product);
            }
            Ok(())
        })
    }

    fn person_reprices(&self, rule: i64, price: &Value) -> Result<(), String> {
        let request = panel(Method::PATCH, json!({ "price": price }));
        let decimal = Decimal::read(price).ok_or_else(|| format!("{price} is no price"))?;
        self.by_person(|world, moment, by| {
            let missing = || format!("no price rule {rule}");
            let plans = world.present.plans.values_mut();
            let mut resources = plans.flat_map(|plan| &mut plan.resources);
            let found = resources.find_map(|resource| {
                let rules = resource.phases.iter_mut().flat_map(|phase| &mut phase.prices);
                let product = resource.product;
                rules.into_iter().find(|it| it.id == rule).map(|rule| (product, rule))
            });
            let (product, found) = found.ok_or_else(missing)?;
            found.price = decimal;
            let product = world.present.products.get(&product).ok_or_else(missing)?;
            moment.record(change(product, Kind::ProductUpdate, by), &request).map_err(reason)
        })
    }

    /// A change in the panel, by the first administrator.
    fn by_person<T>(
        &self,
        act: impl FnOnce(&mut World, Moment<'_>, By<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let moment = Moment { now: self.rig.clock.now(), ledger: &self.rig.ledger };
        let mut world = self.world();
        world.remember(moment.now);
        let user = world.access.first_admin();
        act(&mut world, moment, By { user: &user, person: true })
    }
}

/// What a person does, as a request: it tells the line of the ledger what was done.
fn panel(method: Method, body: Value) -> Request {
    Request {
        method,
        path: "/panel".to_owned(),
        query: String::new(),
        headers: HeaderMap::new(),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        body: Bytes::from(body.to_string()),
    }
}

fn reason(refused: Refused) -> String {
    Answer::from(refused).text_body()
}
