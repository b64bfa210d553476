//! What a run of test binaries says about the tests that failed, so that it can be repeated where it is
//! read: at the end. It must not start anything.

use std::fmt::Write as _;

/// How many failed tests are repeated with what they said; of the others there is the name.
const TESTS_MAX: usize = 20;
/// How many lines of one test are repeated: its first ones, and its last ones, where the panic is.
const LINES_FIRST: usize = 8;
const LINES_LAST: usize = 32;
/// A value that is compared may be shown in one line of any length.
const LINE_MAX: usize = 1000;

/// The failed tests so far.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// Each test that said something, with its lines.
    sections: Vec<(String, Vec<String>)>,
    /// Every test that failed.
    names: Vec<String>,
    /// Test binaries that ended by a signal, which does not say which test it was.
    ended: Vec<String>,
    at: At,
}

/// Where the output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Elsewhere,
    /// What a failed test said.
    Section,
    /// A backtrace in it.
    Backtrace,
}

impl Failures {
    /// Takes the next line of the output.
    pub(crate) fn note(&mut self, line: &str) {
        let failed = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"));
        self.names.extend(failed.map(str::to_owned));
        if line.contains("process didn't exit successfully") && line.contains("(signal") {
            self.ended.push(line.trim().to_owned());
        }
        let header = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"));
        if let Some(name) = header {
            self.sections.push((name.to_owned(), Vec::new()));
            self.at = At::Section;
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.at = At::Elsewhere;
        } else if line.trim().eq_ignore_ascii_case("stack backtrace:") && self.at == At::Section {
            self.at = At::Backtrace;
        } else if self.at == At::Backtrace && !line.starts_with(' ') {
            self.at = At::Section;
        }
        let noise = line.starts_with("note: run with `RUST_BACKTRACE") || header.is_some();
        if let (At::Section, false, Some((_, lines))) = (self.at, noise, self.sections.last_mut()) {
            lines.push(line.chars().take(LINE_MAX).collect());
        }
    }

    /// What each of the failed tests said; `None`: nothing is known of any.
    pub(crate) fn told(&self) -> Option<String> {
        let mut text = self.ended.join("\n");
        for (name, lines) in self.sections.iter().take(TESTS_MAX) {
            // Writing to a string cannot fail.
            let _written = write!(text, "\n---- {name}\n{}\n", shortened(lines));
        }
        let shown =
            |name: &&String| self.sections.iter().take(TESTS_MAX).any(|(it, _)| it == *name);
        let more: Vec<&str> =
            self.names.iter().filter(|name| !shown(name)).map(String::as_str).collect();
        if !more.is_empty() {
            let _written = write!(text, "\nfailed as well: {}", more.join(", "));
        }
        let text = text.trim().to_owned();
        (!text.is_empty()).then_some(text)
    }
}

/// The beginning and the end of many lines.
fn shortened(lines: &[String]) -> String {
    let end = lines.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1);
    let begin = lines.iter().position(|line| !line.trim().is_empty()).unwrap_or(end);
    let lines = &lines[begin..end];
    if lines.len() <= LINES_FIRST + LINES_LAST {
        return lines.join("\n");
    }
    let left_out = lines.len() - LINES_FIRST - LINES_LAST;
    let (first, last) = (&lines[..LINES_FIRST], &lines[LINES_FIRST + left_out..]);
    format!("{}\n... {left_out} lines left out\n{}", first.join("\n"), last.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::Failures;

    fn told(output: &str) -> Option<String> {
        let mut failures = Failures::default();
        output.lines().for_each(|line| failures.note(line));
        failures.told()
    }

    #[test]
    fn told_names_each_failed_test_and_its_panic_without_backtraces() {
        let output = "\
running 3 tests
test one::good ... ok
test one::bad ... FAILED
test two::worse ... FAILED

failures:

---- one::bad stdout ----
said before

thread 'one::bad' (7) panicked at src/one.rs:5:9:
assertion `left == right` failed
  left: 1
 right: 2
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/library/std/src/panicking.rs:1:5
note: Some details are omitted
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace

---- two::worse stdout ----

thread 'two::worse' (8) panicked at src/two.rs:6:1:
broken


failures:
    one::bad
    two::worse

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
said by nobody
";
        let expected = "\
---- one::bad
said before

thread 'one::bad' (7) panicked at src/one.rs:5:9:
assertion `left == right` failed
  left: 1
 right: 2
note: Some details are omitted

---- two::worse
thread 'two::worse' (8) panicked at src/two.rs:6:1:
broken";
        assert_eq!(told(output).unwrap(), expected);
    }

    #[test]
    fn told_of_good_tests_is_nothing() {
        assert_eq!(told("test one ... ok\ntest result: ok. 1 passed; 0 failed; 0 ignored"), None);
    }

    #[test]
    fn told_of_a_long_output_has_its_end() {
        let lines: Vec<String> = (0..100).map(|line| format!("line {line}")).collect();
        let output = format!("---- long stdout ----\n{}\npanicked\n", lines.join("\n"));
        let told = told(&output).unwrap();
        assert_eq!(told.lines().count(), 42);
        assert!(told.contains("line 7\n... 61 lines left out\nline 69\n"), "{told}");
        assert!(told.ends_with("line 99\npanicked"), "{told}");
    }

    #[test]
    fn told_of_many_tests_is_their_names() {
        let name = |number| format!("test many::{number:02} ... FAILED\n");
        let section = |number| format!("---- many::{number:02} stdout ----\nbroken {number}\n");
        let output: String = (0..22).map(name).chain((0..22).map(section)).collect();
        let told = told(&output).unwrap();
        assert!(told.ends_with("broken 19\n\nfailed as well: many::20, many::21"), "{told}");
    }

    #[test]
    fn told_of_a_killed_binary_is_its_signal() {
        let line = "  process didn't exit successfully: `suite` (signal: 6, SIGABRT)";
        assert_eq!(told(line).unwrap(), line.trim());
    }
}
