//! One test body per behaviour of io_uring, run on several targets.
//!
//! A body is written against [`Target`], which offers the system calls of io_uring and nothing
//! else, and is run on the kernel's io_uring first: what the kernel does is right. The bodies
//! stand in `tests/suite`, one file per mechanism.
//!
//! What this is not: a wrapper of io_uring for use elsewhere. [`Ring`] submits whatever entry a
//! body makes up, addresses included, because bad input is half of the subject; it is as safe as
//! the body that uses it.
//!
//! ```
//! use ringfence_conformance::{Native, Skip, Target, sqe, sqe::SqeExt};
//!
//! let body = |t: &dyn Target| -> Result<(), Skip> {
//!     let mut ring = t.ring(8)?;
//!     let cqes = ring.run(&[sqe::nop().data(7)]);
//!     assert_eq!((cqes[0].user_data, cqes[0].res), (7, 0));
//!     Ok(())
//! };
//! if let Err(skip) = body(&Native) {
//!     println!("skipped: {}", skip.0);
//! }
//! ```

pub mod aio;
pub mod case;
pub mod differ;
mod engine;
pub mod hostile;
mod known;
pub mod locking;
mod mapping;
pub mod page;
mod preload;
pub mod program;
pub mod record;
mod ring;
pub mod sim;
pub mod sqe;
pub mod sys;
mod target;
pub mod thread;

pub use engine::InProcess;
pub use known::KNOWN;
pub use mapping::Mapping;
pub use preload::Preload;
pub use ring::{OwnMemory, Ring, timespec};
pub use sim::Sim;
pub use target::{Native, Skip, Target};

/// What a body yields: it passed, or it cannot run here and says why. Failures panic.
pub type Outcome = Result<(), Skip>;

/// Declares a body and one test per target: `NAME::native`, and so on.
///
/// The comment above it says which behaviour it pins down. The body may use `?` on what skips.
#[macro_export]
macro_rules! ring_test {
    ($name:ident, |$t:ident| $body:block) => {
        mod $name {
            use super::*;

            fn body($t: &dyn $crate::Target) -> $crate::Outcome {
                $body
                Ok(())
            }

            #[test]
            fn native() {
                $crate::case::run(&$crate::Native, concat!(module_path!(), "::native"), body);
            }

            #[test]
            fn engine() {
                $crate::case::run(&$crate::InProcess, concat!(module_path!(), "::engine"), body);
            }

            #[test]
            fn preload() {
                $crate::case::run(&$crate::Preload, concat!(module_path!(), "::preload"), body);
            }

            #[test]
            fn sim() {
                $crate::case::run(&$crate::Sim, concat!(module_path!(), "::sim"), body);
            }
        }
    };
}
