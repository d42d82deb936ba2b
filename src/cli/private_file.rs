//! A file that only its owner can read, and that is there whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure};

/// A file under way. Until it is kept it has another name, beside its own; dropped, it goes away.
pub(super) struct PrivateFile {
    path: PathBuf,
    partial: PathBuf,
    writer: Option<BufWriter<File>>,
}

impl PrivateFile {
    /// Begins a file with mode 0600.
    ///
    /// # Errors
    /// When the name is none, or the folder cannot be written.
    pub(super) fn begin(path: &Path) -> Result<Self, Failure> {
        let Some(name) = path.file_name() else {
            return Err(Failure::new(Exit::Usage, format!("--out: {} is no file's name", path.display())));
        };
        let mut partial = name.to_owned();
        partial.push(format!(".partial-{}", std::process::id()));
        let partial = path.with_file_name(partial);
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial);
        let file = opened.map_err(|error| refused(&partial, &error))?;
        Ok(Self { path: path.to_owned(), partial, writer: Some(BufWriter::new(file)) })
    }

    /// Puts it under its own name, in place of what was there. Both the file and its name are on the disk then.
    ///
    /// # Errors
    /// When that cannot be done; what was there before is still there.
    pub(super) fn keep(mut self) -> Result<(), Failure> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let done = (|| {
            let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            std::fs::rename(&self.partial, &self.path)?;
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
        })();
        if let Err(error) = done {
            // That it could not be kept is what has to be told.
            drop(std::fs::remove_file(&self.partial));
            return Err(refused(&self.path, &error));
        }
        Ok(())
    }
}

impl Write for PrivateFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.as_mut().map_or(Ok(0), |writer| writer.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            // Whoever drops it has something else to tell.
            drop(std::fs::remove_file(&self.partial));
        }
    }
}

fn refused(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("{} cannot be written: {error}", path.display()))
}
