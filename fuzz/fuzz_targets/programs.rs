//! Typed programs of requests, registrations and scribbles on the engine.
//!
//! The engine's locks are validated; what the validator reports is a crash of the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_conformance::InProcess;
use ringfence_conformance::hostile::{self, Program};

fuzz_target!(init: hostile::prepare_process(), |program: Program| {
    hostile::run(&InProcess, &program);
});
