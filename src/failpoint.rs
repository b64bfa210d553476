//! Numbered places along one spend at which the torture run ends or holds up this process, and the
//! deliberate mistakes of its negative controls. Without the feature `failpoints`, which is never
//! shipped, nothing here does anything, and nothing outside of this file may depend on the feature
//! but what is wrong on purpose.

#[cfg(feature = "failpoints")]
mod armed;

#[cfg(feature = "failpoints")]
pub use self::armed::{arm, control, pass, settle, stall};

#[cfg(not(feature = "failpoints"))]
use std::time::Duration;

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

/// What a negative control does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// A request whose connection broke is sent again at once.
    Naive,
    /// Absence counts at once.
    NoSettle,
    /// The connection is made after the permit and after the look at the clock.
    NoPreconnect,
}

/// Comes by a place.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn pass(_place: Place) {}

/// The settle window, as it is.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn settle(window: Duration) -> Duration {
    window
}
