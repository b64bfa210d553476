//! Lists of one provider, or of all of them (`providers/-`): in name order, asked in parallel, each
//! with a time of its own, so that a slow upstream hides nobody else's rows.
//!
//! What a row means is the nouns' affair. A page may be short or empty; only an empty token ends.

pub(super) mod made;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use prost::Message;
use purveyor_sdk::names::{Parent, ProviderName};
use purveyor_sdk::page;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::{
    ErrorReason, ListOrdersRequest, ListPaymentMethodsRequest, ListProductsRequest,
    ListRenewalOptionsRequest, ListRenewalsRequest, ListServicesRequest,
};
use purveyor_sdk::{Error, Result};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Engine;
use super::call::Call;
use super::naming::{Source, parse, source};
use super::page_token::PageTokens;
use super::reading::naming;
use crate::plugin::Provider;

/// How many providers are asked at a time: beyond that a page would be thrown away more often than
/// shown.
const WINDOW: usize = 8;
/// How long one provider of several may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of a page's rows: half of what an answer may have.
pub(super) const PAGE_BYTES: usize = 2 * 1024 * 1024;
/// What is left of the caller's deadline to put the answer together.
const MARGIN: Duration = Duration::from_millis(100);

/// An answer, and the providers that could not be asked.
#[derive(Debug)]
pub struct Listed<R> {
    /// The answer, without `unreachable`.
    pub response: R,
    /// Who is missing in it; only for `providers/-`.
    pub missed: Vec<Missed>,
}

/// A provider that could not be asked.
#[derive(Debug)]
pub struct Missed {
    /// `providers/{provider}`.
    pub provider: String,
    /// Why, as the call's error would have been had the provider been named alone.
    pub error: Error,
}

/// One list, as it was asked for.
pub(super) struct Asked<'a> {
    /// The API's name of the method, which its tokens are bound to.
    pub method: &'static str,
    /// The read that the upstream needs for it.
    pub op: Op,
    /// The writes that let us keep records where it does not have the read.
    pub made_by: &'a [Op],
    /// The request's parent.
    pub parent: &'a str,
    /// Of parent, filters and view.
    pub fingerprint: [u8; 32],
    /// The request's page size.
    pub page_size: i32,
    /// The request's page token.
    pub page_token: &'a str,
}

/// One page of one provider, as it is asked for.
#[derive(Clone)]
pub(super) struct PageOf {
    /// Who is asked.
    pub provider: Arc<Provider>,
    /// Its name.
    pub name: ProviderName,
    /// Where the rows come from.
    pub source: Source,
    /// At most so many rows.
    pub size: usize,
    /// Where the page begins; empty: at the beginning.
    pub cursor: Vec<u8>,
    /// The instant by which an answer must exist.
    pub deadline: Option<Instant>,
}

impl PageOf {
    /// What is read of one resource alone.
    pub(super) fn one(
        provider: Arc<Provider>,
        name: &ProviderName,
        source: Source,
        call: &Call,
    ) -> PageOf {
        let (name, deadline) = (name.clone(), call.deadline);
        PageOf { provider, name, source, size: 1, cursor: Vec::new(), deadline }
    }

    /// The same of the id that the provider had when something was made, whose names only a plugin under that
    /// id knows; `None` where that is this one, or where it was another provider.
    pub(super) fn under(&self, made_at: Option<Arc<Provider>>) -> Option<PageOf> {
        let provider =
            made_at.filter(|it| self.provider.config().formerly.iter().any(|id| id == it.id()))?;
        let name = ProviderName::new(provider.id()).ok()?;
        Some(PageOf { provider, name, ..self.clone() })
    }
}

/// One page of one provider.
#[derive(Debug)]
pub(super) struct Page<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// Where the next page begins; `None`: there is none.
    pub next: Option<Vec<u8>>,
}

/// The rows of a page, the token of the next, and who is missing.
pub(super) struct Rows<R> {
    pub rows: Vec<R>,
    pub next_page_token: String,
    pub missed: Vec<Missed>,
}

/// The fields that every list request has.
pub(super) trait ListRequest: Message + Clone + Default {
    /// `providers/{provider}` or what the list is of.
    fn parent(&self) -> &str;
    /// The same request for one page of one provider.
    #[must_use]
    fn for_page(&self, parent: String, size: usize, cursor: String) -> Self;

    /// What tokens of this list are bound to: parent, filters and view.
    fn fingerprint(&self) -> [u8; 32] {
        let same = self.for_page(self.parent().to_owned(), 0, String::new());
        Sha256::digest(same.encode_to_vec()).into()
    }
}

macro_rules! list_requests {
    ($($request:ident),*) => {$(
        impl ListRequest for $request {
            fn parent(&self) -> &str {
                &self.parent
            }

            fn for_page(&self, parent: String, size: usize, cursor: String) -> Self {
                let mut request = self.clone();
                request.parent = parent;
                // A page has at most `page::MAX` rows.
                request.page_size = i32::try_from(size).unwrap_or(i32::MAX);
                request.page_token = cursor;
                request
            }
        }
    )*};
}

list_requests!(
    ListProductsRequest,
    ListOrdersRequest,
    ListPaymentMethodsRequest,
    ListServicesRequest,
    ListRenewalOptionsRequest,
    ListRenewalsRequest
);

/// Lists what `page` finds at the providers that the parent names.
///
/// # Errors
///
/// FIELD_VIOLATION, PAGE_TOKEN_INVALID; for a single named provider whatever keeps it from answering.
pub(super) async fn list<R, F>(
    engine: &Engine,
    tokens: &PageTokens,
    call: &Call,
    asked: Asked<'_>,
    page_of: F,
) -> Result<Rows<R>>
where
    R: Message,
    F: Fn(PageOf) -> BoxFuture<'static, Result<Page<R>>>,
{
    let size = page::size(asked.page_size)?;
    let parent: Parent = parse(asked.parent, "parent")?;
    let token = match asked.page_token {
        "" => None,
        token => Some(tokens.open(asked.method, &asked.fingerprint, token)?),
    };
    let sealed = |cursor: &[u8]| tokens.seal(asked.method, &asked.fingerprint, cursor);
    match parent {
        Parent::Provider(name) => {
            let (provider, source) = engine.readable(&name, asked.op, asked.made_by)?;
            let (cursor, deadline) = (token.unwrap_or_default(), call.deadline);
            let page = PageOf { provider, name, source, size, cursor, deadline };
            let page = bounded(page, &page_of).await?;
            let next_page_token = page.next.map(|next| sealed(&next)).unwrap_or_default();
            Ok(Rows { rows: page.rows, next_page_token, missed: Vec::new() })
        }
        Parent::All => {
            let from = token.map(|token| Place::decode(&token)).transpose()?.unwrap_or_default();
            let (window, then) = window(engine, &asked, &from);
            let merged = ask(call, window, size, &from, then, &page_of).await;
            let next_page_token = merged.1.map(|next| sealed(&next.encode())).unwrap_or_default();
            Ok(Rows { next_page_token, ..merged.0 })
        }
    }
}

/// Where a list over all providers goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The provider's id; all before it are done.
    provider: String,
    /// Where its list goes on; empty: at its beginning.
    cursor: Vec<u8>,
}

impl Place {
    fn encode(&self) -> Vec<u8> {
        // An id has no zero byte.
        [self.provider.as_bytes(), &[0], self.cursor.as_slice()].concat()
    }

    fn decode(bytes: &[u8]) -> Result<Place> {
        let invalid = || Error::new(ErrorReason::PageTokenInvalid, "the token is not of this list");
        let at = bytes.iter().position(|byte| *byte == 0).ok_or_else(invalid)?;
        let provider = String::from_utf8(bytes[..at].to_vec())
            .map_err(|error| invalid().with_source(error))?;
        Ok(Place { provider, cursor: bytes[at + 1..].to_vec() })
    }
}

type Candidate = Result<(Arc<Provider>, Source), Missed>;

/// The providers that are asked now, and the one that comes after them.
fn window(
    engine: &Engine,
    asked: &Asked<'_>,
    from: &Place,
) -> (Vec<(ProviderName, Candidate)>, Option<Place>) {
    let mut window = Vec::new();
    for provider in engine.providers().iter().filter(|it| it.id() >= from.provider.as_str()) {
        let Ok(name) = ProviderName::new(provider.id()) else { continue };
        let candidate = match source(provider, asked.op, asked.made_by) {
            Ok(source) => Ok((Arc::clone(provider), source)),
            Err(error) if error.reason == ErrorReason::CapabilityUnsupported => continue,
            Err(error) => Err(Missed { provider: name.to_string(), error }),
        };
        if window.len() == WINDOW {
            let then = Place { provider: provider.id().to_owned(), cursor: Vec::new() };
            return (window, Some(then));
        }
        window.push((name, candidate));
    }
    (window, None)
}

/// A page with rows of at most [`PAGE_BYTES`], or of one row. A page that is larger is asked for again
/// with fewer rows: a cursor for the middle of an upstream's page nobody can make up.
async fn bounded<R, F>(mut page: PageOf, page_of: &F) -> Result<Page<R>>
where
    R: Message,
    F: Fn(PageOf) -> BoxFuture<'static, Result<Page<R>>>,
{
    loop {
        let answered = page_of(page.clone()).await?;
        match fewer_rows(page.size, bytes_of(&answered.rows)) {
            Some(size) if answered.rows.len() > 1 => page.size = size,
            _ => return Ok(answered),
        }
    }
}

/// How many rows a page has to be asked for that had too many bytes.
pub(super) fn fewer_rows(size: usize, bytes: usize) -> Option<usize> {
    (bytes > PAGE_BYTES && size > 1).then_some(size / 2)
}

fn bytes_of<R: Message>(rows: &[R]) -> usize {
    rows.iter().map(Message::encoded_len).sum()
}

async fn ask<R, F>(
    call: &Call,
    window: Vec<(ProviderName, Candidate)>,
    size: usize,
    from: &Place,
    then: Option<Place>,
    page_of: &F,
) -> (Rows<R>, Option<Place>)
where
    R: Message,
    F: Fn(PageOf) -> BoxFuture<'static, Result<Page<R>>>,
{
    let patience = Instant::now() + PATIENCE;
    let until = call.deadline.map_or(patience, |deadline| {
        patience.min(deadline.checked_sub(MARGIN).unwrap_or(deadline))
    });
    let pages = window.into_iter().map(|(name, candidate)| {
        let cursor = if name.id() == from.provider { from.cursor.clone() } else { Vec::new() };
        let page = candidate.map(|(provider, source)| {
            let page = PageOf {
                provider: Arc::clone(&provider),
                name: name.clone(),
                source,
                size,
                cursor,
                deadline: Some(until),
            };
            (provider, bounded(page, page_of))
        });
        async move {
            let answered = match page {
                Ok((provider, page)) => tokio::time::timeout_at(until, page)
                    .await
                    .unwrap_or_else(|_| Err(naming(&provider, too_slow())))
                    .map_err(|error| Missed { provider: name.to_string(), error }),
                Err(missed) => Err(missed),
            };
            (name.id().to_owned(), answered)
        }
    });
    merge(join_all(pages).await, size, then)
}

/// The answers in name order, as far as they fit into the page.
///
/// An answer that does not fit whole is asked for again with the next page, so that no cursor has to
/// be made up for the middle of an upstream's page.
fn merge<R: Message>(
    answers: Vec<(String, Result<Page<R>, Missed>)>,
    size: usize,
    then: Option<Place>,
) -> (Rows<R>, Option<Place>) {
    let mut merged = Rows { rows: Vec::new(), next_page_token: String::new(), missed: Vec::new() };
    let mut bytes = 0;
    for (provider, answer) in answers {
        match answer {
            Err(missed) => merged.missed.push(missed),
            Ok(page) => {
                let rows = merged.rows.len() + page.rows.len();
                bytes += bytes_of(&page.rows);
                if !merged.rows.is_empty() && (rows > size || bytes > PAGE_BYTES) {
                    return (merged, Some(Place { provider, cursor: Vec::new() }));
                }
                merged.rows.extend(page.rows);
                if let Some(cursor) = page.next {
                    return (merged, Some(Place { provider, cursor }));
                }
            }
        }
    }
    (merged, then)
}

fn too_slow() -> Error {
    Error::unavailable("the provider did not answer within the time that a list over all gives it")
}
