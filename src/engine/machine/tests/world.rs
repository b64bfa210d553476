//! The model of the world that the machine is tried in. It keeps the truth, which the machine is
//! told only in part: what the upstream sold, step by step.

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::find_response::{Absent, Found, Outcome as Finding, Several};
use purveyor_sdk::plugin::v1::step_outcome::{Done, Next, Outcome as Said, Pending, Rejected};
use purveyor_sdk::plugin::v1::{
    FindResponse, PollOutcome, Resource, StepOutcome, poll_outcome, resource,
};
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{Effect, ErrorReason, Order, UpstreamRef};
use uuid::Uuid;

use super::{accepted, now_at};
use crate::engine::machine::{
    Closing, Event, NewAttempt, Policy, Resolution, apply, broken_invariant,
};
use crate::plugin::{Answer, ProofSeen, Seen, Spend};
use crate::store::operation::{Baseline, Note, Operation};

/// What happens next, as chance has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// The executor does what is due; the upstream behaves so.
    Work(Upstream),
    /// The process dies, after the upstream has perhaps sold.
    Crash { sold: bool },
    /// Time passes.
    Pass { seconds: u16 },
    /// The machine is started anew.
    Reboot,
    /// The caller takes it back.
    Cancel,
    /// An operator looks at the ledger and tells the truth.
    Operator { try_again: bool },
    /// The provider is pointed at another account, and back.
    OtherAccount,
    /// Another operation holds the gate.
    Blocked,
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
            1 => Just(Happening::Reboot),
            1 => Just(Happening::Cancel),
            2 => any::<bool>().prop_map(|try_again| Happening::Operator { try_again }),
            1 => Just(Happening::OtherAccount),
            1 => Just(Happening::Blocked),
            2 => any::<u8>().prop_map(Happening::OutOfOrder),
        ]
    }
}

pub(super) struct World {
    policy: Policy,
    operation: Operation,
    seconds: u64,
    boot: u32,
    boot_began: u64,
    steps: u32,
    /// The truth: for each step, how often it was sold.
    sold: Vec<u32>,
    /// Sales on their way: the step, and when.
    late: Vec<(u32, u64)>,
    ended: Option<Operation>,
}

impl World {
    pub(super) fn new(policy: Policy, steps: u32) -> World {
        World {
            policy,
            operation: accepted(),
            seconds: 0,
            boot: 0,
            boot_began: 0,
            steps,
            sold: vec![0; steps as usize],
            late: Vec::new(),
            ended: None,
        }
    }

    pub(super) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Work(upstream) => self.work(upstream),
            Happening::Crash { sold } => self.crash(sold),
            Happening::Pass { seconds } => self.pass(u64::from(seconds)),
            Happening::Reboot => {
                self.boot += 1;
                self.boot_began = self.seconds;
            }
            Happening::Cancel => {
                self.offer(Event::CancelRequested);
            }
            Happening::Operator { try_again } => self.operator(try_again),
            Happening::OtherAccount => {
                self.offer(Event::AccountChanged { now: "A2".into() });
            }
            Happening::Blocked => {
                self.offer(Event::Blocked { by: Uuid::from_u128(9) });
            }
            Happening::OutOfOrder(which) => self.out_of_order(which),
        }
    }

    /// What is true of every state on the way.
    pub(super) fn check(&self) {
        assert_eq!(broken_invariant(&self.operation), None, "{:#?}", self.operation);
        for (step, sold) in self.sold.iter().enumerate() {
            assert!(*sold <= 1, "step {} was sold {sold} times: {:#?}", step + 1, self.operation);
        }
        if let Some(ended) = &self.ended {
            // A last look leaves no trace where nothing turned up.
            let now = &self.operation;
            let looked = Operation {
                wake_time: now.wake_time,
                settle: now.settle.clone(),
                version: now.version,
                update_time: now.update_time,
                tries: now.tries,
                ..ended.clone()
            };
            assert_eq!(&looked, now, "a terminal operation has changed");
        }
    }

    /// What is true at the end, when the world has been quiet for long.
    pub(super) fn check_end(&self) {
        let sold: u32 = self.sold.iter().sum();
        match self.operation.state {
            _ if self.operation.wake_time.is_some() => panic!("still looks: {:#?}", self.operation),
            State::Succeeded => assert_eq!(sold, self.steps, "{:#?}", self.operation),
            State::Failed | State::Cancelled => assert_eq!(sold, 0, "{:#?}", self.operation),
            State::NeedsOperator => {}
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
        for (step, _) in self.late.extract_if(.., |(_, at)| *at <= now) {
            self.sold[step as usize - 1] += 1;
        }
    }

    fn now(&self) -> crate::engine::machine::Now {
        let mut now = now_at(self.seconds);
        now.boot_id = format!("boot {}", self.boot);
        now.boot_ns = (self.seconds - self.boot_began) * 1_000_000_000;
        now
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
        if self.operation.wake_time.is_none_or(|wake| wake > self.now().wall) {
            return;
        }
        match self.operation.state {
            State::Accepted => self.step(upstream),
            State::OutcomeUnknown | State::Reconciling => self.look(upstream),
            State::WaitingUpstream => self.poll(upstream),
            State::Succeeded | State::Failed => self.look_back(),
            _ => {}
        }
    }

    fn step(&mut self, upstream: Upstream) {
        if !self.offer(Event::Begin { account: "A1".into() })
            || self.operation.state != State::Running
        {
            return;
        }
        let baseline =
            Baseline { evidence: vec![1], similarity: "x".into(), present_ids: vec!["old".into()] };
        self.offer(Event::BaselineTaken(baseline));
        if matches!(upstream, Upstream::NoConnection) {
            let reason = "no connection".to_owned();
            let spend = spend(None, Seen::NotSent { reason });
            let said = Err(Error::unavailable("no connection"));
            self.offer(Event::Closed(Closing { spend: Some(spend), said }));
            return;
        }
        if !self.permit() {
            let spend = spend(None, Seen::NotSent { reason: "no permit".into() });
            let said = Err(Error::new(ErrorReason::OperationState, "no permit"));
            self.offer(Event::Closed(Closing { spend: Some(spend), said }));
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
        if sells {
            self.sold[step as usize - 1] += 1;
        }
        if let Upstream::SellsLater { seconds } = upstream {
            self.late.push((step, self.seconds + u64::from(seconds)));
        }
        let (seen, said) = self.answer(upstream, step);
        let spend = spend(Some(self.operation.attempts.len() as u32), seen);
        assert!(self.offer(Event::Closed(Closing { spend: Some(spend), said })));
    }

    fn permit(&mut self) -> bool {
        self.offer(Event::Permitted(NewAttempt {
            nonce: Uuid::from_u128(u128::from(self.seconds)),
            call: "create".into(),
            effect: Effect::Spend,
            plugin: "acme 1.0.0".into(),
            plugin_sha256: "00".into(),
        }))
    }

    fn answer(&self, upstream: Upstream, step: u32) -> (Seen, Result<StepOutcome, Error>) {
        let success = || Seen::Success { upstream_id: Some(id(step)), id_kind: "order".into() };
        let proof = |may_repeat| Seen::Refusable {
            proofs: vec![ProofSeen { name: "no".into(), may_repeat }],
            message: "no".into(),
        };
        let lost = || Seen::Unproven { reason: "connection closed".into() };
        let rejected =
            || Ok(said(Said::Rejected(Rejected { proof: "no".into(), ..Rejected::default() })));
        let unavailable = || Err(Error::unavailable("connection closed"));
        match upstream {
            Upstream::Sells => (success(), Ok(self.go_on(step))),
            Upstream::SellsAndAnswerIsLost
            | Upstream::SellsLater { .. }
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

    fn go_on(&self, step: u32) -> StepOutcome {
        let view = Some(view(step));
        if step < self.steps {
            return said(Said::Next(Next { handle: vec![step as u8], view, price: None }));
        }
        said(Said::Pending(Pending { handle: vec![step as u8], after: None, view }))
    }

    /// Tells the truth, but late or not at all: what it says stays within what its level can know.
    fn look(&mut self, upstream: Upstream) {
        if matches!(upstream, Upstream::NoConnection) {
            self.offer(Event::LookFailed(Error::unavailable("no connection")));
            return;
        }
        let step = self.operation.step;
        let outcome = if matches!(upstream, Upstream::RefusesForNow) {
            Finding::Several(Several { candidates: vec![UpstreamRef::default(); 2] })
        } else if self.sold[step as usize - 1] == 0 {
            Finding::Absent(Absent {})
        } else {
            Finding::Found(Found { upstream_id: id(step), outcome: Some(self.go_on(step)) })
        };
        self.offer(Event::Looked(FindResponse { outcome: Some(outcome) }));
    }

    /// Nothing comes later than the settle window here, so only what is known is found.
    fn look_back(&mut self) {
        let own = Found { upstream_id: id(self.operation.step), outcome: None };
        let outcome = match self.operation.state {
            State::Succeeded => Finding::Found(own),
            _ => Finding::Absent(Absent {}),
        };
        self.offer(Event::LookedBack(FindResponse { outcome: Some(outcome) }));
    }

    fn poll(&mut self, upstream: Upstream) {
        let step = self.operation.step;
        let event = match upstream {
            Upstream::NoConnection => Event::PollFailed(Error::unavailable("no connection")),
            Upstream::RefusesForNow => Event::Polled(PollOutcome {
                outcome: Some(poll_outcome::Outcome::Pending(Pending {
                    handle: vec![step as u8],
                    after: None,
                    view: Some(view(step)),
                })),
            }),
            _ => Event::Polled(PollOutcome {
                outcome: Some(poll_outcome::Outcome::Done(Done { resource: Some(view(step)) })),
            }),
        };
        self.offer(event);
    }

    /// The process dies: before the step, or with an open permit and perhaps a sale.
    fn crash(&mut self, sold: bool) {
        if self.operation.state != State::Accepted {
            return;
        }
        let begun = self.offer(Event::Begin { account: "A1".into() });
        if begun && self.operation.state == State::Running {
            if self.permit() && sold {
                self.sold[self.operation.step as usize - 1] += 1;
            }
            assert!(self.offer(Event::Recovered));
        }
    }

    fn operator(&mut self, try_again: bool) {
        // A person does not decide while a sale may still be on its way.
        if !self.late.is_empty() {
            return;
        }
        let step = self.operation.step;
        let sold = self.sold[step as usize - 1] > 0;
        // An operator who ends a write of which a part was sold decides about money himself.
        if !sold && !try_again && self.sold.iter().any(|sold| *sold > 0) {
            return;
        }
        let resolution = if sold {
            Resolution::Executed {
                upstream_id: id(step),
                outcome: Some(Box::new(self.go_on(step))),
            }
        } else {
            Resolution::NotExecuted { try_again }
        };
        let note = Note { time: self.now().wall, actor: "ops".into(), text: "looked".into() };
        self.offer(Event::Resolved { resolution, note });
    }

    fn out_of_order(&mut self, which: u8) {
        let before = self.operation.clone();
        let open = before.state == State::Running;
        let event = match which % 4 {
            0 if !open => Event::Recovered,
            1 if !open => Event::Closed(Closing { spend: None, said: Ok(self.go_on(1)) }),
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

fn id(step: u32) -> String {
    format!("u{step}")
}

/// The order names the identifiers of all its steps so far.
fn view(step: u32) -> Resource {
    let ids: Vec<String> = (1..=step).map(id).collect();
    let upstream = UpstreamRef { id: ids.join(","), ..UpstreamRef::default() };
    let order = Order { upstream: Some(upstream), ..Order::default() };
    Resource { kind: Some(resource::Kind::Order(order)) }
}
