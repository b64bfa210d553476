//! Orders of the account that renew a service too, whoever made them. One that is being paid or delivered
//! stands against a further renewal; an unpaid one costs nothing and does not.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::rows::Gaps;
use purveyor_sdk::time::to_rfc3339;
use purveyor_sdk::v1::{ErrorReason, UpstreamRef};
use purveyor_sdk::{Cx, Error, Period, Result};

use super::Ovh;
use super::order_view::Line;
use crate::model::Status;

/// How old an order can be that is still being paid or delivered: it lapses unpaid within a day.
const AGE_SECONDS: i64 = 48 * 3600;

/// The most orders that are remembered; the oldest are forgotten first, and read again.
const KNOWN_MAX: usize = 10_000;

/// The name of a line that tells none.
const ANY: &str = "*";

/// What never changes of orders.
#[derive(Debug, Default)]
pub(super) struct KnownOrders(Mutex<BTreeMap<i64, Known>>);

#[derive(Debug, Clone, Default, PartialEq)]
struct Known {
    /// The names of the services that it renews.
    names: Vec<String>,
    /// For how many months, where it tells.
    months: Option<u32>,
    /// Its last word, once it has said it.
    last: Option<Status>,
}

/// Another order that renews a service.
#[derive(Debug)]
pub(super) struct Other {
    pub(super) id: i64,
    names: Vec<String>,
    /// The months that it adds, where it tells.
    pub(super) months: Option<u32>,
    status: Status,
    /// Its payment shows, although its word denies it.
    paid: bool,
}

impl KnownOrders {
    /// Remembers which services an order renews, and for how many months.
    pub(super) fn add(&self, order: i64, names: &[String], months: Option<u32>) {
        self.put(order, Known { names: names.to_vec(), months, last: None });
    }

    fn put(&self, order: i64, known: Known) {
        let mut all = self.lock();
        all.insert(order, known);
        while all.len() > KNOWN_MAX {
            all.pop_first();
        }
    }

    fn get(&self, order: i64) -> Option<Known> {
        self.lock().get(&order).cloned()
    }

    /// The data is whole after every statement.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<i64, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Other {
    /// Whether it is being paid or delivered. A word that is not known may say so.
    pub(super) fn is_at_work(&self) -> bool {
        let ended = self.status.is_delivered() || self.status.is_cancelled();
        let word = self.status.0.as_str();
        !ended && (self.paid || !(self.status.is_unpaid() || word == "cancelling"))
    }

    /// Whether nothing is paid, or it was cancelled: it has moved no end.
    pub(super) fn is_unpaid(&self) -> bool {
        self.status.is_cancelled() || (self.status.is_unpaid() && !self.paid)
    }

    /// Whether its payment was taken, so that it may have moved an end.
    pub(super) fn is_paid(&self) -> bool {
        self.paid || self.status.is_paid()
    }

    /// What the upstream says of it.
    pub(super) fn upstream(&self) -> UpstreamRef {
        UpstreamRef {
            ids: vec![self.id.to_string()],
            r#type: "order".to_owned(),
            state: self.status.0.clone(),
            ..UpstreamRef::default()
        }
    }

    /// Whether it has said its last word of success.
    pub(super) fn is_delivered(&self) -> bool {
        self.status.is_delivered()
    }

    /// Whether it renews the service of this name, as far as it tells.
    pub(super) fn renews(&self, service: &str) -> bool {
        self.names.iter().any(|name| name == ANY || name == service)
    }
}

impl Ovh {
    /// Refuses a renewal of services that another order renews just now.
    ///
    /// # Errors
    ///
    /// STATE_CONFLICT, naming the order.
    pub(super) async fn check_free(
        &self,
        cx: &Cx,
        names: &[String],
        own: Option<i64>,
    ) -> Result<()> {
        let others = self.others(cx, names, own).await?;
        let Some(other) = others.iter().find(|other| other.is_at_work()) else { return Ok(()) };
        let (name, word) = (self.name.order(other.id)?, &other.status.0);
        let message = format!("{name} renews a service too and is being paid or delivered: {word}");
        let error = Error::state(message).with_metadata("upstream_order", other.id);
        Err(error.with_metadata("order", name).with_upstream_code(word))
    }

    /// The orders of the last two days that renew one of these services, but for `own`.
    pub(super) async fn others(
        &self,
        cx: &Cx,
        names: &[String],
        own: Option<i64>,
    ) -> Result<Vec<Other>> {
        let mut others = Vec::new();
        if names.is_empty() {
            return Ok(others);
        }
        // Whichever clock is behind: an order too many is read, and none is missed.
        let now = self.client.upstream_now(cx).await?.min(cx.now().seconds);
        let since = to_rfc3339(&Timestamp { seconds: now - AGE_SECONDS, nanos: 0 })?;
        for id in self.client.orders(cx, Some(&since)).await? {
            if own == Some(id) {
                continue;
            }
            match self.other(cx, id, names).await {
                Ok(other) => others.extend(other),
                // It went away between the list and the look.
                Err(error) if error.reason == ErrorReason::OrderNotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(others)
    }

    pub(super) async fn other(&self, cx: &Cx, id: i64, names: &[String]) -> Result<Option<Other>> {
        let known = match self.known.get(id) {
            Some(known) => Some(known),
            None => {
                let mut gaps = Gaps::default();
                let lines = self.known_lines(cx, id, &mut gaps).await?;
                let months = months_of(&lines).filter(|_| gaps.is_empty());
                let known = names_of(&lines).map(|names| Known { names, months, last: None });
                // A line that could not be read may be about anything, until it can.
                let known = known.filter(|_| gaps.is_empty());
                if let Some(known) = &known {
                    self.known.put(id, known.clone());
                }
                known
            }
        };
        // Lines that are not told yet may be about anything.
        let any = || Known { names: vec![ANY.to_owned()], ..Known::default() };
        let told = known.clone().unwrap_or_else(any);
        let mut other = Other {
            id,
            names: told.names,
            months: told.months,
            status: told.last.clone().unwrap_or_default(),
            paid: false,
        };
        if !names.iter().any(|name| other.renews(name)) {
            return Ok(None);
        }
        if told.last.is_some() {
            return Ok(Some(other));
        }
        other.status = self.client.status(cx, id).await?;
        let ended = other.status.is_delivered() || other.status.is_cancelled();
        if let Some(known) = known.filter(|_| ended) {
            self.known.put(id, Known { last: Some(other.status.clone()), ..known });
        }
        other.paid = other.status.is_unpaid() && self.client.payment(cx, id).await? == Some(true);
        Ok(Some(other))
    }
}

/// The names of the services that lines renew, `*` where a line does not tell; `None` where the order does
/// not tell its lines yet.
pub(super) fn names_of(lines: &[Line]) -> Option<Vec<String>> {
    if lines.is_empty() {
        return None;
    }
    let name = |line: &Line| match line.detail.domain.as_str() {
        "" => ANY.to_owned(),
        name => name.to_owned(),
    };
    // A line that does not tell what it is for may renew.
    let renewing = lines.iter().filter(|line| line.renews() != Some(false));
    Some(renewing.map(name).collect())
}

/// The months that lines add, where they tell.
pub(super) fn months_of(lines: &[Line]) -> Option<u32> {
    let word = lines.iter().find_map(|line| line.extension.as_ref()?.0.duration())?;
    match word.parse() {
        Ok(Period::Months(months)) => Some(months),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Other, Status};

    #[test]
    fn orders_at_work() {
        fn check(word: &str, paid: bool, expected: bool) {
            let status = Status(word.to_owned());
            let other = Other { id: 1, names: Vec::new(), months: None, status, paid };
            assert_eq!(other.is_at_work(), expected, "{word} {paid}");
        }
        check("notPaid", false, false);
        check("notPaid", true, true);
        for word in ["checking", "delivering", "documentsRequested", "unknown", "shipped"] {
            check(word, false, true);
        }
        for word in ["delivered", "cancelled", "cancelling"] {
            check(word, false, false);
        }
    }
}
