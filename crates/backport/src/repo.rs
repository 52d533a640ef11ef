//! The half that asks a repository: everything here runs git, nothing here decides.

pub mod ahead;
pub mod blobs;
pub mod branch;
pub mod build;
pub mod fix;
pub mod index;
pub mod out;
pub mod pool;
pub mod port;
pub mod prereq;
pub mod record;
pub mod repairs;
pub mod run;
pub mod scratch;
pub mod steps;
pub mod synthesis;
pub mod verify;
pub mod worker;
