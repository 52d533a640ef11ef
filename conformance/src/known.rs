//! What our engine does not do yet: one row per body, with the reason.
//!
//! A body listed here must fail on the engine, one not listed must pass; a change in either
//! direction is a failed test, so that this table is always the truth.

/// Bodies, as `file::name`, and why the engine fails them.
pub const KNOWN: &[(&str, &str)] = &[
    ("cancel::blocking_read", "a worker that blocks is not interrupted"),
    ("cancel::by_duplicate_of_the_file", "files are compared by descriptor"),
    (
        "defer::deferred_work_waits_for_the_owner",
        "an enter that wants nothing does not look at readiness",
    ),
    ("eventfd::asynchronous_only", "an IOSQE_ASYNC nop runs inline"),
    ("eventfd::errors", "any file that takes eight bytes passes for an eventfd"),
    ("fs::attributes", "no extended attributes yet"),
    ("fs::make_a_pipe_errors", "the descriptors are not taken back"),
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
    ("link::timeout_update", "both update flags at once are refused"),
    ("link::timeout_with_bad_fields", "the timeout's own error is lost"),
    ("msg_ring::by_registration", "no SEND_MSG_RING yet"),
    ("multishot::read", "no READ_MULTISHOT yet"),
    ("multishot::read_refusals", "no READ_MULTISHOT yet"),
    ("multishot::receive_bundles", "no bundles yet"),
    ("net::accept_errors", "accept on a socket that does not listen waits"),
    ("net::connect", "the socket is not told that its connection is seen"),
    ("pbuf::bundles", "no bundles yet"),
    ("poll::full_sq_is_not_writable", "a full submission queue polls as writable"),
    ("register_buffers::bad_clones", "no CLONE_BUFFERS yet"),
    ("register_buffers::clones", "no CLONE_BUFFERS yet"),
    ("register_buffers::partial_clones", "no CLONE_BUFFERS yet"),
    (
        "register_buffers::read_only_memory",
        "memory is checked by populating it, which says EINVAL here",
    ),
    (
        "register_buffers::tag_waits_for_the_last_user",
        "a request in flight does not hold its buffer",
    ),
    ("register_buffers::vectors", "no READV_FIXED yet"),
    ("register_files::install", "no FIXED_FD_INSTALL yet"),
    ("register_files::sockets_into_slots", "the search for a slot starts at the first"),
    ("register_files::tag_waits_for_the_last_user", "a tag is posted when its slot is emptied"),
    ("rw::io_priority", "priorities are not checked"),
    ("rw::polled_io_needs_a_polled_ring", "RWF_HIPRI is passed on"),
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
