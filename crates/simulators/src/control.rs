//! The control API: HTTP with JSON on a listener of its own. It routes what every simulator can
//! be told and hands the rest to the provider's own levers; it must not change state by itself.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::fault::{Fault, Table};
use crate::rig::Rig;
use crate::server::{Dress, Reply, Request, Responder, Server, Site};

/// What only this provider can be told.
pub(crate) trait Levers {
    /// Obeys a command, or says that there is none of that name.
    fn pull(&self, command: &str, body: &Bytes) -> Option<Result<Value, Refusal>>;
}

/// Why a command was not obeyed.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) reason: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }
}

/// The control API of one simulator.
pub(crate) struct Control<P> {
    provider: Arc<P>,
    rig: Arc<Rig>,
    /// Weak, so that this listener cannot keep the provider's server alive.
    server: Weak<Server>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Idle {
    ms: u64,
}

/// Reads a command's body.
pub(crate) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))
}

/// Switches with the changes that a command's body names.
pub(crate) fn patched<T: Serialize + DeserializeOwned>(
    switches: &T,
    body: &Bytes,
) -> Result<T, Refusal> {
    let changes: Map<String, Value> = read(body)?;
    let bad = |error: serde_json::Error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string());
    let mut switches = serde_json::to_value(switches).map_err(bad)?;
    if let Value::Object(switches) = &mut switches {
        switches.extend(changes);
    }
    serde_json::from_value(switches).map_err(bad)
}

impl<P: Levers> Control<P> {
    pub(crate) fn new(provider: Arc<P>, rig: Arc<Rig>, server: Weak<Server>) -> Self {
        Self { provider, rig, server }
    }

    fn obey(&self, request: &Request) -> Result<Value, Refusal> {
        let command = format!("{} {}", request.method, request.path);
        match command.as_str() {
            "GET /ledger" => Ok(json!(self.rig.ledger.entries())),
            "GET /requests" => Ok(json!(self.rig.requests())),
            "GET /connections" => {
                Ok(json!(self.server.upgrade().map(|s| s.connections()).unwrap_or_default()))
            }
            "GET /clock" => Ok(json!({ "now": self.rig.clock.now() })),
            "GET /faults" => Ok(json!(self.rig.faults().armed())),
            "POST /faults" => {
                let fault: Fault = read(&request.body)?;
                self.rig.faults().arm(fault);
                Ok(json!({}))
            }
            "DELETE /faults" => {
                self.rig.faults().clear();
                Ok(json!({}))
            }
            "POST /fault-table" => self.set_table(&request.body),
            "POST /idle" => self.close_idle(&request.body),
            "POST /dress" => self.set_dress(&request.body),
            "POST /clock/advance" => self.advance(&request.body),
            command => self.provider.pull(command, &request.body).unwrap_or_else(|| {
                Err(Refusal::new(StatusCode::NOT_FOUND, format!("no command {command:?}")))
            }),
        }
    }

    fn set_table(&self, body: &Bytes) -> Result<Value, Refusal> {
        let mut fields: serde_json::Map<String, Value> = read(body)?;
        fields.entry("seed").or_insert(json!(self.rig.seed));
        let table: Table = serde_json::from_value(Value::Object(fields))
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        self.rig.faults().set_table(table);
        Ok(json!({}))
    }

    fn set_dress(&self, body: &Bytes) -> Result<Value, Refusal> {
        let dress: Dress = read(body)?;
        if let Some(server) = self.server.upgrade() {
            server.set_dress(dress);
        }
        Ok(json!({}))
    }

    fn close_idle(&self, body: &Bytes) -> Result<Value, Refusal> {
        let Idle { ms } = read(body)?;
        if let Some(server) = self.server.upgrade() {
            server.close_idle(Duration::from_millis(ms));
        }
        Ok(json!({}))
    }

    fn advance(&self, body: &Bytes) -> Result<Value, Refusal> {
        let Advance { seconds } = read(body)?;
        let by = Duration::try_from_secs_f64(seconds)
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        self.rig.clock.advance(by);
        Ok(json!({ "now": self.rig.clock.now() }))
    }
}

impl<P: Levers + Send + Sync + 'static> Site for Control<P> {
    async fn answer(self: Arc<Self>, request: Request, responder: Responder) {
        let (status, answer) = match self.obey(&request) {
            Ok(answer) => (StatusCode::OK, answer),
            Err(refusal) => (refusal.status, json!({ "error": refusal.reason })),
        };
        let body = Bytes::from(answer.to_string());
        responder.send(Reply::new(status, "application/json", body));
    }
}
