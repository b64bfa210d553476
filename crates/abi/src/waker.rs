//! The two bridges between `std::task::Waker` and the one-word waker of the ABI. A poll allocates
//! nothing; only a clone does. Nothing here may outlive the poll it was lent for but by cloning.
//!
//! A waker that has crossed and comes back (the host polls the plugin, which polls the host) is
//! recognised by its vtable and unwrapped, so `Waker::will_wake` keeps working through a plugin.

use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

use crate::panic;
use crate::raw::{self, WakerObject, WakerVtable};

/// Calls `f` with `waker` in one word, borrowed for that call.
pub(crate) fn lend<R>(waker: &Waker, f: impl FnOnce(raw::Waker) -> R) -> R {
    if ptr::eq(waker.vtable(), &FOREIGN) {
        return f(waker.data().cast());
    }
    let lent = Lent { object: WakerObject { vtable: &LENT }, waker };
    f((&raw const lent).cast())
}

/// Calls `f` with a context over a waker of the other side; `None` when that is not a waker.
///
/// # Safety
///
/// `waker` is null or keeps the contract of [`raw::Waker`] for the duration of the call.
pub(crate) unsafe fn with_context<R>(
    waker: raw::Waker,
    f: impl FnOnce(&mut Context<'_>) -> R,
) -> Option<R> {
    if waker.is_null() {
        return None;
    }
    // SAFETY: not null, and the caller promises an object.
    let vtable = unsafe { (*waker).vtable };
    if ptr::eq(vtable, &LENT) {
        // SAFETY: only `lend` makes objects with this vtable, and they are of this type.
        let lent = unsafe { &*waker.cast::<Lent<'_>>() };
        return Some(f(&mut Context::from_waker(lent.waker)));
    }
    if ptr::eq(vtable, &OWNED) {
        // SAFETY: only `own` makes objects with this vtable, and they are of this type.
        let owned = unsafe { &*waker.cast::<Owned>() };
        return Some(f(&mut Context::from_waker(&owned.waker)));
    }
    // SAFETY: an object's vtable is null or lives at least as long as the object.
    let complete = unsafe { vtable.as_ref() }.is_some_and(is_complete);
    if !complete {
        return None;
    }
    // Never dropped, because it is borrowed: only its clones own something.
    // SAFETY: `FOREIGN` forwards to the vtable checked above, whose contract is that of `RawWaker`.
    let waker = ManuallyDrop::new(unsafe { Waker::new(waker.cast(), &FOREIGN) });
    Some(f(&mut Context::from_waker(&waker)))
}

fn is_complete(vtable: &WakerVtable) -> bool {
    vtable.clone.is_some()
        && vtable.wake.is_some()
        && vtable.wake_by_ref.is_some()
        && vtable.drop.is_some()
}

/// A waker of this side, lent to the other for one poll. Begins as every waker object does.
#[repr(C)]
struct Lent<'a> {
    object: WakerObject,
    waker: &'a Waker,
}

static LENT: WakerVtable = WakerVtable {
    clone: Some(lent_clone),
    // A borrowed waker is not the borrower's to consume, so waking leaves it as it is.
    wake: Some(lent_wake),
    wake_by_ref: Some(lent_wake),
    drop: Some(lent_drop),
};

unsafe extern "C" fn lent_clone(waker: raw::Waker) -> raw::Waker {
    // SAFETY: called through `LENT`, so the object is a `Lent` that still lives.
    own(|| unsafe { &*waker.cast::<Lent<'_>>() }.waker.clone())
}

unsafe extern "C" fn lent_wake(waker: raw::Waker) {
    // SAFETY: called through `LENT`, so the object is a `Lent` that still lives.
    panic::contain(|| unsafe { &*waker.cast::<Lent<'_>>() }.waker.wake_by_ref());
}

unsafe extern "C" fn lent_drop(_: raw::Waker) {}

/// A waker of this side that the other side owns, behind an `Arc`.
#[repr(C)]
struct Owned {
    object: WakerObject,
    waker: Waker,
}

static OWNED: WakerVtable = WakerVtable {
    clone: Some(owned_clone),
    wake: Some(owned_wake),
    wake_by_ref: Some(owned_wake_by_ref),
    drop: Some(owned_drop),
};

// SAFETY: the vtable pointer leads to an immutable static; `Waker` is Send and Sync itself.
unsafe impl Send for Owned {}
// SAFETY: as above.
unsafe impl Sync for Owned {}

/// Makes an owned waker object; null when cloning panicked, which the other side must notice.
fn own(clone: impl FnOnce() -> Waker) -> raw::Waker {
    let made = panic::catch(|| {
        Arc::into_raw(Arc::new(Owned { object: WakerObject { vtable: &OWNED }, waker: clone() }))
    });
    made.map_or(ptr::null(), |owned| owned.cast())
}

unsafe extern "C" fn owned_clone(waker: raw::Waker) -> raw::Waker {
    // SAFETY: called through `OWNED`, so this came from `Arc::into_raw` and is not dropped yet.
    unsafe { Arc::increment_strong_count(waker.cast::<Owned>()) };
    waker
}

unsafe extern "C" fn owned_wake(waker: raw::Waker) {
    // SAFETY: as in `owned_clone`, and this call consumes one reference.
    let owned = unsafe { Arc::from_raw(waker.cast::<Owned>()) };
    panic::contain(move || owned.waker.wake_by_ref());
}

unsafe extern "C" fn owned_wake_by_ref(waker: raw::Waker) {
    // SAFETY: as in `owned_clone`; the reference stays the caller's.
    panic::contain(|| unsafe { &*waker.cast::<Owned>() }.waker.wake_by_ref());
}

unsafe extern "C" fn owned_drop(waker: raw::Waker) {
    // SAFETY: as in `owned_clone`, and this call consumes one reference.
    let owned = unsafe { Arc::from_raw(waker.cast::<Owned>()) };
    panic::contain(move || drop(owned));
}

/// A `std` waker over an object of the other side.
static FOREIGN: RawWakerVTable =
    RawWakerVTable::new(foreign_clone, foreign_wake, foreign_wake_by_ref, foreign_drop);

/// The functions behind a `std` waker of the other side.
///
/// # Safety
///
/// `data` is a living waker object whose vtable `is_complete`.
unsafe fn vtable<'a>(data: *const ()) -> &'a WakerVtable {
    // SAFETY: as the caller promises; a vtable lives as long as the code that made it.
    unsafe { &*(*data.cast::<WakerObject>()).vtable }
}

unsafe fn foreign_clone(data: *const ()) -> RawWaker {
    // SAFETY: `data` belongs to a waker over `FOREIGN`, so it was checked when it came in.
    let clone = unsafe { vtable(data) }.clone;
    // SAFETY: the object lives, and cloning is allowed on borrowed and owned ones.
    let owned = clone.map_or(ptr::null(), |clone| unsafe { clone(data.cast()) });
    // A waker that does nothing instead would turn this into a call that hangs. The panic is
    // caught around the poll and becomes its reply.
    assert!(!owned.is_null(), "the other side could not clone its waker");
    // SAFETY: not null, and an owned object lives until it is dropped.
    let complete = unsafe { (*owned).vtable.as_ref() }.is_some_and(is_complete);
    assert!(complete, "the other side cloned its waker into something else");
    RawWaker::new(owned.cast(), &FOREIGN)
}

unsafe fn foreign_wake(data: *const ()) {
    // SAFETY: as in `foreign_clone`.
    if let Some(wake) = unsafe { vtable(data) }.wake {
        // SAFETY: the waker is consumed, and with it the object it owned.
        unsafe { wake(data.cast()) };
    }
}

unsafe fn foreign_wake_by_ref(data: *const ()) {
    // SAFETY: as in `foreign_clone`.
    if let Some(wake_by_ref) = unsafe { vtable(data) }.wake_by_ref {
        // SAFETY: the object lives and stays as it is.
        unsafe { wake_by_ref(data.cast()) };
    }
}

unsafe fn foreign_drop(data: *const ()) {
    // SAFETY: as in `foreign_clone`.
    if let Some(drop) = unsafe { vtable(data) }.drop {
        // SAFETY: the waker is dropped, and with it the object it owned.
        unsafe { drop(data.cast()) };
    }
}
