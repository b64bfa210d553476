//! Somebody else with the same account, who calls the upstream without the gateway.

use std::net::SocketAddr;

use purveyor_simulators::Simulator;
use purveyor_simulators::gandi::Gandi;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::API_KEY;

/// Buys a month of something directly at the upstream. Tells the upstream's operation.
pub(crate) async fn buy(upstream: &Simulator<Gandi>, product: &str, quantity: i32) -> String {
    let call = format!(
        "<?xml version=\"1.0\"?><methodCall><methodName>hosting.product.create</methodName><params>\
         <param><value><string>{API_KEY}</string></value></param><param><value><struct>\
         <member><name>duration</name><value><string>1m</string></value></member>\
         <member><name>product_name</name><value><string>{product}</string></value></member>\
         <member><name>quantity</name><value><int>{quantity}</int></value></member>\
         </struct></value></param></params></methodCall>"
    );
    let before = upstream.ledger().len();
    let answer = post(upstream.url(), &call).await;
    let ledger = upstream.ledger();
    assert_eq!(ledger.len(), before + 1, "nothing was sold: {answer}");
    ledger[before].sale.operation_id.clone()
}

/// Sends a call and reads until the upstream closes the connection.
async fn post(url: &str, call: &str) -> String {
    let rest = url.strip_prefix("http://").expect("simulators speak plain http");
    let (address, path) = rest.split_once('/').expect("an address and a path");
    let address: SocketAddr = address.parse().expect("an address");
    let mut stream = TcpStream::connect(address).await.expect("the simulator listens");
    let head = format!(
        "POST /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: text/xml\r\ncontent-length: {}\r\n\r\n{call}",
        call.len()
    );
    stream.write_all(head.as_bytes()).await.expect("the simulator reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the simulator answers");
    answer
}
