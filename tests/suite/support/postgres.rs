//! Databases for tests: one server for all tests of this process, started when the first asks, and
//! a new database for each that asks. It must not know a scenario.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use purveyor::store::postgres::{Encryption, PostgresConfig};
use tokio_postgres::{Client, NoTls};
use xtask::postgres::Server;

/// The server of this process; it ends with the process.
pub(crate) fn server() -> &'static Server {
    static SERVER: LazyLock<Server> =
        LazyLock::new(|| Server::start().expect("the tests' own PostgreSQL starts"));
    &SERVER
}

/// The name of a new, empty database.
pub(crate) async fn database(server: &Server) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", MADE.fetch_add(1, Ordering::Relaxed));
    run(server, "postgres", &format!("CREATE DATABASE {name}")).await;
    name
}

/// A connection of the server's owner.
pub(crate) async fn connect(server: &Server, database: &str) -> Client {
    let (client, connection) =
        tokio_postgres::connect(&server.url(database), NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// Runs statements as the server's owner.
pub(crate) async fn run(server: &Server, database: &str, sql: &str) {
    let ran = connect(server, database).await.batch_execute(sql).await;
    ran.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// The configuration of a store at an address.
pub(crate) fn config(url: &str) -> PostgresConfig {
    let server = url.parse().expect("the address is one");
    PostgresConfig { server, encryption: Encryption::Disable, ca_file: None, connections: 8 }
}
