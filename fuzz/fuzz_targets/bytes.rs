//! Raw bytes as entries, registrations and ring memory.
//!
//! The engine's locks are validated; what the validator reports is a crash of the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_conformance::InProcess;
use ringfence_conformance::hostile::{self, raw::Session};

fuzz_target!(init: hostile::prepare_process(), |session: Session| {
    hostile::raw::run(&InProcess, &session);
});
