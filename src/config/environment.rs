//! The process's environment, behind a type so that tests bring their own. No other file of the
//! gateway reads an environment variable.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::path::PathBuf;

/// Where systemd puts the credentials of a unit.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Variables by name. What is in them may be secret, so it never prints.
#[derive(Clone, Default)]
pub struct Environment {
    /// `None`: the process's own.
    variables: Option<BTreeMap<String, String>>,
}

impl Environment {
    /// The process's own.
    pub fn of_process() -> Self {
        Self::default()
    }

    /// These variables and no others.
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { variables: Some(owned.into()) }
    }

    /// A variable, or why there is none.
    pub(crate) fn get(&self, name: &str) -> Result<String, &'static str> {
        match &self.variables {
            Some(variables) => variables.get(name).cloned().ok_or("is not set"),
            None => env::var(name).map_err(|error| match error {
                env::VarError::NotPresent => "is not set",
                env::VarError::NotUnicode(_) => "is not UTF-8",
            }),
        }
    }

    /// The folder of systemd's credentials, when systemd started this.
    pub(crate) fn credentials(&self) -> Option<PathBuf> {
        self.get(CREDENTIALS_DIRECTORY).ok().map(PathBuf::from)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}
