//! What only this simulator can be told: accounts, switches and the step of an operation. Each
//! command is a method of the handle and a command of the control API, and both do the same.

use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::AccountSeed;
use super::catalog::Catalog;
use super::methods::{self, Answer};
use super::mode::Mode;
use super::operation::Step;
use super::state::Person;
use super::xmlrpc::Call;
use super::{Gandi, params};
use crate::control::{Levers, Refusal, patched, read};
use crate::money::Cents;
use crate::simulator::Simulator;

/// What a person does at the upstream: one of its methods, without an API key.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PersonCommand {
    /// The account's handle; empty: the first account.
    pub account: String,
    /// The method's name.
    pub method: String,
    /// Its parameters after the API key: whole numbers, texts and objects.
    pub params: Vec<Value>,
    /// The date that the operation shows, where it is not the true one.
    pub date_created: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WordCommand {
    word: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepCommand {
    step: String,
    #[serde(default)]
    last_error: Option<String>,
}

impl Simulator<Gandi> {
    /// The switches as they stand.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.provider().world().mode.clone()
    }

    /// Sets every switch.
    ///
    /// # Errors
    /// The time zone is unknown; then nothing changes.
    pub fn set_mode(&self, mode: Mode) -> Result<(), String> {
        self.provider().set_mode(mode)
    }

    /// Adds an account, or sets balance, use and switches of the one with the same API key.
    ///
    /// # Errors
    /// The API key or the currency is none; then nothing changes.
    pub fn put_account(&self, seed: AccountSeed) -> Result<(), String> {
        self.provider().put_account(seed)
    }

    /// The prepaid balance of the account with this API key.
    #[must_use]
    pub fn prepaid(&self, api_key: &str) -> Option<Cents> {
        let world = self.provider().world();
        let account = world.accounts.iter().find(|account| account.api_key == api_key);
        account.map(|account| account.prepaid)
    }

    /// Puts an operation into a step and holds it there: BILL, WAIT, RUN, DONE, ERROR, SUPPORT or
    /// CANCEL.
    ///
    /// # Errors
    /// There is no such operation or step, or the operation has ended.
    pub fn set_step(&self, id: i32, step: &str, error: Option<&str>) -> Result<(), String> {
        let set = self.provider().set_step(id, step, error.map(str::to_owned));
        set.map_err(|refusal| refusal.reason)
    }

    /// Shows a word in the place of an operation's step; `None`: its own again.
    ///
    /// # Errors
    /// There is no such operation.
    pub fn set_word(&self, id: i32, word: Option<&str>) -> Result<(), String> {
        let set = self.provider().set_word(id, word.map(str::to_owned));
        set.map_err(|refusal| refusal.reason)
    }

    /// Lets a person act, and answers the operation's number where that makes one.
    ///
    /// # Errors
    /// There is no such account, or the upstream's fault.
    pub fn person(&self, command: PersonCommand) -> Result<Option<i32>, String> {
        self.provider().person(command).map_err(|refusal| refusal.reason)
    }
}

impl Gandi {
    fn set_mode(&self, mode: Mode) -> Result<(), String> {
        let zone = mode.zone()?;
        let mut world = self.world();
        world.zone = zone;
        world.mode = mode;
        Ok(())
    }

    pub(super) fn put_account(&self, seed: AccountSeed) -> Result<(), String> {
        let key = [dxr::Value::String(seed.api_key.clone())];
        params::api_key(&key).map_err(|fault| fault.text)?;
        if !Catalog::knows(&seed.currency) {
            return Err(format!("no prices in currency {:?}", seed.currency));
        }
        let now = self.rig.clock.now();
        self.world().put_account(seed, now);
        Ok(())
    }

    fn set_step(&self, id: i32, name: &str, error: Option<String>) -> Result<(), Refusal> {
        let bad = |status, reason: String| Refusal::new(status, reason);
        let Some(step) = Step::of_name(name) else {
            return Err(bad(StatusCode::BAD_REQUEST, format!("no step {name:?}")));
        };
        let moment = self.moment();
        let mut world = self.world();
        let failed = |fault: super::GandiFault| bad(StatusCode::INTERNAL_SERVER_ERROR, fault.text);
        world.settle(moment).map_err(failed)?;
        let Some(operation) = world.operations.get_mut(&id) else {
            return Err(bad(StatusCode::NOT_FOUND, format!("no operation {id}")));
        };
        if operation.step.is_final() {
            let reason = format!("operation {id} has ended in {}", operation.step.name());
            return Err(bad(StatusCode::CONFLICT, reason));
        }
        if !operation.paid && matches!(step, Step::Wait | Step::Run | Step::Done) {
            // Delivering what was never charged would be a sale that no ledger knows.
            return Err(bad(StatusCode::CONFLICT, format!("operation {id} is not paid")));
        }
        operation.held = true;
        operation.last_error = error.or(operation.last_error.take());
        world.reach(moment, id, step, moment.now).map_err(failed)
    }

    fn set_word(&self, id: i32, word: Option<String>) -> Result<(), Refusal> {
        let mut world = self.world();
        let operation = world.operations.get_mut(&id);
        let operation = operation
            .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, format!("no operation {id}")))?;
        operation.word = word;
        Ok(())
    }

    fn person(&self, command: PersonCommand) -> Result<Option<i32>, Refusal> {
        let PersonCommand { account: handle, method, params, date_created } = command;
        let moment = self.moment();
        let mut world = self.world();
        let account =
            world.accounts.iter().find(|it| handle.is_empty() || it.handle == handle).ok_or_else(
                || Refusal::new(StatusCode::NOT_FOUND, format!("no account {handle:?}")),
            )?;
        let key = dxr::Value::String(account.api_key.clone());
        let params = std::iter::once(key).chain(params.iter().map(parameter)).collect();
        world.person = Some(Person { dated: date_created });
        let answer = methods::answer(&mut world, moment, &Call { method, params });
        world.person = None;
        match answer {
            Ok(Answer::Value(dxr::Value::Struct(members))) => Ok(match members.get("id") {
                Some(dxr::Value::Integer(id)) => Some(*id),
                _ => None,
            }),
            Ok(_) => Ok(None),
            Err(fault) => Err(Refusal::new(StatusCode::CONFLICT, fault.text)),
        }
    }

    /// Who has how much. API keys are not told.
    fn balances(&self) -> Value {
        let world = self.world();
        let told = world.accounts.iter().map(|account| {
            json!({
                "handle": account.handle,
                "id": account.id,
                "prepaid": account.prepaid,
                "currency": account.currency,
            })
        });
        told.collect()
    }

    /// Changes the switches that a command names.
    fn patch_mode(&self, body: &Bytes) -> Result<Value, Refusal> {
        let mode: Mode = patched(&self.world().mode, body)?;
        let bad = |reason: String| Refusal::new(StatusCode::BAD_REQUEST, reason);
        let switches = json!(mode);
        self.set_mode(mode).map_err(bad)?;
        Ok(switches)
    }
}

impl Levers for Gandi {
    fn pull(&self, command: &str, body: &Bytes) -> Option<Result<Value, Refusal>> {
        let bad = |reason: String| Refusal::new(StatusCode::BAD_REQUEST, reason);
        let done = |()| json!({});
        let operation = command.strip_prefix("POST /operations/");
        if let Some(id) = operation.and_then(|rest| rest.strip_suffix("/step")) {
            let Ok(id) = id.parse() else { return None };
            let put = read(body).and_then(|StepCommand { step, last_error }| {
                self.set_step(id, &step, last_error).map(done)
            });
            return Some(put);
        }
        if let Some(id) = operation.and_then(|rest| rest.strip_suffix("/word")) {
            let Ok(id) = id.parse() else { return None };
            let set = |WordCommand { word }| self.set_word(id, word).map(done);
            return Some(read(body).and_then(set));
        }
        match command {
            "POST /person" => {
                let acted = read(body).and_then(|command| self.person(command));
                Some(acted.map(|operation| json!({ "operation": operation })))
            }
            "POST /accounts" => {
                let put = read(body).and_then(|seed| self.put_account(seed).map_err(bad));
                Some(put.map(done))
            }
            "GET /accounts" => Some(Ok(self.balances())),
            "POST /mode" => Some(self.patch_mode(body)),
            "GET /mode" => Some(Ok(json!(self.world().mode))),
            _ => None,
        }
    }
}

/// A parameter of a method. What the upstream's methods have no type for is nothing.
fn parameter(value: &Value) -> dxr::Value {
    match value {
        Value::Bool(truth) => dxr::Value::Boolean(*truth),
        Value::Number(number) => number
            .as_i64()
            .and_then(|number| i32::try_from(number).ok())
            .map_or(dxr::Value::Nil, dxr::Value::Integer),
        Value::String(text) => dxr::Value::String(text.clone()),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), parameter(value)));
            dxr::Value::Struct(members.collect())
        }
        Value::Array(values) => dxr::Value::Array(values.iter().map(parameter).collect()),
        Value::Null => dxr::Value::Nil,
    }
}
