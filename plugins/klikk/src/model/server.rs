//! Servers, as server_list tells of them. The document shows no answer: all of this is assumed, but for
//! the order item that a server came of, by which the document asks for servers.

use std::collections::BTreeMap;

use purveyor_sdk::prost_types::{Struct, Timestamp};
use purveyor_sdk::rows::Gaps;
use purveyor_sdk::schemars::JsonSchema;
use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::time::Zone;
use purveyor_sdk::{Result, schemars, serde};

use super::Members;

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    /// The order item that it came of, which is what it is known by.
    pub(crate) item: u64,
    pub(crate) order: Option<String>,
    pub(crate) product: Option<String>,
    /// The name that the request gave, verbatim.
    pub(crate) reference: Option<String>,
    /// The upstream's word, verbatim.
    pub(crate) state: Option<String>,
    pub(crate) life: Life,
    pub(crate) addresses: Vec<String>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) period_end: Option<Timestamp>,
    pub(crate) auto_renew: Option<bool>,
    pub(crate) message: String,
    pub(crate) attributes: Struct,
    /// What of it could not be read.
    pub(crate) gaps: Gaps,
}

/// How a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Installing,
    Running,
    Ended,
    /// A word that nobody knows.
    Unknown,
}

/// What a server's word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(crate = "serde", rename_all = "snake_case")]
#[schemars(crate = "schemars")]
pub enum ServerWord {
    /// The upstream works on it.
    Installing,
    /// It is delivered.
    Running,
    /// It is no more.
    Ended,
}

/// Assumptions, which the configuration can correct.
const KNOWN: [(&str, ServerWord); 6] = [
    ("running", ServerWord::Running),
    ("active", ServerWord::Running),
    ("installing", ServerWord::Installing),
    ("pending", ServerWord::Installing),
    ("ended", ServerWord::Ended),
    ("cancelled", ServerWord::Ended),
];

/// The words of servers that are understood.
#[derive(Debug, Clone)]
pub(crate) struct ServerStates(BTreeMap<String, ServerWord>);

impl ServerStates {
    /// What is assumed, corrected by the configuration.
    pub(crate) fn new(configured: &BTreeMap<String, ServerWord>) -> Self {
        let known = KNOWN.into_iter().map(|(word, life)| (word.to_owned(), life));
        let configured = configured.iter().map(|(word, life)| (word.clone(), *life));
        Self(known.chain(configured).collect())
    }

    /// A server that is listed and says nothing else runs.
    fn life(&self, word: Option<&str>) -> Life {
        let Some(word) = word else { return Life::Running };
        match self.0.get(word) {
            Some(ServerWord::Installing) => Life::Installing,
            Some(ServerWord::Running) => Life::Running,
            Some(ServerWord::Ended) => Life::Ended,
            None => Life::Unknown,
        }
    }
}

impl Server {
    /// The members that have a place of their own.
    const PLACED: [&str; 9] = [
        "order_id",
        "name",
        "reference",
        "state",
        "ip",
        "created",
        "period_end",
        "auto_renew",
        "message",
    ];

    /// Reads a server. Each member that cannot be read is a gap.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE where it does not name its order item.
    pub(crate) fn read(mut members: Members, zone: &Zone, states: &ServerStates) -> Result<Self> {
        let item = members.take_id("order_item_id")?;
        let state = members.take_text("state");
        let mut server = Self {
            item,
            order: members.take_text("order_id"),
            product: members.take_text("name"),
            reference: members.take_text("reference"),
            life: states.life(state.as_deref()),
            state,
            addresses: members.take_texts("ip"),
            created: members.take_moment("created", zone),
            period_end: members.take_moment("period_end", zone),
            auto_renew: members.take_bool("auto_renew"),
            message: members.take_text("message").unwrap_or_default(),
            attributes: Struct::default(),
            gaps: Gaps::default(),
        };
        members.note_left("", &Self::PLACED, &mut server.gaps);
        if server.gaps.has("state") {
            server.life = Life::Unknown;
        }
        server.attributes = members.rest();
        Ok(server)
    }
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::time::Zone;

    use super::{BTreeMap, Life, Members, Server, ServerStates, ServerWord};

    #[test]
    fn servers_in_many_shapes() {
        fn check(json: &str, expected: Option<(u64, Life, usize)>) {
            let members = Members::read(json.as_bytes()).unwrap();
            let configured = BTreeMap::from([("up".to_owned(), ServerWord::Running)]);
            let states = ServerStates::new(&configured);
            let server = Server::read(members, &Zone::UTC, &states).ok();
            let told =
                server.map(|server| (server.item, server.life, server.attributes.fields.len()));
            assert_eq!(told, expected, "{json}");
        }
        check(r#"{"order_item_id":7}"#, Some((7, Life::Running, 0)));
        check(r#"{"order_item_id":"7","state":"installing"}"#, Some((7, Life::Installing, 0)));
        check(r#"{"order_item_id":7,"state":"ended","cpu":2}"#, Some((7, Life::Ended, 1)));
        check(r#"{"order_item_id":7,"state":"up"}"#, Some((7, Life::Running, 0)));
        check(r#"{"order_item_id":7,"state":"dreaming"}"#, Some((7, Life::Unknown, 0)));
        check(
            r#"{"order_item_id":7,"state":{"a":1},"ip":"192.0.2.1"}"#,
            Some((7, Life::Unknown, 1)),
        );
        check(r#"{"order_item_id":0}"#, None);
        check(r#"{"id":7}"#, None);
    }
}
