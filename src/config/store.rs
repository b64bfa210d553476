//! Where operations are kept.

use std::path::PathBuf;

use super::Context;
use super::document::Section;

/// The kinds of store that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// A SQLite file of this process alone.
    Sqlite {
        /// The file; it is made when there is none.
        path: PathBuf,
    },
}

pub(crate) fn read(mut section: Section<'_>, context: &Context<'_>) -> Option<Store> {
    const HINT: &str = "write \"sqlite:PATH\"";
    let url = section.required::<String>("url");
    section.end();
    let url = url?;
    match url.value.split_once(':') {
        Some(("sqlite", "")) => url.place.refuse_with("names no file", HINT),
        Some(("sqlite", path)) if path.starts_with("//") || path.starts_with(':') => {
            url.place.refuse_with(format!("{path:?} is not a path"), HINT);
        }
        Some(("sqlite", path)) => {
            let path = context.folder.join(path);
            let folder = path.parent().unwrap_or(context.folder);
            if folder.as_os_str().is_empty() || folder.is_dir() {
                return Some(Store::Sqlite { path });
            }
            url.place.refuse(format!("folder {} does not exist", folder.display()));
        }
        // A URL of a server may carry a password, so only its scheme is repeated.
        Some((scheme, _)) => {
            url.place.refuse_with(format!("stores of scheme {scheme:?} are not supported"), HINT);
        }
        None => url.place.refuse_with("has no scheme", HINT),
    }
    None
}
