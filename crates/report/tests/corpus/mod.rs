//! Cases of syzkaller's public corpus, and how far the reader agrees with them.
//!
//! The corpus is not part of this project: it is read from a directory, the corpus's
//! `pkg/report/testdata/linux/report`. A case is a file of header lines (`TITLE: ...`), an empty
//! line, a log, and for some an empty line, `REPORT:` and the report's text.

use ringfence_report::{Kind, Reader, Report};
use std::collections::BTreeSet;
use std::path::Path;

/// One case: a log, and what is said of its first failure.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) log: Vec<u8>,
    pub(crate) title: String,
    pub(crate) alt: BTreeSet<String>,
    pub(crate) kind: String,
    pub(crate) frame: Option<String>,
    pub(crate) corrupted: bool,
    pub(crate) suppressed: bool,
    pub(crate) panicked: bool,
    pub(crate) executor: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) start: Option<String>,
}

/// Reads all cases of a directory, by number.
pub(crate) fn read(directory: &Path) -> std::io::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut bytes = std::fs::read(&path)?;
        bytes.retain(|&byte| byte != b'\r');
        cases.push(parse(name, &bytes));
    }
    cases.sort_by_key(|case| (case.name.parse::<u32>().unwrap_or(u32::MAX), case.name.clone()));
    Ok(cases)
}

fn parse(name: String, bytes: &[u8]) -> Case {
    let mut case = Case { name, kind: "UNKNOWN".to_owned(), ..Case::default() };
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n');
    for line in lines.by_ref().take_while(|line| *line != b"\n") {
        let line = String::from_utf8_lossy(line);
        if let Some((key, value)) = line.trim_end_matches('\n').split_once(": ") {
            header(&mut case, key, value.to_owned());
        }
    }
    let mut empty_before = false;
    for line in lines.by_ref() {
        if empty_before && line.trim_ascii_end() == b"REPORT:" {
            case.text = Some(String::new());
            break;
        }
        empty_before = line == b"\n";
        case.log.extend_from_slice(line);
    }
    if let Some(text) = &mut case.text {
        text.extend(lines.map(String::from_utf8_lossy));
    }
    case
}

fn header(case: &mut Case, key: &str, value: String) {
    match key {
        "TITLE" => case.title = value,
        "ALT" => drop(case.alt.insert(value)),
        "TYPE" => case.kind = value,
        "FRAME" => case.frame = Some(value),
        "CORRUPTED" => case.corrupted = value == "Y",
        "SUPPRESSED" => case.suppressed = value == "Y",
        "PANICKED" => case.panicked = value == "Y",
        "START" => case.start = Some(value),
        "EXECUTOR" => case.executor = Some(value),
        _ => {}
    }
}

/// What the reader makes of a case, next to what the case says: for each header what was wanted
/// and what came out, both as text.
pub(crate) fn compare(case: &Case) -> Vec<(&'static str, String, String)> {
    let report = first(&case.log);
    let Some(report) = report else {
        return vec![("TITLE", case.title.clone(), String::new())];
    };
    let mut rows = vec![
        ("TITLE", case.title.clone(), report.title.clone()),
        ("ALT", listed(&case.alt), listed(&report.alt_titles)),
        ("TYPE", case.kind.clone(), report.kind.to_string()),
        ("CORRUPTED", case.corrupted.to_string(), report.corrupted.is_some().to_string()),
        ("SUPPRESSED", case.suppressed.to_string(), report.suppressed.to_string()),
        ("PANICKED", case.panicked.to_string(), report.panicked.to_string()),
    ];
    if let Some(frame) = &case.frame {
        rows.push(("FRAME", frame.clone(), report.frame.clone().unwrap_or_default()));
    }
    let executor = report.executor.map(|e| format!("proc={}, id={}", e.process, e.program));
    if case.executor.is_some() || executor.is_some() {
        let wanted = case.executor.clone().unwrap_or_default();
        rows.push(("EXECUTOR", wanted, executor.unwrap_or_default()));
    }
    if let Some(text) = &case.text {
        rows.push(("REPORT", text.clone(), report.text.clone()));
    }
    assert_eq!(report.kind, Kind::of_title(&report.title));
    let lines = || case.log.split_inclusive(|&byte| byte == b'\n').skip(report.line);
    if let Some(start) = &case.start {
        let line = lines().next().map(String::from_utf8_lossy).unwrap_or_default();
        rows.push(("START", start.clone(), line.trim_end().to_owned()));
    }
    // Read from its headline on, the log has the same failure first.
    let rest: Vec<u8> = lines().flatten().copied().collect();
    let again = first(&rest).map(|report| report.title).unwrap_or_default();
    rows.push(("(again)", case.title.clone(), again));
    rows
}

/// The first failure of a log.
pub(crate) fn first(log: &[u8]) -> Option<Report> {
    let mut reader = Reader::new();
    let mut reports = reader.feed(log);
    reports.extend(reader.finish());
    reports.into_iter().next()
}

fn listed<'a>(titles: impl IntoIterator<Item = &'a String>) -> String {
    titles.into_iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
}
