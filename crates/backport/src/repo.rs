//! The half that asks a repository: everything here runs git, nothing here decides.

pub mod blobs;
pub mod index;
pub mod port;
pub mod record;
pub mod scratch;
