//! Lists of orders and renewals: ours that are under way or that the upstream never saw first, then
//! the upstream's pages, in which what is ours has our name. Nothing is listed under two names.

use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use prost::Message;
use purveyor_sdk::etag;
use purveyor_sdk::names::ProviderName;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{ErrorReason, ListView};
use purveyor_sdk::{Error, Result};
use uuid::Uuid;

use super::{Asked, ListRequest, Page, PageOf, Rows, list};
use crate::engine::Engine;
use crate::engine::call::Call;
use crate::engine::made_here::{Made, dressed, foreign, recorded, upstream_ids};
use crate::engine::naming::{Found, Source, is_named};
use crate::engine::page_token::PageTokens;
use crate::engine::reading::{about, naming, read};
use crate::store::operation::Operation;
use crate::store::{PAGE_MAX, Query};

/// How many pages of the journal one call looks through, so that it answers soon; the list goes on
/// with the next page.
const LOOKS: usize = 5;

/// The states in which the upstream may not list what the operation made, or not as it is.
const NOT_LISTED: [State; 8] = [
    State::Accepted,
    State::Running,
    State::WaitingUpstream,
    State::OutcomeUnknown,
    State::Reconciling,
    State::NeedsOperator,
    State::Failed,
    State::Cancelled,
];

/// A noun that is made here and can be listed.
pub(in crate::engine) trait MadeList: Made {
    /// The upstream's list.
    const LIST: Op;
    /// Its request.
    type Request: ListRequest + Clone + Send + Sync + 'static;
    /// Its answer.
    type Response: Message + Default;

    /// The rows of an answer, and the upstream's cursor.
    fn rows(response: Self::Response) -> (Vec<Self>, String);

    /// How much of each row the caller wants.
    fn view(request: &Self::Request) -> ListView;

    /// The read of this one.
    ///
    /// # Errors
    ///
    /// Those of the provider.
    fn read(
        page: &PageOf,
        name: &str,
        upstream_ids: &[String],
    ) -> impl Future<Output = Result<Self>> + Send;

    /// Whether it passes the request's filters.
    fn matches(&self, request: &Self::Request) -> bool;
}

/// Where a list goes on. `since` is the time of the list's first page, the same on every page: a row
/// stands among ours or among the upstream's by what was true then, however far it comes meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cursor {
    /// At the beginning.
    Start,
    /// Among ours, after this one.
    Ours { since: Timestamp, after: (Timestamp, Uuid) },
    /// In the upstream's list; what was open at `since` was listed among ours.
    Upstream { since: Timestamp, cursor: String },
}

impl Cursor {
    fn encode(&self) -> Vec<u8> {
        match self {
            Cursor::Start => Vec::new(),
            Cursor::Ours { since, after: (time, id) } => {
                format!("w {} {} {id}", since.as_nanosecond(), time.as_nanosecond()).into_bytes()
            }
            Cursor::Upstream { since, cursor } => {
                format!("u {} {cursor}", since.as_nanosecond()).into_bytes()
            }
        }
    }

    fn decode(bytes: &[u8]) -> Result<Cursor> {
        if bytes.is_empty() {
            return Ok(Cursor::Start);
        }
        let moment = |text: &str| Timestamp::from_nanosecond(text.parse().ok()?).ok();
        let parsed = || {
            let text = std::str::from_utf8(bytes).ok()?;
            let mut parts = text.splitn(3, ' ');
            let (kind, since, rest) = (parts.next()?, moment(parts.next()?)?, parts.next()?);
            match kind {
                "w" => {
                    let (time, id) = rest.split_once(' ')?;
                    let after = (moment(time)?, Uuid::parse_str(id).ok()?);
                    Some(Cursor::Ours { since, after })
                }
                "u" => Some(Cursor::Upstream { since, cursor: rest.to_owned() }),
                _ => None,
            }
        };
        parsed().ok_or_else(|| {
            Error::new(ErrorReason::PageTokenInvalid, "the token is not of this list")
        })
    }
}

impl Engine {
    /// One order or renewal, made here or elsewhere.
    ///
    /// # Errors
    ///
    /// ORDER_NOT_FOUND or RENEWAL_NOT_FOUND, and those of the provider.
    pub(in crate::engine) async fn get_made<T: MadeList>(
        &self,
        call: &Call,
        name: &ProviderName,
        id: &str,
    ) -> Result<T> {
        let (provider, source) = self.readable(name, T::GET, &[T::MADE_BY])?;
        let found = self.find_made::<T>(&provider, name, id).await?;
        self.show_found(&PageOf::one(provider, name, source, call), found).await
    }

    /// The orders or renewals of one provider, or of all.
    ///
    /// # Errors
    ///
    /// Those of [`list`].
    pub(in crate::engine) async fn list_made<T: MadeList>(
        &self,
        tokens: &PageTokens,
        call: &Call,
        asked: Asked<'_>,
        request: &T::Request,
    ) -> Result<Rows<T>> {
        let shared = Arc::new(request.clone());
        list(self, tokens, call, asked, |page| {
            let (engine, request) = (self.clone(), Arc::clone(&shared));
            async move { engine.made_page::<T>(page, &request).await }.boxed()
        })
        .await
    }

    /// One page of one provider's orders or renewals.
    ///
    /// # Errors
    ///
    /// PAGE_TOKEN_INVALID, STORE_UNAVAILABLE, and those of the provider.
    pub(in crate::engine) async fn made_page<T: MadeList>(
        &self,
        page: PageOf,
        request: &T::Request,
    ) -> Result<Page<T>> {
        let (mut rows, since, cursor) = match Cursor::decode(&page.cursor)? {
            Cursor::Upstream { since, cursor } => (Vec::new(), since, cursor),
            start => {
                let (since, after) = match start {
                    Cursor::Ours { since, after } => (since, Some(after)),
                    _ => (self.settled_time(), None),
                };
                let (rows, next) = self.our_rows::<T>(&page, request, since, after).await?;
                if let Some(after) = next {
                    return Ok(Page { rows, next: Some(Cursor::Ours { since, after }.encode()) });
                }
                if page.source == Source::Records {
                    return Ok(Page { rows, next: None });
                }
                if rows.len() >= page.size {
                    let next = Cursor::Upstream { since, cursor: String::new() };
                    return Ok(Page { rows, next: Some(next.encode()) });
                }
                (rows, since, String::new())
            }
        };
        let asked = request.for_page(page.name.to_string(), page.size - rows.len(), cursor);
        let response: T::Response =
            read(&page.provider, T::LIST, &asked, &[], page.deadline).await?;
        let (live, cursor) = T::rows(response);
        for live in live {
            if let Some(row) = self.upstream_row(&page, request, live, since).await?
                && row.matches(request)
            {
                rows.push(row);
            }
        }
        let next = (!cursor.is_empty()).then(|| Cursor::Upstream { since, cursor }.encode());
        Ok(Page { rows, next })
    }

    /// Ours that the upstream did not list, or not as they were, at the time of the list's first page,
    /// newest first, and where they go on.
    async fn our_rows<T: MadeList>(
        &self,
        page: &PageOf,
        request: &T::Request,
        since: Timestamp,
        mut after: Option<(Timestamp, Uuid)>,
    ) -> Result<(Vec<T>, Option<(Timestamp, Uuid)>)> {
        let mut rows = Vec::new();
        for _ in 0..LOOKS {
            let (operations, last) = self.our_operations::<T>(page, since, after).await?;
            for operation in operations {
                if rows.len() == page.size {
                    return Ok((rows, after));
                }
                after = Some((operation.create_time, operation.request_id));
                if page.source == Source::Records || listed_first(&operation, since) {
                    let row = self.our_row::<T>(page, request, &operation).await?;
                    rows.extend(row.matches(request).then_some(row));
                }
            }
            if last {
                return Ok((rows, None));
            }
        }
        Ok((rows, after))
    }

    /// Operations that may stand among our rows, newest first, and whether these are the last.
    ///
    /// What has succeeded since the list began is asked for after what has not: an operation that ends
    /// between the two questions is found by both, and one that ended before by the second.
    async fn our_operations<T: MadeList>(
        &self,
        page: &PageOf,
        since: Timestamp,
        after: Option<(Timestamp, Uuid)>,
    ) -> Result<(Vec<Operation>, bool)> {
        let query = our_query::<T>(page, after);
        let mut operations = self.store().list(&query).await?;
        let mut last = operations.len() < PAGE_MAX;
        if page.source == Source::Upstream {
            let ended = Query { states: vec![State::Succeeded], ended_after: Some(since), ..query };
            let ended = self.store().list(&ended).await?;
            last &= ended.len() < PAGE_MAX;
            operations.retain(|it| ended.iter().all(|other| other.request_id != it.request_id));
            operations.extend(ended);
            operations.sort_by_key(|it| std::cmp::Reverse((it.create_time, it.request_id)));
            operations.truncate(PAGE_MAX);
        }
        Ok((operations, last))
    }

    async fn our_row<T: MadeList>(
        &self,
        page: &PageOf,
        request: &T::Request,
        operation: &Operation,
    ) -> Result<T> {
        if T::view(request) == ListView::Full {
            return self.show_made(page, operation).await;
        }
        let mut row: T = recorded(&page.name, operation)?;
        if page.source == Source::Upstream && !upstream_ids(operation).is_empty() {
            // The upstream knows more of it than is shown here.
            row.etag_mut().clear();
        }
        Ok(row)
    }

    /// One that was made here: as the upstream tells it now where it knows it, else as recorded.
    ///
    /// # Errors
    ///
    /// STORE_UNAVAILABLE, and those of the provider but that there is none.
    pub(in crate::engine) async fn show_made<T: MadeList>(
        &self,
        page: &PageOf,
        operation: &Operation,
    ) -> Result<T> {
        let upstream_ids = upstream_ids(operation);
        let renamed = page.under(self.providers().get(&operation.provider));
        let page = renamed.as_ref().unwrap_or(page);
        let readable = page.provider.method(T::GET).is_some();
        if upstream_ids.is_empty() || !readable {
            return recorded(&page.name, operation);
        }
        match T::read(page, &operation.target, &upstream_ids).await {
            Ok(live) => dressed(live, &page.name, operation, true),
            // It was made; that the upstream does not show it yet, or not any more, unmakes nothing.
            Err(error) if error.reason == T::NOT_FOUND => recorded(&page.name, operation),
            Err(error) => Err(error),
        }
    }

    /// What a name stands for, made here or elsewhere.
    ///
    /// # Errors
    ///
    /// ORDER_NOT_FOUND or RENEWAL_NOT_FOUND, STORE_UNAVAILABLE, and those of the provider.
    pub(in crate::engine) async fn show_found<T: MadeList>(
        &self,
        page: &PageOf,
        found: Found,
    ) -> Result<T> {
        if let Some(operation) = found.operation.as_ref().filter(|it| it.op == T::MADE_BY) {
            return self.show_made(page, operation).await;
        }
        if page.provider.method(T::GET).is_none() {
            let message = format!("there is no {}", found.name);
            let error = Error::new(T::NOT_FOUND, message).with_metadata("resource", found.name);
            return Err(self.absent(naming(&page.provider, error)));
        }
        let live = T::read(page, &found.name, &found.upstream_ids).await;
        let live = live.map_err(|error| match about(error, &found.name) {
            // The name may be one of ours.
            error if error.reason == T::NOT_FOUND => self.absent(error),
            error => error,
        })?;
        let asked = found.upstream_ids.first().map_or("", String::as_str);
        let shown = foreign(live, &page.name, asked, found.operation.as_ref())?;
        let tagged = !shown.clone().etag_mut().is_empty();
        Ok(if tagged { shown } else { etag::seal(shown) })
    }

    /// A row of the upstream's list under its one name; `None` where it is listed elsewhere.
    async fn upstream_row<T: MadeList>(
        &self,
        page: &PageOf,
        request: &T::Request,
        live: T,
        since: Timestamp,
    ) -> Result<Option<T>> {
        let id = live.upstream_ids().first().cloned().unwrap_or_default();
        let maker = self.maker(&page.provider, &id).await?;
        let Some(operation) = maker.as_ref().filter(|maker| is_named::<T>(maker, &id)) else {
            return foreign(live, &page.name, &id, maker.as_ref()).map(Some);
        };
        // What another provider of this account has made stands among that provider's own rows alone.
        if page.provider.config().has_id(&operation.provider) && listed_first(operation, since) {
            return Ok(None);
        }
        let whole = upstream_ids(operation);
        if whole.first().is_some_and(|first| *first != id) {
            // Another part of the same order.
            return Ok(None);
        }
        if whole.len() > 1 && whole != live.upstream_ids() {
            // The row is one part of several; the whole is known here.
            return self.our_row(page, request, operation).await.map(Some);
        }
        let full = !live.clone().etag_mut().is_empty();
        dressed(live, &page.name, operation, full).map(Some)
    }
}

/// What is asked of the journal for our rows.
fn our_query<T: MadeList>(page: &PageOf, after: Option<(Timestamp, Uuid)>) -> Query {
    Query {
        states: match page.source {
            Source::Upstream => NOT_LISTED.to_vec(),
            Source::Records => Vec::new(),
        },
        provider: Some(page.provider.id().to_owned()),
        formerly: page.provider.config().formerly.clone(),
        ops: vec![T::MADE_BY],
        after,
        limit: PAGE_MAX,
        ..Query::default()
    }
}

/// Whether an operation stands among our rows in a list that began at `since`: it had not ended then,
/// or the upstream never saw it. One rule for our rows and for the upstream's, whose answer stays the
/// same while the operation goes on, so that no row of a list is shown twice or left out. What was
/// accepted after the first page stands before it, and in no later page.
fn listed_first(operation: &Operation, since: Timestamp) -> bool {
    let had_ended = operation.done() && operation.update_time <= since;
    let never_seen = operation.state != State::Succeeded && upstream_ids(operation).is_empty();
    !had_ended || never_seen
}

/// Whether a row passes `create_after`; one whose time nobody tells does not.
pub(in crate::engine) fn not_before(
    time: Option<&prost_types::Timestamp>,
    after: Option<&prost_types::Timestamp>,
) -> bool {
    after.is_none_or(|after| {
        time.is_some_and(|time| (time.seconds, time.nanos) >= (after.seconds, after.nanos))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use purveyor_sdk::plugin::v1::Op;
    use purveyor_sdk::v1::{ErrorReason, UpstreamRef};

    use super::{Cursor, State, Timestamp, Uuid, listed_first};
    use crate::engine::made_here::tests::operation;

    #[test]
    fn listed_first_stays_true_while_an_operation_goes_on() {
        let since = Timestamp::UNIX_EPOCH + Duration::from_secs(10);
        let check = |state: State, changed: u64, id: &str, expected: bool| {
            let mut operation = operation(Op::CreateOrder, state);
            operation.update_time = Timestamp::UNIX_EPOCH + Duration::from_secs(changed);
            operation.upstream = UpstreamRef::of(id);
            assert_eq!(listed_first(&operation, since), expected, "{state:?} {changed} {id}");
        };
        for id in ["", "7"] {
            check(State::Accepted, 5, id, true);
            check(State::WaitingUpstream, 15, id, true);
            // It ends after the list has begun.
            check(State::Succeeded, 15, id, true);
            check(State::Failed, 15, id, true);
            // It had ended before.
            check(State::Succeeded, 5, id, false);
        }
        check(State::Failed, 5, "7", false);
        check(State::Failed, 5, "", true);
    }

    #[test]
    fn cursors_survive_the_token() {
        let time = Timestamp::from_nanosecond(1_700_000_000_123_456_789).unwrap();
        for cursor in [
            Cursor::Start,
            Cursor::Ours { since: time, after: (time, Uuid::from_u128(7)) },
            Cursor::Upstream { since: time, cursor: String::new() },
            Cursor::Upstream { since: time, cursor: "a b\nc".to_owned() },
        ] {
            assert_eq!(Cursor::decode(&cursor.encode()).unwrap(), cursor);
        }
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        for bytes in
            [&b"x"[..], b"w 1", b"w x y z", b"w 1 y", b"w 1 2 y", b"u x y", b"z 1 2", b"\xff\xff"]
        {
            let error = Cursor::decode(bytes).unwrap_err();
            assert_eq!(error.reason, ErrorReason::PageTokenInvalid, "{bytes:?}");
        }
    }
}
