//! A plugin in C, compiled here, loaded and driven as the host does it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::{env, fs};

use object::{Object as _, ObjectSection as _};
use purveyor_abi::host::{PluginTable, Services};
use purveyor_abi::{EntryFn, Fault, LAYOUT_HASH, Stamp, TARGET, raw};
use tempfile::TempDir;

use crate::sample::{Desk, ask, told};

fn compile() -> (TempDir, PathBuf) {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("plugin.so");
    let compiled = Command::new("cc")
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC"])
        .args(["-fvisibility=hidden", "-Wl,--gc-sections", "-I"])
        .arg(crate_root.join("include"))
        .arg("-o")
        .arg(&library)
        .arg(crate_root.join("../../tests/plugins/c/plugin.c"))
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    (folder, library)
}

fn load(library: &Path) -> PluginTable {
    // SAFETY: the library was compiled from the source beside this test and has no initialiser.
    let library = unsafe { libloading::Library::new(library) }.unwrap();
    // SAFETY: the symbol has this type, as the header says.
    let entry = *unsafe { library.get::<EntryFn>(raw::ENTRY_SYMBOL) }.unwrap();
    // Kept for ever, as the contract of `from_entry` asks.
    std::mem::forget(library);
    // SAFETY: the plugin keeps the contract, and its code stays loaded.
    unsafe { PluginTable::from_entry(entry) }.unwrap()
}

fn section(file: &Path) -> Vec<u8> {
    let bytes = fs::read(file).unwrap();
    let elf = object::File::parse(&*bytes).unwrap();
    elf.section_by_name(purveyor_abi::SECTION).unwrap().data().unwrap().to_vec()
}

#[test]
fn it_is_driven_as_any_other() {
    let (_folder, library) = compile();
    let desk = Arc::new(Desk::default());
    let services: Arc<dyn Services> = desk.clone();
    let table = load(&library);
    assert_eq!(&*table.manifest().unwrap(), b"");
    let Err(Fault::Error(error)) = table.open(services.clone(), b"refuse") else {
        panic!("open did not refuse");
    };
    assert_eq!(&*error, b"refused by configuration");

    let instance = table.open(services, b"").unwrap();
    let check = |op: u32, request: &[u8], expected: &str| {
        assert_eq!(told(ask(&instance, op, request)), expected);
    };
    check(1, b"at once", "at once");
    check(1, b"", "");
    check(2, b"later", "later");
    check(3, b"by the host", "42: by the host");
    check(99, b"", "fault: the op is not known to the other side");

    drop(instance);
    assert_eq!(desk.lines(), ["3 0 plain-c: closed"]);
    assert_eq!(Arc::strong_count(&desk), 1, "the plugin did not release its contexts");
}

#[test]
fn its_stamp_is_accepted() {
    let (_folder, library) = compile();
    let info = Stamp::parse(&section(&library)).unwrap();
    assert_eq!(info.check_host(), Ok(()));
    assert_eq!((&*info.name, &*info.version, &*info.target), ("plain-c", "1.0.0", TARGET));
    assert_eq!(info.layout_hash, LAYOUT_HASH, "bless the header, then compile");
}

#[test]
fn the_stamp_of_the_macro_is_in_the_file() {
    let info = Stamp::parse(&section(&env::current_exe().unwrap())).unwrap();
    assert_eq!(info.check_host(), Ok(()));
    assert_eq!((&*info.name, &*info.version, &*info.target), ("sample", "1.2.3", TARGET));
}

#[test]
fn the_entry_symbol_of_the_macro_works() {
    unsafe extern "C" {
        fn purveyor_plugin_v1(host: *const raw::Host, out: *mut *const raw::Plugin) -> u32;
    }
    // SAFETY: `export_plugin!` made the symbol in this very program.
    let table = unsafe { PluginTable::from_entry(purveyor_plugin_v1) }.unwrap();
    assert_eq!(&*table.manifest().unwrap(), b"the manifest");
}
