//! Loads a plugin: everything that can be known of a file is checked before any of its code runs.
//! This is the one file of the package with `unsafe`. A library is never closed: a thread that
//! touched the plugin's thread-locals would crash when it ends.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use prost::Message;
use purveyor_abi::host::PluginTable;
use purveyor_abi::raw::ENTRY_SYMBOL;
use purveyor_abi::{EntryFn, Fault, StampError, StampInfo, TableError};
use purveyor_sdk::manifest::{self, Problem};
use purveyor_sdk::plugin::v1::Manifest;
use thiserror::Error;

use super::config::PluginsConfig;

mod elf;
mod file;
mod image;

pub use elf::ElfError;
pub use file::FileError;

use image::Image;

/// A plugin whose code is loaded, for ever. It holds no instance yet.
#[derive(Debug)]
pub struct Plugin {
    /// The name of its file.
    pub file: String,
    /// The name, as in the stamp and in the manifest.
    pub name: String,
    /// The version, as in the stamp and in the manifest.
    pub version: String,
    /// SHA-256 of the file, lowercase hex.
    pub sha256: String,
    /// Which loading of this plugin it is, from 1.
    pub generation: u32,
    /// What the file said of itself before it was loaded.
    pub stamp: StampInfo,
    /// The checked declaration.
    pub manifest: Arc<Manifest>,
    /// The functions.
    pub(super) table: PluginTable,
}

/// Why a file is not a plugin of this host. Up to `Map` no code of the file has run.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file itself cannot be trusted.
    #[error("the file is refused: {0}")]
    File(#[from] FileError),
    /// The configuration does not pin the file.
    #[error("no sha-256 is pinned for {file}, whose own is {sha256}")]
    Unpinned {
        /// The file's name.
        file: String,
        /// What could be pinned.
        sha256: String,
    },
    /// The file is not the pinned one.
    #[error("the sha-256 of {file} is {found}, and {pinned} is pinned")]
    PinMismatch {
        /// The file's name.
        file: String,
        /// What the configuration says.
        pinned: String,
        /// What the file has.
        found: String,
    },
    /// The file is no shared library that may be loaded.
    #[error("the library is refused: {0}")]
    Elf(#[from] ElfError),
    /// The stamp is malformed or made for another host.
    #[error("the stamp is refused: {0}")]
    Stamp(#[from] StampError),
    /// The checked bytes could not be put where the dynamic linker can read them.
    #[error("the library cannot be placed: {0}")]
    Place(#[source] io::Error),
    /// The dynamic linker refused.
    #[error("the library cannot be loaded: {0}")]
    Map(#[source] libloading::Error),
    /// The plugin's table cannot be used.
    #[error("the table is refused: {0}")]
    Table(#[from] TableError),
    /// The plugin did not give its manifest.
    #[error("the manifest cannot be had: {0}")]
    ManifestCall(Fault),
    /// The manifest is not one.
    #[error("the manifest cannot be decoded: {0}")]
    ManifestDecode(#[from] prost::DecodeError),
    /// The manifest contradicts itself.
    #[error("the manifest is wrong: {}", listed(.0))]
    ManifestWrong(Vec<Problem>),
    /// Another file of the directory has the same name in its stamp.
    #[error("a plugin named {name} is loaded from {first} already")]
    Twice {
        /// The plugin's name.
        name: String,
        /// The file that was loaded.
        first: String,
    },
    /// Stamp and manifest are not of the same plugin.
    #[error("the stamp says {stamp} and the manifest {manifest}")]
    Disagree {
        /// Name and version of the stamp.
        stamp: String,
        /// Name and version of the manifest.
        manifest: String,
    },
}

/// Loads plugins, and counts the generations of each name.
#[derive(Debug)]
pub struct Loader {
    config: PluginsConfig,
    generations: BTreeMap<String, u32>,
}

impl Loader {
    /// Loads nothing yet.
    pub fn new(config: PluginsConfig) -> Self {
        Self { config, generations: BTreeMap::new() }
    }

    /// The files that may be plugins, `*.so` in the directory, by name.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn find(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.config.directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "so") {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Checks and loads one file. May be repeated: each success is a new generation, and the older
    /// ones stay as they are.
    ///
    /// # Errors
    ///
    /// A [`LoadError`] for the first thing that is wrong with it.
    pub fn load(&mut self, path: &Path) -> Result<Plugin, LoadError> {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let bytes = file::read(path)?;
        let sha256 = self.check_pin(&file, &bytes)?;
        let stamp = elf::check(&bytes)?;
        stamp.check_host()?;
        let image = match &self.config.private_directory {
            None => Image::in_memory(&stamp.name, &bytes),
            Some(directory) => Image::in_directory(directory, &stamp.name, &bytes),
        }
        .map_err(LoadError::Place)?;
        let table = map(&image)?;
        let manifest = read_manifest(&table, &stamp)?;
        let generation = self.generations.entry(stamp.name.clone()).or_default();
        *generation += 1;
        tracing::info!(
            plugin = stamp.name,
            version = stamp.version,
            %file,
            %sha256,
            abi_minor = stamp.minor,
            rustc = stamp.rustc,
            layout_hash = format_args!("{:#018x}", stamp.layout_hash),
            generation,
            "plugin loaded"
        );
        Ok(Plugin {
            file,
            name: stamp.name.clone(),
            version: stamp.version.clone(),
            sha256,
            generation: *generation,
            stamp,
            manifest: Arc::new(manifest),
            table,
        })
    }

    fn check_pin(&self, file: &str, bytes: &[u8]) -> Result<String, LoadError> {
        let found = file::sha256(bytes);
        match self.config.pins.get(file) {
            Some(pinned) if pinned.eq_ignore_ascii_case(&found) => Ok(found),
            Some(pinned) => {
                Err(LoadError::PinMismatch { file: file.to_owned(), pinned: pinned.clone(), found })
            }
            None if self.config.allow_unpinned => {
                tracing::warn!(file, sha256 = found, "plugin loaded without a pin");
                Ok(found)
            }
            None => Err(LoadError::Unpinned { file: file.to_owned(), sha256: found }),
        }
    }
}

/// Lets the dynamic linker map the checked bytes, and asks the plugin for its table.
#[allow(unsafe_code)]
fn map(image: &Image) -> Result<PluginTable, LoadError> {
    let flags = RTLD_NOW | RTLD_LOCAL | libc::RTLD_NODELETE;
    // SAFETY: initialisers run here. The bytes are those that were checked, in memory that nobody
    // can change any more, and the operator vouches for them by pin or by the development switch.
    let library = unsafe { Library::open(Some(image.path()), flags) }.map_err(LoadError::Map)?;
    // SAFETY: the stamp says that the symbol of this name is an entry function of this major
    // version, and the ELF checks that it is the only one exported.
    let entry = unsafe { library.get::<EntryFn>(ENTRY_SYMBOL) }.map(|symbol| *symbol);
    // Loaded for ever, whatever follows: initialisers may have left pointers into it.
    let _leaked = library.into_raw();
    let entry = entry.map_err(LoadError::Map)?;
    // SAFETY: a plugin keeps the ABI's contract or is not a plugin, which no check can tell; its
    // code stays loaded, as made sure of above.
    Ok(unsafe { PluginTable::from_entry(entry) }?)
}

fn read_manifest(table: &PluginTable, stamp: &StampInfo) -> Result<Manifest, LoadError> {
    let bytes = table.manifest().map_err(LoadError::ManifestCall)?;
    let manifest = Manifest::decode(&*bytes)?;
    let problems = manifest::validate(&manifest);
    if !problems.is_empty() {
        return Err(LoadError::ManifestWrong(problems));
    }
    if (&manifest.name, &manifest.version) != (&stamp.name, &stamp.version) {
        return Err(LoadError::Disagree {
            stamp: format!("{} {}", stamp.name, stamp.version),
            manifest: format!("{} {}", manifest.name, manifest.version),
        });
    }
    Ok(manifest)
}

fn listed(problems: &[Problem]) -> String {
    let lines = problems.iter().map(ToString::to_string);
    lines.collect::<Vec<_>>().join("; ")
}
