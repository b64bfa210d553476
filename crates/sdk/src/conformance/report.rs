//! What came of the cases: every row, the verdict on each case, and the table of providers and cases. It
//! must not print.

use std::fmt::Write as _;

use super::{Failure, Outcome};

/// A case of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Case {
    /// What GetProvider claims is served; what it does not claim is refused, and the upstream is not
    /// asked.
    Claims,
    /// Each claimed method does what it claims.
    HappyPath,
    /// A write sent again, under the same request id, is the same operation and one sale.
    Repeat,
    /// A request id stands for one request.
    ReusedId,
    /// What was bought and given up is bought again, also under the identifier of what is gone, and
    /// also when the answer to it is lost.
    BoughtAgain,
    /// `validate_only` stores and sells nothing.
    Quote,
    /// An update without a mask, in which one leaf is set, changes that leaf and no other.
    OneLeaf,
    /// A wrong field is told by its path, and nothing is stored.
    Violation,
    /// What the upstream rejects fails for the upstream's reason.
    Rejection,
    /// A call was lost before it took effect.
    LostBefore,
    /// A call took effect and its answer was lost.
    LostAfter,
    /// A call took effect and was answered with a word that nobody declares: that is no refusal.
    WordUnknown,
    /// An answer was lost, and what was sold had failed upstream before it was found.
    FoundFailed,
    /// The upstream said its final word of success, and no effect shows: an operator is asked, and the effect
    /// that shows later ends it.
    EffectNever,
    /// The effect shows later than the upstream's final word of success says.
    EffectLags,
    /// One read after acceptance knew nothing of what was sold, and the next one did.
    NotFoundOnce,
    /// An accepted payment was not carried out.
    RefusedAfter,
    /// A call was refused without a declared proof; it took effect, or not.
    Undeclared,
    /// An answer was lost, and the upstream had cut our mark off what was made.
    MarkCut,
    /// An answer was lost, and a person had renamed what was made.
    Renamed,
    /// A call was lost before it took effect, and listings lack what is known to exist.
    ListNotWhole,
    /// An answer was lost, and a person's row is dated ahead of it.
    DatedAhead,
    /// A call was lost before it took effect, and others buy the same all the time.
    Sustained,
    /// A call was lost before it took effect, and the newest thing that was known has ended.
    NewestEnded,
    /// A call was answered as a success, and the plugin failed afterwards.
    PluginError,
    /// A call was answered as a success after another gateway had taken the operation over and not found
    /// what was bought.
    TakenOver,
    /// A call was answered with an object that another operation was answered, and the gateway ended before
    /// that was stored.
    Contested,
    /// Answers come compressed and with a byte order mark.
    Encoded,
    /// The upstream repeats the credential in a refusal, and the caller sees none of it.
    Echo,
    /// The upstream wants fewer calls: a read says so, a write waits and ends.
    RateLimit,
    /// The caller hangs up: a read leaves no connection open, a write goes on.
    HangUp,
    /// The caller's deadline passes: the read leaves no connection open.
    Deadline,
    /// A walk with pages of one row sees what one page shows.
    Paging,
    /// A page token that was not made for this list is refused.
    ForgedToken,
    /// A price with more than nine decimals is shown rounded and told exactly, and nothing else changes.
    PriceBeyond,
    /// A price that is no number hides nothing beside it, and is refused where something depends on it.
    PriceUnread,
    /// A row that cannot be read whole is shown with its gap, hides no other row and stops no purchase.
    BadRow,
}

impl Case {
    /// Every case, in the order of the table.
    pub const ALL: [Self; 37] = [
        Self::Claims,
        Self::HappyPath,
        Self::Repeat,
        Self::ReusedId,
        Self::BoughtAgain,
        Self::Quote,
        Self::OneLeaf,
        Self::Violation,
        Self::Rejection,
        Self::LostBefore,
        Self::LostAfter,
        Self::WordUnknown,
        Self::FoundFailed,
        Self::EffectNever,
        Self::EffectLags,
        Self::NotFoundOnce,
        Self::RefusedAfter,
        Self::Undeclared,
        Self::MarkCut,
        Self::Renamed,
        Self::ListNotWhole,
        Self::DatedAhead,
        Self::Sustained,
        Self::NewestEnded,
        Self::PluginError,
        Self::TakenOver,
        Self::Contested,
        Self::Encoded,
        Self::Echo,
        Self::RateLimit,
        Self::HangUp,
        Self::Deadline,
        Self::Paging,
        Self::ForgedToken,
        Self::PriceBeyond,
        Self::PriceUnread,
        Self::BadRow,
    ];

    /// What the table calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Claims => "claims",
            Self::HappyPath => "happy path",
            Self::Repeat => "repeated",
            Self::ReusedId => "id reused",
            Self::BoughtAgain => "bought again",
            Self::Quote => "validate_only",
            Self::OneLeaf => "one leaf set, no mask",
            Self::Violation => "wrong field",
            Self::Rejection => "rejected upstream",
            Self::LostBefore => "lost before effect",
            Self::LostAfter => "lost after effect",
            Self::WordUnknown => "word unknown",
            Self::FoundFailed => "found in state failed",
            Self::EffectNever => "done without effect",
            Self::EffectLags => "effect lags",
            Self::NotFoundOnce => "one 404, then the id again",
            Self::RefusedAfter => "refused after 200",
            Self::Undeclared => "undeclared 400 is sent once",
            Self::MarkCut => "mark cut",
            Self::Renamed => "label renamed",
            Self::ListNotWhole => "list not whole",
            Self::DatedAhead => "row dated ahead",
            Self::Sustained => "sustained sales with one lost answer",
            Self::NewestEnded => "newest object terminated",
            Self::PluginError => "plugin errs",
            Self::TakenOver => "answered after take-over",
            Self::Contested => "contested before a crash",
            Self::Encoded => "compressed, with a mark",
            Self::Echo => "credential echoed",
            Self::RateLimit => "rate limit",
            Self::HangUp => "caller hangs up",
            Self::Deadline => "deadline passes",
            Self::Paging => "paging",
            Self::ForgedToken => "forged page token",
            Self::PriceBeyond => "price beyond nine decimals",
            Self::PriceUnread => "price that is no number",
            Self::BadRow => "one bad row",
        }
    }
}

/// One case of one method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The case.
    pub case: Case,
    /// The method, `Orders.CreateOrder`.
    pub method: &'static str,
    /// Passed, or why not.
    pub outcome: Outcome<()>,
}

/// What a case came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every row passed; so many there were.
    Passed(usize),
    /// So many rows failed.
    Failed(usize),
    /// No claim leads to this case, or the upstream has no such way to go wrong.
    NotClaimed,
}

/// A case that an upstream does not have in a method.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Omission {
    /// The case.
    pub case: Case,
    /// The method, `Orders.CreateOrder`.
    pub method: &'static str,
    /// Why there is no such case.
    pub why: &'static str,
}

/// What came of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The plugin's name; empty where the gateway did not tell.
    pub plugin: String,
    /// Every case of every method.
    pub rows: Vec<Row>,
    /// What has no row, and why.
    pub omitted: Vec<Omission>,
}

impl Report {
    /// The rows that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.outcome.is_err())
    }

    /// Whether nothing failed. Nothing at all is no success.
    pub fn passed(&self) -> bool {
        !self.rows.is_empty() && self.failures().next().is_none()
    }

    /// What a case came to.
    pub fn verdict(&self, case: Case) -> Verdict {
        let rows = || self.rows.iter().filter(|row| row.case == case);
        match (rows().count(), rows().filter(|row| row.outcome.is_err()).count()) {
            (0, _) => Verdict::NotClaimed,
            (all, 0) => Verdict::Passed(all),
            (_, failed) => Verdict::Failed(failed),
        }
    }
}

/// A line for each case, a column for each report: `✓` and for how many methods, `✗` and how many
/// failed, `–` for what is not claimed.
pub fn table(reports: &[Report]) -> String {
    let width = Case::ALL.map(|case| case.title().len()).into_iter().max().unwrap_or(0);
    let column = |report: &Report| report.plugin.chars().count().max(5);
    let mut table = format!("{:width$}", "");
    for report in reports {
        let _ = write!(table, "  {:column$}", report.plugin, column = column(report));
    }
    for case in Case::ALL {
        let _ = write!(table, "\n{:width$}", case.title());
        for report in reports {
            let cell = match report.verdict(case) {
                Verdict::Passed(rows) => format!("✓ {rows}"),
                Verdict::Failed(rows) => format!("✗ {rows}"),
                Verdict::NotClaimed => "–".to_owned(),
            };
            let _ = write!(table, "  {cell:column$}", column = column(report));
        }
    }
    table
}

/// The rows so far, and what has none.
#[derive(Debug, Default)]
pub(super) struct Score(Vec<Row>, Vec<Omission>);

impl Score {
    pub(super) fn note(&mut self, case: Case, method: &'static str, outcome: Outcome<()>) {
        self.0.push(Row { case, method, outcome });
    }

    /// Notes what there is to note.
    pub(super) fn note_some(
        &mut self,
        case: Case,
        method: &'static str,
        outcome: Option<Result<(), Failure>>,
    ) {
        if let Some(outcome) = outcome {
            self.note(case, method, outcome);
        }
    }

    pub(super) fn omit(&mut self, case: Case, method: &'static str, why: &'static str) {
        self.1.push(Omission { case, method, why });
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0.extend(other.0);
        self.1.extend(other.1);
    }

    /// The rows in the order of the cases.
    pub(super) fn report(mut self, plugin: String) -> Report {
        self.0.sort_by_key(|row| (row.case, row.method));
        self.1.sort_unstable();
        self.1.dedup();
        Report { plugin, rows: self.0, omitted: self.1 }
    }
}

#[cfg(test)]
mod tests {
    use super::{Case, Failure, Report, Score, Verdict, table};

    fn report() -> Report {
        let mut score = Score::default();
        score.note(Case::Repeat, "Orders.PayOrder", Err(Failure::new("sold twice")));
        score.note(Case::Repeat, "Orders.CreateOrder", Ok(()));
        score.note(Case::Claims, "Orders.CreateOrder", Ok(()));
        score.note_some(Case::Paging, "Orders.ListOrders", None);
        for _ in 0..2 {
            score.omit(Case::MarkCut, "Orders.CreateOrder", "nothing bears a mark");
        }
        score.report("acme".to_owned())
    }

    #[test]
    fn a_case_fails_with_any_of_its_rows() {
        let report = report();
        assert_eq!(report.verdict(Case::Claims), Verdict::Passed(1));
        assert_eq!(report.verdict(Case::Repeat), Verdict::Failed(1));
        assert_eq!(report.verdict(Case::Paging), Verdict::NotClaimed);
        assert_eq!(report.verdict(Case::MarkCut), Verdict::NotClaimed);
        assert_eq!(report.omitted.len(), 1, "an omission is told once");
        assert!(!report.passed());
        assert_eq!(
            report.failures().map(|row| row.method).collect::<Vec<_>>(),
            ["Orders.PayOrder"]
        );
        assert!(!Report { rows: Vec::new(), ..report }.passed(), "nothing was shown");
    }

    #[test]
    fn the_table_has_a_line_for_each_case() {
        let text = table(&[report()]);
        let line = |case: Case| {
            let line = text.lines().find(|line| line.starts_with(case.title()));
            line.unwrap_or_default().trim_end().to_owned()
        };
        assert!(line(Case::Claims).ends_with("✓ 1"), "{text}");
        assert!(line(Case::Repeat).ends_with("✗ 1"), "{text}");
        assert!(line(Case::Paging).ends_with('–'), "{text}");
        assert_eq!(text.lines().count(), Case::ALL.len() + 1);
    }
}
