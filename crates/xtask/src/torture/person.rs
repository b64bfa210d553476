//! A person at each upstream, who acts through the upstream's own pages while callers buy: buys, renews,
//! pays, renames and cancels; and what else happens there by itself. A seed decides, as far as what is
//! there to be acted on does not. It must not know a provider.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::dice::Dice;
use super::options::{Hazard, Options};
use super::restoring::{Phase, Restoring};
use super::subject::{self, Entry, Subject};
use super::upstream::Desk;
use super::workload::at;
use crate::control;

/// How long after one deed the next one follows, milliseconds.
const PAUSE: (u64, u64) = (400, 1200);
/// How long a switch stays as it was put.
const SWITCHED: Duration = Duration::from_millis(300);
/// So many of a hundred rows that a person makes are dated ahead, where that can be told.
const AHEAD: u64 = 40;

/// What a person does, or what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Buys what callers buy too.
    Buys,
    /// Renews what callers have bought or are renewing.
    Renews,
    /// Changes the quantity of what callers have bought.
    Changes,
    /// Pays an order that nobody has paid.
    Pays,
    /// Gives something that callers have bought another name.
    Renames,
    /// Cancels an order, or gives up what was bought.
    Cancels,
    /// What a person made is dated ahead.
    DatesAhead,
    /// One read answers that what was accepted is not there.
    Misses,
    /// Names are cut for a while.
    CutsNames,
    /// A word that no document knows is told.
    TellsWord,
}

impl Deed {
    /// Every deed.
    pub(crate) const ALL: [Self; 10] = [
        Self::Buys,
        Self::Renews,
        Self::Changes,
        Self::Pays,
        Self::Renames,
        Self::Cancels,
        Self::DatesAhead,
        Self::Misses,
        Self::CutsNames,
        Self::TellsWord,
    ];

    /// What it is counted as.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Buys => "purchases of a person",
            Self::Renews => "renewals by a person",
            Self::Changes => "quantities changed by a person",
            Self::Pays => "payments by a person",
            Self::Renames => "renamings by a person",
            Self::Cancels => "cancellations by a person",
            Self::DatesAhead => "rows dated ahead",
            Self::Misses => "one-off 404s",
            Self::CutsNames => "times that names were cut",
            Self::TellsWord => "unknown words",
        }
    }

    /// The hazard that it belongs to.
    pub(crate) fn hazard(self) -> Hazard {
        match self {
            Self::Buys | Self::Renews | Self::Pays | Self::Renames | Self::Cancels => {
                Hazard::Person
            }
            Self::Changes => Hazard::ChangedQuantities,
            Self::DatesAhead => Hazard::DatedAhead,
            Self::Misses => Hazard::NotFound,
            Self::CutsNames => Hazard::CutNames,
            Self::TellsWord => Hazard::UnknownWords,
        }
    }
}

/// What a person sees before a deed.
pub(crate) struct Scene<'a> {
    pub(crate) account: usize,
    pub(crate) dice: &'a mut Dice,
    /// The account's lines of the ledger that callers caused, and those that a person did.
    pub(crate) ours: Vec<&'a Entry>,
    pub(crate) theirs: Vec<&'a Entry>,
    /// The account is known to be shared with others.
    pub(crate) shared: bool,
    /// How far ahead what a person makes is dated, in seconds, where that can be told.
    pub(crate) ahead_s: Option<u64>,
}

impl<'a> Scene<'a> {
    /// One of the last lines that callers caused.
    pub(crate) fn recent(&mut self, which: impl Fn(&Entry) -> bool) -> Option<&'a Entry> {
        recent(self.dice, &self.ours, which)
    }

    /// One of the last lines that a person caused.
    pub(crate) fn own(&mut self, which: impl Fn(&Entry) -> bool) -> Option<&'a Entry> {
        recent(self.dice, &self.theirs, which)
    }
}

fn recent<'a>(
    dice: &mut Dice,
    lines: &[&'a Entry],
    which: impl Fn(&Entry) -> bool,
) -> Option<&'a Entry> {
    let fitting: Vec<_> = lines.iter().rev().filter(|entry| which(entry)).take(4).collect();
    let chosen = usize::try_from(dice.roll(fitting.len() as u64)).unwrap_or_default();
    fitting.get(chosen).map(|entry| **entry)
}

/// One call of a simulator's control API.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Value,
    /// What it is done to, and may keep a caller from: the id of an order or of what it is for.
    pub(crate) touches: Vec<String>,
    /// What nobody can tell from others' any more.
    pub(crate) disguises: Option<String>,
    /// Posted a while later.
    pub(crate) undo: Option<(String, Value)>,
    /// Whether it has the date of the scene.
    pub(crate) dated: bool,
}

impl Command {
    pub(crate) fn post(path: impl Into<String>, body: Value) -> Self {
        let (method, path) = (Method::POST, path.into());
        Self { method, path, body, touches: Vec::new(), disguises: None, undo: None, dated: false }
    }

    /// A fault that strikes the next call alone.
    pub(crate) fn once(call: &str, mut fault: Value) -> Self {
        fault["method"] = call.into();
        Self::post("/faults", fault)
    }

    pub(crate) fn touching(mut self, id: impl Into<String>) -> Self {
        self.touches.push(id.into());
        self
    }

    pub(crate) fn disguising(self, id: impl Into<String>) -> Self {
        Self { disguises: Some(id.into()), ..self }
    }

    pub(crate) fn undone_by(self, path: impl Into<String>, body: Value) -> Self {
        Self { undo: Some((path.into(), body)), ..self }
    }

    pub(crate) fn dated(self, dated: bool) -> Self {
        Self { dated, ..self }
    }
}

/// What persons have done.
#[derive(Debug, Default)]
pub(crate) struct Deeds {
    counts: [AtomicU64; Deed::ALL.len()],
    touched: Mutex<BTreeSet<Object>>,
    disguised: Mutex<BTreeSet<Object>>,
}

/// The subject, the account and the id of something that callers have bought.
pub(crate) type Object = (usize, String, String);

impl Deeds {
    pub(crate) fn count(&self, deed: Deed) -> u64 {
        self.counts[deed as usize].load(Ordering::SeqCst)
    }

    pub(crate) fn note(&self, deed: Deed) {
        self.counts[deed as usize].fetch_add(1, Ordering::SeqCst);
    }

    /// What a person has done something to.
    pub(crate) fn touched(&self) -> BTreeSet<Object> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What does not show any more what it was bought as.
    pub(crate) fn disguised(&self) -> BTreeSet<Object> {
        self.disguised.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn keep(objects: &Mutex<BTreeSet<Object>>, object: Object) {
    objects.lock().unwrap_or_else(PoisonError::into_inner).insert(object);
}

/// The persons of a run.
pub(crate) struct Persons {
    over: Arc<AtomicBool>,
    tasks: JoinSet<Result<()>>,
    pub(crate) deeds: Arc<Deeds>,
}

impl Persons {
    /// One for each provider begins to act; none where nothing of it is part of the run.
    pub(crate) fn begin(
        options: &Options,
        desks: Vec<Vec<Desk>>,
        restoring: Option<&Arc<Restoring>>,
    ) -> Result<Self> {
        let (over, deeds) = (Arc::new(AtomicBool::new(false)), Arc::new(Deeds::default()));
        let mut tasks = JoinSet::new();
        let deed = |deed: &Deed| *deed != Deed::DatesAhead && options.has(deed.hazard());
        let possible: Vec<Deed> = Deed::ALL.into_iter().filter(deed).collect();
        // What is cut for good in a control's workload needs nobody to do it.
        let acts = options.workload().is_none() && !possible.is_empty();
        let subjects = subject::named(options.provider())?;
        for (index, (subject, desks)) in subjects.into_iter().zip(desks).enumerate() {
            let dice = Dice::new(options.seed, (1 << 41) + index as u64);
            let ahead = options.has(Hazard::DatedAhead);
            let (possible, over) = (possible.clone(), Arc::clone(&over));
            let (deeds, restoring) = (Arc::clone(&deeds), restoring.cloned());
            let person =
                Person { index, subject, desks, dice, possible, ahead, restoring, deeds, over };
            if acts {
                tasks.spawn(person.live());
            }
        }
        Ok(Self { over, tasks, deeds })
    }

    /// Nobody acts any more, and every switch is as before.
    ///
    /// # Errors
    /// When a person could not act at all.
    pub(crate) async fn end(mut self) -> Result<Arc<Deeds>> {
        self.over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a person broke")??;
        }
        Ok(self.deeds)
    }
}

struct Person {
    index: usize,
    subject: Box<dyn Subject>,
    desks: Vec<Desk>,
    dice: Dice,
    possible: Vec<Deed>,
    ahead: bool,
    restoring: Option<Arc<Restoring>>,
    deeds: Arc<Deeds>,
    over: Arc<AtomicBool>,
}

impl Person {
    async fn live(mut self) -> Result<()> {
        // A fault that is armed counts when it has struck.
        let mut armed: Vec<Option<Deed>> = vec![None; self.desks.len()];
        while !self.over.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(self.dice.between(PAUSE.0, PAUSE.1))).await;
            let desk = usize::try_from(self.dice.roll(self.desks.len() as u64))?;
            let deed = usize::try_from(self.dice.roll(self.possible.len() as u64))?;
            self.act(desk, self.possible[deed], &mut armed[desk]).await?;
        }
        for (desk, armed) in armed.into_iter().enumerate() {
            if let Some(deed) = armed
                && self.has_struck(desk).await?
            {
                self.deeds.note(deed);
            }
        }
        Ok(())
    }

    async fn act(&mut self, desk: usize, deed: Deed, armed: &mut Option<Deed>) -> Result<()> {
        let Some((command, holder)) = self.decide(desk, deed)? else { return Ok(()) };
        let arms = command.path == "/faults";
        if arms && armed.is_some() {
            if !self.has_struck(desk).await? {
                return Ok(());
            }
            self.deeds.note(armed.take().unwrap_or(deed));
        }
        let url = &self.desks[desk].control_url;
        let sold_before = self.desks[desk].ledger()?.len();
        let sent = control::send(url, command.method, &command.path, &command.body).await?;
        // The upstream lets a person do what it can do now.
        if !sent.0.is_success() {
            return Ok(());
        }
        if arms {
            *armed = Some(deed);
            return Ok(());
        }
        for id in command.touches {
            keep(&self.deeds.touched, (self.index, holder.clone(), id));
        }
        if let Some(id) = command.disguises {
            keep(&self.deeds.disguised, (self.index, holder.clone(), id));
        }
        self.deeds.note(deed);
        if command.dated {
            self.deeds.note(Deed::DatesAhead);
        }
        if let Some((path, body)) = command.undo {
            tokio::time::sleep(SWITCHED).await;
            control::post(url, &path, &body).await?;
        }
        // Names are cut for good when something is sold.
        let sold = self.desks[desk].ledger()?.into_iter().skip(sold_before);
        for Entry { account, operation_id, .. } in sold.filter(|_| deed == Deed::CutsNames) {
            keep(&self.deeds.disguised, (self.index, account, operation_id));
        }
        Ok(())
    }

    fn decide(&mut self, desk: usize, deed: Deed) -> Result<Option<(Command, String)>> {
        // What is sold and cancelled in the lost time leaves no trace at some upstreams; and an end that a person
        // moves until all is settled can be taken for the payment of an order that the backup names.
        let phase = self.restoring.as_ref().map(|it| it.phase());
        let left_alone = match phase {
            Some(Phase::Wanted | Phase::Lost { .. }) => {
                matches!(deed, Deed::Cancels | Deed::Renews)
            }
            Some(Phase::After { .. }) => deed == Deed::Renews,
            _ => false,
        };
        if left_alone {
            return Ok(None);
        }
        let desk = &self.desks[desk];
        let account = usize::try_from(self.dice.roll(desk.accounts.len() as u64))?;
        let account = desk.accounts[account];
        let holder = at(desk.site, &self.subject.holder(account));
        let ledger = desk.ledger()?;
        let of_account = ledger.iter().filter(|entry| entry.account == holder);
        let (theirs, ours) = of_account.partition(|entry| entry.person);
        let ahead_s = (self.ahead && self.dice.percent(AHEAD)).then_some(3600);
        let shared = is_shared(account);
        let mut scene = Scene { account, dice: &mut self.dice, ours, theirs, shared, ahead_s };
        Ok(self.subject.person(deed, &mut scene).map(|command| (command, holder)))
    }

    /// Whether no fault waits for its call.
    async fn has_struck(&self, desk: usize) -> Result<bool> {
        let url = &self.desks[desk].control_url;
        let (_, armed) = control::send(url, Method::GET, "/faults", &json!({})).await?;
        Ok(armed.as_array().is_none_or(Vec::is_empty))
    }
}

/// Every other account is configured as one that others buy from too. Where what is new is known by
/// comparing lists a person buys there alone: elsewhere it would break what an operator has promised.
pub(crate) fn is_shared(account: usize) -> bool {
    account % 2 == 1
}
