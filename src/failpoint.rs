//! Numbered places along one spend at which the torture run ends or holds up this process, and the
//! deliberate mistakes of its negative controls. Without the feature `failpoints`, which is never
//! shipped, nothing here does anything, and nothing outside of this file may depend on the feature
//! but what is wrong on purpose.

#[cfg(feature = "failpoints")]
mod armed;

#[cfg(feature = "failpoints")]
pub use self::armed::{arm, contested, control, misreport, pass, settle, stall, taken_over};

#[cfg(not(feature = "failpoints"))]
use std::time::Duration;

#[cfg(not(feature = "failpoints"))]
use crate::plugin::Stepped;

/// The places, in the order in which a purchase comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A write is about to be stored.
    Accepting = 1,
    /// It is stored, and nobody has been told.
    Accepted = 2,
    /// Its step has begun; locks are held.
    Begun = 3,
    /// The evidence of what was there before is taken.
    BaselineTaken = 4,
    /// The connection stands.
    Connected = 5,
    /// The permit is about to be committed.
    Permitting = 6,
    /// The permit's commit was acknowledged.
    Permitted = 7,
    /// The clock was looked at; the next thing is the write.
    Checked = 8,
    /// The head of the answer is there.
    Answered = 9,
    /// The exchange is over and not yet classified.
    Exchanged = 10,
    /// The outcome is about to be committed.
    Closing = 11,
    /// Any change of an operation is committed, and nobody has been told.
    Closed = 12,
    /// It was looked for upstream, and what was found is not committed.
    Looked = 13,
    /// The upstream was asked how far it is, and its answer is not committed.
    Polled = 14,
}

impl Place {
    /// Every place.
    #[cfg(feature = "failpoints")]
    const ALL: [Self; 14] = [
        Self::Accepting,
        Self::Accepted,
        Self::Begun,
        Self::BaselineTaken,
        Self::Connected,
        Self::Permitting,
        Self::Permitted,
        Self::Checked,
        Self::Answered,
        Self::Exchanged,
        Self::Closing,
        Self::Closed,
        Self::Looked,
        Self::Polled,
    ];
}

/// What a negative control does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// A request whose connection broke is sent again at once.
    Naive,
    /// Absence counts at once.
    NoSettle,
    /// The connection is made after the permit and after the look at the clock.
    NoPreconnect,
    /// An attempt whose answer the host has seen as a success may be presumed absent.
    SuccessMayBeAbsent,
    /// The key of an account lacks the origin of its endpoint.
    SharedAccountKey,
    /// Targets are locked by the provider's name alone.
    LockByProvider,
    /// A success that is seen after another gateway has taken over is dropped.
    LateAnswerDropped,
    /// Ages come from the wall clock.
    ClockBelieved,
    /// What nothing explains, a list that is not whole and an effect do not speak against absence.
    BlindAbsence,
    /// The upstream's last word counts as success, whether its effect shows or not.
    WordIsSuccess,
    /// An operator's word counts before absence does.
    EarlyResolve,
    /// A refusal ends an operation without a search for the effect.
    RefusalWithoutLook,
    /// Nothing is searched for before the next spend on a restored store.
    RestoredBackup,
}

/// Comes by a place.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn pass(_place: Place) {}

/// A step ends; the plugin's outcome stays as it is.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn misreport(_stepped: &mut Stepped, _provider: &str) {}

/// The settle window, as it is.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn settle(window: Duration) -> Duration {
    window
}
