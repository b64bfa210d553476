//! operation.list, count, info and cancel. Filters and order work on the members of the answers,
//! so that a caller can filter by exactly what it can see.

use std::cmp::Ordering;

use dxr::Value;
use jiff::tz::TimeZone;

use super::account::Account;
use super::fault_code::{Cause, GandiFault, Object};
use super::methods::Visit;
use super::operation::{Operation, Step};
use super::params::{self, Members};
use super::state::not_found;

/// The page size when none is asked for. Assumption: a caller may ask for any.
const PAGE: usize = 100;

/// operation.list(apikey, opts).
pub(super) fn list(visit: &mut Visit<'_>) -> Result<Value, GandiFault> {
    params::check_count(visit.params, 1, 2)?;
    let mut opts = Members::of(visit.params.get(1))?;
    let page = opts.take("page").map_or(Ok(0), |value| params::natural(&value, 0))?;
    let size = opts.take("items_per_page").map_or(Ok(PAGE), |value| params::natural(&value, 1))?;
    let order = opts.take("sort_by").map(|value| SortBy::read(&value)).transpose()?;
    let order = order.unwrap_or_default();
    let mut found = matching(visit, opts)?;
    found.sort_by(|one, other| order.compare(one, other));
    let found = found.into_iter().skip(page.saturating_mul(size)).take(size);
    let (account, world, now) = (visit.account()?, &visit.world, visit.moment.now);
    let told = found
        .map(|Shown { operation, .. }| operation.value(account, now, &world.mode, &world.zone));
    Ok(Value::Array(told.collect()))
}

/// operation.count(apikey, opts).
pub(super) fn count(visit: &mut Visit<'_>) -> Result<Value, GandiFault> {
    params::check_count(visit.params, 1, 2)?;
    let mut opts = Members::of(visit.params.get(1))?;
    for name in ["page", "items_per_page", "sort_by"] {
        opts.take(name);
    }
    let count = matching(visit, opts)?.len();
    i32::try_from(count).map(Value::Integer).map_err(GandiFault::internal)
}

/// operation.info(apikey, id).
pub(super) fn info(visit: &mut Visit<'_>) -> Result<Value, GandiFault> {
    let id = own_operation(visit)?.id;
    value_of(visit, id)
}

/// operation.cancel(apikey, id): only while the operation is in BILL or WAIT; what was paid for it
/// comes back.
///
/// Assumption: these two are the steps the upstream lets go of.
pub(super) fn cancel(visit: &mut Visit<'_>) -> Result<Value, GandiFault> {
    let operation = own_operation(visit)?;
    let (id, step) = (operation.id, operation.step);
    if !matches!(step, Step::Bill | Step::Wait) {
        let detail = format!("operation is in step {}", step.name());
        return Err(GandiFault::caller(Object::Operation, Cause::InvalidStep, detail));
    }
    if !visit.world.mode.cancels_in_vain {
        visit.world.reach(visit.moment, id, Step::Cancel, visit.moment.now)?;
    }
    Ok(Value::Boolean(true))
}

fn own_operation<'a>(visit: &'a Visit<'_>) -> Result<&'a Operation, GandiFault> {
    params::check_count(visit.params, 2, 2)?;
    let id = visit.params.get(1).map_or(Ok(0), params::integer)?;
    let operation = visit.world.operations.get(&id);
    operation.filter(|found| found.account == visit.position).ok_or_else(not_found)
}

fn value_of(visit: &Visit<'_>, id: i32) -> Result<Value, GandiFault> {
    let operation = visit.world.operations.get(&id).ok_or_else(not_found)?;
    let world = &visit.world;
    Ok(operation.value(visit.account()?, visit.moment.now, &world.mode, &world.zone))
}

/// The caller's operations that are listed already and pass every filter.
fn matching<'a>(visit: &'a Visit<'_>, mut opts: Members) -> Result<Vec<Shown<'a>>, GandiFault> {
    let filters = Filter::take_all(&mut opts)?;
    opts.finish()?;
    let (account, world, now) = (visit.account()?, &visit.world, visit.moment.now);
    let own = world.operations.values().filter(|operation| operation.account == visit.position);
    let listed = own.filter(|operation| operation.is_listed(now, &world.mode));
    let shown = listed.map(|operation| Shown { operation, account, zone: &world.zone });
    Ok(shown.filter(|shown| filters.iter().all(|filter| filter.passes(shown))).collect())
}

/// An operation whose members are looked at one by one: whole answers for all that a list leaves
/// out would make long torture runs slow.
struct Shown<'a> {
    operation: &'a Operation,
    account: &'a Account,
    zone: &'a TimeZone,
}

impl Shown<'_> {
    fn member(&self, name: &str) -> Value {
        self.operation.member(name, self.account, self.zone)
    }
}

/// One condition on one member.
struct Filter {
    member: &'static str,
    /// How the member must compare with one of the values.
    wanted: Ordering,
    values: Vec<Value>,
}

impl Filter {
    fn take_all(opts: &mut Members) -> Result<Vec<Self>, GandiFault> {
        let mut filters = Vec::new();
        for member in Operation::MEMBERS {
            let signs = [("", Ordering::Equal), (">", Ordering::Greater), ("<", Ordering::Less)];
            for (sign, wanted) in signs {
                let dated = member.starts_with("date_");
                let Some(value) = opts.take(&format!("{sign}{member}")) else { continue };
                let values = match value {
                    Value::Array(values) => values,
                    value => vec![value],
                };
                let fits = |value: &Value| dated == matches!(value, Value::DateTime(_));
                if !values.iter().all(fits) {
                    let object = if dated { Object::Date } else { Object::List };
                    let detail = format!("{sign}{member}");
                    return Err(GandiFault::caller(object, Cause::Type, detail));
                }
                filters.push(Self { member, wanted, values });
            }
        }
        Ok(filters)
    }

    fn passes(&self, shown: &Shown<'_>) -> bool {
        let actual = shown.member(self.member);
        self.values.iter().any(|value| compare(&actual, value) == Some(self.wanted))
    }
}

/// The order of a list.
struct SortBy {
    member: String,
    descending: bool,
}

impl Default for SortBy {
    /// Assumption: oldest first when no order is asked for.
    fn default() -> Self {
        Self { member: "id".to_owned(), descending: false }
    }
}

impl SortBy {
    fn read(value: &Value) -> Result<Self, GandiFault> {
        let text = params::text(value)?;
        let mut words = text.split_whitespace();
        let (member, direction) = (words.next().unwrap_or_default(), words.next());
        let descending = match direction {
            None | Some("ASC") => Some(false),
            Some("DESC") => Some(true),
            Some(_) => None,
        };
        match descending.filter(|_| Operation::MEMBERS.contains(&member) && words.next().is_none())
        {
            Some(descending) => Ok(Self { member: member.to_owned(), descending }),
            None => Err(GandiFault::caller(Object::String, Cause::Value, "sort_by")),
        }
    }

    /// Equal members are ordered by id, in the same direction.
    fn compare(&self, one: &Shown<'_>, other: &Shown<'_>) -> Ordering {
        let by = |member: &str| {
            compare(&one.member(member), &other.member(member)).unwrap_or(Ordering::Equal)
        };
        let order = by(&self.member).then_with(|| by("id"));
        if self.descending { order.reverse() } else { order }
    }
}

/// The order of two values of one kind; none for values of different kinds.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Integer(one), Value::Integer(other)) => Some(one.cmp(other)),
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        // The spelling of dates sorts as they do.
        (Value::DateTime(one), Value::DateTime(other)) => {
            Some(one.to_string().cmp(&other.to_string()))
        }
        _ => None,
    }
}
