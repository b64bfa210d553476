//! What a run came to, for people and for programs. It must not judge.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::check::{Score, Verdict};

/// Prints the table, what was wrong, and the line for programs.
///
/// # Errors
/// When the line cannot be written as JSON.
pub(crate) fn print(verdict: &Verdict, crashes: u64, took: Duration) -> Result<()> {
    println!(
        "\n{:<14} {:>7} {:>7} {:>7} {:>6} {:>7} {:>15}",
        "provider", "orders", "sales", "double", "lost", "orphan", "needs operator"
    );
    for (name, score) in &verdict.scores {
        row(name, score);
    }
    let total = verdict.total();
    if verdict.scores.len() > 1 {
        row("all", &total);
    }
    println!("{crashes} crashes in {:.0} s\n", took.as_secs_f64());
    for problem in &verdict.problems {
        println!("BROKEN: {problem}");
    }
    println!("{}", line(&total, crashes, took)?);
    Ok(())
}

/// The run as one line of JSON.
fn line(total: &Score, crashes: u64, took: Duration) -> Result<String> {
    let Score { orders, sales, double, lost, orphan, needs_operator } = *total;
    let seconds = took.as_secs();
    let line = Line { orders, crashes, sales, double, lost, orphan, needs_operator, seconds };
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
    orphan: usize,
    needs_operator: usize,
    seconds: u64,
}

fn row(name: &str, score: &Score) {
    let Score { orders, sales, double, lost, orphan, needs_operator } = score;
    println!(
        "{name:<14} {orders:>7} {sales:>7} {double:>7} {lost:>6} {orphan:>7} {needs_operator:>15}"
    );
}
