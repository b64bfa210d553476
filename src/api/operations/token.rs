//! What the tokens of ListOperations and WatchOperations say: where to go on. Their seal is the
//! engine's; here stands what is inside.

use std::time::Duration;

use jiff::Timestamp;
use prost::Message as _;
use purveyor_sdk::v1::{ErrorReason, OperationFilter};
use purveyor_sdk::{Error, Result};
use uuid::Uuid;

use crate::api::limits::RESUME_VALIDITY;
use crate::engine::Caller;
use crate::engine::page_token::PageTokens;
use crate::store::Positions;
use crate::store::operation::Operation;

/// What page tokens are sealed for.
const PAGES: &str = "operations";

/// What resume tokens are sealed for, so that neither passes as the other.
const WATCHES: &str = "operations/watch";

/// A row's place in the order of the listing.
pub(super) type Row = (Timestamp, Uuid);

/// How far a watcher has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The last change that was sent, or that was there when the watch began.
    pub(super) position: u64,
    /// While what matched at the beginning is being sent: the last row sent, if any.
    pub(super) listing: Option<Option<Row>>,
}

/// What a token belongs to: a caller and a filter.
pub(super) fn fingerprint(caller: &Caller, filter: Option<&OperationFilter>) -> Vec<u8> {
    let filter = filter.cloned().unwrap_or_default().encode_to_vec();
    let mut fingerprint = vec![u8::from(caller.operator)];
    fingerprint.extend((caller.owner.len() as u64).to_be_bytes());
    fingerprint.extend(caller.owner.as_bytes());
    fingerprint.extend(filter);
    fingerprint
}

/// The token of the page after `last`.
pub(super) fn seal_page(tokens: &PageTokens, list: &[u8], last: &Operation) -> String {
    tokens.seal(PAGES, list, &row_bytes((last.create_time, last.request_id)))
}

/// The last row of the page before; `None` on the first page.
///
/// # Errors
///
/// PAGE_TOKEN_INVALID.
pub(super) fn open_page(tokens: &PageTokens, list: &[u8], token: &str) -> Result<Option<Row>> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = tokens.open(PAGES, list, token)?;
    row(&bytes).map(Some).ok_or_else(not_ours)
}

/// A resume token, good from `now` on.
pub(super) fn seal_watch(
    tokens: &PageTokens,
    list: &[u8],
    cursor: Cursor,
    now: Timestamp,
) -> String {
    let mut bytes = now.as_second().to_be_bytes().to_vec();
    bytes.extend(cursor.position.to_be_bytes());
    match cursor.listing {
        None => {}
        Some(None) => bytes.push(0),
        Some(Some(row)) => {
            bytes.push(1);
            bytes.extend(row_bytes(row));
        }
    }
    tokens.seal(WATCHES, list, &bytes)
}

/// Where a watcher goes on.
///
/// # Errors
///
/// PAGE_TOKEN_INVALID; RESUME_TOKEN_EXPIRED when the token is too old, or the store does not keep
/// every change after it.
pub(super) fn open_watch(
    tokens: &PageTokens,
    list: &[u8],
    token: &str,
    now: Timestamp,
    kept: Positions,
) -> Result<Cursor> {
    let bytes = tokens.open(WATCHES, list, token)?;
    let (sealed, cursor) = cursor(&bytes).ok_or_else(not_ours)?;
    let age = now.as_second().saturating_sub(sealed);
    let fresh = u64::try_from(age).map(Duration::from_secs).unwrap_or_default() <= RESUME_VALIDITY;
    let all_kept = cursor.position == kept.last
        || (cursor.position < kept.last && kept.oldest <= cursor.position + 1);
    if fresh && all_kept {
        return Ok(cursor);
    }
    let message = "the resume token is too old; watch from the beginning";
    Err(Error::new(ErrorReason::ResumeTokenExpired, message))
}

fn cursor(bytes: &[u8]) -> Option<(i64, Cursor)> {
    let (sealed, rest) = bytes.split_first_chunk::<8>()?;
    let (position, rest) = rest.split_first_chunk::<8>()?;
    let listing = match rest {
        [] => None,
        [0] => Some(None),
        [1, bytes @ ..] => Some(Some(row(bytes)?)),
        _ => return None,
    };
    Some((i64::from_be_bytes(*sealed), Cursor { position: u64::from_be_bytes(*position), listing }))
}

fn row_bytes((time, request_id): Row) -> Vec<u8> {
    let mut bytes = time.as_nanosecond().to_be_bytes().to_vec();
    bytes.extend(request_id.as_bytes());
    bytes
}

fn row(bytes: &[u8]) -> Option<Row> {
    let (time, rest) = bytes.split_first_chunk::<16>()?;
    let time = Timestamp::from_nanosecond(i128::from_be_bytes(*time)).ok()?;
    Some((time, Uuid::from_bytes(rest.try_into().ok()?)))
}

fn not_ours() -> Error {
    Error::new(ErrorReason::PageTokenInvalid, "the token is not one of this list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_as_they_went() {
        let row = (Timestamp::from_second(1_700_000_000).unwrap(), Uuid::from_u128(7));
        for listing in [None, Some(None), Some(Some(row))] {
            let cursor_in = Cursor { position: u64::MAX - 1, listing };
            let mut bytes = 9_i64.to_be_bytes().to_vec();
            bytes.extend(cursor_in.position.to_be_bytes());
            match listing {
                None => {}
                Some(None) => bytes.push(0),
                Some(Some(row)) => {
                    bytes.push(1);
                    bytes.extend(row_bytes(row));
                }
            }
            assert_eq!(cursor(&bytes), Some((9, cursor_in)));
            bytes.push(3);
            assert_eq!(cursor(&bytes), None, "a longer one is none");
        }
        assert_eq!(cursor(&[]), None);
    }
}
