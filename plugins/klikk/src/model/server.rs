//! Servers, as server_list tells of them. The document shows no answer: all of this is assumed, but for
//! the order item that a server came of, by which the document asks for servers.

use purveyor_sdk::Result;
use purveyor_sdk::prost_types::{Struct, Timestamp};
use purveyor_sdk::time::Zone;

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
    pub(crate) addresses: Vec<String>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) period_end: Option<Timestamp>,
    pub(crate) auto_renew: Option<bool>,
    pub(crate) message: String,
    pub(crate) attributes: Struct,
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

impl Server {
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE where it does not name its order item.
    pub(crate) fn read(mut members: Members, zone: &Zone) -> Result<Self> {
        Ok(Self {
            item: members.take_id("order_item_id")?,
            order: members.take_text("order_id"),
            product: members.take_text("name"),
            reference: members.take_text("reference"),
            state: members.take_text("state"),
            addresses: members.take_texts("ip"),
            created: members.take_moment("created", zone),
            period_end: members.take_moment("period_end", zone),
            auto_renew: members.take_bool("auto_renew"),
            message: members.take_text("message").unwrap_or_default(),
            attributes: members.rest(),
        })
    }

    /// A server that is listed and says nothing else runs.
    pub(crate) fn life(&self) -> Life {
        match self.state.as_deref() {
            None | Some("running" | "active") => Life::Running,
            Some("installing" | "pending") => Life::Installing,
            Some("ended" | "cancelled") => Life::Ended,
            Some(_) => Life::Unknown,
        }
    }

    /// Whether its order item is delivered with it.
    pub(crate) fn is_there(&self) -> bool {
        matches!(self.life(), Life::Running | Life::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::time::Zone;

    use super::{Life, Members, Server};

    #[test]
    fn servers_in_many_shapes() {
        fn check(json: &str, expected: Option<(u64, Life, usize)>) {
            let members = Members::read(json.as_bytes()).unwrap();
            let server = Server::read(members, &Zone::UTC).ok();
            let told =
                server.map(|server| (server.item, server.life(), server.attributes.fields.len()));
            assert_eq!(told, expected, "{json}");
        }
        check(r#"{"order_item_id":7}"#, Some((7, Life::Running, 0)));
        check(r#"{"order_item_id":"7","state":"installing"}"#, Some((7, Life::Installing, 0)));
        check(r#"{"order_item_id":7,"state":"ended","cpu":2}"#, Some((7, Life::Ended, 1)));
        check(r#"{"order_item_id":7,"state":"dreaming"}"#, Some((7, Life::Unknown, 0)));
        check(
            r#"{"order_item_id":7,"state":{"a":1},"ip":"192.0.2.1"}"#,
            Some((7, Life::Running, 1)),
        );
        check(r#"{"order_item_id":0}"#, None);
        check(r#"{"id":7}"#, None);
    }
}
