//! What our engine does not do yet: one row per body, with the reason.
//!
//! A body listed here must fail on the engine, one not listed must pass; a change in either
//! direction is a failed test, so that this table is always the truth.

/// Bodies, as `file::name`, and why the engine fails them.
pub const KNOWN: &[(&str, &str)] = &[
    ("cancel::by_duplicate_of_the_file", "files are compared by descriptor"),
    ("an enter that wants nothing does not look at readiness",),
    ("fs::attributes", "no extended attributes yet"),
    ("lifetime::busy_rings_leave_nothing", "a ring is released at the next call into the engine"),
    ("lifetime::closing_lets_go_of_files", "a ring is released at the next call into the engine"),
    (
        "lifetime::closing_lets_go_of_registered_files",
        "a ring is released at the next call into the engine",
    ),
    (
        "lifetime::closing_lets_go_of_the_eventfd",
        "a ring is released at the next call into the engine",
    ),
    ("lifetime::descriptor_cannot_be_sent", "control data is passed on unread"),
    ("lifetime::thread_ends", "a request does not belong to a thread: it completes"),
    ("msg_ring::by_registration", "no SEND_MSG_RING yet"),
    ("multishot::read", "no READ_MULTISHOT yet"),
    ("multishot::read_refusals", "no READ_MULTISHOT yet"),
    ("multishot::receive_bundles", "no bundles yet"),
    ("pbuf::bundles", "no bundles yet"),
    ("poll::full_sq_is_not_writable", "a full submission queue polls as writable"),
    ("register_buffers::bad_clones", "no CLONE_BUFFERS yet"),
    ("register_buffers::clones", "no CLONE_BUFFERS yet"),
    ("register_buffers::partial_clones", "no CLONE_BUFFERS yet"),
    ("memory is checked by populating it, which says EINVAL here",),
    (
        "register_buffers::tag_waits_for_the_last_user",
        "a request in flight does not hold its buffer",
    ),
    ("register_buffers::vectors", "no READV_FIXED yet"),
    ("register_files::install", "no FIXED_FD_INSTALL yet"),
    ("register_files::sockets_into_slots", "the search for a slot starts at the first"),
    ("register_files::tag_waits_for_the_last_user", "a tag is posted when its slot is emptied"),
    ("setup::attach_workers", "wq_fd is not looked at"),
    ("setup::descriptor_limit", "the engine needs descriptors of its own"),
    ("setup::features", "RECVSEND_BUNDLE, RW_ATTR and CUR_PERSONALITY are not there yet"),
    (
        "setup::mappings_that_name_nothing",
        "the memory of a ring is a file without holes that refuse",
    ),
    ("setup::sq_affinity_to_no_cpu", "sq_thread_cpu is not checked"),
    ("sqpoll::thread_ends_with_the_ring", "a ring is released at the next call into the engine"),
];

/// Why the test `name` is expected to fail, if it is.
pub(crate) fn reason(name: &str) -> Option<&'static str> {
    let body = name.strip_suffix("::engine")?;
    KNOWN.iter().find(|(listed, _)| *listed == body).map(|(_, reason)| *reason)
}
