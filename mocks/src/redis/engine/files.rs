//! The files a server reads and writes: its configuration and its users. The engine opens none: whoever starts it
//! hands in how that is done.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Reads and writes files by name.
pub trait Files: Send + Sync {
    /// The text of a file.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read(&self, path: &str) -> io::Result<String>;

    /// Puts a text in the place of a file, all of it or nothing.
    ///
    /// # Errors
    /// If it cannot be written.
    fn write(&self, path: &str, text: &str) -> io::Result<()>;

    /// The text of standard input.
    ///
    /// # Errors
    /// If it cannot be read.
    fn standard_input(&self) -> io::Result<String>;
}

/// Files in memory, for servers in tests.
#[derive(Debug, Default)]
pub struct MemoryFiles(Mutex<BTreeMap<String, String>>);

impl Files for MemoryFiles {
    fn read(&self, path: &str) -> io::Result<String> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(path.to_owned(), text.to_owned());
        Ok(())
    }

    fn standard_input(&self) -> io::Result<String> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A server's files, and which of them is its configuration.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) files: Arc<dyn Files>,
    pub(crate) config: Option<String>,
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Why a file cannot be read or written, as C's `strerror` puts it.
pub(crate) fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        return "No such file or directory".to_owned();
    }
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
