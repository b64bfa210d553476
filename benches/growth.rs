//! How both stores bear growth: the same questions to stores of a thousand to a million finished
//! operations, a tenth as many waiting ones beside them. Prints a table for each store and writes them
//! to `target/growth-sqlite.md` and `target/growth-postgres.md`; it must not judge a number.
//!
//! `sqlite` or `postgres` among the arguments measures that store alone, and a number leaves out
//! bigger sizes.

#[path = "growth/asking.rs"]
mod asking;
#[path = "growth/filling.rs"]
mod filling;
#[path = "growth/postgres.rs"]
mod postgres;
#[path = "growth/sqlite.rs"]
mod sqlite;
#[path = "gateway/table.rs"]
mod table;

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use anyhow::{Context, Result};
use purveyor::store::Store;
use purveyor::store::postgres::PostgresStore;
use purveyor::store::sqlite::SqliteStore;
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;
use xtask::postgres::Server;
use xtask::workspace;

use self::asking::Asked;

/// How many finished operations there are.
const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let named = |name: &str| arguments.iter().any(|it| it == name);
    let most = arguments.iter().find_map(|it| it.parse().ok()).unwrap_or(u32::MAX);
    let sizes: Vec<u32> = SIZES.into_iter().filter(|size| *size <= most).collect();
    let runtime = Runtime::new()?;
    if !named("postgres") {
        let report = measure("embedded", &sizes, |size| runtime.block_on(embedded(size)))?;
        keep("sqlite", &report)?;
    }
    if !named("sqlite") {
        let report = measure("shared", &sizes, |size| runtime.block_on(shared(size)))?;
        keep("postgres", &report)?;
    }
    Ok(())
}

async fn embedded(size: u32) -> Result<Vec<Asked>> {
    let folder = tempfile::tempdir_in(workspace::target()?)?;
    let file = folder.path().join("journal.db");
    sqlite::fill(&file, size).await?;
    let bytes = fs::metadata(&file)?.len();
    let began = Instant::now();
    let store = SqliteStore::open(&file)?;
    let opened = began.elapsed();
    // Spends wait for that, and all else is measured without it.
    while store.checking() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut column = opening(bytes, opened);
    column.push(Asked::new("spends wait for the look through it", asking::shown(began.elapsed())));
    column.extend(asking::ask(Arc::new(store), size).await?);
    Ok(column)
}

async fn shared(size: u32) -> Result<Vec<Asked>> {
    let server = Server::start()?;
    let url = server.url("postgres");
    postgres::fill(&url, size).await?;
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    tokio::spawn(connection);
    let size_of = "SELECT pg_database_size(current_database())";
    let bytes: i64 = client.query_one(size_of, &[]).await?.try_get(0)?;
    let began = Instant::now();
    let store = PostgresStore::open(&postgres::config(&url)?).await?;
    let mut column = opening(u64::try_from(bytes)?, began.elapsed());
    column.extend(asking::ask(Arc::new(store), size).await?);
    Ok(column)
}

fn opening(bytes: u64, opened: Duration) -> Vec<Asked> {
    vec![Asked::new("size", asking::mebibytes(bytes)), Asked::new("opening", asking::shown(opened))]
}

/// Asks a store of every size.
fn measure(name: &str, sizes: &[u32], ask: impl Fn(u32) -> Result<Vec<Asked>>) -> Result<String> {
    let mut columns: Vec<Vec<Asked>> = Vec::new();
    for size in sizes {
        let began = Instant::now();
        columns.push(ask(*size)?);
        writeln!(io::stderr(), "{name}: {size} filled and asked in {:?}", began.elapsed())?;
    }
    let head: Vec<String> = sizes.iter().map(|size| format!("{size} + {}", size / 10)).collect();
    let mut head: Vec<&str> = head.iter().map(String::as_str).collect();
    head.insert(0, "finished + waiting");
    let mut report = table::head(&format!("Growth of the {name} store"), &head);
    for (row, first) in columns.first().into_iter().flatten().enumerate() {
        let mut cells = vec![first.what];
        cells
            .extend(columns.iter().filter_map(|column| column.get(row)).map(|it| it.seen.as_str()));
        table::row(&mut report, &cells);
    }
    Ok(report)
}

fn keep(name: &str, report: &str) -> Result<()> {
    writeln!(io::stdout(), "{report}")?;
    let file = workspace::target()?.join(format!("growth-{name}.md"));
    fs::write(&file, report).with_context(|| format!("cannot write {}", file.display()))
}
