//! Hostile stamps: every defect has its own error, and no bytes make the parser panic.

use purveyor_abi::{RUSTC, Stamp, StampError, TARGET};

/// Offsets of the fields, written out: the test must not take them from the code it tests.
mod at {
    pub(super) const MAGIC: usize = 0;
    pub(super) const SIZE: usize = 8;
    pub(super) const MAJOR: usize = 12;
    pub(super) const MINOR: usize = 14;
    pub(super) const MIN_HOST_MINOR: usize = 16;
    pub(super) const POINTER_WIDTH: usize = 18;
    pub(super) const PANIC: usize = 20;
    pub(super) const TARGET: usize = 24;
    pub(super) const NAME: usize = 88;
    pub(super) const VERSION: usize = 152;
    pub(super) const RUSTC: usize = 184;
    pub(super) const LAYOUT_HASH: usize = 248;
    pub(super) const END: usize = 256;
}

fn good() -> Vec<u8> {
    let stamp = Stamp::new("acme", "1.2.3");
    // SAFETY: the stamp is 256 bytes of plain data without padding.
    unsafe { std::mem::transmute::<Stamp, [u8; at::END]>(stamp) }.to_vec()
}

fn with(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut stamp = good();
    stamp[offset..offset + bytes.len()].copy_from_slice(bytes);
    stamp
}

#[test]
fn a_good_stamp_is_read() {
    let info = Stamp::parse(&good()).unwrap();
    assert_eq!((&*info.name, &*info.version), ("acme", "1.2.3"));
    assert_eq!((&*info.target, &*info.rustc), (TARGET, RUSTC));
    assert_eq!((info.minor, info.min_host_minor, info.unwinds), (0, 0, true));
    assert_eq!(info.check_host(), Ok(()));
}

#[test]
fn a_newer_stamp_may_be_longer() {
    let mut stamp = with(at::SIZE, &(at::END as u32 + 64).to_ne_bytes());
    stamp.extend([0xff; 64]);
    stamp[at::MINOR] = 1;
    let info = Stamp::parse(&stamp).unwrap();
    assert_eq!(info.minor, 1);
    assert_eq!(info.check_host(), Ok(()));
    // A linker may pad the section.
    let mut padded = good();
    padded.extend([0; 8]);
    assert!(Stamp::parse(&padded).is_ok());
}

#[test]
fn every_defect_has_its_error() {
    fn check(stamp: &[u8], expected: StampError) {
        assert_eq!(Stamp::parse(stamp), Err(expected));
    }
    check(b"", StampError::Short { found: 0 });
    check(&good()[..at::END - 1], StampError::Short { found: at::END - 1 });
    check(&[0; at::END], StampError::WrongMagic { found: 0 });
    let mut swapped = good();
    swapped[..8].reverse();
    let found = u64::from_ne_bytes(*b"PMTSYVRP");
    check(&swapped, StampError::WrongMagic { found });
    check(
        &with(at::MAGIC, b"PRVYPLUG"),
        StampError::WrongMagic { found: u64::from_ne_bytes(*b"PRVYPLUG") },
    );
    let size = |size: u32| StampError::WrongSize { size, section: at::END };
    check(&with(at::SIZE, &[0; 4]), size(0));
    check(&with(at::SIZE, &255_u32.to_ne_bytes()), size(255));
    check(&with(at::SIZE, &257_u32.to_ne_bytes()), size(257));
    check(&with(at::SIZE, &[0xff; 4]), size(u32::MAX));
    check(&with(at::MAJOR, &2_u16.to_ne_bytes()), StampError::WrongMajor { found: 2 });
    check(&with(at::PANIC, &[0; 4]), StampError::UnknownPanic { found: 0 });
    check(&with(at::PANIC, &3_u32.to_ne_bytes()), StampError::UnknownPanic { found: 3 });
    check(&with(at::TARGET, &[b'x'; 64]), StampError::Unterminated { field: "target" });
    check(&with(at::NAME, &[b'x'; 64]), StampError::Unterminated { field: "name" });
    check(&with(at::VERSION, &[b'x'; 32]), StampError::Unterminated { field: "version" });
    check(&with(at::RUSTC, &[b'x'; 64]), StampError::Unterminated { field: "rustc" });
    check(&with(at::NAME + 63, b"x"), StampError::DirtyPadding { field: "name" });
    check(&with(at::LAYOUT_HASH - 1, b"x"), StampError::DirtyPadding { field: "rustc" });
    check(&with(at::NAME, &[0; 64]), StampError::Empty { field: "name" });
    check(&with(at::VERSION, &[0; 32]), StampError::Empty { field: "version" });
    check(&with(at::NAME, b"\x1b[2J"), StampError::BadText { field: "name" });
    check(&with(at::NAME, "é".as_bytes()), StampError::BadText { field: "name" });
    check(&with(at::NAME, b"a\nb"), StampError::BadText { field: "name" });
}

#[test]
fn a_stamp_for_another_host_is_told_apart() {
    fn check(stamp: &[u8], expected: StampError) {
        assert_eq!(Stamp::parse(stamp).unwrap().check_host(), Err(expected));
    }
    let width = StampError::WrongPointerWidth { found: 32 };
    check(&with(at::POINTER_WIDTH, &32_u16.to_ne_bytes()), width);
    let target = StampError::WrongTarget { found: format!("X{}", &TARGET[1..]) };
    check(&with(at::TARGET, b"X"), target);
    check(&with(at::PANIC, &2_u32.to_ne_bytes()), StampError::PanicAborts);
    check(&with(at::MIN_HOST_MINOR, &1_u16.to_ne_bytes()), StampError::HostTooOld { needs: 1 });
}

#[test]
fn what_is_only_logged_is_not_compared() {
    let mut stamp = with(at::LAYOUT_HASH, &[0xff; 8]);
    stamp[at::RUSTC..at::RUSTC + 5].copy_from_slice(b"RUSTC");
    assert_eq!(Stamp::parse(&stamp).unwrap().check_host(), Ok(()));
}

#[test]
fn no_byte_makes_the_parser_panic() {
    for offset in 0..at::END {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            if let Ok(info) = Stamp::parse(&with(offset, &[byte])) {
                // Either answer will do here; what is tested is that there is one.
                let _: Result<(), StampError> = info.check_host();
            }
        }
    }
    for length in 0..at::END {
        let expected = StampError::Short { found: length };
        assert_eq!(Stamp::parse(&good()[..length]), Err(expected));
    }
}
