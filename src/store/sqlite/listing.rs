//! Reading operations: one, those that a query names, those that wait or were left behind. It must
//! not write, and every query names the index that it runs by, so that no statistics can turn it
//! into a scan.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Params, params, params_from_iter};
use uuid::Uuid;

use super::fault::Fault;
use super::row;
use crate::store::age::Age;
use crate::store::columns::{
    ENDED, OPEN, UNSTARTED, UNSUCCESSFUL, after_second, nanoseconds, page, unsigned,
};
use crate::store::operation::Operation;
use crate::store::{PAGE_MAX, Query, newest};

/// One operation.
pub(super) fn get(connection: &Connection, request_id: Uuid) -> Result<Option<Operation>, Fault> {
    let sql = format!("SELECT {} FROM operations WHERE request_id = ?1", row::COLUMNS);
    Ok(select(connection, &sql, [request_id.as_bytes()])?.pop())
}

/// Operations that match, newest first.
pub(super) fn list(connection: &Connection, query: &Query) -> Result<Vec<Operation>, Fault> {
    let mut found = Vec::new();
    for query in query.of_each_provider() {
        found.extend(list_one(connection, &query)?);
    }
    Ok(newest(found, query))
}

fn list_one(connection: &Connection, query: &Query) -> Result<Vec<Operation>, Fault> {
    if query.apart().is_some_and(|states| states.is_empty()) {
        return Ok(Vec::new());
    }
    let (sql, values) = list_query(query)?;
    select(connection, &sql, params_from_iter(values))
}

/// What runs, and nobody has leased at `now`.
pub(super) fn orphans(connection: &Connection, now: Age) -> Result<Vec<Operation>, Fault> {
    select(connection, &orphans_query(), [now.as_nanos()])
}

/// The running ones, oldest first; 2 is Running.
pub(super) fn orphans_query() -> String {
    format!(
        "SELECT {} FROM operations INDEXED BY operations_running \
         WHERE state = 2 AND (lease_until IS NULL OR lease_until <= ?1) \
         ORDER BY create_time, request_id",
        row::COLUMNS
    )
}

/// What was not started by then, after a row of the order.
pub(super) fn unstarted(
    connection: &Connection,
    before: Timestamp,
    after: Option<(Timestamp, Uuid)>,
) -> Result<Vec<Operation>, Fault> {
    let until = after_second(before);
    let (time, request_id) = after.map_or_else(Default::default, |(time, request_id)| {
        (time.to_string(), request_id.as_bytes().to_vec())
    });
    let values = params![until, time, request_id, page(PAGE_MAX)];
    let mut found = select(connection, &unstarted_query(), values)?;
    found.retain(|operation| operation.start_before < before);
    Ok(found)
}

/// Those that may still be started, by when at the latest.
pub(super) fn unstarted_query() -> String {
    format!(
        "SELECT {} FROM operations INDEXED BY operations_unstarted WHERE {UNSTARTED} \
         AND start_before < ?1 AND (start_before, request_id) > (?2, ?3) \
         ORDER BY start_before, request_id LIMIT ?4",
        row::COLUMNS
    )
}

/// How many open operations each provider has.
pub(super) fn open_by_provider(connection: &Connection) -> Result<BTreeMap<String, u64>, Fault> {
    let sql = format!(
        "SELECT provider, count(*) FROM operations INDEXED BY operations_open WHERE {OPEN} \
         GROUP BY provider"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut counts = BTreeMap::new();
    while let Some(row) = rows.next()? {
        counts.insert(row.get(0)?, unsigned("count", row.get(1)?)?);
    }
    Ok(counts)
}

/// What waits for an operation.
pub(super) fn blocked_by(
    connection: &Connection,
    request_id: Uuid,
) -> Result<Vec<Operation>, Fault> {
    select(connection, &blocked_query(), [request_id.as_bytes()])
}

/// The blocked ones, oldest first.
pub(super) fn blocked_query() -> String {
    format!(
        "SELECT {} FROM operations INDEXED BY operations_blocked \
         WHERE blocked_by = ?1 ORDER BY create_time, request_id",
        row::COLUMNS
    )
}

/// What waits for another operation, whichever it is.
pub(super) fn blocked(connection: &Connection, limit: usize) -> Result<Vec<Operation>, Fault> {
    select(connection, &all_blocked_query(), [i64::try_from(limit).unwrap_or(i64::MAX)])
}

/// All blocked ones, by what they wait for and then by age.
pub(super) fn all_blocked_query() -> String {
    format!(
        "SELECT {} FROM operations INDEXED BY operations_blocked WHERE blocked_by IS NOT NULL \
         ORDER BY blocked_by, create_time, request_id LIMIT ?1",
        row::COLUMNS
    )
}

/// The operations of a query that selects [`row::COLUMNS`].
pub(super) fn select(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<Vec<Operation>, Fault> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut operations = Vec::new();
    while let Some(found) = rows.next()? {
        operations.push(row::read(connection, found)?);
    }
    Ok(operations)
}

/// The statement of a listing and its values. Its text depends on which filters are set and on how
/// many states and writes they name, so the statements of all callers fit the cache.
pub(super) fn list_query(query: &Query) -> Result<(String, Vec<Value>), Fault> {
    let mut filter = Filter::of(query)?;
    let limit = filter.value(page(query.limit));
    let listings = match query.apart() {
        None => {
            if !query.states.is_empty() {
                let states = query.states.iter().map(|state| *state as i32);
                filter.any_of("state", states);
            }
            if query.open_only {
                filter.condition(OPEN);
            }
            vec![listing(index(query), &filter.conditions)]
        }
        Some(states) => states
            .into_iter()
            .map(|state| {
                let state = filter.value(i64::from(state));
                let of_state = [format!("state = {state}"), UNSUCCESSFUL.to_owned()];
                listing("operations_listed_by_state", &[&of_state, &filter.conditions[..]].concat())
            })
            .collect(),
    };
    let listings = listings.join(" UNION ALL ");
    let sql = format!("{listings} ORDER BY create_time DESC, request_id DESC LIMIT {limit}");
    Ok((sql, filter.values))
}

/// What an index has, in no order yet.
fn listing(index: &str, conditions: &[String]) -> String {
    let all = if conditions.is_empty() { "" } else { " WHERE " };
    format!(
        "SELECT {} FROM operations INDEXED BY {index}{all}{}",
        row::COLUMNS,
        conditions.join(" AND ")
    )
}

/// The index that leaves the fewest rows to look at: a target has few operations and few are open,
/// while an owner or a provider may have most of them. All of them have the order of the listing.
fn index(query: &Query) -> &'static str {
    if query.target.is_some() {
        "operations_listed_by_target"
    } else if query.ended_after.is_some() {
        // Sorted afterwards: few have just ended.
        "operations_ended_at"
    } else if query.open_only {
        "operations_open"
    } else if query.owner.is_some() {
        "operations_listed_by_owner"
    } else if query.provider.is_some() {
        "operations_listed_by_provider"
    } else {
        "operations_listed"
    }
}

/// Conditions, all of which hold, and the values of their numbered places.
#[derive(Default)]
struct Filter {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Filter {
    /// All but the states.
    fn of(query: &Query) -> Result<Self, Fault> {
        let mut filter = Self::default();
        let texts =
            [("owner", &query.owner), ("provider", &query.provider), ("target", &query.target)];
        for (column, wanted) in texts {
            if let Some(wanted) = wanted {
                let place = filter.value(wanted.clone());
                filter.condition(&format!("{column} = {place}"));
            }
        }
        if !query.ops.is_empty() {
            filter.any_of("op", query.ops.iter().map(|op| *op as i32));
        }
        if let Some(time) = query.create_after {
            let place = filter.value(nanoseconds("create_after", time)?);
            filter.condition(&format!("create_time >= {place}"));
        }
        if let Some(time) = query.ended_after {
            let place = filter.value(nanoseconds("ended_after", time)?);
            filter.condition(&format!("{ENDED} AND update_time > {place}"));
        }
        if let Some((time, request_id)) = query.after {
            let time = filter.value(nanoseconds("after", time)?);
            let request_id = filter.value(request_id.as_bytes().to_vec());
            filter.condition(&format!("(create_time, request_id) < ({time}, {request_id})"));
        }
        Ok(filter)
    }

    fn condition(&mut self, condition: &str) {
        self.conditions.push(condition.to_owned());
    }

    /// The place of a value.
    fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn any_of(&mut self, column: &str, numbers: impl Iterator<Item = i32>) {
        let places: Vec<String> = numbers.map(|number| self.value(i64::from(number))).collect();
        self.condition(&format!("{column} IN ({})", places.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use purveyor_sdk::plugin::v1::Op;
    use rusqlite::params_from_iter;

    use purveyor_sdk::v1::operation::State;

    use jiff::Timestamp;

    use super::{Connection, Query, Uuid, Value, list_query};
    use crate::store::sqlite::{changes, due, holdings, retention, schema};

    /// How SQLite would run a statement.
    fn plan(sql: &str, values: Vec<Value>) -> String {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, 0).unwrap();
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let rows = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3));
        rows.unwrap().collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    }

    /// Runs by this index alone and never sorts; `full` is the one listing that may begin anywhere.
    fn check(sql: &str, values: Vec<Value>, index: &str, full: bool) {
        let plan = plan(sql, values);
        assert!(plan.contains(&format!("USING INDEX {index}")), "{plan}: {sql}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}: {sql}");
        assert_eq!(plan.contains("SCAN"), full, "{plan}: {sql}");
    }

    /// Runs by this index; what it asks beside that is the last row of a table.
    fn check_limited(sql: &str, values: Vec<Value>, index: &str) {
        let plan = plan(sql, values);
        assert!(plan.contains(&format!("SEARCH operations USING INDEX {index}")), "{plan}: {sql}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}: {sql}");
    }

    #[test]
    fn what_the_engine_asks_again_and_again_runs_by_its_index() {
        let any = || Value::from(1);
        check(&due::due_query(), vec![any(); 4], "operations_due", false);
        check(&due::waiting_query(), vec![any(); 4], "operations_waiting", false);
        check(&super::unstarted_query(), vec![any(); 4], "operations_unstarted", false);
        check(&super::blocked_query(), vec![any()], "operations_blocked", false);
        // A partial index holds nothing but what is asked for.
        check(&super::all_blocked_query(), vec![any()], "operations_blocked", false);
        check(&super::orphans_query(), vec![any()], "operations_running", true);
        for (sql, values, index) in due::next_queries() {
            let plan = plan(&sql, vec![any(); values]);
            assert!(plan.contains(&format!("USING INDEX {index}")), "{plan}: {sql}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}: {sql}");
            // The first entry of the index is where the first queue begins.
            assert_eq!(plan.contains("SCAN"), values == 0, "{plan}: {sql}");
        }
        let before = vec![any(), any(), any()];
        check_limited(retention::ENDED, before, "operations_ended");
        let by_key = [
            (holdings::CLAIMANT, 3),
            (holdings::CLAIMED_IDS, 4),
            (holdings::CLOSED_IDS, 2),
            (holdings::AGAINST, 4),
            (holdings::OPEN, 2),
        ];
        for (sql, values) in by_key {
            let plan = plan(sql, vec![any(); values]);
            assert!(plan.contains("SEARCH claims") && !plan.contains("SCAN"), "{plan}: {sql}");
        }
        let changes = plan(&changes::after_query(), vec![any(), any()]);
        assert!(!changes.contains("SCAN") && !changes.contains("TEMP B-TREE"), "{changes}");
    }

    #[test]
    fn what_has_just_ended_is_found_by_its_index_and_then_sorted() {
        let ended_after = Some(Timestamp::UNIX_EPOCH);
        let provider = Some("a".to_owned());
        let states = vec![State::Succeeded];
        let query = Query { provider, states, ended_after, ..Query::default() };
        let (sql, values) = list_query(&query).unwrap();
        let plan = plan(&sql, values);
        assert!(
            plan.contains("SEARCH operations USING INDEX operations_ended_at"),
            "{plan}: {sql}"
        );
    }

    #[test]
    fn every_listing_runs_in_the_order_of_its_index() {
        let text = |text: &str| Some(text.to_owned());
        let check = |query: &Query, index: &str, full: bool| {
            let (sql, values) = list_query(query).unwrap();
            check(&sql, values, index, full);
            // Further pages begin where the last one ended.
            let time = Timestamp::UNIX_EPOCH + Duration::from_secs(1);
            let after = Some((time, Uuid::nil()));
            let (sql, values) = list_query(&Query { after, ..query.clone() }).unwrap();
            super::tests::check(&sql, values, index, false);
        };
        let query = Query::default;
        check(&query(), "operations_listed", true);
        check(&Query { provider: text("a"), ..query() }, "operations_listed_by_provider", false);
        check(&Query { owner: text("a"), ..query() }, "operations_listed_by_owner", false);
        let target = Query { target: text("a"), owner: text("b"), open_only: true, ..query() };
        check(&target, "operations_listed_by_target", false);
        check(&Query { open_only: true, owner: text("a"), ..query() }, "operations_open", true);
        let stuck = Query { states: vec![State::NeedsOperator], ..query() };
        check(&stuck, "operations_listed_by_state", false);
        let ended = Query { states: vec![State::Failed, State::Running], ..query() };
        check(&ended, "operations_listed_by_state", false);
        let many = vec![State::Failed, State::Running, State::Cancelled, State::Failed];
        let many = Query { states: many, open_only: true, owner: text("a"), ..query() };
        check(&many, "operations_listed_by_state", false);
        let succeeded = Query { states: vec![State::Failed, State::Succeeded], ..query() };
        check(&succeeded, "operations_listed", true);
        let ops = Query { ops: vec![Op::PayOrder], owner: text("a"), ..query() };
        check(&ops, "operations_listed_by_owner", false);
    }
}
