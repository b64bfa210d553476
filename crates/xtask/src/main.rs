//! The project's own commands. It must not do what cargo does already.

#![allow(clippy::print_stdout, reason = "these commands are there to print")]

mod bench;
mod demo;
mod shipped;
mod steps;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Walk through real jobs: simulated upstreams, the gateway, real plugins.
    Demo(demo::Options),
    /// Run every check and every test, setting up what they need.
    Test,
    /// Run the benchmarks and print their table.
    Bench,
    /// Build the plugins and put them where they are loaded.
    Plugins {
        /// How they are built.
        #[arg(long, value_enum, default_value = "dev")]
        profile: Profile,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Profile {
    Dev,
    Release,
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Demo(options) => demo::run(&options),
        Command::Test => test::run(),
        Command::Bench => bench::run(),
        Command::Plugins { profile } => plugins(profile),
    }
}

fn plugins(profile: Profile) -> Result<()> {
    let artifacts = xtask::artifacts::build(match profile {
        Profile::Dev => xtask::artifacts::Profile::Dev,
        Profile::Release => xtask::artifacts::Profile::Release,
    })?;
    println!("[plugins]\ndirectory = {:?}\n\n[plugins.pins]", artifacts.plugins);
    for (file, sha256) in &artifacts.pins {
        println!("{file:?} = {sha256:?}");
    }
    Ok(())
}
