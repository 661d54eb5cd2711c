//! What the entrants are called, in tables and on the command line.

/// The call without a proxy: the floor of every figure.
pub(crate) const DIRECT: &str = "direct";
pub(crate) const NGINX: &str = "nginx";
pub(crate) const ENVOY: &str = "envoy";
/// The sidecar with a rule that allows all. It puts the key in all the same: it has no way for a call without one.
pub(crate) const T0: &str = "sidecar T0";
/// The first tier: inject, allow a path.
pub(crate) const T1: &str = "sidecar T1";
/// The second: facts, rule, usage, cost, limits.
pub(crate) const T2: &str = "sidecar T2";
/// The third: and answers are masked.
pub(crate) const T3: &str = "sidecar T3";
/// The first, with HTTP/2 to the provider.
pub(crate) const T1_HTTP2: &str = "sidecar-h2 T1";
/// Another build of the sidecar, second tier.
pub(crate) const OTHER: &str = "other-sidecar T2";
pub(crate) const LITELLM: &str = "litellm";
pub(crate) const PORTKEY: &str = "portkey";

/// All that can be asked for.
pub(crate) const WORDS: [&str; 10] = [
    "nginx",
    "envoy",
    "sidecar",
    "t0",
    "t1",
    "t2",
    "t3",
    "sidecar-h2",
    "litellm",
    "portkey",
];

/// Whether the entrant `name` has one of the words of `only`, or there are none. HTTP/2 is measured only for those who ask.
pub(crate) fn is_wanted(name: &str, only: &[String]) -> bool {
    let lower = name.to_ascii_lowercase();
    let mut parts = lower.split(' ');
    match name {
        T1_HTTP2 => parts.any(|part| part == "sidecar-h2" && only.iter().any(|word| word == part)),
        _ => only.is_empty() || parts.any(|part| only.iter().any(|word| word == part)),
    }
}
