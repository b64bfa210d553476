//! The upstream's calls, one function each: what is asked in, what is told out. Every request but the
//! one for the time is signed. Nothing here is sent twice, but a read whose time was taken for wrong;
//! and no meaning is given to what is read.

mod calls;
mod clock;
mod sign;

use std::time::Duration;

use purveyor_sdk::secrecy::ExposeSecret;
use purveyor_sdk::time::Zone;
use purveyor_sdk::v1::Price;
use purveyor_sdk::{Answer, Call, Cx, Error, Result};

use crate::error::{self, Asked, Spent};

pub(crate) use calls::{CHANGE_PROOFS, PAY_PROOFS, Pay};
pub(crate) use clock::Clock;
pub(crate) use sign::Keys;

/// The way to one account.
pub(crate) struct Client {
    pub(crate) keys: Keys,
    pub(crate) endpoint: String,
    pub(crate) zone: Zone,
    pub(crate) clock: Clock,
    /// The manifest's calls, which know the paths.
    pub(crate) calls: &'static [Call],
}

/// One request, before it is signed.
#[derive(Debug, Clone, Default)]
struct Ask {
    call: &'static str,
    method: &'static str,
    segments: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// What the call charges, as it was just read.
    price: Option<Price>,
}

impl Ask {
    fn get(call: &'static str) -> Self {
        Self { call, method: "GET", ..Self::default() }
    }

    fn post(call: &'static str) -> Self {
        Self { call, method: "POST", ..Self::default() }
    }

    fn put(call: &'static str) -> Self {
        Self { call, method: "PUT", ..Self::default() }
    }

    fn at(mut self, segment: impl ToString) -> Self {
        self.segments.push(segment.to_string());
        self
    }

    fn field(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    fn body(self, body: Vec<u8>) -> Self {
        Self { body, ..self }
    }

    fn price(self, price: Option<Price>) -> Self {
        Self { price, ..self }
    }
}

impl Client {
    /// GET /auth/time: the upstream's clock in seconds, and how far it is from the host's.
    pub(crate) async fn time(&self, cx: &Cx) -> Result<(i64, Duration, bool)> {
        let answer = cx.http().call("auth.time").send().await?;
        if answer.status != 200 {
            return Err(error::of_read(&answer, Asked::Other));
        }
        let upstream: i64 = answer.json()?;
        let (host, steady) = (cx.now(), cx.monotonic_now());
        self.clock.set(upstream, &host, steady);
        let difference = upstream.saturating_sub(host.seconds);
        Ok((upstream, Duration::from_secs(difference.unsigned_abs()), difference < 0))
    }

    /// The upstream's time now, asked for where it is not known.
    pub(crate) async fn upstream_now(&self, cx: &Cx) -> Result<i64> {
        match self.clock.now(&cx.now(), cx.monotonic_now()) {
            Some(now) => Ok(now),
            None => Ok(self.time(cx).await?.0),
        }
    }

    /// A read; any answer but success is an error. One whose time was taken for wrong is asked again
    /// with the time that the upstream tells then.
    async fn read(&self, cx: &Cx, ask: Ask, asked: Asked) -> Result<Answer> {
        let mut answer = self.send(cx, ask.clone()).await?;
        if error::is_clock(&answer) {
            self.clock.forget();
            answer = self.send(cx, ask).await?;
        }
        if answer.status == 200 { Ok(answer) } else { Err(error::of_read(&answer, asked)) }
    }

    /// Sends what changes something. An error is the host's, which knows what became of it.
    async fn change(
        &self,
        cx: &Cx,
        ask: Ask,
        asked: Asked,
        proofs: &[&'static str],
    ) -> Result<Spent> {
        let answer = self.send(cx, ask).await?;
        if error::is_clock(&answer) {
            self.clock.forget();
        }
        Ok(error::of_write(&answer, asked, proofs))
    }

    async fn send(&self, cx: &Cx, ask: Ask) -> Result<Answer> {
        let timestamp = self.upstream_now(cx).await?;
        let Ask { call, method, segments, query, body, price } = ask;
        let mut request = cx.http().call(call).price(price);
        for segment in segments {
            request = request.segment(segment);
        }
        for (name, value) in query {
            request = request.query(name, value);
        }
        let url = request.url(&self.endpoint, self.calls)?;
        let signature = self.keys.sign(method, &url, &body, timestamp);
        request = request
            .header("x-ovh-application", self.keys.application_key.expose_secret())
            .header("x-ovh-consumer", self.keys.consumer_key.expose_secret())
            .header("x-ovh-timestamp", timestamp)
            .header("x-ovh-signature", signature);
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body);
        }
        request.send().await
    }
}

/// The bytes that are signed and sent.
fn json(value: &impl purveyor_sdk::serde::Serialize) -> Result<Vec<u8>> {
    purveyor_sdk::serde_json::to_vec(value)
        .map_err(|error| Error::fault("a body has no JSON").with_source(error))
}
