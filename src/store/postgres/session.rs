//! Connections to the server, each checked before it is used: that it leads to a primary which takes
//! writes, that what it acknowledges is on disk, that no pooler stands between, and that it is the
//! database that was opened. It must not know what is read or written over it.
//!
//! A network can drop every packet and keep the sockets open. So each round trip has a time limit, a
//! connection that left one unanswered is closed, and those beside it are replaced: the same network has
//! them.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use futures_util::future::try_join;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{CopyInSink, CopyOutStream, Error, Row, SimpleQueryMessage, Statement};

use super::doubt::Doubts;
use super::fault::{self, Fault, RoundTripError};
use super::row::Value;
use super::tls::Tls;
use super::{Encryption, OpenError, PostgresConfig, pooler};
use crate::store::StoreError;

/// The oldest server that is known to do what is asked of it.
const SERVER_MIN: (i32, &str) = (140_000, "14");

/// How long one may wait for a free connection, for a new one, and for its check.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long the answer to a statement may take: longer than the server's own limit, so that a slow
/// statement ends with the server's error and the connection is kept.
pub(super) const ROUND_TRIP_MAX: Duration = Duration::from_secs(12);

/// How long a COMMIT may take to be acknowledged; then it is read back.
const COMMIT_MAX: Duration = Duration::from_secs(15);

/// Limits for whatever the server does for us, so that nothing waits for ever for a lock or a
/// client that is gone; and the schema of our tables. Whether transactions are read-only is left as the
/// operator has set it.
const SETTINGS: &str = "SET search_path TO purveyor; SET statement_timeout TO '10s'; \
    SET lock_timeout TO '5s'; SET idle_in_transaction_session_timeout TO '15s'; \
    SET tcp_keepalives_idle TO 30; SET tcp_keepalives_interval TO 10; \
    SET tcp_keepalives_count TO 3; \
    SET client_encoding TO 'UTF8'; SET default_transaction_isolation TO 'read committed'";

/// What a connection has to be. The setting that is looked at is then fixed for the session, so that
/// a reload of the server's configuration cannot change it behind our back.
const CHECK: &str = "SELECT current_setting('server_version_num')::int, \
    current_setting('server_version'), pg_is_in_recovery(), \
    current_setting('server_encoding'), current_setting('default_transaction_read_only'), \
    current_setting('fsync'), \
    set_config('synchronous_commit', current_setting('synchronous_commit'), false)";

/// Why a read-only database is not used.
const READ_ONLY: &str = "the database is read-only (default_transaction_read_only is on), and the gateway \
    does not override that; set it to off for the server, the database and the role";

/// Connections to one database.
#[derive(Clone)]
pub(super) struct Sessions {
    pool: Pool,
    /// Makes one connection at a time and keeps none.
    anew: Pool,
    server: tokio_postgres::Config,
    tls: Tls,
    doubts: Arc<Doubts>,
    renewed: Arc<Renewed>,
}

/// Connections that were made before this are not used again.
struct Renewed(Mutex<Instant>);

impl Sessions {
    /// Connections as they are configured; none is made yet.
    pub(super) fn new(config: &PostgresConfig, doubts: Arc<Doubts>) -> Result<Self, OpenError> {
        let mut server = config.server.clone();
        server
            .ssl_mode(config.encryption.into())
            .connect_timeout(CONNECT_MAX)
            .keepalives_idle(Duration::from_secs(30))
            .tcp_user_timeout(Duration::from_secs(15));
        if server.get_application_name().is_none() {
            server.application_name("purveyor");
        }
        let tls = Tls::new(config)?;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let of_size = |size| {
            let manager = Manager::from_config(server.clone(), tls.clone(), recycling.clone());
            Pool::builder(manager)
                .max_size(size)
                .wait_timeout(Some(CONNECT_MAX))
                .create_timeout(Some(CONNECT_MAX))
                .runtime(Runtime::Tokio1)
                .build()
                .map_err(|error| OpenError::Setup(error.to_string()))
        };
        let (pool, anew) = (of_size(config.connections)?, of_size(1)?);
        let renewed = Arc::new(Renewed(Mutex::new(Instant::now())));
        Ok(Self { pool, anew, server, tls, doubts, renewed })
    }

    /// A connection that is fit for use.
    pub(super) async fn get(&self) -> Result<Connection, StoreError> {
        self.get_from(&self.pool).await
    }

    async fn get_from(&self, pool: &Pool) -> Result<Connection, StoreError> {
        let connection = loop {
            let object = pool.get().await.map_err(|error| {
                StoreError::Unavailable(match error {
                    PoolError::Backend(error) => fault::server_text(&error),
                    PoolError::Timeout(_) => "no connection was to be had in time".to_owned(),
                    other => other.to_string(),
                })
            })?;
            let connection = Connection::of(object, Arc::clone(&self.renewed));
            if connection.is_new() {
                break connection;
            }
            if self.renewed.is_current(&connection) {
                return Ok(connection);
            }
        };
        let checked = timeout(CONNECT_MAX, self.check(&connection)).await;
        let silent = || format!("the server did not answer within {CONNECT_MAX:?}");
        checked.unwrap_or_else(|_| Err(silent())).map_err(StoreError::Unavailable)?;
        Ok(connection)
    }

    /// Checks a new connection, or says why it is refused.
    async fn check(&self, connection: &Connection) -> Result<(), String> {
        let failed = |error: RoundTripError| fault::text(&error);
        // First of all: behind a pooler everything else may be asked of another session.
        pooler::begin_session(connection).await?;
        connection.batch_execute(SETTINGS).await.map_err(failed)?;
        let statement = connection.prepare_cached(CHECK).await.map_err(failed)?;
        let row = connection.query_one(&statement, &[]).await.map_err(failed)?;
        fit(&row).map_err(|error| fault::server_text(&error))?.inspect_err(|_| {
            // Nor is anything written any more over those that passed before.
            self.renew();
        })?;
        let unfit = |fault: Fault| fault.into_error().to_string();
        self.doubts.see(connection).await.map_err(unfit)?
    }

    /// Does one statement, mostly a look, over a connection of its own. Where this is dropped before it
    /// ends, the connection is closed.
    pub(super) async fn read<T>(
        &self,
        read: impl AsyncFnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let connection = self.get().await?;
        let read = read(&connection).await;
        if !matches!(read, Err(Fault::Server(_))) {
            connection.give_back();
        }
        read.map_err(Fault::into_error)
    }

    /// Lets new connections take the place of all that there are: the network or the database that those
    /// were made to may not be the same any more.
    pub(super) fn renew(&self) {
        self.renewed.renew(&self.pool);
    }

    /// Checks a connection that is made now. Those of the pool may lead to a server that was left, or began
    /// with other settings.
    pub(super) async fn check_anew(&self) -> Result<(), StoreError> {
        // It is dropped, and so never used again.
        self.get_from(&self.anew).await.map(drop)
    }

    /// How to make a connection that does not belong to the pool.
    pub(super) fn server(&self) -> (&tokio_postgres::Config, &Tls) {
        (&self.server, &self.tls)
    }

    /// Closes all connections; who waits for one is told at once.
    pub(super) fn close(&self) {
        self.pool.close();
        self.anew.close();
    }
}

impl From<Encryption> for SslMode {
    fn from(encryption: Encryption) -> Self {
        match encryption {
            Encryption::Disable => Self::Disable,
            Encryption::Prefer => Self::Prefer,
            Encryption::Require | Encryption::VerifyFull => Self::Require,
        }
    }
}

/// A connection in use. Whoever drops it closes it, which ends its transaction too; only
/// [`Connection::give_back`] keeps it.
pub(super) struct Connection {
    /// `None` only while this is being dropped.
    object: Option<Object>,
    /// How long the answer to a statement may take.
    limit: Duration,
    /// Statements that were sent, and whose answers nobody has awaited to the end.
    unanswered: AtomicUsize,
    renewed: Arc<Renewed>,
}

impl Connection {
    fn of(object: Object, renewed: Arc<Renewed>) -> Self {
        let unanswered = AtomicUsize::new(0);
        Self { object: Some(object), limit: ROUND_TRIP_MAX, unanswered, renewed }
    }

    /// Whether nobody has used it before.
    fn is_new(&self) -> bool {
        self.object.as_ref().is_some_and(|it| Object::metrics(it).recycle_count == 0)
    }

    /// Lets each statement take as long from now on.
    pub(super) fn limited_to(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Returns it to the pool, unless an answer is still to come: that would be taken for another's.
    pub(super) fn give_back(mut self) {
        if self.unanswered.load(Ordering::Relaxed) == 0 {
            drop(self.object.take());
        }
    }

    /// One statement of the connection's cache.
    pub(super) async fn prepare_cached(&self, sql: &str) -> Result<Statement, RoundTripError> {
        self.round_trip(async |object| object.prepare_cached(sql).await).await
    }

    pub(super) async fn query(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, RoundTripError> {
        self.round_trip(async |object| object.query(statement, values).await).await
    }

    pub(super) async fn query_one(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Row, RoundTripError> {
        self.round_trip(async |object| object.query_one(statement, values).await).await
    }

    pub(super) async fn query_opt(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, RoundTripError> {
        self.round_trip(async |object| object.query_opt(statement, values).await).await
    }

    pub(super) async fn execute(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<u64, RoundTripError> {
        self.round_trip(async |object| object.execute(statement, values).await).await
    }

    pub(super) async fn batch_execute(&self, sql: &str) -> Result<(), RoundTripError> {
        self.round_trip(async |object| object.batch_execute(sql).await).await
    }

    /// The first column of the first row that statements without parameters answer, as a text.
    pub(super) async fn text(&self, sql: &str) -> Result<Option<String>, RoundTripError> {
        let messages = self.round_trip(async |object| object.simple_query(sql).await).await?;
        Ok(messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }

    /// Begins to read rows in the text format of COPY.
    pub(super) async fn copy_out(&self, sql: &str) -> Result<CopyOutStream, RoundTripError> {
        self.round_trip(async |object| object.copy_out(sql).await).await
    }

    /// Begins to write rows in the text format of COPY.
    pub(super) async fn copy_in(&self, sql: &str) -> Result<CopyInSink<Bytes>, RoundTripError> {
        self.round_trip(async |object| object.copy_in(sql).await).await
    }

    /// A part of what was begun over this connection, within the limit of a statement.
    pub(super) async fn part<T>(
        &self,
        part: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, RoundTripError> {
        self.round_trip(async |_| part.await).await
    }

    /// Ends the transaction and keeps it. The server's time limit is lifted before: where a COMMIT waits
    /// for standbys, it would end the wait and acknowledge what only the primary has.
    pub(super) async fn commit(&self) -> Result<(), RoundTripError> {
        let committed = async |object: &Object| {
            let lift = object.batch_execute("SET LOCAL statement_timeout TO 0");
            // Both are sent at once, in this order.
            try_join(lift, object.batch_execute("COMMIT")).await.map(drop)
        };
        self.within(COMMIT_MAX.max(self.limit), committed).await
    }

    async fn round_trip<T>(
        &self,
        ask: impl AsyncFnOnce(&Object) -> Result<T, Error>,
    ) -> Result<T, RoundTripError> {
        self.within(self.limit, ask).await
    }

    async fn within<T>(
        &self,
        limit: Duration,
        ask: impl AsyncFnOnce(&Object) -> Result<T, Error>,
    ) -> Result<T, RoundTripError> {
        let Some(object) = &self.object else { return Err(RoundTripError::Timeout(limit)) };
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        let Ok(answer) = timeout(limit, ask(object)).await else {
            if let Some(pool) = Object::pool(object) {
                self.renewed.renew(&pool);
            }
            return Err(RoundTripError::Timeout(limit));
        };
        self.unanswered.fetch_sub(1, Ordering::Relaxed);
        Ok(answer?)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}

impl Renewed {
    /// Those that somebody uses are closed when they are asked for again.
    fn renew(&self, pool: &Pool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        pool.retain(|_, _| false);
    }

    fn is_current(&self, connection: &Connection) -> bool {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connection.object.as_ref().is_some_and(|it| Object::metrics(it).created >= since)
    }
}

/// What the answer of a statement that belongs to no [`Connection`] may take.
///
/// # Errors
///
/// The statement's, and where nobody answers within [`ROUND_TRIP_MAX`].
pub(super) async fn bounded<T>(
    ask: impl Future<Output = Result<T, Error>>,
) -> Result<T, RoundTripError> {
    let answer = timeout(ROUND_TRIP_MAX, ask).await;
    Ok(answer.map_err(|_| RoundTripError::Timeout(ROUND_TRIP_MAX))??)
}

/// What makes a connection unfit.
fn fit(row: &Row) -> Result<Result<(), String>, Error> {
    let (number, version): (i32, &str) = (row.try_get(0)?, row.try_get(1)?);
    if number < SERVER_MIN.0 {
        let least = SERVER_MIN.1;
        return Ok(Err(format!("the server is PostgreSQL {version}; at least {least} is needed")));
    }
    if row.try_get(2)? {
        return Ok(Err(
            "the server is a standby, and only a primary is written to; name the primary in \
             store.url, or promote this one"
                .to_owned(),
        ));
    }
    let encoding: &str = row.try_get(3)?;
    if encoding != "UTF8" {
        return Ok(Err(format!(
            "the database's encoding is {encoding}; make one with ENCODING UTF8"
        )));
    }
    if row.try_get::<_, &str>(4)? == "on" {
        return Ok(Err(READ_ONLY.to_owned()));
    }
    for (column, setting) in [(5, "fsync"), (6, "synchronous_commit")] {
        if row.try_get::<_, &str>(column)? == "off" {
            return Ok(Err(format!(
                "{setting} is off for this connection, and what is acknowledged could be lost; set it \
                 to on for the server, the database and the role"
            )));
        }
    }
    Ok(Ok(()))
}
