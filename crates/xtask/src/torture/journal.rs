//! The clients' own log: every call and its answer, a JSON line each. It must not be asked anything
//! while clients still write; the checker reads the file.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use purveyor_sdk::v1::Operation;
use serde::{Deserialize, Serialize};
use tonic::Status;

use super::call::{ids, items, reason};

/// The file.
#[derive(Debug)]
pub(crate) struct Journal(Mutex<BufWriter<File>>);

/// One call and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Number of the order.
    pub(crate) order: usize,
    /// When, in milliseconds since 1970.
    #[serde(default)]
    pub(crate) at_ms: i64,
    /// Whether another body was sent under the order's request id.
    #[serde(default)]
    pub(crate) wrong: bool,
    /// Whether what the order made was to be ended.
    #[serde(default)]
    pub(crate) ends: bool,
    /// What came back.
    #[serde(flatten)]
    pub(crate) answer: Answer,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub(crate) enum Answer {
    /// An operation in a state, with the upstream ids and the items that it names, and why it failed.
    Operation {
        state: String,
        ids: Vec<String>,
        #[serde(default)]
        items: Vec<String>,
        #[serde(default)]
        reason: String,
    },
    /// An error.
    Error { code: String, message: String },
    /// The client hung up.
    HungUp,
}

impl Answer {
    /// What a call came to.
    pub(crate) fn of(called: &Result<Operation, Status>) -> Self {
        match called {
            Ok(operation) => Self::Operation {
                state: operation.state().as_str_name().to_owned(),
                ids: ids(operation),
                items: items(operation),
                reason: reason(operation).to_owned(),
            },
            Err(status) => Self::Error {
                code: format!("{:?}", status.code()),
                message: status.message().to_owned(),
            },
        }
    }
}

impl Journal {
    /// A new file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {path:?}"))?;
        Ok(Self(Mutex::new(BufWriter::new(file))))
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, line: &Line) -> Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_writer(&mut *file, line)?;
        file.write_all(b"\n").context("cannot write the clients' log")
    }

    /// Writes everything to the file.
    ///
    /// # Errors
    /// When that fails.
    pub(crate) fn flush(&self) -> Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush().context("cannot write the clients' log")
    }
}

/// Reads the file.
///
/// # Errors
/// When a line is not one of ours.
pub(crate) fn read(path: &Path) -> Result<Vec<Line>> {
    let file = File::open(path).with_context(|| format!("cannot read {path:?}"))?;
    let lines = BufReader::new(file).lines();
    lines.map(|line| serde_json::from_str(&line?).context("a line of the clients' log")).collect()
}
