//! A throw-away repository beside the user's.
//!
//! It borrows the user's objects and copies the names of their branches and tags, so that every
//! command gives the same answer in either; what a run writes (merged trees, backports, work
//! trees) goes here and ends with the run. The user's repository is only read.

use ringfence_git::{Error, Repo};
use std::io::{ErrorKind::NotFound, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Part of every scratch directory's name, before the id of the process that owns it.
const PREFIX: &str = "ringfence-backport-";

/// Nothing in the scratch repository has to survive a power cut, nor an index of it a bad disk, and
/// a build cannot wake the housekeeping. The rest is git's own default, said aloud: an answer may
/// not depend on a setting of the user.
const CONFIG: &str = "\
[core]
\tfsync = none
[index]
\tskipHash = true
[gc]
\tauto = 0
[maintenance]
\tauto = false
[merge]
\trenameLimit = 7000
\tconflictStyle = merge
";

/// The scratch directories of this process, for [`abandon`].
static LIVE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The process group of the build or test that runs, for [`abandon`]; 0 for none.
pub(crate) static BUILD: AtomicU32 = AtomicU32::new(0);

/// Whether [`abandon`] has been called.
static ABANDONED: AtomicBool = AtomicBool::new(false);

/// Goes no further once the run is abandoned: what its killed build seems to say is not to be
/// believed, and the process is about to end.
pub(crate) fn halt_if_abandoned() {
    while ABANDONED.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Ends what a run has started and removes what it has written: for a handler that ends the
/// process when it is interrupted.
pub fn abandon() {
    ABANDONED.store(true, Ordering::SeqCst);
    let group = BUILD.swap(0, Ordering::SeqCst);
    if group != 0 {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status();
    }
    let live = LIVE.lock().map(|live| live.clone()).unwrap_or_default();
    for dir in live {
        // A git that still runs may write behind the first sweep.
        for _ in 0..3 {
            if std::fs::remove_dir_all(&dir).is_err_and(|error| error.kind() == NotFound) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Ok(mut live) = LIVE.lock() {
            live.retain(|dir| dir != self.dir.path());
        }
    }
}

/// The throw-away repository; dropping it removes it.
#[derive(Debug)]
pub struct Scratch {
    dir: TempDir,
    repo: Repo,
}

/// Why there is no scratch repository.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// Git refused.
    #[error(transparent)]
    Git(#[from] Error),
    /// The disk refused.
    #[error("cannot make a scratch repository: {0}")]
    Disk(#[from] std::io::Error),
}

impl Scratch {
    /// Makes one for `user` in the system's directory for temporary files, and removes those that
    /// killed runs have left there.
    ///
    /// # Errors
    ///
    /// When the disk or git refuses.
    pub fn new(user: &Repo) -> Result<Scratch, ScratchError> {
        sweep(&std::env::temp_dir());
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir()?;
        if let Ok(mut live) = LIVE.lock() {
            live.push(dir.path().to_owned());
        }
        let objects = user.run(["rev-parse", "--path-format=absolute", "--git-path", "objects"])?;
        let format = user.run(["rev-parse", "--show-object-format"])?;
        let path = dir.path().join("repo.git");
        let format = format!("--object-format={}", format.trim());
        let path_text = path.display().to_string();
        user.run(["init", "--quiet", "--bare", "--template=", &format, &path_text])?;
        std::fs::create_dir_all(path.join("objects/info"))?;
        std::fs::write(path.join("objects/info/alternates"), objects)?;
        std::fs::write(path.join("packed-refs"), refs(user)?)?;
        let repo = Repo::open(&path)?;
        let mut file = std::fs::OpenOptions::new().append(true).open(path.join("config"))?;
        file.write_all(CONFIG.as_bytes())?;
        Ok(Scratch { dir, repo })
    }

    /// Gives the scratch repository a commit graph that knows the paths of every commit, which makes
    /// questions about ancestors and about a file's history some ten times quicker; `cache` keeps it
    /// for as long as no ref changes, and then makes the next from it. Without one the answers are
    /// the same, so nothing that goes wrong here matters.
    pub fn add_graph(&self, cache: &Path) {
        let git_dir = self.dir.path().join("repo.git");
        let graph = git_dir.join("objects/info/commit-graph");
        let refs = std::fs::read(git_dir.join("packed-refs")).unwrap_or_default();
        let name = format!("commit-graph.v2.{}", &super::record::digest(&refs)[..16]);
        let kept = cache.join(&name);
        if std::fs::copy(&kept, &graph).is_ok() {
            return;
        }
        let mut older = Vec::new();
        for entry in std::fs::read_dir(cache).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("commit-graph.") {
                older.push(entry.path());
            }
        }
        let before = older.iter().any(|path| std::fs::copy(path, &graph).is_ok());
        let write = |paths: &str| {
            self.repo.run(["commit-graph", "write", "--reachable", "--no-progress", paths])
        };
        // The paths cannot be told where a tree is missing.
        if write("--changed-paths").or_else(|_| write("--no-changed-paths")).is_err() {
            if before {
                let _ = std::fs::remove_file(&graph);
            }
            return;
        }
        let Ok(bytes) = std::fs::read(&graph) else { return };
        let _ = std::fs::create_dir_all(cache);
        for path in older {
            let _ = std::fs::remove_file(path);
        }
        let _ = super::out::put(&kept, &bytes);
    }

    /// The repository.
    #[must_use]
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// The directory that holds it and everything else the run writes.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// The user's refs in the form of a `packed-refs` file.
fn refs(user: &Repo) -> Result<String, Error> {
    let format =
        "--format=%(objectname) %(refname)%(if)%(*objectname)%(then)%0a^%(*objectname)%(end)";
    let list = user.run(["for-each-ref", format])?;
    Ok(format!("# pack-refs with: peeled fully-peeled sorted \n{list}"))
}

/// Removes the scratch directories of processes that are no more.
fn sweep(temp: &Path) {
    let Ok(entries) = std::fs::read_dir(temp) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'));
        let Some((pid, _)) = owner else { continue };
        let alive = !Path::new("/proc/self").exists() || Path::new("/proc").join(pid).exists();
        if pid.parse::<u32>().is_ok() && !alive {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
