//! How the preload is linked.

/// Functions of libc's that use AVX, which the engine's code calls without meaning to.
const WRAPPED: [&str; 6] = ["memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"];

fn main() {
    for name in WRAPPED {
        println!("cargo::rustc-cdylib-link-arg=-Wl,--wrap={name}");
    }
    // Never unloaded, all symbols bound at the start. Not `initfirst`: libc must be constructed.
    for option in ["nodelete", "now"] {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,{option}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
