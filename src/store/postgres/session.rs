//! Connections to the server, each looked at before it is used: that it leads to a primary, that
//! what it acknowledges is on disk, and that it is the database that was opened. It must not know
//! what is read or written over it.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError,
    RecyclingMethod, Runtime,
};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Row};

use super::doubt::Doubts;
use super::fault::{self, Fault};
use super::tls::Tls;
use super::{Encryption, OpenError, PostgresConfig};
use crate::store::StoreError;

/// What everything is read and written over.
pub(super) type Connection = ClientWrapper;

/// The oldest server that is known to do what is asked of it.
const SERVER_MIN: (i32, &str) = (140_000, "14");

/// How long one may wait for a free connection, and for a new one.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Bounds for whatever the server does for us, so that nothing waits for ever for a lock or a
/// client that is gone; and the place where our tables are.
const SETTINGS: &str = "SET search_path TO purveyor; SET statement_timeout TO '10s'; \
    SET lock_timeout TO '5s'; SET idle_in_transaction_session_timeout TO '15s'; \
    SET client_encoding TO 'UTF8'; SET default_transaction_isolation TO 'read committed'; \
    SET default_transaction_read_only TO off";

/// What a connection has to be. The setting that is looked at is then fixed for the session, so that
/// a reload of the server's configuration cannot change it behind our back.
const LOOK: &str = "SELECT current_setting('server_version_num')::int, \
    current_setting('server_version'), pg_is_in_recovery(), \
    current_setting('server_encoding'), current_setting('fsync'), \
    set_config('synchronous_commit', current_setting('synchronous_commit'), false)";

/// Connections to one database.
#[derive(Clone)]
pub(super) struct Sessions {
    pool: Pool,
    server: tokio_postgres::Config,
    tls: Tls,
}

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
        let manager = Manager::from_config(server.clone(), tls.clone(), recycling);
        let pool = Pool::builder(manager)
            .max_size(config.connections)
            .wait_timeout(Some(CONNECT_MAX))
            .create_timeout(Some(CONNECT_MAX))
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(move |connection: &mut ClientWrapper, _| {
                let doubts = Arc::clone(&doubts);
                Box::pin(async move { look(connection, &doubts).await.map_err(HookError::message) })
            }))
            .build()
            .map_err(|error| OpenError::Setup(error.to_string()))?;
        Ok(Self { pool, server, tls })
    }

    /// A connection that is fit for use.
    pub(super) async fn get(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(|error| {
            let what = match error {
                PoolError::Backend(error) => fault::text(&error),
                PoolError::PostCreateHook(HookError::Message(why)) => why.into_owned(),
                PoolError::Timeout(_) => "no connection was to be had in time".to_owned(),
                other => other.to_string(),
            };
            StoreError::Unavailable(what)
        })
    }

    /// Does one statement, mostly a look, over a connection of its own.
    pub(super) async fn read<T>(
        &self,
        read: impl AsyncFnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let connection = self.get().await?;
        read(&connection).await.map_err(|fault| {
            if matches!(fault, Fault::Server(_)) {
                discard(connection);
            }
            fault.into_error()
        })
    }

    /// Looks at where a connection leads that is made now. Those of the pool may lead to a server that was
    /// left: a name that was pointed elsewhere moves none of them.
    pub(super) async fn look_anew(&self, doubts: &Doubts) -> Result<(), StoreError> {
        let unavailable = |what| StoreError::Unavailable(what);
        let looking = async {
            let (client, connection) = self.server.connect(self.tls.clone()).await?;
            let driven = tokio::spawn(connection);
            let looked = look(&client, doubts).await;
            driven.abort();
            Ok::<_, tokio_postgres::Error>(looked)
        };
        match timeout(CONNECT_MAX, looking).await {
            Ok(Ok(looked)) => looked.map_err(unavailable),
            Ok(Err(error)) => Err(unavailable(fault::text(&error))),
            Err(_) => Err(unavailable(format!("no answer within {CONNECT_MAX:?}"))),
        }
    }

    /// Closes the connections that nobody uses just now.
    pub(super) fn close_idle(&self) {
        self.pool.retain(|_, _| false);
    }

    /// How to make a connection that does not belong to the pool.
    pub(super) fn server(&self) -> (&tokio_postgres::Config, &Tls) {
        (&self.server, &self.tls)
    }

    /// Closes all connections; who waits for one is told at once.
    pub(super) fn close(&self) {
        self.pool.close();
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

/// Closes a connection that must not be used again.
pub(super) fn discard(connection: Object) {
    drop(Object::take(connection));
}

/// Looks at a new connection, or says why it is refused.
async fn look(connection: &Client, doubts: &Doubts) -> Result<(), String> {
    let failed = |error: tokio_postgres::Error| fault::text(&error);
    connection.batch_execute(SETTINGS).await.map_err(failed)?;
    let row = connection.query_one(LOOK, &[]).await.map_err(failed)?;
    fit(&row).map_err(failed)??;
    doubts.see(connection).await.map_err(failed)?
}

/// What makes a connection unfit.
fn fit(row: &Row) -> Result<Result<(), String>, tokio_postgres::Error> {
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
    for (column, setting) in [(4, "fsync"), (5, "synchronous_commit")] {
        if row.try_get::<_, &str>(column)? == "off" {
            return Ok(Err(format!(
                "{setting} is off for this connection, and what is acknowledged could be lost; set it \
                 to on for the server, the database and the role"
            )));
        }
    }
    Ok(Ok(()))
}
