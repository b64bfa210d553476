//! Why a command failed: what is shown, and the exit code. It must not guess; whoever fails knows.

use std::fmt;
use std::process::ExitCode;

use crate::config::Report;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Anything that the others are not.
    Failed(anyhow::Error),
    /// The configuration has mistakes.
    Configuration(Report),
    /// The gateway cannot be reached.
    Unreachable {
        /// Where it was looked for.
        endpoint: String,
        /// What happened.
        source: anyhow::Error,
    },
    /// The gateway refused.
    Refused {
        /// What the gateway said.
        message: String,
        /// What to do.
        hint: Option<&'static str>,
    },
}

impl Failure {
    /// The exit code, as `--help` documents it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Configuration(_) => 3,
            Self::Unreachable { .. } => 4,
            Self::Refused { .. } => 5,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "error: {error:#}"),
            Self::Configuration(report) => {
                let count = report.mistakes().len();
                let noun = if count == 1 { "mistake" } else { "mistakes" };
                write!(f, "{report}\nerror: the configuration has {count} {noun}")
            }
            Self::Unreachable { endpoint, source } => write!(
                f,
                "error: no gateway answers at {endpoint}: {source:#}; start one with \
                 `purveyor serve`, or name another with --endpoint"
            ),
            Self::Refused { message, hint: None } => write!(f, "error: {message}"),
            Self::Refused { message, hint: Some(hint) } => write!(f, "error: {message}; {hint}"),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Report> for Failure {
    fn from(report: Report) -> Self {
        Self::Configuration(report)
    }
}
