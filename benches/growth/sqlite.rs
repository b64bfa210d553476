//! Many operations in a file. It must not know what is asked of them.

use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use purveyor::store::sqlite::SqliteStore;
use rusqlite::{Connection, params};

use super::filling::{Copies, models};

/// Makes a store of `finished` operations and a tenth as many waiting ones.
pub(crate) async fn fill(file: &Path, finished: u32) -> Result<()> {
    let store = SqliteStore::open(file)?;
    models(&store).await?;
    drop(store);
    let mut connection = Connection::open(file)?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000")?;
    for copies in Copies::all(finished)? {
        multiply(&mut connection, &copies)?;
    }
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// Repeats the rows of the model, which goes.
fn multiply(connection: &mut Connection, copies: &Copies) -> Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch("CREATE TEMP TABLE made (n INTEGER PRIMARY KEY, id BLOB)")?;
    transaction.execute(
        "INSERT INTO made WITH RECURSIVE n (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM n \
         LIMIT ?2) SELECT n, randomblob(16) FROM n",
        params![copies.first, copies.count],
    )?;
    for table in ["operations", "attempts", "claims"] {
        copy(&transaction, table, copies).with_context(|| format!("cannot fill {table}"))?;
    }
    for table in ["attempts", "claims", "operations"] {
        let sql = format!("DELETE FROM {table} WHERE request_id = ?1");
        transaction.execute(&sql, [copies.model.as_bytes()])?;
    }
    // The last change has to be one of an operation that there is.
    let changed = "INSERT INTO changes (request_id, version, time) SELECT id, 2, ?1 FROM made \
                   ORDER BY n DESC LIMIT 1";
    transaction.execute(changed, [i64::try_from(Timestamp::now().as_nanosecond())?])?;
    transaction.execute_batch("DROP TABLE made")?;
    transaction.commit()?;
    Ok(())
}

fn copy(connection: &Connection, table: &str, copies: &Copies) -> Result<()> {
    let mut names =
        connection.prepare("SELECT name FROM pragma_table_info(?1) WHERE name <> 'id'")?;
    let names = names.query_map([table], |row| row.get::<_, String>(0))?;
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let value = |name: &String| match name.as_str() {
        "request_id" => "made.id".to_owned(),
        name => {
            copies.differs(table, name, "randomblob(16)").unwrap_or_else(|| format!("model.{name}"))
        }
    };
    let values: Vec<String> = names.iter().map(value).collect();
    let sql = format!(
        "INSERT INTO {table} ({}) SELECT {} FROM made, \
         (SELECT * FROM {table} WHERE request_id = ?1) AS model",
        names.join(", "),
        values.join(", ")
    );
    connection.execute(&sql, [copies.model.as_bytes()])?;
    Ok(())
}
