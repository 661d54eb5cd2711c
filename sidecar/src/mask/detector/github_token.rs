//! GITHUB_TOKEN: tokens of GitHub.
//!
//! Prefixes: <https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats>.
//! GitHub asks that no length is relied on but for the least of it; since 2026 tokens of installations are `ghs_`, the app's number and a JSON Web
//! Token (<https://github.blog/changelog/2026-04-24-notice-about-upcoming-new-format-for-github-app-installation-tokens/>).

use super::shape::{Shape, dotted, word};

/// Finds tokens.
pub(super) const GITHUB_TOKEN: &[Shape] = &[
    Shape::new("ghp_", 3, word, 36),
    Shape::new("gho_", 3, word, 36),
    Shape::new("ghu_", 3, dotted, 36),
    Shape::new("ghs_", 3, dotted, 36),
    Shape::new("ghr_", 3, word, 36),
    Shape::new("github_pat_", 6, word, 60),
];
