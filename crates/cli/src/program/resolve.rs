//! Finding a command as execvp(3) does, with an error that says what is wrong.

use crate::exit::{CANNOT_RUN, Failure, NOT_FOUND};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where execvp(3) looks when PATH is not set.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The file that `command` names: by path if it holds a slash, else the first in PATH.
pub(crate) fn resolve(command: &OsStr) -> Result<PathBuf, Failure> {
    if command.is_empty() {
        return Err(Failure::new(NOT_FOUND, "the name of the program is empty"));
    }
    if command.as_bytes().contains(&b'/') {
        return runnable(Path::new(command));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let mut refusal = None;
    for directory in std::env::split_paths(&path) {
        match runnable(&directory.join(command)) {
            Ok(found) => return Ok(found),
            // A file that is there and cannot be run is only the answer if no other is found.
            Err(failure) if failure.code() == CANNOT_RUN => refusal = refusal.or(Some(failure)),
            Err(_) => {}
        }
    }
    let name = command.display();
    Err(refusal.unwrap_or_else(|| Failure::new(NOT_FOUND, format!("{name}: not found in PATH"))))
}

/// `path` itself, if it is a file that may be executed.
pub(super) fn runnable(path: &Path) -> Result<PathBuf, Failure> {
    let shown = path.display();
    let file = match std::fs::metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(Failure::new(CANNOT_RUN, format!("{shown}: {error}")));
        }
        Err(error) => return Err(Failure::new(NOT_FOUND, format!("{shown}: {error}"))),
    };
    if file.is_dir() {
        Err(Failure::new(CANNOT_RUN, format!("{shown}: a directory")))
    } else if !file.is_file() {
        Err(Failure::new(CANNOT_RUN, format!("{shown}: a pipe, socket or device, not a program")))
    } else if file.permissions().mode() & 0o111 == 0 || !crate::sys::may_execute(path) {
        Err(Failure::new(CANNOT_RUN, format!("{shown}: no permission to execute it; chmod +x?")))
    } else {
        Ok(path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_command_is_127_and_a_directory_126() {
        assert_eq!(resolve(OsStr::new("no-such-command-anywhere")).unwrap_err().code(), NOT_FOUND);
        assert_eq!(resolve(OsStr::new("")).unwrap_err().code(), NOT_FOUND);
        assert_eq!(resolve(OsStr::new("/no/such/file")).unwrap_err().code(), NOT_FOUND);
        assert_eq!(resolve(OsStr::new("/usr")).unwrap_err().code(), CANNOT_RUN);
        assert_eq!(resolve(OsStr::new("/dev/zero")).unwrap_err().code(), CANNOT_RUN);
    }

    #[test]
    fn a_file_without_execute_bits_is_126_even_for_root() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(resolve(file.path().as_os_str()).unwrap_err().code(), CANNOT_RUN);
    }
}
