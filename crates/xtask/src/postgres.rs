//! A PostgreSQL of the tests' own: made from installed programs, reached over a socket in its own
//! folder, and gone with the process that started it, however that ends. It must not touch a server
//! that is there already.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{geteuid, getpid};

use crate::{apt, faketime, workspace};

pub mod pooler;

/// The role that owns everything.
pub const ROLE: &str = "purveyor";

/// How long a server may take to start or to stop on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest path that a socket can have, less its own name.
const SOCKET_FOLDER_MAX: usize = 90;

/// Who the server runs as where we are root, which it refuses to be.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// Runs the server as long as standard input is open, which is as long as its owner lives; then ends
/// it and removes its folder.
const KEEPER: &str = "folder=$1; signal=$2; shift 2; \"$@\" & server=$!; cat > /dev/null; \
    kill -$signal $server; wait $server; [ -e \"$folder/keep\" ] || rm -rf \"$folder\"";

/// A server. Dropping it stops it and removes what it kept.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    programs: PathBuf,
    user: Option<User>,
    options: Vec<String>,
    /// The library by which its wall clock can be stepped, and the file that the clock follows.
    faketime: Option<(PathBuf, PathBuf)>,
    port: u16,
    keeper: Option<Child>,
}

#[derive(Clone, Copy, Debug)]
struct User {
    uid: u32,
    gid: u32,
}

impl Server {
    /// Makes a server and starts it; it listens to no network.
    ///
    /// # Errors
    /// When there is no PostgreSQL, or it does not start.
    pub fn start() -> Result<Self> {
        let mut server = Self::make()?;
        server.resume()?;
        Ok(server)
    }

    /// As [`Server::start`], with a wall clock that follows `clock`, a file of [`faketime::set`] that
    /// everybody may read.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with_clock(library: &Path, clock: &Path) -> Result<Self> {
        let mut server = Self::make()?;
        server.faketime = Some((library.to_owned(), clock.to_owned()));
        server.resume()?;
        Ok(server)
    }

    /// As [`Server::start`], on a free port of 127.0.0.1 too, where it speaks TLS with this
    /// certificate and key, both PEM, and asks for `password`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with_tls(certificate: &str, key: &str, password: &str) -> Result<Self> {
        let mut server = Self::make_with(Some(password))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        server.port = port;
        let files = [("server.crt", certificate), ("server.key", key)];
        for (name, content) in files {
            let path = server.data().join(name);
            fs::write(&path, content)?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            server.give(&path)?;
        }
        server
            .options
            .extend(["-c", "listen_addresses=127.0.0.1", "-c", "ssl=on"].map(str::to_owned));
        server.resume()?;
        Ok(server)
    }

    /// Its address for a database, over the socket.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://{ROLE}@{folder}:{}/{database}", self.port)
    }

    /// The port, of the socket's name and of the network where it listens there.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Stops it as a crash would; what it keeps stays for [`Server::resume`].
    ///
    /// # Errors
    /// When it does not stop.
    pub fn crash(&mut self) -> Result<()> {
        fs::write(self.folder.join("keep"), "")?;
        if let Some(keeper) = self.keeper.take() {
            end(keeper)?;
        }
        fs::remove_file(self.folder.join("keep"))?;
        Ok(())
    }

    /// Starts it again after [`Server::crash`].
    ///
    /// # Errors
    /// When it does not start.
    pub fn resume(&mut self) -> Result<()> {
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log"))?;
        let mut keeper = self.command("sh");
        keeper.arg("-c").arg(KEEPER).arg("keeper").arg(&self.folder).arg("QUIT");
        keeper.arg(self.programs.join("postgres")).arg("-D").arg(self.data());
        keeper.arg("-k").arg(&self.folder).arg("-p").arg(self.port.to_string());
        // Sessions behind a network that forgot them stay for a minute.
        keeper.args(["-c", "max_connections=500", "-c", "shared_buffers=32MB"]).args(&self.options);
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        if let Some((library, clock)) = &self.faketime {
            keeper.envs(faketime::variables(library, clock));
        }
        // A signal of the terminal is for its owner.
        keeper.process_group(0);
        self.keeper = Some(keeper.spawn().context("cannot start postgres")?);
        self.wait_until_ready()
    }

    /// A standby that follows this server, over the socket, as long as both run.
    ///
    /// # Errors
    /// When this server does not run, or the standby does not start.
    pub fn standby(&self) -> Result<Self> {
        let mut standby = Self::place()?;
        let mut copy = self.command(self.programs.join("pg_basebackup"));
        copy.arg("-D").arg(standby.data()).arg("-h").arg(&self.folder);
        copy.arg("-p").arg(self.port.to_string()).args(["-U", ROLE]);
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
        run(copy)?;
        standby.resume()?;
        Ok(standby)
    }

    /// The SQL that `pg_dump` makes of a database.
    ///
    /// # Errors
    /// When it cannot be dumped.
    pub fn dump(&self, database: &str) -> Result<Vec<u8>> {
        let mut dump = self.client("pg_dump", database);
        let dumped = dump.output().with_context(|| format!("cannot run {dump:?}"))?;
        let said = String::from_utf8_lossy(&dumped.stderr);
        ensure!(dumped.status.success(), "{dump:?} ended with {}\n{said}", dumped.status);
        Ok(dumped.stdout)
    }

    /// Runs what [`Server::dump`] made in an empty database.
    ///
    /// # Errors
    /// When a statement of it fails.
    pub fn restore(&self, database: &str, dump: &[u8]) -> Result<()> {
        // Others may be restored at the same time.
        let file = self.folder.join(format!("{database}.sql"));
        fs::write(&file, dump)?;
        self.give(&file)?;
        let mut restore = self.client("psql", database);
        restore.args(["--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file"]);
        restore.arg(file);
        run(restore)
    }

    /// Runs one statement in a database.
    ///
    /// # Errors
    /// When it fails.
    pub fn execute(&self, database: &str, statement: &str) -> Result<()> {
        let mut psql = self.client("psql", database);
        psql.args(["--quiet", "--no-psqlrc", "--output=/dev/null", "--command", statement]);
        run(psql)
    }

    /// A program that connects to a database.
    fn client(&self, program: &str, database: &str) -> Command {
        let mut command = self.command(self.programs.join(program));
        command.arg("-h").arg(&self.folder).arg("-p").arg(self.port.to_string());
        command.args(["-U", ROLE, "-d", database]);
        command
    }

    fn make() -> Result<Self> {
        Self::make_with(None)
    }

    fn make_with(password: Option<&str>) -> Result<Self> {
        let server = Self::place()?;
        server.init(password)?;
        Ok(server)
    }

    /// A server that has nothing yet.
    fn place() -> Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let programs = programs()?;
        let user = if geteuid().is_root() { Some(user()?) } else { None };
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", getpid().as_raw_nonzero());
        let folder = base(user)?.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {folder:?}"))?;
        let options = vec!["-c".to_owned(), "listen_addresses=".to_owned()];
        let server =
            Self { folder, programs, user, options, faketime: None, port: 5432, keeper: None };
        server.give(&server.folder)?;
        Ok(server)
    }

    fn init(&self, password: Option<&str>) -> Result<()> {
        let mut init = self.command(self.programs.join("initdb"));
        init.arg("-D").arg(self.data()).args(["-U", ROLE, "-E", "UTF8", "--locale=C"]);
        init.args(["--no-sync", "--auth-local=trust"]);
        match password {
            None => init.arg("--auth-host=reject"),
            Some(password) => {
                let file = self.folder.join("password");
                fs::write(&file, password)?;
                self.give(&file)?;
                init.arg("--auth-host=scram-sha-256").arg("--pwfile").arg(file)
            }
        };
        run(init)
    }

    fn wait_until_ready(&self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            // The server writes how it is into the eighth line.
            let said = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
            if said.lines().nth(7).is_some_and(|state| state.trim() == "ready") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        bail!("postgres is not ready after {PATIENCE:?}\n{log}")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        command(self.user, program)
    }

    fn give(&self, path: &Path) -> Result<()> {
        give(self.user, path)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody is left to tell of a failure, and the keeper does it once we are gone.
        if let Some(keeper) = self.keeper.take() {
            let _ = end(keeper);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Where initdb and postgres are.
///
/// # Errors
/// When they are not installed.
pub fn programs() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let linked = std::env::split_paths(&path).map(|folder| folder.join("initdb"));
    let mut found: Vec<PathBuf> = linked
        .filter_map(|program| program.canonicalize().ok()?.parent().map(PathBuf::from))
        .collect();
    // Where distributions put the versions of it, the newest first.
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort_unstable();
    found.extend(versions.into_iter().rev().map(|(_, path)| path));
    found
        .into_iter()
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
        .context(
            "PostgreSQL's server (initdb, postgres) is not installed: apt-get install postgresql",
        )
}

/// Installs the server's programs from the distribution where that can be done: as root, with apt.
///
/// # Errors
/// When they are neither there nor can be installed.
pub fn install() -> Result<PathBuf> {
    if let Ok(found) = programs() {
        return Ok(found);
    }
    ensure!(geteuid().is_root(), "the tests need PostgreSQL, and only root can install it");
    eprintln!("    installing PostgreSQL, once: the tests of the shared store start one");
    apt::install("postgresql")?;
    programs()
}

/// A folder for servers that their user can reach and whose sockets have short names.
fn base(user: Option<User>) -> Result<PathBuf> {
    for parent in [workspace::target()?, std::env::temp_dir()] {
        let folder = parent.join("postgres");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {folder:?}"))?;
        give(user, &folder)?;
        let reached = command(user, "test").arg("-w").arg(&folder).status();
        let short = folder.as_os_str().len() < SOCKET_FOLDER_MAX - 20;
        if short && reached.is_ok_and(|status| status.success()) {
            return Ok(folder);
        }
    }
    bail!("there is no folder that the server's user can write to")
}

fn user() -> Result<User> {
    let users = fs::read_to_string("/etc/passwd").context("cannot read the users")?;
    let named = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        Some(User { uid: numbers.next()?.ok()?, gid: numbers.next()?.ok()? })
    };
    USERS.into_iter().find_map(named).context("postgres refuses root, and there is no other user")
}

fn command(user: Option<User>, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.current_dir("/");
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
    command
}

fn run(mut command: Command) -> Result<()> {
    let ran = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "{command:?} ended with {}\n{said}", ran.status);
    Ok(())
}

fn give(user: Option<User>, path: &Path) -> Result<()> {
    let Some(User { uid, gid }) = user else { return Ok(()) };
    chown(path, Some(uid), Some(gid)).with_context(|| format!("cannot give away {path:?}"))
}

/// Closes the keeper's standard input and waits until it has ended the server.
fn end(mut keeper: Child) -> Result<()> {
    drop(keeper.stdin.take());
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if keeper.try_wait()?.is_some() {
            // A shell ends without the library's own clean-up.
            faketime::clean_up(keeper.id());
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    bail!("postgres did not stop within {PATIENCE:?}")
}
