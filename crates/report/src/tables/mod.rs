//! What the reader knows of the logs it reads, as data: one file for each family of failures.

pub(crate) mod anchors;
mod faults;
mod headers;
pub(crate) mod innocent;
pub(crate) mod kinds;
mod locks;
pub(crate) mod marks;
mod notices;
mod panics;
mod sanitizers;
mod stalls;
pub(crate) mod userspace;
mod warnings;

pub(crate) use headers::FAMILIES;
