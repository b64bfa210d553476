//! Reading XML-RPC. The recursion is bounded by [`MAX_DEPTH`]; nothing is guessed, and a document
//! that could be read in two ways is refused.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quick_xml::Reader;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};

use super::{MAX_DEPTH, Response, Value, XmlRpcError};

/// The method and the parameters of a call.
///
/// # Errors
///
/// Why the bytes are no call.
pub fn decode_call(bytes: &[u8]) -> Result<(String, Vec<Value>), XmlRpcError> {
    let mut document = Document::new(bytes, Origin::Ours)?;
    document.open("methodCall")?;
    document.open("methodName")?;
    let name = document.text_to_end()?;
    if !super::encode::is_method_name(&name) {
        return Err(XmlRpcError::MethodName);
    }
    let mut params = Vec::new();
    if document.open_or_close("params")? {
        while document.open_or_close("param")? {
            document.open("value")?;
            params.push(document.value(1)?);
            document.close()?;
        }
        document.close()?;
    }
    document.end()?;
    Ok((name, params))
}

/// The method of a call, whose whole document is read, so that no other reader of the same bytes can
/// see another method in it.
///
/// # Errors
///
/// Why the bytes are no call.
pub fn method_name(bytes: &[u8]) -> Result<String, XmlRpcError> {
    decode_call(bytes).map(|(name, _)| name)
}

/// What a response says.
///
/// # Errors
///
/// Why the bytes are no response.
pub fn decode_response(bytes: &[u8]) -> Result<Response, XmlRpcError> {
    let mut document = Document::new(bytes, Origin::Upstream)?;
    document.open("methodResponse")?;
    let response = match document.element()?.as_deref() {
        Some("params") => {
            document.open("param")?;
            document.open("value")?;
            let value = document.value(1)?;
            document.close()?;
            Response::Value(value)
        }
        Some("fault") => {
            document.open("value")?;
            fault(document.value(1)?)?
        }
        other => return Err(unexpected(other, "params or fault")),
    };
    document.close()?;
    document.close()?;
    document.end()?;
    Ok(response)
}

fn fault(value: Value) -> Result<Response, XmlRpcError> {
    let Value::Struct(mut members) = value else { return Err(XmlRpcError::Fault) };
    let (code, string) = (members.remove("faultCode"), members.remove("faultString"));
    match (code, string) {
        (Some(Value::Int(code)), Some(Value::String(string))) if members.is_empty() => {
            Ok(Response::Fault { code, string })
        }
        _ => Err(XmlRpcError::Fault),
    }
}

/// A document that is being read, from one tag to the next.
struct Document<'a> {
    reader: Reader<&'a [u8]>,
    /// Whether anything but the declaration was read.
    begun: bool,
    origin: Origin,
}

/// Whose document it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A call, which has nothing but what it needs: it decides what is spent.
    Ours,
    /// A response. Attributes and processing instructions change no value and are passed over.
    Upstream,
}

/// The next tag.
enum Tag {
    Open(String),
    Close,
    End,
}

impl<'a> Document<'a> {
    fn new(bytes: &'a [u8], origin: Origin) -> Result<Self, XmlRpcError> {
        let text = std::str::from_utf8(bytes).map_err(|_| XmlRpcError::NotUtf8)?;
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_comments = true;
        Ok(Self { reader, begun: false, origin })
    }

    /// The value whose `<value>` was just opened, to its end.
    fn value(&mut self, depth: usize) -> Result<Value, XmlRpcError> {
        let (text, tag) = self.next()?;
        let kind = match tag {
            Tag::Close => return Ok(Value::String(text)),
            Tag::Open(kind) => kind,
            Tag::End => return Err(XmlRpcError::Truncated),
        };
        only_space(&text)?;
        let value = match kind.as_str() {
            "array" => self.array(depth)?,
            "struct" => self.members(depth)?,
            _ => scalar(&kind, self.text_to_end()?)?,
        };
        self.close()?;
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Value, XmlRpcError> {
        let depth = deeper(depth)?;
        let mut values = Vec::new();
        self.open("data")?;
        while self.open_or_close("value")? {
            values.push(self.value(depth)?);
        }
        self.close()?;
        Ok(Value::Array(values))
    }

    fn members(&mut self, depth: usize) -> Result<Value, XmlRpcError> {
        let depth = deeper(depth)?;
        let mut members = BTreeMap::new();
        while self.open_or_close("member")? {
            self.open("name")?;
            let name = self.text_to_end()?;
            self.open("value")?;
            let value = self.value(depth)?;
            self.close()?;
            if members.insert(name.clone(), value).is_some() {
                return Err(XmlRpcError::DuplicateMember(name));
            }
        }
        Ok(Value::Struct(members))
    }

    /// The next element has to be this one.
    fn open(&mut self, name: &'static str) -> Result<(), XmlRpcError> {
        match self.element()? {
            Some(found) if found == name => Ok(()),
            other => Err(unexpected(other.as_deref(), name)),
        }
    }

    /// Whether this element opens; else the surrounding one closes here.
    fn open_or_close(&mut self, name: &'static str) -> Result<bool, XmlRpcError> {
        match self.element()? {
            None => Ok(false),
            Some(found) if found == name => Ok(true),
            other => Err(unexpected(other.as_deref(), name)),
        }
    }

    /// The surrounding element has to close here.
    fn close(&mut self) -> Result<(), XmlRpcError> {
        match self.element()? {
            None => Ok(()),
            other => Err(unexpected(other.as_deref(), "nothing more")),
        }
    }

    /// The name of the element that opens next, `None` when the surrounding one closes.
    fn element(&mut self) -> Result<Option<String>, XmlRpcError> {
        let (text, tag) = self.next()?;
        only_space(&text)?;
        match tag {
            Tag::Open(name) => Ok(Some(name)),
            Tag::Close => Ok(None),
            Tag::End => Err(XmlRpcError::Truncated),
        }
    }

    /// The text up to the end of the element that was just opened, in which no other may stand.
    fn text_to_end(&mut self) -> Result<String, XmlRpcError> {
        match self.next()? {
            (text, Tag::Close) => Ok(text),
            (_, Tag::Open(found)) => Err(unexpected(Some(&found), "text")),
            (_, Tag::End) => Err(XmlRpcError::Truncated),
        }
    }

    /// Nothing but space may follow.
    fn end(&mut self) -> Result<(), XmlRpcError> {
        match self.next()? {
            (text, Tag::End) => only_space(&text).map_err(|_| XmlRpcError::Trailing),
            _ => Err(XmlRpcError::Trailing),
        }
    }

    /// The text before the next tag, and that tag.
    fn next(&mut self) -> Result<(String, Tag), XmlRpcError> {
        let mut text = String::new();
        loop {
            let event = self.reader.read_event();
            let event = event.map_err(|error| XmlRpcError::Xml(error.to_string()))?;
            let first = !std::mem::replace(&mut self.begun, true);
            match event {
                Event::Text(part) => text.push_str(&part.xml10_content()),
                Event::CData(part) => text.push_str(&part.xml10_content()),
                Event::GeneralRef(part) => text.push(character(&part)?),
                Event::Start(start) => return Ok((text, Tag::Open(name(&start, self.origin)?))),
                Event::End(_) => return Ok((text, Tag::Close)),
                Event::Eof => return Ok((text, Tag::End)),
                Event::Decl(declaration) if first => check_encoding(&declaration)?,
                Event::Comment(_) => {}
                Event::PI(_) if self.origin == Origin::Upstream => {}
                Event::DocType(_) => return Err(XmlRpcError::DocType),
                Event::Decl(_) | Event::PI(_) | Event::Empty(_) => {
                    return Err(XmlRpcError::Xml("an instruction is in the way".to_owned()));
                }
            }
        }
    }
}

fn deeper(depth: usize) -> Result<usize, XmlRpcError> {
    if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(XmlRpcError::TooDeep) }
}

fn unexpected(found: Option<&str>, expected: &'static str) -> XmlRpcError {
    let found = found.map_or_else(|| "the end".to_owned(), ToOwned::to_owned);
    XmlRpcError::Element { found, expected }
}

fn only_space(text: &str) -> Result<(), XmlRpcError> {
    let space = text.chars().all(|character| matches!(character, ' ' | '\t' | '\r' | '\n'));
    if space { Ok(()) } else { Err(XmlRpcError::Text) }
}

/// The name of an element. In a call it has no attributes but declarations of namespaces.
fn name(start: &BytesStart<'_>, origin: Origin) -> Result<String, XmlRpcError> {
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| XmlRpcError::Xml(error.to_string()))?;
        let key: &str = attribute.key.as_ref();
        if origin == Origin::Ours && key != "xmlns" && !key.starts_with("xmlns:") {
            return Err(XmlRpcError::Attribute);
        }
    }
    let name: &str = start.name().into_inner();
    Ok(name.to_owned())
}

/// The character that a reference stands for: one by number, or one of the five that XML defines.
fn character(reference: &BytesRef<'_>) -> Result<char, XmlRpcError> {
    let resolved = reference.resolve_char_ref();
    if let Some(character) = resolved.map_err(|error| XmlRpcError::Xml(error.to_string()))? {
        return Ok(character);
    }
    let name: &str = reference;
    match name {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        other => Err(XmlRpcError::Entity(other.to_owned())),
    }
}

fn check_encoding(declaration: &BytesDecl<'_>) -> Result<(), XmlRpcError> {
    let encoding = declaration.encoding().transpose();
    let encoding = encoding.map_err(|error| XmlRpcError::Xml(error.to_string()))?;
    match encoding {
        // ASCII is UTF-8, and the bytes were checked to be that.
        Some(Cow::Borrowed(name)) if !known(name) => Err(XmlRpcError::Encoding(name.to_owned())),
        Some(Cow::Owned(name)) if !known(&name) => Err(XmlRpcError::Encoding(name)),
        _ => Ok(()),
    }
}

fn known(encoding: &str) -> bool {
    ["utf-8", "utf8", "us-ascii"].iter().any(|known| encoding.eq_ignore_ascii_case(known))
}

fn scalar(kind: &str, text: String) -> Result<Value, XmlRpcError> {
    let trimmed = text.trim_ascii();
    match kind {
        "string" => Ok(Value::String(text)),
        "int" | "i4" | "i8" | "ex:i8" => match trimmed.parse() {
            Ok(number) => Ok(Value::Int(number)),
            // A number all the same, by its digits.
            Err(_) if is_whole(trimmed) => Ok(Value::Double(trimmed.to_owned())),
            Err(_) => Err(XmlRpcError::Scalar("whole number")),
        },
        "boolean" => match trimmed {
            "0" => Ok(Value::Boolean(false)),
            "1" => Ok(Value::Boolean(true)),
            _ => Err(XmlRpcError::Scalar("boolean")),
        },
        // One that is no number must not hide what stands beside it; servers write `nan` and `inf`.
        "double" => Ok(Value::Double(trimmed.to_owned())),
        "dateTime.iso8601" if super::encode::is_date_time(trimmed) => {
            Ok(Value::DateTime(trimmed.to_owned()))
        }
        "dateTime.iso8601" => Err(XmlRpcError::Scalar("time")),
        "base64" => {
            let mut digits = text;
            digits.retain(|character| !character.is_ascii_whitespace());
            let bytes = STANDARD.decode(digits);
            bytes.map(Value::Base64).map_err(|_| XmlRpcError::Scalar("base64"))
        }
        "nil" | "ex:nil" if trimmed.is_empty() => Ok(Value::Nil),
        "nil" | "ex:nil" => Err(XmlRpcError::Scalar("nil")),
        other => Err(XmlRpcError::Type(other.to_owned())),
    }
}

fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
