//! What our engine does not do yet: the bodies it fails, by cause.
//!
//! A body listed here must fail on the engine, one not listed must pass; a change in either
//! direction is a failed test, so that this table is always the truth.

/// Causes, and the bodies (as `file::name`) that the engine fails for each.
pub const KNOWN: &[(&str, &[&str])] =
    &[("the engine needs descriptors of its own", &["setup::descriptor_limit"])];

/// Why the test `name` is expected to fail, if it is.
pub(crate) fn reason(name: &str) -> Option<&'static str> {
    if let Some(body) = name.strip_suffix("::sim") {
        return reason(&format!("{body}::engine"));
    }
    let body = name.strip_suffix("::engine").or_else(|| name.strip_suffix("::preload"))?;
    KNOWN.iter().find(|(_, bodies)| bodies.contains(&body)).map(|(reason, _)| *reason)
}
