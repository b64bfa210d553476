//! Operations accepted and completed per second with the embedded store, beside the raw commits of
//! SQLite on the same disk.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use prost_types::Duration as Wait;
use purveyor::api::client::orders_client::OrdersClient;
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{CreateOrderRequest, Order, OrderItem};
use rusqlite::Connection;
use tonic::transport::Channel;
use uuid::Uuid;
use xtask::configuration::Provider;

use crate::load;
use crate::stage::{Stage, connect, instant};
use crate::table::{head, rate, row};

const SPAN: Duration = Duration::from_secs(3);
/// About what an operation's row takes.
const ROW_BYTES: usize = 1024;
/// How many rows one commit carries, when they are grouped.
const GROUP: usize = 64;

pub(crate) async fn measure(stage: &Stage) -> Result<String> {
    let mut table = head(
        "Operations with the embedded store",
        &["clients", "accepted (wait 0, held)", "completed (instant upstream)"],
    );
    let upstream = instant().await?;
    for clients in [1, 8, 64] {
        let accepted = orders(stage, &upstream, clients, true).await?;
        let completed = orders(stage, &upstream, clients, false).await?;
        row(&mut table, &[clients.to_string(), rate(accepted), rate(completed)]);
    }
    table.push('\n');
    table.push_str(&raw_commits()?);
    Ok(table)
}

/// What the disk gives: one row a commit, and many.
fn raw_commits() -> Result<String> {
    let mut table = head(
        "Raw commits of SQLite on this disk (WAL, synchronous=FULL)",
        &["rows a commit", "rows per second", "commits per second"],
    );
    for group in [1, GROUP] {
        let folder = tempfile::tempdir()?;
        let mut connection = Connection::open(folder.path().join("raw.db"))?;
        connection.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
             CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;",
        )?;
        let body = vec![0_u8; ROW_BYTES];
        let began = Instant::now();
        let mut commits = 0_u32;
        while began.elapsed() < SPAN {
            let transaction = connection.transaction()?;
            for _ in 0..group {
                let mut insert =
                    transaction.prepare_cached("INSERT INTO rows (body) VALUES (?1)")?;
                insert.execute([&body])?;
            }
            transaction.commit()?;
            commits += 1;
        }
        let per_second = f64::from(commits) / began.elapsed().as_secs_f64();
        row(&mut table, &[group.to_string(), rate(per_second * group as f64), rate(per_second)]);
    }
    Ok(table)
}

async fn orders(stage: &Stage, upstream: &Provider, clients: usize, held: bool) -> Result<f64> {
    let configuration =
        stage.configuration().engine("hold", held).provider("instant", upstream.clone());
    let gateway = stage.start(configuration)?;
    let channel = connect(gateway.address).await?;
    let per_second = load::run(clients, SPAN, move || order(channel.clone(), held)).await?;
    gateway.process.kill()?;
    Ok(per_second)
}

async fn order(channel: Channel, held: bool) -> Result<()> {
    let item = OrderItem {
        product: "providers/instant/products/one".to_owned(),
        quantity: 1,
        ..OrderItem::default()
    };
    let request = CreateOrderRequest {
        parent: "providers/instant".to_owned(),
        order: Some(Order { items: vec![item], ..Order::default() }),
        request_id: Uuid::new_v4().to_string(),
        wait: Some(Wait { seconds: if held { 0 } else { 30 }, nanos: 0 }),
        ..CreateOrderRequest::default()
    };
    let operation = OrdersClient::new(channel).create_order(request).await?.into_inner();
    ensure!(held || operation.state() == State::Succeeded, "{operation:?}");
    Ok(())
}
