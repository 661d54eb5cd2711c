//! Finds the classes in a GraphQL query of Weaviate's, `{ Get { Article(tenant: "a") { title } } }`, without understanding the rest.
//!
//! Names have no escapes in GraphQL (<https://spec.graphql.org/October2021/#sec-Names>), so a scanner sees each as the server does. What could
//! bring in another class (fragments, `Explore`, which searches all of them) makes the query open.

/// What a query reaches.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// The classes, as they are written.
    pub(super) classes: Vec<String>,
    /// The tenant of each class that names one; nothing for one in a variable.
    pub(super) tenants: Vec<Option<String>>,
    /// Whether it may reach other classes too.
    pub(super) is_open: bool,
    /// Whether a model writes a part of the answer.
    pub(super) generates: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    /// Without its quotes, and whether it is as it stands.
    Text(&'a str, bool),
    Mark(u8),
}

/// Reads `text`.
pub(super) fn scan(text: &str) -> Query {
    let mut query = Query::default();
    let Some(tokens) = tokens(text) else {
        query.is_open = true;
        return query;
    };
    let (mut depth, mut arguments) = (0_usize, 0_usize);
    let mut root = "";
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1).copied();
        let after = tokens.get(at + 2).copied();
        match *token {
            Token::Mark(b'(' | b'[') => arguments += 1,
            Token::Mark(b')' | b']') => arguments = arguments.saturating_sub(1),
            // Within arguments, braces are objects.
            Token::Mark(b'{') if arguments > 0 => arguments += 1,
            Token::Mark(b'}') if arguments > 0 => arguments -= 1,
            Token::Mark(b'{') => depth += 1,
            Token::Mark(b'}') => depth = depth.saturating_sub(1),
            Token::Mark(b'.' | b'@') if arguments == 0 && depth <= 2 => query.is_open = true,
            Token::Mark(_) | Token::Text(..) => {}
            Token::Name("ask") if arguments == 1 && next == Some(Token::Mark(b':')) => {
                query.generates = true;
            }
            Token::Name("tenant")
                if arguments == 1 && depth == 2 && next == Some(Token::Mark(b':')) =>
            {
                query.tenants.push(match after {
                    Some(Token::Text(tenant, true)) => Some(tenant.to_owned()),
                    _ => None,
                });
            }
            Token::Name("generate" | "summary")
                if arguments == 0 && next == Some(Token::Mark(b'(')) =>
            {
                query.generates = true;
            }
            Token::Name(_) if arguments > 0 || depth > 2 => {}
            // Another name for what follows.
            Token::Name(_) if depth > 0 && next == Some(Token::Mark(b':')) => {}
            Token::Name(name) => match depth {
                0 if matches!(name, "fragment" | "mutation" | "subscription") => {
                    query.is_open = true;
                }
                0 => {}
                1 => {
                    root = name;
                    query.is_open |= !matches!(name, "Get" | "Aggregate");
                }
                _ if matches!(root, "Get" | "Aggregate") => query.classes.push(name.to_owned()),
                _ => {}
            },
        }
    }
    query.is_open |= query.classes.is_empty();
    if query.tenants.len() != query.classes.len() && !query.tenants.is_empty() {
        // One class names a tenant and another none.
        query.tenants.push(None);
    }
    query
}

/// The tokens of `text` without commas, comments and white space; nothing where they end within a string.
fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let start = at;
        match byte {
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                while matches!(bytes.get(at), Some(b) if *b == b'_' || b.is_ascii_alphanumeric()) {
                    at += 1;
                }
                tokens.push(Token::Name(&text[start..at]));
            }
            b'#' => {
                while !matches!(bytes.get(at), None | Some(b'\n' | b'\r')) {
                    at += 1;
                }
            }
            b'"' if bytes[at..].starts_with(b"\"\"\"") => {
                at += 3;
                loop {
                    if bytes[at..].starts_with(b"\\\"\"\"") {
                        at += 4;
                    } else if bytes[at..].starts_with(b"\"\"\"") {
                        at += 3;
                        break;
                    } else if at >= bytes.len() {
                        return None;
                    } else {
                        at += 1;
                    }
                }
                // Its indentation is taken off, so its value is another.
                tokens.push(Token::Text("", false));
            }
            b'"' => {
                at += 1;
                let mut is_plain = true;
                loop {
                    match bytes.get(at)? {
                        b'"' => break,
                        b'\\' => {
                            is_plain = false;
                            at += 2;
                        }
                        b'\n' | b'\r' => return None,
                        _ => at += 1,
                    }
                }
                tokens.push(Token::Text(&text[start + 1..at], is_plain));
                at += 1;
            }
            b',' | b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            other => {
                at += 1;
                // Outside ASCII only strings and comments have characters; a mark that nothing stands for does no harm.
                tokens.push(Token::Mark(*other));
            }
        }
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(text: &str) -> (Vec<String>, bool) {
        let query = scan(text);
        (query.classes, query.is_open)
    }

    #[test]
    fn classes_are_found_under_get_and_aggregate() {
        for (text, expected) in [
            ("{Get{Article(limit:1){title}}}", vec!["Article"]),
            (
                "query { Get { Article { title _additional { id } } } }",
                vec!["Article"],
            ),
            (
                "query Q($n: Int) { Get { Article(limit: $n) { title } } }",
                vec!["Article"],
            ),
            (
                "{ Get { a: Article { title } Author(where: {path: [\"x\"], operator: Equal}) { name } } }",
                vec!["Article", "Author"],
            ),
            (
                "{ x: Aggregate { Article { meta { count } } } }",
                vec!["Article"],
            ),
            ("{ Get { # Secret\n Article { t } } }", vec!["Article"]),
            (
                "{ Get { Article(nearText: {concepts: [\"{ Secret {\"]}) { t } } }",
                vec!["Article"],
            ),
            (
                "{ Get { Article(nearText: {concepts: [\"\"\"} } { Get { Secret\"\"\"]}) { t } } }",
                vec!["Article"],
            ),
            ("{ Get { Article { ... on X { y } } } }", vec!["Article"]),
            (
                "{Get{Article{t}}}{Get{Secret{t}}}",
                vec!["Article", "Secret"],
            ),
        ] {
            let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(classes(text), (expected, false), "{text}");
        }
    }

    #[test]
    fn what_may_reach_more_is_open() {
        for text in [
            "",
            "{ Explore(nearText: {concepts: [\"x\"]}) { beacon } }",
            "{ Get { ...F } } fragment F on GetObjectsObj { Secret { t } }",
            "{ Get { Article { t } ... on GetObjectsObj { Secret { t } } } }",
            "mutation { Get { Article { t } } }",
            "{ Get { Article(limit: \"x",
            "{ Get { Article @include(if: true) { t } } }",
            "{ Other { Article { t } } }",
        ] {
            assert!(scan(text).is_open, "{text}");
        }
    }

    #[test]
    fn a_tenant_is_found_in_the_arguments_of_its_class() {
        let tenants = |text| scan(text).tenants;
        assert_eq!(
            tenants("{ Get { Article(limit: 1, tenant: \"a\") { t } } }"),
            [Some("a".to_owned())]
        );
        assert_eq!(
            tenants("{ Get { Article(where: {tenant: \"b\"}, tenant: $t) { tenant } } }"),
            [None]
        );
        assert_eq!(
            tenants("{ Get { Article(tenant: \"\\u0061\") { t } } }"),
            [None]
        );
        assert_eq!(tenants("{ Get { Article { t } } }"), []);
        assert_eq!(
            tenants("{ Get { Article(tenant: \"a\") { t } Author { t } } }"),
            [Some("a".to_owned()), None]
        );
    }

    #[test]
    fn a_model_that_writes_is_seen() {
        for (text, expected) in [
            (
                "{ Get { A { _additional { generate(singleResult: {prompt: \"x\"}) { singleResult } } } } }",
                true,
            ),
            ("{ Get { A(ask: {question: \"x\"}) { t } } }", true),
            (
                "{ Get { A { _additional { summary(properties: [\"t\"]) { result } } } } }",
                true,
            ),
            ("{ Get { A { summary generate } } }", false),
        ] {
            assert_eq!(scan(text).generates, expected, "{text}");
        }
    }
}
