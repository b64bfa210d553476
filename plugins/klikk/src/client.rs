//! The upstream's actions, one function each: parameters in, objects out. A read whose answer cannot be
//! understood is an error; an answer to a write that proves nothing is unknown. Nothing here is sent
//! twice, and no meaning is given to what is read.

use purveyor_sdk::body;
use purveyor_sdk::http::Request;
use purveyor_sdk::serde_json::{Map, Value, json};
use purveyor_sdk::time::Zone;
use purveyor_sdk::{Answer, Cx, Error, Level, Proof, Result};

use crate::error::{self, proof};
use crate::model::{Due, Members, Order, Server, ServerStates, not_understood, rows};

/// The credential in `X-Account-Token`.
pub(crate) const ACCOUNT_TOKEN: &str = "account-token";
/// The credential of HTTP Basic.
pub(crate) const LOGIN: &str = "login";

/// The way to one account.
pub(crate) struct Client {
    /// The credential that is sent.
    pub(crate) credential: &'static str,
    pub(crate) zone: Zone,
    /// The manifest's proofs of refusal.
    pub(crate) proofs: &'static [Proof],
    /// The operator's words of refusal.
    pub(crate) refusal_words: Vec<String>,
    pub(crate) server_states: ServerStates,
}

/// One item to be ordered.
#[derive(Debug)]
pub(crate) struct NewItem {
    pub(crate) name: String,
    pub(crate) product: String,
    pub(crate) options: Map<String, Value>,
}

/// How a write was answered.
#[derive(Debug)]
pub(crate) enum Sent<T> {
    /// The upstream took it.
    Accepted(T),
    /// Nothing was done; which declared proof says so, and the error for the caller.
    Refused { proof: &'static str, error: Error },
    /// The answer does not tell.
    Unknown(String),
}

/// An order that the upstream made.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) order: u64,
    pub(crate) status: Option<String>,
    pub(crate) message: String,
    /// What is to be paid before anything else; none where nothing is asked for.
    pub(crate) due: Option<Due>,
}

/// The rows of a list.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    pub(crate) rows: Vec<T>,
    /// Why rows have no identifier that can be read: they cannot be shown, and may be any.
    pub(crate) nameless: Vec<Error>,
}

impl<T> Listed<T> {
    fn of(read: impl Iterator<Item = Result<T>>) -> Self {
        let mut nameless = Vec::new();
        let rows = read.filter_map(|row| row.map_err(|error| nameless.push(error)).ok()).collect();
        Self { rows, nameless }
    }

    /// The rows that can be shown; the others are logged.
    pub(crate) fn shown(self, cx: &Cx) -> Vec<T> {
        for error in &self.nameless {
            cx.log(Level::WARN, &format!("a listed row cannot be shown: {error}"));
        }
        self.rows
    }
}

impl Client {
    /// `order_create`. Spends.
    pub(crate) async fn create(
        &self,
        cx: &Cx,
        items: &[NewItem],
        reference: &str,
    ) -> Result<Sent<Created>> {
        let item = |item: &NewItem| {
            json!({
                "name": item.name,
                "product": { "name": item.product, "options": item.options },
            })
        };
        let items: Vec<Value> = items.iter().map(item).collect();
        let mut body = json!({ "action": "order_create", "items": items });
        if !reference.is_empty() {
            body["reference"] = json!(reference);
        }
        let answer = self.request(cx, "order_create", &body).send().await?;
        Ok(self.created(&answer))
    }

    /// What an answer to order_create says. The one that asks for payment has made an order, whatever
    /// it names.
    fn created(&self, answer: &Answer) -> Sent<Created> {
        if !answer.is_success() && answer.status != 402 {
            return self.refused_or_unknown(answer, proof::OF_ORDER);
        }
        let read = || -> Result<Created> {
            let mut members = Members::read(&answer.body)?;
            Ok(Created {
                order: members.take_id("order_id")?,
                status: members.take_text("status"),
                message: members.take_text("message").unwrap_or_default(),
                due: (answer.status == 402).then(|| Due::take(&mut members, &self.zone)),
            })
        };
        read().map_or_else(|error| Sent::Unknown(error.message), Sent::Accepted)
    }

    /// `order_status`.
    ///
    /// # Errors
    ///
    /// ORDER_NOT_FOUND; UPSTREAM_UNAVAILABLE where it cannot be read whole.
    pub(crate) async fn order(&self, cx: &Cx, id: u64) -> Result<Order> {
        let body = json!({ "action": "order_status", "order_id": id });
        let answer = self.read(cx, "order_status", &body).await?;
        let order = Order::read(Members::read(&answer.body)?, &self.zone)?;
        order.gaps.check(&format!("order {id}"))?;
        if order.id == id && order.items.is_some() {
            Ok(order)
        } else {
            Err(not_understood("order"))
        }
    }

    /// `order_list`: every order there is.
    pub(crate) async fn orders(&self, cx: &Cx) -> Result<Listed<Order>> {
        let answer = self.read(cx, "order_list", &json!({ "action": "order_list" })).await?;
        let orders = rows(&answer, "orders")?.into_iter();
        Ok(Listed::of(orders.map(|row| Order::read(row?, &self.zone))))
    }

    /// `order_cancel`: of the whole order, or of one item. May be sent again.
    pub(crate) async fn cancel(&self, cx: &Cx, order: u64, item: Option<u64>) -> Result<Sent<()>> {
        let mut body = json!({ "action": "order_cancel", "order_id": order });
        if let Some(item) = item {
            body["order_item_id"] = json!(item);
        }
        let answer = self.request(cx, "order_cancel", &body).send().await?;
        Ok(match answer.status {
            // The document's answer is an empty one; any other may be somebody else's.
            200 if answer.body.trim_ascii().is_empty() => Sent::Accepted(()),
            200..=299 => Sent::Unknown("the upstream's answer is not the empty one".to_owned()),
            _ => self.refused_or_unknown(&answer, proof::ALL),
        })
    }

    /// `server_list`: of one order item, or all.
    pub(crate) async fn servers(&self, cx: &Cx, item: Option<u64>) -> Result<Listed<Server>> {
        // 0 is the document's word for all.
        let body = json!({ "action": "server_list", "order_item_id": item.unwrap_or(0) });
        let answer = self.read(cx, "server_list", &body).await?;
        let servers = rows(&answer, "servers")?.into_iter();
        let servers = servers.map(|row| Server::read(row?, &self.zone, &self.server_states));
        let mut servers = Listed::of(servers);
        // An upstream that does not filter must not show one server as another.
        servers.rows.retain(|server| item.is_none_or(|item| server.item == item));
        Ok(servers)
    }

    async fn read(&self, cx: &Cx, call: &str, body: &Value) -> Result<Answer> {
        let answer = self.request(cx, call, body).send().await?;
        if answer.is_success() { Ok(answer) } else { Err(error::of_read(&answer)) }
    }

    fn request<'a>(&self, cx: &'a Cx, call: &str, body: &Value) -> Request<'a> {
        cx.http().call(call).auth(self.credential).json(body)
    }

    /// By the conditions of the manifest, read by the same functions, so that plugin and host cannot come
    /// to different ends.
    fn refused_or_unknown<T>(&self, answer: &Answer, proofs: &[&str]) -> Sent<T> {
        let proof = body::proven(self.proofs, &self.refusal_words, answer.status, &answer.body);
        match proof.filter(|proof| proofs.contains(proof) && !error::names_an_order(&answer.body)) {
            Some(proof) => Sent::Refused { proof, error: error::of_read(answer) },
            None => {
                let (status, said) = (answer.status, error::message(answer));
                Sent::Unknown(format!("the upstream answered with status {status}: {said}"))
            }
        }
    }
}
