//! Reads a log line by line and hands out each failure.

use crate::family::Within;
use crate::line::Line;
use crate::{Kind, Report, headline, title};

/// Reads a log as it grows.
///
/// ```
/// let mut reader = ringfence_report::Reader::new();
/// assert!(reader.push("[   12.345678] all is well").is_empty());
/// reader.push("[   13.345678] BUG: Bad rss-counter state mm:00000000d1b5cf42 idx:1 val:2");
/// assert_eq!(reader.finish()[0].kind.as_str(), "UNKNOWN");
/// ```
#[derive(Debug, Default)]
pub struct Reader {
    lines: usize,
    open: Option<Report>,
}

impl Reader {
    /// A reader at the beginning of a log.
    #[must_use]
    pub fn new() -> Reader {
        Reader::default()
    }

    /// Takes the next line, without its line end, and gives the reports that it completes.
    pub fn push(&mut self, line: &str) -> Vec<Report> {
        let number = self.lines;
        self.lines += 1;
        let line = Line::new(line.replace('\r', "").into());
        let family = headline::family_of(line.message())
            .filter(|family| self.open.is_none() || family.within == Within::Starts);
        let Some(family) = family else {
            if let Some(report) = &mut self.open {
                report.text.push_str(line.message());
                report.text.push('\n');
            }
            return Vec::new();
        };
        let message = line.message();
        let at = message.find(family.words).unwrap_or(0);
        let title = title::normalise(&message[at..]);
        let report = Report {
            kind: Kind::of_title(&title),
            frame: title::frame_of(&title).map(str::to_owned),
            title,
            alt_titles: Vec::new(),
            corrupted: None,
            suppressed: false,
            panicked: false,
            executor: None,
            text: format!("{message}\n"),
            line: number,
        };
        self.open.replace(report).into_iter().collect()
    }

    /// Ends the log and gives the reports that are left.
    #[must_use]
    pub fn finish(self) -> Vec<Report> {
        self.open.into_iter().collect()
    }
}
