//! Keeps panics on the side they happen on. Nothing here may unwind, whatever the payload does.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f` and turns a panic into its message.
///
/// The closure is trusted to be unwind safe: whoever calls this does not look again at what the
/// closure was changing, but drops it.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(message)
}

/// Runs `f` where a panic has nobody left to answer to. The panic hook has told it by then.
pub(crate) fn contain(f: impl FnOnce()) {
    drop(catch(f));
}

#[cold]
fn message(payload: Box<dyn Any + Send>) -> String {
    let text = match payload.downcast::<String>() {
        Ok(text) => return *text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => return (*text).to_owned(),
            Err(payload) => {
                // Any other payload may have a destructor, which may panic with a payload of its
                // own; that one is leaked rather than trusted a third time.
                if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                    std::mem::forget(second);
                }
                "panicked with a value that is no text"
            }
        },
    };
    text.to_owned()
}
