//! What is different between providers: how one is simulated and configured, how an order looks, and
//! what its ledger says of it. It must not know what goes wrong when.

mod computestacks;
mod gandi;
mod klikk;
mod ovh;
mod racknap;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use purveyor_sdk::v1::Operation;
use serde::Deserialize;
use serde_json::Value;
use xtask::configuration::Provider;

use super::call::Write;
use super::faults::Hidden;
use super::options::Hazard;
use super::person::{Command as Act, Deed, Scene};

/// A provider under torture.
pub(crate) trait Subject: Send + Sync {
    /// Its name: of its plugin, its simulator, and the beginning of its provider ids.
    fn name(&self) -> &'static str;

    /// How many simulators it takes for so many accounts; they share the accounts in turn. One, but
    /// where accounts of one upstream see each other's purchases.
    fn simulators(&self, _accounts: usize) -> usize {
        1
    }

    /// A simulator's arguments: the accounts that it serves.
    fn simulate(&self, command: &mut Command, accounts: &[usize]);

    /// What else the simulator is told over its control API before anything is bought: so many orders in
    /// each account.
    fn prepare(&self, accounts: &[usize], orders: usize) -> Vec<(&'static str, Value)>;

    /// One account as the gateway is configured with it.
    fn provider(&self, account: usize, url: &str) -> Provider;

    /// The upstream calls that sell, as the simulator names them.
    fn sells(&self) -> &'static [&'static str];

    /// The upstream calls by which lost sales are found.
    fn lists(&self) -> &'static [&'static str];

    /// The purchase.
    fn write(&self, order: &Order) -> Write;

    /// What the ledger calls an account.
    fn holder(&self, account: usize) -> String;

    /// What the ledger says of a purchase, apart from the account and the upstream's own ids: the same
    /// text for the same body.
    fn asked(&self, order: &Order) -> String;

    /// What was asked for in a line of the ledger; `None` for lines that are no sale.
    fn sold(&self, entry: &Entry) -> Option<String>;

    /// The identifier of a sale's item, where callers are told of items.
    fn item(&self, _entry: &Entry) -> Option<String> {
        None
    }

    /// Whether a purchase is a renewal to an expected end, so that two of the same are one intent.
    fn renews(&self) -> bool {
        false
    }

    /// Whether two entries with the same credentials are known as one account.
    fn tells_account(&self) -> bool {
        self.tells_identity()
    }

    /// Whether the upstream tells whose account it is, so that two of its accounts may have one identity.
    fn tells_identity(&self) -> bool {
        false
    }

    /// Ends what a purchase has made, where that can be done.
    fn end(&self, _operation: &Operation) -> Option<Write> {
        None
    }

    /// What was ended by a line of the ledger: the id that a sale had.
    fn ended(&self, _entry: &Entry) -> Option<String> {
        None
    }

    /// The command by which ids of what was ended come back.
    fn reuse_ids(&self) -> Option<(&'static str, Value)> {
        None
    }

    /// How long after its end an id comes back.
    fn reused_after(&self) -> Duration {
        Duration::ZERO
    }

    /// The command by which sales are hidden from reads.
    fn hide(&self, _hidden: Hidden) -> Option<(&'static str, Value)> {
        None
    }

    /// The switches by which a hazard happens there all the time.
    fn mode(&self, _hazard: Hazard) -> Option<Value> {
        None
    }

    /// How a person does something there, or how it happens, where it can just now.
    fn person(&self, _deed: Deed, _scene: &mut Scene<'_>) -> Option<Act> {
        None
    }

    /// What a purchase is about, as the ledger names it, where that is known before.
    fn target(&self, _order: &Order) -> Option<String> {
        None
    }

    /// The sale that a line of the ledger takes back before it has come to anything.
    fn undone(&self, _entry: &Entry) -> Option<String> {
        None
    }

    /// The kind of the ledger's line that the call of a later step of a purchase makes.
    fn later_step(&self, _call: &str) -> Option<&'static str> {
        None
    }

    /// Whether what was bought shows in reads alone, and as late as the upstream's effects are.
    fn shows_late(&self) -> bool {
        false
    }

    /// Whether some of the faults are honest refusals there.
    fn refuses(&self) -> bool {
        false
    }

    /// Whether an uncertain purchase is left to a person there.
    fn asks_a_person(&self) -> bool {
        false
    }

    /// Whether it shows what was bought beside what an order names as its own: in an account that is `shared`
    /// with others or not, and where a restored store may lack that it was sent.
    fn shows_duplicates(&self, _shared: bool, _may_be_lost: bool) -> bool {
        true
    }
}

/// One purchase.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// Counted from 0 over all providers.
    pub(crate) number: usize,
    /// Which of the providers under torture.
    pub(crate) subject: usize,
    /// The provider's id in the gateway.
    pub(crate) provider: String,
    /// Which of the provider's accounts.
    pub(crate) account: usize,
    /// Which of the provider's upstreams.
    pub(crate) site: usize,
    /// Which of the account's purchases, counted from 0.
    pub(crate) position: usize,
    /// The caller's request id.
    pub(crate) request_id: String,
    /// The first order of the same intent; its own number, but for the second of two that are sent at
    /// once through two entries. One of the two is sold.
    pub(crate) intent: usize,
    /// What it makes is ended again.
    pub(crate) ends: bool,
    /// It is sent when what this order has made is ended and its id can come back.
    pub(crate) after: Option<usize>,
    /// Another body than the right one: what must never be sold.
    pub(crate) wrong: bool,
}

/// A line of a ledger, as far as it matters here.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Entry {
    pub(crate) account: String,
    pub(crate) kind: String,
    pub(crate) operation_id: String,
    #[serde(default)]
    pub(crate) product_id: Option<String>,
    pub(crate) product_name: String,
    pub(crate) quantity: i64,
    pub(crate) amount: String,
    #[serde(default)]
    pub(crate) duration: Option<String>,
    /// Whether a person did it at the upstream, and no caller.
    #[serde(default)]
    pub(crate) person: bool,
    /// When it was done.
    #[serde(default)]
    pub(crate) time: String,
}

impl Entry {
    /// When it was done, in milliseconds since 1970.
    pub(crate) fn at_ms(&self) -> Option<i64> {
        let time: prost_types::Timestamp = self.time.parse().ok()?;
        Some(time.seconds * 1000 + i64::from(time.nanos) / 1_000_000)
    }
}

/// Every provider that can be tortured.
pub(crate) fn all() -> Vec<Box<dyn Subject>> {
    vec![
        Box::new(gandi::Gandi),
        Box::new(klikk::Klikk),
        Box::new(ovh::Ovh),
        Box::new(racknap::RackNap),
        Box::new(computestacks::ComputeStacks),
    ]
}

/// The providers that are meant by a name, or by `all`.
///
/// # Errors
/// When there is none of that name.
pub(crate) fn named(name: &str) -> Result<Vec<Box<dyn Subject>>> {
    let mut found = all();
    if name != "all" {
        found.retain(|subject| subject.name() == name);
    }
    found.first().with_context(|| format!("no provider is called {name}"))?;
    Ok(found)
}
