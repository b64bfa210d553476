//! Secrets by reference: where one lies, and how it is fetched. A value must reach neither a
//! message nor a log; even what stands in place of a reference could be a secret, so it is not
//! repeated either.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use secrecy::SecretString;

use super::Context;
use super::document::Place;

/// The longest secret: a private key in PEM has a tenth of it.
const SECRET_MAX_BYTES: usize = 64 * 1024;

/// Fetches the secret that `reference` names. Mistakes are noted at `place`.
pub(crate) fn fetch(
    reference: &str,
    place: &Place<'_>,
    context: &mut Context<'_>,
) -> Option<SecretString> {
    let read = match reference.split_once(':') {
        Some(("env", name)) => variable(name, context),
        Some(("file", path)) => {
            let path = context.folder.join(path);
            if let Some(warning) = too_open(&path) {
                context.warn(place, warning);
            }
            file(&path)
        }
        Some(("credential", name)) => credential(name, context),
        _ => {
            place.refuse_with(
                "is not a reference to a secret",
                "write \"file:PATH\", \"env:NAME\" or \"credential:NAME\"; the secret itself must \
                 not stand in this file",
            );
            return None;
        }
    };
    match read.and_then(usable) {
        Ok(secret) => Some(SecretString::from(secret)),
        Err(message) => {
            place.refuse(message);
            None
        }
    }
}

fn variable(name: &str, context: &Context<'_>) -> Result<String, String> {
    context.environment.get(name).map_err(|why| format!("environment variable {name:?} {why}"))
}

fn credential(name: &str, context: &Context<'_>) -> Result<String, String> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(format!("{name:?} is not a credential's name"));
    }
    let Some(folder) = context.environment.credentials() else {
        return Err("no systemd credentials were passed to this process".to_owned());
    };
    file(&folder.join(name))
}

fn file(path: &Path) -> Result<String, String> {
    let cannot = |error| format!("{} cannot be read: {error}", path.display());
    let mut bytes = Vec::new();
    let limit = SECRET_MAX_BYTES as u64 + 1;
    File::open(path).map_err(cannot)?.take(limit).read_to_end(&mut bytes).map_err(cannot)?;
    let mut text =
        String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", path.display()))?;
    // Editors and `echo` end a file with a newline that is not part of the secret.
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}

fn usable(secret: String) -> Result<String, String> {
    if secret.is_empty() {
        return Err("the secret is empty".to_owned());
    }
    if secret.len() > SECRET_MAX_BYTES {
        return Err(format!("the secret is longer than {SECRET_MAX_BYTES} bytes"));
    }
    if secret.contains('\0') {
        return Err("the secret has a NUL byte in it".to_owned());
    }
    Ok(secret)
}

/// A warning when others than the owner and the group can read the file, or the group write it.
fn too_open(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.mode() & 0o777;
    (mode & 0o027 != 0).then(|| {
        format!("{} has mode {mode:03o}; others than owner and group can use it", path.display())
    })
}
