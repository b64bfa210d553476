//! What a run came to, for people and for programs. It must not judge.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::check::{Score, Verdict};
use super::nemesis::Toll;

/// Prints the table, what was wrong, and the line for programs.
///
/// # Errors
/// When the line cannot be written as JSON.
pub(crate) fn print(verdict: &Verdict, toll: &Toll, took: Duration) -> Result<()> {
    println!(
        "\n{:<14} {:>7} {:>7} {:>7} {:>6} {:>10} {:>7} {:>15}",
        "provider", "orders", "sales", "double", "lost", "told wrong", "orphan", "needs operator"
    );
    for (name, score) in &verdict.scores {
        row(name, score);
    }
    let total = verdict.total();
    if verdict.scores.len() > 1 {
        row("all", &total);
    }
    let [crashes, databases, cuts] =
        [&toll.crashes, &toll.databases, &toll.cuts].map(|count| count.load(Ordering::SeqCst));
    let seconds = took.as_secs_f64();
    if databases + cuts == 0 {
        println!("{crashes} crashes in {seconds:.0} s\n");
    } else {
        println!(
            "{crashes} crashes of gateways and {databases} of the database, {cuts} cuts of \
             connections to it, in {seconds:.0} s\n"
        );
    }
    let [stops, steps, restarts] =
        [&toll.stops, &toll.steps, &toll.restarts].map(|count| count.load(Ordering::SeqCst));
    println!(
        "{stops} gateways stopped and continued, {steps} steps of a wall clock, {restarts} restarts of \
         the gateway that always restarts"
    );
    for problem in &verdict.problems {
        println!("BROKEN: {problem}");
    }
    println!("{}", line(&total, crashes, took)?);
    Ok(())
}

/// The run as one line of JSON.
fn line(total: &Score, crashes: u64, took: Duration) -> Result<String> {
    let Score { orders, sales, double, lost, told_wrong, orphan, needs_operator } = *total;
    let seconds = took.as_secs();
    let line =
        Line { orders, crashes, sales, double, lost, told_wrong, orphan, needs_operator, seconds };
    Ok(serde_json::to_string(&line)?)
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
    needs_operator: usize,
    seconds: u64,
}

fn row(name: &str, score: &Score) {
    let Score { orders, sales, double, lost, told_wrong, orphan, needs_operator } = score;
    println!(
        "{name:<14} {orders:>7} {sales:>7} {double:>7} {lost:>6} {told_wrong:>10} {orphan:>7} \
         {needs_operator:>15}"
    );
}
