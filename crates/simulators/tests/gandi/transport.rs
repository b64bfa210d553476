//! HTTP itself: paths and methods, connections, TLS, and what ends when the simulator ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use purveyor_simulators::Instruments;
use purveyor_simulators::gandi::{Gandi, Mode, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto};

use crate::client::{Failure, send, start};
use crate::wire::split;

const CALL: &str = "<methodCall><methodName>system.listMethods</methodName></methodCall>";

#[tokio::test]
async fn only_calls_to_the_one_address_are_answered() {
    let simulator = start(Mode::default()).await;
    let base = simulator.url().trim_end_matches("xmlrpc/");
    let check = async |method: &str, path: &str, body: &str, expected: u16| {
        let answer = send(method, &format!("{base}{path}"), body.to_owned()).await.unwrap();
        assert_eq!(answer.0, expected, "{method} {path}");
    };
    check("POST", "xmlrpc/", CALL, 200).await;
    check("GET", "xmlrpc/", "", 405).await;
    check("POST", "xmlrpc/2.0/", CALL, 404).await;
    check("POST", "", CALL, 404).await;
    check("POST", "xmlrpc/", "no call", 400).await;
    check("POST", "xmlrpc/", &"x".repeat(1 << 21), 413).await;
}

#[tokio::test]
async fn a_connection_can_carry_several_calls_and_is_counted() {
    let simulator = start(Mode::default()).await;
    let (authority, path) = split(simulator.url());
    let mut stream = TcpStream::connect(authority).await.unwrap();
    for _ in 0..3 {
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", CALL.len());
        stream.write_all(format!("{head}{CALL}").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"</methodResponse>\n") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
        }
    }
    let count = simulator.connections();
    assert_eq!((count.open, count.total), (1, 1));
    drop(stream);
    let deadline = Instant::now() + Duration::from_secs(10);
    while simulator.connections().open > 0 {
        assert!(Instant::now() < deadline, "the connection never ended");
        tokio::task::yield_now().await;
    }
    assert_eq!(simulator.connections().total, 1);
}

#[tokio::test]
async fn shutting_down_ends_listeners_and_connections() {
    let simulator = start(Mode::default()).await;
    let (url, control) = (simulator.url().to_owned(), simulator.control_url());
    let mut open = TcpStream::connect(split(&url).0).await.unwrap();
    send("POST", &url, CALL.to_owned()).await.unwrap();
    simulator.shutdown();
    let mut rest = Vec::new();
    // Either end is an end; what counts is that there is one.
    let ended = tokio::time::timeout(Duration::from_secs(10), open.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection stayed open");
    for url in [url, format!("{control}/ledger")] {
        assert!(matches!(send("POST", &url, String::new()).await, Err(Failure::Closed)));
    }
}

#[tokio::test]
async fn it_speaks_tls_with_a_given_configuration() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let instruments = Instruments { tls: Some(Arc::new(server)), ..Instruments::default() };
    let simulator = Gandi::start(Options { instruments, ..Options::default() }).await.unwrap();
    assert!(simulator.url().starts_with("https://127.0.0.1:"));

    let mut roots = RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (authority, path) = split(simulator.url());
    let stream = TcpStream::connect(authority).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", CALL.len());
    stream.write_all(format!("{head}{CALL}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"</methodResponse>\n") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
}
