//! Programs that behave badly: any operation with any flags over good and bad descriptors,
//! addresses and lengths, registrations of anything, counters and indices scribbled over.
//!
//! A program is a value ([`Program`]): it is drawn from bytes by a fuzzer or from a seed by a test,
//! can be printed, made smaller, and run on any [`crate::Target`]. [`run`] runs it in a world of
//! its own and checks what must hold whatever the program does: each call returns, and nothing is
//! left behind. [`raw`] makes programs whose entries and registrations are bytes.
//!
//! Whole programs are not compared with the kernel: that is [`crate::differ`], for programs of which the
//! kernel promises the outcome. Single entries and registrations are ([`answer`]).

pub mod answer;
mod entry;
mod program;
pub mod raw;
mod run;
mod world;

pub use entry::{Addr, Count, Entry, Fd, Len, Number, Off};
pub use program::{Program, Register, Setup, Step, Word};
pub use run::{prepare_process, run};
pub use world::World;
