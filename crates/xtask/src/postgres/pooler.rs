//! PgBouncer, as the distribution has it, between a test's gateway and its server.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::geteuid;

use super::{KEEPER, PATIENCE, ROLE, Server};
use crate::apt;

const PACKAGE: &str = "pgbouncer";

/// Its place and its keeper are those of a server, whose sessions it hands out. Dropping it stops it.
#[derive(Debug)]
pub struct Pooler(Server);

impl Pooler {
    /// Starts one before a server. `settings` are lines of its own configuration.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub fn start(server: &Server, settings: &[&str]) -> Result<Self> {
        let program = program()?;
        let mut place = Server::place()?;
        let (here, there) = (place.folder.display(), server.folder.display());
        let (port, settings) = (server.port, settings.join("\n"));
        let configuration = format!(
            "[databases]\n* = host={there} port={port} user={ROLE}\n[pgbouncer]\nauth_type = any\n\
             listen_port = {}\nunix_socket_dir = {here}\n{settings}\n",
            place.port
        );
        let file = place.folder.join("pgbouncer.ini");
        fs::write(&file, configuration).with_context(|| format!("cannot write {file:?}"))?;
        let log = fs::File::create(place.folder.join("log"))?;
        let mut keeper = place.command("sh");
        keeper.arg("-c").arg(KEEPER).arg("keeper").arg(&place.folder).arg("TERM");
        keeper.arg(program).arg(&file);
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        place.keeper = Some(keeper.spawn().context("cannot start pgbouncer")?);
        let pooler = Self(place);
        pooler.wait_until_ready()?;
        Ok(pooler)
    }

    /// The address of one of the server's databases through it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.0.url(database)
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.socket()
    }

    fn wait_until_ready(&self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if self.socket().exists() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        let log = fs::read_to_string(self.0.folder.join("log")).unwrap_or_default();
        bail!("pgbouncer is not ready after {PATIENCE:?}\n{log}")
    }
}

/// The program.
///
/// # Errors
/// When it is not installed.
pub fn program() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let mut found = folders.map(|folder| folder.join("pgbouncer")).filter(|path| path.exists());
    found.next().with_context(|| format!("PgBouncer is not installed: apt-get install {PACKAGE}"))
}

/// Installs it from the distribution where that can be done: as root, with apt.
///
/// # Errors
/// When it is neither there nor can be installed.
pub fn install() -> Result<PathBuf> {
    if let Ok(found) = program() {
        return Ok(found);
    }
    ensure!(geteuid().is_root(), "the tests need PgBouncer, and only root can install it");
    eprintln!(
        "    installing PgBouncer, once: a test shows that it is refused where it pools transactions"
    );
    apt::install(PACKAGE)?;
    program()
}
