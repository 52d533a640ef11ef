//! What our engine does not do yet: the bodies it fails, by cause.
//!
//! A body listed here must fail on the engine, one not listed must pass; a change in either
//! direction is a failed test, so that this table is always the truth.

/// Causes, and the bodies (as `file::name`) that the engine fails for each.
pub const KNOWN: &[(&str, &[&str])] = &[
    ("files are compared by descriptor", &["cancel::by_duplicate_of_the_file"]),
    ("no extended attributes yet", &["fs::attributes"]),
    ("control data is passed on unread", &["lifetime::descriptor_cannot_be_sent"]),
    ("a request belongs to no thread: it completes", &["lifetime::thread_ends"]),
    ("no SEND_MSG_RING yet", &["msg_ring::by_registration"]),
    ("no READ_MULTISHOT yet", &["multishot::read", "multishot::read_refusals"]),
    ("no bundles yet", &["multishot::receive_bundles", "pbuf::bundles"]),
    ("a full submission queue polls as writable", &["poll::full_sq_is_not_writable"]),
    (
        "no CLONE_BUFFERS yet",
        &[
            "register_buffers::bad_clones",
            "register_buffers::clones",
            "register_buffers::partial_clones",
        ],
    ),
    (
        "a resource in use does not hold back its tag",
        &[
            "register_buffers::tag_waits_for_the_last_user",
            "register_files::tag_waits_for_the_last_user",
        ],
    ),
    ("no READV_FIXED yet", &["register_buffers::vectors"]),
    ("no FIXED_FD_INSTALL yet", &["register_files::install"]),
    ("the search for a slot starts at the first", &["register_files::sockets_into_slots"]),
    ("wq_fd is not looked at", &["setup::attach_workers"]),
    ("the engine needs descriptors of its own", &["setup::descriptor_limit"]),
    ("RECVSEND_BUNDLE, RW_ATTR and CUR_PERSONALITY are missing", &["setup::features"]),
    ("a ring's memory is a sparse file", &["setup::mappings_that_name_nothing"]),
];

/// Why the test `name` is expected to fail, if it is.
pub(crate) fn reason(name: &str) -> Option<&'static str> {
    let body = name.strip_suffix("::engine").or_else(|| name.strip_suffix("::preload"))?;
    KNOWN.iter().find(|(_, bodies)| bodies.contains(&body)).map(|(reason, _)| *reason)
}
