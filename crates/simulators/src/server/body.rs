//! The body of an answer, whole or broken off in the middle. It must announce the whole length in
//! both cases: a caller has to notice by itself that the rest never came.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};

/// Bytes that arrive as announced, or half of them and then an error that ends the connection.
pub(crate) struct ReplyBody {
    content: Full<Bytes>,
    end: End,
}

enum End {
    Proper,
    /// One more turn is granted, so that the server flushes what it has before it closes.
    BreakAfterFlush,
    Break,
}

/// The body ends before its announced length.
#[derive(Debug, thiserror::Error)]
#[error("answer is cut short by command")]
pub(crate) struct CutShort;

impl ReplyBody {
    pub(crate) fn whole(content: Bytes) -> Self {
        Self { content: Full::new(content), end: End::Proper }
    }

    /// The first half of `content`.
    pub(crate) fn half(content: Bytes) -> Self {
        let half = content.slice(..content.len() / 2);
        Self { content: Full::new(half), end: End::BreakAfterFlush }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        if let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut self.content).poll_frame(cx) {
            return Poll::Ready(Some(Ok(frame)));
        }
        match self.end {
            End::Proper => Poll::Ready(None),
            End::BreakAfterFlush => {
                self.end = End::Break;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            End::Break => Poll::Ready(Some(Err(CutShort))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.end, End::Proper) && self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.end {
            End::Proper => self.content.size_hint(),
            // The truth would make the server refuse the longer length that is announced.
            End::BreakAfterFlush | End::Break => SizeHint::default(),
        }
    }
}
