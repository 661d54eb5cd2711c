//! Path patterns: literal segments, `*` within a segment, and `**` as the last segment.
//!
//! A pattern is matched against the path as it is sent: the sidecar has decoded what needs no escape and refused dot segments, doubled and
//! encoded slashes (but for the one in an ARN on a route to Bedrock, which AWS takes for data too). An escape that is left (`%20`) is data, which
//! a pattern matches by `*`.

use std::fmt;

use super::glob;

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
                Some(part) if segment_matches(segment, part) => {}
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
            Some(segment) => segment_matches(segment, part),
            None => self.any_rest,
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            write!(f, "/{segment}")?;
        }
        f.write_str(if self.any_rest { "/**" } else { "" })
    }
}

/// Matches one segment. An empty segment, which is what stands behind a trailing slash, is matched by an empty one alone. No `?` is in a
/// pattern, since a path has none either.
fn segment_matches(pattern: &str, text: &str) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    glob::walk(pattern, text, |one, other| one == other)
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
