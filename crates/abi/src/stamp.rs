//! The stamp: what a loader reads from a plugin's file before it lets any of its code run. Reading
//! is safe code over bytes nobody vouches for; it must not trust a length or a text in them.

use std::error::Error;
use std::fmt;
use std::mem::{offset_of, size_of};

use crate::raw::{MAJOR, MINOR, STAMP_MAGIC};

/// The ELF section that holds the stamp.
pub const SECTION: &str = ".purveyor_abi";
/// The target triple this crate was built for.
pub const TARGET: &str = env!("PURVEYOR_ABI_TARGET");
/// The version of the compiler this crate was built with.
pub const RUSTC: &str = env!("PURVEYOR_ABI_RUSTC");
/// FNV-1a of the dump of all layouts. For the log: two sides that differ may still be compatible.
pub const LAYOUT_HASH: u64 = fnv1a(include_bytes!("../tests/data/layout.txt"));

const PANIC_UNWIND: u32 = 1;
const PANIC_ABORT: u32 = 2;
/// The lowest minor version of the host that a plugin built with this crate can work with.
const MIN_HOST_MINOR: u16 = 0;

/// The section's content. Texts are UTF-8, padded with zeros, and end before their last byte.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// [`STAMP_MAGIC`].
    pub magic: u64,
    /// Bytes of the stamp in the version its maker knows.
    pub size: u32,
    /// Major version of the ABI.
    pub major: u16,
    /// Minor version of the ABI.
    pub minor: u16,
    /// The lowest minor version of a host that will do.
    pub min_host_minor: u16,
    /// Bits of a pointer.
    pub pointer_width: u16,
    /// 1 when a panic unwinds, 2 when it aborts; code that cannot panic says 1.
    pub panic: u32,
    /// Target triple.
    pub target: [u8; 64],
    /// The plugin's name.
    pub name: [u8; 64],
    /// The plugin's version.
    pub version: [u8; 32],
    /// The compiler; logged, never compared.
    pub rustc: [u8; 64],
    /// [`LAYOUT_HASH`]; logged, never compared.
    pub layout_hash: u64,
}

const _: () = {
    assert!(size_of::<Stamp>() == 256);
    assert!(offset_of!(Stamp, panic) == 20);
    assert!(offset_of!(Stamp, target) == 24);
    assert!(offset_of!(Stamp, name) == 88);
    assert!(offset_of!(Stamp, version) == 152);
    assert!(offset_of!(Stamp, rustc) == 184);
    assert!(offset_of!(Stamp, layout_hash) == 248);
};

/// What a stamp says. Parsed, which is not yet to say that this host can load the plugin:
/// [`StampInfo::check_host`] says that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StampInfo {
    /// Minor version of the ABI; the major one is [`MAJOR`].
    pub minor: u16,
    /// The lowest minor version of a host that will do.
    pub min_host_minor: u16,
    /// Bits of a pointer.
    pub pointer_width: u16,
    /// Whether a panic in the plugin unwinds, so that it can be caught.
    pub unwinds: bool,
    /// Target triple.
    pub target: String,
    /// The plugin's name; never empty.
    pub name: String,
    /// The plugin's version; never empty.
    pub version: String,
    /// The compiler.
    pub rustc: String,
    /// Hash of the layouts the plugin was built with.
    pub layout_hash: u64,
}

/// Why a stamp is no stamp, or not one for this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StampError {
    /// The section ends before the stamp of version 1.
    Short {
        /// Bytes found.
        found: usize,
    },
    /// The first word is not that of a stamp.
    WrongMagic {
        /// What was found.
        found: u64,
    },
    /// The stamp says a size that is below version 1 or beyond the section.
    WrongSize {
        /// What the stamp says, in bytes.
        size: u32,
        /// Bytes of the section.
        section: usize,
    },
    /// The plugin speaks another major version.
    WrongMajor {
        /// What was found.
        found: u16,
    },
    /// The panic strategy is none that is known.
    UnknownPanic {
        /// What was found.
        found: u32,
    },
    /// A text does not end inside its field.
    Unterminated {
        /// The name of the field.
        field: &'static str,
    },
    /// Something follows the end of a text.
    DirtyPadding {
        /// The name of the field.
        field: &'static str,
    },
    /// A text has a character that is no printable ASCII, which could deceive in a log.
    BadText {
        /// The name of the field.
        field: &'static str,
    },
    /// A text that must say something is empty.
    Empty {
        /// The name of the field.
        field: &'static str,
    },
    /// The plugin was built for pointers of another width.
    WrongPointerWidth {
        /// What was found, in bits.
        found: u16,
    },
    /// The plugin was built for another target.
    WrongTarget {
        /// What was found.
        found: String,
    },
    /// The plugin would take the host down when it panics.
    PanicAborts,
    /// The plugin needs a newer host.
    HostTooOld {
        /// The minor version it needs.
        needs: u16,
    },
}

impl Stamp {
    /// The stamp of a plugin built with this crate.
    ///
    /// # Panics
    ///
    /// At compile time, where it is meant to be used: when a text is empty or too long.
    pub const fn new(name: &str, version: &str) -> Self {
        Self {
            magic: STAMP_MAGIC,
            size: size_of::<Self>() as u32,
            major: MAJOR,
            minor: MINOR,
            min_host_minor: MIN_HOST_MINOR,
            pointer_width: usize::BITS as u16,
            panic: if cfg!(panic = "unwind") { PANIC_UNWIND } else { PANIC_ABORT },
            target: padded(TARGET),
            name: padded(name),
            version: padded(version),
            rustc: padded(RUSTC),
            layout_hash: LAYOUT_HASH,
        }
    }

    /// Reads the content of the section [`SECTION`]. A longer stamp of a newer minor version is
    /// read as far as it is known here.
    ///
    /// # Errors
    ///
    /// The first defect, in the order of [`StampError`] as far as `UnknownPanic`, then in the
    /// order of the fields.
    pub fn parse(section: &[u8]) -> Result<StampInfo, StampError> {
        let short = StampError::Short { found: section.len() };
        let Some(bytes) = section.first_chunk::<{ size_of::<Self>() }>() else {
            return Err(short);
        };
        let magic = u64::from_ne_bytes(part(bytes, offset_of!(Self, magic)));
        if magic != STAMP_MAGIC {
            return Err(StampError::WrongMagic { found: magic });
        }
        let size = u32::from_ne_bytes(part(bytes, offset_of!(Self, size)));
        if (size as usize) < size_of::<Self>() || size as usize > section.len() {
            return Err(StampError::WrongSize { size, section: section.len() });
        }
        let short_at = |offset| u16::from_ne_bytes(part(bytes, offset));
        let major = short_at(offset_of!(Self, major));
        if major != MAJOR {
            return Err(StampError::WrongMajor { found: major });
        }
        let unwinds = match u32::from_ne_bytes(part(bytes, offset_of!(Self, panic))) {
            PANIC_UNWIND => true,
            PANIC_ABORT => false,
            found => return Err(StampError::UnknownPanic { found }),
        };
        Ok(StampInfo {
            minor: short_at(offset_of!(Self, minor)),
            min_host_minor: short_at(offset_of!(Self, min_host_minor)),
            pointer_width: short_at(offset_of!(Self, pointer_width)),
            unwinds,
            target: text("target", &part::<64>(bytes, offset_of!(Self, target)))?,
            name: text("name", &part::<64>(bytes, offset_of!(Self, name)))?,
            version: text("version", &part::<32>(bytes, offset_of!(Self, version)))?,
            rustc: text("rustc", &part::<64>(bytes, offset_of!(Self, rustc)))?,
            layout_hash: u64::from_ne_bytes(part(bytes, offset_of!(Self, layout_hash))),
        })
    }
}

impl StampInfo {
    /// Says whether this host may load the plugin. The versions of the compiler and the hash of the
    /// layouts are not looked at.
    ///
    /// # Errors
    ///
    /// The first of: pointer width, target, panic strategy, needed minor version.
    pub fn check_host(&self) -> Result<(), StampError> {
        if u32::from(self.pointer_width) != usize::BITS {
            return Err(StampError::WrongPointerWidth { found: self.pointer_width });
        }
        if self.target != TARGET {
            return Err(StampError::WrongTarget { found: self.target.clone() });
        }
        if !self.unwinds {
            return Err(StampError::PanicAborts);
        }
        if self.min_host_minor > MINOR {
            return Err(StampError::HostTooOld { needs: self.min_host_minor });
        }
        Ok(())
    }
}

/// Reads one word of the stamp so that no linker may drop it: the entry function calls this, and
/// the entry function is exported.
#[doc(hidden)]
pub fn keep(stamp: &'static Stamp) {
    // SAFETY: a reference is valid for reads.
    let magic = unsafe { std::ptr::read_volatile(&raw const stamp.magic) };
    debug_assert_eq!(magic, STAMP_MAGIC);
}

/// `N` bytes at a constant offset inside the stamp.
fn part<const N: usize>(stamp: &[u8; size_of::<Stamp>()], offset: usize) -> [u8; N] {
    std::array::from_fn(|i| stamp[offset + i])
}

fn text(field: &'static str, bytes: &[u8]) -> Result<String, StampError> {
    let end = bytes.iter().position(|&b| b == 0).ok_or(StampError::Unterminated { field })?;
    let (text, padding) = bytes.split_at(end);
    if padding.iter().any(|&b| b != 0) {
        return Err(StampError::DirtyPadding { field });
    }
    if text.is_empty() {
        return Err(StampError::Empty { field });
    }
    if !text.iter().all(|b| (b' '..=b'~').contains(b)) {
        return Err(StampError::BadText { field });
    }
    Ok(text.iter().map(|&b| char::from(b)).collect())
}

const fn padded<const N: usize>(text: &str) -> [u8; N] {
    let text = text.as_bytes();
    assert!(!text.is_empty(), "a text of the stamp is empty");
    assert!(text.len() < N, "a text of the stamp is too long");
    let mut bytes = [0; N];
    let mut i = 0;
    while i < text.len() {
        assert!(matches!(text[i], b' '..=b'~'), "a text of the stamp is not printable ASCII");
        bytes[i] = text[i];
        i += 1;
    }
    bytes
}

const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

impl fmt::Display for StampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { found } => {
                write!(f, "the stamp has {found} bytes and needs {}", size_of::<Stamp>())
            }
            Self::WrongMagic { found } => write!(f, "the stamp begins with {found:#018x}"),
            Self::WrongSize { size, section } => {
                write!(f, "the stamp says {size} bytes in a section of {section}")
            }
            Self::WrongMajor { found } => {
                write!(f, "the plugin speaks major version {found}, not {MAJOR}")
            }
            Self::UnknownPanic { found } => write!(f, "panic strategy {found} is not known"),
            Self::Unterminated { field } => write!(f, "the {field} does not end in its field"),
            Self::DirtyPadding { field } => write!(f, "something follows the end of the {field}"),
            Self::BadText { field } => write!(f, "the {field} is not printable ascii"),
            Self::Empty { field } => write!(f, "the {field} is empty"),
            Self::WrongPointerWidth { found } => {
                write!(f, "the plugin has pointers of {found} bits, not {}", usize::BITS)
            }
            Self::WrongTarget { found } => {
                write!(f, "the plugin was built for {found}, not {TARGET}")
            }
            Self::PanicAborts => {
                f.write_str("the plugin was built with panic=abort and would end the host")
            }
            Self::HostTooOld { needs } => {
                write!(f, "the plugin needs minor version {needs} and the host has {MINOR}")
            }
        }
    }
}

impl Error for StampError {}
