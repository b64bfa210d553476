//! A plugin's crate may forbid `unsafe` and still export itself: what the macro expands to is this
//! crate's to answer for. That this program compiles is half of the test.

#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a program of tests: a failed unwrap is a failed test"
)]

use std::{env, fs};

use object::{Object as _, ObjectSection as _};
use purveyor_abi::guest::{Call, Host, Plugin};
use purveyor_abi::{Code, ReplyFuture, SECTION, Stamp};

struct Quiet;

impl Plugin for Quiet {
    fn manifest() -> Vec<u8> {
        Vec::new()
    }

    fn open(_: Host, _: &[u8]) -> Result<Self, Vec<u8>> {
        Ok(Self)
    }

    fn start(&self, _: Call<'_>, _: &[u8]) -> Result<ReplyFuture, Code> {
        Err(Code::UNKNOWN_OP)
    }
}

purveyor_abi::export_plugin!(Quiet, "quiet", env!("CARGO_PKG_VERSION"));

#[test]
fn the_stamp_is_in_the_file() {
    let bytes = fs::read(env::current_exe().unwrap()).unwrap();
    let elf = object::File::parse(&*bytes).unwrap();
    let section = elf.section_by_name(SECTION).unwrap();
    let info = Stamp::parse(section.data().unwrap()).unwrap();
    assert_eq!((&*info.name, &*info.version), ("quiet", env!("CARGO_PKG_VERSION")));
}
