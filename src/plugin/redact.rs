//! Finds the credentials of an account in whatever is said, in every spelling that can be derived from
//! them, because upstreams echo what they are sent. A value is never printed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use secrecy::{ExposeSecret, SecretString};

/// The fewest bytes of a spelling that is looked for: a shorter one would cut out words.
const MIN_BYTES: usize = 6;

/// The fewest bytes of a spelling that is looked for in what programs read, and of one that is a number: a
/// short one would change identifiers and amounts that have nothing to do with it (`123456` is a part of
/// `123456789`).
const MIN_READ_BYTES: usize = 8;
const MIN_READ_DIGITS: usize = 12;

/// What stands in a text where a secret stood.
pub(super) const CUT: &str = "[secret]";

/// The characters that may stand in a URL as they are.
const UNRESERVED: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Finds one account's secrets.
pub(super) struct Redactor {
    /// `None`: there is nothing to look for.
    spellings: Option<AhoCorasick>,
}

impl Redactor {
    /// One for these credentials.
    ///
    /// # Errors
    ///
    /// When they are too many or too long to be looked for.
    pub(super) fn new(values: &BTreeMap<String, SecretString>) -> Result<Self, BuildError> {
        let mut spellings = BTreeSet::new();
        for secret in values.values().map(ExposeSecret::expose_secret) {
            spell(secret, &mut spellings);
            // Of user and password, the password alone is secret enough to be looked for.
            if let Some((_, password)) = secret.split_once(':') {
                spell(password, &mut spellings);
            }
        }
        spellings.retain(|spelling| spelling.len() >= MIN_BYTES);
        if spellings.is_empty() {
            return Ok(Self { spellings: None });
        }
        let mut builder = AhoCorasick::builder();
        let built = builder.match_kind(MatchKind::LeftmostLongest).build(&spellings);
        built.map(|built| Self { spellings: Some(built) })
    }

    /// Whether bytes hold a secret.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        self.spellings.as_ref().is_some_and(|spellings| spellings.is_match(bytes))
    }

    /// The text without secrets.
    pub(super) fn cut<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.cut_where(text, |_| true)
    }

    /// What programs compare, without secrets: those that are a part of it by chance stay.
    pub(super) fn cut_from_identifier<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.cut_where(text, |found| found == text || is_no_chance(found.as_bytes()))
    }

    fn cut_where<'a>(&self, text: &'a str, counts: impl Fn(&str) -> bool) -> Cow<'a, str> {
        match &self.spellings {
            Some(spellings) if spellings.is_match(text) => {
                let mut kept = String::with_capacity(text.len());
                spellings.replace_all_with(text, &mut kept, |_, found, kept| {
                    kept.push_str(if counts(found) { CUT } else { found });
                    true
                });
                Cow::Owned(kept)
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// Covers every secret in bytes that have a form of their own, whose lengths must not change.
    pub(super) fn cover(&self, bytes: &mut [u8]) {
        let Some(spellings) = &self.spellings else { return };
        let found = spellings.find_iter(&*bytes).map(|found| found.range());
        let found: Vec<_> = found.filter(|range| is_no_chance(&bytes[range.clone()])).collect();
        for range in found {
            bytes[range].fill(b'*');
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

/// Whether bytes that spell a secret are hardly a part of something else.
fn is_no_chance(found: &[u8]) -> bool {
    let min = if found.iter().all(u8::is_ascii_digit) { MIN_READ_DIGITS } else { MIN_READ_BYTES };
    found.len() >= min
}

/// Every spelling of a secret: in an alphabet of its own, and each of those as the texts write it that it
/// may stand in.
fn spell(secret: &str, spellings: &mut BTreeSet<String>) {
    if secret.len() < MIN_BYTES {
        return;
    }
    let hexadecimal = hex::encode(secret);
    let alphabets = [
        secret.to_owned(),
        STANDARD.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        hexadecimal.to_uppercase(),
        hexadecimal,
    ];
    for text in alphabets {
        for set in [NON_ALPHANUMERIC, UNRESERVED] {
            let percent = percent_encode(text.as_bytes(), set).to_string();
            spellings.insert(lower_percent(&percent));
            // Forms write a space as a plus sign.
            spellings.insert(percent.replace("%20", "+"));
            spellings.insert(percent);
        }
        spellings.extend(in_json(&text));
        spellings.extend(in_xml(&text));
        spellings.insert(text);
    }
}

fn lower_percent(percent: &str) -> String {
    let mut left = 0;
    let lower = |character: char| match character {
        '%' => {
            left = 2;
            character
        }
        _ if left > 0 => {
            left -= 1;
            character.to_ascii_lowercase()
        }
        _ => character,
    };
    percent.chars().map(lower).collect()
}

/// As JSON writers put it between quotes: some escape the slash, some everything beyond ASCII, and some
/// what HTML could misread.
fn in_json(text: &str) -> Vec<String> {
    let quoted = serde_json::Value::from(text).to_string();
    let plain = quoted[1..quoted.len() - 1].to_owned();
    let unicode = |character: char, upper: bool| {
        let mut units = [0; 2];
        let units = character.encode_utf16(&mut units).iter();
        let unit =
            |unit: &u16| if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
        units.map(unit).collect::<String>()
    };
    let escaped = |upper: bool, more: &str| {
        let each = |character: char| match character {
            _ if !character.is_ascii() || more.contains(character) => unicode(character, upper),
            _ => character.to_string(),
        };
        plain.chars().map(each).collect::<String>()
    };
    let bases = [
        plain.clone(),
        escaped(false, ""),
        escaped(true, ""),
        escaped(false, "&<>'"),
        escaped(true, "&<>'"),
    ];
    bases.into_iter().flat_map(|base| [base.replace('/', "\\/"), base]).collect()
}

/// As XML and HTML writers put it between tags or in an attribute.
fn in_xml(text: &str) -> Vec<String> {
    let least = text.replace('&', "&amp;").replace('<', "&lt;");
    let more = least.replace('>', "&gt;");
    let quoted = more.replace('"', "&quot;");
    let html = more.replace('"', "&#34;");
    let apostrophes = ["&apos;", "&#39;", "&#x27;", "&#039;"];
    let apostrophes = apostrophes.into_iter().map(|entity| quoted.replace('\'', entity));
    let apostrophes: Vec<_> = apostrophes.collect();
    [least, more, html.replace('\'', "&#39;"), quoted].into_iter().chain(apostrophes).collect()
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, Redactor};

    fn redactor(secret: &str) -> Redactor {
        let values = [("key".to_owned(), secret.to_owned().into())];
        Redactor::new(&BTreeMap::from(values)).unwrap()
    }

    #[test]
    fn every_spelling_of_a_secret_is_cut() {
        let secrets = redactor("ada:p/w&\"é'<+ 9");
        for spelling in [
            "ada:p/w&\"é'<+ 9",
            "p/w&\"é'<+ 9",
            "p\\/w&\\\"é'<+ 9",
            "p/w&\\\"\\u00e9'<+ 9",
            "p/w\\u0026\\\"\\u00E9\\u0027\\u003C+ 9",
            "p/w&amp;&quot;é&apos;&lt;+ 9",
            "p/w&amp;&#34;é&#39;&lt;+ 9",
            "p%2Fw%26%22%C3%A9%27%3C%2B%209",
            "p%2fw%26%22%c3%a9%27%3c%2b%209",
            "p%2Fw%26%22%C3%A9%27%3C%2B+9",
            "702f772622c3a9273c2b2039",
            "702F772622C3A9273C2B2039",
            "YWRhOnAvdyYiw6knPCsgOQ==",
            "YWRhOnAvdyYiw6knPCsgOQ",
            "YWRhOnAvdyYiw6knPCsgOQ%3D%3D",
            "cC93JiLDqSc8KyA5",
        ] {
            let text = format!("before {spelling} after");
            assert_eq!(secrets.cut(&text), "before [secret] after", "{spelling}");
            assert!(secrets.is_in(text.as_bytes()));
            let mut covered = text.clone().into_bytes();
            secrets.cover(&mut covered);
            assert_eq!(covered.len(), text.len());
            assert!(!secrets.is_in(&covered), "{spelling}");
        }
        for other in ["ada", "p/w", "ada:", "[secret]"] {
            assert_eq!(secrets.cut(other), other);
        }
    }

    #[test]
    fn both_alphabets_of_base64_are_cut() {
        let secrets = redactor("\u{7f}\u{7f}\u{7f}>>>???");
        for spelling in ["f39/Pj4+Pz8/", "f39_Pj4-Pz8_", "f39\\/Pj4+Pz8\\/", "f39%2fPj4%2bPz8%2f"] {
            assert_eq!(secrets.cut(spelling), "[secret]", "{spelling}");
        }
    }

    #[test]
    fn short_secret_changes_nothing_that_programs_read() {
        let secrets = redactor("123456");
        let mut body = b"{\"order\": 123456789}".to_vec();
        secrets.cover(&mut body);
        assert_eq!(body, b"{\"order\": 123456789}");
        assert_eq!(secrets.cut_from_identifier("123456789"), "123456789");
        assert_eq!(secrets.cut_from_identifier("123456"), "[secret]");
        assert_eq!(secrets.cut("no access for 123456"), "no access for [secret]");
    }

    #[test]
    fn short_secret_cuts_no_words() {
        let secrets = redactor("the");
        assert_eq!(secrets.cut("the order dGhl"), "the order dGhl");
        assert_eq!(format!("{:?}", redactor("topsecret")), "Redactor { .. }");
    }
}
