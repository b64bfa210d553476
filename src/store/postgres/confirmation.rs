//! An operator's confirmation of a database that may lack commits. It must not know how that was noticed.

use tokio_postgres::Row;

use super::doubt::{Look, OBJECTS, TIMELINE};
use super::fault::{self, Fault};
use super::listing;
use super::row::Value;
use super::session::Connection;
use crate::store::age::Age;
use crate::store::columns::{nanoseconds, timestamp};
use crate::store::confirmation::{Confirmation, Decision, Examination};
use crate::store::heartbeat::INTERVAL_MAX;
use crate::store::witness::Noted;
use crate::store::{PAGE_MAX, Query, StoreError, encoding};

/// Records the decision, and that what the database is now is what it shall be; all gateways see both at
/// once.
pub(super) async fn confirm(
    connection: &Connection,
    confirmation: &Confirmation,
) -> Result<(), Fault> {
    // Its COMMIT waits for standbys without the server's time limit.
    connection.batch_execute("BEGIN").await?;
    // Nobody advances the age until this is committed.
    let sql = "SELECT age, lost_time FROM meta FOR UPDATE";
    let statement = connection.prepare_cached(sql).await?;
    let row = connection.query_one(&statement, &[]).await?;
    let (age, earlier): (i64, Option<&[u8]>) = (row.try_get(0)?, row.try_get(1)?);
    let earlier = earlier.map(encoding::from_lost_time).transpose()?;
    // As far as any gateway can be ahead of the stored age.
    let lost = confirmation.lost_time(Age::from_nanos(age) + INTERVAL_MAX, earlier);
    let lost = lost.map(|lost| encoding::lost_time(&lost));
    let (from, until) = match confirmation.decision {
        Decision::NothingLost => (None, None),
        Decision::Lost { from, until } => (Some(from), Some(until)),
    };
    let nanoseconds = |time| nanoseconds("confirmations.time", time);
    let (from, until) = (from.map(nanoseconds).transpose()?, until.map(nanoseconds).transpose()?);
    let time = nanoseconds(confirmation.time)?;
    let sql = "INSERT INTO confirmations (time, actor, alert, lost_from, lost_until) \
               VALUES ($1, $2, $3, $4, $5)";
    let Confirmation { actor, alert, .. } = confirmation;
    let statement = connection.prepare_cached(sql).await?;
    let values: [Value<'_>; 5] = [&time, actor, alert, &from, &until];
    connection.execute(&statement, &values).await?;
    // Greater than that of any copy that was confirmed before, whichever is restored.
    let sql = format!(
        "UPDATE meta SET system_identifier = (pg_control_system()).system_identifier, \
         timeline = {TIMELINE}, objects = {OBJECTS}, lost_time = $1, copied_time = NULL, \
         approvals = greatest(approvals + 1, \
         (extract(epoch FROM clock_timestamp()) * 1000)::bigint)"
    );
    let statement = connection.prepare_cached(&sql).await?;
    connection.execute(&statement, &[&lost]).await?;
    connection.commit().await.map_err(|error| {
        let why = fault::text(&error);
        StoreError::Ambiguous(format!("whether it was recorded is not known ({why}); repeat it"))
            .into()
    })
}

/// All that can be told of a database that may lack commits.
pub(super) async fn examine(
    connection: &Connection,
    look: &Look,
    witnessed: Option<&Noted>,
) -> Result<Examination, Fault> {
    let against = || witnessed.and_then(|witnessed| witnessed.speaks_against(&look.noted()));
    let query = Query { open_only: true, limit: PAGE_MAX, ..Query::default() };
    Ok(Examination {
        alert: look.alert().or_else(against),
        last_position: look.noted().position,
        last_time: last_time(connection).await?,
        witnessed_position: witnessed.map(|witnessed| witnessed.position),
        lost: look.meta.lost,
        open: listing::list(connection, &query).await?,
        confirmations: confirmations(connection).await?,
    })
}

/// Changes are timed by the age; the newest operation tells the time of day.
async fn last_time(connection: &Connection) -> Result<Option<jiff::Timestamp>, Fault> {
    let sql = "SELECT update_time FROM operations WHERE request_id = \
               (SELECT request_id FROM changes ORDER BY position DESC LIMIT 1)";
    let statement = connection.prepare_cached(sql).await?;
    let row = connection.query_opt(&statement, &[]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.map(timestamp))
}

async fn confirmations(connection: &Connection) -> Result<Vec<Confirmation>, Fault> {
    let sql = "SELECT time, actor, alert, lost_from, lost_until FROM confirmations \
               ORDER BY number DESC LIMIT 20";
    let statement = connection.prepare_cached(sql).await?;
    let rows = connection.query(&statement, &[]).await?;
    rows.iter().map(confirmation).collect()
}

fn confirmation(row: &Row) -> Result<Confirmation, Fault> {
    let lost: (Option<i64>, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
    let decision = match lost {
        (Some(from), Some(until)) => {
            Decision::Lost { from: timestamp(from), until: timestamp(until) }
        }
        _ => Decision::NothingLost,
    };
    let (time, actor, alert) = (timestamp(row.try_get(0)?), row.try_get(1)?, row.try_get(2)?);
    Ok(Confirmation { time, actor, alert, decision })
}
