//! Where operations are kept. A password stands in the URL never: it is a secret by reference.

use std::path::PathBuf;

use secrecy::ExposeSecret;
use tokio_postgres::config::Host;

use super::document::{Found, Place, Section};
use super::{Context, secret};
use crate::store::postgres::{Encryption, PostgresConfig};

/// How many connections one process may have, where nothing else is said: more writes at a time than
/// a server of a few processors can carry out.
const CONNECTIONS: usize = 16;

/// What can be written.
const HINT: &str = "write \"sqlite:PATH\" or \"postgres://USER@HOST/DATABASE\"";

/// The kinds of store that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// A SQLite file of this process alone.
    Sqlite {
        /// The file; it is made when there is none.
        path: PathBuf,
    },
    /// A PostgreSQL database, which other gateways may use too.
    Postgres(Box<PostgresConfig>),
}

pub(crate) fn read(mut section: Section<'_>, context: &mut Context<'_>) -> Option<Store> {
    let url = section.required::<String>("url");
    let password = section.optional::<String>("password");
    let ca_file = section.optional::<String>("ca_file");
    let connections = section.size("connections", CONNECTIONS, 2..=200);
    let witness_file = section.optional::<String>("witness_file");
    section.end();
    let url = url?;
    if url.value.starts_with("postgres:") || url.value.starts_with("postgresql:") {
        let more = ServerKeys { password, ca_file, connections, witness_file };
        return postgres(&url, more, context);
    }
    for unused in [password, ca_file, witness_file].into_iter().flatten() {
        unused.place.refuse("is for a store at a server, and this one is a file");
    }
    sqlite(&url, context)
}

fn sqlite(url: &Found<'_, String>, context: &Context<'_>) -> Option<Store> {
    match url.value.split_once(':') {
        Some(("sqlite", "")) => url.place.refuse_with("names no file", HINT),
        Some(("sqlite", path)) if path.starts_with("//") || path.starts_with(':') => {
            url.place.refuse_with(format!("{path:?} is not a path"), HINT);
        }
        Some(("sqlite", path)) => {
            let path = context.folder.join(path);
            let folder = path.parent().unwrap_or(context.folder);
            if folder.as_os_str().is_empty() || folder.is_dir() {
                return Some(Store::Sqlite { path });
            }
            url.place.refuse(format!("folder {} does not exist", folder.display()));
        }
        // A URL of a server may carry a password, so only its scheme is repeated.
        Some((scheme, _)) => {
            url.place.refuse_with(format!("stores of scheme {scheme:?} are not supported"), HINT);
        }
        None => url.place.refuse_with("has no scheme", HINT),
    }
    None
}

/// What is only for a store at a server.
struct ServerKeys<'a> {
    password: Option<Found<'a, String>>,
    ca_file: Option<Found<'a, String>>,
    connections: usize,
    witness_file: Option<Found<'a, String>>,
}

fn postgres(
    url: &Found<'_, String>,
    keys: ServerKeys<'_>,
    context: &mut Context<'_>,
) -> Option<Store> {
    let ServerKeys { password, ca_file, connections, witness_file } = keys;
    let password_given = password.is_some();
    let password = password.and_then(|found| secret::fetch(&found.value, &found.place, context));
    let ca_file = ca_file.map(|found| context.folder.join(found.value));
    let witness_file = match witness_file {
        None => None,
        Some(found) => {
            let path = context.folder.join(&found.value);
            let folder = path.parent().unwrap_or(context.folder);
            if !folder.is_dir() {
                found.place.refuse(format!("folder {} does not exist", folder.display()));
                return None;
            }
            Some(path)
        }
    };
    let (mut server, mode) = address(url)?;
    if password_given {
        server.password(password?.expose_secret());
    }
    let local = server.get_hosts().iter().all(is_local);
    let encryption = match mode {
        Some(mode) => mode,
        None if local => Encryption::Prefer,
        None => Encryption::VerifyFull,
    };
    if !local && encryption != Encryption::VerifyFull && ca_file.is_none() {
        let what = "does not verify who the server is; leave sslmode out, or give store.ca_file";
        context.warn(&url.place, what);
    }
    let config = PostgresConfig { server, encryption, ca_file, connections, witness_file };
    Some(Store::Postgres(Box::new(config)))
}

/// The server's address without its mode of encryption, and that mode.
fn address(url: &Found<'_, String>) -> Option<(tokio_postgres::Config, Option<Encryption>)> {
    let refuse = |place: &Place<'_>, what: &str, hint: &str| {
        place.refuse_with(what, hint);
        None
    };
    let (address, query) = url.value.split_once('?').unwrap_or((&url.value, ""));
    let (_, rest) = address.split_once("://").unwrap_or_default();
    let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, _) = authority.rsplit_once('@').unwrap_or_default();
    let options = || query.split('&').filter(|option| !option.is_empty());
    if user.contains(':') || options().any(|option| option.starts_with("password=")) {
        let hint = "leave it out, and write store.password = \"file:PATH\"";
        return refuse(&url.place, "has a password in it", hint);
    }
    if options().any(|option| option.starts_with("sslrootcert=")) {
        return refuse(&url.place, "has sslrootcert in it", "write store.ca_file = \"PATH\"");
    }
    let mut mode = None;
    let mut kept = Vec::new();
    for option in options() {
        match option.strip_prefix("sslmode=") {
            None => kept.push(option),
            Some(named) => match encryption(named) {
                Some(named) => mode = Some(named),
                None => {
                    let hint = "sslmode is disable, prefer, require or verify-full";
                    return refuse(&url.place, "has another sslmode than there are", hint);
                }
            },
        }
    }
    let text =
        if kept.is_empty() { address.to_owned() } else { format!("{address}?{}", kept.join("&")) };
    let server: tokio_postgres::Config = match text.parse() {
        Ok(server) => server,
        // What the parser says may repeat a part of the URL, which is no secret any more.
        Err(error) => {
            let why = std::error::Error::source(&error).map_or(String::new(), ToString::to_string);
            return refuse(&url.place, &format!("is not understood: {why}"), HINT);
        }
    };
    if server.get_hosts().is_empty() || server.get_dbname().is_none() {
        return refuse(&url.place, "has to name a host and a database", HINT);
    }
    Some((server, mode))
}

fn encryption(mode: &str) -> Option<Encryption> {
    Some(match mode {
        "disable" => Encryption::Disable,
        "prefer" => Encryption::Prefer,
        "require" => Encryption::Require,
        "verify-full" => Encryption::VerifyFull,
        _ => return None,
    })
}

/// Whether a host is this machine, by its name alone.
fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
    }
}
