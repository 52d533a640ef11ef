//! What the distribution provides: packages, and sources by a list of our own.
//!
//! The machine's own package lists are left as they are: sources come through a private list in the
//! build directory, written from the addresses that this machine's apt is configured with.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A source package of one version.
pub(crate) struct Source {
    /// The package.
    pub(crate) name: &'static str,
    /// The distribution's version.
    pub(crate) version: &'static str,
    /// The release of the distribution that has it.
    pub(crate) release: &'static str,
    /// The directory that its sources unpack into.
    pub(crate) directory: &'static str,
}

impl Source {
    /// Fetches and unpacks the sources below `workshop`, unless they stand there already.
    ///
    /// # Errors
    /// The machine's apt knows no archive of that release, or fetching failed.
    pub(crate) fn unpacked(&self, workshop: &Path) -> Result<PathBuf> {
        let home = workshop.join(format!("{}-{}", self.name, self.version));
        let unpacked = home.join(self.directory);
        let complete = home.join("complete");
        if complete.exists() {
            return Ok(unpacked);
        }
        install(&[("dpkg-source", "dpkg-dev"), ("make", "make")])?;
        let private = home.join("apt");
        std::fs::create_dir_all(private.join("lists/partial"))?;
        std::fs::create_dir_all(private.join("cache"))?;
        let list = private.join("sources.list");
        let entry = format!("deb-src {} {} main\n", self.archive()?, self.release);
        std::fs::write(&list, entry).with_context(|| list.display().to_string())?;
        let mut options = vec!["-qq".to_owned(), "-o".to_owned()];
        options.push(format!("Dir::Etc::SourceList={}", list.display()));
        for setting in [
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={}", private.join("lists").display()),
            format!("Dir::Cache={}", private.join("cache").display()),
            // The user that apt would otherwise download as may have no access to this directory.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            options.extend(["-o".to_owned(), setting]);
        }
        let package = format!("{}={}", self.name, self.version);
        must(Command::new("apt-get").args(&options).arg("update"))?;
        must(Command::new("apt-get").args(&options).args(["source", &package]).current_dir(&home))?;
        std::fs::write(&complete, package)?;
        Ok(unpacked)
    }

    /// The archive of the release, as this machine's apt addresses it.
    fn archive(&self) -> Result<String> {
        let format = "$(CODENAME) $(COMPONENT) $(REPO_URI)";
        let mut command = Command::new("apt-get");
        command.args(["indextargets", "--format", format, "Created-By: Packages"]);
        let output = command.output().context("apt-get; the clients need a Debian machine")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let prefix = format!("{} main ", self.release);
        let archive = text.lines().find_map(|line| line.strip_prefix(&prefix));
        archive.map(str::to_owned).with_context(|| {
            format!(
                "this machine's apt knows no archive of {}, whose {} this needs",
                self.release, self.name
            )
        })
    }
}

/// Installs the packages of those programs that are missing: pairs of program and package.
pub(crate) fn install(programs: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> = programs
        .iter()
        .filter(|(program, _)| which(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("clients: installing {}", missing.join(" "));
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    install.args(["-qq", "-y", "-o", "Dpkg::Use-Pty=0", "--no-install-recommends", "install"]);
    install.args(&missing).stdout(Stdio::null());
    if must(&mut install).is_ok() {
        return Ok(());
    }
    // A fresh machine has no lists of packages yet, or old ones.
    must(Command::new("apt-get").args(["-qq", "update"]))?;
    must(&mut install)
}

/// The file that a program's name stands for in PATH.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Daemons stand where an ordinary user's PATH does not lead.
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    places.map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// Runs `command` to a successful end.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}
