//! What must hold of every parser, whatever comes: `fuzz/` looks for inputs of which it does not, and the tests run those that it kept.
//!
//! The first bytes of an input choose (a vendor, a type, where it is cut), the others are read. What comes in pieces obeys one law: read in any
//! pieces it is what it is when read whole.

mod calls;
mod frames;
mod masks;
mod resources;
#[cfg(test)]
mod tests;

/// A parser, and what must hold of it.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of the folder with its inputs.
    pub name: &'static str,
    /// Panics where it does not hold of an input.
    pub holds: fn(&[u8]),
}

const fn target(name: &'static str, holds: fn(&[u8])) -> Target {
    Target { name, holds }
}

/// All of them.
pub const TARGETS: [Target; 17] = [
    target("request", calls::request),
    target("strict-json", calls::strict_json),
    target("query", calls::query),
    target("path", calls::path),
    target("percent", calls::percent),
    target("framing", calls::framing),
    target("decode", calls::decode),
    target("sse", frames::sse),
    target("aws", frames::aws),
    target("json", frames::json),
    target("meter", frames::meter),
    target("text", masks::text),
    target("mask", masks::answer),
    target("scrub", masks::scrub),
    target("bundle", resources::bundle),
    target("policy", resources::policy),
    target("expression", resources::expression),
];

/// Takes the first byte, which chooses.
fn choice(data: &[u8]) -> (usize, &[u8]) {
    data.split_first()
        .map_or((0, data), |(first, rest)| (usize::from(*first), rest))
}

/// Cuts `data` into pieces whose lengths follow from `seed`: with 0 single bytes, otherwise 1 to 16.
fn pieces(mut data: &[u8], seed: usize) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut state = seed;
    while !data.is_empty() {
        // Knuth's multiplier: the lengths need to differ, and no more.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(seed);
        let (piece, rest) = data.split_at((1 + (state >> 33) % 16).min(data.len()));
        pieces.push(piece);
        data = rest;
    }
    pieces
}
