//! Streams in OpenAI's format say what they used only if they are asked: `stream_options.include_usage`
//! (<https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream_options>). Here they are asked where the caller did not, and
//! what that adds to the answer is taken out again, so that the caller sees what it would have seen.

use http::{HeaderMap, header};
use memchr::memmem;

use crate::{
    frame::{
        members::{self, Member},
        sse::{self, Blocks},
    },
    proxy::headers,
};

#[cfg(test)]
mod tests;

/// `body` with the question in it, where it is a call that streams and does not ask; every other byte as it was. An explicit `false` is
/// overridden: a budget does not depend on what its caller wants to have counted.
///
/// `None` where there is nothing to ask, and where the question might harm: names that are written with escapes or stand there twice, members
/// of another type, and `data_sources`, with which Azure refuses the question
/// (<https://learn.microsoft.com/en-us/answers/questions/2280689/>).
pub(crate) fn ask(body: &[u8]) -> Option<Vec<u8>> {
    let (all, end) = members::of_object(body)?;
    let is_true = |member: &Member<'_>| &body[member.value.clone()] == b"true";
    if has_doubt(&all)
        || !find(&all, "stream").is_some_and(is_true)
        || find(&all, "data_sources").is_some()
    {
        return None;
    }
    let Some(options) = find(&all, "stream_options") else {
        // There is a member before it: `stream`.
        return Some(replace(
            body,
            end,
            end,
            b",\"stream_options\":{\"include_usage\":true}",
        ));
    };
    let (start, end) = (options.value.start, options.value.end);
    let written = &body[start..end];
    if written == b"null" {
        return Some(replace(body, start, end, b"{\"include_usage\":true}"));
    }
    let (inner, _) = members::of_object(written)?;
    if has_doubt(&inner) {
        return None;
    }
    match find(&inner, "include_usage") {
        Some(asked) => {
            let (from, upto) = (start + asked.value.start, start + asked.value.end);
            matches!(&body[from..upto], b"null" | b"false")
                .then(|| replace(body, from, upto, b"true"))
        }
        None => {
            let question: &[u8] = if inner.is_empty() {
                b"\"include_usage\":true"
            } else {
                b"\"include_usage\":true,"
            };
            Some(replace(body, start + 1, start + 1, question))
        }
    }
}

/// Whether a deployment of Azure OpenAI understands the question: API versions do since 2024-09-01, and so does the API without versions
/// (<https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle>).
pub(crate) fn azure_understands(query: Option<&str>) -> bool {
    let version = query
        .unwrap_or_default()
        .split('&')
        .find_map(|pair| pair.strip_prefix("api-version="));
    // `preview` and `latest` sort behind every date.
    version.is_none_or(|version| version >= "2024-09-01")
}

fn find<'a, 'b>(members: &'a [Member<'b>], name: &str) -> Option<&'a Member<'b>> {
    members.iter().find(|member| member.name == name.as_bytes())
}

/// Whether a member may stand for another one than its name says.
fn has_doubt(all: &[Member<'_>]) -> bool {
    all.iter().enumerate().any(|(index, member)| {
        member.name.contains(&b'\\') || all[..index].iter().any(|other| other.name == member.name)
    })
}

fn replace(text: &[u8], from: usize, upto: usize, by: &[u8]) -> Vec<u8> {
    [&text[..from], by, &text[upto..]].concat()
}

/// The longest event that is looked into. A chunk of a completion has a few hundred bytes.
const MAX_EVENT: usize = 256 * 1024;

/// Takes out of an answer what the question added to it.
#[derive(Debug)]
pub(crate) struct UsageFilter {
    blocks: Blocks,
}

impl UsageFilter {
    /// For an answer with these headers, if it is a stream that can be read. Its length, if the headers say one, is not known any more, and
    /// neither are digests of it.
    pub(crate) fn of(headers: &mut HeaderMap) -> Option<Self> {
        let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let is_encoded = value(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
        let is_events = value(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"));
        if is_encoded || !is_events {
            return None;
        }
        headers::forget_content(headers);
        Some(Self {
            blocks: Blocks::new(MAX_EVENT),
        })
    }

    /// What the caller is to see of `bytes`, and of what was held back before. At most one event is held back, and only until its end.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        self.blocks.push(bytes, |block, is_whole| {
            if is_whole {
                pass(block, &mut out);
            } else {
                out.extend_from_slice(block);
            }
        });
        out
    }

    /// What is left when the answer ends.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.blocks.finish()
    }
}

/// Passes one event on, unless it is the one that was asked for; and without its `"usage":null`.
fn pass(block: &[u8], out: &mut Vec<u8>) {
    // Most events of servers that add nothing end here.
    if memmem::find(block, b"\"usage\"").is_none() {
        out.extend_from_slice(block);
        return;
    }
    match edit(block) {
        Some(Edit::Drop) => {}
        Some(Edit::Cut(from, upto)) => {
            out.extend_from_slice(&block[..from]);
            out.extend_from_slice(&block[upto..]);
        }
        None => out.extend_from_slice(block),
    }
}

enum Edit {
    Drop,
    Cut(usize, usize),
}

fn edit(block: &[u8]) -> Option<Edit> {
    let line = sse::only_data_line(block)?;
    let json = &block[line.clone()];
    let (all, _) = members::of_object(json)?;
    let index = all.iter().position(|member| member.name == b"usage")?;
    let usage = &json[all[index].value.clone()];
    if usage.first() == Some(&b'{') {
        let choices = find(&all, "choices")?;
        let is_empty = json[choices.value.clone()]
            .iter()
            .all(|b| matches!(b, b'[' | b']' | b' ' | b'\t'));
        return is_empty.then_some(Edit::Drop);
    }
    if usage != b"null" {
        return None;
    }
    // From the end of the member before it, comma included; the first one up to where the next begins.
    let (from, upto) = match index.checked_sub(1) {
        Some(before) => (all[before].value.end, all[index].value.end),
        None => {
            let next = all.get(1).map_or(all[0].value.end, |next| next.start);
            (all[0].start, next)
        }
    };
    Some(Edit::Cut(line.start + from, line.start + upto))
}
