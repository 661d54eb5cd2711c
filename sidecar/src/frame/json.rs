//! Finds some members of JSON values that come in pieces, and keeps nothing else of them.
//!
//! It is no validator: text that is not JSON has no members, or fewer. *Architecture invariant: its memory does not depend on the input's
//! length*, only on its depth, which is bounded.

use memchr::memchr2;

mod elements;
pub(crate) mod walk;

pub(crate) use elements::Elements;

/// Deeper values are not looked into.
const MAX_DEPTH: usize = 64;

/// Longer names and values are cut, so that they match nothing and say nothing false: no name or number that is looked for is so long.
const MAX_KEPT: usize = 256;

/// Which members are looked for, as a tree of names.
#[derive(Debug)]
pub(crate) struct Paths<T> {
    nodes: Vec<Node<T>>,
}

#[derive(Debug)]
struct Node<T> {
    children: Vec<(&'static str, usize)>,
    takes: Option<Take<T>>,
}

/// How a member is taken.
#[derive(Debug, Clone, Copy)]
enum Take<T> {
    /// Its value is told.
    Value(T),
    /// The bytes of all text in it are counted.
    Size(T),
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// A number, `true`, `false` or `null`, as it is written.
    Bare(&'a [u8]),
    /// A string, with its escapes as they are written.
    Text(&'a [u8]),
    /// An object or an array.
    Container,
    /// So many bytes of text. May come in several pieces.
    Size(usize),
}

impl<T: Copy> Paths<T> {
    /// The root of the tree.
    pub(crate) const ROOT: usize = 0;

    /// The value that is looked for at a node.
    pub(crate) fn value(&self, node: usize) -> Option<T> {
        match self.nodes[node].takes {
            Some(Take::Value(what)) => Some(what),
            _ => None,
        }
    }

    /// Looks for values at `paths`, as in `choices.*.finish_reason`, and counts the text at `sizes`. `*` is every element of an
    /// array.
    pub(crate) fn new(
        paths: impl IntoIterator<Item = (&'static str, T)>,
        sizes: impl IntoIterator<Item = (&'static str, T)>,
    ) -> Self {
        let mut tree = Self {
            nodes: vec![Node {
                children: Vec::new(),
                takes: None,
            }],
        };
        for (path, what) in paths {
            tree.add(path, Take::Value(what));
        }
        for (path, what) in sizes {
            tree.add(path, Take::Size(what));
        }
        tree
    }

    fn add(&mut self, path: &'static str, take: Take<T>) {
        let mut at = 0;
        for name in path.split('.') {
            at = match self.child(at, name.as_bytes()) {
                Some(known) => known,
                None => {
                    let new = self.nodes.len();
                    self.nodes.push(Node {
                        children: Vec::new(),
                        takes: None,
                    });
                    self.nodes[at].children.push((name, new));
                    new
                }
            };
        }
        self.nodes[at].takes = Some(take);
    }

    /// The node below `node` for a member's name, or for the elements of an array (`*`).
    pub(crate) fn child(&self, node: usize, name: &[u8]) -> Option<usize> {
        let children = self.nodes[node].children.iter();
        children
            .clone()
            .find(|(known, _)| known.as_bytes() == name)
            .map(|(_, node)| *node)
    }
}

/// Reads JSON values one after another, in pieces.
#[derive(Debug)]
pub(crate) struct Scanner<T: 'static> {
    paths: &'static Paths<T>,
    open: Vec<Level>,
    /// Containers beyond [`MAX_DEPTH`].
    too_deep: usize,
    state: State,
    /// The node of the value that comes next.
    next: Option<usize>,
    /// The name, string or bare value that is being read, as far as it is of interest.
    kept: Vec<u8>,
}

/// A container that is being read.
#[derive(Debug, Clone, Copy)]
struct Level {
    is_object: bool,
    node: Option<usize>,
    /// The node whose text all of it is.
    counted: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a value, or an end.
    Value,
    /// In an object before a name, or its end.
    Name,
    /// In a string, which is a name or a value.
    String { is_name: bool, is_escaped: bool },
    /// In a number, `true`, `false` or `null`.
    Bare,
}

impl<T: Copy> Scanner<T> {
    /// Looks for `paths`.
    pub(crate) fn new(paths: &'static Paths<T>) -> Self {
        Self {
            paths,
            open: Vec::new(),
            too_deep: 0,
            state: State::Value,
            next: Some(0),
            kept: Vec::new(),
        }
    }

    /// The value ends here, whole or not, and another begins.
    pub(crate) fn restart(&mut self) {
        self.open.clear();
        self.too_deep = 0;
        self.state = State::Value;
        self.next = Some(0);
        self.kept.clear();
    }

    /// Reads on. Calls `each` for everything of interest.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(T, Found<'_>)) {
        while let Some(&byte) = bytes.first() {
            let done = match self.state {
                State::Value | State::Name => {
                    self.between(byte, &mut each);
                    1
                }
                State::String {
                    is_name,
                    is_escaped: true,
                } => {
                    self.keep(&bytes[..1], &mut each);
                    self.state = State::String {
                        is_name,
                        is_escaped: false,
                    };
                    1
                }
                State::String { is_name, .. } => {
                    let run = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
                    self.keep(&bytes[..run], &mut each);
                    match bytes.get(run) {
                        None => run,
                        Some(b'"') => {
                            self.end_of_string(is_name, &mut each);
                            run + 1
                        }
                        Some(_) => {
                            self.keep(&bytes[run..=run], &mut each);
                            self.state = State::String {
                                is_name,
                                is_escaped: true,
                            };
                            run + 1
                        }
                    }
                }
                State::Bare => {
                    let is_end = |b: &u8| b",]} \t\r\n".contains(b);
                    let end = bytes.iter().position(is_end);
                    let run = end.unwrap_or(bytes.len());
                    self.keep(&bytes[..run], &mut each);
                    if end.is_some() {
                        self.tell(Found::Bare, &mut each);
                        self.after_value();
                    }
                    run
                }
            };
            bytes = &bytes[done..];
        }
    }

    fn between(&mut self, byte: u8, each: &mut impl FnMut(T, Found<'_>)) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b':' => {}
            b',' => self.after_comma(),
            b'"' => {
                self.kept.clear();
                self.state = State::String {
                    is_name: self.state == State::Name,
                    is_escaped: false,
                };
            }
            b'{' | b'[' if self.open.len() == MAX_DEPTH => {
                self.too_deep += 1;
                self.next = None;
                self.state = State::Value;
            }
            b'{' | b'[' => {
                self.tell(|_| Found::Container, each);
                let is_object = byte == b'{';
                let level = Level {
                    is_object,
                    node: self.next,
                    counted: self.counted(),
                };
                self.open.push(level);
                self.next = self.element();
                self.state = if is_object { State::Name } else { State::Value };
            }
            b'}' | b']' => {
                if self.too_deep > 0 {
                    self.too_deep -= 1;
                } else {
                    self.open.pop();
                }
                self.after_value();
            }
            byte => {
                self.kept.clear();
                self.state = State::Bare;
                self.keep(&[byte], each);
            }
        }
    }

    fn end_of_string(&mut self, is_name: bool, each: &mut impl FnMut(T, Found<'_>)) {
        if !is_name {
            self.tell(Found::Text, each);
            self.after_value();
            return;
        }
        let object = self.open.last().and_then(|level| level.node);
        self.next = object.and_then(|node| self.paths.child(node, &self.kept));
        self.state = State::Value;
    }

    /// Keeps a piece of a name or value that somebody wants to know, and counts one whose size somebody wants to know.
    fn keep(&mut self, piece: &[u8], each: &mut impl FnMut(T, Found<'_>)) {
        let is_name = matches!(self.state, State::String { is_name: true, .. });
        let counted = if is_name {
            self.open.last().and_then(|level| level.counted)
        } else {
            self.counted()
        };
        if let Some(Take::Size(what)) = counted.and_then(|node| self.paths.nodes[node].takes)
            && !piece.is_empty()
        {
            each(what, Found::Size(piece.len()));
        }
        if is_name || matches!(self.take(), Some(Take::Value(_))) {
            let room = MAX_KEPT.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(&piece[..room.min(piece.len())]);
        }
    }

    /// Tells of the value that `next` is about, if somebody wants to know.
    fn tell<'a>(
        &'a self,
        found: impl FnOnce(&'a [u8]) -> Found<'a>,
        each: &mut impl FnMut(T, Found<'_>),
    ) {
        if let Some(Take::Value(what)) = self.take() {
            each(what, found(&self.kept));
        }
    }

    fn take(&self) -> Option<Take<T>> {
        self.next.and_then(|node| self.paths.nodes[node].takes)
    }

    /// The node as whose text the next value counts.
    fn counted(&self) -> Option<usize> {
        let outer = self.open.last().and_then(|level| level.counted);
        outer.or_else(|| {
            self.next
                .filter(|_| matches!(self.take(), Some(Take::Size(_))))
        })
    }

    /// The node of the elements of the container that is read, if it is an array.
    fn element(&self) -> Option<usize> {
        let level = self.open.last().filter(|_| self.too_deep == 0)?;
        let node = level.node.filter(|_| !level.is_object)?;
        self.paths.child(node, b"*")
    }

    fn after_comma(&mut self) {
        let is_in_object = self.open.last().is_some_and(|level| level.is_object);
        self.state = if is_in_object && self.too_deep == 0 {
            State::Name
        } else {
            State::Value
        };
        self.next = self.element();
    }

    fn after_value(&mut self) {
        self.state = State::Value;
        // At the outermost level another value may follow, as in NDJSON.
        self.next = self.open.is_empty().then_some(0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static PATHS: LazyLock<Paths<char>> = LazyLock::new(|| {
        Paths::new(
            [
                ("model", 'm'),
                ("usage.in", 'i'),
                ("usage.details.cached", 'c'),
                ("choices.*.finish", 'f'),
                ("error", 'e'),
                ("*.usage.in", 'a'),
            ],
            [("choices.*.text", 't')],
        )
    });

    /// What is found, sizes summed up, where the input comes in two pieces cut at `cut`.
    fn found(input: &[u8], cut: usize) -> (String, usize) {
        let mut scanner = Scanner::new(&PATHS);
        let (mut found, mut size) = (String::new(), 0);
        let (head, tail) = input.split_at(cut);
        for piece in [head, tail] {
            scanner.push(piece, |what, value| {
                let text = match value {
                    Found::Bare(text) | Found::Text(text) => std::str::from_utf8(text).unwrap(),
                    Found::Container => "{}",
                    Found::Size(bytes) => {
                        assert_eq!(what, 't');
                        size += bytes;
                        return;
                    }
                };
                found.push_str(&format!("{what}={text} "));
            });
        }
        (found, size)
    }

    #[test]
    fn members_are_found_wherever_the_input_is_cut() {
        for (input, expected, size) in [
            (
                r#"{"model":"gpt \"4\"","other":{"model":"no","usage":{"in":9}},"usage" : {"out":[1,{"in":2}],"in": 12 ,"details":{"cached":3}}}"#,
                r#"m=gpt \"4\" i=12 c=3 "#,
                0,
            ),
            (
                r#"{"choices":[{"text":"ab\"c","finish":null},{"finish":"stop","text":{"k":["xy",1]}}],"usage":null,"error":{"a":1}}"#,
                "f=null f=stop e={} ",
                5 + 4,
            ),
            (
                "[{\"usage\":{\"in\":1}}\n,\n{\"usage\":{\"in\":2}}]",
                "a=1 a=2 ",
                0,
            ),
            ("{\"model\":\"a\"}\n{\"model\":\"b\"}\n", "m=a m=b ", 0),
            ("[DONE]", "", 0),
            ("{\"model\":true}", "m=true ", 0),
        ] {
            for cut in 0..=input.len() {
                assert_eq!(
                    found(input.as_bytes(), cut),
                    (expected.to_owned(), size),
                    "{input} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn text_that_is_no_json_finds_nothing_and_harms_nothing() {
        for input in [
            "",
            "}}}}",
            "]{",
            "\"",
            "{\"model\"",
            "nonsense, model: 1",
            "\\\\\"{",
        ] {
            assert_eq!(found(input.as_bytes(), 0), (String::new(), 0), "{input}");
        }
    }

    #[test]
    fn what_is_too_deep_is_passed_over_and_what_follows_is_found() {
        let deep = format!(
            "{{\"x\":{}{},\"model\":\"m\"}}",
            "[{\"model\":".repeat(500),
            "}]".repeat(500)
        );
        assert_eq!(found(deep.as_bytes(), 0).0, "m=m ");
    }

    #[test]
    fn a_long_value_is_cut_and_a_long_name_matches_nothing() {
        let input = format!(
            "{{\"model\":\"{}\",\"model{}\":1}}",
            "x".repeat(1000),
            "l".repeat(1000)
        );
        assert_eq!(found(input.as_bytes(), 0).0.len(), "m= ".len() + MAX_KEPT);
    }
}
