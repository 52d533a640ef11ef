//! What our engine does not do yet: the bodies it fails, by cause.
//!
//! A body listed here must fail on the engine, one not listed must pass; a change in either
//! direction is a failed test, so that this table is always the truth.

/// Causes, and the bodies (as `file::name`) that the engine fails for each.
pub const KNOWN: &[(&str, &[&str])] = &[
    ("credentials cannot be registered", &["register_misc::personality"]),
    // Operations and registrations that are not there.
    ("no extended attributes yet", &["fs::attributes"]),
    ("no READ_MULTISHOT yet", &["multishot::read", "multishot::read_refusals"]),
    ("no bundles yet", &["multishot::receive_bundles", "pbuf::bundles"]),
    ("no READV_FIXED yet", &["register_buffers::vectors"]),
    ("no FIXED_FD_INSTALL yet", &["register_files::install"]),
    (
        "no SEND_ZC yet",
        &[
            "zero_copy::message",
            "zero_copy::registered_buffer",
            "zero_copy::reports_copies",
            "zero_copy::two_completions",
        ],
    ),
    (
        "no URING_CMD yet",
        &["command::get_option", "command::queues", "command::set_option", "command::unknown"],
    ),
    ("no EPOLL_WAIT yet", &["command::epoll_wait", "command::epoll_wait_errors"]),
    (
        "no FUTEX_WAIT, FUTEX_WAKE, FUTEX_WAITV yet",
        &[
            "futex::bad_arguments",
            "futex::cancelled",
            "futex::meets_the_system_call",
            "futex::other_value",
            "futex::several_words",
            "futex::several_words_bad",
            "futex::timed_out",
            "futex::wait_and_wake",
            "futex::wakes_as_many_as_asked",
        ],
    ),
    (
        "no WAITID yet",
        &["process::dead_already", "process::wait_is_cancelled", "process::waits_for_a_child"],
    ),
    ("no SEND_MSG_RING yet", &["msg_ring::by_registration"]),
    (
        "no CLONE_BUFFERS yet",
        &[
            "register_buffers::bad_clones",
            "register_buffers::clones",
            "register_buffers::partial_clones",
        ],
    ),
    ("no RESIZE_RINGS yet", &["register_misc::resize", "register_misc::resize_errors"]),
    ("no MEM_REGION yet", &["register_misc::wait_region", "register_misc::wait_region_errors"]),
    ("RECVSEND_BUNDLE, RW_ATTR and CUR_PERSONALITY are missing", &["setup::features"]),
    // What is there and differs.
    ("files are compared by descriptor", &["cancel::by_duplicate_of_the_file"]),
    ("a request belongs to no thread: it completes", &["lifetime::thread_ends"]),
    ("a full submission queue polls as writable", &["poll::full_sq_is_not_writable"]),
    ("the engine needs descriptors of its own", &["setup::descriptor_limit"]),
    ("a ring's memory is a sparse file", &["setup::mappings_that_name_nothing"]),
];

/// Why the test `name` is expected to fail, if it is.
pub(crate) fn reason(name: &str) -> Option<&'static str> {
    let body = name.strip_suffix("::engine").or_else(|| name.strip_suffix("::preload"))?;
    KNOWN.iter().find(|(_, bodies)| bodies.contains(&body)).map(|(reason, _)| *reason)
}
