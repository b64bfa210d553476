//! A read: it answers, page by page where it is a list, says so when the upstream wants fewer calls, and
//! leaves nothing behind when its caller goes away.

use std::collections::BTreeSet;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{pin_mut, poll};
use tonic::Code;

use super::caller::until;
use super::report::{Case, Score};
use super::request::{Answer, Request};
use super::stage::{Moment, Stage};
use super::{Caller, Disturbance, Failure, Outcome, Refusal, Subject};
use crate::op;
use crate::plugin::v1::Op;

/// The largest page.
const WHOLE: i32 = crate::page::MAX as i32;

/// Longer than any caller of this suite waits.
const STALL: Duration = Duration::from_secs(60);

/// Long enough for a request to reach the upstream, and shorter than any attempt may take.
const DEADLINE: Duration = Duration::from_millis(500);

/// How often a call with a deadline is made until the upstream has it in time.
const TRIES: usize = 5;

pub(super) async fn run<S: Subject>(stage: &Stage<'_, S>, op: Op, score: &mut Score) {
    let Some(claim) = stage.claim(op) else { return };
    let method = op::info(op).map_or("", |info| info.method);
    let sample = stage.sample(op).await;
    let shown = match &sample {
        Ok(request) => answers(stage, request.clone()).await,
        Err(failure) => Err(failure.clone()),
    };
    score.note(Case::HappyPath, method, shown);
    let Ok(mut sample) = sample else { return };
    if sample.page().is_some() {
        score.note(Case::Paging, method, pages(stage, op).await);
        score.note(Case::ForgedToken, method, forged(stage, op).await);
    }
    let calls = claim.calls.as_slice();
    if calls.is_empty() {
        // Told from the gateway's own records.
        return;
    }
    score.note_some(Case::Encoded, method, encoded(stage, sample.clone(), calls).await.transpose());
    score.note_some(Case::Echo, method, echoed(stage, sample.clone(), calls).await.transpose());
    let limited = rate_limited(stage, sample.clone(), calls).await;
    score.note_some(Case::RateLimit, method, limited);
    let hung_up = given_up(stage, sample.clone(), calls, None).await;
    score.note_some(Case::HangUp, method, hung_up);
    let late = given_up(stage, sample, calls, Some(DEADLINE)).await;
    score.note_some(Case::Deadline, method, late);
    stage.subject.calm().await;
}

async fn answers<S: Subject>(stage: &Stage<'_, S>, request: Request) -> Outcome<()> {
    let moment = stage.moment().await;
    request.send(&stage.caller).await?;
    stage.nothing_since(&moment, &[]).await
}

/// That compressed answers with a byte order mark are read like others.
async fn encoded<S: Subject>(
    stage: &Stage<'_, S>,
    request: Request,
    calls: &[String],
) -> Outcome<Option<()>> {
    let Some(call) = calls.first() else { return Ok(None) };
    stage.subject.calm().await;
    if !stage.subject.disturb(call, Disturbance::Encoded).await? {
        return Ok(None);
    }
    let read = request.send(&stage.caller).await;
    stage.subject.calm().await;
    read?;
    Ok(Some(()))
}

/// That a caller sees nothing of a credential which the upstream repeats.
async fn echoed<S: Subject>(
    stage: &Stage<'_, S>,
    request: Request,
    calls: &[String],
) -> Outcome<Option<()>> {
    let mut any = None;
    for call in calls {
        stage.subject.calm().await;
        if !stage.subject.disturb(call, Disturbance::Echo).await? {
            continue;
        }
        // A read that does not come to this call is answered without it.
        let told = request.clone().send(&stage.caller).await;
        let shown = told.map_or_else(|refusal| format!("{refusal:?}"), |_| String::new());
        stage.subject.calm().await;
        hidden(&shown)?;
        any = Some(());
    }
    Ok(any)
}

/// That whatever stands between the marks of [`Disturbance::Echo`] was cut.
fn hidden(text: &str) -> Outcome<()> {
    for part in text.split("((").skip(1) {
        let (shown, _) = part.split_once("))").unwrap_or((part, ""));
        let is_cut = shown.starts_with('*') || "[secret]".starts_with(shown);
        if !shown.is_empty() && !is_cut {
            return Err(Failure::new(format_args!("the caller is shown {shown:?} in {text}")));
        }
    }
    Ok(())
}

/// That a walk with pages of one row sees what one page shows.
async fn pages<S: Subject>(stage: &Stage<'_, S>, op: Op) -> Outcome<()> {
    let there = stage.subject.populate(&stage.caller, op).await?.max(2);
    let sample = stage.sample(op).await?;
    let whole = walk(&stage.caller, sample.clone(), WHOLE).await?;
    if whole.len() < there {
        let rows = whole.len();
        return Err(Failure::new(format_args!("{there} rows are there, {rows} are listed")));
    }
    let single = walk(&stage.caller, sample, 1).await?;
    same_rows(&whole, &single)
}

/// That two walks show the same rows in the same order, each once. What a row shows is not compared:
/// an upstream may count down a row's time while it is read.
fn same_rows(whole: &[String], single: &[String]) -> Outcome<()> {
    for rows in [whole, single] {
        let mut once = BTreeSet::new();
        if let Some(twice) = rows.iter().find(|row| !once.insert(*row)) {
            return Err(Failure::new(format_args!("{twice} is listed twice")));
        }
    }
    if whole != single {
        let message = format!("rows at once {whole:?} are not the rows one by one {single:?}");
        return Err(Failure::new(message));
    }
    Ok(())
}

/// All rows of a list, in pages of at most so many.
async fn walk(caller: &Caller, mut request: Request, size: i32) -> Outcome<Vec<String>> {
    let mut rows = Vec::new();
    loop {
        if let Some(page) = request.page() {
            *page.size = size;
        }
        let (page, next) = page_of(caller, &request).await?;
        if page.len() > usize::try_from(size).unwrap_or_default() {
            let found = page.len();
            return Err(Failure::new(format_args!("a page of {size} has {found} rows")));
        }
        rows.extend(page);
        match (request.page(), next) {
            (Some(_), next) if next.is_empty() => return Ok(rows),
            (Some(page), next) => *page.token = next,
            (None, _) => return Err(Failure::new("the sample is no list")),
        }
    }
}

async fn page_of(caller: &Caller, request: &Request) -> Outcome<(Vec<String>, String)> {
    match request.clone().send(caller).await? {
        Answer::Page(rows, next) => Ok((rows, next)),
        Answer::One | Answer::Operation(_) => Err(Failure::new("the answer is no list")),
    }
}

/// That a token which the gateway did not make for this list is refused.
async fn forged<S: Subject>(stage: &Stage<'_, S>, op: Op) -> Outcome<()> {
    let mut request = stage.sample(op).await?;
    if let Some(page) = request.page() {
        *page.size = 1;
    }
    let (_, token) = page_of(&stage.caller, &request).await?;
    if token.is_empty() {
        return Err(Failure::new("two rows have to be shown, and there is no second page"));
    }
    for forged in forgeries(&token) {
        if let Some(page) = request.page() {
            page.token.clone_from(&forged);
        }
        let Err(refusal) = request.clone().send(&stage.caller).await else {
            return Err(Failure::new("a forged page token is taken"));
        };
        refusal.must_be(Code::InvalidArgument, "PAGE_TOKEN_INVALID", "")?;
    }
    Ok(())
}

/// Another character in the middle, one less, one more, and none of it.
fn forgeries(token: &str) -> Vec<String> {
    let mut changed: Vec<char> = token.chars().collect();
    let middle = changed.len() / 2;
    let other = if changed[middle] == 'A' { 'B' } else { 'A' };
    changed[middle] = other;
    let shorter = token.chars().skip(1).collect();
    vec![changed.into_iter().collect(), shorter, format!("{token}A"), "1".to_owned()]
}

/// `None` where the upstream has no such answer.
async fn rate_limited<S: Subject>(
    stage: &Stage<'_, S>,
    request: Request,
    calls: &[String],
) -> Option<Outcome<()>> {
    stage.subject.calm().await;
    match disturbed(stage, calls, Disturbance::RateLimit).await {
        Ok(true) => {}
        Ok(false) => return None,
        Err(failure) => return Some(Err(failure)),
    }
    Some(match request.send(&stage.caller).await {
        Err(refusal) => refusal.must_be(Code::ResourceExhausted, "UPSTREAM_RATE_LIMIT", ""),
        Ok(_) => Err(Failure::new("answered although the upstream wanted fewer calls")),
    })
}

/// That a read whose caller goes away closes its connection to the upstream: it hangs up, or the deadline
/// that it gave has passed.
async fn given_up<S: Subject>(
    stage: &Stage<'_, S>,
    request: Request,
    calls: &[String],
    deadline: Option<Duration>,
) -> Option<Outcome<()>> {
    stage.subject.calm().await;
    if let Err(failure) = stage.caller.quiet().await {
        return Some(Err(failure));
    }
    match disturbed(stage, calls, Disturbance::Stall(STALL)).await {
        Ok(true) => {}
        Ok(false) => return None,
        Err(failure) => return Some(Err(failure)),
    }
    Some(give_up(stage, request, calls, deadline).await)
}

async fn give_up<S: Subject>(
    stage: &Stage<'_, S>,
    request: Request,
    calls: &[String],
    deadline: Option<Duration>,
) -> Outcome<()> {
    let during = match deadline {
        Some(deadline) => overdue(stage, &stage.caller.within(deadline), request, calls).await?,
        None => hung_up(stage, &stage.caller, request).await?,
    };
    until("the upstream's connection is closed", async || {
        Ok((stage.subject.open_connections().await < during).then_some(()))
    })
    .await
}

/// Hangs up once the upstream has the request. Tells how many connections were open then.
async fn hung_up<S: Subject>(
    stage: &Stage<'_, S>,
    caller: &Caller,
    request: Request,
) -> Outcome<u64> {
    let moment = stage.moment().await;
    let call = request.send(caller);
    let stalled = stalled(stage, &moment);
    pin_mut!(call, stalled);
    match select(call, stalled).await {
        Either::Left((answer, _)) => Err(unexpected(answer.err())),
        Either::Right((during, _)) => during,
    }
}

/// Calls with a deadline that passes while the upstream has the request. On a machine so busy that it
/// passes before, or while connections are counted, calls again.
async fn overdue<S: Subject>(
    stage: &Stage<'_, S>,
    caller: &Caller,
    request: Request,
    calls: &[String],
) -> Outcome<u64> {
    for attempt in 0..TRIES {
        if attempt > 0 {
            // The call before may have met the stall, which is for one request.
            stage.subject.calm().await;
            disturbed(stage, calls, Disturbance::Stall(STALL)).await?;
        }
        let moment = stage.moment().await;
        let call = request.clone().send(caller);
        let stalled = stalled(stage, &moment);
        pin_mut!(call, stalled);
        match select(call, stalled).await {
            Either::Left((answer, _)) => late(answer.err())?,
            Either::Right((during, mut call)) => {
                let during = during?;
                if let Poll::Ready(answer) = poll!(call.as_mut()) {
                    late(answer.err())?;
                    continue;
                }
                if during == 0 {
                    // The deadline has passed before connections were counted.
                    continue;
                }
                late(call.await.err())?;
                return Ok(during);
            }
        }
    }
    Err(Failure::new(format_args!("the upstream did not have it within {TRIES} x {DEADLINE:?}")))
}

/// How many connections are open when the upstream has the request.
async fn stalled<S: Subject>(stage: &Stage<'_, S>, moment: &Moment) -> Outcome<u64> {
    until("the upstream has the request", async || {
        let asked = stage.requests_since(moment).await > 0;
        Ok(asked.then_some(()))
    })
    .await?;
    Ok(stage.subject.open_connections().await)
}

fn late(refusal: Option<Refusal>) -> Outcome<()> {
    match refusal {
        // Whoever looks at the clock first: the gateway, or the caller's own side.
        Some(refusal) if matches!(refusal.code, Code::DeadlineExceeded | Code::Cancelled) => Ok(()),
        other => Err(unexpected(other)),
    }
}

fn unexpected(refusal: Option<Refusal>) -> Failure {
    match refusal {
        Some(refusal) => Failure::new(format_args!("refused while the upstream stalls: {refusal}")),
        None => Failure::new("answered while the upstream stalls"),
    }
}

/// Disturbs every one of these calls; `false` where none of them can be.
async fn disturbed<S: Subject>(
    stage: &Stage<'_, S>,
    calls: &[String],
    disturbance: Disturbance,
) -> Outcome<bool> {
    let mut any = false;
    for call in calls {
        any |= stage.subject.disturb(call, disturbance).await?;
    }
    Ok(any)
}

#[cfg(test)]
mod tests {
    use super::{forgeries, same_rows};

    #[test]
    fn same_rows_order_and_repetition_count() {
        fn check(whole: &[&str], single: &[&str], expected: bool) {
            let owned = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect();
            let (whole, single): (Vec<String>, Vec<String>) = (owned(whole), owned(single));
            assert_eq!(same_rows(&whole, &single).is_ok(), expected, "{whole:?} {single:?}");
        }
        check(&["a", "b"], &["a", "b"], true);
        check(&["a", "b"], &["b", "a"], false);
        check(&["a", "b"], &["a"], false);
        check(&["a", "b"], &["a", "b", "b"], false);
        check(&["a", "a"], &["a", "a"], false);
    }

    #[test]
    fn no_forgery_is_the_token() {
        for token in ["A", "AA", "BAB", "eyJhIjoxfQ"] {
            assert!(forgeries(token).iter().all(|forged| forged != token), "{token}");
        }
    }
}
