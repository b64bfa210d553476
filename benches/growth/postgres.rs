//! Many operations in a database of PostgreSQL. It must not know what is asked of them.

use anyhow::{Context, Result};
use purveyor::store::postgres::{Encryption, PostgresConfig, PostgresStore};
use tokio_postgres::{Client, NoTls, Transaction};

use super::filling::{Copies, models};

/// How a store at an address is opened.
pub(crate) fn config(url: &str) -> Result<PostgresConfig> {
    let server = url.parse()?;
    Ok(PostgresConfig {
        server,
        encryption: Encryption::Disable,
        ca_file: None,
        connections: 8,
        witness_file: None,
    })
}

/// Makes a store of `finished` operations and a tenth as many waiting ones.
pub(crate) async fn fill(url: &str, finished: u32) -> Result<()> {
    models(&PostgresStore::open(&config(url)?).await?).await?;
    let (mut client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("SET search_path = purveyor; SET synchronous_commit = off").await?;
    for copies in Copies::all(finished)? {
        multiply(&mut client, &copies).await?;
    }
    // What the server does by itself after a while.
    for tidied in ["VACUUM ANALYZE", "CHECKPOINT"] {
        client.batch_execute(tidied).await?;
    }
    Ok(())
}

/// Repeats the rows of the model, which goes.
async fn multiply(client: &mut Client, copies: &Copies) -> Result<()> {
    let transaction = client.transaction().await?;
    let made = format!(
        "CREATE TEMP TABLE made ON COMMIT DROP AS SELECT n, gen_random_uuid() AS id \
         FROM generate_series({}::bigint, {}::bigint) AS n",
        copies.first,
        u64::from(copies.first) + u64::from(copies.count) - 1
    );
    transaction.batch_execute(&made).await?;
    for table in ["operations", "attempts", "claims"] {
        copy(&transaction, table, copies).await.with_context(|| format!("cannot fill {table}"))?;
    }
    for table in ["attempts", "claims", "operations"] {
        let sql = format!("DELETE FROM {table} WHERE request_id = $1");
        transaction.execute(&sql, &[&copies.model]).await?;
    }
    // The last change has to be one of an operation that there is.
    let changed = "INSERT INTO changes SELECT next_position, id, 2, pg_current_xact_id(), \
                   (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint \
                   FROM take_position(), (SELECT id FROM made ORDER BY n DESC LIMIT 1) AS last";
    transaction.batch_execute(changed).await?;
    transaction.commit().await?;
    Ok(())
}

async fn copy(transaction: &Transaction<'_>, table: &str, copies: &Copies) -> Result<()> {
    let named = "SELECT column_name::text FROM information_schema.columns \
                 WHERE table_schema = 'purveyor' AND table_name = $1 AND is_generated = 'NEVER' AND is_identity = 'NO'";
    let rows = transaction.query(named, &[&table]).await?;
    let names = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
    let value = |name: &String| match name.as_str() {
        "request_id" => "made.id".to_owned(),
        name => copies
            .differs(table, name, "gen_random_uuid()")
            .unwrap_or_else(|| format!("model.{name}")),
    };
    let values: Vec<String> = names.iter().map(value).collect();
    let sql = format!(
        "INSERT INTO {table} ({}) SELECT {} FROM made, \
         (SELECT * FROM {table} WHERE request_id = $1) AS model",
        names.join(", "),
        values.join(", ")
    );
    transaction.execute(&sql, &[&copies.model]).await?;
    Ok(())
}
