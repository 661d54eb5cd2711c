//! Who may tell: whoever shows one of the tokens in a file, which is a Secret that the kubelet mounts and keeps new.

use std::path::PathBuf;

use axum::http::HeaderValue;
use zeroize::Zeroizing;

use crate::constant_time::are_same;

/// A token that is shorter could be guessed, so nobody has it.
const SHORTEST: usize = 16;

/// The tokens in a file, one a line, so that a new one can stand beside the old while it is handed out.
pub(super) struct Tokens {
    file: PathBuf,
}

impl Tokens {
    /// Those of `file`, which is read at each question: it may come later, and change.
    pub(super) fn in_file(file: PathBuf) -> Self {
        Self { file }
    }

    /// Whether `authorization` shows one of them. Where they cannot be read, none is shown.
    pub(super) async fn admit(&self, authorization: Option<&HeaderValue>) -> bool {
        let Some(shown) = authorization.and_then(bearer) else {
            return false;
        };
        match tokio::fs::read(&self.file).await {
            Ok(tokens) => is_one_of(shown, &Zeroizing::new(tokens)),
            Err(error) => {
                let file = self.file.display();
                tracing::warn!(%file, %error, "the tokens for events of stores cannot be read: nobody may tell any");
                false
            }
        }
    }
}

/// The token of a header as RFC 6750 section 2.1 has it.
fn bearer(header: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = header.as_bytes().split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

/// Whether `shown` is a line of `tokens`. How long that takes tells nothing of them: it is compared with every line.
fn is_one_of(shown: &[u8], tokens: &[u8]) -> bool {
    let mut is_one = false;
    for token in tokens.split(|byte| *byte == b'\n') {
        let token = token.trim_ascii();
        is_one |= are_same(token, shown) && token.len() >= SHORTEST;
    }
    is_one
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "token-of-the-tests-1";

    fn admitted(header: &str, tokens: &str) -> bool {
        let header = HeaderValue::from_str(header).unwrap();
        bearer(&header).is_some_and(|shown| is_one_of(shown, tokens.as_bytes()))
    }

    #[test]
    fn whoever_shows_a_line_of_the_file_is_admitted() {
        let two = format!("token-of-the-tests-2\r\n{TOKEN}\n");
        for (header, tokens) in [
            (format!("Bearer {TOKEN}"), TOKEN),
            (format!("bearer {TOKEN}"), &two),
            (format!("BEARER  {TOKEN} "), &two),
            ("Bearer token-of-the-tests-2".to_owned(), &two),
        ] {
            assert!(admitted(&header, tokens), "{header} {tokens}");
        }
    }

    #[test]
    fn nobody_else_is() {
        for (header, tokens) in [
            (format!("Bearer {TOKEN}2"), TOKEN),
            ("Bearer token-of-the-tests-".to_owned(), TOKEN),
            (format!("Basic {TOKEN}"), TOKEN),
            (TOKEN.to_owned(), TOKEN),
            ("Bearer ".to_owned(), ""),
            ("Bearer ".to_owned(), "\n\n"),
            ("Bearer".to_owned(), TOKEN),
            // Too short to be one.
            ("Bearer short".to_owned(), "short"),
        ] {
            assert!(!admitted(&header, tokens), "{header:?} {tokens:?}");
        }
    }

    #[tokio::test]
    async fn the_file_is_read_at_each_question() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let tokens = Tokens::in_file(file.clone());
        let header = HeaderValue::from_str(&format!("Bearer {TOKEN}")).unwrap();
        assert!(!tokens.admit(Some(&header)).await);
        std::fs::write(&file, TOKEN).unwrap();
        assert!(tokens.admit(Some(&header)).await);
        assert!(!tokens.admit(None).await);
        std::fs::write(&file, "another-token-of-the-tests").unwrap();
        assert!(!tokens.admit(Some(&header)).await);
    }
}
