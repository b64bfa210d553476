//! The byte stream under HTTP and TLS, which can be told to end badly. It must not know what the
//! bytes mean.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP stream that counts what it receives and obeys its fate.
pub(crate) struct Wire {
    stream: TcpStream,
    fate: Arc<Fate>,
    received: Arc<AtomicU64>,
}

/// How a connection is to end, shared with whoever decides it.
#[derive(Debug)]
pub(crate) struct Fate {
    reset: AtomicBool,
    writable: AtomicUsize,
}

impl Default for Fate {
    fn default() -> Self {
        Self { reset: AtomicBool::new(false), writable: AtomicUsize::new(usize::MAX) }
    }
}

impl Fate {
    /// When the stream closes it is reset, and nothing more is written.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::SeqCst);
        self.cut_after(0);
    }

    /// Only so many bytes are still written; then writing fails and the stream is closed.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.writable.store(bytes, Ordering::SeqCst);
    }
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, fate: Arc<Fate>, received: Arc<AtomicU64>) -> Self {
        Self { stream, fate, received }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.fate.reset.load(Ordering::SeqCst) {
            // Without linger the kernel answers with RST; a socket that refuses is closed by FIN.
            drop(self.stream.set_zero_linger());
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.received.fetch_add(read as u64, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let allowed = self.fate.writable.load(Ordering::SeqCst);
        if allowed == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let bytes = bytes.get(..allowed).unwrap_or(bytes);
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        if allowed != usize::MAX {
            self.fate.writable.fetch_sub(written, Ordering::SeqCst);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
