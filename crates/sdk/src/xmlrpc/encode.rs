//! Writing XML-RPC. What cannot be written so that it is read back as it was is an error.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{MAX_DEPTH, Response, Value, XmlRpcError};

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// The document of a call.
///
/// # Errors
///
/// [`XmlRpcError::MethodName`]; [`XmlRpcError::Scalar`] for text with characters that XML does not
/// have and for numbers and times that are none; [`XmlRpcError::TooDeep`].
pub fn encode_call(method: &str, params: &[Value]) -> Result<Vec<u8>, XmlRpcError> {
    if !is_method_name(method) {
        return Err(XmlRpcError::MethodName);
    }
    let mut out = format!("{DECLARATION}<methodCall><methodName>{method}</methodName><params>");
    for value in params {
        out.push_str("<param>");
        write(&mut out, value, 1)?;
        out.push_str("</param>");
    }
    out.push_str("</params></methodCall>");
    Ok(out.into_bytes())
}

/// The document of a response; what simulators and tests answer.
///
/// # Errors
///
/// As [`encode_call`].
pub fn encode_response(response: &Response) -> Result<Vec<u8>, XmlRpcError> {
    let mut out = format!("{DECLARATION}<methodResponse>");
    match response {
        Response::Value(value) => {
            out.push_str("<params><param>");
            write(&mut out, value, 1)?;
            out.push_str("</param></params>");
        }
        Response::Fault { code, string } => {
            let code = Value::Int(*code);
            let string = Value::String(string.clone());
            out.push_str("<fault>");
            write(&mut out, &[("faultCode", code), ("faultString", string)].into(), 1)?;
            out.push_str("</fault>");
        }
    }
    out.push_str("</methodResponse>");
    Ok(out.into_bytes())
}

fn write(out: &mut String, value: &Value, depth: usize) -> Result<(), XmlRpcError> {
    if depth > MAX_DEPTH {
        return Err(XmlRpcError::TooDeep);
    }
    out.push_str("<value>");
    match value {
        Value::Nil => out.push_str("<nil/>"),
        Value::Boolean(truth) => element(out, "boolean", if *truth { "1" } else { "0" })?,
        Value::Int(number) => {
            // Four bytes are what every server reads.
            let kind = if i32::try_from(*number).is_ok() { "int" } else { "i8" };
            element(out, kind, &number.to_string())?;
        }
        Value::Double(digits) if is_number(digits) => element(out, "double", digits)?,
        Value::Double(_) => return Err(XmlRpcError::Scalar("number")),
        Value::String(text) => element(out, "string", text)?,
        Value::DateTime(text) if is_date_time(text) => element(out, "dateTime.iso8601", text)?,
        Value::DateTime(_) => return Err(XmlRpcError::Scalar("time")),
        Value::Base64(bytes) => element(out, "base64", &STANDARD.encode(bytes))?,
        Value::Array(values) => {
            out.push_str("<array><data>");
            for value in values {
                write(out, value, depth + 1)?;
            }
            out.push_str("</data></array>");
        }
        Value::Struct(members) => {
            out.push_str("<struct>");
            for (name, value) in members {
                out.push_str("<member>");
                element(out, "name", name)?;
                write(out, value, depth + 1)?;
                out.push_str("</member>");
            }
            out.push_str("</struct>");
        }
    }
    out.push_str("</value>");
    Ok(())
}

fn element(out: &mut String, name: &str, text: &str) -> Result<(), XmlRpcError> {
    out.extend(["<", name, ">"]);
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // As it is, a reader would take it for the end of a line.
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(character),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {
                return Err(XmlRpcError::Scalar("text that XML can hold"));
            }
            _ => out.push(character),
        }
    }
    out.extend(["</", name, ">"]);
    Ok(())
}

pub(super) fn is_method_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/".contains(&byte);
    !name.is_empty() && name.bytes().all(known)
}

/// `[+-]?[0-9]*(\.[0-9]*)?([eE][+-]?[0-9]+)?` with a digit before the exponent.
pub(super) fn is_number(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = |text: &str| text.strip_prefix(['+', '-']).unwrap_or(text).to_owned();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, unsigned(exponent)),
        None => (text, "0".to_owned()),
    };
    let mantissa = unsigned(mantissa);
    let (whole, rest) = mantissa.split_once('.').unwrap_or((&mantissa, ""));
    let some = !whole.is_empty() || !rest.is_empty();
    some && digits(whole) && digits(rest) && !exponent.is_empty() && digits(&exponent)
}

/// A time as upstreams write it, basic or extended; what it means is not looked into here.
pub(super) fn is_date_time(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_digit() || b"TZ:+-.".contains(&byte);
    text.len() >= "20110324T15".len() && text.contains('T') && text.bytes().all(known)
}
