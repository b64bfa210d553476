//! An upstream for tests of the plugin boundary: raw sockets, so that every way in which an answer
//! can go wrong is really on the wire. It counts connections and keeps what it was sent.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: String,
}

#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) connections: AtomicUsize,
    pub(crate) open: AtomicUsize,
    pub(crate) bytes: AtomicUsize,
    requests: Mutex<Vec<Seen>>,
}

/// A server that is told by each request's `mode` how to answer it.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) port: u16,
    pub(crate) record: Arc<Record>,
    task: JoinHandle<()>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        Self::listen(None).await
    }

    pub(crate) async fn start_tls(config: Arc<rustls::ServerConfig>) -> Self {
        Self::listen(Some(tokio_rustls::TlsAcceptor::from(config))).await
    }

    async fn listen(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let record = Arc::new(Record::default());
        let (kept, tls) = (Arc::clone(&record), Arc::new(tls));
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (record, tls) = (Arc::clone(&kept), Arc::clone(&tls));
                record.connections.fetch_add(1, Ordering::SeqCst);
                record.open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    match &*tls {
                        None => serve_plain(stream, &record).await,
                        Some(tls) => {
                            if let Ok(mut stream) = tls.accept(stream).await {
                                while serve(&mut stream, &record, 0).await.is_some() {}
                            }
                        }
                    }
                    record.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, record, task }
    }

    pub(crate) fn endpoint(&self) -> url::Url {
        format!("http://127.0.0.1:{}/", self.port).parse().unwrap()
    }

    /// The words of the requests that came, in order.
    pub(crate) fn words(&self) -> Vec<String> {
        let word = |seen: &Seen| {
            let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap_or_default();
            match body["action"].as_str() {
                Some(action) => action.to_owned(),
                None => seen.head.split(' ').nth(1).unwrap_or_default().to_owned(),
            }
        };
        self.requests().iter().map(word).collect()
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.record.requests.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.record.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn open_connections(&self) -> usize {
        self.record.open.load(Ordering::SeqCst)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.record.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve_plain(mut stream: TcpStream, record: &Record) {
    let mut served = 0;
    while let Some(true) = serve(&mut stream, record, served).await {
        served += 1;
    }
    if record.requests.lock().unwrap().last().is_some_and(|seen| mode(seen) == "reset") {
        // Closing with no time to linger sends RST instead of FIN.
        stream.set_zero_linger().unwrap();
    }
}

/// One request; `None` when the client has gone, `false` when the connection ends.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    record: &Record,
    served: usize,
) -> Option<bool> {
    let seen = receive(stream, record).await?;
    let mut mode = mode(&seen);
    // As a connection that the upstream has given up just before the request came.
    if mode == "stale" && served > 0 {
        mode = "eof".to_owned();
    }
    record.requests.lock().unwrap().push(seen);
    let hangs = mode == "hang" || mode == "half";
    let (bytes, keep) = answer(&mode);
    stream.write_all(&bytes).await.ok()?;
    stream.flush().await.ok()?;
    if hangs {
        // Until the client gives up.
        let mut rest = [0; 64];
        while stream.read(&mut rest).await.ok()? > 0 {}
        return None;
    }
    if !keep && mode != "reset" {
        let _gone = stream.shutdown().await;
    }
    Some(keep)
}

fn mode(seen: &Seen) -> String {
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap_or_default();
    body["mode"].as_str().unwrap_or_default().to_owned()
}

async fn receive<S: AsyncRead + Unpin>(stream: &mut S, record: &Record) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0_usize);
            if bytes.len() >= end + 4 + length {
                let body = String::from_utf8_lossy(&bytes[end + 4..end + 4 + length]).into_owned();
                return Some(Seen { head, body });
            }
        }
        let count = stream.read(&mut buffer).await.ok().filter(|&count| count > 0)?;
        record.bytes.fetch_add(count, Ordering::SeqCst);
        bytes.extend_from_slice(&buffer[..count]);
    }
}

/// An answer with a body that is encoded already.
fn encoded(encoding: &str, body: Vec<u8>) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 201 Created\r\nContent-Encoding: {encoding}\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.into_bytes(), body].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The bytes of an answer, and whether the connection stays.
fn answer(mode: &str) -> (Vec<u8>, bool) {
    let json = |status: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let made = r#"{"id":"77"}"#;
    match mode {
        "hang" | "eof" | "reset" => (Vec::new(), false),
        "half" => (b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\":".to_vec(), false),
        "truncated" => {
            (b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\":\"77\"}".to_vec(), false)
        }
        "until-close" => (format!("HTTP/1.1 201 Created\r\n\r\n{made}").into_bytes(), false),
        "until-close-empty" => (b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), false),
        "bad-chunk" => (
            b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"id\":\"77\"}\r\n"
                .to_vec(),
            false,
        ),
        "no-http" => (b"220 smtp.example ESMTP\r\n".to_vec(), false),
        "continue" => {
            ([b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), json("201 Created", made)].concat(), true)
        }
        "redirect" => (
            b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
                .to_vec(),
            true,
        ),
        "nothing-made" => (json("200 OK", "{}"), true),
        "number" => (json("200 OK", r#"{"id":77}"#), true),
        "no-content" => (b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), true),
        "due" => (json("402 Payment Required", r#"{"id":"5"}"#), true),
        "due-unnamed" => (json("402 Payment Required", "{}"), true),
        "no-credit" => (json("400 Bad Request", r#"{"code":"NO_CREDIT"}"#), true),
        "busy" => (json("429 Too Many Requests", r#"{"code":"BUSY"}"#), true),
        "other-4xx" => (json("422 Unprocessable", r#"{"code":"OTHER"}"#), true),
        "refused" => (json("403 Forbidden", "{}"), true),
        "5xx-proof" => (json("500 Oops", r#"{"code":"NO_CREDIT"}"#), true),
        "secret" => (json("500 Oops", r#"{"note":"key topsecretkey","password":"hunter2"}"#), true),
        "gzip" => (encoded("gzip", gzip(made.as_bytes())), true),
        "damaged-gzip" => (encoded("gzip", gzip(made.as_bytes())[..20].to_vec()), true),
        "gzip-bomb" => (encoded("gzip", gzip(&vec![b' '; 64 * 1024 * 1024])), true),
        "deflate" => (encoded("deflate", zlib(made.as_bytes())), true),
        "brotli" => (encoded("br", made.into()), true),
        "byte-order-mark" => (json("201 Created", &format!("\u{feff}{made}")), true),
        "many-headers" => {
            let headers: String = (0..640).map(|at| format!("X-{at}: {:90}\r\n", "-")).collect();
            let end = format!("Content-Length: {}\r\n\r\n{made}", made.len());
            (format!("HTTP/1.1 201 Created\r\n{headers}{end}").into_bytes(), true)
        }
        "huge" => (json("200 OK", &" ".repeat(5 * 1024 * 1024)), true),
        _ => (json("201 Created", made), true),
    }
}
