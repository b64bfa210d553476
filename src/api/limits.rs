//! Every limit of the gRPC surface, by name, with its reason. Data alone; who enforces one names it.

use std::time::Duration;

/// The largest request, after decompression. The largest honest one is an order of 100 items with
/// options, which stays far below.
pub const DECODING_MAX_BYTES: usize = 256 * 1024;

/// The largest answer: a page of 200 rows of 20 KiB.
pub const ENCODING_MAX_BYTES: usize = 4 * 1024 * 1024;

/// A page ends before the row with which it would have more bytes. What is no row has room beside it.
pub const PAGE_MAX_BYTES: usize = 2 * 1024 * 1024;

/// An operation with more bytes is shown without the upstream's answers to its older attempts.
pub const OPERATION_MAX_BYTES: usize = 1024 * 1024;

/// Message and details of an error together, as they travel. Some clients refuse trailers over
/// 8 KiB.
pub const ERROR_MAX_BYTES: usize = 4 * 1024;

/// How many violations of a request are told; how many more there are is told as a number.
pub const VIOLATIONS_MAX: usize = 20;

/// So long before the caller's deadline the answer leaves, so that it arrives before the caller
/// gives up.
pub const DEADLINE_MARGIN: Duration = Duration::from_millis(50);

/// So long before the caller's deadline a wait for an operation ends, so that its state is still
/// answered.
pub const WAIT_MARGIN: Duration = Duration::from_millis(100);

/// How long a write waits for its operation when the caller does not say.
pub const WAIT_DEFAULT: Duration = Duration::from_secs(5);

/// How long WaitOperation waits when neither the request nor the deadline says.
pub const WAIT_OPERATION_DEFAULT: Duration = Duration::from_secs(60);

/// The longest wait that a caller may ask for; a longer one has WatchOperations.
pub const WAIT_MAX: Duration = Duration::from_secs(3600);

/// How long a request may take to arrive once its headers are here; a stuck sender holds a place.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// When a caller who was refused for want of a place may try again.
pub const OVERLOADED_RETRY: Duration = Duration::from_millis(500);

/// How many changes a watcher may lie behind before its stream is ended; it goes on with its token.
pub const WATCH_BEHIND_MAX: u64 = 1_000;

/// Messages that wait for one watcher's connection.
pub const WATCH_QUEUE: usize = 16;

/// Changes that are read from the store at a time.
pub const WATCH_PAGE: usize = 100;

/// How often a watcher hears from a stream on which nothing happens.
pub const WATCH_HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a resume token is good for; the store keeps changes as long.
pub const RESUME_VALIDITY: Duration = Duration::from_secs(7 * 24 * 3600);

/// What an operator of the gateway may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Connections at a time from one address.
    pub connections_per_address: usize,
    /// Calls that work at a time, of all connections. A call that only waits for its operation does
    /// not work.
    pub working_calls: usize,
    /// Calls that work at a time, of one connection.
    pub working_calls_per_connection: usize,
    /// HTTP/2 streams at a time, of one connection, those that wait among them.
    pub streams_per_connection: u32,
    /// How long a new connection may take to say that it speaks HTTP/2.
    pub handshake: Duration,
    /// A connection on which nothing comes for so long is asked whether it lives.
    pub keep_alive_interval: Duration,
    /// How long it may take to answer that.
    pub keep_alive_timeout: Duration,
    /// After so long a connection is asked to go, so that load spreads again. Calls in flight end in
    /// peace.
    pub connection_age: Duration,
    /// The size of a call's headers.
    pub header_list_bytes: u32,
    /// Streams that were reset before they were accepted; beyond, the connection is closed (rapid
    /// reset).
    pub pending_accept_resets: usize,
    /// Streams that this server reset because of the peer's errors; beyond, the connection is
    /// closed.
    pub local_error_resets: usize,
    /// How long health says NOT_SERVING before connections are asked to go.
    pub settle: Duration,
    /// How long calls in flight may take once the server stops. None of them is a spend.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 256,
            working_calls: 1024,
            working_calls_per_connection: 100,
            streams_per_connection: 256,
            handshake: Duration::from_secs(5),
            keep_alive_interval: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(10),
            connection_age: Duration::from_secs(30 * 60),
            header_list_bytes: 16 * 1024,
            pending_accept_resets: 20,
            local_error_resets: 1024,
            settle: Duration::from_secs(1),
            drain: Duration::from_secs(20),
        }
    }
}
