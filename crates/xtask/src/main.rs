//! The project's own commands. It must not do what cargo does already.

#![allow(clippy::print_stdout, reason = "these commands are there to print")]

mod bench;
mod command;
mod control;
mod demo;
mod failures;
mod raw;
mod shipped;
mod steps;
mod test;
mod torture;

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
    /// Buy through crashes and faults, and compare every sale with what callers were told.
    Torture(torture::Options),
    /// Run the benchmarks, or one of them, and print their tables.
    Bench {
        /// The only one to run.
        #[arg(value_enum)]
        only: Option<bench::Bench>,
        /// What that one is told: for growth `sqlite` or `postgres`, and the biggest size.
        #[arg(requires = "only")]
        told: Vec<String>,
    },
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

impl From<Profile> for xtask::artifacts::Profile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Dev => Self::Dev,
            Profile::Release => Self::Release,
        }
    }
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
        Command::Torture(options) => torture::run(&options),
        Command::Bench { only, told } => bench::run(only, &told),
        Command::Plugins { profile } => plugins(profile),
    }
}

fn plugins(profile: Profile) -> Result<()> {
    let artifacts = xtask::artifacts::build(profile.into())?;
    println!("[plugins]\ndirectory = {:?}\n\n[plugins.pins]", artifacts.plugins);
    for (file, sha256) in &artifacts.pins {
        println!("{file:?} = {sha256:?}");
    }
    Ok(())
}
