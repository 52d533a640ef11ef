//! The test program of the io-uring crate's repository, on the kernel and under ringfence: each of its
//! tests by itself, and all of them in one process, line by line.
//!
//! The program is not kept in this tree. `RINGFENCE_IO_URING_TEST` names the built binary, as
//! `cargo build` in the directory `io-uring-test` of that repository leaves it. It takes part of a
//! test's name as an argument; the names are those of functions, which the binary holds.

use crate::host::Host;
use crate::place;
use crate::runner::{End, Outcome, Runner};
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The variable that names the program.
const PROGRAM: &str = "RINGFENCE_IO_URING_TEST";

/// What stands before a test's name in the binary.
const BEFORE: &[u8] = b"io_uring_test::";

/// Run the io-uring crate's test program, on the kernel and under ringfence
///
/// Each test by itself first: what passes on the kernel must pass under ringfence; where either fails,
/// both are tried again, for some of the tests race. Then all in one process, which must get as far
/// on both, and run the same tests; a test at which the kernel itself fails now and then may stop it.
/// Fails too if the program passes where io_uring is refused and nothing helps.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds until a run is killed
    #[arg(long, default_value_t = 120)]
    limit: u64,
    /// Runs of what fails
    #[arg(long, default_value_t = 5)]
    tries: u32,
}

/// One of the program's tests, and how it went by itself.
struct Test {
    name: String,
    /// Runs on each host, and how many of them passed on the kernel and under ringfence.
    runs: u32,
    passed: [u32; 2],
    /// What it prints of itself.
    lines: BTreeSet<String>,
}

impl Test {
    /// Whether ringfence may fail it, as far as these runs tell.
    fn as_on_the_kernel(&self) -> bool {
        self.passed[1] > 0 || self.passed[0] == 0
    }

    /// Whether the kernel itself fails it at least now and then.
    fn fails_on_the_kernel(&self) -> bool {
        self.passed[0] < self.runs
    }
}

/// The runs of the whole program on one host.
struct Whole {
    /// The last run: the first that got to its end, if any did.
    last: Outcome,
    /// The tests that stopped the others.
    stops: Vec<String>,
    ended: bool,
}

/// The program, and where it is run.
struct Program {
    path: OsString,
    runner: Runner,
    tries: u32,
}

/// Where its results are compared.
const HOSTS: [Host; 2] = [Host::Kernel, Host::Ringfence];

/// The lines that name a test, in the order in which they were run.
fn lines(outcome: &Outcome) -> impl Iterator<Item = &str> {
    outcome.output.lines().filter(|line| line.starts_with("test "))
}

/// The names of its tests, which the binary holds for its own filter.
fn names(binary: &[u8]) -> BTreeSet<String> {
    let starts = binary.windows(BEFORE.len()).enumerate().filter(|(_, at)| *at == BEFORE);
    let name = |(at, _): (usize, &[u8])| {
        let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_:".contains(byte);
        let rest = &binary[at + BEFORE.len()..];
        let text = str::from_utf8(&rest[..rest.iter().take_while(is_name).count()]).ok()?;
        // It ends with the function that was made to ask for the name; what follows are other texts.
        let end = text.match_indices("::f").map(|(at, _)| at).find(|at| {
            text[..*at].strip_prefix("tests::").is_some_and(|name| name.matches("::").count() == 1)
        })?;
        Some(text[..end].to_owned())
    };
    starts.filter_map(name).collect()
}

impl Program {
    fn run(&self, filter: Option<&str>, host: Host) -> Result<Outcome> {
        let words = std::iter::once(self.path.clone()).chain(filter.map(OsString::from));
        self.runner.run(&words.collect::<Vec<_>>(), host)
    }

    /// Runs one test on both hosts, until it has passed on both.
    fn apart(&self, name: &str) -> Result<Test> {
        let mut test =
            Test { name: name.to_owned(), runs: 0, passed: [0; 2], lines: BTreeSet::new() };
        while test.runs == 0 || test.runs < self.tries && test.passed != [test.runs; 2] {
            test.runs += 1;
            for (host, passed) in HOSTS.into_iter().zip(&mut test.passed) {
                let outcome = self.run(Some(name), host)?;
                *passed += u32::from(outcome.end == End::Exit(0));
                test.lines.extend(lines(&outcome).map(str::to_owned));
            }
        }
        Ok(test)
    }

    /// Runs all tests in one process, until they get to the end.
    fn whole(&self, host: Host) -> Result<Whole> {
        let mut stops = Vec::new();
        loop {
            let last = self.run(None, host)?;
            let ended = last.end == End::Exit(0);
            if !ended {
                stops.push(lines(&last).last().unwrap_or("nothing").to_owned());
            }
            if ended || stops.len() as u32 >= self.tries {
                return Ok(Whole { last, stops, ended });
            }
        }
    }
}

/// Runs it; the exit code says whether both agree.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let path = std::env::var_os(PROGRAM)
        .with_context(|| format!("{PROGRAM} must name the built io-uring-test program"))?;
    let path = std::fs::canonicalize(&path)
        .with_context(|| format!("{PROGRAM}: {}", Path::new(&path).display()))?;
    let names = names(&std::fs::read(&path).with_context(|| path.display().to_string())?);
    ensure!(!names.is_empty(), "{PROGRAM}: {} has no tests of io-uring-test", path.display());
    let directory: PathBuf = place::workshop()?.join("io-uring-test");
    std::fs::create_dir_all(&directory)?;
    let limit = Duration::from_secs(args.limit);
    let runner = Runner { directory, ringfence: place::ringfence()?, limit };
    let program = Program { path: path.into_os_string(), runner, tries: args.tries.max(1) };
    if program.run(None, Host::Refused)?.end == End::Exit(0) {
        bail!("it passes where io_uring is refused, and so proves nothing");
    }
    let tests = names.iter().map(|name| program.apart(name)).collect::<Result<Vec<Test>>>()?;
    let apart = tell_apart(&tests);
    let [kernel, ours] = HOSTS.map(|host| program.whole(host));
    let whole = tell_whole(&kernel?, &ours?, &tests);
    Ok(if apart && whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tells how the tests went by themselves; whether all went as on the kernel.
fn tell_apart(tests: &[Test]) -> bool {
    for test in tests.iter().filter(|test| test.passed != [test.runs; 2]) {
        let [kernel, ours] = test.passed;
        let (name, runs) = (&test.name, test.runs);
        println!("{name}: the kernel passes {kernel} of {runs} runs, ringfence {ours}");
    }
    let count = |host: usize| tests.iter().filter(|test| test.passed[host] > 0).count();
    let (kernel, ours, all) = (count(0), count(1), tests.len());
    println!("{all} tests, each by itself: the kernel passes {kernel}, ringfence {ours}");
    tests.iter().all(Test::as_on_the_kernel)
}

/// Tells how far all got in one process; whether ringfence got as far as the kernel.
fn tell_whole(kernel: &Whole, ours: &Whole, tests: &[Test]) -> bool {
    for (whole, host) in [(kernel, "the kernel"), (ours, "ringfence")] {
        let mut stops = BTreeMap::new();
        whole.stops.iter().for_each(|stop| *stops.entry(stop).or_insert(0) += 1);
        let stops: Vec<String> = stops
            .iter()
            .map(|(stop, times)| format!("; stopped {times} times at `{stop}`"))
            .collect();
        let (end, count) = (if whole.ended { "" } else { "not " }, lines(&whole.last).count());
        let (seconds, stops) = (whole.last.time.as_secs_f64(), stops.concat());
        println!(
            "all in one process, {host}: {end}to the end, {count} lines in {seconds:.1} s{stops}"
        );
    }
    let operations: u64 = ours.last.operations.values().sum();
    println!("{operations} operations by ringfence");
    let may_stop = |stop: &String| {
        tests.iter().any(|test| test.lines.contains(stop) && test.fails_on_the_kernel())
    };
    if !kernel.ended || !ours.ended {
        return !kernel.ended && ours.ended || ours.stops.iter().all(may_stop);
    }
    let here: BTreeSet<&str> = lines(&ours.last).collect();
    lines(&kernel.last)
        .filter(|line| !here.contains(line))
        .for_each(|line| println!("only on the kernel: {line}"));
    lines(&kernel.last).eq(lines(&ours.last))
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_found_among_other_texts() {
        let binary = b"\x00io_uring_test::tests::queue::test_nop::fio_uring_test::utils::f\
            io_uring_test::tests::fs::test_file::{closure}\x00io_uring_test::tests::net::tcp::fsync";
        let names: Vec<String> = super::names(binary).into_iter().collect();
        assert_eq!(names, ["tests::net::tcp", "tests::queue::test_nop"]);
    }
}
