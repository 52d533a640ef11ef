//! Reads a source to its end, or as it comes.

use crate::{Reader, Report};
use std::io::{Read, Result};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// A source is read in pieces of this many bytes.
const PIECE: usize = 64 * 1024;

/// How many pieces may wait to be looked at.
const WAITING: usize = 4;

/// Reads `source` to its end and hands each report to `each` when it is complete.
///
/// With `quiet`, a source that says nothing for so long is taken to have said all about the
/// failures so far, and their reports are handed out too: a console that goes on for days would
/// keep the last ones back otherwise. The source is then read on a thread of its own, which ends
/// with the source.
///
/// # Errors
///
/// What the source says. The reports up to there are handed out first.
///
/// ```
/// let mut titles = Vec::new();
/// let log = &b"[    1.0] SYZFAIL: wrong\n"[..];
/// ringfence_report::follow(log, None, |report| titles.push(report.title))?;
/// assert_eq!(titles, ["SYZFAIL: wrong"]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn follow(
    source: impl Read + Send + 'static,
    quiet: Option<Duration>,
    mut each: impl FnMut(Report),
) -> Result<()> {
    let mut reader = Reader::new();
    let end = match quiet {
        None => to_end(source, &mut reader, &mut each),
        Some(quiet) => as_it_comes(source, quiet, &mut reader, &mut each),
    };
    reader.finish().into_iter().for_each(each);
    end
}

fn to_end(mut source: impl Read, reader: &mut Reader, each: &mut impl FnMut(Report)) -> Result<()> {
    let mut piece = vec![0; PIECE];
    while let count @ 1.. = source.read(&mut piece)? {
        reader.feed(&piece[..count]).into_iter().for_each(&mut *each);
    }
    Ok(())
}

fn as_it_comes(
    mut source: impl Read + Send + 'static,
    quiet: Duration,
    reader: &mut Reader,
    each: &mut impl FnMut(Report),
) -> Result<()> {
    let (sender, pieces) = sync_channel(WAITING);
    std::thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE];
            let read = source.read(&mut piece).map(|count| {
                piece.truncate(count);
                piece
            });
            let is_end = read.as_ref().map_or(true, Vec::is_empty);
            if sender.send(read).is_err() || is_end {
                return;
            }
        }
    });
    loop {
        match pieces.recv_timeout(quiet) {
            Ok(piece) => reader.feed(&piece?).into_iter().for_each(&mut *each),
            Err(RecvTimeoutError::Timeout) => reader.settle().into_iter().for_each(&mut *each),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    /// A source that ends when the other side goes, and gives what that side sends.
    struct Console(Receiver<&'static str>);

    impl Read for Console {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            let text = self.0.recv().unwrap_or("");
            buffer[..text.len()].copy_from_slice(text.as_bytes());
            Ok(text.len())
        }
    }

    #[test]
    fn a_quiet_console_keeps_nothing_back() {
        let (console, source) = channel();
        console.send("SYZFAIL: one\n").unwrap();
        let mut console = Some(console);
        let mut titles = Vec::new();
        follow(Console(source), Some(Duration::from_millis(10)), |report| {
            titles.push(report.title);
            // The second one is sent when the first one is known, and then the console ends.
            if let Some(console) = console.take() {
                console.send("SYZFAIL: two\n").unwrap();
            }
        })
        .unwrap();
        assert_eq!(titles, ["SYZFAIL: one", "SYZFAIL: two"]);
    }

    /// A source that breaks.
    struct Broken(bool);

    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(std::io::Error::other("broken"));
            }
            buffer[..7].copy_from_slice(b"panic: ");
            Ok(7)
        }
    }

    #[test]
    fn what_came_before_an_error_is_not_lost() {
        for quiet in [None, Some(Duration::from_secs(60))] {
            let mut titles = Vec::new();
            let end = follow(Broken(false), quiet, |report| titles.push(report.title));
            assert_eq!((end.unwrap_err().to_string().as_str(), titles.len()), ("broken", 1));
        }
    }
}
