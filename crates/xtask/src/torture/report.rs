//! What a run came to, for people and for programs. It must not judge.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::check::{Score, Verdict};
use super::nemesis::Toll;
use super::operator::Words;
use super::person::{Deed, Deeds};

/// Prints the table, what was wrong, and the line for programs, all at once: another run may print too.
///
/// # Errors
/// When the line cannot be written as JSON.
pub(crate) fn print(
    what: &str,
    verdict: &Verdict,
    happened: (&Toll, &Deeds, &Words),
    took: Duration,
) -> Result<()> {
    println!("\n{}", text(what, verdict, happened, took)?);
    Ok(())
}

fn text(
    what: &str,
    verdict: &Verdict,
    (toll, deeds, words): (&Toll, &Deeds, &Words),
    took: Duration,
) -> Result<String> {
    let total = verdict.total();
    let mut lines = vec![
        what.to_owned(),
        format!(
            "{:<14} {:>7} {:>7} {:>7} {:>6} {:>10} {:>7} {:>11} {:>15} {:>6}",
            "provider",
            "orders",
            "sales",
            "double",
            "lost",
            "told wrong",
            "orphan",
            "wrong words",
            "needs operator",
            "rate"
        ),
    ];
    lines.extend(verdict.scores.iter().map(|(name, score)| row(name, score)));
    if verdict.scores.len() > 1 {
        lines.push(row("all", &total));
    }
    let count = |count: &AtomicU64| count.load(Ordering::SeqCst);
    let [crashes, databases, cuts] = [&toll.crashes, &toll.databases, &toll.cuts].map(count);
    let [stops, steps, restarts] = [&toll.stops, &toll.steps, &toll.restarts].map(count);
    let came_back = total.came_back;
    let seconds = took.as_secs_f64();
    lines.push(format!(
        "{crashes} crashes of gateways, {stops} stopped and continued, {steps} steps of a wall clock, \
         {restarts} restarts of the one that always restarts, {came_back} ids that came back, in \
         {seconds:.0} s"
    ));
    if databases + cuts > 0 {
        lines
            .push(format!("{databases} crashes of the database, {cuts} cuts of connections to it"));
    }
    let [restores, lacking, hangs] = [&toll.restores, &toll.lacking, &toll.hangs].map(count);
    if restores + lacking + hangs > 0 {
        lines.push(format!(
            "{restores} restored backups, {lacking} lives without one of the providers, {hangs} times that \
             a provider hung"
        ));
    }
    let deeds = Deed::ALL.map(|deed| (deeds.count(deed), deed.word()));
    let deeds = deeds.iter().filter(|(count, _)| *count > 0);
    let deeds: Vec<String> = deeds.map(|(count, word)| format!("{count} {word}")).collect();
    lines.extend((!deeds.is_empty()).then(|| deeds.join(", ")));
    let Words { early, late, .. } = words;
    let sold = total.of_wrong_words;
    lines.push(format!(
        "{early} early words of operators, {late} late ones, {sold} sales more by wrong ones"
    ));
    lines.extend(verdict.problems.iter().map(|problem| format!("BROKEN: {problem}")));
    lines.push(line(verdict, crashes, took)?);
    Ok(lines.join("\n"))
}

/// The run as one line of JSON.
fn line(verdict: &Verdict, crashes: u64, took: Duration) -> Result<String> {
    let total = verdict.total();
    let rate = |score: &Score| (score.needs_operator_rate() * 10_000.0).round() / 10_000.0;
    let rates = verdict.scores.iter().map(|(name, score)| (*name, rate(score)));
    Ok(serde_json::to_string(&Line {
        orders: total.orders,
        crashes,
        sales: total.sales,
        double: total.double,
        lost: total.lost,
        told_wrong: total.told_wrong,
        orphan: total.orphan,
        wrong_words: total.wrong_words,
        needs_operator: total.needs_operator,
        needs_operator_rate: rates.chain([("all", rate(&total))]).collect(),
        seconds: took.as_secs(),
    })?)
}

/// The members in the order in which they are told.
#[derive(Serialize)]
struct Line {
    orders: usize,
    crashes: u64,
    sales: usize,
    double: usize,
    lost: usize,
    told_wrong: usize,
    orphan: usize,
    wrong_words: usize,
    needs_operator: usize,
    /// Of one, by provider.
    needs_operator_rate: BTreeMap<&'static str, f64>,
    seconds: u64,
}

fn row(name: &str, score: &Score) -> String {
    let Score { orders, sales, double, lost, told_wrong, orphan, wrong_words, .. } = score;
    let needs_operator = score.needs_operator;
    let rate = score.needs_operator_rate() * 100.0;
    format!(
        "{name:<14} {orders:>7} {sales:>7} {double:>7} {lost:>6} {told_wrong:>10} {orphan:>7} \
         {wrong_words:>11} {needs_operator:>15} {rate:>5.1}%"
    )
}
