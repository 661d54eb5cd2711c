//! Finds in a text what a policy masks, and says what stands in its place.
//!
//! A [`Masker`] is what one identity's policies mask, compiled once a snapshot. A [`Text`] is one text's search, piece by piece: it hands out
//! [`Edit`]s and leaves the text to who framed it. *The law:* however a text is split, its edits are those of the whole.
//!
//! A [`Masking`] is one answer's way through that. It cuts the answer into events ([`stream`]), the events into strings ([`json`]), and knows which
//! of them are pieces of one text ([`channel`]); a string that is JSON itself is cut again ([`layer`]). Every change is mapped back to the bytes that
//! it is about ([`map`]), so that all others pass as they came, and an event is let go once all of its text is settled.
//!
//! A call's body goes the other way ([`request`]): it is there as a whole, and what its decision depends on stays as it is. What a policy wants
//! to have back stands there as a [`pseudonym`], and is looked for in the answer by the same search, as the words of a dictionary.
//!
//! # Why it holds
//!
//! Everything follows from one question that each [detector](detector::Detect) answers about one place: does a value begin here? The answer is no,
//! or yes and where it ends, or *open*: what follows may change it. An answer other than open never changes with what follows, and depends on
//! no more than [`CONTEXT`] bytes before the place, of the original text. So all places before the first open one are settled for good, and what
//! was found there does not depend on how the text came. The property tests hold every detector to this.
//!
//! # What waits
//!
//! What need not be held is not: a text is settled up to the first place where a value may still begin. For most detectors that is a few bytes,
//! which the next piece decides. `EMAIL` needs more: any word may be the begin of an address until something follows that no address has, however
//! many pieces it comes in, and to let some of it go before would let go of a part of an address.
//!
//! # Which one wins
//!
//! What is masked is the union of everything found, so nothing that a detector calls a value goes on because another one overlaps it. The text
//! that stands there is that of the one with the earliest begin; of several that begin together that of the longest; of equal ones that of the
//! first in the policy's table. What another one covers beyond it loses its text without a replacement, and is not counted.

mod body;
mod bytes;
mod change;
mod channel;
mod counts;
mod detector;
mod json;
mod lane;
mod layer;
mod map;
mod masker;
mod pairs;
mod pseudonym;
mod request;
mod scan;
mod stream;
mod style;
mod swallow;
mod text;
mod view;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

pub(crate) use body::{Masking, Masks, Unmaskable};
pub(crate) use masker::{ItemId, Masker};
pub(crate) use request::{Sent, Unsendable, request};
pub(crate) use stream::Unreadable;
pub(crate) use style::SessionKey;
#[cfg(test)]
pub(crate) use text::mask;
pub(crate) use text::{Edit, Text};

/// How many bytes before a place a detector may look at. Kept of what was settled.
const CONTEXT: usize = 96;
