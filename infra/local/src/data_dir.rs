//! The folder in which a local system is kept: readable by its owner alone, used by one system at a time.

use std::fmt;
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
    #[error(
        "{0} cannot be read or written ({1}): look what it is and whose, or start on an empty folder with --data-dir DIR"
    )]
    Failed(PathBuf, io::Error),
    /// A file is not as a system left it.
    #[error("{0} is damaged ({1}): start on an empty folder with --data-dir DIR, or remove that file, {2}")]
    Damaged(PathBuf, String, &'static str),
}

impl DataDir {
    /// Opens the folder, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |error| DataDirError::Failed(path.to_owned(), error);
        create_private(path).map_err(failed)?;
        let lock = path.join("lock");
        let lock = private().truncate(false).open(&lock).map_err(|error| DataDirError::Failed(lock, error))?;
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

    /// Forgets a file, if there is one.
    pub(crate) fn remove(&self, name: &str) -> Result<(), DataDirError> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DataDirError::Failed(self.path(name), error)),
            _ => Ok(()),
        }
    }

    /// That a file is not as it was left, for this reason; `loss` says what goes with the file.
    pub(crate) fn damaged(&self, name: &str, reason: &dyn fmt::Display, loss: &'static str) -> DataDirError {
        // A library's first sentence says what is wrong, the others what its programmer may do.
        let reason = reason.to_string();
        let reason = reason.split(". ").next().unwrap_or_default();
        DataDirError::Damaged(self.path(name), reason.to_owned(), loss)
    }

    /// Writes a file for its owner's eyes, whole or not at all.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DataDirError> {
        let path = self.path(name);
        write_private(&path, bytes).map_err(|error| DataDirError::Failed(path, error))
    }
}

/// Makes a folder for its owner's eyes, if it is not there.
pub(crate) fn create_private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a file for its owner's eyes, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let mut file = private().truncate(true).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}
