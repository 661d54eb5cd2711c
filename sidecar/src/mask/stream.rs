//! One answer on its way through the masks: cut into events, each let go once all of its text is settled.

use std::sync::Arc;

use memchr::memchr;
use postern_crds::provider::Dialect;

use super::{
    Masker, channel,
    json::Rules,
    layer::Layer,
    map::{Map, lossy},
};
use crate::{
    access::Masked,
    frame::{aws, json, sse},
};
use event::Reader;
use events::Event;
use form::Forms;
use known::Known;
use queue::{Frame, Key, MAX_HELD, Queue, Spelling};

mod event;
mod events;
mod form;
mod known;
mod queue;
#[cfg(test)]
mod tests;

pub(crate) use queue::Unreadable;

/// How an answer is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// One text.
    Text,
    /// One JSON text.
    Json,
    /// Server-sent events.
    Events,
    /// Server-sent events, if it begins like them; one text otherwise.
    EventsOrText,
    /// An event on every line.
    Lines,
    /// One JSON array whose elements are events, if it is an array; one JSON text otherwise.
    Elements,
    /// AWS's event stream.
    Messages,
}

/// One answer.
pub(super) struct Stream {
    reader: Reader,
    frames: Frames,
    queue: Queue,
}

/// Where events end, and the beginning of one whose end did not come yet.
enum Frames {
    /// Pieces of one text as they come; held is a character that was cut.
    Whole {
        held: Vec<u8>,
        is_json: bool,
    },
    Events(sse::Blocks),
    Lines(Vec<u8>),
    Elements(json::Elements, Vec<u8>),
    /// What it is depends on how it begins, of which this came.
    Undecided(Framing, Vec<u8>),
    Messages(aws::Messages),
}

/// White space before it is known how an answer is framed.
const MAX_SPACE: usize = 1024;

/// The text that an answer is that is no stream.
const WHOLE: Key = Key {
    channel: u8::MAX,
    owners: [0; channel::OWNERS],
};

impl Stream {
    /// An answer of `dialect`, framed like this.
    pub(super) fn new(
        masker: &Arc<Masker>,
        rules: Rules,
        dialect: Dialect,
        framing: Framing,
    ) -> Self {
        Self {
            reader: Reader {
                masker: Arc::clone(masker),
                paths: channel::of(dialect),
                rules,
                known: Known::default(),
                forms: Forms::default(),
            },
            frames: match framing {
                Framing::Text | Framing::Json => Frames::whole(framing == Framing::Json),
                Framing::Events => Frames::events(),
                Framing::Lines => Frames::Lines(Vec::new()),
                Framing::Messages => Frames::Messages(aws::Messages::default()),
                Framing::EventsOrText | Framing::Elements => Frames::Undecided(framing, Vec::new()),
            },
            queue: Queue::new(Arc::clone(masker)),
        }
    }

    /// Reads on, and appends to `out` what may go on.
    ///
    /// # Errors
    /// What is left cannot be masked; `out` may be passed on, and nothing after it.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        if let Frames::Undecided(framing, begun) = &mut self.frames {
            begun.extend_from_slice(bytes);
            let Some(frames) = begins(*framing, begun) else {
                return Ok(());
            };
            let begun = std::mem::take(begun);
            self.frames = frames;
            return self.push(&begun, out);
        }
        let Self {
            reader,
            frames,
            queue,
        } = self;
        let mut result = Ok(());
        let mut keep = |read: Result<(), Unreadable>| result = result.and(read);
        match frames {
            Frames::Undecided(..) => {}
            Frames::Whole { held, is_json } => {
                held.extend_from_slice(bytes);
                let whole = held.len() - cut_character(held);
                let rest = held.split_off(whole);
                let piece = std::mem::replace(held, rest);
                keep(whole_text(reader, queue, piece, *is_json));
            }
            Frames::Events(blocks) => {
                blocks.push(bytes, |block, is_whole| {
                    keep(match is_whole {
                        true => sent_event(reader, queue, block),
                        false => Err(Unreadable),
                    });
                    keep(queue.release(out));
                });
            }
            Frames::Lines(held) => {
                let mut bytes = bytes;
                while let Some(end) = memchr(b'\n', bytes) {
                    let (line, rest) = bytes.split_at(end + 1);
                    bytes = rest;
                    held.extend_from_slice(line);
                    keep(one_line(reader, queue, std::mem::take(held)));
                    keep(queue.release(out));
                }
                held.extend_from_slice(bytes);
                if held.len() > MAX_HELD {
                    keep(Err(Unreadable));
                }
            }
            Frames::Elements(ends, held) => {
                let mut from = 0;
                ends.push(bytes, |upto| {
                    held.extend_from_slice(&bytes[from..upto]);
                    from = upto;
                    keep(one_element(reader, queue, std::mem::take(held)));
                    keep(queue.release(out));
                });
                held.extend_from_slice(&bytes[from..]);
                if held.len() > MAX_HELD {
                    keep(Err(Unreadable));
                }
            }
            Frames::Messages(messages) => {
                messages.push(bytes, |message, bytes| {
                    keep(one_message(reader, queue, message, bytes));
                    keep(queue.release(out));
                });
                if messages.is_lost() {
                    keep(Err(Unreadable));
                }
            }
        }
        result?;
        queue.release(out)
    }

    /// The answer is over: appends to `out` what is left.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        if let Frames::Undecided(framing, begun) = &mut self.frames {
            let begun = std::mem::take(begun);
            self.frames = Frames::whole(*framing == Framing::Elements);
            self.push(&begun, out)?;
        }
        let Self {
            reader,
            frames,
            queue,
        } = self;
        match frames {
            Frames::Undecided(..) => {}
            Frames::Whole { held, is_json } => {
                whole_text(reader, queue, std::mem::take(held), *is_json)?;
            }
            // An event without a blank line behind it is none to a strict reader; not all are strict.
            Frames::Events(blocks) => sent_event(reader, queue, &blocks.finish())?,
            Frames::Lines(held) => one_line(reader, queue, std::mem::take(held))?,
            Frames::Elements(_, held) => one_element(reader, queue, std::mem::take(held))?,
            Frames::Messages(messages) => {
                if !messages.is_between() {
                    return Err(Unreadable);
                }
            }
        }
        queue.finish(|_| true);
        queue.release(out)
    }

    /// What was masked since this was asked last.
    pub(super) fn counts(&mut self) -> Vec<Masked> {
        self.queue.counts.take(&self.reader.masker)
    }
}

impl Frames {
    fn whole(is_json: bool) -> Self {
        Self::Whole {
            held: Vec::new(),
            is_json,
        }
    }

    fn events() -> Self {
        Self::Events(sse::Blocks::new(MAX_HELD))
    }
}

/// How an answer is framed that begins with `begun`; `None` where more has to come.
fn begins(framing: Framing, begun: &[u8]) -> Option<Frames> {
    if framing == Framing::Elements {
        return match begun.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'[') => Some(Frames::Elements(json::Elements::default(), Vec::new())),
            // White space without end is not kept.
            None if begun.len() <= MAX_SPACE => None,
            _ => Some(Frames::whole(true)),
        };
    }
    const BEGINNINGS: [&[u8]; 8] = [
        b"data:",
        b"event:",
        b"id:",
        b"retry:",
        b":",
        b"\n",
        b"\r",
        b"\xEF\xBB\xBF",
    ];
    if BEGINNINGS.iter().any(|known| begun.starts_with(known)) {
        return Some(Frames::events());
    }
    let may_become = BEGINNINGS.iter().any(|known| known.starts_with(begun));
    (!may_become).then(|| Frames::whole(false))
}

fn whole_text(
    reader: &Reader,
    queue: &mut Queue,
    bytes: Vec<u8>,
    is_json: bool,
) -> Result<(), Unreadable> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut map = Map::new(0, 0);
    let broken;
    let copied;
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => {
            copied = text.to_owned();
            &copied
        }
        Err(_) => {
            let mut text = String::new();
            lossy(&bytes, 0, &mut text, &mut map);
            broken = text;
            &broken
        }
    };
    queue.event(Frame::Bytes(bytes));
    queue.piece(WHOLE, text, map, Spelling::Plain, |masker| {
        let masker = Arc::clone(masker);
        if is_json {
            Layer::json(masker, reader.rules.clone())
        } else {
            Layer::new(masker, 0)
        }
    })
}

fn sent_event(reader: &mut Reader, queue: &mut Queue, block: &[u8]) -> Result<(), Unreadable> {
    if block.is_empty() {
        return Ok(());
    }
    queue.event(Frame::Bytes(block.to_vec()));
    let event = Event::read(block);
    for line in event.others {
        let mut map = Map::new(0, line.start as u64);
        let mut text = String::new();
        lossy(&block[line.clone()], line.start as u64, &mut text, &mut map);
        reader.alone(queue, &text, 0, &map, Spelling::Line);
    }
    match event.data {
        Some((text, map)) => reader.read(queue, &text, &map, Spelling::Line, None),
        None => Ok(()),
    }
}

fn one_line(reader: &mut Reader, queue: &mut Queue, line: Vec<u8>) -> Result<(), Unreadable> {
    if line.is_empty() {
        return Ok(());
    }
    let (mut text, mut map) = (String::new(), Map::new(0, 0));
    lossy(&line, 0, &mut text, &mut map);
    queue.event(Frame::Bytes(line));
    reader.read(queue, &text, &map, Spelling::Line, None)
}

/// An element of an array, with the bracket or comma before it.
fn one_element(reader: &mut Reader, queue: &mut Queue, element: Vec<u8>) -> Result<(), Unreadable> {
    let is_before = |byte: &u8| matches!(byte, b'[' | b',' | b' ' | b'\t' | b'\r' | b'\n');
    let before = element.iter().take_while(|byte| is_before(byte)).count();
    if before == element.len() {
        queue.event(Frame::Bytes(element));
        return Ok(());
    }
    let (mut text, mut map) = (String::new(), Map::new(0, before as u64));
    lossy(&element[before..], before as u64, &mut text, &mut map);
    queue.event(Frame::Bytes(element));
    reader.read(queue, &text, &map, Spelling::Line, None)
}

fn one_message(
    reader: &mut Reader,
    queue: &mut Queue,
    message: &aws::Message<'_>,
    bytes: &[u8],
) -> Result<(), Unreadable> {
    let kind = message.header(":event-type");
    let frame = match aws::chunk_of(message) {
        Some(inner) => Frame::Chunk {
            bytes: bytes.to_vec(),
            inner,
        },
        // What it says cannot be read, so it does not go on.
        None if kind == Some("chunk") => return Err(Unreadable),
        None => Frame::Message {
            bytes: bytes.to_vec(),
            payload: message.payload.to_vec(),
        },
    };
    let (mut text, mut map) = (String::new(), Map::new(0, 0));
    lossy(frame.body(), 0, &mut text, &mut map);
    queue.event(frame);
    reader.read(queue, &text, &map, Spelling::Plain, kind)
}

/// How many bytes at the end of `bytes` are the beginning of a character.
fn cut_character(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        let length = match byte {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            0x80..=0xBF => continue,
            _ => return 0,
        };
        return if back < length { back } else { 0 };
    }
    0
}
