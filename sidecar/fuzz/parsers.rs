//! One parser under libFuzzer: `TARGET=sse cargo fuzz run --sanitizer none parsers corpus/sse`. `postern_sidecar::fuzz` has the parsers, and what
//! must hold of each.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use postern_sidecar::fuzz::{TARGETS, Target};

/// The one that `$TARGET` names.
static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var_os("TARGET").unwrap_or_default();
    let target = TARGETS.iter().find(|target| name == target.name);
    *target.unwrap_or_else(|| {
        panic!(
            "TARGET must name one of {:?}",
            TARGETS.map(|target| target.name)
        )
    })
});

fuzz_target!(|data: &[u8]| (TARGET.holds)(data));
