//! The page in the docs is what the bodies say.

use std::path::Path;

#[test]
fn page_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = ringfence_conformance::page::page(root);
    let path = root.join("../docs/conformance.md");
    if std::env::var_os("RINGFENCE_RECORD").is_some() {
        std::fs::write(&path, &text).expect("write the page");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/conformance.md is stale; make it anew with\n  \
         RINGFENCE_RECORD=1 cargo test -p ringfence-conformance --test page"
    );
}

#[test]
fn every_body_says_its_behaviour() {
    let text = ringfence_conformance::page::page(Path::new(env!("CARGO_MANIFEST_DIR")));
    let silent: Vec<&str> = text.lines().filter(|line| line.starts_with("|  | `")).collect();
    assert!(silent.is_empty(), "bodies without a comment: {silent:?}");
}
