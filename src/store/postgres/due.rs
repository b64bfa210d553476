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
use crate::store::{Lease, Take, Wakes};

/// When the first operation is due, and when the first that waits is, for each provider. One step in
/// the index leads to the next provider, however much waits for each. 3 is WaitingUpstream.
const NEXT: &str = "WITH RECURSIVE waiting (provider) AS (\
     SELECT min(provider) FROM operations WHERE state = 3 AND due_time IS NOT NULL \
     UNION ALL SELECT (SELECT min(operations.provider) FROM operations \
     WHERE state = 3 AND due_time IS NOT NULL AND operations.provider > waiting.provider) \
     FROM waiting WHERE provider IS NOT NULL) \
     SELECT provider, (SELECT min(due_time) FROM operations \
     WHERE state = 3 AND due_time IS NOT NULL AND operations.provider = waiting.provider) \
     FROM waiting WHERE provider IS NOT NULL \
     UNION ALL \
     SELECT NULL, min(due_time) FROM operations WHERE state <> 3 AND due_time IS NOT NULL";

#[async_trait]
impl Work for Take {
    type Output = Vec<Operation>;

    async fn run(&self, connection: &Connection) -> Result<Turn<Vec<Operation>>, Fault> {
        take(connection, self, None).await
    }
}

/// Takes what is due of what waits for the upstream of one provider.
pub(super) struct TakeWaiting {
    pub(super) provider: String,
    pub(super) take: Take,
}

#[async_trait]
impl Work for TakeWaiting {
    type Output = Vec<Operation>;

    async fn run(&self, connection: &Connection) -> Result<Turn<Vec<Operation>>, Fault> {
        take(connection, &self.take, Some(&escaped(&self.provider))).await
    }
}

/// Takes what is due and nobody takes at this very moment.
async fn take(
    connection: &Connection,
    take: &Take,
    waiting_for: Option<&str>,
) -> Result<Turn<Vec<Operation>>, Fault> {
    let now = take.now.as_nanos();
    let until = take.lease.until.as_nanos();
    let which = match waiting_for {
        None => "state <> 3",
        Some(_) => "state = 3 AND provider = $5",
    };
    let sql = format!(
        "WITH due AS (\
         SELECT request_id, due_time FROM operations WHERE {which} AND due_time <= $1 \
         ORDER BY due_time, request_id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED) \
         UPDATE operations SET lease_replica = $3, lease_until = $4 FROM due \
         WHERE operations.request_id = due.request_id \
         RETURNING operations.request_id, due.due_time"
    );
    let statement = connection.prepare_cached(&sql).await?;
    let (limit, replica) = (page(take.limit), take.lease.replica);
    let mut values: Vec<Value<'_>> = vec![&now, &limit, &replica, &until];
    if let Some(provider) = &waiting_for {
        values.push(provider);
    }
    let rows = connection.query(&statement, &values).await?;
    if rows.is_empty() {
        return Ok(Turn::Leave(Vec::new()));
    }
    let mut taken = Vec::new();
    for row in &rows {
        let mut fields = Fields::of(row);
        let request_id: Uuid = fields.value()?;
        taken.push((fields.value::<i64>()?, request_id));
    }
    taken.sort_unstable();
    let taken: Vec<Uuid> = taken.into_iter().map(|(_, request_id)| request_id).collect();
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
    let statement = connection.prepare_cached(NEXT).await?;
    let mut wakes = Wakes::default();
    for row in &connection.query(&statement, &[]).await? {
        let (provider, due): (Option<&str>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
        match (provider, due.map(Age::from_nanos)) {
            (Some(provider), Some(due)) => {
                let provider = restored(provider).ok_or_else(|| corrupt("provider", "a text"))?;
                wakes.waiting.push((provider.into_owned(), due));
            }
            (_, due) => wakes.due = due,
        }
    }
    Ok(wakes)
}
