//! What is wrong with a resource, and where.

use std::fmt;

/// One problem of a resource, in words fit for `kubectl describe`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Where, as in `spec.rules[2].paths[0]`.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Violation {
    /// A problem at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// `violations` as one line, `a: b; c: d`, and how many more there are where it would become too long for a condition's message, which
/// Kubernetes limits to 32768 bytes, or for a person.
pub fn summary(violations: &[Violation]) -> String {
    const LONG: usize = 4096;
    let mut line = String::new();
    for (index, violation) in violations.iter().enumerate() {
        if line.len() > LONG {
            line.push_str(&format!("; and {} more", violations.len() - index));
            break;
        }
        if index > 0 {
            line.push_str("; ");
        }
        line.push_str(&violation.to_string());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_all_or_counts_the_rest() {
        let few = [Violation::new("a", "b"), Violation::new("c", "d")];
        assert_eq!(summary(&few), "a: b; c: d");
        assert_eq!(summary(&[]), "");
        let many = vec![Violation::new("spec.rules[0].paths[0]", "x".repeat(512)); 8192];
        let line = summary(&many);
        assert!(line.len() < 5000, "{}", line.len());
        assert!(line.ends_with("more"), "{line}");
    }
}
