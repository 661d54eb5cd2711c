//! Path patterns: literal segments, `*` within a segment, and `**` as the last segment.
//!
//! A pattern is matched against the path as it is sent: the sidecar has decoded what needs no escape and refused dot segments, doubled and
//! encoded slashes. An escape that is left (`%3A`) is data, which a pattern matches by `*`.

/// A compiled path pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    segments: Vec<String>,
    any_rest: bool,
}

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// It is relative.
    #[error("{0:?} must start with '/'")]
    Relative(String),
    /// It could never match, because such paths are refused before policy sees them.
    #[error(
        "{0:?} can never match: paths with '//', '.' or '..' segments are refused before they reach policy"
    )]
    NeverMatches(String),
    /// It carries a query, fragment or escape.
    #[error(
        "{0:?} must be a plain path of ASCII, without '?', '#', '%', '\\' and spaces: rules match the path without its query, and '*' an escape in it"
    )]
    NotPlain(String),
    /// `**` is not a whole last segment.
    #[error("{0:?}: '**' stands for the rest of a path and can only be its last segment")]
    MisplacedRest(String),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in words for a status.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(Error::Relative(text.into()));
        };
        if text
            .bytes()
            .any(|b| matches!(b, b'?' | b'#' | b'%' | b'\\') || !b.is_ascii_graphic())
        {
            return Err(Error::NotPlain(text.into()));
        }
        let mut segments: Vec<String> = rest.split('/').map(str::to_owned).collect();
        let any_rest = segments.last().is_some_and(|last| last == "**");
        if any_rest {
            segments.pop();
        }
        if segments.iter().any(|segment| segment.contains("**")) {
            return Err(Error::MisplacedRest(text.into()));
        }
        let last = segments.len().saturating_sub(1);
        for (index, segment) in segments.iter().enumerate() {
            let empty_inside = segment.is_empty() && (index != last || any_rest);
            if empty_inside || segment == "." || segment == ".." {
                return Err(Error::NeverMatches(text.into()));
            }
        }
        Ok(Self { segments, any_rest })
    }

    /// Whether the whole of `path` matches. `/a/**` matches `/a/b` and `/a/b/c`, but neither `/a` nor `/a/`; and `/a/*` matches `/a/b` alone.
    pub fn matches(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix('/') else {
            return false;
        };
        let mut parts = rest.split('/');
        for segment in &self.segments {
            match parts.next() {
                Some(part) if segment_matches(segment.as_bytes(), part.as_bytes()) => {}
                _ => return false,
            }
        }
        match parts.next() {
            None => !self.any_rest,
            Some(first) => self.any_rest && !first.is_empty(),
        }
    }
    /// Whether some path that starts with the segments of `base` can match. `base` is empty, or starts with `/` and does not end with it.
    pub(super) fn reaches_below(&self, base: &str) -> bool {
        let mut segments = self.segments.iter();
        base.split('/').skip(1).all(|part| match segments.next() {
            Some(segment) => segment_matches(segment.as_bytes(), part.as_bytes()),
            None => self.any_rest,
        })
    }
}

/// Matches one segment, with `*` for any run of bytes: the two-pointer walk that returns to the last star only, so at worst the product of
/// both lengths. An empty segment, which is what stands behind a trailing slash, is matched by an empty one alone.
fn segment_matches(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && pattern[p] == text[t] {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            p = star_p + 1;
            t = star_t + 1;
            star = Some((star_p, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(path)
    }

    #[test]
    fn a_star_stays_within_its_segment() {
        assert!(matches("/v1/*/x", "/v1/a/x"));
        assert!(!matches("/v1/*/x", "/v1/a/b/x"));
        assert!(!matches("/v1/*", "/v1/"));
        assert!(matches("/v1/a*", "/v1/a"));
        assert!(matches("/*a*b*", "/xaxxbx"));
        assert!(!matches("/*a*b*", "/xbxxa"));
        assert!(matches(
            "/v1beta/models/gemini-*:generateContent",
            "/v1beta/models/gemini-2.5-pro:generateContent"
        ));
        assert!(!matches(
            "/v1beta/models/gemini-*:generateContent",
            "/v1beta/models/gemini-2.5-pro:countTokens"
        ));
    }

    #[test]
    fn two_stars_are_the_rest_but_not_nothing() {
        assert!(matches("/v1/**", "/v1/a"));
        assert!(matches("/v1/**", "/v1/a/b"));
        assert!(!matches("/v1/**", "/v1"));
        assert!(!matches("/v1/**", "/v1/"));
        assert!(!matches("/v1/**", "/v10/a"));
        assert!(matches("/**", "/a"));
    }

    #[test]
    fn a_trailing_slash_is_another_path() {
        assert!(!matches("/v1/models", "/v1/models/"));
        assert!(matches("/v1/models/", "/v1/models/"));
    }

    #[test]
    fn patterns_that_cannot_work_are_refused() {
        for text in [
            "", "v1", "/a//b", "/a/../b", "/./a", "/a?b", "/a%2fb", "/a b", "/**/a", "/a**", "//",
            "/a#", "/ä",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
