//! The targets under libFuzzer: one binary, `MERX_FUZZ_TARGET` names the target. Built by `scripts/fuzz`.

#![no_main]
#![allow(unsafe_code, reason = "libFuzzer calls an exported function; the macro writes it")]

use std::sync::LazyLock;

use merx_fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("MERX_FUZZ_TARGET").unwrap_or_default();
    merx_fuzz::target(&name).unwrap_or_else(|| panic!("MERX_FUZZ_TARGET names no target: {name}"))
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| (TARGET.run)(input));
