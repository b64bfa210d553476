//! Where callers reach the gateway, and its limits. Which limits there are, and why, the API says.

use std::net::SocketAddr;
use std::time::Duration;

use super::Context;
use super::document::Section;
use crate::api::limits::Limits;

/// Where the gateway listens, and what it lets happen there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether reflection is served.
    pub reflection: bool,
    /// What one caller and all of them may use.
    pub limits: Limits,
    /// How long a stop may wait for open attempts; `None`: as long as the slowest provider needs.
    pub drain: Option<Duration>,
}

/// The key of [`Server::drain`].
pub(super) const DRAIN: &str = "server.limits.drain_ms";

pub(super) fn read(mut section: Section<'_>, context: &mut Context<'_>) -> Option<Server> {
    let listen = listen(&mut section);
    let reflection = section.or("reflection", true);
    let (limits, drain) = limits(section.section("limits"), context);
    section.end();
    Some(Server { listen: listen?, reflection, limits, drain })
}

fn listen(section: &mut Section<'_>) -> Option<SocketAddr> {
    let text = section.required::<String>("listen")?;
    let Ok(address) = text.value.parse::<SocketAddr>() else {
        text.place.refuse_with(
            format!("{:?} is not an address with a port", text.value),
            "write an IP address and a port, as in \"127.0.0.1:50051\" or \"[::1]:50051\"",
        );
        return None;
    };
    if !address.ip().is_loopback() {
        text.place.refuse_with(
            format!("{} is not a loopback address", address.ip()),
            "there is no authentication in this version, so everybody who reaches the gateway can \
             spend; listen on 127.0.0.1 or [::1]",
        );
        return None;
    }
    Some(address)
}

/// The bounds keep a slip of the pen (a time of zero, a cap of one byte) from being a gateway that
/// starts and serves nobody.
fn limits(mut section: Section<'_>, context: &mut Context<'_>) -> (Limits, Option<Duration>) {
    let default = Limits::default();
    let s = &mut section;
    context.lines.note(s.place_of("drain_ms"));
    let drain = s.within("drain_ms", 0..=86_400_000);
    let drain = drain.map(|milliseconds| Duration::from_millis(milliseconds.into()));
    let limits = Limits {
        connections: s.size("connections", default.connections, 1..=100_000),
        connections_per_address: s.size(
            "connections_per_address",
            default.connections_per_address,
            1..=100_000,
        ),
        working_calls: s.size("working_calls", default.working_calls, 1..=100_000),
        working_calls_per_connection: s.size(
            "working_calls_per_connection",
            default.working_calls_per_connection,
            1..=10_000,
        ),
        streams_per_connection: s
            .within("streams_per_connection", 1..=10_000)
            .unwrap_or(default.streams_per_connection),
        handshake: s.milliseconds("handshake_ms", default.handshake, 100..=60_000),
        keep_alive_interval: s.seconds(
            "keep_alive_interval_s",
            default.keep_alive_interval,
            1..=3600,
        ),
        keep_alive_timeout: s.seconds("keep_alive_timeout_s", default.keep_alive_timeout, 1..=600),
        connection_age: s.seconds("connection_age_s", default.connection_age, 1..=86_400),
        header_list_bytes: s
            .within("header_list_bytes", 4096..=1_048_576)
            .unwrap_or(default.header_list_bytes),
        pending_accept_resets: s.size(
            "pending_accept_resets",
            default.pending_accept_resets,
            1..=10_000,
        ),
        local_error_resets: s.size("local_error_resets", default.local_error_resets, 1..=100_000),
        settle: s.milliseconds("settle_ms", default.settle, 0..=60_000),
        drain: drain.map_or(default.drain, |drain| drain.min(default.drain)),
    };
    section.end();
    (limits, drain)
}
