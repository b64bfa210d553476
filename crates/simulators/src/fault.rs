//! Faults on command: what goes wrong on which call, and how a fault plays around a commit. A
//! fault changes how an answer travels or what it says; it must never change what was sold.

mod table;

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Clock;
use crate::server::{Delivery, Reply, Responder};

pub use table::{Row, Table};

/// One fault, armed for some calls of a method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The method, or its beginning followed by `*`. Default: every method.
    #[serde(default = "Fault::every_method")]
    pub method: String,
    /// How many matching calls are left alone first.
    #[serde(default)]
    pub after: u32,
    /// How often the fault strikes.
    #[serde(default = "Fault::once")]
    pub times: u32,
    /// Whether the call takes effect although its answer is replaced. Only for kinds that
    /// replace the answer, and for `slow`, which then waits after the effect.
    #[serde(default)]
    pub committed: bool,
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// What can go wrong. *Commit* is the moment at which a call takes effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// The connection is closed, nothing happens.
    DropBeforeCommit,
    /// The connection is reset, nothing happens.
    ResetBeforeCommit,
    /// The call takes effect, then the connection is closed without an answer.
    DropAfterCommit,
    /// The call takes effect, then the connection is reset without an answer.
    ResetAfterCommit,
    /// The call takes effect; the answer announces its whole length and half of it comes.
    TruncateAfterCommit,
    /// The call takes effect; the connection is closed after so many bytes of the answer.
    CutAfterCommit {
        /// Bytes of the answer that still come, counted from its status line.
        bytes: usize,
    },
    /// The connection is closed at once, the call takes effect later.
    LateCommit {
        /// Milliseconds of simulated time until the effect.
        ms: u64,
    },
    /// The call waits before its effect, or after it when `committed`.
    Slow {
        /// Milliseconds of simulated time.
        ms: u64,
    },
    /// Another HTTP status with a page of text.
    Status {
        /// 200 to 599.
        status: u16,
    },
    /// 307 to the same address: a caller that follows it sends its call again.
    Redirect,
    /// An empty value where an object is due.
    Nil,
    /// A value of another type than is due.
    WrongType,
    /// A document whose nested entities would expand to gigabytes.
    XmlBomb,
    /// Arrays in arrays.
    NestedArrays {
        /// How deep.
        #[serde(default = "FaultKind::deep")]
        depth: usize,
    },
    /// A well-formed answer of this size.
    Megabytes {
        /// Size in units of 1,048,576 bytes.
        n: usize,
    },
    /// Bytes that are no document at all.
    Garbage,
    /// A JSON object whose `status` and `message` are this, under any HTTP status.
    Word {
        /// The word; `0` or `null` too.
        word: Value,
        /// The HTTP status.
        #[serde(default = "FaultKind::ok")]
        status: u16,
    },
    /// The call takes effect; its answer has another text where a text stands first, byte by byte. An
    /// answer without that text is the honest one.
    Respell {
        /// What stands there: `"price":"2.0"`.
        from: String,
        /// What stands there instead: `"price":"n/a"`.
        to: String,
    },
    /// The provider's own form of an error.
    Fault {
        /// The provider's code.
        code: i32,
        /// The provider's text.
        text: String,
    },
}

impl Fault {
    /// `kind` on the next call of `method`.
    #[must_use]
    pub fn next(method: &str, kind: FaultKind) -> Self {
        Self { method: method.to_owned(), after: 0, times: 1, committed: false, kind }
    }

    /// The same fault, striking after the call took effect.
    #[must_use]
    pub fn committed(self) -> Self {
        Self { committed: true, ..self }
    }

    /// The same fault, striking so many times.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// The same fault, after leaving so many matching calls alone.
    #[must_use]
    pub fn after(self, calls: u32) -> Self {
        Self { after: calls, ..self }
    }

    fn every_method() -> String {
        "*".to_owned()
    }

    fn once() -> u32 {
        1
    }
}

impl FaultKind {
    fn ok() -> u16 {
        200
    }

    fn deep() -> usize {
        40_000
    }
}

/// The faults that are armed, and the seeded table that strikes when none of them does.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<Armed>,
    table: Option<table::Draws>,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    seen: u32,
    struck: u32,
}

/// What strikes one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Strike {
    pub(crate) kind: FaultKind,
    pub(crate) committed: bool,
}

impl Faults {
    pub(crate) fn arm(&mut self, fault: Fault) {
        self.armed.push(Armed { fault, seen: 0, struck: 0 });
    }

    /// Draws from `table` from now on, starting at its first draw.
    pub(crate) fn set_table(&mut self, table: Table) {
        self.table = Some(table::Draws::new(table));
    }

    /// Disarms everything, the table too.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Faults that can still strike.
    pub(crate) fn armed(&self) -> Vec<Fault> {
        let live = self.armed.iter().filter(|armed| armed.struck < armed.fault.times);
        live.map(|armed| armed.fault.clone()).collect()
    }

    /// What strikes this call of `method`: the first armed fault whose turn it is, else the
    /// table's draw. Every call counts, whether something strikes or not.
    pub(crate) fn strike(&mut self, method: &str) -> Option<Strike> {
        let drawn = self.table.as_mut().and_then(|draws| draws.draw(method));
        let mut first = None;
        for armed in self.armed.iter_mut().filter(|armed| matches(&armed.fault.method, method)) {
            armed.seen = armed.seen.saturating_add(1);
            let due = armed.seen > armed.fault.after && armed.struck < armed.fault.times;
            if due && first.is_none() {
                armed.struck += 1;
                let Fault { kind, committed, .. } = armed.fault.clone();
                first = Some(Strike { kind, committed });
            }
        }
        first.or(drawn)
    }
}

/// Whether a method is meant by a pattern: its name, or its beginning followed by `*`.
fn matches(pattern: &str, method: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => method.starts_with(beginning),
        None => pattern == method,
    }
}

/// Lets a call happen the way `strike` says. `commit` is the call with its honest answer and
/// takes effect when it is awaited; `replace` makes the provider's form of a replaced answer.
pub(crate) async fn play(
    strike: Option<Strike>,
    clock: &Clock,
    responder: Responder,
    commit: impl Future<Output = Reply>,
    replace: impl FnOnce(&FaultKind) -> Reply,
) {
    let Some(Strike { kind, committed }) = strike else {
        return responder.send(commit.await);
    };
    match kind {
        FaultKind::DropBeforeCommit => responder.send(Reply::nothing(Delivery::Close)),
        FaultKind::ResetBeforeCommit => responder.send(Reply::nothing(Delivery::Reset)),
        FaultKind::DropAfterCommit => responder.send(commit.await.delivered(Delivery::Close)),
        FaultKind::ResetAfterCommit => responder.send(commit.await.delivered(Delivery::Reset)),
        FaultKind::TruncateAfterCommit => {
            responder.send(commit.await.delivered(Delivery::HalfBody));
        }
        FaultKind::CutAfterCommit { bytes } => {
            responder.send(commit.await.delivered(Delivery::Cut(bytes)));
        }
        FaultKind::Respell { from, to } => {
            let reply = commit.await;
            let body = respelled(&reply.body, from.as_bytes(), to.as_bytes());
            responder.send(Reply { body, ..reply });
        }
        FaultKind::LateCommit { ms } => {
            // The pause begins before the caller can know of it.
            let pause = clock.pause(Duration::from_millis(ms));
            responder.send(Reply::nothing(Delivery::Close));
            pause.await;
            commit.await;
        }
        FaultKind::Slow { ms } => {
            let pause = clock.pause(Duration::from_millis(ms));
            if committed {
                let reply = commit.await;
                pause.await;
                responder.send(reply);
            } else {
                pause.await;
                responder.send(commit.await);
            }
        }
        replaced => {
            if committed {
                commit.await;
            }
            responder.send(replace(&replaced));
        }
    }
}

/// A body with one text in the place of the first other one.
fn respelled(body: &Bytes, from: &[u8], to: &[u8]) -> Bytes {
    let length = from.len().max(1);
    match body.windows(length).position(|window| window == from) {
        Some(at) => [&body[..at], to, &body[at + length..]].concat().into(),
        None => body.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Fault, FaultKind, Faults, respelled};

    #[test]
    fn a_text_is_respelled_once() {
        fn check(body: &'static str, from: &str, to: &str, expected: &str) {
            let found = respelled(&Bytes::from(body), from.as_bytes(), to.as_bytes());
            assert_eq!(found, expected, "{body} {from}");
        }
        check("a 2.0 b 2.0", "2.0", "1e400", "a 1e400 b 2.0");
        check("2.0", "2.0", "", "");
        check("a", "2.0", "x", "a");
        check("", "", "x", "");
    }

    #[test]
    fn faults_strike_in_order_and_only_so_often() {
        let mut faults = Faults::default();
        faults.arm(Fault::next("a.*", FaultKind::Nil).after(1).times(2));
        faults.arm(Fault::next("a.b", FaultKind::Garbage));
        let mut strike = |method: &str| faults.strike(method).map(|strike| strike.kind);
        assert_eq!(strike("b.a"), None);
        assert_eq!(strike("a.b"), Some(FaultKind::Garbage));
        assert_eq!(strike("a.b"), Some(FaultKind::Nil));
        assert_eq!(strike("a.c"), Some(FaultKind::Nil));
        assert_eq!(strike("a.b"), None);
        assert!(faults.armed().is_empty());
    }

    #[test]
    fn faults_are_read_from_json() {
        let check = |json: &str, expected: Option<Fault>| {
            assert_eq!(serde_json::from_str(json).ok(), expected, "{json}");
        };
        let slow = Fault::next("*", FaultKind::Slow { ms: 5 });
        check(r#"{"kind":"slow","ms":5}"#, Some(slow.clone()));
        check(r#"{"kind":"slow","ms":5,"method":"*","times":1,"after":0}"#, Some(slow));
        let status = Fault::next("x", FaultKind::Status { status: 502 }).committed().after(3);
        let json = r#"{"kind":"status","status":502,"method":"x","committed":true,"after":3}"#;
        check(json, Some(status));
        let word = FaultKind::Word { word: "Completed".into(), status: 200 };
        let json = r#"{"kind":"word","word":"Completed","method":"x","committed":true}"#;
        check(json, Some(Fault::next("x", word).committed()));
        let number = FaultKind::Word { word: 0.into(), status: 409 };
        check(
            r#"{"kind":"word","word":0,"status":409,"method":"x"}"#,
            Some(Fault::next("x", number)),
        );
        check(r#"{"kind":"slow"}"#, None);
        check(r#"{"kind":"sloow","ms":5}"#, None);
    }
}
