//! The reader against syzkaller's public corpus of Linux logs.

#[path = "corpus/mod.rs"]
mod cases;

use std::path::Path;

/// The directory of the corpus is named by this variable.
const VARIABLE: &str = "RINGFENCE_SYZKALLER_CORPUS";

#[test]
fn every_title_of_the_corpus() {
    let Some(directory) = std::env::var_os(VARIABLE) else {
        eprintln!(
            "skipped: set {VARIABLE} to a copy of syzkaller's pkg/report/testdata/linux/report"
        );
        return;
    };
    let cases = cases::read(Path::new(&directory)).expect("the corpus can be read");
    assert!(cases.len() >= 747, "{} cases in {}", cases.len(), directory.display());
    let mut wrong = Vec::new();
    for case in &cases {
        for (header, wanted, got) in cases::compare(case) {
            if wanted != got {
                wrong.push(format!("{} {header}: wanted {wanted:?}, got {got:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} headers differ:\n{}", wrong.len(), wrong.join("\n"));
}
