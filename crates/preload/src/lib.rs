//! `libringfence.so`: the functions that a preloaded process finds before libc's.
//!
//! All of the work is done by the crate `ringfence`; here are the exports, the constructor, and
//! what a library must bring that lives in a strange process: its own allocator, so that the
//! program's is never called on a system call's way, and memory functions that leave vector
//! registers alone. It is a crate of its own, so that a program that links `ringfence` as a crate
//! gets none of it.

mod exports;
mod memory;
mod reserve;

#[global_allocator]
static ALLOCATOR: reserve::Reserving = reserve::Reserving;
