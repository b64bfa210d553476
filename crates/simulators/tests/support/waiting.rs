//! Waiting in tests, without sleeping. It must not know what is waited for.

use std::time::{Duration, Instant};

/// Waits for what another task brings about; it takes turns with it and never sleeps.
pub(crate) async fn wait_for(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain");
        tokio::task::yield_now().await;
    }
}
