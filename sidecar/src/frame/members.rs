//! Walks over the members of one JSON object that is there as a whole, and says where they stand, so that it can be edited byte for byte.

use std::ops::Range;

use memchr::memchr2;

/// One member of an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    /// Its name as it is written, without quotes.
    pub(crate) name: &'a [u8],
    /// Where its name begins, the quote included.
    pub(crate) start: usize,
    /// Where its value stands.
    pub(crate) value: Range<usize>,
}

/// The members of the object that is all of `json`, and where its closing brace stands. `None` where it is not one object and nothing else.
pub(crate) fn of_object(json: &[u8]) -> Option<(Vec<Member<'_>>, usize)> {
    let mut at = after_space(json, 0);
    let mut members = Vec::new();
    if json.get(at) != Some(&b'{') {
        return None;
    }
    at = after_space(json, at + 1);
    if json.get(at) != Some(&b'}') {
        loop {
            let start = at;
            at = after_string(json, start)?;
            let name = &json[start + 1..at - 1];
            at = after_space(json, at);
            if json.get(at) != Some(&b':') {
                return None;
            }
            let value = after_space(json, at + 1);
            let end = after_value(json, value)?;
            members.push(Member {
                name,
                start,
                value: value..end,
            });
            at = after_space(json, end);
            match json.get(at)? {
                b',' => at = after_space(json, at + 1),
                b'}' => break,
                _ => return None,
            }
        }
    }
    (after_space(json, at + 1) == json.len()).then_some((members, at))
}

fn after_space(json: &[u8], at: usize) -> usize {
    let rest = json.get(at..).unwrap_or_default();
    let space = rest
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
    at + space.count()
}

fn after_string(json: &[u8], start: usize) -> Option<usize> {
    if json.get(start) != Some(&b'"') {
        return None;
    }
    let mut at = start + 1;
    loop {
        at += memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The end of the value that begins at `start`. Brackets are counted, not matched: the text was read strictly before, or is a provider's.
fn after_value(json: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    let mut depth = 0_usize;
    loop {
        match json.get(at)? {
            b'"' => at = after_string(json, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                // Without an open bracket this is the end of what is around the value.
                depth = match depth.checked_sub(1) {
                    Some(depth) => depth,
                    None => return (at > start).then_some(at),
                };
                at += 1;
            }
            b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => {
                return (at > start).then_some(at);
            }
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(json: &str) -> Option<Vec<(&str, &str)>> {
        let (members, end) = of_object(json.as_bytes())?;
        assert_eq!(&json[end..=end], "}");
        let text = |member: &Member<'_>| {
            let name = std::str::from_utf8(member.name).unwrap();
            let start = &json[member.start..];
            assert!(start.starts_with(&format!("\"{name}\"")));
            name.to_owned()
        };
        Some(
            members
                .iter()
                .map(|member| {
                    let name = text(member);
                    let at = json.find(&name).unwrap();
                    (&json[at..at + name.len()], &json[member.value.clone()])
                })
                .collect(),
        )
    }

    #[test]
    fn members_are_found_with_their_places() {
        for (json, expected) in [
            ("{}", vec![]),
            (" { } \n", vec![]),
            (r#"{"a":1}"#, vec![("a", "1")]),
            (
                "{ \"a\" : [1, {\"x\": \"]}\\\"\"}] , \"b\\\"c\":\"}\" ,\n\"d\": {\"a\":2},\"e\":null }",
                vec![
                    ("a", "[1, {\"x\": \"]}\\\"\"}]"),
                    ("b\\\"c", "\"}\""),
                    ("d", "{\"a\":2}"),
                    ("e", "null"),
                ],
            ),
        ] {
            assert_eq!(members(json), Some(expected), "{json}");
        }
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for json in [
            "",
            "[]",
            "1",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{\"a\":}",
            "{}x",
            "{}{}",
            "{a:1}",
            "[DONE]",
            "{\"a\":\"",
        ] {
            assert_eq!(members(json), None, "{json}");
        }
    }
}
