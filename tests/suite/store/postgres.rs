//! The PostgreSQL store: the conformance suite on real databases, what it refuses to open, and that
//! a lost acknowledgement is read back, never assumed.

use std::sync::Arc;

use async_trait::async_trait;
use purveyor::store::Store;
use purveyor::store::postgres::{OpenError, PostgresStore};

use super::conformance::{Home, suite};
use crate::support::postgres::{config, database, run, server};

/// A database of its own, made when it is opened first.
#[derive(Default)]
struct Database(tokio::sync::OnceCell<String>);

impl Database {
    async fn name(&self) -> &str {
        self.0.get_or_init(|| database(server())).await
    }

    async fn url(&self) -> String {
        server().url(self.name().await)
    }

    async fn run(&self, sql: &str) {
        run(server(), self.name().await, sql).await;
    }

    async fn opened(&self) -> PostgresStore {
        PostgresStore::open(&config(&self.url().await)).await.unwrap()
    }

    async fn refused(&self) -> OpenError {
        match PostgresStore::open(&config(&self.url().await)).await {
            Ok(_) => panic!("the database was opened"),
            Err(error) => error,
        }
    }
}

#[async_trait]
impl Home for Database {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.opened().await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    suite(Database::default).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_as_it_is() {
    let database = Database::default();
    let store = database.opened().await;
    assert_eq!(store.identity().schema_version, 1);
    drop(store);
    database.run("UPDATE purveyor.meta SET schema_version = 7").await;
    let error = database.refused().await;
    assert!(matches!(error, OpenError::NewerSchema { found: 7, known: 1 }), "{error}");
}

#[tokio::test]
async fn a_schema_of_another_program_is_refused() {
    for theirs in ["CREATE TABLE purveyor.orders ()", "CREATE TABLE purveyor.meta (version int)"] {
        let database = Database::default();
        database.run(&format!("CREATE SCHEMA purveyor; {theirs}")).await;
        let error = database.refused().await;
        assert!(matches!(error, OpenError::Foreign), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_could_forget_is_refused() {
    for level in ["ROLE purveyor IN DATABASE", "DATABASE"] {
        let database = Database::default();
        let name = database.name().await;
        database.run(&format!("ALTER {level} {name} SET synchronous_commit = off")).await;
        let error = database.refused().await.to_string();
        assert!(error.contains("synchronous_commit is off"), "{error}");
        // Anything but off is the operator's choice.
        database.run(&format!("ALTER {level} {name} SET synchronous_commit = local")).await;
        database.opened().await;
    }
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused() {
    let database = Database::default();
    let name = format!("{}_latin", database.name().await);
    let sql = format!("CREATE DATABASE {name} ENCODING LATIN1 TEMPLATE template0");
    run(server(), "postgres", &sql).await;
    let Err(error) = PostgresStore::open(&config(&server().url(&name))).await else {
        panic!("it was opened")
    };
    assert!(error.to_string().contains("encoding is LATIN1"), "{error}");
}

#[tokio::test]
async fn a_role_without_rights_is_refused() {
    let database = Database::default();
    let name = database.name().await;
    database.run(&format!("CREATE ROLE {name}_guest LOGIN")).await;
    let mut config = config(&database.url().await);
    config.server.user(format!("{name}_guest"));
    let Err(error) = PostgresStore::open(&config).await else { panic!("it was opened") };
    assert!(matches!(error, OpenError::Unfit(_)), "{error}");
}
