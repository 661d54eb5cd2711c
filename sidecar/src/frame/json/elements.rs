//! Where the elements of one JSON array end, if they are objects or arrays: a stream of Gemini's that nobody asked to be server-sent events.

use memchr::memchr2;

/// Finds where elements end, and keeps nothing.
#[derive(Debug, Default)]
pub(crate) struct Elements {
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
}

impl Elements {
    /// Calls `each` with every place in `bytes` where an element ends.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(usize)) {
        let mut at = 0;
        while at < bytes.len() {
            if std::mem::take(&mut self.is_escaped) {
                at += 1;
                continue;
            }
            if self.is_in_string {
                let Some(found) = memchr2(b'"', b'\\', &bytes[at..]) else {
                    return;
                };
                at += found + 1;
                self.is_escaped = bytes[at - 1] == b'\\';
                self.is_in_string = self.is_escaped;
                continue;
            }
            match bytes[at] {
                b'"' => self.is_in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 1 {
                        each(at + 1);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_end_at_the_same_places_wherever_the_array_is_cut() {
        let array = br#"[{"a":"}\"]"},{"b":[{"c":1}]} , [2],"x"]"#;
        for cut in 0..=array.len() {
            let (head, tail) = array.split_at(cut);
            let (mut elements, mut found) = (Elements::default(), Vec::new());
            elements.push(head, |at| found.push(at));
            elements.push(tail, |at| found.push(cut + at));
            assert_eq!(found, [13, 29, 35], "cut at {cut}");
        }
    }
}
