//! The ledger: one JSON line for each real sale, renewal, change, deletion and refund, and for each
//! change of a catalogue, durable before the caller can learn of it. It must never be rewritten or truncated, and no fault may
//! change what it says.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::money::Cents;

/// The append-only record of what was really sold.
#[derive(Debug)]
pub struct Ledger {
    book: Mutex<Book>,
}

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the file, counted from 1 and continued over restarts.
    pub sequence: u64,
    /// Simulated time of the commit.
    pub time: Timestamp,
    /// What was sold, and to whom.
    #[serde(flatten)]
    pub sale: Sale,
}

/// What a ledger line says besides its place and time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// The upstream's name of the account that pays.
    pub account: String,
    /// What happened.
    pub kind: Kind,
    /// The upstream's id of the operation or order.
    pub operation_id: String,
    /// The upstream's id of the thing sold, where it has one.
    pub product_id: Option<String>,
    /// The upstream's name of the thing sold.
    pub product_name: String,
    /// How many were bought; for a change the new quantity.
    pub quantity: i64,
    /// The term in the upstream's spelling; absent where the call carries none.
    pub duration: Option<String>,
    /// What was charged; for a refund what was given back.
    pub amount: Cents,
    /// ISO 4217 code.
    pub currency: String,
    /// SHA-256 of the method and its parameters without credentials, in hex.
    pub fingerprint: String,
    /// Whether a person did it at the upstream itself, and no call of the API.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub person: bool,
}

/// The kinds of ledger lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Something new was sold, or put into a catalogue.
    ProductAdd,
    /// A term was extended.
    ProductRenew,
    /// A quantity was changed, or a row of a catalogue.
    ProductUpdate,
    /// Something was given up, or taken out of a catalogue.
    ProductDelete,
    /// Money went back.
    Refund,
    /// The billing record of a new service was written.
    ServiceCreate,
    /// A service was suspended.
    ServiceSuspend,
    /// A suspension ended.
    ServiceUnsuspend,
    /// A service ended for good.
    ServiceTerminate,
    /// One item of an order was sold, and its first term charged.
    OrderItem,
    /// One item of an order was sold and put on an invoice that nobody has paid yet.
    OrderItemInvoiced,
    /// An invoice was paid.
    InvoicePaid,
    /// Another term was charged, without anybody asking.
    AutoRenewal,
    /// An order was made that nobody has paid: no sale.
    OrderUnpaid,
    /// An order was paid.
    OrderPaid,
    /// A product was put into a billing plan.
    BillingResourceAdd,
    /// A price was set for a product in a billing plan.
    PriceRuleAdd,
}

/// Why a ledger could not be opened or written.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct LedgerError {
    doing: &'static str,
    source: std::io::Error,
}

#[derive(Debug, Default)]
struct Book {
    file: Option<File>,
    entries: Vec<Entry>,
    last_sequence: u64,
    /// A write failed, so the file's end is unknown and nothing may follow it.
    broken: bool,
}

impl Ledger {
    /// A ledger that lives and dies with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { book: Mutex::default() }
    }

    /// Opens or creates the file. What it holds already is kept and counted; a line torn by a
    /// crash is left where it is, closed by a newline and skipped when reading.
    ///
    /// # Errors
    /// The file or its folder cannot be opened, read or synced.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let failed = |doing| move |source| LedgerError { doing, source };
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(path)
            .map_err(failed("cannot open the ledger"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed("cannot read the ledger"))?;
        if bytes.last().is_some_and(|last| *last != b'\n') {
            file.write_all(b"\n").map_err(failed("cannot close the ledger's torn line"))?;
        }
        file.sync_all().map_err(failed("cannot sync the ledger"))?;
        // A file is only durable when its name is.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        folder.and_then(|f| f.sync_all()).map_err(failed("cannot sync the ledger's folder"))?;

        let lines = bytes.split(|byte| *byte == b'\n');
        let entries: Vec<Entry> =
            lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let last_sequence = entries.iter().map(|entry| entry.sequence).max().unwrap_or(0);
        Ok(Self {
            book: Mutex::new(Book { file: Some(file), entries, last_sequence, broken: false }),
        })
    }

    /// Writes the sales in one piece and returns when they are durable. May not be repeated: each
    /// call makes new lines.
    ///
    /// # Errors
    /// The file could not be written or synced; then nothing may be sold, and every later call
    /// fails too.
    pub fn append(&self, time: Timestamp, sales: Vec<Sale>) -> Result<(), LedgerError> {
        let mut book = self.lock();
        let first = book.last_sequence + 1;
        let entries: Vec<Entry> =
            (first..).zip(sales).map(|(sequence, sale)| Entry { sequence, time, sale }).collect();
        book.write(&entries)?;
        book.last_sequence += entries.len() as u64;
        book.entries.extend(entries);
        Ok(())
    }

    /// All lines, oldest first, with those that earlier processes wrote to the same file.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn write(&mut self, entries: &[Entry]) -> Result<(), LedgerError> {
        let failed = |source| LedgerError { doing: "cannot write the ledger", source };
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.broken {
            return Err(failed(std::io::Error::other("an earlier write failed")));
        }
        let mut text = String::new();
        for entry in entries {
            let line = serde_json::to_string(entry).map_err(|error| failed(error.into()))?;
            text.push_str(&line);
            text.push('\n');
        }
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        self.broken = written.is_err();
        written.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;

    use super::{Kind, Ledger, Sale};
    use crate::money::Cents;

    fn sale(operation: &str) -> Sale {
        Sale {
            account: "AB1-GANDI".into(),
            kind: Kind::ProductAdd,
            operation_id: operation.into(),
            product_id: None,
            product_name: "shares".into(),
            quantity: 1,
            duration: Some("1m".into()),
            amount: Cents::new(1200),
            currency: "EUR".into(),
            fingerprint: String::new(),
            person: false,
        }
    }

    #[test]
    fn opening_again_keeps_every_line_and_goes_on_counting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let time = Timestamp::UNIX_EPOCH;
        let first = Ledger::open(&path).unwrap();
        first.append(time, vec![sale("1"), sale("2")]).unwrap();
        drop(first);
        let before = fs::read_to_string(&path).unwrap();

        let second = Ledger::open(&path).unwrap();
        assert_eq!(second.entries().len(), 2);
        second.append(time, vec![sale("3")]).unwrap();
        assert_eq!(second.entries().last().map(|entry| entry.sequence), Some(3));
        assert!(fs::read_to_string(&path).unwrap().starts_with(&before));
    }

    #[test]
    fn nothing_follows_a_write_that_failed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let ledger = Ledger::open(&path).unwrap();
        let append = || ledger.append(Timestamp::UNIX_EPOCH, vec![sale("1")]);
        let give = |file: fs::File| ledger.lock().file = Some(file);
        give(fs::File::open(&path).unwrap());
        assert!(append().is_err(), "wrote to a file that is open for reading");
        give(fs::File::options().append(true).open(&path).unwrap());
        assert!(append().is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        assert!(ledger.entries().is_empty());
    }

    #[test]
    fn a_torn_line_stays_and_harms_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        Ledger::open(&path).unwrap().append(Timestamp::UNIX_EPOCH, vec![sale("1")]).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{{\"sequence\":2,\"ti")).unwrap();

        let ledger = Ledger::open(&path).unwrap();
        ledger.append(Timestamp::UNIX_EPOCH, vec![sale("2")]).unwrap();
        let lines: Vec<String> =
            fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], "{\"sequence\":2,\"ti");
        assert_eq!(Ledger::open(&path).unwrap().entries().len(), 2);
    }
}
