//! The program. It must do nothing but hand the command line over.

use std::process::ExitCode;

fn main() -> ExitCode {
    purveyor::cli::run()
}
