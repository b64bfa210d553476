//! A minimal client that shares no code with the simulator: it signs by the published recipe. It
//! must follow nothing and repeat nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use purveyor_simulators::ovh::{Mode, Options, Ovh};
use purveyor_simulators::{Clock, Instruments, Simulator};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use crate::wire::{self, Broken};

/// The keys of the default account.
pub(crate) const KEYS: Keys<'static> = Keys {
    application: "applicationkey01",
    secret: "applicationsecretapplicationsec1",
    consumer: "consumerkeyconsumerkeyconsumerk1",
};

/// When the simulated clock of these tests starts.
pub(crate) const START: &str = "2026-05-15T13:49:06Z";

/// What a request is signed with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys<'a> {
    pub(crate) application: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) consumer: &'a str,
}

/// A simulator whose time stands still, and a client of its one account.
pub(crate) struct Bench {
    pub(crate) simulator: Simulator<Ovh>,
    /// What the client takes for the time, in seconds.
    pub(crate) clock: AtomicI64,
}

/// What a call came to, besides a broken connection.
pub(crate) type Answer = Result<Value, (u16, Value)>;

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::in_mode(Mode::default()).await
    }

    pub(crate) async fn in_mode(mode: Mode) -> Self {
        Self::with(Options { mode, ..Options::default() }).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let clock = Arc::new(Clock::manual(START.parse().unwrap()));
        let now = clock.now().as_second();
        let instruments = Instruments { clock, ..Instruments::default() };
        let simulator = Ovh::start(Options { instruments, ..options }).await.unwrap();
        Self { simulator, clock: AtomicI64::new(now) }
    }

    /// Moves the upstream's clock and the client's.
    pub(crate) fn advance(&self, seconds: u64) {
        self.simulator.advance(std::time::Duration::from_secs(seconds));
        self.clock.fetch_add(i64::try_from(seconds).unwrap(), Ordering::SeqCst);
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.try_call(method, path, body).await.unwrap()
    }

    pub(crate) async fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, Broken> {
        let (status, body) = self.raw(method, path, body).await?;
        let body =
            serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)));
        Ok(if status == 200 { Ok(body) } else { Err((status, body)) })
    }

    pub(crate) async fn raw(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<(u16, bytes::Bytes), Broken> {
        let url = format!("{}{path}", self.simulator.url());
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let stamp = self.clock.load(Ordering::SeqCst).to_string();
        let signature = sign(KEYS, method, &url, &body, &stamp);
        let headers = [
            ("X-Ovh-Application", KEYS.application),
            ("X-Ovh-Consumer", KEYS.consumer),
            ("X-Ovh-Timestamp", stamp.as_str()),
            ("X-Ovh-Signature", signature.as_str()),
        ];
        wire::send(method, &url, &headers, body).await
    }

    /// An unpaid order that renews a service.
    pub(crate) async fn order(&self, service: i64, duration: &str) -> i64 {
        let body = json!({ "duration": duration, "services": [service] });
        let order = self.post(&format!("/service/{service}/renew"), body).await.unwrap();
        order["orderId"].as_i64().unwrap()
    }

    pub(crate) async fn pay(&self, order: i64) -> Answer {
        let body = json!({ "paymentMean": "paypal", "paymentMeanId": 1234 });
        self.post(&format!("/me/order/{order}/payWithRegisteredPaymentMean"), body).await
    }

    pub(crate) async fn status(&self, order: i64) -> String {
        let status = self.get(&format!("/me/order/{order}/status")).await.unwrap();
        status.as_str().unwrap().to_owned()
    }

    /// The kinds of ledger lines.
    pub(crate) fn ledger(&self) -> Vec<String> {
        let kind = |entry: &purveyor_simulators::Entry| {
            serde_json::to_value(entry.sale.kind).unwrap().as_str().unwrap().to_owned()
        };
        self.simulator.ledger().iter().map(kind).collect()
    }
}

pub(crate) fn sign(keys: Keys<'_>, method: &str, url: &str, body: &str, stamp: &str) -> String {
    let text = format!("{}+{}+{method}+{url}+{body}+{stamp}", keys.secret, keys.consumer);
    format!("$1${}", hex::encode(Sha1::digest(text)))
}
