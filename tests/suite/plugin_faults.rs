//! A plugin that is wrong in every way: what is sent, what the host makes of it, and that the
//! provider works afterwards.

use std::sync::Arc;

use purveyor::plugin::{Availability, Environment, Provider, Seen, Stepped};
use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::step_outcome::Outcome;
use purveyor_sdk::plugin::v1::{CallKind, Op};
use purveyor_sdk::v1::ErrorReason;

use super::plugin_support::{TestPermits, account, clock, open, open_in, script};
use super::plugin_upstream::Upstream;

async fn read(provider: &Provider, words: &str) -> Result<bytes::Bytes, Error> {
    provider.call(CallKind::Read, Op::ListProducts, b"", &script(words)).await
}

async fn step(provider: &Provider, words: &str) -> Stepped {
    provider.step(Op::CreateOrder, b"", &script(words), Arc::<TestPermits>::default()).await
}

/// The rules of each kind of call, and that a refusal sends nothing of what was refused.
#[tokio::test]
async fn a_kind_of_call_sends_what_it_may_and_nothing_more() {
    let cases = [
        (CallKind::Read, Op::ListProducts, "read", None),
        (CallKind::Read, Op::ListProducts, "get=x", None),
        (CallKind::Read, Op::ListProducts, "spend", Some("CALL_KIND_READ must not send")),
        (CallKind::Read, Op::ListProducts, "setting", Some("CALL_KIND_READ must not send")),
        (CallKind::Read, Op::ListProducts, "prepare", Some("CALL_KIND_READ must not send")),
        (
            CallKind::Read,
            Op::GetProduct,
            "read",
            Some("OP_GET_PRODUCT does not declare the call read"),
        ),
        (CallKind::Read, Op::ListProducts, "undeclared", Some("the manifest declares no call")),
        (CallKind::Read, Op::ListProducts, "disguised", Some("sent as read is a \"spend\"")),
        (CallKind::Plan, Op::Plan, "read prepare", None),
        (CallKind::Plan, Op::Plan, "spend", Some("CALL_KIND_PLAN must not send")),
        (CallKind::Plan, Op::Plan, "setting", Some("CALL_KIND_PLAN must not send")),
        (CallKind::Baseline, Op::Baseline, "spend", Some("CALL_KIND_BASELINE must not send")),
        (CallKind::Baseline, Op::Baseline, "prepare", Some("CALL_KIND_BASELINE must not send")),
        (CallKind::Poll, Op::Poll, "setting", Some("CALL_KIND_POLL must not send")),
        (CallKind::Poll, Op::Poll, "spend", Some("CALL_KIND_POLL must not send")),
        (CallKind::Find, Op::Find, "spend", Some("CALL_KIND_FIND must not send")),
        (CallKind::Find, Op::Find, "prepare", Some("CALL_KIND_FIND must not send")),
    ];
    let upstream = Upstream::start().await;
    let provider = open(account(&upstream)).await;
    for (kind, op, words, refused) in cases {
        let before = upstream.bytes();
        let answer = provider.call(kind, op, b"", &script(words)).await;
        match refused {
            None => {
                answer.unwrap_or_else(|error| panic!("{kind:?} {words}: {error}"));
                assert!(upstream.bytes() > before, "{kind:?} {words}");
            }
            Some(message) => {
                let error = answer.unwrap_err();
                assert_eq!(error.reason, ErrorReason::PluginFault, "{kind:?} {words}: {error}");
                assert!(error.message.contains(message), "{kind:?} {words}: {error}");
                assert_eq!(upstream.bytes(), before, "{kind:?} {words} sent something");
            }
        }
    }
    assert_eq!(provider.calls_under_way(), 0);
    assert_eq!(provider.state(), Availability::Available);
}

/// What one step may do, in which order, and what of it reaches the upstream.
#[tokio::test]
async fn a_step_spends_once_and_then_nothing_more() {
    let cases: &[(&str, &[&str], Option<&str>)] = &[
        ("spend", &["spend"], None),
        ("setting", &["setting"], None),
        ("read prepare spend", &["read", "prepare", "spend"], None),
        ("pending spend pending", &["spend"], None),
        ("spend spend", &["spend"], Some("asked after spend")),
        ("setting spend", &["setting"], Some("asked after setting")),
        ("spend read", &["spend"], Some("asked after spend")),
        ("spend prepare", &["spend"], Some("asked after spend")),
        ("both", &["spend"], Some("asked after spend")),
        ("beside", &["read"], Some("beside another request")),
        ("begun", &["spend"], None),
        ("begun spend", &["spend"], Some("asked after spend")),
        ("unpolled", &[], None),
        ("spawned", &[], Some("outside of its call's own task")),
        ("smuggled", &[], Some("outside of its call's own task")),
        ("foreign fail", &[], Some("is unknown or has ended")),
        ("disguised", &[], Some("sent as read is a \"spend\"")),
        ("undeclared", &[], Some("the manifest declares no call")),
    ];
    let upstream = Upstream::start().await;
    let provider = open(account(&upstream)).await;
    for (words, sent, refused) in cases {
        let before = upstream.words().len();
        let stepped = step(&provider, &format!("{words} say:done:77")).await;
        assert_eq!(upstream.words()[before..], **sent, "{words}");
        match refused {
            None => assert!(stepped.said.is_ok(), "{words}: {:?}", stepped.said),
            Some(message) => {
                let error = stepped.said.unwrap_err();
                assert_eq!(error.reason, ErrorReason::PluginFault, "{words}: {error}");
                assert!(error.message.contains(message), "{words}: {error}");
            }
        }
        let spends = sent.iter().any(|word| ["spend", "setting"].contains(word));
        assert_eq!(stepped.spend.is_some(), spends, "{words}");
        if let Some(spend) = stepped.spend {
            assert!(matches!(spend.seen, Seen::Success { .. }), "{words}: {:?}", spend.seen);
            assert_eq!(spend.attempt, Some(1), "{words}");
        }
    }
    assert_eq!(provider.calls_under_way(), 0);
}

/// What the plugin says and what the host saw stand beside each other; neither changes the other.
#[tokio::test]
async fn what_the_plugin_says_changes_nothing_of_what_the_host_saw() {
    let upstream = Upstream::start().await;
    let provider = open(account(&upstream)).await;

    let lost = step(&provider, "spend=eof say:done:invented").await;
    assert!(matches!(lost.said.unwrap().outcome, Some(Outcome::Done(_))));
    assert!(matches!(lost.spend.unwrap().seen, Seen::Unproven { .. }));

    let denied = step(&provider, "spend say:rejected:no-credit").await;
    assert!(matches!(denied.said.unwrap().outcome, Some(Outcome::Rejected(_))));
    let made = Seen::Success { upstream_id: Some("77".to_owned()), id_kind: "order".to_owned() };
    assert_eq!(denied.spend.unwrap().seen, made);

    let garbage = step(&provider, "spend say:garbage").await;
    assert_eq!(garbage.said.unwrap_err().reason, ErrorReason::PluginFault);
    assert_eq!(garbage.spend.unwrap().seen, made);

    let never = step(&provider, "say:done:invented").await;
    assert!(never.said.is_ok() && never.spend.is_none());

    let error = read(&provider, "say:garbage").await.unwrap_err();
    assert_eq!(error.message, "the plugin's answer cannot be decoded");
}

#[tokio::test]
async fn a_panic_loses_no_spend_and_the_next_call_works() {
    let upstream = Upstream::start().await;
    for (words, spends) in [
        ("start", false),
        ("panic", false),
        ("pending panic", false),
        ("spend panic", true),
        ("begun panic", true),
        ("read panic spend", false),
    ] {
        // A provider each, because panics add up.
        let provider = open(account(&upstream)).await;
        let stepped = step(&provider, words).await;
        let error = stepped.said.unwrap_err();
        assert_eq!(error.message, "the plugin panicked", "{words}");
        let source = error.source.unwrap().to_string();
        assert!(source.contains("told to panic"), "{words}: {source}");
        match stepped.spend {
            Some(spend) => {
                assert!(spends, "{words}");
                assert!(matches!(spend.seen, Seen::Success { .. }), "{words}: {:?}", spend.seen);
            }
            None => assert!(!spends, "{words}"),
        }
        read(&provider, "read").await.unwrap();
        assert_eq!(provider.calls_under_way(), 0, "{words}");
    }
}

#[tokio::test]
async fn a_panic_in_drop_harms_nobody() {
    let upstream = Upstream::start().await;
    let provider = open(account(&upstream)).await;
    for _ in 0..5 {
        let call = read(&provider, "cleanup hang");
        let cut = tokio::time::timeout(std::time::Duration::from_millis(20), call).await;
        assert!(cut.is_err(), "the call hangs until it is dropped");
    }
    read(&provider, "read").await.unwrap();
    assert_eq!(provider.state(), Availability::Available);
}

#[tokio::test]
async fn repeated_panics_quarantine_the_provider() {
    let upstream = Upstream::start().await;
    let provider = open(account(&upstream)).await;
    for _ in 0..3 {
        read(&provider, "panic").await.unwrap_err();
    }
    let Availability::Unavailable { reason } = provider.state() else {
        panic!("three panics in a minute are too many");
    };
    assert!(reason.contains("panicked 3 times") && reason.contains("told to panic"), "{reason}");
    let error = read(&provider, "read").await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::ProviderUnavailable);
    let stepped = step(&provider, "spend").await;
    assert!(stepped.spend.is_none() && upstream.bytes() == 0);
}

#[tokio::test]
async fn panics_in_spawned_tasks_count_too() {
    let upstream = Upstream::start().await;
    let provider = open(account(&upstream)).await;
    for _ in 0..3 {
        read(&provider, "spoiled sleep read fail").await.unwrap();
    }
    let error = read(&provider, "read").await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::ProviderUnavailable);
    assert!(error.message.contains("in a task that it spawned"), "{error}");
}

#[tokio::test]
async fn a_plugin_that_does_not_open_is_quarantined_with_its_reason() {
    for (told, expected) in [("panic", "told to panic in open"), ("refuse", "told to refuse")] {
        let upstream = Upstream::start().await;
        let mut config = account(&upstream);
        config.configuration = serde_json::json!({ "open": told });
        let provider = open_in(config, Environment::new(clock())).await;
        let Availability::Unavailable { reason } = provider.state() else {
            panic!("{told}: it must not open");
        };
        assert!(reason.contains(expected), "{reason}");
    }
}

/// The host's part of a step ends although the plugin's does not. Time is paused after the spend, so
/// that the limit of the step passes at once.
#[tokio::test]
async fn a_plugin_that_hangs_after_its_spend_is_dropped() {
    let upstream = Upstream::start().await;
    let provider = open(account(&upstream)).await;
    let call = tokio::spawn(async move { step(&provider, "spend hang").await });
    while upstream.words().is_empty() || upstream.open_connections() > 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    let stepped = call.await.unwrap();
    assert_eq!(stepped.said.unwrap_err().message, "the plugin did not answer in time");
    assert!(matches!(stepped.spend.unwrap().seen, Seen::Success { .. }));
}

#[tokio::test]
async fn what_a_provider_does_not_have_is_refused_before_the_plugin() {
    let upstream = Upstream::start().await;
    let provider = open(account(&upstream)).await;
    let error =
        provider.call(CallKind::Read, Op::GetService, b"", &script("panic")).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::CapabilityUnsupported);
    let permits = Arc::<TestPermits>::default();
    let stepped = provider.step(Op::TerminateService, b"", &script("panic"), permits).await;
    assert_eq!(stepped.said.unwrap_err().reason, ErrorReason::CapabilityUnsupported);
    let error =
        provider.call(CallKind::Read, Op::CreateOrder, b"", &script("spend")).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::Internal, "a write is no read");
}

/// No permit, no byte.
#[tokio::test]
async fn nothing_is_written_without_a_valid_permit() {
    let upstream = Upstream::start().await;
    let provider = open(account(&upstream)).await;
    for (permits, expected, attempt) in [
        (TestPermits { refuses: true, ..TestPermits::default() }, "no permit was given", None),
        (TestPermits { late: true, ..TestPermits::default() }, "deadline was missed", Some(1)),
    ] {
        let context = script("spend fail");
        let stepped = provider.step(Op::CreateOrder, b"", &context, Arc::new(permits)).await;
        let spend = stepped.spend.unwrap();
        let Seen::NotSent { reason } = &spend.seen else { panic!("{:?}", spend.seen) };
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(spend.attempt, attempt);
        assert!(stepped.said.is_err());
    }
    assert_eq!(upstream.connections(), 2, "the connections stood");
    assert_eq!(upstream.bytes(), 0, "and nothing was written to them");
}
