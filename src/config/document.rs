//! Reads a TOML file key by key and goes on after each mistake, so that one run shows them all;
//! serde would stop at the first. It must not know what any key means.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::report::Mistake;

/// A parsed file and the mistakes found so far.
pub(crate) struct Document<'i> {
    text: &'i str,
    root: DeTable<'i>,
    mistakes: RefCell<Vec<Mistake>>,
}

/// One table of the file. Keys that nobody asked for until [`Section::end`] are mistakes.
pub(crate) struct Section<'d> {
    document: &'d Document<'d>,
    /// `None`: the file does not have it, which is the same as an empty one.
    table: Option<&'d DeTable<'d>>,
    /// The table's name with a dot behind it; empty for the root.
    path: String,
    line: usize,
    asked: Vec<&'static str>,
}

/// A value with its place.
pub(crate) struct Found<'d, T> {
    pub(crate) value: T,
    pub(crate) place: Place<'d>,
}

/// Where something stands, and the way to say that it is wrong.
#[derive(Clone)]
pub(crate) struct Place<'d> {
    document: &'d Document<'d>,
    pub(crate) key: String,
    pub(crate) line: usize,
}

/// What a TOML value has to be to become this.
pub(crate) trait Value: Sized {
    /// With its article, for messages.
    const KIND: &'static str;
    fn read(value: &DeValue<'_>) -> Option<Self>;
}

impl<'i> Document<'i> {
    /// Parses a file. What stands around a syntax error cannot be trusted to mean what it says, so
    /// syntax errors, all of them, are the whole report.
    pub(crate) fn parse(text: &'i str) -> Result<Self, Vec<Mistake>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Self { text, root: root.into_inner(), mistakes: RefCell::default() };
        if errors.is_empty() {
            return Ok(document);
        }
        let mistakes = errors.iter().map(|error| Mistake {
            line: document.line(&error.span().unwrap_or_default()),
            key: String::new(),
            message: format!("is not TOML: {}", error.message().replace('\n', ", ")),
            hint: None,
        });
        Err(mistakes.collect())
    }

    /// The table that holds all others.
    pub(crate) fn root<'d>(&'d self) -> Section<'d>
    where
        'i: 'd,
    {
        Section {
            document: self,
            table: Some(&self.root),
            path: String::new(),
            line: 1,
            asked: Vec::new(),
        }
    }

    /// All mistakes that were found.
    pub(crate) fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes.into_inner()
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

impl<'d> Section<'d> {
    /// A key that may be left out. A value of the wrong kind is a mistake and counts as left out.
    pub(crate) fn optional<T: Value>(&mut self, key: &'static str) -> Option<Found<'d, T>> {
        let (place, value) = self.look(key)?;
        match T::read(value) {
            Some(value) => Some(Found { value, place }),
            None => {
                place.refuse(format!("is {}, not {}", kind(value), T::KIND));
                None
            }
        }
    }

    /// A key that must be there.
    pub(crate) fn required<T: Value>(&mut self, key: &'static str) -> Option<Found<'d, T>> {
        if self.look(key).is_none() {
            self.missing(key);
        }
        self.optional(key)
    }

    /// A key with a default.
    pub(crate) fn or<T: Value>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).map_or(default, |found| found.value)
    }

    /// A number of things inside of limits, with a default.
    pub(crate) fn size(
        &mut self,
        key: &'static str,
        default: usize,
        limits: RangeInclusive<u32>,
    ) -> usize {
        let number = self.within(key, limits);
        number.and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
    }

    /// A time in milliseconds, whose key ends in `_ms`, with a default.
    pub(crate) fn milliseconds(
        &mut self,
        key: &'static str,
        default: Duration,
        limits: RangeInclusive<u32>,
    ) -> Duration {
        self.within(key, limits).map_or(default, |number| Duration::from_millis(number.into()))
    }

    /// A time in seconds, whose key ends in `_s`, with a default.
    pub(crate) fn seconds(
        &mut self,
        key: &'static str,
        default: Duration,
        limits: RangeInclusive<u32>,
    ) -> Duration {
        self.within(key, limits).map_or(default, |number| Duration::from_secs(number.into()))
    }

    /// A time in days, whose key ends in `_days`, with a default.
    pub(crate) fn days(
        &mut self,
        key: &'static str,
        default: Duration,
        limits: RangeInclusive<u32>,
    ) -> Duration {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        self.within(key, limits).map_or(default, |number| DAY * number)
    }

    /// A number inside of limits that may be left out.
    pub(crate) fn within(&mut self, key: &'static str, limits: RangeInclusive<u32>) -> Option<u32> {
        let found = self.optional::<i64>(key)?;
        let (low, high) = (limits.start(), limits.end());
        let number = u32::try_from(found.value).ok().filter(|number| limits.contains(number));
        if number.is_none() {
            found.place.refuse(format!("is {}, outside of {low} to {high}", found.value));
        }
        number
    }

    /// A table inside of this one; when it is left out, an empty one, whose required keys are
    /// missing then.
    pub(crate) fn section(&mut self, key: &'static str) -> Section<'d> {
        let empty = Section {
            document: self.document,
            table: None,
            path: format!("{}{key}.", self.path),
            line: self.line,
            asked: Vec::new(),
        };
        self.optional_section(key).unwrap_or(empty)
    }

    /// A table inside of this one that may be left out.
    pub(crate) fn optional_section(&mut self, key: &'static str) -> Option<Section<'d>> {
        let (place, value) = self.look(key)?;
        Found { value, place }.section()
    }

    /// Every entry of a table whose keys are names that the operator chose.
    pub(crate) fn entries(
        &mut self,
        key: &'static str,
    ) -> Vec<(String, Found<'d, &'d DeValue<'d>>)> {
        let section = self.section(key);
        let entries = section.table.into_iter().flatten().map(|(name, value)| {
            let place = section.place(name.get_ref(), &name.span());
            (name.get_ref().to_string(), Found { value: value.get_ref(), place })
        });
        entries.collect()
    }

    /// A list of texts, each with its place; what is none is a mistake and left out.
    pub(crate) fn texts(&mut self, key: &'static str) -> Vec<Found<'d, String>> {
        let Some((place, value)) = self.look(key) else { return Vec::new() };
        let DeValue::Array(items) = value else {
            place.refuse(format!("is {}, not a list of texts", kind(value)));
            return Vec::new();
        };
        let texts = items.iter().enumerate().filter_map(|(index, item)| {
            let place = place.below(&index.to_string(), &item.span());
            let found = Found { value: item.get_ref(), place };
            Some(Found { value: found.text()?.to_owned(), place: found.place })
        });
        texts.collect()
    }

    /// As [`Section::texts`]; one text alone is a list of it.
    pub(crate) fn text_or_texts(&mut self, key: &'static str) -> Vec<Found<'d, String>> {
        match self.look(key) {
            Some((place, DeValue::String(text))) => {
                vec![Found { value: text.as_ref().to_owned(), place }]
            }
            _ => self.texts(key),
        }
    }

    /// Where a key stands, when it is there.
    pub(crate) fn place_of(&mut self, key: &'static str) -> Option<Place<'d>> {
        self.look(key).map(|(place, _)| place)
    }

    /// Says that a key is wrong in the light of others.
    pub(crate) fn refuse(&mut self, key: &'static str, message: &str) {
        if let Some(place) = self.place_of(key) {
            place.refuse(message);
        }
    }

    /// Says that a key is missing.
    fn missing(&self, key: &str) {
        let place =
            Place { document: self.document, key: format!("{}{key}", self.path), line: self.line };
        place.refuse("is missing");
    }

    /// Refuses every key that was not asked for. Nothing may be asked after it.
    pub(crate) fn end(self) {
        for (name, _) in self.table.into_iter().flatten() {
            let key = name.get_ref().as_ref();
            if self.asked.contains(&key) {
                continue;
            }
            let place = self.place(key, &name.span());
            match nearest(key, &self.asked) {
                Some(near) => place.refuse_with("is not known", format!("did you mean {near:?}?")),
                None => place.refuse("is not known"),
            }
        }
    }

    fn look(&mut self, key: &'static str) -> Option<(Place<'d>, &'d DeValue<'d>)> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        let found: Option<(&'d Spanned<_>, &'d Spanned<_>)> =
            self.table.into_iter().flatten().find(|(name, _)| name.get_ref() == key);
        found.map(|(name, value)| (self.place(key, &name.span()), value.get_ref()))
    }

    fn place(&self, key: &str, span: &Range<usize>) -> Place<'d> {
        Place {
            document: self.document,
            key: format!("{}{key}", self.path),
            line: self.document.line(span),
        }
    }
}

impl<'d> Found<'d, &'d DeValue<'d>> {
    /// The value as a table of known keys.
    pub(crate) fn section(&self) -> Option<Section<'d>> {
        let Place { document, key, line } = self.place.clone();
        if let DeValue::Table(table) = self.value {
            let path = key + ".";
            return Some(Section { document, table: Some(table), path, line, asked: Vec::new() });
        }
        self.place.refuse(format!("is {}, not a table", kind(self.value)));
        None
    }

    /// The value as a text.
    pub(crate) fn text(&self) -> Option<&'d str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.place.refuse(format!("is {}, not a text", kind(self.value)));
        }
        text
    }
}

impl Place<'_> {
    /// Notes a mistake here.
    pub(crate) fn refuse(&self, message: impl Into<String>) {
        self.note(message.into(), None);
    }

    /// Notes a mistake here and what would be right.
    pub(crate) fn refuse_with(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.note(message.into(), Some(hint.into()));
    }

    /// The place of a key below this one.
    pub(crate) fn below(&self, key: &str, span: &Range<usize>) -> Self {
        Self {
            document: self.document,
            key: format!("{}.{key}", self.key),
            line: self.document.line(span),
        }
    }

    fn note(&self, message: String, hint: Option<String>) {
        let mistake = Mistake { line: self.line, key: self.key.clone(), message, hint };
        self.document.mistakes.borrow_mut().push(mistake);
    }
}

impl Value for bool {
    const KIND: &'static str = "true or false";
    fn read(value: &DeValue<'_>) -> Option<Self> {
        value.as_bool()
    }
}

impl Value for String {
    const KIND: &'static str = "a text";
    fn read(value: &DeValue<'_>) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl Value for i64 {
    const KIND: &'static str = "a whole number of 64 bits";
    fn read(value: &DeValue<'_>) -> Option<Self> {
        value.as_integer().and_then(whole)
    }
}

/// An integer as a number, unless it has more than 64 bits.
pub(crate) fn whole(integer: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(integer) if whole(integer).is_none() => "a number of more than 64 bits",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The known key that was probably meant. The bound keeps guesses from being silly.
pub(crate) fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let scored = known.iter().map(|known| (strsim::jaro_winkler(key, known), *known));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= 0.8).then_some(best.1)
}
