//! XML-RPC: what real servers write, what attackers write, and that nothing panics.

use proptest::collection::{btree_map, vec};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use serde_json::json;

use super::{
    MAX_DEPTH, Response, Value, XmlRpcError, decode_call, decode_response, encode_call,
    encode_response, method_name, to_json,
};

fn response(value: &str) -> Result<Value, XmlRpcError> {
    let document = format!(
        "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n{value}\n</param>\n</params>\n\
         </methodResponse>\n"
    );
    match decode_response(document.as_bytes())? {
        Response::Value(value) => Ok(value),
        Response::Fault { .. } => Err(XmlRpcError::Fault),
    }
}

#[test]
fn values() {
    fn check(inner: &str, expected: Result<Value, XmlRpcError>) {
        assert_eq!(response(&format!("<value>{inner}</value>")), expected, "{inner}");
    }
    let text = |text: &str| Ok(Value::from(text));
    check("plain", text("plain"));
    check("", text(""));
    check("  two words ", text("  two words "));
    check("<string>a&amp;b&#33;&lt;</string>", text("a&b!<"));
    check("<string/>", text(""));
    check("<string><![CDATA[<b>]]> and &quot;</string>", text("<b> and \""));
    check("<string>a<!-- not here -->b</string>", text("ab"));
    check("<string>a\r\nb&#13;</string>", text("a\nb\r"));
    check("\n <int>-12</int>\n", Ok(Value::Int(-12)));
    check("<i4> 7 </i4>", Ok(Value::Int(7)));
    check("<i8>9223372036854775807</i8>", Ok(Value::Int(i64::MAX)));
    check("<boolean>1</boolean>", Ok(Value::Boolean(true)));
    check("<double>51200.0</double>", Ok(Value::Double("51200.0".to_owned())));
    check("<double>-1e-05</double>", Ok(Value::Double("-1e-05".to_owned())));
    // What is no number is still a value, and hides nothing beside it.
    for text in ["nan", "1e400", "1,234.50", "."] {
        check(&format!("<double>{text}</double>"), Ok(Value::Double(text.to_owned())));
    }
    check("<double/>", Ok(Value::Double(String::new())));
    let beyond = "9223372036854775808";
    check(&format!("<i8>{beyond}</i8>"), Ok(Value::Double(beyond.to_owned())));
    check("<nil/>", Ok(Value::Nil));
    check("<ex:nil xmlns:ex=\"http://ws.apache.org/xmlrpc\"/>", Ok(Value::Nil));
    let time = "20110324T15:49:50";
    let element = format!("<dateTime.iso8601>{time}</dateTime.iso8601>");
    check(&element, Ok(Value::DateTime(time.to_owned())));
    check("<base64>aGV\n sbG8=</base64>", Ok(Value::Base64(b"hello".to_vec())));
    check("<array><data></data></array>", Ok(Value::Array(vec![])));
    check(
        "<array><data><value>a</value><value><int>1</int></value></data></array>",
        Ok(Value::Array(vec![Value::from("a"), Value::Int(1)])),
    );
    check("<struct/>", Ok(Value::from([])));
    check(
        "<struct><member><name>id</name><value><int>1</int></value></member></struct>",
        Ok(Value::from([("id", Value::Int(1))])),
    );
}

#[test]
fn values_that_are_none() {
    fn check(inner: &str, expected: XmlRpcError) {
        assert_eq!(response(&format!("<value>{inner}</value>")), Err(expected), "{inner}");
    }
    let element =
        |found: &str, expected| XmlRpcError::Element { found: found.to_owned(), expected };
    check("<int>1.5</int>", XmlRpcError::Scalar("whole number"));
    check("<int></int>", XmlRpcError::Scalar("whole number"));
    check("<int>-</int>", XmlRpcError::Scalar("whole number"));
    check("<boolean>true</boolean>", XmlRpcError::Scalar("boolean"));
    check("<dateTime.iso8601/>", XmlRpcError::Scalar("time"));
    check("<dateTime.iso8601>yesterday</dateTime.iso8601>", XmlRpcError::Scalar("time"));
    check("<base64>!</base64>", XmlRpcError::Scalar("base64"));
    check("<nil>0</nil>", XmlRpcError::Scalar("nil"));
    check("<float>1</float>", XmlRpcError::Type("float".to_owned()));
    check("<Int>1</Int>", XmlRpcError::Type("Int".to_owned()));
    check("text <int>1</int>", XmlRpcError::Text);
    check("<int>1</int> text", XmlRpcError::Text);
    check("<int>1</int><int>2</int>", element("int", "nothing more"));
    check("<int><i4>1</i4></int>", element("i4", "text"));
    check("<array><value/></array>", element("value", "data"));
    check("<array><data/><data/></array>", element("data", "nothing more"));
    check("<struct><name>a</name></struct>", element("name", "member"));
    check("<struct><member><value>a</value></member></struct>", element("value", "name"));
    check("<struct><member><name>a</name></member></struct>", element("the end", "value"));
    let member = "<member><name>a</name><value/></member>";
    let twice = format!("<struct>{member}{member}</struct>");
    check(&twice, XmlRpcError::DuplicateMember("a".to_owned()));
    check("&bomb;", XmlRpcError::Entity("bomb".to_owned()));
}

#[test]
fn documents_that_are_none() {
    fn check(document: &[u8], expected: XmlRpcError) {
        let text = String::from_utf8_lossy(document);
        assert_eq!(decode_response(document), Err(expected), "{text}");
    }
    let element =
        |found: &str, expected| XmlRpcError::Element { found: found.to_owned(), expected };
    let good = b"<methodResponse><params><param><value/></param></params></methodResponse>";
    assert!(decode_response(good).is_ok());
    check(b"", XmlRpcError::Truncated);
    check(b"  \n", XmlRpcError::Truncated);
    check(b"\xff", XmlRpcError::NotUtf8);
    check(b"gateway time-out", XmlRpcError::Text);
    check(b"<html><body/></html>", element("html", "methodResponse"));
    check(b"<methodResponse/>", element("the end", "params or fault"));
    check(b"<methodResponse><params/></methodResponse>", element("the end", "param"));
    check(b"<methodResponse><params><param><value>a", XmlRpcError::Truncated);
    check(&[good.as_slice(), b"x"].concat(), XmlRpcError::Trailing);
    check(&[good.as_slice(), good].concat(), XmlRpcError::Trailing);
    check(b"<!DOCTYPE x [<!ENTITY a 'b'>]><methodResponse/>", XmlRpcError::DocType);
    let declared = b"<?xml version='1.0' encoding='ISO-8859-1'?><methodResponse/>";
    check(declared, XmlRpcError::Encoding("ISO-8859-1".to_owned()));
    let two = b"<methodResponse><params><param><value/></param><param><value/></param></params></methodResponse>";
    check(two, element("param", "nothing more"));
    assert!(matches!(
        decode_response(b"<methodResponse><params></fault></methodResponse>"),
        Err(XmlRpcError::Xml(_))
    ));
    for end in 0..good.len() {
        assert!(decode_response(&good[..end]).is_err(), "{end}");
    }
}

#[test]
fn attributes_and_instructions_are_passed_over_in_responses_alone() {
    let read = |inner: &str| response(&format!("<value kind='x'>{inner}</value>"));
    assert_eq!(read("<int unit='x'>1</int>"), Ok(Value::Int(1)));
    assert_eq!(read("<?php echo?><int>1</int>"), Ok(Value::Int(1)));
    let twice = read("<int a='1' a='2'>1</int>");
    assert!(matches!(twice, Err(XmlRpcError::Xml(_))), "{twice:?}");
    let call = |inner: &str| method_name(format!("<methodCall>{inner}</methodCall>").as_bytes());
    assert_eq!(call("<methodName>a</methodName>").unwrap(), "a");
    assert_eq!(call("<methodName x='b'>a</methodName>"), Err(XmlRpcError::Attribute));
    let instruction = call("<?x?><methodName>a</methodName>");
    assert!(matches!(instruction, Err(XmlRpcError::Xml(_))), "{instruction:?}");
}

#[test]
fn faults() {
    fn check(value: &str, expected: Result<(i64, &str), XmlRpcError>) {
        let document = format!("<methodResponse><fault>{value}</fault></methodResponse>");
        let expected =
            expected.map(|(code, string)| Response::Fault { code, string: string.to_owned() });
        assert_eq!(decode_response(document.as_bytes()), expected, "{value}");
    }
    let fault = |code: &str, string: &str| {
        format!(
            "<value><struct><member><name>faultCode</name><value>{code}</value></member>\
             <member><name>faultString</name><value>{string}</value></member></struct></value>"
        )
    };
    let string = "Error on object : OBJECT_ACCOUNT (CAUSE_NORIGHT) [Invalid API key]";
    check(&fault("<int>510150</int>", string), Ok((510_150, string)));
    check(&fault("510150", string), Err(XmlRpcError::Fault));
    check("<value>no</value>", Err(XmlRpcError::Fault));
    check("<value><struct/></value>", Err(XmlRpcError::Fault));
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| {
        let (open, close) = ("<value><array><data>", "</data></array></value>");
        response(&format!("{}{}", open.repeat(levels), close.repeat(levels)))
    };
    assert!(nested(MAX_DEPTH - 1).is_ok());
    assert_eq!(nested(MAX_DEPTH), Err(XmlRpcError::TooDeep));
    assert_eq!(nested(100_000), Err(XmlRpcError::TooDeep));
    let mut value = Value::Nil;
    for _ in 0..MAX_DEPTH {
        value = Value::Array(vec![value]);
    }
    assert_eq!(encode_call("a", &[value]), Err(XmlRpcError::TooDeep));
}

#[test]
fn calls() {
    let params = [Value::from("key"), [("quantity", Value::Int(3))].into()];
    let bytes = encode_call("hosting.product.create", &params).unwrap();
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<methodCall><methodName>\
        hosting.product.create</methodName><params><param><value><string>key</string></value>\
        </param><param><value><struct><member><name>quantity</name><value><int>3</int></value>\
        </member></struct></value></param></params></methodCall>";
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
    assert_eq!(method_name(&bytes).unwrap(), "hosting.product.create");
    assert_eq!(decode_call(&bytes).unwrap().1, params);
    assert_eq!(encode_call("a b", &[]), Err(XmlRpcError::MethodName));
    assert_eq!(encode_call("", &[]), Err(XmlRpcError::MethodName));
}

#[test]
fn a_call_has_one_method() {
    fn check(document: &str, expected: Result<&str, XmlRpcError>) {
        let found = method_name(document.as_bytes());
        assert_eq!(found.as_deref(), expected.as_ref().copied(), "{document}");
    }
    let element =
        |found: &str, expected| XmlRpcError::Element { found: found.to_owned(), expected };
    check("<methodCall><methodName>a.b</methodName></methodCall>", Ok("a.b"));
    check(
        "<methodCall><methodName>a</methodName><methodName>b</methodName></methodCall>",
        Err(element("methodName", "params")),
    );
    check(
        "<methodCall><params/><methodName>b</methodName></methodCall>",
        Err(element("params", "methodName")),
    );
    check("<methodCall><methodName> a</methodName></methodCall>", Err(XmlRpcError::MethodName));
    check("<methodCall><methodName>a</methodName>", Err(XmlRpcError::Truncated));
    check(
        "<methodCall><methodName>a</methodName></methodCall><methodCall/>",
        Err(XmlRpcError::Trailing),
    );
}

#[test]
fn what_cannot_be_written_is_an_error() {
    fn check(value: Value, expected: &'static str) {
        assert_eq!(encode_call("a", &[value]), Err(XmlRpcError::Scalar(expected)));
    }
    check(Value::from("a\0b"), "text that XML can hold");
    check(Value::from("\u{ffff}"), "text that XML can hold");
    check(Value::Double("1,5".to_owned()), "number");
    check(Value::DateTime("</value>".to_owned()), "time");
}

#[test]
fn the_document_that_pointers_look_into() {
    let value = Value::from([
        ("id", Value::Int(7)),
        ("price", Value::Double("45.44".to_owned())),
        ("at", Value::DateTime("20110324T15:49:50".to_owned())),
        ("end", Value::Nil),
        ("list", Value::Array(vec![Value::Boolean(true)])),
    ]);
    let expected = json!({"params": [{
        "id": 7, "price": "45.44", "at": "20110324T15:49:50", "end": null, "list": [true]
    }]});
    assert_eq!(to_json(&Response::Value(value)), expected);
    let fault = Response::Fault { code: 510_150, string: "no".to_owned() };
    let expected = json!({"fault": {"faultCode": 510_150, "faultString": "no"}});
    assert_eq!(to_json(&fault), expected);
}

fn any_text() -> impl Strategy<Value = String> {
    "[ -~\\t\\n\\r\u{a0}-\u{ff}\u{1f600}]{0,12}"
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(Value::Int),
        "-?[0-9]{1,9}\\.[0-9]{1,9}".prop_map(Value::Double),
        any_text().prop_map(Value::String),
        "[0-9]{8}T[0-9]{2}:[0-9]{2}:[0-9]{2}".prop_map(Value::DateTime),
        vec(any::<u8>(), 0..20).prop_map(Value::Base64),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            btree_map(any_text(), inner, 0..5).prop_map(Value::Struct),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(value in any_value()) {
        let response = Response::Value(value.clone());
        let bytes = encode_response(&response).unwrap();
        proptest::prop_assert_eq!(decode_response(&bytes), Ok(response));
        let bytes = encode_call("a.b", std::slice::from_ref(&value)).unwrap();
        proptest::prop_assert_eq!(decode_call(&bytes), Ok(("a.b".to_owned(), vec![value])));
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode_response(&bytes);
        let _ = method_name(&bytes);
    }

    #[test]
    fn no_broken_document_panics(
        value in any_value(), at in any::<usize>(), cut in 0..8_usize, with in "[<>&/a;!\\[\\]-]{0,4}",
    ) {
        let mut bytes = encode_response(&Response::Value(value)).unwrap();
        let at = at % bytes.len();
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, with.bytes());
        let _ = decode_response(&bytes);
        let _ = method_name(&bytes);
    }
}
