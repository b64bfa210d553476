//! Cancelling a read at every stage, a thousand times: nothing stays, here or upstream.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use purveyor_sdk::plugin::v1::{CallKind, Op};

use super::plugin_support::{account, open, script};
use super::plugin_upstream::Upstream;

/// How often each stage is cancelled; with four stages more than a thousand calls.
const TIMES: usize = 260;

#[tokio::test]
async fn a_cancelled_read_leaves_nothing_behind() {
    let upstream = Upstream::start().await;
    let mut config = account(&upstream);
    config.timing.attempt_timeout = Some(std::time::Duration::from_secs(60));
    let provider = open(config).await;
    for stage in ["unpolled", "first poll", "sent", "answered"] {
        for _ in 0..TIMES {
            let context = script(if stage == "answered" { "read hang" } else { "read=hang" });
            let before = upstream.requests().len();
            let mut call = pin!(provider.call(CallKind::Read, Op::ListProducts, b"", &context));
            match stage {
                "unpolled" => {}
                "first poll" => {
                    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    assert!(polled.is_pending());
                    assert_eq!(provider.calls_under_way(), 1);
                }
                _ => {
                    // Drives the call until the upstream has its request.
                    std::future::poll_fn(|cx| {
                        assert!(call.as_mut().poll(cx).is_pending());
                        cx.waker().wake_by_ref();
                        let sent = upstream.requests().len() > before;
                        if sent { Poll::Ready(()) } else { Poll::Pending }
                    })
                    .await;
                }
            }
        }
    }
    assert_eq!(provider.calls_under_way(), 0);
    // Whatever waited for an answer was closed; a connection that was answered may be kept.
    while upstream.open_connections() > 1 {
        tokio::task::yield_now().await;
    }
    let context = script("read fail");
    provider.call(CallKind::Read, Op::ListProducts, b"", &context).await.unwrap();
}
