//! Reads a library as the dynamic linker would, before the linker does. What decides what gets
//! loaded is read from the program headers, because the linker never looks at the sections.

use object::Endianness;
use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader, Sym};
use purveyor_abi::raw::ENTRY_SYMBOL;
use purveyor_abi::{SECTION, Stamp, StampError, StampInfo};
use thiserror::Error;

type Header = elf::FileHeader64<Endianness>;
type Segment = elf::ProgramHeader64<Endianness>;

#[cfg(target_arch = "x86_64")]
const MACHINE: elf::Machine = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: elf::Machine = elf::EM_AARCH64;

/// What a plugin may be linked with: the C library and the compiler's, whose code is in the host
/// already. Anything else would be loaded beside all checks.
const ALLOWED_LIBRARIES: &[&str] = &[
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
];

/// Symbols that linkers add by themselves.
const LINKER_SYMBOLS: &[&[u8]] = &[b"_init", b"_fini", b"_edata", b"_end", b"__bss_start"];

/// Why a library is not loaded.
#[derive(Debug, Error)]
pub enum ElfError {
    /// It is damaged, or not ELF at all.
    #[error("it cannot be parsed: {0}")]
    Malformed(#[from] object::Error),
    /// Another word size, byte order, machine or kind of file.
    #[error("it is not a 64-bit shared library for this machine: {0}")]
    Foreign(&'static str),
    /// No section holds a stamp, so it is a library, not a plugin.
    #[error("it has no section {SECTION}, so it is no plugin")]
    NoStamp,
    /// Nobody could tell which of them counts.
    #[error("it has {0} sections {SECTION}")]
    SeveralStamps(usize),
    /// The stamp is malformed.
    #[error("its stamp is malformed: {0}")]
    Stamp(#[from] StampError),
    /// It has no dynamic segment.
    #[error("it has no dynamic segment")]
    NotDynamic,
    /// It wants a library beside those that are allowed.
    #[error("it needs {0}, and a plugin may need the c library alone")]
    Needs(String),
    /// It needs a library without a name that could be read.
    #[error("the name of a library that it needs cannot be read")]
    UnreadableName,
    /// It says where its libraries are to be looked for.
    #[error("it has an {0}, which would decide what else is loaded")]
    SearchPath(&'static str),
    /// The symbols that people's tools show are not those that the linker uses.
    #[error("its section of dynamic symbols is not the one that the linker uses")]
    HiddenSymbols,
    /// The entry function is missing.
    #[error("it does not export purveyor_plugin_v1")]
    NoEntry,
    /// It exports more than its entry function.
    #[error("it exports {0} beside purveyor_plugin_v1")]
    Exports(String),
}

/// Checks a library, and gives its stamp.
pub(super) fn check(bytes: &[u8]) -> Result<StampInfo, ElfError> {
    let header = Header::parse(bytes)?;
    let endian = header.endian()?;
    check_header(header, endian)?;
    check_dynamic(header, endian, bytes)?;
    check_exports(header, endian, bytes)?;
    Ok(Stamp::parse(stamp_section(header, endian, bytes)?)?)
}

fn check_header(header: &Header, endian: Endianness) -> Result<(), ElfError> {
    if !header.is_class_64() {
        return Err(ElfError::Foreign("it has another word size"));
    }
    if header.is_little_endian() != cfg!(target_endian = "little") {
        return Err(ElfError::Foreign("it has another byte order"));
    }
    if header.e_machine(endian) != MACHINE {
        return Err(ElfError::Foreign("it is for another machine"));
    }
    if header.e_type(endian) != elf::ET_DYN {
        return Err(ElfError::Foreign("it is another kind of file"));
    }
    Ok(())
}

fn check_dynamic(header: &Header, endian: Endianness, bytes: &[u8]) -> Result<(), ElfError> {
    let segments = header.program_headers(endian, bytes)?;
    let entries = dynamic(segments, endian, bytes)?;
    for entry in entries {
        match entry.tag(endian) {
            elf::DT_RPATH => return Err(ElfError::SearchPath("rpath")),
            elf::DT_RUNPATH => return Err(ElfError::SearchPath("runpath")),
            elf::DT_AUDIT | elf::DT_DEPAUDIT => return Err(ElfError::SearchPath("audit library")),
            elf::DT_FILTER | elf::DT_AUXILIARY => {
                return Err(ElfError::SearchPath("filter library"));
            }
            elf::DT_NEEDED => {
                let name = string(segments, entries, endian, bytes, entry.val(endian))
                    .ok_or(ElfError::UnreadableName)?;
                if !ALLOWED_LIBRARIES.iter().any(|allowed| allowed.as_bytes() == name) {
                    let name = String::from_utf8_lossy(name).escape_default().to_string();
                    return Err(ElfError::Needs(name));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_exports(header: &Header, endian: Endianness, bytes: &[u8]) -> Result<(), ElfError> {
    let entry_name = ENTRY_SYMBOL.strip_suffix(b"\0").unwrap_or(ENTRY_SYMBOL);
    let sections = header.sections(endian, bytes)?;
    let symbols = sections.symbols(endian, bytes, elf::SHT_DYNSYM)?;
    let shown = sections.section(symbols.section()).map(|section| section.sh_addr(endian)).ok();
    let segments = header.program_headers(endian, bytes)?;
    let used = value(dynamic(segments, endian, bytes)?, endian, elf::DT_SYMTAB);
    if shown.is_none() || shown != used {
        return Err(ElfError::HiddenSymbols);
    }
    let mut has_entry = false;
    for symbol in symbols.iter() {
        let visible = matches!(symbol.st_visibility(), elf::STV_DEFAULT | elf::STV_PROTECTED);
        if symbol.is_undefined(endian) || symbol.is_local() || !visible {
            continue;
        }
        let name = symbols.symbol_name(endian, symbol)?;
        if name == entry_name {
            has_entry = true;
        } else if !LINKER_SYMBOLS.contains(&name) {
            let name = String::from_utf8_lossy(name).escape_default().to_string();
            return Err(ElfError::Exports(name));
        }
    }
    if has_entry { Ok(()) } else { Err(ElfError::NoEntry) }
}

fn stamp_section<'data>(
    header: &Header,
    endian: Endianness,
    bytes: &'data [u8],
) -> Result<&'data [u8], ElfError> {
    let sections = header.sections(endian, bytes)?;
    let mut found = Vec::new();
    for section in sections.iter() {
        if sections.section_name(endian, section)? == SECTION.as_bytes() {
            found.push(section);
        }
    }
    match found.as_slice() {
        [] => Err(ElfError::NoStamp),
        [section] => Ok(section.data(endian, bytes)?),
        several => Err(ElfError::SeveralStamps(several.len())),
    }
}

/// The entries of the dynamic segment, up to the one that ends them.
fn dynamic<'data>(
    segments: &'data [Segment],
    endian: Endianness,
    bytes: &'data [u8],
) -> Result<&'data [elf::Dyn64<Endianness>], ElfError> {
    // The linker takes the last of several, so there must not be several.
    let mut dynamics = segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_DYNAMIC);
    let (Some(segment), None) = (dynamics.next(), dynamics.next()) else {
        return Err(ElfError::NotDynamic);
    };
    let entries = segment.dynamic(endian, bytes)?.ok_or(ElfError::NotDynamic)?;
    let end = entries.iter().position(|entry| entry.tag(endian) == elf::DT_NULL);
    Ok(&entries[..end.unwrap_or(entries.len())])
}

fn value(
    entries: &[elf::Dyn64<Endianness>],
    endian: Endianness,
    tag: elf::DynamicTag,
) -> Option<u64> {
    let mut found = entries.iter().filter(|entry| entry.tag(endian) == tag);
    let value = found.next()?.val(endian);
    // The linker takes the last of several; two would let a reader see another table than it.
    found.next().is_none().then_some(value)
}

/// The string at `offset` of the table that the linker itself would use.
fn string<'data>(
    segments: &[Segment],
    entries: &[elf::Dyn64<Endianness>],
    endian: Endianness,
    bytes: &'data [u8],
    offset: u64,
) -> Option<&'data [u8]> {
    let address = value(entries, endian, elf::DT_STRTAB)?.checked_add(offset)?;
    let segment = segments.iter().find(|segment| {
        let start = segment.p_vaddr(endian);
        segment.p_type(endian) == elf::PT_LOAD
            && (start..start.saturating_add(segment.p_filesz(endian))).contains(&address)
    })?;
    let data = segment.data(endian, bytes).ok()?;
    let start = usize::try_from(address - segment.p_vaddr(endian)).ok()?;
    let text = data.get(start..)?;
    text.iter().position(|&byte| byte == 0).map(|end| &text[..end])
}
