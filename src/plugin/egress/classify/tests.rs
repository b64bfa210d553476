//! Every row of the table, and the answers that try to look like another row.

use bytes::Bytes;
use purveyor_sdk::manifest::add_refusal_words;
use purveyor_sdk::plugin::v1::Words;
use purveyor_sdk::plugin::v1::r#match::Test;

use super::*;

/// A call that makes an order, can be refused by two proofs, and knows *payment due*.
fn spend() -> Call {
    let shape = |min, max| Success {
        status_min: min,
        status_max: max,
        format: BodyFormat::Json.into(),
        id_pointer: "/id".to_owned(),
        id_kind: "order".to_owned(),
        ..Success::default()
    };
    Call {
        name: "order.create".to_owned(),
        success: Some(shape(200, 201)),
        payment_due: Some(shape(402, 402)),
        proofs: vec!["refused".to_owned(), "busy".to_owned()],
        ..Call::default()
    }
}

/// A call that makes nothing: an empty body will do.
fn setting() -> Call {
    let success = Success { status_min: 200, status_max: 299, ..Success::default() };
    Call { success: Some(success), ..spend() }
}

/// An XML-RPC call, whose refusals are faults with status 200.
fn xml_rpc() -> Call {
    let success = Success {
        status_min: 200,
        status_max: 200,
        format: BodyFormat::XmlRpc.into(),
        id_pointer: "/params/0/id".to_owned(),
        id_kind: "operation".to_owned(),
        ..Success::default()
    };
    Call { success: Some(success), payment_due: None, proofs: vec!["fault".to_owned()], ..spend() }
}

fn proofs() -> Vec<Proof> {
    let proof = |name: &str, statuses: (i32, i32), format: BodyFormat, pointer: &str, test| Proof {
        name: name.to_owned(),
        status_min: statuses.0,
        status_max: statuses.1,
        format: format.into(),
        matches: vec![Match { pointer: pointer.to_owned(), test: Some(test) }],
        may_repeat: name == "busy",
    };
    let equals = |text: &str| Test::Equals(text.to_owned());
    vec![
        proof("refused", (200, 599), BodyFormat::Json, "/code", equals("REFUSED")),
        proof("busy", (429, 429), BodyFormat::Json, "/code", equals("BUSY")),
        proof("undeclared", (200, 599), BodyFormat::Json, "/code", Test::Exists(true)),
        proof("fault", (200, 200), BodyFormat::XmlRpc, "/fault/faultCode", equals("510150")),
    ]
}

fn received(status: u16, body: &str) -> Received {
    Received { status, body: Bytes::copy_from_slice(body.as_bytes()), ..Received::default() }
}

/// The outcome in one word, with what it carries.
fn told(seen: Seen) -> String {
    match seen {
        Seen::NotSent { .. } => "not sent".to_owned(),
        Seen::Success { upstream_id, .. } => format!("success {upstream_id:?}"),
        Seen::PaymentDue { upstream_id, .. } => format!("due {upstream_id:?}"),
        Seen::Refusable { proofs, .. } => {
            let names: Vec<_> =
                proofs.iter().map(|one| (one.name.as_str(), one.may_repeat)).collect();
            format!("refusable {names:?}")
        }
        Seen::Unproven { .. } => "unproven".to_owned(),
    }
}

#[track_caller]
fn check(call: &Call, exchange: &Exchange, expected: &str) {
    assert_eq!(told(classify(call, &proofs(), exchange)), expected, "{exchange:?}");
}

#[track_caller]
fn check_answer(call: &Call, status: u16, body: &str, expected: &str) {
    check(call, &Exchange::Complete(received(status, body)), expected);
}

#[test]
fn without_a_complete_answer_nothing_is_proven_but_that_nothing_was_written() {
    let made = || Some(received(201, r#"{"id":"7"}"#));
    check(&spend(), &Exchange::NotWritten("no route".to_owned()), "not sent");
    check(&spend(), &Exchange::Broken("reset".to_owned(), None), "unproven");
    check(&spend(), &Exchange::Broken("truncated".to_owned(), made()), "unproven");
    let refused = Some(received(400, r#"{"code":"REFUSED"}"#));
    check(&spend(), &Exchange::Broken("truncated".to_owned(), refused), "unproven");
}

#[test]
fn a_complete_2xx_counts_only_in_its_declared_shape() {
    check_answer(&spend(), 201, r#"{"id":"7"}"#, "success Some(\"7\")");
    check_answer(&spend(), 200, r#"{"id":7}"#, "success Some(\"7\")");
    for body in ["", "null", "{}", r#"{"id":null}"#, r#"{"id":""}"#, r#"{"id":1.5}"#, "[7]", "{"] {
        check_answer(&spend(), 201, body, "unproven");
    }
    check_answer(&spend(), 202, r#"{"id":"7"}"#, "unproven");
    check_answer(&setting(), 204, "", "success None");
    check_answer(&setting(), 200, "null", "success None");
    check_answer(&setting(), 200, "anything at all", "success None");
}

#[test]
fn payment_due_is_never_a_refusal() {
    check_answer(&spend(), 402, r#"{"id":"7"}"#, "due Some(\"7\")");
    check_answer(&spend(), 402, "{}", "due None");
    check_answer(&spend(), 402, "no json", "unproven");
    // An answer that is both of these proves neither.
    check_answer(&spend(), 402, r#"{"id":"7","code":"REFUSED"}"#, "unproven");
}

#[test]
fn a_refusal_needs_a_proof_that_the_call_declares() {
    check_answer(&spend(), 400, r#"{"code":"REFUSED"}"#, "refusable [(\"refused\", false)]");
    check_answer(&spend(), 429, r#"{"code":"BUSY"}"#, "refusable [(\"busy\", true)]");
    check_answer(&spend(), 200, r#"{"code":"REFUSED"}"#, "refusable [(\"refused\", false)]");
    // `undeclared` would match all of these, but the call does not name it.
    check_answer(&spend(), 400, r#"{"code":"OTHER"}"#, "unproven");
    check_answer(&spend(), 400, r#"{"code":"BUSY"}"#, "unproven");
    check_answer(&spend(), 404, "", "unproven");
    check_answer(&spend(), 422, "<html>", "unproven");
    check_answer(&spend(), 201, r#"{"id":"7","code":"REFUSED"}"#, "unproven");
}

#[test]
fn redirects_and_failures_of_the_upstream_prove_nothing() {
    for status in [300, 301, 302, 304, 307, 308] {
        check_answer(&spend(), status, r#"{"id":"7","code":"REFUSED"}"#, "unproven");
    }
    for status in [500, 502, 503, 504] {
        check_answer(&spend(), status, r#"{"code":"REFUSED"}"#, "unproven");
        check_answer(&setting(), status, "", "unproven");
    }
}

#[test]
fn an_answer_without_a_length_has_to_end_itself() {
    let until_close =
        |status, body| Exchange::Complete(Received { until_close: true, ..received(status, body) });
    check(&spend(), &until_close(201, r#"{"id":"7"}"#), "success Some(\"7\")");
    check(&spend(), &until_close(400, r#"{"code":"REFUSED"}"#), "refusable [(\"refused\", false)]");
    check(&setting(), &until_close(200, ""), "unproven");
    check(&spend(), &until_close(201, "7"), "unproven");
}

#[test]
fn faults_are_read_out_of_xml_rpc() {
    let response =
        |inner: &str| format!("<?xml version=\"1.0\"?><methodResponse>{inner}</methodResponse>");
    let made = response(
        "<params><param><value><struct><member><name>id</name><value><int>9</int></value>\
         </member></struct></value></param></params>",
    );
    let fault = |code: &str| {
        response(&format!(
            "<fault><value><struct><member><name>faultCode</name><value><int>{code}</int></value>\
             </member><member><name>faultString</name><value><string>x</string></value></member>\
             </struct></value></fault>"
        ))
    };
    check_answer(&xml_rpc(), 200, &made, "success Some(\"9\")");
    check_answer(&xml_rpc(), 200, &fault("510150"), "refusable [(\"fault\", false)]");
    check_answer(&xml_rpc(), 200, &fault("1"), "unproven");
    check_answer(&xml_rpc(), 200, &made[..made.len() - 9], "unproven");
    check_answer(
        &xml_rpc(),
        200,
        &response("<params><param><value><nil/></value></param></params>"),
        "unproven",
    );
}

#[test]
fn word_is_a_refusal_only_if_it_is_declared_or_configured() {
    let test = Test::Words(Words { words: vec!["Error".to_owned()], configurable: true });
    let condition = Match { pointer: "/status".to_owned(), test: Some(test) };
    let proof = |name: &str, status_min, status_max| Proof {
        name: name.to_owned(),
        status_min,
        status_max,
        format: BodyFormat::Json.into(),
        matches: vec![condition.clone()],
        may_repeat: false,
    };
    let mut proofs = [proof("refused", 200, 299), proof("busy", 400, 404)];
    let check = |proofs: &[Proof], status: u16, word: &str, expected: &str| {
        let body = format!(r#"{{"status": {word}}}"#);
        let exchange = Exchange::Complete(received(status, &body));
        assert_eq!(told(classify(&spend(), proofs, &exchange)), expected, "{status} {word}");
    };
    let (refused, by_http) = ("refusable [(\"refused\", false)]", "refusable [(\"busy\", false)]");
    for word in ["\"Error\"", "\"error\"", "\" ERROR \""] {
        check(&proofs, 200, word, refused);
        check(&proofs, 404, word, by_http);
        for status in [302, 408, 409, 425, 429, 500] {
            check(&proofs, status, word, "unproven");
        }
    }
    for word in ["\"Completed\"", "\"Nein\"", "\"\"", "0", "null", "true", "[\"Error\"]"] {
        check(&proofs, 200, word, "unproven");
        check(&proofs, 400, word, "unproven");
    }
    add_refusal_words(&mut proofs, &["nein".to_owned()]);
    check(&proofs, 200, "\"Nein\"", refused);
    check(&proofs, 400, "\"NEIN\"", by_http);
    check(&proofs, 200, "\"Error\"", refused);
    check(&proofs, 409, "\"Nein\"", "unproven");
    check(&proofs, 200, "\"Completed\"", "unproven");
}
