//! Carries out a script. Every word is one thing that a plugin can do, most of them wrong.

use std::sync::Arc;
use std::task::Poll;

use futures_util::future::{join, pending};
use futures_util::poll;
use prost::Message;
use purveyor_abi::guest::Host;
use purveyor_abi::{Fault, ReplyFuture};
use purveyor_sdk::plugin::v1::resource::Kind;
use purveyor_sdk::plugin::v1::step_outcome::{Done, Outcome, Pending, Rejected};
use purveyor_sdk::plugin::v1::{
    Error, HostOp, HttpRequest, HttpResponse, IdentifyResponse, Resource, StepOutcome,
};
use purveyor_sdk::v1::{Order, UpstreamRef};

/// Runs a script to its end, and gives the bytes of the answer.
pub(crate) async fn run(host: &Arc<Host>, id: u64, script: &str) -> Result<Vec<u8>, Error> {
    let mut last = Ok(());
    let mut _cleanup = None;
    for word in script.split(' ').filter(|word| !word.is_empty()) {
        let (word, mode) = word.split_once('=').unwrap_or((word, ""));
        match word {
            "cleanup" => _cleanup = Some(Cleanup),
            "fail" => last.clone()?,
            _ => match word.split_once(':') {
                Some((_, says)) => return Ok(answer(says)),
                None => last = act(host, id, word, mode).await,
            },
        }
    }
    Ok(Vec::new())
}

async fn act(host: &Arc<Host>, id: u64, word: &str, mode: &str) -> Result<(), Error> {
    match word {
        "read" | "prepare" | "setting" | "spend" => send(host, id, word, word, mode).await,
        "get" => thing(host, id, mode).await,
        "undeclared" => send(host, id, "nowhere", "read", mode).await,
        "disguised" => send(host, id, "read", "spend", mode).await,
        "foreign" => send(host, id + 1, "spend", "spend", mode).await,
        "both" | "beside" => {
            let first = if word == "both" { "spend" } else { "read" };
            let first = send(host, id, first, first, mode);
            let (first, second) = join(first, send(host, id, "spend", "spend", mode)).await;
            first.and(second)
        }
        "spawned" => spawned(host, id, mode, false).await,
        "smuggled" => spawned(host, id, mode, true).await,
        "begun" => {
            let mut future = Box::pin(send(host, id, "spend", "spend", mode));
            let _pending = poll!(&mut future);
            Ok(())
        }
        "unpolled" => {
            drop(request(host, id, "spend", "spend", mode));
            Ok(())
        }
        "sleep" => {
            let woken = host.sleep_until(host.monotonic_now() + 1_000_000);
            woken.expect("the host keeps time").await.into_result().map(drop).map_err(fault)
        }
        "spoiled" => {
            host.spawn(async { panic!("told to panic in a task") }).expect("the host takes a task");
            Ok(())
        }
        "pending" => {
            yield_once().await;
            Ok(())
        }
        "hang" => pending().await,
        "panic" => panic!("told to panic"),
        other => panic!("{other:?} is no word of the script"),
    }
}

/// Spends in a task, and waits until the task has ended.
async fn spawned(host: &Arc<Host>, id: u64, mode: &str, made_here: bool) -> Result<(), Error> {
    let (made, mode) =
        (made_here.then(|| request(host, id, "spend", "spend", mode)), mode.to_owned());
    let (inner, slot) = (Arc::clone(host), Arc::new(std::sync::Mutex::new(None)));
    let filled = Arc::clone(&slot);
    let task = async move {
        let reply = match made {
            Some(made) => made,
            None => request(&inner, id, "spend", "spend", &mode),
        };
        let result = finish(reply).await;
        *filled.lock().unwrap() = Some(result);
    };
    host.spawn(task).expect("the host takes a task");
    loop {
        if let Some(result) = slot.lock().unwrap().take() {
            return result;
        }
        yield_once().await;
    }
}

async fn send(
    host: &Arc<Host>,
    id: u64,
    call: &str,
    action: &str,
    mode: &str,
) -> Result<(), Error> {
    finish(request(host, id, call, action, mode)).await
}

fn request(host: &Arc<Host>, id: u64, call: &str, action: &str, mode: &str) -> ReplyFuture {
    let body = serde_json::json!({ "action": action, "mode": mode }).to_string();
    let request = HttpRequest {
        call: call.to_owned(),
        credentials: credentials(mode),
        ..HttpRequest::default()
    };
    ask(host, id, &request, body.as_bytes())
}

async fn thing(host: &Arc<Host>, id: u64, segment: &str) -> Result<(), Error> {
    let request = HttpRequest {
        call: "thing".to_owned(),
        segments: vec![segment.to_owned()],
        ..HttpRequest::default()
    };
    finish(ask(host, id, &request, b"")).await
}

fn ask(host: &Arc<Host>, id: u64, request: &HttpRequest, body: &[u8]) -> ReplyFuture {
    let op = HostOp::Http as u32;
    host.call(op, id, &request.encode_to_vec(), body).expect("the host takes the request")
}

/// A mode `key` asks for the credential too.
fn credentials(mode: &str) -> Vec<String> {
    if mode == "key" { vec!["api-key".to_owned()] } else { Vec::new() }
}

async fn finish(reply: ReplyFuture) -> Result<(), Error> {
    let payload = reply.await.into_result().map_err(fault)?;
    let head = HttpResponse::decode(&*payload.body).expect("the host answers with a head");
    assert!(head.status > 0, "the head has a status");
    Ok(())
}

fn fault(fault: Fault) -> Error {
    match fault {
        Fault::Error(body) => Error::decode(&*body).expect("the host's error can be decoded"),
        other => Error { message: other.to_string(), ..Error::default() },
    }
}

fn answer(says: &str) -> Vec<u8> {
    let (word, value) = says.split_once(':').unwrap_or((says, ""));
    let outcome = match word {
        "done" => Outcome::Done(Done { resource: Some(order(value)) }),
        "pending" => Outcome::Pending(Pending { handle: b"1".to_vec(), ..Pending::default() }),
        "rejected" => {
            Outcome::Rejected(Rejected { proof: value.to_owned(), ..Rejected::default() })
        }
        "account" => return IdentifyResponse { account: value.to_owned() }.encode_to_vec(),
        "garbage" => return vec![0xff; 7],
        other => panic!("{other:?} is nothing that can be said"),
    };
    StepOutcome { outcome: Some(outcome) }.encode_to_vec()
}

fn order(id: &str) -> Resource {
    let upstream = Some(UpstreamRef::of(id.to_owned()));
    Resource { kind: Some(Kind::Order(Order { upstream, ..Order::default() })) }
}

async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Panics when it is dropped, unless a panic is on its way already.
struct Cleanup;

impl Drop for Cleanup {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("told to panic in drop");
        }
    }
}
