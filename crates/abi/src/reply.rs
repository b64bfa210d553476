//! What is asked and what is answered, as safe types. The bodies stay opaque: nothing here decodes.

use std::error::Error;
use std::fmt;

use crate::buf::OwnedBuf;
use crate::raw;

/// How a call went. Open on purpose: a newer side may send a value that is unknown here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Code(pub u32);

impl Code {
    /// The body is the answer.
    pub const OK: Self = Self(0);
    /// The body is an encoded error of the plugin or the service.
    pub const ERROR: Self = Self(1);
    /// The op is not known to the side that was asked.
    pub const UNKNOWN_OP: Self = Self(2);
    /// The side that was asked panicked; the body is the message in UTF-8.
    pub const PANIC: Self = Self(3);
    /// The request could not be decoded, or a table was misused; the body says what, in UTF-8.
    pub const MALFORMED: Self = Self(4);
    /// The side that was asked gave up because nobody waits any longer.
    pub const CANCELLED: Self = Self(5);
}

/// How much a line of the log matters. Open on purpose, as [`Code`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Level(pub u32);

impl Level {
    /// Somebody has to look.
    pub const ERROR: Self = Self(1);
    /// Somebody may want to look.
    pub const WARN: Self = Self(2);
    /// What happened.
    pub const INFO: Self = Self(3);
    /// Why it happened.
    pub const DEBUG: Self = Self(4);
    /// Everything.
    pub const TRACE: Self = Self(5);
}

/// One call of a plugin's method, without its request.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallInfo<'a> {
    /// The method, a number of a protobuf enum.
    pub op: u32,
    /// The kind of call, a number of a protobuf enum.
    pub kind: u32,
    /// Bits, none of which is given a meaning by this crate.
    pub flags: u32,
    /// Names the call in what the plugin asks of the host meanwhile.
    pub id: u64,
    /// Monotonic nanoseconds on the host's clock; 0 for none.
    pub deadline_ns: u64,
    /// Encoded context; may be empty.
    pub context: &'a [u8],
}

/// What a future comes to, in either direction.
#[derive(Debug)]
#[must_use]
pub struct Reply {
    /// Decides what the body is.
    pub code: Code,
    /// See [`Code`].
    pub body: OwnedBuf,
    /// Bytes that travel beside the answer.
    pub attachment: OwnedBuf,
}

/// The two parts of a reply that went well.
#[derive(Debug)]
pub struct Payload {
    /// The answer, encoded.
    pub body: OwnedBuf,
    /// Bytes that travel beside the answer.
    pub attachment: OwnedBuf,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Fault {
    /// The other side refused in its own words: an encoded error.
    Error(OwnedBuf),
    /// The other side does not know the op.
    UnknownOp,
    /// The other side panicked, with this message.
    Panic(String),
    /// One of the sides did not keep to the ABI, or the request could not be decoded.
    Malformed(String),
    /// The other side gave up because nobody waits any longer.
    Cancelled,
    /// A code that is unknown here.
    Unknown(Code),
}

impl Reply {
    /// An answer.
    pub fn ok(body: impl Into<OwnedBuf>) -> Self {
        Self::new(Code::OK, body)
    }

    /// An answer with bytes beside it.
    pub fn with_attachment(self, attachment: impl Into<OwnedBuf>) -> Self {
        Self { attachment: attachment.into(), ..self }
    }

    /// A refusal: `body` is an encoded error.
    pub fn error(body: impl Into<OwnedBuf>) -> Self {
        Self::new(Code::ERROR, body)
    }

    /// Says that the request or the use of a table was wrong.
    pub fn malformed(reason: impl Into<OwnedBuf>) -> Self {
        Self::new(Code::MALFORMED, reason)
    }

    /// A reply of any code.
    pub fn new(code: Code, body: impl Into<OwnedBuf>) -> Self {
        Self { code, body: body.into(), attachment: OwnedBuf::new() }
    }

    pub(crate) fn panicked(message: String) -> Self {
        Self::new(Code::PANIC, message)
    }

    /// The parts of an answer, or the reason why there is none.
    ///
    /// # Errors
    ///
    /// A [`Fault`] for every code but [`Code::OK`].
    pub fn into_result(self) -> Result<Payload, Fault> {
        if self.code == Code::OK {
            return Ok(Payload { body: self.body, attachment: self.attachment });
        }
        Err(Fault::new(self.code, self.body))
    }

    /// # Safety
    ///
    /// Both buffers keep the contract of [`raw::Buf`] and are given away with this call.
    pub(crate) unsafe fn from_raw(raw: raw::Reply) -> Self {
        // SAFETY: both buffers are the caller's to give, as it promises.
        let parts = unsafe { (OwnedBuf::from_raw(raw.body), OwnedBuf::from_raw(raw.attachment)) };
        match parts {
            (Ok(body), Ok(attachment)) => Self { code: Code(raw.code), body, attachment },
            _ => Self::malformed("the reply holds an impossible buffer"),
        }
    }

    pub(crate) fn into_raw(self) -> raw::Reply {
        raw::Reply {
            code: self.code.0,
            _pad: 0,
            body: self.body.into_raw(),
            attachment: self.attachment.into_raw(),
        }
    }
}

impl Fault {
    /// What `code` with `body` means. [`Code::OK`] is no fault, and answered as unknown.
    pub(crate) fn new(code: Code, body: OwnedBuf) -> Self {
        let text = |body: &OwnedBuf| String::from_utf8_lossy(body).into_owned();
        match code {
            Code::ERROR => Self::Error(body),
            Code::UNKNOWN_OP => Self::UnknownOp,
            Code::PANIC => Self::Panic(text(&body)),
            Code::MALFORMED => Self::Malformed(text(&body)),
            Code::CANCELLED => Self::Cancelled,
            other => Self::Unknown(other),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OK => f.write_str("ok"),
            Self::ERROR => f.write_str("error"),
            Self::UNKNOWN_OP => f.write_str("unknown op"),
            Self::PANIC => f.write_str("panic"),
            Self::MALFORMED => f.write_str("malformed"),
            Self::CANCELLED => f.write_str("cancelled"),
            Self(other) => write!(f, "code {other}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(body) => write!(f, "refused with an encoded error of {} bytes", body.len()),
            Self::UnknownOp => f.write_str("the op is not known to the other side"),
            Self::Panic(message) => write!(f, "panicked: {message}"),
            Self::Malformed(reason) if reason.is_empty() => f.write_str("malformed"),
            Self::Malformed(reason) => write!(f, "malformed: {reason}"),
            Self::Cancelled => f.write_str("given up because nobody waits"),
            Self::Unknown(code) => write!(f, "answered with {code}, which is unknown here"),
        }
    }
}

impl Error for Fault {}
