//! Reading operations: one, those that a query names, those that wait or were left behind. It must
//! not write.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::fault::Fault;
use super::observations;
use super::row::{self, Fields, Value};
use super::session::Connection;
use super::text::escaped;
use crate::store::age::Age;
use crate::store::columns::{
    ENDED, OPEN, UNSTARTED, UNSUCCESSFUL, after_second, nanoseconds, page, unsigned,
};
use crate::store::operation::Operation;
use crate::store::{PAGE_MAX, Query, newest};

/// The order of listings.
const NEWEST_FIRST: &str = "ORDER BY create_time DESC, request_id DESC";

/// Oldest first.
const BY_AGE: &str = "*, row_number() OVER (ORDER BY create_time, request_id) AS place";

/// One operation.
pub(super) async fn get(
    connection: &Connection,
    request_id: Uuid,
) -> Result<Option<Operation>, Fault> {
    let found = "SELECT *, 1::bigint AS place FROM operations WHERE request_id = $1";
    Ok(select(connection, found, &[&request_id]).await?.pop())
}

/// One operation, or that it is certainly not there: a commit that stores it may be under way, and wait
/// for a standby or for a network.
pub(super) async fn known(
    connection: &Connection,
    request_id: Uuid,
) -> Result<Option<Operation>, Fault> {
    if let Some(stored) = get(connection, request_id).await? {
        return Ok(Some(stored));
    }
    observations::unchanging(connection, request_id).await?;
    get(connection, request_id).await
}

/// Operations that match, newest first.
pub(super) async fn list(connection: &Connection, query: &Query) -> Result<Vec<Operation>, Fault> {
    let mut found = Vec::new();
    for query in query.of_each_provider() {
        found.extend(list_one(connection, &query).await?);
    }
    Ok(newest(found, query))
}

async fn list_one(connection: &Connection, query: &Query) -> Result<Vec<Operation>, Fault> {
    if query.apart().is_some_and(|states| states.is_empty()) {
        return Ok(Vec::new());
    }
    let (found, filter) = list_query(query)?;
    let values: Vec<Value<'_>> = filter.values.iter().map(|value| &**value as Value<'_>).collect();
    select(connection, &found, &values).await
}

/// The statement of a listing and its values. Its text depends on which filters are set and on how
/// many states they name, so that each connection keeps few.
fn list_query(query: &Query) -> Result<(String, Filter), Fault> {
    let mut filter = Filter::of(query)?;
    let order = format!("{NEWEST_FIRST} LIMIT {}", page(query.limit));
    let Some(states) = query.apart() else {
        filter.any_of("state", query.states.iter().map(|state| *state as i32).collect());
        if query.open_only {
            filter.condition(OPEN);
        }
        let found = format!(
            "SELECT *, row_number() OVER ({NEWEST_FIRST}) AS place FROM operations{} {order}",
            filter.sql
        );
        return Ok((found, filter));
    };
    let rest = filter.sql.replacen(" WHERE ", " AND ", 1);
    let listings: Vec<String> = states
        .into_iter()
        .map(|state| {
            let state = filter.place(state);
            format!(
                "(SELECT * FROM operations WHERE state = {state} AND {UNSUCCESSFUL}{rest} {order})"
            )
        })
        .collect();
    let found = format!(
        "SELECT *, row_number() OVER ({NEWEST_FIRST}) AS place FROM ({}) AS operations {order}",
        listings.join(" UNION ALL ")
    );
    Ok((found, filter))
}

/// What runs, and nobody has leased at `now`; 2 is Running.
pub(super) async fn orphans(connection: &Connection, now: Age) -> Result<Vec<Operation>, Fault> {
    let found = format!(
        "SELECT {BY_AGE} FROM operations \
         WHERE state = 2 AND (lease_until IS NULL OR lease_until <= $1)"
    );
    select(connection, &found, &[&now.as_nanos()]).await
}

/// What was not started by then, after a row of the order.
pub(super) async fn unstarted(
    connection: &Connection,
    before: Timestamp,
    after: Option<(Timestamp, Uuid)>,
) -> Result<Vec<Operation>, Fault> {
    let found = format!(
        "SELECT *, row_number() OVER (ORDER BY start_before, request_id) AS place FROM operations \
         WHERE {UNSTARTED} AND start_before < $1 AND (start_before, request_id) > ($2, $3) \
         ORDER BY start_before, request_id LIMIT $4"
    );
    let until = after_second(before);
    let (time, request_id) =
        after.map_or_else(Default::default, |(time, request_id)| (time.to_string(), request_id));
    let mut found =
        select(connection, &found, &[&until, &time, &request_id, &page(PAGE_MAX)]).await?;
    found.retain(|operation| operation.start_before < before);
    Ok(found)
}

/// How many open operations each provider has.
pub(super) async fn open_by_provider(
    connection: &Connection,
) -> Result<BTreeMap<String, u64>, Fault> {
    let sql = format!("SELECT provider, count(*) FROM operations WHERE {OPEN} GROUP BY provider");
    let statement = connection.prepare_cached(&sql).await?;
    let rows = connection.query(&statement, &[]).await?;
    let counts = rows.iter().map(|row| {
        let mut fields = Fields::of(row);
        Ok((fields.text()?.into_owned(), unsigned("count", fields.value()?)?))
    });
    counts.collect()
}

/// What waits for an operation.
pub(super) async fn blocked_by(
    connection: &Connection,
    request_id: Uuid,
) -> Result<Vec<Operation>, Fault> {
    let found = format!("SELECT {BY_AGE} FROM operations WHERE blocked_by = $1");
    select(connection, &found, &[&request_id]).await
}

/// What waits for another operation, whichever it is.
pub(super) async fn blocked(
    connection: &Connection,
    limit: usize,
) -> Result<Vec<Operation>, Fault> {
    let found = "SELECT *, row_number() OVER (ORDER BY blocked_by, create_time, request_id) AS place \
                 FROM operations WHERE blocked_by IS NOT NULL \
                 ORDER BY blocked_by, create_time, request_id LIMIT $1";
    select(connection, found, &[&i64::try_from(limit).unwrap_or(i64::MAX)]).await
}

async fn select(
    connection: &Connection,
    found: &str,
    values: &[Value<'_>],
) -> Result<Vec<Operation>, Fault> {
    let statement = connection.prepare_cached(&row::with_attempts(found)).await?;
    let rows = connection.query(&statement, values).await?;
    Ok(row::read(&rows)?.into_iter().map(|(_, operation)| operation).collect())
}

/// Conditions, all of which hold, and their values in order.
#[derive(Default)]
struct Filter {
    sql: String,
    values: Vec<Box<dyn ToSql + Send + Sync>>,
}

impl Filter {
    /// All but the states.
    fn of(query: &Query) -> Result<Self, Fault> {
        let mut filter = Self::default();
        let texts =
            [("owner", &query.owner), ("provider", &query.provider), ("target", &query.target)];
        for (column, wanted) in texts {
            if let Some(wanted) = wanted {
                filter.value(&format!("{column} = "), escaped(wanted).into_owned());
            }
        }
        filter.any_of("op", query.ops.iter().map(|op| *op as i32).collect());
        if let Some(time) = query.create_after {
            filter.value("create_time >= ", nanoseconds("create_after", time)?);
        }
        if let Some(time) = query.ended_after {
            filter.condition(ENDED);
            filter.value("update_time > ", nanoseconds("ended_after", time)?);
        }
        if let Some((time, request_id)) = query.after {
            filter.value("(create_time, request_id) < (", nanoseconds("after", time)?);
            filter.values.push(Box::new(request_id));
            filter.sql.push_str(&format!(", ${})", filter.values.len()));
        }
        Ok(filter)
    }

    fn condition(&mut self, condition: &str) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
    }

    fn value(&mut self, condition: &str, value: impl ToSql + Send + Sync + 'static) {
        let place = self.place(value);
        self.condition(&format!("{condition}{place}"));
    }

    /// The place of a value.
    fn place(&mut self, value: impl ToSql + Send + Sync + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    /// No numbers are no restriction.
    fn any_of(&mut self, column: &str, numbers: Vec<i32>) {
        if !numbers.is_empty() {
            self.value(&format!("{column} = ANY ("), numbers);
            self.sql.push(')');
        }
    }
}
