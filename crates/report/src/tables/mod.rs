//! What the reader knows of the logs it reads, as data.

mod headers;
pub(crate) mod kinds;

pub(crate) use headers::FAMILIES;
