//! The workloads of `ringfence bench`.
//!
//! Each workload is written twice: against io_uring, by way of the io-uring crate, and as the
//! plain system calls that a program without io_uring would make, which are the floor. The
//! io_uring half knows nothing of ringfence; whether the kernel or ringfence serves it is decided
//! by how its process is started, and is read back from the ring's descriptor ([`ServedBy`]).
//!
//! A measurement is one process ([`measure`]); a comparison is many of them, the modes of each
//! round in turn, so that what drifts on the machine drifts for all of them ([`suite`]). What it
//! is not: a profiler, or a source of figures that hold beyond the run they come from. Only ratios
//! within one run mean something.
//!
//! ```
//! use ringfence_bench::{Budget, Half, Site, WORKLOADS, measure};
//!
//! let site = Site::prepare(&std::env::temp_dir(), &[], ringfence_bench::Size::Tiny).unwrap();
//! let nop = WORKLOADS.iter().find(|workload| workload.name == "nop32").unwrap();
//! let sample = measure(nop, Half::Plain, site.path(), Budget::smoke()).unwrap();
//! assert!(sample.ns_per_op > 0.0);
//! ```

mod aio;
mod c;
mod echo;
mod error;
mod link;
mod meter;
mod nop;
mod overlay;
mod poll;
mod read;
pub mod report;
mod ring;
mod site;
pub mod suite;
mod sys;
mod timers;
mod tree;
mod workload;

pub use c::Programs;
pub use error::Error;
pub use meter::{Budget, Sample};
pub use ring::ServedBy;
pub use site::{Needs, Site, Size, place};
pub use workload::{Against, Half, Target, WORKLOADS, Workload, measure};
