//! What is wrong with a configuration, all of it, each with its place. It must never hold a
//! configured value that could be a secret.

use std::fmt;
use std::path::{Path, PathBuf};

/// Every mistake of one configuration file. It has at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    file: PathBuf,
    mistakes: Vec<Mistake>,
}

/// One mistake and where it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The line, from 1; 0 when the file could not be read at all.
    pub line: usize,
    /// The key with its tables (`server.listen`); empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What would be right, where that can be told.
    pub hint: Option<String>,
}

impl Report {
    /// A report of one mistake that concerns the whole file.
    pub(crate) fn whole(file: &Path, message: String) -> Self {
        let mistake = Mistake { line: 0, key: String::new(), message, hint: None };
        Self { file: file.to_owned(), mistakes: vec![mistake] }
    }

    /// A report of these mistakes, in the order of their lines.
    pub(crate) fn of(file: &Path, mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort();
        Self { file: file.to_owned(), mistakes }
    }

    /// Every mistake, in the order of the lines.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            let end = if index + 1 == self.mistakes.len() { "" } else { "\n" };
            write!(f, "{}:{mistake}{end}", self.file.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

impl fmt::Display for Mistake {
    /// `12: server.listen: is not an address; write host and port`, so that after the file's name
    /// editors can jump to the place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}: ", self.line)?;
        } else {
            write!(f, " ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}
