//! Who looks at which operation when: due times and leases. It must not be taken for permission: a
//! lease decides who tries, never whether a spend is allowed.

use async_trait::async_trait;
use uuid::Uuid;

use super::fault::Fault;
use super::row::{self, Fields, Value};
use super::session::Connection;
use super::text::{escaped, restored};
use super::write::{Turn, Work};
use crate::store::age::Age;
use crate::store::columns::page;
use crate::store::encoding::corrupt;
use crate::store::operation::Operation;
use crate::store::{DueQueue, Lease, Take, Wakes};

/// When the first of each queue is due. One step in the index leads to the next queue, however much of each
/// is due. 3 is WaitingUpstream.
fn next_query(condition: &str) -> String {
    let first = |behind: &str| {
        format!(
            "(SELECT account_key, provider, due_time FROM operations \
             WHERE {condition} AND due_time IS NOT NULL{behind} \
             ORDER BY account_key, provider, due_time LIMIT 1)"
        )
    };
    format!(
        "WITH RECURSIVE queue AS ({} UNION ALL SELECT following.* FROM queue CROSS JOIN LATERAL {} \
         AS following) SELECT account_key, provider, due_time FROM queue",
        first(""),
        first(
            " AND (operations.account_key, operations.provider) > (queue.account_key, queue.provider)"
        )
    )
}

const DUE: &str = "state <> 3";
const WAITING: &str = "state = 3";

#[async_trait]
impl Work for Take {
    type Output = Vec<Operation>;

    async fn run(&self, connection: &Connection) -> Result<Turn<Vec<Operation>>, Fault> {
        take(connection, self, DUE).await
    }
}

/// Takes what is due of what waits for its upstream.
pub(super) struct TakeWaiting(pub(super) Take);

#[async_trait]
impl Work for TakeWaiting {
    type Output = Vec<Operation>;

    async fn run(&self, connection: &Connection) -> Result<Turn<Vec<Operation>>, Fault> {
        take(connection, &self.0, WAITING).await
    }
}

/// Takes what is due and nobody takes at this very moment.
async fn take(
    connection: &Connection,
    take: &Take,
    condition: &str,
) -> Result<Turn<Vec<Operation>>, Fault> {
    let sql = format!(
        "WITH due AS (\
         SELECT share.number, of_queue.request_id, of_queue.due_time \
         FROM unnest($4::text[], $5::text[], $6::bigint[]) \
         WITH ORDINALITY AS share (account_key, provider, most, number) \
         CROSS JOIN LATERAL (SELECT request_id, due_time FROM operations WHERE {condition} \
         AND account_key = share.account_key AND provider = share.provider AND due_time <= $1 \
         ORDER BY due_time, request_id LIMIT share.most FOR NO KEY UPDATE SKIP LOCKED) AS of_queue) \
         UPDATE operations SET lease_replica = $2, lease_until = $3 FROM due \
         WHERE operations.request_id = due.request_id \
         RETURNING due.number, due.due_time, operations.request_id"
    );
    let statement = connection.prepare_cached(&sql).await?;
    let (now, until) = (take.now.as_nanos(), take.lease.until.as_nanos());
    let replica = take.lease.replica;
    let queues = || take.shares.iter().map(|share| &share.queue);
    let accounts: Vec<_> = queues().map(|queue| escaped(&queue.account_key)).collect();
    let providers: Vec<_> = queues().map(|queue| escaped(&queue.provider)).collect();
    let limits: Vec<i64> = take.shares.iter().map(|share| page(share.limit)).collect();
    let values: [Value<'_>; 6] = [&now, &replica, &until, &accounts, &providers, &limits];
    let rows = connection.query(&statement, &values).await?;
    if rows.is_empty() {
        return Ok(Turn::Leave(Vec::new()));
    }
    let mut taken = Vec::new();
    for row in &rows {
        let mut fields = Fields::of(row);
        let (number, due): (i64, i64) = (fields.value()?, fields.value()?);
        taken.push((number, due, fields.value::<Uuid>()?));
    }
    taken.sort_unstable();
    let taken: Vec<Uuid> = taken.into_iter().map(|(_, _, request_id)| request_id).collect();
    // Their rows are locked, so nobody can change them before this transaction ends.
    let found = "SELECT operations.*, array_position($1::uuid[], request_id)::bigint AS place \
                 FROM operations WHERE request_id = ANY ($1)";
    let statement = connection.prepare_cached(&row::with_attempts(found)).await?;
    let rows = connection.query(&statement, &[&taken]).await?;
    let operations = row::read(&rows)?.into_iter().map(|(_, operation)| operation).collect();
    Ok(Turn::Keep(operations, None))
}

/// Gives back what a replica has leased.
pub(super) struct Release {
    pub(super) replica: Uuid,
    pub(super) request_ids: Vec<Uuid>,
}

#[async_trait]
impl Work for Release {
    type Output = ();

    async fn run(&self, connection: &Connection) -> Result<Turn<()>, Fault> {
        let sql = "UPDATE operations SET lease_replica = NULL, lease_until = NULL \
                   WHERE request_id = ANY ($1) AND lease_replica = $2";
        let statement = connection.prepare_cached(sql).await?;
        connection.execute(&statement, &[&self.request_ids, &self.replica]).await?;
        Ok(Turn::Keep((), None))
    }
}

/// Goes on holding what a replica has leased.
pub(super) struct Renew {
    pub(super) lease: Lease,
    pub(super) request_ids: Vec<Uuid>,
}

#[async_trait]
impl Work for Renew {
    type Output = ();

    async fn run(&self, connection: &Connection) -> Result<Turn<()>, Fault> {
        let sql = "UPDATE operations SET lease_until = $3 \
                   WHERE request_id = ANY ($1) AND lease_replica = $2";
        let statement = connection.prepare_cached(sql).await?;
        let until = self.lease.until.as_nanos();
        let replica = self.lease.replica;
        connection.execute(&statement, &[&self.request_ids, &replica, &until]).await?;
        Ok(Turn::Keep((), None))
    }
}

/// When something is due next.
pub(super) async fn next(connection: &Connection) -> Result<Wakes, Fault> {
    let due = queues(connection, DUE).await?;
    Ok(Wakes { due, waiting: queues(connection, WAITING).await? })
}

async fn queues(connection: &Connection, condition: &str) -> Result<Vec<(DueQueue, Age)>, Fault> {
    let statement = connection.prepare_cached(&next_query(condition)).await?;
    let mut queues = Vec::new();
    for row in &connection.query(&statement, &[]).await? {
        let text = |number: usize, name: &'static str| {
            let stored = row.try_get(number)?;
            let text = restored(stored).ok_or_else(|| corrupt(name, "a text"))?;
            Ok::<_, Fault>(text.into_owned())
        };
        let queue =
            DueQueue { account_key: text(0, "account_key")?, provider: text(1, "provider")? };
        queues.push((queue, Age::from_nanos(row.try_get(2)?)));
    }
    Ok(queues)
}
