//! Credentials: placed into requests by the host, or granted to the plugin by name where it has to
//! compute with them. A value is never printed, logged, or part of an error.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use purveyor_sdk::plugin::v1::credential::Placement;
use purveyor_sdk::plugin::v1::{Credential, Grant};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// Why the credentials of an account cannot be used.
#[derive(Debug, Error)]
pub enum CredentialError {
    /// The plugin needs it.
    #[error("the credential {0} is missing")]
    Missing(String),
    /// The plugin does not know it: probably a misspelling.
    #[error("the plugin knows no credential {0}")]
    Unknown(String),
    /// It cannot stand in a header.
    #[error("the credential {0} has characters that a header cannot hold")]
    NotAHeader(String),
    /// The manifest names no header for it.
    #[error("the manifest names no header for the credential {0}")]
    NoHeader(String),
    /// All together they cannot be looked for in what the plugin says.
    #[error("the credentials are too long")]
    TooLong,
    /// Basic needs a user and a password.
    #[error("the credential {0} is not of the form user:password")]
    NotBasic(String),
}

/// The credentials of one account that the host places.
#[derive(Debug)]
pub(super) struct Credentials {
    declared: Vec<Credential>,
    values: BTreeMap<String, SecretString>,
}

impl Credentials {
    /// Checks that what the plugin needs is there and can be placed.
    pub(super) fn new(
        declared: &[Credential],
        values: &BTreeMap<String, SecretString>,
    ) -> Result<Self, CredentialError> {
        for name in values.keys() {
            if !declared.iter().any(|credential| credential.name == *name) {
                return Err(CredentialError::Unknown(name.clone()));
            }
        }
        for credential in declared {
            match values.get(&credential.name) {
                Some(value) if credential.placement() != Placement::Granted => {
                    header(credential, value)?;
                }
                None if !credential.optional => {
                    return Err(CredentialError::Missing(credential.name.clone()));
                }
                _ => {}
            }
        }
        Ok(Self { declared: declared.to_vec(), values: values.clone() })
    }

    /// Puts one credential into a request. The message of an error is for the plugin's author.
    pub(super) fn place(&self, name: &str, headers: &mut HeaderMap) -> Result<(), String> {
        let declared = self.declared.iter().find(|credential| credential.name == name);
        let declared =
            declared.ok_or_else(|| format!("the manifest has no credential {name:?}"))?;
        if declared.placement() == Placement::Granted {
            return Err(format!("the credential {name} is granted, so the host does not place it"));
        }
        let Some(value) = self.values.get(name) else {
            return Err(format!("the credential {name} is optional and not configured"));
        };
        let (name, value) = header(declared, value).map_err(|error| error.to_string())?;
        headers.insert(name, value);
        Ok(())
    }
}

/// The secrets that the manifest asks to be granted.
pub(in crate::plugin) fn grants(
    declared: &[Credential],
    values: &BTreeMap<String, SecretString>,
) -> Vec<Grant> {
    let granted = declared.iter().filter(|one| one.placement() == Placement::Granted);
    granted
        .filter_map(|credential| {
            let value = values.get(&credential.name)?.expose_secret().to_owned();
            Some(Grant { name: credential.name.clone(), value })
        })
        .collect()
}

/// What stands in the header of a declared credential: its value after its scheme, if it has one.
fn with_scheme(scheme: &str, secret: &str) -> String {
    if scheme.is_empty() { secret.to_owned() } else { format!("{scheme} {secret}") }
}

fn header(
    credential: &Credential,
    value: &SecretString,
) -> Result<(HeaderName, HeaderValue), CredentialError> {
    let name = || credential.name.clone();
    let secret = value.expose_secret();
    let (header, text) = match credential.placement() {
        Placement::Header => {
            let header = HeaderName::from_bytes(credential.header.as_bytes())
                .map_err(|_| CredentialError::NoHeader(name()))?;
            (header, with_scheme(&credential.scheme, secret))
        }
        Placement::Basic if !secret.contains(':') => return Err(CredentialError::NotBasic(name())),
        Placement::Basic => (AUTHORIZATION, format!("Basic {}", STANDARD.encode(secret))),
        Placement::Bearer => (AUTHORIZATION, format!("Bearer {secret}")),
        Placement::Granted | Placement::Unspecified => {
            return Err(CredentialError::NoHeader(name()));
        }
    };
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| CredentialError::NotAHeader(name()))?;
    value.set_sensitive(true);
    Ok((header, value))
}
