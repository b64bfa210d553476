//! Databases for tests: one server for all tests of this process, started when the first asks, and
//! a new database for each that asks. It must not know a scenario.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use purveyor::store::postgres::{Encryption, PostgresConfig};
use tempfile::TempDir;
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
    copy(server, "template1").await
}

/// The name of a new copy of a database that nobody is connected to.
pub(crate) async fn copy(server: &Server, template: &str) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", MADE.fetch_add(1, Ordering::Relaxed));
    run(server, "postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
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
    PostgresConfig {
        server,
        encryption: Encryption::Disable,
        ca_file: None,
        connections: 8,
        witness_file: None,
    }
}

/// One gateway's own way to a server, which can be cut off and led to another.
pub(crate) struct Way {
    folder: TempDir,
    /// What the gateway's connections are called.
    name: &'static str,
}

impl Way {
    pub(crate) fn to(server: &Server, name: &'static str) -> Self {
        let way = Self { folder: tempfile::tempdir().expect("a folder for the way"), name };
        way.lead_to(server);
        way
    }

    /// The address of a database at its end.
    pub(crate) fn url(&self, server: &Server, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        let (port, name) = (server.port(), self.name);
        format!("postgres://purveyor@{folder}:{port}/{database}?application_name={name}")
    }

    /// Ends its connections to a server, and lets no new one through.
    pub(crate) async fn cut(&self, server: &Server) {
        fs::remove_file(self.socket(server)).expect("it leads there");
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name =";
        run(server, "postgres", &format!("{sql} '{}'", self.name)).await;
    }

    /// Leads new connections there; those that there are stay.
    pub(crate) fn lead_to(&self, server: &Server) {
        self.lead_to_socket(&server.socket());
    }

    /// As [`Way::lead_to`], to whoever listens at a socket with the server's name.
    pub(crate) fn lead_to_socket(&self, socket: &Path) {
        let own = self.folder.path().join(socket.file_name().expect("a name"));
        fs::remove_file(&own).ok();
        symlink(socket, &own).expect("a link");
    }

    fn socket(&self, server: &Server) -> PathBuf {
        self.folder.path().join(server.socket().file_name().expect("a name"))
    }
}
