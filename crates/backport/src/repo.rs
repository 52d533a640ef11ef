//! The half that asks a repository: everything here runs git, nothing here decides.

pub mod index;
