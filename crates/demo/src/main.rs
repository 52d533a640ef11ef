//! An io_uring program: copies a file and serves TCP echoes, both by io_uring alone.
//!
//! It is written against the io-uring crate and knows nothing of ringfence: `ringfence demo` shows
//! it fail where io_uring is refused, and then work there.
//!
//! Usage: `ringfence-demo SOURCE DESTINATION`. It prints what it did as JSON.

mod copy;
mod echo;

use io_uring::IoUring;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Room for submissions: more than either part ever has in flight.
const ENTRIES: u32 = 64;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [source, destination] = arguments.as_slice() else {
        eprintln!("usage: ringfence-demo SOURCE DESTINATION");
        return ExitCode::from(2);
    };
    match work(Path::new(source), Path::new(destination)) {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ringfence-demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work(source: &Path, destination: &Path) -> io::Result<String> {
    let ring = IoUring::new(ENTRIES);
    let mut ring =
        ring.map_err(|error| io::Error::new(error.kind(), format!("io_uring: {error}")))?;
    let bytes = copy::copy(&mut ring, source, destination)?;
    let echoes = echo::serve(&mut ring)?;
    Ok(format!("{{\"bytes_copied\":{bytes},\"echoes\":{echoes}}}"))
}

/// The result of a completion, as the standard library reports failures.
fn checked(result: i32) -> io::Result<u32> {
    u32::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}
