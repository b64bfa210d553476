//! How messages are read from and written to the wire, one codec for each kind of method: reads,
//! writes (strict), and what passes as bytes. It must not know any message or route.

use std::fmt;
use std::marker::PhantomData;

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::api::known;
use crate::api::limits::ENCODING_MAX_BYTES;
use crate::api::status;

/// The full protobuf name of a request message.
pub(crate) trait Named {
    /// For example `purveyor.v1.CreateOrderRequest`.
    const NAME: &'static str;
}

include!(concat!(env!("OUT_DIR"), "/names.rs"));

/// The codec of reads. Fields that this server does not know are ignored, as protobuf does: a newer
/// client's wish about a read costs nothing.
pub(crate) type Read<T, U> = Typed<T, U, Lenient>;

/// The codec of writes. What this server does not know is refused: a newer client's limit must not
/// be ignored silently.
pub(crate) type Write<T, U> = Typed<T, U, Strict>;

/// A codec of protobuf messages.
pub(crate) struct Typed<T, U, R>(PhantomData<(T, U, R)>);

/// Accepts fields that are not known.
pub(crate) struct Lenient;

/// Refuses fields that are not known.
pub(crate) struct Strict;

/// What is done about fields that are not known.
pub(crate) trait Rule<U>: Send + 'static {
    /// Refuses `bytes` with the paths that are not known, or does not.
    fn check(bytes: &[u8]) -> Result<()>;
}

impl<U> Rule<U> for Lenient {
    fn check(_bytes: &[u8]) -> Result<()> {
        Ok(())
    }
}

impl<U: Named> Rule<U> for Strict {
    fn check(bytes: &[u8]) -> Result<()> {
        known::check(U::NAME, bytes)
    }
}

impl<T, U, R> Default for Typed<T, U, R> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U, R> fmt::Debug for Typed<T, U, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed")
    }
}

impl<T, U, R> Codec for Typed<T, U, R>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
    R: Rule<U>,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl<T, U, R> Encoder for Typed<T, U, R>
where
    T: Message,
{
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buf: &mut EncodeBuf<'_>) -> std::result::Result<(), Status> {
        fits(item.encoded_len()).map_err(|error| status::grpc(&error))?;
        item.encode(buf).map_err(|error| {
            let error = Error::new(ErrorReason::Internal, "the answer cannot be encoded")
                .with_source(error);
            status::grpc(&error)
        })
    }
}

impl<T, U, R> Decoder for Typed<T, U, R>
where
    U: Message + Default,
    R: Rule<U>,
{
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> std::result::Result<Option<U>, Status> {
        let bytes = buf.copy_to_bytes(buf.remaining());
        // Decoded first: it bounds the depth and refuses what is malformed, so that the rule sees
        // well-formed bytes alone.
        let message = U::decode(bytes.clone()).map_err(|error| {
            let error = Error::new(ErrorReason::FieldViolation, "the request is no such message")
                .with_source(error);
            status::grpc(&error)
        })?;
        R::check(&bytes).map_err(|error| status::grpc(&error))?;
        Ok(Some(message))
    }
}

/// The codec of what passes as bytes, both ways.
#[derive(Debug, Default)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buf: &mut EncodeBuf<'_>) -> std::result::Result<(), Status> {
        fits(item.len()).map_err(|error| status::grpc(&error))?;
        buf.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> std::result::Result<Option<Bytes>, Status> {
        Ok(Some(buf.copy_to_bytes(buf.remaining())))
    }
}

/// Refuses an answer that is too large. Handlers ask before they answer: an error of an encoder reaches
/// the caller as INTERNAL, without its reason.
pub(crate) fn fits(bytes: usize) -> Result<()> {
    if bytes <= ENCODING_MAX_BYTES {
        return Ok(());
    }
    let message = format!(
        "the answer has {bytes} bytes and may have {ENCODING_MAX_BYTES}; ask for a smaller page"
    );
    Err(Error::new(ErrorReason::Overloaded, message))
}
