//! Hands the target triple and the compiler's version to `stamp.rs`, which writes them into every
//! plugin. It must not look at anything else of the machine: a stamp is the same on every builder.

use std::env;
use std::error::Error;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let target = env::var("TARGET")?;
    let rustc = env::var_os("RUSTC").ok_or("cargo did not name the compiler")?;
    let answer = Command::new(rustc).arg("--version").output()?;
    if !answer.status.success() {
        return Err("the compiler did not tell its version".into());
    }
    // The stamp has 63 bytes for it, and what a distribution appends is not worth a failed build.
    let version: String = String::from_utf8(answer.stdout)?.trim().chars().take(63).collect();
    println!("cargo::rustc-env=PURVEYOR_ABI_TARGET={target}");
    println!("cargo::rustc-env=PURVEYOR_ABI_RUSTC={version}");
    Ok(())
}
