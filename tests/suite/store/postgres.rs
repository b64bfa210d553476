//! The PostgreSQL store: the conformance suite on real databases, what it refuses to open, and that
//! a lost acknowledgement is read back, never assumed.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use purveyor::store::operation::Operation;
use purveyor::store::postgres::Encryption::{Prefer, Require, VerifyFull};
use purveyor::store::postgres::{Encryption, OpenError, PostgresConfig, PostgresStore};
use purveyor::store::{Accepted, Store, StoreError};
use xtask::network::{Cut, Network};
use xtask::postgres::pooler::Pooler;
use xtask::postgres::{ROLE, Server};

use super::conformance::{Home, suite};
use super::samples::{id, new, operation};
use crate::support::postgres::{Way, config, connect, database, run, server};
use crate::support::until;

mod frozen;
mod racing;

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

    async fn connected(&self) -> tokio_postgres::Client {
        connect(server(), self.name().await).await
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

    async fn settled(&self) {
        let client = connect(server(), "postgres").await;
        let now = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text";
        let now: String = client.query_one(now, &[]).await.unwrap().get(0);
        let ended = "SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::text::xid8";
        let ended = async || client.query_one(ended, &[&now]).await.unwrap().get(0);
        until("older transactions end", ended).await;
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
    let version = store.identity().schema_version;
    drop(store);
    database.run("UPDATE purveyor.meta SET schema_version = 99").await;
    let error = database.refused().await;
    assert!(
        matches!(error, OpenError::NewerSchema { found: 99, known } if known == version),
        "{error}"
    );
}

#[tokio::test]
async fn migration_takes_as_long_as_it_needs() {
    let database = Database::default();
    let refuse_limits = "CREATE FUNCTION limited() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF current_setting('statement_timeout') <> '0' \
         THEN RAISE EXCEPTION 'the migration may be broken off'; END IF; END $$; \
         CREATE EVENT TRIGGER limited ON ddl_command_start EXECUTE FUNCTION limited()";
    database.run(refuse_limits).await;
    let opened = PostgresStore::open(&config(&database.url().await)).await;
    assert!(opened.is_ok(), "{:?}", opened.err());
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
async fn read_only_database_is_refused_and_not_written() {
    for level in ["ROLE purveyor IN DATABASE", "DATABASE"] {
        let database = Database::default();
        let name = database.name().await;
        database.run(&format!("ALTER {level} {name} SET default_transaction_read_only = on")).await;
        let error = database.refused().await.to_string();
        assert!(error.contains("default_transaction_read_only is on"), "{error}");
        let made = "SELECT count(*) FROM pg_namespace WHERE nspname = 'purveyor'";
        let made: i64 = database.connected().await.query_one(made, &[]).await.unwrap().get(0);
        assert_eq!(made, 0, "{level}");
    }
}

#[tokio::test]
async fn database_set_read_only_while_open_is_unhealthy_and_not_written() {
    for level in ["ROLE purveyor IN DATABASE", "DATABASE"] {
        let database = Database::default();
        let name = database.name().await.to_owned();
        let store = database.opened().await;
        assert_eq!(store.accept(new(operation(1))).await.unwrap(), Accepted::Stored);
        let set = async |to: &str| {
            let sql = format!("ALTER {level} {name} SET default_transaction_read_only = {to}");
            run(server(), "postgres", &sql).await;
        };
        set("on").await;
        let refused = async || match store.accept(new(operation(2))).await {
            Err(StoreError::Unavailable(why)) => {
                why.contains("default_transaction_read_only is on")
            }
            _ => false,
        };
        until("the database is refused", refused).await;
        assert!(!store.healthy(), "{level}");
        let last = "SELECT age FROM purveyor.meta";
        let age = async || -> i64 {
            database.connected().await.query_one(last, &[]).await.unwrap().get(0)
        };
        let before = age().await;
        store.heartbeat().await.expect_err("no heartbeat is written");
        assert_eq!(age().await, before, "{level}");
        set("off").await;
        until("it is used again", async || store.healthy()).await;
        store.accept(new(operation(3))).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pooler_that_shares_sessions_is_refused() {
    let check = async |settings: &[&str], refused: bool| {
        let pooler = Pooler::start(server(), settings).unwrap();
        let database = Database::default();
        let opened = PostgresStore::open(&config(&pooler.url(database.name().await))).await;
        let error = opened.as_ref().err().map(ToString::to_string).unwrap_or_default();
        assert_eq!(error.contains("pool_mode = transaction"), refused, "{settings:?}: {error}");
        assert_eq!(opened.is_ok(), !refused, "{settings:?}: {error}");
    };
    // It hands out the session that was used last, the one that was used first, or the only one.
    check(&["pool_mode = transaction"], true).await;
    check(&["pool_mode = transaction", "server_round_robin = 1"], true).await;
    check(&["pool_mode = transaction", "default_pool_size = 1"], true).await;
    check(&["pool_mode = statement"], true).await;
    check(&["pool_mode = session"], false).await;
}

/// A server's sessions stay as they are while a pooler is put before it.
#[tokio::test(flavor = "multi_thread")]
async fn pooler_put_before_an_open_store_is_refused_at_the_next_connections() {
    let database = Database::default();
    let pooler = Pooler::start(server(), &["pool_mode = transaction"]).unwrap();
    let way = Way::to(server(), "pooled");
    let config = config(&way.url(server(), database.name().await));
    let store = PostgresStore::open(&config).await.unwrap();
    way.cut(server()).await;
    way.lead_to_socket(&pooler.socket());
    let refused = async || match store.get(id(1)).await {
        Err(StoreError::Unavailable(why)) => why.contains("pool_mode = transaction"),
        _ => false,
    };
    until("the pooler is noticed", refused).await;
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
async fn a_role_needs_no_more_than_to_make_a_schema() {
    let database = Database::default();
    let name = database.name().await;
    database.run(&format!("CREATE ROLE {name}_guest LOGIN")).await;
    let mut config = config(&database.url().await);
    config.server.user(format!("{name}_guest"));
    let Err(error) = PostgresStore::open(&config).await else { panic!("it was opened") };
    assert!(matches!(error, OpenError::Unfit(_)), "{error}");
    database.run(&format!("GRANT CREATE ON DATABASE {name} TO {name}_guest")).await;
    let store = PostgresStore::open(&config).await.unwrap();
    assert_eq!(store.accept(new(operation(1))).await.unwrap(), Accepted::Stored);
}

#[tokio::test]
async fn a_server_that_fails_makes_the_store_sick_until_it_commits_again() {
    let check = async |code: &str, at_commit: bool| {
        let database = Database::default();
        let store = database.opened().await;
        let kind = if at_commit { "CONSTRAINT TRIGGER" } else { "TRIGGER" };
        let deferred = if at_commit { "DEFERRABLE INITIALLY DEFERRED" } else { "" };
        let fails = format!(
            "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'as it is said' USING ERRCODE = '{code}'; END $$; \
             CREATE {kind} fails AFTER INSERT ON purveyor.operations {deferred} \
             FOR EACH ROW EXECUTE FUNCTION fails()"
        );
        database.run(&fails).await;
        // The beat of the store, which is a commit too, is kept from ending it before it is seen.
        database.run("ALTER TABLE purveyor.replicas RENAME TO absent").await;
        let error = store.accept(new(operation(1))).await.expect_err("it cannot be stored");
        let corrupt = code.starts_with("XX");
        assert_eq!(
            matches!(error, StoreError::Corrupt(_)),
            corrupt && !at_commit,
            "{code}: {error}"
        );
        assert_eq!(matches!(error, StoreError::Unavailable(_)), !corrupt || at_commit, "{error}");
        assert!(error.to_string().contains(code), "{error}");
        assert!(!store.healthy(), "{code}");
        assert_eq!(store.get(id(1)).await.unwrap(), None);
        database.run("ALTER TABLE purveyor.absent RENAME TO replicas").await;
        database.run("DROP FUNCTION fails CASCADE").await;
        assert_eq!(store.accept(new(operation(1))).await.unwrap(), Accepted::Stored);
        assert!(store.healthy(), "{code}");
    };
    for at_commit in [false, true] {
        // A full disk, an I/O error, no memory, a transaction that may not write, a damaged page.
        for code in ["53100", "58030", "53200", "25006", "XX001"] {
            check(code, at_commit).await;
        }
    }
}

#[tokio::test]
async fn a_lost_acknowledgement_is_read_back() {
    let check = async |cut: Cut, expected: Result<Accepted, ()>| {
        let database = Database::default();
        let network = network().await;
        let store = PostgresStore::open(&through(&network, &database).await).await.unwrap();
        network.arm(cut);
        let accepted = store.accept(new(marked(1))).await;
        assert!(network.struck() == 1, "{cut:?}: no commit was cut off");
        // Neither is in doubt: what was asked again is known.
        let known = accepted.map_err(|error| {
            assert!(matches!(error, StoreError::Unavailable(_)), "{cut:?}: {error}");
        });
        assert_eq!(known, expected, "{cut:?}");
        let stored = store.get(id(1)).await.unwrap();
        assert_eq!(stored.is_some(), expected.is_ok(), "{cut:?}");
        let again = store.accept(new(marked(1))).await.unwrap();
        assert_eq!(matches!(again, Accepted::Exists(_)), expected.is_ok(), "{cut:?}");
    };
    check(Cut::Answer, Ok(Accepted::Stored)).await;
    check(Cut::Commit, Err(())).await;
}

#[tokio::test]
async fn what_cannot_be_read_back_is_ambiguous() {
    let database = Database::default();
    let network = network().await;
    let store = PostgresStore::open(&through(&network, &database).await).await.unwrap();
    network.arm(Cut::AnswerForGood);
    let accepted = store.accept(new(marked(1))).await;
    assert!(matches!(accepted, Err(StoreError::Ambiguous(_))), "{accepted:?}");
    assert!(!store.healthy());
    // It was committed all the same.
    drop(store);
    assert!(database.opened().await.get(id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn only_a_server_with_a_trusted_certificate_is_believed() {
    let (authority, certificate, key) = certificate();
    let (certificate_of_others, ..) = self::certificate();
    let server = Server::start_with_tls(&certificate, &key, "secret").unwrap();
    let name = database(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path
    };
    let ours = write("ours.pem", &authority);
    let theirs = write("theirs.pem", &certificate_of_others);
    let check = async |host: &str, encryption, ca_file: Option<&PathBuf>, password, expected| {
        let mut config = config(&format!("postgres://purveyor@{host}:{}/{name}", server.port()));
        config.server.password(password);
        config.encryption = encryption;
        config.ca_file = ca_file.cloned();
        let said = PostgresStore::open(&config).await.map_err(|error| error.to_string());
        match expected {
            None => assert!(said.is_ok(), "{host} {encryption:?}: {:?}", said.err()),
            Some(why) => {
                let error = said.err().unwrap_or_default();
                assert!(error.contains(why), "{host} {encryption:?}: {error:?}");
                assert!(!error.contains("secret"), "{error}");
            }
        }
    };
    check("localhost", VerifyFull, Some(&ours), "secret", None).await;
    check("localhost", VerifyFull, Some(&theirs), "secret", Some("invalid peer certificate")).await;
    check("localhost", Require, Some(&theirs), "secret", Some("invalid peer certificate")).await;
    // The name counts, not only who signed.
    check("127.0.0.1", VerifyFull, Some(&ours), "secret", Some("not valid for name")).await;
    check("127.0.0.1", Require, None, "secret", None).await;
    check("127.0.0.1", Prefer, None, "secret", None).await;
    check("localhost", VerifyFull, Some(&ours), "guess", Some("28P01")).await;
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_required() {
    let database = Database::default();
    let network = network().await;
    let mut config = through(&network, &database).await;
    config.encryption = Encryption::Require;
    let Err(error) = PostgresStore::open(&config).await else { panic!("it was opened") };
    assert!(error.to_string().contains("does not support TLS"), "{error}");
    config.encryption = Encryption::Prefer;
    PostgresStore::open(&config).await.unwrap();
}

/// An authority, and the certificate and key of a server named localhost that it signed; all PEM.
fn certificate() -> (String, String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.clone().self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let leaf = rcgen::CertificateParams::new(names).unwrap().signed_by(&leaf_key, &issuer).unwrap();
    (authority.pem(), leaf.pem(), leaf_key.serialize_pem())
}

/// A network to the server that can break around the COMMIT of a marked write.
async fn network() -> Network {
    Network::start(server().socket(), MARK).await.expect("a network")
}

/// The configuration of a store behind it.
async fn through(network: &Network, database: &Database) -> PostgresConfig {
    let (port, name) = (network.port(), database.name().await);
    config(&format!("postgres://{ROLE}@127.0.0.1:{port}/{name}"))
}

/// What the network knows a write by.
const MARK: &[u8] = b"the write that is cut off";

fn marked(n: u128) -> Operation {
    Operation { request: MARK.to_vec(), ..operation(n) }
}
