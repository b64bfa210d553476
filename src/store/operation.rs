//! What is stored of an operation: the journal's row, its attempts, and what it holds and claims.
//!
//! Plain data. What may follow what is decided by `engine::machine` alone; nothing here does.

use std::time::Duration;

use jiff::Timestamp;
use purveyor_sdk::plugin::v1::{Error, Op, Resource};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, Evidence, UpstreamRef};
use uuid::Uuid;

use super::age::Age;

/// The rules that new operations are carried out by. Rows of an older protocol are finished by the
/// rules that they were accepted under.
pub const PROTOCOL: u32 = 1;

/// One accepted write.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The caller's request id, which is also the operation's name.
    pub request_id: Uuid,
    /// The rules it is carried out by.
    pub protocol: u32,
    /// Who may see it; survives a rotated credential.
    pub owner: String,
    /// The credential that was used.
    pub actor: String,
    /// W3C trace id of the accepted call; empty when there was none.
    pub trace_id: String,
    /// Which write.
    pub op: Op,
    /// The provider's id, without `providers/`.
    pub provider: String,
    /// The upstream account, as version 1 names it: as the plugin told it when the operation was accepted,
    /// else the endpoint and the names of the credentials; empty: nobody knew it yet.
    pub account: String,
    /// The account among all accounts of all plugins; empty in operations of older versions and while
    /// `account` is.
    pub account_key: String,
    /// The canonical name of the resource that it is about; for one that is made, its future name.
    pub target: String,
    /// The upstream's identifiers of the target, several where it is several upstream objects; empty for
    /// one that is made.
    pub upstream_target: Vec<String>,
    /// Canonical names of the resources that it must have for itself while it is open.
    pub exclusive: Vec<String>,
    /// SHA-256 over caller, method and content.
    pub fingerprint: [u8; 32],
    /// The decoded request, encoded again, without `request_id` and `wait`.
    pub request: Vec<u8>,
    /// How far it has come.
    pub state: State,
    /// 1 at acceptance; one more with every commit. The etag.
    pub version: u64,
    /// When it was accepted.
    pub create_time: Timestamp,
    /// When it last changed.
    pub update_time: Timestamp,
    /// The store's age when it was accepted.
    pub create_age: Age,
    /// The store's age when it last changed, or a little more; once it has ended, what retention counts
    /// from.
    pub update_age: Age,
    /// Nothing is started after this, by the wall clock.
    pub start_before: Timestamp,
    /// When somebody has to look at it again; `None`: nobody (terminal, or waiting for a person).
    pub wake_time: Option<Age>,
    /// How often it was tried or looked at since it last made progress; the backoff's input.
    pub tries: u32,
    /// The step that is under way or comes next, from 1.
    pub step: u32,
    /// The plugin's handle: of the step before while running, of the accepted work while waiting.
    pub handle: Vec<u8>,
    /// The evidence taken before this step's spend.
    pub baseline: Option<Baseline>,
    /// Every try to spend, oldest first.
    pub attempts: Vec<Attempt>,
    /// What the steps are looked for by of which an attempt was taken for absent; each step once.
    pub given_up: Vec<GivenUp>,
    /// What the upstream says of it; the identifier of what it made stands here.
    pub upstream: UpstreamRef,
    /// The resource as it was last seen.
    pub view: Option<Resource>,
    /// Why it failed; in `State::NeedsOperator` what a person has to look at, where there is a word
    /// for it. Else not set.
    pub error: Option<Error>,
    /// Why it does not go on, for people.
    pub message: String,
    /// Upstream objects that could be what was asked for.
    pub candidates: Vec<UpstreamRef>,
    /// Upstream objects that this operation made, or was taken for the maker of, beside its own one.
    pub duplicates: Vec<UpstreamRef>,
    /// The operation that it waits for.
    pub blocked_by: Option<Uuid>,
    /// From when absence counts as proof.
    pub settle: Option<Settle>,
    /// How it ends unless something else shows first.
    pub pending_end: Option<PendingEnd>,
    /// What operators said.
    pub notes: Vec<Note>,
    /// What keeps it safe, as it was when it was accepted; `None` in operations of older versions.
    pub safety: Option<Safety>,
}

/// What the method's manifest and the configuration said when an operation was accepted, as far as its safety
/// depends on it. The account's key stands in the operation itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Safety {
    /// How an unknown outcome is found out.
    pub evidence: Evidence,
    /// The strongest effect of the method's calls.
    pub effect: Effect,
    /// The reconciliation window.
    pub settle: Duration,
    /// Whether absence after the window leads to the next attempt.
    pub absence_is_proof: bool,
    /// Whether somebody else may buy on the same account.
    pub account_shared: bool,
    /// The kind of identifier that the method's calls make; empty where they make none.
    pub id_kind: String,
    /// How long the effect may lag behind the upstream's final word.
    pub effect_lag: Duration,
}

/// One try of an upstream request that sets or spends.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// From 1, across all steps.
    pub number: u32,
    /// The step that it belongs to.
    pub step: u32,
    /// What makes the permit single-use, and recognisable after a lost acknowledgement.
    pub nonce: Uuid,
    /// The upstream call.
    pub call: String,
    /// The call's effect.
    pub effect: Effect,
    /// When the permit was committed, by the wall clock: for people and for the plugin.
    pub permit_time: Timestamp,
    /// The store's age when the permit was committed, or a little more; what its life counts from.
    pub permit_age: Age,
    /// What became of it; `Unspecified` while the permit is open.
    pub outcome: Outcome,
    /// What was seen, for people.
    pub message: String,
    /// The identifier that the upstream gave.
    pub upstream_id: String,
    /// Name and version of the plugin.
    pub plugin: String,
    /// SHA-256 of the plugin's file, lowercase hex.
    pub plugin_sha256: String,
    /// The status of the answer that was kept or refused; 0: none.
    pub answer_status: u16,
    /// The answer, kept only where the outcome is unknown; secrets are cut out.
    pub answer: Vec<u8>,
    /// What the host observed of the answer, as far as the operation reflects it.
    pub observed: Observed,
    /// An observation that is stored and that the operation does not reflect yet. Read, never written.
    pub unapplied: Option<Box<Observation>>,
}

impl Attempt {
    /// Whether it stands for a request that a store which lacks commits may have sent: no plugin sent it
    /// here.
    pub fn is_presumed(&self) -> bool {
        self.plugin.is_empty()
    }
}

/// What the host observed of an attempt's request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Observed {
    /// Nothing that decides anything.
    #[default]
    Nothing = 0,
    /// No byte was written.
    NotSent = 1,
    /// A complete answer of the declared success shape.
    Accepted = 2,
    /// A complete answer that is declared as accepted, payment due.
    PaymentDue = 3,
    /// A complete answer that satisfies a declared proof of rejection.
    Rejected = 4,
    /// A complete answer that refuses by its status, and that no declared proof covers.
    Undeclared = 5,
    /// A success, of which an operator said at their own risk that it was not executed.
    Overridden = 6,
}

impl Observed {
    /// All of them.
    pub const ALL: [Observed; 7] = [
        Observed::Nothing,
        Observed::NotSent,
        Observed::Accepted,
        Observed::PaymentDue,
        Observed::Rejected,
        Observed::Undeclared,
        Observed::Overridden,
    ];

    /// Whether the upstream has told that the request took effect. Such a spend is never absent.
    pub fn took_effect(self) -> bool {
        matches!(self, Observed::Accepted | Observed::PaymentDue)
    }
}

/// What the host observed of one attempt, stored once and never changed, whatever became of the operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The attempt's nonce.
    pub nonce: Uuid,
    /// What was observed.
    pub observed: Observed,
    /// The identifier in the answer; empty where there is none.
    pub upstream_id: String,
    /// What the engine needs to apply it later; the engine's own bytes.
    pub content: Vec<u8>,
}

/// The evidence taken before a spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// The plugin's own bytes.
    pub evidence: Vec<u8>,
    /// Spends of one account with the same word cannot be told apart upstream.
    pub similarity: String,
    /// Upstream identifiers that existed before.
    pub present_ids: Vec<String>,
    /// Where identifiers only grow: the highest that existed before; else empty.
    pub highest_id: String,
}

impl Baseline {
    /// Whether an upstream identifier was given out before.
    pub fn holds(&self, id: &str) -> bool {
        let number = |id: &str| id.parse::<u128>().ok();
        let up_to = number(&self.highest_id);
        self.present_ids.iter().any(|it| it == id)
            || number(id).zip(up_to).is_some_and(|(id, highest)| id <= highest)
    }
}

/// What a step is looked for by once more, after an attempt of it was taken for absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// The step.
    pub step: u32,
    /// The handle that it was begun with.
    pub handle: Vec<u8>,
    /// What was there before the first attempt that was taken for absent.
    pub baseline: Option<Baseline>,
}

/// From when absence counts as proof, by the store's age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// Absence counts from this age on.
    pub conclusive_at: Age,
    /// How long the window is.
    pub window: Duration,
    /// From when objects that could be it, and have stood there since the window ended, are for a person
    /// to judge; `None` while there are none.
    pub escalate_at: Option<Age>,
}

/// How an operation ends unless something else shows first.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingEnd {
    /// What it waits for.
    pub kind: EndKind,
    /// Since which age the upstream has said so without a break.
    pub since: Age,
    /// What it ends or waits for an operator with.
    pub error: Error,
}

/// What an operation waits for that does not go on upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndKind {
    /// The upstream has said its final word; the effect does not show yet.
    EffectAwaited = 1,
    /// The upstream's word about accepted work is missing, lapsed or not known.
    Unclear = 2,
    /// Everything that can be read shows that the accepted work was not done.
    NotDone = 3,
    /// The upstream refused the last attempt; one look for the effect comes before the end.
    Refused = 4,
    /// Before anything is sent, the upstream does not find what it is known to have had.
    Missing = 5,
}

impl EndKind {
    /// All of them.
    pub const ALL: [EndKind; 5] =
        [Self::EffectAwaited, Self::Unclear, Self::NotDone, Self::Refused, Self::Missing];
}

/// What an operator said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub actor: String,
    /// What was seen.
    pub text: String,
    /// What was decided.
    pub decision: Decision,
    /// Whether the operator overrides what the gateway would wait for.
    pub at_own_risk: bool,
    /// Until when the decision waits; `None`: it waits for nothing any more.
    pub waits_until: Option<Age>,
    /// Whether what was found meanwhile overruled the decision.
    pub overruled: bool,
}

impl Note {
    /// A note whose decision takes effect at once.
    pub fn new(time: Timestamp, actor: String, text: String, decision: Decision) -> Self {
        Self {
            time,
            actor,
            text,
            decision,
            at_own_risk: false,
            waits_until: None,
            overruled: false,
        }
    }
}

/// What an operator decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decision {
    /// It was not kept, by an older version.
    #[default]
    Unknown = 0,
    /// It was executed.
    Executed = 1,
    /// It was not executed, and the operation fails.
    NotExecuted = 2,
    /// It was not executed, and another attempt follows.
    TryAgain = 3,
}

impl Decision {
    /// All of them.
    pub const ALL: [Decision; 4] =
        [Self::Unknown, Self::Executed, Self::NotExecuted, Self::TryAgain];
}

/// What at most one open operation holds at a time: a target, an account's gate, a similar spend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lock(pub String);

/// An upstream object that belongs to one operation at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The upstream account.
    pub account: String,
    /// The kind of identifier, as the manifest calls it.
    pub kind: String,
    /// The identifier.
    pub upstream_id: String,
}

/// How it became known that an upstream object is an operation's own. Earlier ones are stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The upstream's answer to the operation's own request.
    Answer = 1,
    /// A search.
    Search = 2,
    /// An operator's word.
    Operator = 3,
}

impl Origin {
    /// All of them.
    pub const ALL: [Origin; 3] = [Origin::Answer, Origin::Search, Origin::Operator];
}

/// A claim that an operation shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewClaim {
    /// The object.
    pub claim: Claim,
    /// How it is known to be the operation's own.
    pub origin: Origin,
    /// A claim of the same object that was closed at or after this moment stands against it; `None`: no
    /// closed claim does.
    pub closed_before: Option<Age>,
    /// The operation whose open claim passes on to this one; that of any other stands against it.
    pub takes_from: Option<Uuid>,
}

impl NewClaim {
    /// By the upstream's own answer, which closed claims do not stand against.
    pub fn by_answer(claim: Claim) -> NewClaim {
        NewClaim { claim, origin: Origin::Answer, closed_before: None, takes_from: None }
    }

    /// The open claim that passes on to this one; its origin is not known here.
    pub(crate) fn passed(&self) -> Option<HeldClaim> {
        let by = self.takes_from?;
        Some(HeldClaim { claim: self.claim.clone(), by, origin: self.origin })
    }
}

/// An open claim as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldClaim {
    /// The object.
    pub claim: Claim,
    /// Whose it is.
    pub by: Uuid,
    /// How it became known.
    pub origin: Origin,
}

impl Operation {
    /// A new operation of nobody about nothing, accepted at `now` and due at that age, of which nothing
    /// was sent.
    pub fn new(
        request_id: Uuid,
        op: Op,
        provider: impl Into<String>,
        now: Timestamp,
        age: Age,
    ) -> Operation {
        Operation {
            request_id,
            protocol: PROTOCOL,
            owner: String::new(),
            actor: String::new(),
            trace_id: String::new(),
            op,
            provider: provider.into(),
            account: String::new(),
            account_key: String::new(),
            target: String::new(),
            upstream_target: Vec::new(),
            exclusive: Vec::new(),
            fingerprint: [0; 32],
            request: Vec::new(),
            state: State::Accepted,
            version: 1,
            create_time: now,
            update_time: now,
            create_age: age,
            update_age: age,
            start_before: now,
            wake_time: Some(age),
            tries: 0,
            step: 1,
            handle: Vec::new(),
            baseline: None,
            attempts: Vec::new(),
            given_up: Vec::new(),
            upstream: UpstreamRef::default(),
            view: None,
            error: None,
            message: String::new(),
            candidates: Vec::new(),
            duplicates: Vec::new(),
            blocked_by: None,
            settle: None,
            pending_end: None,
            notes: Vec::new(),
            safety: None,
        }
    }

    /// Until when an operator's "not executed" waits: it takes effect when absence is conclusive.
    pub fn word_waits_until(&self) -> Option<Age> {
        self.notes.last().and_then(|note| note.waits_until)
    }

    /// Whether nothing more will happen.
    pub fn done(&self) -> bool {
        matches!(self.state, State::Succeeded | State::Failed | State::Cancelled)
    }

    /// Whether, after the end, an upstream object turned up of an attempt that was taken for absent.
    pub fn turned_up_late(&self) -> bool {
        self.done() && self.wake_time.is_none() && !self.candidates.is_empty()
    }

    /// Whether an upstream object is one that it made beside its own.
    pub fn is_duplicate(&self, upstream_id: &str) -> bool {
        let late = if self.turned_up_late() { self.candidates.as_slice() } else { &[] };
        let own = self.upstream.names(upstream_id);
        !own && self.duplicates.iter().chain(late).any(|it| it.names(upstream_id))
    }

    /// The attempt that decides what may follow: the last one that was not proven to be unsent, else the
    /// last one.
    pub fn current(&self) -> Option<&Attempt> {
        self.attempts.get(self.current_index()?)
    }

    /// As [`Operation::current`], to change it.
    pub fn current_mut(&mut self) -> Option<&mut Attempt> {
        let index = self.current_index()?;
        self.attempts.get_mut(index)
    }

    fn current_index(&self) -> Option<usize> {
        let sent = self.attempts.iter().rposition(|attempt| attempt.outcome != Outcome::NotSent);
        sent.or(self.attempts.len().checked_sub(1))
    }

    /// Whether an observation is stored that has to be applied before anything else.
    pub fn has_unapplied(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.unapplied.is_some())
    }

    /// Whether it is known to be that upstream object, which was accepted and is being worked on.
    pub fn follows(&self, upstream_id: &str) -> bool {
        let pending = self.attempts.iter().any(|attempt| attempt.outcome == Outcome::Pending);
        pending && !self.handle.is_empty() && self.own_ids().iter().any(|id| id == upstream_id)
    }

    /// Whether the upstream has accepted work that a poll follows.
    pub fn is_polled(&self) -> bool {
        let pending = self.attempts.iter().any(|attempt| attempt.outcome == Outcome::Pending);
        pending && self.unresolved().is_none() && !self.handle.is_empty()
    }

    /// The upstream's identifiers that are known to be this operation's own.
    pub fn own_ids(&self) -> Vec<String> {
        let of_attempts = self.attempts.iter().map(|attempt| attempt.upstream_id.as_str());
        let ids = of_attempts.chain(self.upstream.ids.iter().map(String::as_str));
        ids.filter(|id| !id.is_empty()).map(str::to_owned).collect()
    }

    /// The attempt whose permit is open or whose outcome is unknown.
    pub fn unresolved(&self) -> Option<&Attempt> {
        self.current()
            .filter(|attempt| matches!(attempt.outcome, Outcome::Unspecified | Outcome::Unknown))
    }
}
