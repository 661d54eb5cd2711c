//! AWS_ACCESS_KEY: access key IDs of users, roles, and bearers of Bedrock and STS.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids> has the prefixes; the alphabet and length are
//! those of `aws-access-token` in <https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml>. The secret access key beside one has no
//! shape of its own.

use super::shape::{Shape, base32};

/// Finds key IDs.
pub(super) const AWS_ACCESS_KEY: &[Shape] = &[id("AKIA"), id("ASIA"), id("ABIA"), id("ACCA")];

const fn id(prefix: &'static str) -> Shape {
    Shape {
        prefix,
        trigger: 0,
        alphabet: base32,
        least: 16,
        most: 16,
    }
}
