//! Finds scenario files.

use std::path::{Path, PathBuf};

/// Why no scenario was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoverError {
    /// A path could not be looked at.
    #[error("cannot look for scenarios in {path}: {source}; give a file or a folder that exists", path = .path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is nothing to run.
    #[error(
        "no scenario in {path}: expected files named *.toml, outside folders named `base`, \
         without `abstract = true`", path = .0.display()
    )]
    None(PathBuf),
    /// There are too many files.
    #[error("more than {FILES_MAX} files in {path}; give a smaller folder", path = .0.display())]
    TooMany(PathBuf),
}

/// Most files one search looks at.
const FILES_MAX: usize = 10_000;
/// Most folders inside one another, which also ends links that run in a circle.
const DEPTH_MAX: usize = 16;

/// The scenario files at `path`: itself if it is a file, or those anywhere below it, in order of their paths.
///
/// Below a folder, plans (`*.plan.toml`), folders named `base` or beginning with a dot, and files that say
/// `abstract = true` are passed over.
///
/// # Errors
/// [`DiscoverError`], if there is none.
pub fn discover(path: &Path) -> Result<Vec<PathBuf>, DiscoverError> {
    let unreadable = |source| DiscoverError::Unreadable { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![(path.to_owned(), 0)];
    let mut seen = 0;
    while let Some((folder, depth)) = folders.pop() {
        let unreadable = |source| DiscoverError::Unreadable { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?.path();
            seen += 1;
            if seen > FILES_MAX {
                return Err(DiscoverError::TooMany(path.to_owned()));
            }
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if entry.is_dir() {
                if name != "base" && !name.starts_with('.') && depth < DEPTH_MAX {
                    folders.push((entry, depth + 1));
                }
            } else if name.ends_with(".toml") && !name.ends_with(".plan.toml") && !is_abstract(&entry) {
                found.push(entry);
            }
        }
    }
    found.sort();
    if found.is_empty() { Err(DiscoverError::None(path.to_owned())) } else { Ok(found) }
}

/// Whether a file says that it is only there to be extended. One that cannot be read does not: loading it
/// says what is wrong.
fn is_abstract(path: &Path) -> bool {
    let text = super::inherit::read_text(path).unwrap_or_default();
    let table = text.parse::<toml::Table>().unwrap_or_default();
    table.get("abstract").and_then(toml::Value::as_bool).unwrap_or(false)
}
