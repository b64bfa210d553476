//! How one life of a gateway goes: with which failpoints and clock it is started, when it is stopped and
//! how it ends. A seed decides. It must not touch a process.

use std::time::Duration;

use super::controls::Control;
use super::dice::Dice;
use super::faults::TIMING;

/// The places along a spend, from 1.
const PLACES: u64 = 14;
/// Those at which an answer is there and its outcome is not committed.
const ANSWERED: (u64, u64) = (9, 11);
/// Exchanged: the last place before the answer is classified.
const EXCHANGED: u64 = 10;
/// What a shared store adds to leases and to windows, since several processes advance its age.
const SHARED_MARGIN: Duration = Duration::from_secs(2);
/// So many gateways stop themselves in turn where that is the control's workload; one goes on.
const STOPPING: usize = 2;
/// What a wall clock is stepped by, in seconds.
const STEPS: [i64; 3] = [60, 600, -86_400];
/// One in so many lives has a wall clock that is stepped.
const STEPPED_LIVES: u64 = 3;
/// One in so many lives has plugins that err after the answer, so often in a hundred.
const WRONG_PLUGIN_LIVES: u64 = 4;
const PLUGIN_ERRORS: u64 = 15;
/// One in so many lives has a configuration without one of the providers.
const LACKING_LIVES: u64 = 6;

/// How the gateways are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temper {
    /// As badly as possible.
    Cruel,
    /// Killed now and then: a control has to live long enough to do its mistake.
    Rough,
    /// Left alone, but for senders that are held up.
    Mild,
    /// Left alone.
    Calm,
    /// All gateways but one are stopped with an answer in its hands until another has taken over, and goes
    /// on before the window ends.
    Stopped,
    /// Left alone, but for a wall clock that is stepped forward again and again.
    Stepped,
}

/// What decides about lives, beside the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) temper: Temper,
    pub(crate) control: Option<Control>,
    /// How long a gateway that is held up keeps what it works on from others, where there are any.
    pub(crate) lease: Option<Duration>,
    /// Whether gateways are stopped for longer than lease and window.
    pub(crate) stops: bool,
    /// Whether wall clocks are stepped.
    pub(crate) clock_steps: bool,
    /// Whether some lives lack a provider.
    pub(crate) rolling: bool,
    /// Whether plugins err after the answer, and for a control how often in a hundred steps.
    pub(crate) plugin_errors: Option<u64>,
}

impl Rules {
    /// Nothing goes on while the only gateway is stopped, so that happens in some of the cases alone.
    fn often(&self, some: bool) -> bool {
        self.lease.is_some() || some
    }
}

/// One life of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Life {
    /// What the process is told of itself.
    pub(crate) failpoints: String,
    pub(crate) end: End,
    /// It stops itself at a place; it is continued after this.
    pub(crate) stopped_for: Option<Duration>,
    /// When its wall clock is stepped, and by how many seconds; `None`: it has the machine's clock.
    pub(crate) steps: Option<Vec<(Duration, i64)>>,
    /// Its configuration lacks one of the providers.
    pub(crate) lacks_provider: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// `kill -9` after this.
    Kill(Duration),
    /// It ends by itself at its place.
    Abort,
    /// It is stopped, goes on, and is killed.
    Stop { after: Duration, pause: Duration, then: Duration },
    /// It lives until all is over.
    #[default]
    Age,
}

impl Life {
    /// The next life of a gateway.
    pub(crate) fn draw(dice: &mut Dice, rules: &Rules, gateway: usize) -> Self {
        let mut failpoints = vec![format!("seed={}", dice.roll(1 << 32))];
        failpoints.extend(rules.control.map(|control| format!("control={}", control.word())));
        let mut life = match rules.temper {
            Temper::Mild => {
                failpoints.push(format!("stall=30:{}", TIMING.past_settle().as_millis()));
                Self::default()
            }
            Temper::Rough => Self::until(End::Kill(millis(dice.between(1500, 4000)))),
            Temper::Cruel => Self::cruel(dice, rules, &mut failpoints),
            Temper::Stopped if gateway < STOPPING => {
                Self::with_answers(dice, rules, &mut failpoints)
            }
            Temper::Calm | Temper::Stopped => Self::default(),
            Temper::Stepped => {
                let step = |number: u32| (millis(250) * number, STEPS[0]);
                Self { steps: Some((1..=1200).map(step).collect()), ..Self::default() }
            }
        };
        match rules.plugin_errors {
            Some(percent) if rules.temper != Temper::Cruel => {
                failpoints.push(format!("plugin-errors={percent}"));
            }
            Some(_) if dice.roll(WRONG_PLUGIN_LIVES) == 0 => {
                failpoints.push(format!("plugin-errors={PLUGIN_ERRORS}"));
            }
            _ => {}
        }
        life.failpoints = failpoints.join(",");
        life
    }

    fn until(end: End) -> Self {
        Self { end, ..Self::default() }
    }

    fn cruel(dice: &mut Dice, rules: &Rules, failpoints: &mut Vec<String>) -> Self {
        let mut life = match dice.roll(100) {
            roll @ 81..84 if rules.stops && rules.often(roll == 83) => {
                Self::with_any_answer(dice, rules, failpoints)
            }
            roll => Self::until(Self::cruel_end(roll, dice, rules, failpoints)),
        };
        if rules.clock_steps && dice.roll(STEPPED_LIVES) == 0 {
            let first = (Duration::ZERO, clock_step(dice));
            let second = (millis(dice.between(5, 400)), clock_step(dice));
            let third = (second.0 + millis(dice.between(5, 2000)), clock_step(dice));
            life.steps = Some(vec![first, second, third]);
        }
        life.lacks_provider = rules.rolling && dice.roll(LACKING_LIVES) == 0;
        life
    }

    fn cruel_end(roll: u64, dice: &mut Dice, rules: &Rules, failpoints: &mut Vec<String>) -> End {
        match (roll, rules.lease) {
            // Where each commit is several round trips, some have to live for a purchase or two.
            (20..54, Some(_)) => End::Kill(millis(dice.between(200, 4000))),
            // Held up until others have taken over what it holds, and decided it; then it goes on.
            (84..86, lease) if rules.stops && rules.often(roll == 84) => End::Stop {
                after: millis(dice.between(5, 100)),
                pause: decided(lease) + millis(dice.between(0, 1500)),
                then: millis(dice.between(5, 500)),
            },
            (0..54, _) => End::Kill(millis(dice.between(5, 150))),
            (54..86, _) => {
                let (place, nth) = (dice.between(1, PLACES), dice.between(1, 12));
                // Some come to their place, and end while the bytes are on their way.
                let micros = if dice.percent(50) { 0 } else { dice.between(20, 4000) };
                failpoints.push(format!("abort={place}:{nth}:{micros}"));
                End::Abort
            }
            (86..96, _) => End::Stop {
                after: millis(dice.between(5, 100)),
                pause: millis(dice.between(5, 300)),
                then: millis(dice.between(5, 60)),
            },
            (96..99, _) => End::Kill(millis(dice.between(300, 1500))),
            // Senders that are held up past the settle window have to live that long.
            _ => {
                let stall = TIMING.past_settle();
                failpoints.push(format!("stall=30:{}", stall.as_millis()));
                End::Kill(stall + millis(1000))
            }
        }
    }

    /// It stops with an answer in its hands, for longer than its lease: others have taken over, and have
    /// decided it or not. Where there are no others it is stopped for longer than the window.
    fn with_any_answer(dice: &mut Dice, rules: &Rules, failpoints: &mut Vec<String>) -> Self {
        let place = dice.between(ANSWERED.0, ANSWERED.1);
        failpoints.push(format!("stop={place}:{}", dice.between(1, 6)));
        let undecided = dice.percent(50);
        let pause = match rules.lease {
            Some(lease) if undecided => lease + millis(dice.between(300, 3000)),
            lease => decided(lease) + millis(dice.between(0, 500)),
        };
        let end = End::Kill(pause + millis(dice.between(500, 3000)));
        Self { end, stopped_for: Some(pause), ..Self::default() }
    }

    /// As above, again and again and always before the window ends. It is never killed: an answer that
    /// nobody has read is no witness, and no upstream that hides its sales can be bought from without.
    fn with_answers(dice: &mut Dice, rules: &Rules, failpoints: &mut Vec<String>) -> Self {
        failpoints.push(format!("stop={EXCHANGED}:{}", dice.between(2, 4)));
        let pause = rules.lease.unwrap_or_default() + SHARED_MARGIN + millis(1200);
        Self { stopped_for: Some(pause), ..Self::default() }
    }
}

/// What a wall clock is stepped by next, in seconds.
pub(crate) fn clock_step(dice: &mut Dice) -> i64 {
    let side = usize::try_from(dice.roll(STEPS.len() as u64)).unwrap_or_default();
    STEPS[side]
}

/// How long it takes at most until others have decided what a gateway holds that is stopped.
fn decided(lease: Option<Duration>) -> Duration {
    let taken_over = lease.map_or(Duration::ZERO, |lease| lease + 2 * SHARED_MARGIN);
    taken_over + TIMING.past_settle()
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::{Dice, End, Life, Rules, SHARED_MARGIN, Temper};
    use crate::torture::faults::TIMING;
    use crate::torture::site::LEASE;

    fn lives(rules: &Rules) -> Vec<Life> {
        let mut dice = Dice::new(1, 1);
        (0..2000).map(|_| Life::draw(&mut dice, rules, 0)).collect()
    }

    fn cruel() -> Rules {
        Rules {
            temper: Temper::Cruel,
            control: None,
            lease: Some(LEASE),
            stops: true,
            clock_steps: true,
            rolling: true,
            plugin_errors: Some(0),
        }
    }

    #[test]
    fn cruel_lives_go_wrong_in_every_way() {
        for lease in [None, Some(LEASE)] {
            let lives = lives(&Rules { lease, ..cruel() });
            let count = |which: fn(&Life) -> bool| lives.iter().filter(|life| which(life)).count();
            assert!(count(|life| life.steps.is_some()).abs_diff(667) < 100);
            assert!(count(|life| life.failpoints.contains("plugin-errors=")).abs_diff(500) < 100);
            assert!(count(|life| life.stopped_for.is_some()) > 8);
            assert!(count(|life| life.lacks_provider).abs_diff(333) < 70);
            let long = |life: &Life| matches!(life.end, End::Stop { pause, .. } if pause > TIMING.settle());
            assert!(count(long) > 8);
            assert!(count(|life| life.end == End::Abort) > 200);
        }
    }

    #[test]
    fn spared_hazards_never_happen() {
        let rules = Rules {
            stops: false,
            clock_steps: false,
            rolling: false,
            plugin_errors: None,
            ..cruel()
        };
        for life in lives(&rules) {
            assert!(life.steps.is_none() && life.stopped_for.is_none() && !life.lacks_provider);
            assert!(!life.failpoints.contains("plugin-errors"));
            assert!(!matches!(life.end, End::Stop { pause, .. } if pause > TIMING.settle()));
        }
    }

    #[test]
    fn answer_is_read_after_the_lease_and_before_the_window_ends() {
        let rules = Rules { temper: Temper::Stopped, ..cruel() };
        for life in lives(&rules) {
            let pause = life.stopped_for.unwrap();
            assert!(pause > LEASE + SHARED_MARGIN && pause < LEASE + TIMING.settle());
        }
    }
}
