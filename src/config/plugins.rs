//! Where plugins are loaded from, and which files are trusted. Whether a file *is* trustworthy is
//! the loader's to say.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::Context;
use super::document::{Found, Section, nearest};
use crate::plugin::PluginsConfig;

pub(crate) fn read(mut section: Section<'_>, context: &mut Context<'_>) -> Option<PluginsConfig> {
    let directory = section.required::<String>("directory");
    let pins = pins(&mut section);
    let allow_unpinned = section.optional::<bool>("allow_unpinned");
    let private = section.optional::<String>("private_directory");
    if let Some(found) = allow_unpinned.as_ref().filter(|found| found.value) {
        context.warn(&found.place, "plugins are loaded without a pin; for development only");
    }
    let allow_unpinned = allow_unpinned.is_some_and(|found| found.value);
    let private_directory = private.and_then(|found| folder(&found, context));
    section.end();

    let directory = folder(&directory?, context)?;
    for (file, sha256) in pins.iter().filter(|(file, _)| !directory.join(file).is_file()) {
        let names = library_names(&directory);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let message = format!("is not in {}", directory.display());
        match nearest(file, &names) {
            Some(near) => sha256.place.refuse_with(message, format!("did you mean {near:?}?")),
            None => sha256.place.refuse(message),
        }
    }
    let pins = pins.into_iter().map(|(file, sha256)| (file, sha256.value)).collect();
    Some(PluginsConfig { directory, pins, allow_unpinned, private_directory })
}

fn pins<'d>(section: &mut Section<'d>) -> BTreeMap<String, Found<'d, String>> {
    let mut pins = BTreeMap::new();
    for (file, found) in section.entries("pins") {
        let Some(sha256) = found.text() else { continue };
        if file.contains('/') || !file.ends_with(".so") {
            found.place.refuse_with(
                "is not the name of a plugin's file",
                "write it as it stands in the directory, as in \"libpurveyor_acme.so\"",
            );
            continue;
        }
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if sha256.len() != 64 || !sha256.bytes().all(hex) {
            found.place.refuse_with(
                "is not a SHA-256 in 64 lowercase hex digits",
                "`purveyor plugin inspect FILE` prints it",
            );
            continue;
        }
        pins.insert(file, Found { value: sha256.to_owned(), place: found.place });
    }
    pins
}

fn folder(found: &Found<'_, String>, context: &Context<'_>) -> Option<std::path::PathBuf> {
    let path = context.folder.join(&found.value);
    if path.is_dir() {
        return Some(path);
    }
    found.place.refuse(format!("{} is not a folder", path.display()));
    None
}

/// The shared libraries of a folder. One that cannot be listed has no names to suggest.
fn library_names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.ends_with(".so")).collect()
}
