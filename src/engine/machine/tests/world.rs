//! The model of the world that the machine is tried in. It keeps the truth, which the machine is
//! told only in part: what the upstream sold, step by step.

use jiff::SignedDuration;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::find_response::{Absent, Found, Outcome as Finding};
use purveyor_sdk::plugin::v1::step_outcome::{
    Done, Next, Outcome as Said, Pending, Rejected, Standing,
};
use purveyor_sdk::plugin::v1::{
    FindResponse, PollOutcome, Resource, StepOutcome, poll_outcome, resource,
};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, ErrorReason, Evidence, Order, UpstreamRef};
use uuid::Uuid;

use super::{accepted, begin, blocked, now_at};
use crate::engine::machine::{
    Closing, Event, LateFinding, NewAttempt, Now, Policy, Resolution, apply, broken_invariant,
};
use crate::plugin::{Answer, ProofSeen, Seen, Spend};
use crate::store::operation::{Baseline, Decision, Note, Observed, Operation};

/// What happens next, as chance has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// The executor does what is due; the upstream behaves so.
    Work(Upstream),
    /// The process dies, after the upstream has perhaps sold.
    Crash { sold: bool },
    /// Time passes.
    Pass { seconds: u16 },
    /// Time passes that nobody watches: the store is down, or the machine is off.
    Unwatched { seconds: u16 },
    /// Somebody sets the wall clock.
    SetClock { seconds: i32 },
    /// The caller takes it back.
    Cancel,
    /// An operator looks at the ledger and tells the truth.
    Operator { try_again: bool },
    /// The provider is pointed at another account, and back.
    OtherAccount,
    /// Another operation holds the gate.
    Blocked,
    /// It is looked for operations whose `start_before` has passed.
    Sweep,
    /// A gateway that was stopped goes on, and reads the answer to a request that others gave up.
    AnswerArrives { plugin_fails: bool },
    /// Another operation is answered what this one has found.
    ClaimLost,
    /// A plugin or a caller sends an event out of order.
    OutOfOrder(u8),
}

/// How the upstream and the way to it behave.
#[derive(Clone, Copy, Debug)]
pub(super) enum Upstream {
    NoConnection,
    Sells,
    SellsAndAnswerIsLost,
    /// The sale comes later, but within the settle window: what the window is for.
    SellsLater {
        seconds: u8,
    },
    /// The sale comes later than the upstream is said to take: what no window is for.
    SellsTooLate {
        seconds: u16,
    },
    AnswerIsLostUnsold,
    Refuses,
    RefusesForNow,
    PluginLies,
    PluginPanicsAfter,
}

impl Happening {
    pub(super) fn any() -> impl Strategy<Value = Happening> {
        let upstream = prop_oneof![
            1 => Just(Upstream::NoConnection),
            4 => Just(Upstream::Sells),
            4 => Just(Upstream::SellsAndAnswerIsLost),
            3 => (1u8..100).prop_map(|seconds| Upstream::SellsLater { seconds }),
            2 => (100u16..500).prop_map(|seconds| Upstream::SellsTooLate { seconds }),
            3 => Just(Upstream::AnswerIsLostUnsold),
            1 => Just(Upstream::Refuses),
            2 => Just(Upstream::RefusesForNow),
            1 => Just(Upstream::PluginLies),
            2 => Just(Upstream::PluginPanicsAfter),
        ];
        prop_oneof![
            12 => upstream.prop_map(Happening::Work),
            3 => any::<bool>().prop_map(|sold| Happening::Crash { sold }),
            5 => (0u16..200).prop_map(|seconds| Happening::Pass { seconds }),
            1 => (0u16..200).prop_map(|seconds| Happening::Unwatched { seconds }),
            2 => any::<i32>().prop_map(|seconds| Happening::SetClock { seconds }),
            1 => Just(Happening::Cancel),
            2 => any::<bool>().prop_map(|try_again| Happening::Operator { try_again }),
            1 => Just(Happening::OtherAccount),
            1 => Just(Happening::Blocked),
            2 => Just(Happening::Sweep),
            3 => any::<bool>().prop_map(|plugin_fails| Happening::AnswerArrives { plugin_fails }),
            1 => Just(Happening::ClaimLost),
            2 => any::<u8>().prop_map(Happening::OutOfOrder),
        ]
    }
}

#[derive(Debug)]
pub(super) struct World {
    policy: Policy,
    operation: Operation,
    /// The real time that has passed.
    seconds: u64,
    /// How much of it nobody watched.
    unwatched: u64,
    /// How far the wall clock is off.
    set: i32,
    steps: u32,
    /// The truth: for each step, what was sold.
    sold: Vec<Vec<String>>,
    /// Sales on their way: the step, and when.
    late: Vec<Late>,
    ended: Option<Operation>,
    /// Whether there was something to tell of when it was first looked after the end.
    seen_late: Option<bool>,
    /// Whether a person has called something not executed that the upstream had accepted in a later step:
    /// what it is looked for by was not kept.
    unkept: bool,
    /// Answers that gateways which were stopped have still to read: the nonce, the step and the sale.
    unread: Vec<(Uuid, u32, String)>,
    /// Sales that were observed late.
    observed: Vec<String>,
    permits: u128,
}

/// A sale on its way.
#[derive(Clone, Copy, Debug)]
struct Late {
    step: u32,
    at: u64,
    /// Whether it comes within the window.
    in_time: bool,
}

impl World {
    pub(super) fn new(policy: Policy, steps: u32) -> World {
        World {
            policy,
            operation: accepted(),
            seconds: 0,
            unwatched: 0,
            set: 0,
            steps,
            sold: vec![Vec::new(); steps as usize],
            late: Vec::new(),
            ended: None,
            seen_late: None,
            unkept: false,
            unread: Vec::new(),
            observed: Vec::new(),
            permits: 0,
        }
    }

    pub(super) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Work(upstream) => self.work(upstream),
            Happening::Crash { sold } => self.crash(sold),
            Happening::Pass { seconds } => self.pass(u64::from(seconds)),
            Happening::Unwatched { seconds } => {
                self.unwatched += u64::from(seconds);
                self.pass(u64::from(seconds));
            }
            Happening::SetClock { seconds } => self.set = seconds,
            Happening::Cancel => {
                self.offer(Event::CancelRequested);
            }
            Happening::Operator { try_again } => self.operator(try_again),
            Happening::OtherAccount => {
                self.offer(Event::AccountChanged { now: "A2".into() });
            }
            Happening::Blocked => {
                self.offer(blocked(State::Running));
            }
            Happening::Sweep => {
                self.offer(Event::StartExpired { waited_for: None });
            }
            Happening::AnswerArrives { plugin_fails } => self.answer_arrives(plugin_fails),
            Happening::ClaimLost => {
                let id = self.operation.current().map(|it| it.upstream_id.clone());
                let found = self.operation.current().is_some_and(|it| {
                    it.message == "found upstream" && it.observed == Observed::Nothing
                });
                if let Some(upstream_id) = id.filter(|id| found && !id.is_empty()) {
                    // The world's sales are all ours, so here it was a mistake of the other.
                    self.unkept = true;
                    self.offer(Event::ClaimLost { by: Uuid::from_u128(9), upstream_id });
                }
            }
            Happening::OutOfOrder(which) => self.out_of_order(which),
        }
    }

    /// What a stopped gateway had sent was sold, and it reads that now.
    fn answer_arrives(&mut self, plugin_fails: bool) {
        let Some((nonce, step, sold)) = self.unread.pop() else { return };
        let seen = Seen::Success { upstream_id: Some(sold.clone()), id_kind: "order".into() };
        let said = match plugin_fails {
            true => Err(Error::new(ErrorReason::PluginFault, "panicked")),
            false => Ok(self.go_on(step, &sold)),
        };
        let closing = Closing { spend: Some(spend(Some(1), seen)), said, contest: None };
        assert!(self.offer(Event::ObservedLate { nonce, closing }), "{:#?}", self.operation);
        self.observed.push(sold);
    }

    /// What is true of every state on the way.
    pub(super) fn check(&self) {
        assert_eq!(broken_invariant(&self.operation), None, "{:#?}", self.operation);
        let error = self.operation.error.as_ref().map(|error| error.reason());
        if error == Some(ErrorReason::NotStarted) {
            let mut attempts = self.operation.attempts.iter();
            assert!(attempts.all(|it| it.outcome == Outcome::NotSent), "{:#?}", self.operation);
        }
        for (step, sold) in (1..).zip(&self.sold) {
            // Nothing but a sale that came later than the upstream is said to take is a second one.
            let most = 1 + self.given_up(step);
            assert!(sold.len() <= most, "step {step} was sold as {sold:?}: {:#?}", self.operation);
        }
        if let Some(ended) = &self.ended {
            // A last look leaves no trace where nothing turned up.
            let now = &self.operation;
            if now.turned_up_late() || !now.duplicates.is_empty() || !self.observed.is_empty() {
                assert_eq!((now.state, &now.view), (ended.state, &ended.view));
                return;
            }
            let looked = Operation {
                wake_time: now.wake_time,
                settle: now.settle.clone(),
                version: now.version,
                update_time: now.update_time,
                update_age: now.update_age,
                tries: now.tries,
                candidates: now.candidates.clone(),
                given_up: now.given_up.clone(),
                ..ended.clone()
            };
            assert_eq!(&looked, now, "a terminal operation has changed");
        }
    }

    /// What is true at the end, when the world has been quiet for long.
    pub(super) fn check_end(&self) {
        let sold: Vec<usize> = self.sold.iter().map(Vec::len).collect();
        for sale in &self.observed {
            let now = &self.operation;
            let named = now.own_ids().contains(sale);
            let told = now.duplicates.iter().chain(&now.candidates).any(|it| it.id() == *sale);
            assert!(named || told, "{sale} was observed and is not told: {self:#?}");
        }
        let given_up = |at: usize| self.given_up(at as u32 + 1);
        if !self.unkept && self.observed.is_empty() {
            let late = self.seen_late == Some(true);
            assert_eq!(self.operation.turned_up_late(), late, "{self:#?}");
            let knows = match self.policy.evidence {
                Evidence::Reference | Evidence::Natural => true,
                Evidence::Difference => !self.policy.account_shared,
                _ => false,
            };
            let ended = matches!(self.operation.state, State::Succeeded | State::Failed);
            let looks =
                knows && ended && (1..=self.steps).any(|step| self.given_up_at_the_end(step));
            assert!(self.seen_late.is_some() || !looks, "nobody has looked: {self:#?}");
        }
        match self.operation.state {
            // What waits for an operator is read on for ever.
            State::NeedsOperator => {}
            _ if self.operation.wake_time.is_some() => panic!("still looks: {:#?}", self.operation),
            State::Succeeded => {
                assert!(sold.iter().all(|sold| *sold > 0), "{:#?}", self.operation);
            }
            State::Failed | State::Cancelled => {
                let late = sold.iter().enumerate().all(|(at, sold)| *sold <= given_up(at));
                assert!(late, "{self:#?}");
            }
            state => {
                panic!("still {} when all is quiet: {:#?}", state.as_str_name(), self.operation)
            }
        }
    }

    /// From here on the upstream works and time passes.
    pub(super) fn calm_down(&mut self) {
        for _ in 0..200 {
            self.pass(30);
            self.work(Upstream::Sells);
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.seconds += seconds;
        let now = self.seconds;
        for Late { step, .. } in self.late.extract_if(.., |late| late.at <= now).collect::<Vec<_>>()
        {
            self.sell(step);
        }
    }

    fn sell(&mut self, step: u32) -> String {
        let sold = &mut self.sold[step as usize - 1];
        sold.push(format!("u{step}.{}", sold.len() + 1));
        sold.last().unwrap().clone()
    }

    fn sold(&self, step: u32) -> &[String] {
        &self.sold[step as usize - 1]
    }

    /// Whether an attempt of a step was still taken for absent when the operation ended.
    fn given_up_at_the_end(&self, step: u32) -> bool {
        let Some(ended) = &self.ended else { return false };
        ended.attempts.iter().any(|it| it.step == step && it.outcome == Outcome::Absent)
    }

    /// How many attempts of a step were taken for absent, also those that turned up.
    fn given_up(&self, step: u32) -> usize {
        let attempts = self.operation.attempts.iter().filter(|it| it.step == step);
        let absent = |it: &&crate::store::operation::Attempt| {
            it.outcome == Outcome::Absent
                || it.message.contains("taken for absent")
                || it.message.contains("became known late")
        };
        attempts.filter(absent).count()
    }

    fn now(&self) -> Now {
        let now = now_at(self.seconds - self.unwatched);
        let off = SignedDuration::from_secs(i64::from(self.set));
        let wall = now_at(self.seconds).wall.saturating_add(off).unwrap();
        Now { wall, ..now }
    }

    /// Applies an event if the machine takes it, as the engine would: commit, next version.
    fn offer(&mut self, event: Event) -> bool {
        let now = self.now();
        let Ok(mut change) = apply(&self.operation, event, &self.policy, &now) else {
            return false;
        };
        change.operation.version += 1;
        if change.operation.done() && self.ended.is_none() {
            self.ended = Some(change.operation.clone());
        }
        self.operation = change.operation;
        true
    }

    fn work(&mut self, upstream: Upstream) {
        if self.operation.wake_time.is_none_or(|wake| wake > self.now().age) {
            return;
        }
        match self.operation.state {
            State::Accepted => self.step(upstream),
            State::OutcomeUnknown | State::Reconciling => self.look(upstream),
            State::WaitingUpstream => self.poll(upstream),
            State::Succeeded | State::Failed => self.look_back(),
            // What waits for an operator is read on.
            State::NeedsOperator if self.operation.is_polled() => self.poll(upstream),
            State::NeedsOperator => self.look(upstream),
            _ => {}
        }
    }

    fn step(&mut self, upstream: Upstream) {
        if !self.offer(begin("A1")) || self.operation.state != State::Running {
            return;
        }
        let present_ids = self.sold.concat();
        let baseline = Baseline {
            evidence: vec![1],
            similarity: "x".into(),
            present_ids,
            highest_id: String::new(),
        };
        self.offer(Event::BaselineTaken(baseline));
        if self.policy.evidence == Evidence::Natural && !self.sold(self.operation.step).is_empty() {
            // What is done cannot be done again, and the plugin sees it.
            let said = match upstream {
                Upstream::Refuses => Err(Error::state("it is done already")),
                _ => Ok(self.go_on(self.operation.step, &self.sold(self.operation.step)[0])),
            };
            self.offer(Event::Closed(Closing { spend: None, said, contest: None }));
            return;
        }
        if matches!(upstream, Upstream::NoConnection) {
            let reason = "no connection".to_owned();
            let spend = spend(None, Seen::NotSent { reason });
            let said = Err(Error::unavailable("no connection"));
            self.offer(Event::Closed(Closing { spend: Some(spend), said, contest: None }));
            return;
        }
        if !self.permit() {
            let spend = spend(None, Seen::NotSent { reason: "no permit".into() });
            let said = Err(Error::new(ErrorReason::OperationState, "no permit"));
            self.offer(Event::Closed(Closing { spend: Some(spend), said, contest: None }));
            return;
        }
        let step = self.operation.step;
        let sells = matches!(
            upstream,
            Upstream::Sells
                | Upstream::SellsAndAnswerIsLost
                | Upstream::PluginLies
                | Upstream::PluginPanicsAfter
        );
        let sold = if sells { self.sell(step) } else { String::new() };
        let later = match upstream {
            Upstream::SellsLater { seconds } => Some((u64::from(seconds), true)),
            Upstream::SellsTooLate { seconds } => Some((u64::from(seconds), false)),
            _ => None,
        };
        if let Some((seconds, in_time)) = later {
            self.late.push(Late { step, at: self.seconds + seconds, in_time });
        }
        let (seen, said) = self.answer(upstream, step, &sold);
        let mut spend = spend(Some(self.operation.attempts.len() as u32), seen);
        if let (Upstream::AnswerIsLostUnsold, Some(answer)) = (upstream, &mut spend.answer) {
            // A refusal that no proof covers.
            (answer.status, answer.complete) = (422, true);
        }
        assert!(self.offer(Event::Closed(Closing { spend: Some(spend), said, contest: None })));
    }

    fn permit(&mut self) -> bool {
        self.permits += 1;
        self.offer(Event::Permitted(NewAttempt {
            nonce: Uuid::from_u128((u128::from(self.seconds) << 32) + self.permits),
            call: "create".into(),
            effect: Effect::Spend,
            plugin: "acme 1.0.0".into(),
            plugin_sha256: "00".into(),
        }))
    }

    fn answer(
        &self,
        upstream: Upstream,
        step: u32,
        sold: &str,
    ) -> (Seen, Result<StepOutcome, Error>) {
        let success = || Seen::Success { upstream_id: Some(sold.into()), id_kind: "order".into() };
        let proof = |may_repeat| Seen::Refusable {
            proofs: vec![ProofSeen { name: "no".into(), may_repeat }],
            message: "no".into(),
        };
        let lost = || Seen::Unproven { reason: "connection closed".into() };
        let rejected =
            || Ok(said(Said::Rejected(Rejected { proof: "no".into(), ..Rejected::default() })));
        let unavailable = || Err(Error::unavailable("connection closed"));
        match upstream {
            Upstream::Sells => (success(), Ok(self.go_on(step, sold))),
            Upstream::SellsAndAnswerIsLost
            | Upstream::SellsLater { .. }
            | Upstream::SellsTooLate { .. }
            | Upstream::AnswerIsLostUnsold => (lost(), unavailable()),
            Upstream::Refuses => (proof(false), rejected()),
            Upstream::RefusesForNow => (proof(true), rejected()),
            Upstream::PluginLies => (success(), rejected()),
            Upstream::PluginPanicsAfter => {
                (success(), Err(Error::new(ErrorReason::PluginFault, "panicked")))
            }
            Upstream::NoConnection => (Seen::NotSent { reason: "none".into() }, unavailable()),
        }
    }

    fn go_on(&self, step: u32, sold: &str) -> StepOutcome {
        let view = Some(self.view(sold));
        if step < self.steps {
            return said(Said::Next(Next { handle: vec![step as u8], view, price: None }));
        }
        said(Said::Pending(Pending { handle: vec![step as u8], view, ..Pending::default() }))
    }

    /// The order names the identifiers of all its steps so far.
    fn view(&self, sold: &str) -> Resource {
        let before = self.operation.upstream.ids.iter().filter(|id| *id != sold);
        let ids = before.cloned().chain([sold.to_owned()]).collect();
        let upstream = Some(UpstreamRef { ids, ..UpstreamRef::default() });
        let order = Order { upstream, ..Order::default() };
        Resource { kind: Some(resource::Kind::Order(order)) }
    }

    /// Tells the truth, but late or not at all: what it says stays within what its level can know.
    fn look(&mut self, upstream: Upstream) {
        if matches!(upstream, Upstream::NoConnection) {
            self.offer(Event::LookFailed(Error::unavailable("no connection")));
            return;
        }
        let step = self.operation.step;
        let outcome = if matches!(upstream, Upstream::RefusesForNow) {
            Finding::Absent(Absent {
                unexplained: vec![UpstreamRef::default(); 2],
                ..Absent::default()
            })
        } else {
            let present = self.operation.baseline.as_ref().map_or(&[][..], |it| &it.present_ids);
            self.find(step, present, &[])
        };
        self.offer(Event::Looked(FindResponse { outcome: Some(outcome) }.into()));
    }

    /// What each level can see: what is done, what carries our mark, what is new; `known` is left out.
    fn find(&self, step: u32, present: &[String], known: &[String]) -> Finding {
        let seen = |id: &&String| match self.policy.evidence {
            Evidence::Difference => !present.contains(*id),
            _ => true,
        };
        let natural = self.policy.evidence == Evidence::Natural;
        let sold = self.sold(step).iter().filter(seen);
        let sold: Vec<&String> = sold.filter(|id| natural || !known.contains(id)).collect();
        match sold.as_slice() {
            [] => Finding::Absent(Absent::default()),
            [one, rest @ ..] if natural || rest.is_empty() => {
                let outcome = Some(self.go_on(step, one));
                Finding::Found(Found { upstream_id: (*one).clone(), outcome })
            }
            all => Finding::Absent(Absent {
                unexplained: all.iter().map(|id| named(id)).collect(),
                alike_ids: all.iter().map(|id| (*id).clone()).collect(),
                ..Absent::default()
            }),
        }
    }

    fn look_back(&mut self) {
        let given_up = self.operation.given_up.clone();
        let own = self.operation.own_ids();
        let finding = |step: u32, present: &[String]| LateFinding {
            step,
            response: FindResponse { outcome: Some(self.find(step, present, &own)) },
        };
        let findings = given_up
            .iter()
            .map(|it| finding(it.step, it.baseline.as_ref().map_or(&[][..], |it| &it.present_ids)));
        let findings = findings.collect();
        let settle = self.operation.settle.as_ref();
        let settled = settle.is_none_or(|settle| settle.conclusive_at <= self.now().age);
        if settled && self.seen_late.is_none() {
            let absent = |step: &u32| self.given_up(*step) > 0;
            let late = (1..=self.steps).filter(absent).any(|step| self.unexplained(step));
            self.seen_late = Some(late);
        }
        self.offer(Event::LookedBack(findings));
    }

    /// Whether the upstream has sold in a step what the operation does not count as its own; by nature
    /// only where it counts nothing as its own.
    fn unexplained(&self, step: u32) -> bool {
        let own = self.operation.own_ids();
        match self.policy.evidence {
            Evidence::Natural => {
                let counted = self.operation.attempts.iter().filter(|it| it.step == step);
                let mut counted = counted.map(|it| it.outcome);
                self.operation.state == State::Failed
                    && !counted.any(|it| matches!(it, Outcome::Applied | Outcome::Pending))
                    && !self.sold(step).is_empty()
            }
            _ => self.sold(step).iter().any(|id| !own.contains(id)),
        }
    }

    fn poll(&mut self, upstream: Upstream) {
        let step = self.operation.step;
        let event = match upstream {
            Upstream::NoConnection => Event::PollFailed(Error::unavailable("no connection")),
            Upstream::RefusesForNow => self.stands(step, Standing::Unspecified),
            // It has sold it, whatever it says of it for a while.
            Upstream::SellsAndAnswerIsLost => self.stands(step, Standing::EffectAwaited),
            Upstream::AnswerIsLostUnsold => self.stands(step, Standing::Unclear),
            _ => Event::Polled(PollOutcome {
                outcome: Some(poll_outcome::Outcome::Done(Done {
                    resource: self.operation.view.clone(),
                })),
            }),
        };
        self.offer(event);
    }

    fn stands(&self, step: u32, standing: Standing) -> Event {
        let pending = Pending {
            handle: vec![step as u8],
            view: self.operation.view.clone(),
            standing: standing.into(),
            error: Some(Error::state("it does not show").into()),
            ..Pending::default()
        };
        let outcome = Some(poll_outcome::Outcome::Pending(pending));
        Event::Polled(PollOutcome { outcome })
    }

    /// The process dies: before the step, or with an open permit and perhaps a sale.
    fn crash(&mut self, sold: bool) {
        if self.operation.state != State::Accepted {
            return;
        }
        let begun = self.offer(begin("A1"));
        if begun && self.operation.state == State::Running {
            let done = self.policy.evidence == Evidence::Natural
                && !self.sold(self.operation.step).is_empty();
            if !done && self.permit() && sold {
                let step = self.operation.step;
                let sold = self.sell(step);
                let nonce = self.operation.attempts.last().map(|it| it.nonce);
                self.unread.extend(nonce.map(|nonce| (nonce, step, sold)));
            }
            assert!(self.offer(Event::Recovered));
        }
    }

    fn operator(&mut self, try_again: bool) {
        // A person does not decide while a sale may still be on its way, as far as anybody knows.
        if self.late.iter().any(|late| late.in_time) {
            return;
        }
        let step = self.operation.step;
        let own = self.operation.own_ids();
        let answered = self.operation.attempts.last().map(|last| &last.upstream_id);
        let answered = self.sold(step).iter().find(|id| Some(*id) == answered);
        let unknown = self.sold(step).iter().find(|id| !own.contains(id));
        let sold = answered.or(unknown).cloned();
        // An operator who ends a write of which a part was sold decides about money himself.
        if sold.is_none() && !try_again && self.sold.iter().any(|sold| !sold.is_empty()) {
            return;
        }
        let resolution = match sold {
            Some(upstream_id) => {
                let outcome = Some(Box::new(self.go_on(step, &upstream_id)));
                Resolution::Executed { upstream_id, outcome }
            }
            None => Resolution::NotExecuted { try_again, at_own_risk: false },
        };
        let pending =
            self.operation.attempts.last().is_some_and(|it| it.outcome == Outcome::Pending);
        let undone = matches!(resolution, Resolution::NotExecuted { .. });
        self.unkept |= pending && undone && step > 1;
        let note = Note::new(self.now().wall, "ops".into(), "looked".into(), Decision::Unknown);
        self.offer(Event::Resolved { resolution, note });
    }

    fn out_of_order(&mut self, which: u8) {
        let before = self.operation.clone();
        let open = before.state == State::Running;
        let event = match which % 4 {
            0 if !open => Event::Recovered,
            1 if !open => {
                Event::Closed(Closing { spend: None, said: Ok(self.go_on(1, "u")), contest: None })
            }
            2 if !open => {
                assert!(!self.permit(), "a permit outside a running step");
                return;
            }
            _ => return,
        };
        assert!(!self.offer(event), "an event out of order was taken");
        assert_eq!(before, self.operation);
    }
}

fn spend(attempt: Option<u32>, seen: Seen) -> Spend {
    let answer =
        Some(Answer { status: 500, body: bytes::Bytes::from_static(b"?"), complete: false });
    Spend { call: "create".into(), effect: Effect::Spend, attempt, seen, answer }
}

fn said(outcome: Said) -> StepOutcome {
    StepOutcome { outcome: Some(outcome) }
}

fn named(id: &str) -> UpstreamRef {
    UpstreamRef::of(id.to_owned())
}
