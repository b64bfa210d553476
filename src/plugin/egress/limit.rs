//! Whose turn it is: so many requests in a period, so many at a time, spends before polls before
//! callers' reads. It knows nothing of what is sent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::{CallKind, Manifest};
use purveyor_sdk::v1::ErrorReason;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::plugin::config::{ProviderConfig, RateOverride};
use crate::plugin::work_slot::WorkSlot;

/// The most requests that wait for their turn at one account; more would wait for nothing.
const MAX_WAITING: usize = 1024;
/// The most processes that are gone and still counted.
const MAX_GONE: usize = 16;
/// The most times that are kept to count a period's requests.
const MAX_RATE_REQUESTS: u32 = 10_000;

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::plugin) enum Priority {
    /// A write that was accepted is about to be sent.
    Spend,
    /// What belongs to accepted writes: evidence, progress, a step's own reads.
    Poll,
    /// A caller waits.
    Read,
}

impl Priority {
    /// How urgent a free request of such a call is.
    pub(in crate::plugin) fn of(kind: CallKind) -> Self {
        match kind {
            CallKind::Unspecified | CallKind::Read | CallKind::Plan => Self::Read,
            CallKind::Baseline | CallKind::Step | CallKind::Poll | CallKind::Find => Self::Poll,
        }
    }

    /// How long it may wait when nobody says otherwise.
    pub(in crate::plugin) fn patience(self) -> Duration {
        match self {
            Self::Spend | Self::Poll => Duration::from_secs(60),
            Self::Read => Duration::from_secs(10),
        }
    }
}

/// The lower of the manifest's rate and the configuration's, or the configuration's where it is
/// lifted; `None` when nobody knows one.
pub(super) fn rate(config: &ProviderConfig, manifest: &Manifest) -> Option<RateOverride> {
    let declared = manifest.rate.and_then(|rate| {
        let requests = u32::try_from(rate.requests).ok().filter(|&requests| requests > 0)?;
        let period = Duration::try_from(rate.period?).ok().filter(|period| !period.is_zero())?;
        Some(RateOverride { requests, period })
    });
    match config.rate {
        Some(lifted) if config.rate_lifted => Some(lifted),
        configured => lower(declared, configured),
    }
}

/// The one that lets fewer through in the long run; `None` is no limit.
fn lower(first: Option<RateOverride>, second: Option<RateOverride>) -> Option<RateOverride> {
    let per_second = |rate: &RateOverride| f64::from(rate.requests) / rate.period.as_secs_f64();
    match (first, second) {
        (Some(first), Some(second)) => {
            Some(if per_second(&second) < per_second(&first) { second } else { first })
        }
        (first, second) => first.or(second),
    }
}

/// The turns of the accounts whose identity is known. Providers of one account share them, because
/// the upstream counts the account's requests and knows nothing of providers.
#[derive(Debug, Default)]
pub(in crate::plugin) struct Limiters {
    shared: Arc<Shared>,
    known: Mutex<BTreeMap<String, Weak<Limiter>>>,
}

/// How many processes send for the same accounts.
#[derive(Debug, Default)]
struct Shared(Mutex<Sharing>);

#[derive(Debug, Default)]
struct Sharing {
    /// Zero before anybody has said so.
    replicas: u32,
    /// When there were more, and how many: what those that are gone have sent still counts upstream.
    gone: VecDeque<(Instant, u32)>,
}

/// The turns of one account.
#[derive(Debug)]
pub(super) struct Limiter {
    shared: Arc<Shared>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    at_a_time: usize,
    rate: Option<RateOverride>,
    under_way: usize,
    /// When the last requests were given their turn, oldest first; as many as the rate counts. A
    /// window, and not a bucket: a bucket that refills lets twice as many through in a period.
    given: VecDeque<Instant>,
    waiting: BTreeSet<(Priority, u64)>,
    last_ticket: u64,
}

/// A place among the requests under way; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    limiter: Arc<Limiter>,
    /// The place that the request holds beside it, once there is one.
    work: Option<Arc<dyn WorkSlot>>,
}

/// A place in the queue; given up when dropped.
struct Ticket<'a> {
    limiter: &'a Limiter,
    key: (Priority, u64),
}

/// What keeps the first of the queue waiting.
enum Next {
    Given,
    /// Until a place is free, or somebody before it leaves the queue.
    Change,
    /// Until the period has room again.
    At(Instant),
}

impl Limiters {
    /// The turns of one account, before its identity is known.
    pub(super) fn limiter(&self, at_a_time: usize, rate: Option<RateOverride>) -> Limiter {
        Limiter::new(at_a_time, rate, Arc::clone(&self.shared))
    }

    /// So many processes, this one included, send for the same accounts from now on.
    pub(in crate::plugin) fn shared_by(&self, replicas: u32) {
        self.shared.tell(replicas);
    }

    /// The turns of `account`: `own`, or those of the provider that came first, with the lower limits
    /// of the two.
    pub(super) fn share(&self, account: String, own: &Arc<Limiter>) -> Arc<Limiter> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&account).and_then(Weak::upgrade) {
            Some(first) if !Arc::ptr_eq(&first, own) => {
                first.tighten(own);
                first
            }
            _ => {
                known.insert(account, Arc::downgrade(own));
                Arc::clone(own)
            }
        }
    }
}

impl Shared {
    fn tell(&self, replicas: u32) {
        let mut sharing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if replicas < sharing.replicas {
            let were = (Instant::now(), sharing.replicas);
            sharing.gone.push_back(were);
            let excess = sharing.gone.len().saturating_sub(MAX_GONE);
            sharing.gone.drain(..excess);
        }
        sharing.replicas = replicas;
    }

    /// How many there were at some time of the last period.
    fn within(&self, period: Duration, now: Instant) -> u32 {
        let sharing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = sharing.gone.iter().filter(|(until, _)| now.duration_since(*until) < period);
        recent.map(|(_, replicas)| *replicas).fold(sharing.replicas, u32::max)
    }
}

impl Limiter {
    fn new(at_a_time: usize, rate: Option<RateOverride>, shared: Arc<Shared>) -> Self {
        let rate = rate.map(|rate| RateOverride {
            requests: rate.requests.clamp(1, MAX_RATE_REQUESTS),
            ..rate
        });
        let state = State { at_a_time: at_a_time.max(1), rate, ..State::default() };
        Self { shared, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Takes over the limits of another that are lower.
    fn tighten(&self, other: &Self) {
        let (at_a_time, rate) = {
            let other = other.state();
            (other.at_a_time, other.rate)
        };
        let mut state = self.state();
        state.at_a_time = state.at_a_time.min(at_a_time);
        state.rate = lower(state.rate, rate);
        let counted = state.rate.map_or(0, |rate| rate.requests);
        state.count_last(counted);
    }

    /// Waits for a turn, and then for a place to work from, until `deadline` at most. While it waits for
    /// the turn, others have the place.
    ///
    /// # Errors
    ///
    /// UPSTREAM_RATE_LIMIT when the turn would come later, at once where that is known; OVERLOADED
    /// when too many wait already, or no place is free in time.
    pub(super) async fn turn(
        self: &Arc<Self>,
        priority: Priority,
        deadline: Instant,
        work: Option<&Arc<dyn WorkSlot>>,
    ) -> Result<Slot, Error> {
        let mut slot = self.own_turn(priority, deadline, work).await?;
        if let Some(work) = work {
            timeout_at(deadline, work.resume()).await.map_err(|_| {
                let message = "no place to work from was free in time";
                Error::new(ErrorReason::Overloaded, message)
            })?;
            slot.work = Some(Arc::clone(work));
        }
        Ok(slot)
    }

    async fn own_turn(
        self: &Arc<Self>,
        priority: Priority,
        deadline: Instant,
        work: Option<&Arc<dyn WorkSlot>>,
    ) -> Result<Slot, Error> {
        let ticket = self.queue(priority)?;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listens before it looks, so that no change falls between.
            changed.as_mut().enable();
            let wake = match self.next(ticket.key) {
                Next::Given => return Ok(Slot { limiter: Arc::clone(self), work: None }),
                Next::Change => deadline,
                Next::At(time) if time > deadline => {
                    return Err(too_late(time.duration_since(Instant::now())));
                }
                Next::At(time) => time,
            };
            if let Some(work) = work {
                work.pause();
            }
            tokio::select! {
                () = changed => {}
                () = sleep_until(wake) => {}
            }
            if Instant::now() >= deadline {
                return Err(too_late(Duration::from_secs(1)));
            }
        }
    }

    fn queue(&self, priority: Priority) -> Result<Ticket<'_>, Error> {
        let mut state = self.state();
        if state.waiting.len() >= MAX_WAITING && priority == Priority::Read {
            let message = "too many requests wait for this upstream already";
            return Err(Error::new(ErrorReason::Overloaded, message));
        }
        state.last_ticket += 1;
        let key = (priority, state.last_ticket);
        state.waiting.insert(key);
        Ok(Ticket { limiter: self, key })
    }

    fn next(&self, key: (Priority, u64)) -> Next {
        let now = Instant::now();
        let mut state = self.state();
        if state.under_way >= state.at_a_time || state.waiting.first() != Some(&key) {
            return Next::Change;
        }
        if let Some(rate) = state.rate {
            let rate = share(rate, self.shared.within(rate.period, now));
            state.count_last(rate.requests);
            if state.given.len() >= rate.requests as usize {
                let free = state.given.front().map_or(now, |oldest| *oldest + rate.period);
                if free > now {
                    return Next::At(free);
                }
                state.given.pop_front();
            }
            state.given.push_back(now);
        }
        state.under_way += 1;
        Next::Given
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A window that counts fewer requests forgets the oldest.
    fn count_last(&mut self, counted: u32) {
        let excess = self.given.len().saturating_sub(counted as usize);
        self.given.drain(..excess);
    }
}

/// The share of one among several processes: all shares together are never more than the whole. Where
/// there are fewer requests than processes, each has one in a longer period.
fn share(rate: RateOverride, replicas: u32) -> RateOverride {
    let replicas = replicas.max(1);
    let requests = (rate.requests / replicas).max(1);
    let stretched = rate.period.saturating_mul(replicas) / rate.requests.max(1);
    RateOverride { requests, period: rate.period.max(stretched) }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(work) = &self.work {
            work.request_ended();
        }
        self.limiter.state().under_way -= 1;
        self.limiter.changed.notify_waiters();
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.limiter.state().waiting.remove(&self.key);
        self.limiter.changed.notify_waiters();
    }
}

fn too_late(after: Duration) -> Error {
    Error::rate_limit("the upstream's limit of requests leaves no turn in time")
        .with_retry_after(after)
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::plugin::v1::Rate;

    use super::*;

    fn limiter(at_a_time: usize, requests: u32) -> Arc<Limiter> {
        let rate = RateOverride { requests, period: Duration::from_secs(2) };
        Arc::new(Limiter::new(at_a_time, Some(rate), Arc::default()))
    }

    #[test]
    fn the_lower_rate_holds_unless_it_is_lifted() {
        let check = |configured: Option<u32>, rate_lifted: bool, expected: u32| {
            let period = Duration::from_secs(2);
            let endpoint = "https://acme.example".parse().unwrap();
            let config = ProviderConfig {
                rate: configured.map(|requests| RateOverride { requests, period }),
                rate_lifted,
                ..ProviderConfig::new("acme", "acme", endpoint)
            };
            let declared = Rate { requests: 30, period: period.try_into().ok() };
            let manifest = Manifest { rate: Some(declared), ..Manifest::default() };
            let held = rate(&config, &manifest).map(|rate| rate.requests);
            assert_eq!(held, Some(expected), "{configured:?} {rate_lifted}");
        };
        check(None, false, 30);
        check(None, true, 30);
        check(Some(29), false, 29);
        check(Some(31), false, 30);
        check(Some(31), true, 31);
    }

    #[tokio::test(start_paused = true)]
    async fn no_period_sees_more_than_its_rate() {
        let limiter = limiter(100, 30);
        let begin = Instant::now();
        let mut given = Vec::new();
        for _ in 0..95 {
            let slot = limiter.turn(Priority::Spend, begin + Duration::from_secs(60), None).await;
            drop(slot.unwrap());
            given.push(begin.elapsed());
        }
        for window in given.windows(31) {
            assert!(window[30] - window[0] >= Duration::from_secs(2), "{window:?}");
        }
        assert!(begin.elapsed() < Duration::from_secs(7), "and it is not slower than it must be");
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_would_wait_too_long_is_told_at_once() {
        let limiter = limiter(10, 1);
        let begin = Instant::now();
        let soon = begin + Duration::from_secs(1);
        let _first = limiter.turn(Priority::Read, soon, None).await.unwrap();
        let error = limiter.turn(Priority::Read, soon, None).await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::UpstreamRateLimit);
        assert_eq!(error.retry_after, Some(Duration::from_secs(2)));
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn spends_go_before_polls_before_reads() {
        let limiter = limiter(1, 100);
        let far = Instant::now() + Duration::from_secs(60);
        let busy = limiter.turn(Priority::Read, far, None).await.unwrap();
        let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
        for priority in [Priority::Read, Priority::Poll, Priority::Spend] {
            let (limiter, sender) = (Arc::clone(&limiter), sender.clone());
            tokio::spawn(async move {
                let _slot = limiter.turn(priority, far, None).await.unwrap();
                sender.send(priority).unwrap();
            });
            tokio::task::yield_now().await;
        }
        drop((busy, sender));
        let mut seen = Vec::new();
        while let Some(priority) = order.recv().await {
            seen.push(priority);
        }
        assert_eq!(seen, [Priority::Spend, Priority::Poll, Priority::Read]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_leaves_the_queue() {
        let limiter = limiter(1, 100);
        let far = Instant::now() + Duration::from_secs(60);
        let busy = limiter.turn(Priority::Read, far, None).await.unwrap();
        let waiting = limiter.turn(Priority::Spend, far, None);
        assert!(tokio::time::timeout(Duration::from_secs(1), waiting).await.is_err());
        assert!(limiter.state().waiting.is_empty());
        drop(busy);
        limiter.turn(Priority::Read, far, None).await.unwrap();
        assert_eq!(limiter.state().under_way, 0);
    }

    /// Counts what it is told.
    #[derive(Debug, Default)]
    struct Told(Mutex<Vec<&'static str>>);

    impl Told {
        fn note(&self, what: &'static str) {
            self.0.lock().unwrap().push(what);
        }
    }

    #[async_trait::async_trait]
    impl WorkSlot for Told {
        fn pause(&self) {
            self.note("pause");
        }
        async fn resume(&self) {
            self.note("resume");
        }
        fn request_ended(&self) {
            self.note("end");
        }
        fn answered(&self, _answered: bool) {
            self.note("answered");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn request_leaves_its_place_while_it_waits_for_its_turn() {
        let limiter = limiter(10, 1);
        let far = Instant::now() + Duration::from_secs(60);
        let told = Arc::new(Told::default());
        let work: Arc<dyn WorkSlot> = Arc::clone(&told) as _;
        drop(limiter.turn(Priority::Poll, far, Some(&work)).await.unwrap());
        assert_eq!(*told.0.lock().unwrap(), ["resume", "end"]);
        // The second waits for the rate.
        drop(limiter.turn(Priority::Poll, far, Some(&work)).await.unwrap());
        assert_eq!(told.0.lock().unwrap()[2..], ["pause", "resume", "end"]);
    }

    #[tokio::test(start_paused = true)]
    async fn providers_of_one_account_share_its_turns() {
        let limiters = Limiters::default();
        let (first, second, other) = (limiter(9, 30), limiter(5, 1), limiter(9, 30));
        let shared = limiters.share("upstream one".to_owned(), &first);
        assert!(Arc::ptr_eq(&shared, &first));
        let shared = limiters.share("upstream one".to_owned(), &second);
        assert!(Arc::ptr_eq(&shared, &first), "who comes later waits with who came first");
        assert!(Arc::ptr_eq(&limiters.share("upstream two".to_owned(), &other), &other));
        let soon = Instant::now() + Duration::from_secs(1);
        let _slot = first.turn(Priority::Read, soon, None).await.unwrap();
        first.turn(Priority::Read, soon, None).await.unwrap_err();
    }

    #[test]
    fn shares_together_are_never_more_than_the_whole() {
        let check = |requests: u32, replicas: u32, expected: (u32, u64)| {
            let rate = RateOverride { requests, period: Duration::from_secs(2) };
            let share = share(rate, replicas);
            let (of, millis) = expected;
            assert_eq!(share, RateOverride { requests: of, period: Duration::from_millis(millis) });
            let each = f64::from(share.requests) / share.period.as_secs_f64();
            let whole = f64::from(requests) / 2.0;
            assert!(each * f64::from(replicas.max(1)) <= whole, "{requests} by {replicas}");
        };
        check(30, 0, (30, 2000));
        check(30, 1, (30, 2000));
        check(30, 2, (15, 2000));
        check(30, 4, (7, 2000));
        check(1, 3, (1, 6000));
        check(2, 3, (1, 3000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_is_not_alone_takes_its_share() {
        let limiters = Limiters::default();
        let rate = RateOverride { requests: 30, period: Duration::from_secs(2) };
        let limiter = Arc::new(limiters.limiter(100, Some(rate)));
        let begin = Instant::now();
        let far = begin + Duration::from_secs(60);
        for _ in 0..30 {
            drop(limiter.turn(Priority::Read, far, None).await.unwrap());
        }
        assert_eq!(begin.elapsed(), Duration::ZERO);
        limiters.shared_by(3);
        for _ in 0..20 {
            drop(limiter.turn(Priority::Read, far, None).await.unwrap());
        }
        // Ten of the thirty count on, then ten in each period.
        assert_eq!(begin.elapsed(), Duration::from_secs(4));
        // What the others have sent counts for a period more; then the whole rate is there again.
        limiters.shared_by(1);
        for _ in 0..40 {
            drop(limiter.turn(Priority::Read, far, None).await.unwrap());
        }
        assert_eq!(begin.elapsed(), Duration::from_secs(8));
    }
}
