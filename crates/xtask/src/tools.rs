//! Programs of others that the project's commands use, at pinned versions, installed into the
//! target folder. Nothing outside it is changed, and nothing is fetched twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// Checks the proto files' style and compatibility.
const BUF: &str = "1.75.0";
/// What people and the README's tour call the gateway with.
const GRPCURL: &str = "v1.9.3";

/// buf, from its Python or its Node package, whichever installer there is.
///
/// # Errors
/// When neither pip nor npm is there, or the package cannot be fetched.
pub fn buf() -> Result<PathBuf> {
    let folder = folder(&format!("buf-{BUF}"))?;
    let from_pip = folder.join("bin/buf");
    let from_npm = folder.join("node_modules/.bin/buf");
    if let Some(found) = [&from_pip, &from_npm].into_iter().find(|path| path.exists()) {
        return Ok(found.clone());
    }
    if answers("python3", &["-m", "pip", "--version"]) {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip.args(["--root-user-action=ignore", "--no-deps", "--target"]).arg(&folder);
        install(pip.arg(format!("buf-bin=={BUF}")))?;
        return present(from_pip);
    }
    ensure!(
        answers("npm", &["--version"]),
        "buf needs pip (python3) or npm (node) to be installed"
    );
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
    install(npm.arg(format!("@bufbuild/buf@{BUF}")))?;
    present(from_npm)
}

/// grpcurl, built from the Go module proxy.
///
/// # Errors
/// When there is no Go toolchain, or the module cannot be fetched or built.
pub fn grpcurl() -> Result<PathBuf> {
    let folder = folder(&format!("grpcurl-{GRPCURL}"))?;
    let program = folder.join("grpcurl");
    if program.exists() {
        return Ok(program);
    }
    ensure!(answers("go", &["version"]), "grpcurl needs a Go toolchain (go) to be built");
    let mut go = Command::new("go");
    go.arg("install").env("GOBIN", &folder);
    install(go.arg(format!("github.com/fullstorydev/grpcurl/cmd/grpcurl@{GRPCURL}")))?;
    present(program)
}

/// cargo-deny. Building it takes longer than everything else together, so the one that is installed
/// is used and none is fetched.
///
/// # Errors
/// When it is not installed.
pub fn cargo_deny() -> Result<PathBuf> {
    ensure!(
        answers("cargo-deny", &["--version"]),
        "cargo-deny is not installed; `cargo install --locked cargo-deny`"
    );
    Ok(PathBuf::from("cargo-deny"))
}

fn folder(name: &str) -> Result<PathBuf> {
    let folder = workspace::target()?.join("tools").join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {folder:?}"))?;
    Ok(folder)
}

fn answers(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Runs an installer with what it says shown, because it may take minutes.
fn install(command: &mut Command) -> Result<()> {
    eprintln!("    fetching, once: {command:?}");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

fn present(program: impl AsRef<Path>) -> Result<PathBuf> {
    let program = program.as_ref();
    ensure!(program.exists(), "the installer succeeded and left no {}", program.display());
    Ok(program.to_owned())
}
