//! The command line: what can be asked of the program, and what its exit codes mean. It must not
//! do any of it.

mod backup;
mod check;
mod columns;
mod failure;
mod inspect;
mod operations;
mod serve;
mod store;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::failure::Failure;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it failed; the message says why
  2  the command line is wrong
  3  the configuration has mistakes; each is told with file, line and key
  4  the gateway cannot be reached
  5  the gateway refused";

/// One gRPC API to buy, manage and renew hosting products at any provider.
#[derive(Debug, Parser)]
#[command(name = "purveyor", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT. Prints one line when calls are accepted.
    Serve(Configured),
    /// Check a configuration, plugins and their settings included, and start nothing.
    Check(Configured),
    /// Look at plugins.
    #[command(subcommand)]
    Plugin(Plugin),
    /// Copy the store, also while the gateway runs. The copy is checked.
    Backup(backup::Backup),
    /// Put a copy that `purveyor backup` made where no store is. The gateway has to be stopped.
    Restore(backup::Restore),
    /// Look after the store.
    #[command(subcommand)]
    Store(Store),
    /// Follow and resolve operations of a running gateway.
    Operations(operations::Arguments),
}

#[derive(Debug, clap::Args)]
struct Configured {
    /// The configuration, a TOML file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Plugin {
    /// Show what a plugin declares, and the SHA-256 to pin. Runs the plugin's code.
    Inspect(inspect::Arguments),
}

#[derive(Debug, Subcommand)]
enum Store {
    /// Decide about a store that may lack what it acknowledged: after a restored backup, a failover, a moved
    /// file. Without a decision it lists what may be missing.
    Confirm(store::Confirm),
    /// Look through the whole store for damage, which takes as long as it is big. The gateway has to be
    /// stopped; it looks by itself at every start, while it serves.
    Check(Configured),
}

/// Does what the process's command line asks.
pub fn run() -> ExitCode {
    let mut out = std::io::stdout().lock();
    match Arguments::parse().command.run(&mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // There is nowhere left to say that standard error cannot be written.
            let _ = writeln!(std::io::stderr(), "{failure}");
            failure.exit_code()
        }
    }
}

impl Command {
    fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Serve(Configured { config }) => serve::run(&config),
            Self::Check(Configured { config }) => check::run(&config, out),
            Self::Backup(arguments) => backup::back_up(&arguments, out),
            Self::Restore(arguments) => backup::restore(&arguments, out),
            Self::Store(Store::Confirm(arguments)) => store::confirm(arguments, out),
            Self::Store(Store::Check(Configured { config })) => store::check(&config, out),
            Self::Plugin(Plugin::Inspect(arguments)) => inspect::run(&arguments, out),
            Self::Operations(arguments) => operations::run(arguments, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }
}
