//! Takes the injected secret out of what an upstream sends back, whatever it is written like.
//!
//! An upstream may echo what it was sent: in an error, a redirect, a debug page. [`Secrets`] are what must not come back of the calls on one route,
//! [`Needles`] the forms of that, made once a bundle (once a token, where the secret buys one; once a day, where it signs), and a [`Scrubber`] is one
//! message's search for them, piece by piece. *The law:* however a message is split, what comes out together is the same as for the whole.
//!
//! What is found: the secret as it is, in base64 (wherever in the encoded text it begins; both alphabets) and in hexadecimal digits of any case;
//! each of these with any of its bytes written as an [escape] of a URL, of JSON or of HTML, in any mixture, up to three inside one another. What is
//! not: base64 with line ends in it, or twice; a secret in pieces, as by ranges; anything under a compression that is not taken off before; and secrets
//! of fewer than [`MIN_SECRET`](needles::MIN_SECRET) bytes.
//!
//! What takes its place is as long as it: the placeholder, cut or filled up with `-`. So all that tells a length stays true, whether that is
//! `Content-Length`, `Content-Range`, or a frame inside the body that nobody here reads.

mod daily;
mod escape;
mod head;
mod needles;
mod overlap;
mod secrets;
mod stream;

pub(crate) use daily::Daily;
pub(crate) use needles::Needles;
pub(crate) use overlap::Overlap;
pub(crate) use secrets::Secrets;
pub(crate) use stream::Scrubber;

#[cfg(test)]
mod tests;
