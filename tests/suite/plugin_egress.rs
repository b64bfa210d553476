//! Egress over real sockets: what is sent, where it may go, and what each kind of answer proves.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use purveyor::plugin::{Availability, Environment, Provider, ProviderConfig, Resolve, Seen, Spend};
use purveyor_sdk::plugin::v1::{CallKind, Op};
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, target};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::plugin_support::{TestPermits, account, clock, open, open_in, script};
use super::plugin_upstream::Upstream;

async fn read(provider: &Provider, words: &str) -> Result<bytes::Bytes, Error> {
    provider.call(CallKind::Read, Op::ListProducts, b"", &script(words)).await
}

async fn spend(provider: &Provider, words: &str) -> (Spend, u32) {
    let permits = Arc::<TestPermits>::default();
    let given = Arc::clone(&permits);
    let stepped = provider.step(Op::CreateOrder, b"", &script(words), permits).await;
    (stepped.spend.unwrap(), given.given())
}

/// The outcome in one word, with what it carries.
fn told(seen: &Seen) -> String {
    match seen {
        Seen::NotSent { .. } => "not sent".to_owned(),
        Seen::Success { upstream_id, .. } => format!("success {upstream_id:?}"),
        Seen::PaymentDue { upstream_id, .. } => format!("due {upstream_id:?}"),
        Seen::Refusable { proofs, .. } => format!("refusable {}", proofs[0].name),
        Seen::Unproven { .. } => "unproven".to_owned(),
    }
}

#[tokio::test]
async fn what_comes_back_is_classified_and_sent_once() {
    let cases = [
        ("spend", "success Some(\"77\")"),
        ("spend=number", "success Some(\"77\")"),
        ("spend=continue", "success Some(\"77\")"),
        ("spend=until-close", "success Some(\"77\")"),
        ("spend=nothing-made", "unproven"),
        ("spend=no-content", "unproven"),
        ("spend=truncated", "unproven"),
        ("spend=bad-chunk", "unproven"),
        ("spend=half", "unproven"),
        ("spend=eof", "unproven"),
        ("spend=reset", "unproven"),
        ("spend=no-http", "unproven"),
        ("spend=hang", "unproven"),
        ("spend=huge", "unproven"),
        ("spend=redirect", "unproven"),
        ("spend=due", "due Some(\"5\")"),
        ("spend=due-unnamed", "due None"),
        ("spend=no-credit", "refusable no-credit"),
        ("spend=busy", "refusable busy"),
        ("spend=other-4xx", "unproven"),
        ("spend=5xx-proof", "unproven"),
        ("spend=gzip", "success Some(\"77\")"),
        ("spend=deflate", "success Some(\"77\")"),
        ("spend=byte-order-mark", "success Some(\"77\")"),
        ("spend=many-headers", "success Some(\"77\")"),
        ("spend=damaged-gzip", "unproven"),
        ("spend=gzip-bomb", "unproven"),
        ("spend=brotli", "unproven"),
        ("setting", "success None"),
        ("setting=until-close-empty", "unproven"),
    ];
    let upstream = Upstream::start().await;
    let provider = open(account(&upstream)).await;
    for (words, expected) in cases {
        let (requests, connections) = (upstream.requests().len(), upstream.connections());
        let (spend, permits) = spend(&provider, words).await;
        assert_eq!(told(&spend.seen), expected, "{words}: {:?}", spend.seen);
        assert_eq!(upstream.requests().len(), requests + 1, "{words}: sent once, never followed");
        assert_eq!(upstream.connections(), connections + 1, "{words}: a fresh connection");
        assert_eq!((spend.attempt, permits), (Some(1), 1), "{words}");
    }
}

#[tokio::test]
async fn reads_fail_where_there_is_no_complete_answer() {
    let upstream = Upstream::start().await;
    for mode in ["truncated", "bad-chunk", "half", "eof", "reset", "no-http", "hang", "huge"] {
        let provider = open(account(&upstream)).await;
        let before = upstream.requests().len();
        let error = read(&provider, &format!("read={mode} fail")).await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::UpstreamUnavailable, "{mode}: {error}");
        assert_eq!(upstream.requests().len(), before + 1, "{mode}: asked once");
    }
    let provider = open(account(&upstream)).await;
    let before = upstream.requests().len();
    for mode in ["redirect", "5xx-proof", "other-4xx", "no-content"] {
        read(&provider, &format!("read={mode} fail")).await.unwrap();
    }
    assert_eq!(upstream.requests().len(), before + 4, "a redirect is an answer, not a way");
}

/// The upstream closes a kept connection just when the next request comes over it.
#[tokio::test]
async fn read_on_a_closed_pooled_connection_is_repeated_once() {
    let upstream = Upstream::start().await;
    let provider = open(account(&upstream)).await;
    read(&provider, "read=stale fail").await.unwrap();
    read(&provider, "read=stale fail").await.unwrap();
    assert_eq!((upstream.requests().len(), upstream.connections()), (3, 2));
    read(&provider, "read fail").await.unwrap();
    let before = upstream.requests().len();
    let error = read(&provider, "read=eof fail").await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamUnavailable);
    assert_eq!(upstream.requests().len(), before + 2, "once again, and not more");
    read(&provider, "read fail").await.unwrap();
    let before = upstream.requests().len();
    let permits = Arc::<TestPermits>::default();
    let stepped = provider.step(Op::CreateOrder, b"", &script("prepare=eof fail"), permits).await;
    assert_eq!(stepped.said.unwrap_err().reason, ErrorReason::UpstreamUnavailable);
    assert_eq!(upstream.requests().len(), before + 1, "a PREPARE is sent once");
}

#[tokio::test]
async fn requests_ask_for_answers_as_they_are() {
    let upstream = Upstream::start().await;
    let provider = open(account(&upstream)).await;
    read(&provider, "read=gzip fail").await.unwrap();
    spend(&provider, "spend").await;
    for seen in upstream.requests() {
        let head = seen.head.to_lowercase();
        assert_eq!(head.matches("accept-encoding: identity").count(), 1, "{head}");
    }
    let error = read(&provider, "read=damaged-gzip fail").await.unwrap_err();
    assert!(error.source.unwrap().to_string().contains("gzip is damaged"));
}

#[tokio::test]
async fn an_answer_that_proves_nothing_is_kept_without_its_secrets() {
    let upstream = Upstream::start().await;
    let mut config = account(&upstream);
    config.credentials.insert("api-key".to_owned(), "topsecretkey".to_owned().into());
    let provider = open(config).await;
    let (spend, _) = spend(&provider, "spend=secret").await;
    let answer = spend.answer.unwrap();
    let body = std::str::from_utf8(&answer.body).unwrap();
    assert_eq!((answer.status, answer.complete), (500, true));
    assert!(!body.contains("hunter2") && !body.contains("topsecretkey"), "{body}");
    assert!(body.contains("note"), "{body}");
}

#[tokio::test]
async fn the_host_places_credentials_and_encodes_segments() {
    let upstream = Upstream::start().await;
    let mut config = account(&upstream);
    config.endpoint = upstream.endpoint().join("base/").unwrap();
    config.credentials.insert("api-key".to_owned(), "topsecretkey".to_owned().into());
    let segment = ["a/b?c".to_owned()];
    let foretold = target::url(config.endpoint.as_str(), "/things/{}", &segment, &[]).unwrap();
    let provider = open(config).await;
    read(&provider, "read=key fail").await.unwrap();
    spend(&provider, "spend=key").await;
    read(&provider, "get=a/b?c fail").await.unwrap();
    let heads: Vec<_> = upstream.requests().into_iter().map(|seen| seen.head).collect();
    for head in &heads[..2] {
        assert!(head.starts_with("POST /base/api HTTP/1.1\r\n"), "{head}");
        let head = head.to_lowercase();
        assert!(head.contains("authorization: bearer topsecretkey"), "{head}");
        assert!(head.contains(&format!("host: 127.0.0.1:{}", upstream.port)), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
    }
    assert!(heads[2].starts_with("GET /base/things/a%2Fb%3Fc HTTP/1.1\r\n"), "{}", heads[2]);
    assert!(foretold.ends_with("/base/things/a%2Fb%3Fc"), "{foretold}");
    let error = read(&provider, "get=.. fail").await.unwrap_err();
    assert!(error.message.contains("cannot be a segment"), "{error}");
    assert_eq!(upstream.requests().len(), 3);
}

/// A resolver that says what it was told to.
#[derive(Debug)]
struct Fixed(&'static str);

#[async_trait]
impl Resolve for Fixed {
    async fn resolve(&self, _: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if self.0.is_empty() {
            return Err(io::Error::other("no such name"));
        }
        Ok(self.0.split(' ').map(|one| SocketAddr::new(one.parse().unwrap(), port)).collect())
    }
}

async fn resolved(mut config: ProviderConfig, host: &str, to: &'static str) -> Arc<Provider> {
    config.endpoint.set_host(Some(host)).unwrap();
    let environment = Environment { resolver: Arc::new(Fixed(to)), ..Environment::new(clock()) };
    open_in(config, environment).await
}

#[tokio::test]
async fn names_do_not_lead_into_private_networks() {
    let upstream = Upstream::start().await;
    for (to, expected) in [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("10.1.2.3", "private"),
        ("169.254.169.254", "metadata"),
        ("::ffff:127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("93.184.216.34 127.0.0.1", "loopback"),
        ("", "cannot be resolved"),
    ] {
        let provider = resolved(account(&upstream), "upstream.example", to).await;
        let error = read(&provider, "read fail").await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::UpstreamUnavailable, "{to}");
        assert!(error.source.unwrap().to_string().contains(expected), "{to}");
        let (spend, permits) = spend(&provider, "spend").await;
        let Seen::NotSent { reason } = &spend.seen else { panic!("{to}: {:?}", spend.seen) };
        assert!(reason.contains(expected), "{to}: {reason}");
        assert_eq!((permits, spend.attempt), (0, None), "{to}");
    }
    assert_eq!(upstream.connections(), 0);
    let mut allowed = account(&upstream);
    allowed.allow_private_addresses = true;
    let provider = resolved(allowed, "upstream.example", "127.0.0.1").await;
    read(&provider, "read fail").await.unwrap();
    assert_eq!(told(&spend(&provider, "spend").await.0.seen), "success Some(\"77\")");
}

#[tokio::test]
async fn an_endpoint_that_is_an_address_is_checked_too() {
    let upstream = Upstream::start().await;
    for (host, expected) in [
        ("169.254.169.254", "metadata"),
        ("[::ffff:169.254.169.254]", "metadata"),
        ("[fe80::1]", "link-local"),
        ("0.0.0.0", "unspecified"),
        ("224.0.0.1", "multicast"),
    ] {
        let provider = resolved(account(&upstream), host, "").await;
        let Availability::Unavailable { reason } = provider.state() else {
            panic!("{host} must be refused")
        };
        assert!(reason.contains(expected), "{host}: {reason}");
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_costs_nothing() {
    let upstream = Upstream::start().await;
    let config = account(&upstream);
    drop(upstream);
    // The port is free again as soon as the listener's task has gone.
    let provider = open(config).await;
    let (spend, permits) = spend(&provider, "spend").await;
    assert_eq!(told(&spend.seen), "not sent");
    assert_eq!((spend.attempt, permits), (None, 0));
}

/// Certificates of one authority, in a file as the configuration names it.
struct Authority {
    pem: PathBuf,
    server: Arc<rustls::ServerConfig>,
    _folder: tempfile::TempDir,
}

fn authority() -> Authority {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap();
    let pem = folder.path().join("ca.pem");
    std::fs::write(&pem, root.pem()).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned()];
    let leaf = rcgen::CertificateParams::new(names).unwrap().signed_by(&leaf_key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(leaf)],
            PrivateKeyDer::try_from(leaf_key.serialize_der()).unwrap(),
        )
        .unwrap();
    Authority { pem, server: Arc::new(server), _folder: folder }
}

#[tokio::test]
async fn tls_is_spoken_with_those_whom_the_authority_vouches_for() {
    let (ours, other) = (authority(), authority());
    let upstream = Upstream::start_tls(Arc::clone(&ours.server)).await;
    let mut config = account(&upstream);
    config.endpoint.set_scheme("https").unwrap();
    config.ca_file = Some(ours.pem.clone());
    let trusting = open(config.clone()).await;
    read(&trusting, "read fail").await.unwrap();
    assert_eq!(told(&spend(&trusting, "spend").await.0.seen), "success Some(\"77\")");
    assert_eq!(told(&spend(&trusting, "spend=truncated").await.0.seen), "unproven");

    let before = upstream.requests().len();
    config.ca_file = Some(other.pem.clone());
    let wary = open(config).await;
    let error = read(&wary, "read fail").await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamUnavailable);
    let (spend, permits) = spend(&wary, "spend").await;
    assert_eq!(told(&spend.seen), "not sent");
    assert_eq!(permits, 0);
    assert_eq!(upstream.requests().len(), before);
}

/// Run by the test below as well, in a process whose environment names a proxy.
#[tokio::test]
async fn reads_and_spends_go_straight_to_the_upstream() {
    let upstream = Upstream::start().await;
    let provider = open(account(&upstream)).await;
    read(&provider, "read fail").await.unwrap();
    assert_eq!(told(&spend(&provider, "spend").await.0.seen), "success Some(\"77\")");
    assert_eq!(upstream.words(), ["read", "spend"]);
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_asked() {
    let proxy = Upstream::start().await;
    let address = proxy.endpoint().to_string();
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "plugin_egress::reads_and_spends_go_straight_to_the_upstream"]);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
    {
        child.env(name, &address);
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = child.output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    assert_eq!(proxy.connections(), 0);
}

/// What an identify was refused on its way stands in its own answer; what any other call is refused says
/// that the credential may lead to another account now.
#[tokio::test]
async fn identity_is_asked_again_after_another_call_was_refused() {
    let upstream = Upstream::start().await;
    let provider = open(account(&upstream)).await;
    let asks = async || {
        let identified = provider.identify().await.unwrap();
        assert_eq!(identified.account.identity, "A-1");
        identified.asked
    };
    assert_eq!([asks().await, asks().await], [true, false]);
    read(&provider, "read=refused").await.unwrap();
    assert_eq!([asks().await, asks().await], [true, false]);
    spend(&provider, "spend=refused").await;
    assert_eq!([asks().await, asks().await], [true, false]);
    read(&provider, "read=other-4xx").await.unwrap();
    assert!(!asks().await);
}
