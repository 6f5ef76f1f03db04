//! The folder in which a local system is kept: readable by its owner alone, used by one system at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The folder, locked.
pub(crate) struct DataDir {
    path: PathBuf,
    /// Held for as long as the system runs.
    _lock: File,
}

/// Why the folder cannot be used.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// A system runs on it.
    #[error("{0} is in use by another local system; stop that one, or choose another folder with --data-dir DIR")]
    InUse(PathBuf),
    /// Reading or writing failed.
    #[error("{0}: {1}")]
    Failed(PathBuf, io::Error),
}

impl DataDir {
    /// Opens the folder, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |error| DataDirError::Failed(path.to_owned(), error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let lock = private().truncate(false).open(path.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Where a file of that name is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What a file holds, if there is one.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DataDirError> {
        match fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DataDirError::Failed(self.path(name), error)),
        }
    }

    /// Writes a file for its owner's eyes, whole or not at all.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DataDirError> {
        let (path, draft) = (self.path(name), self.path(&format!("{name}.new")));
        let write = || {
            let mut file = private().truncate(true).open(&draft)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&draft, &path)
        };
        write().map_err(|error| DataDirError::Failed(path.clone(), error))
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}
