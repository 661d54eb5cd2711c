//! Types of expressions. All of them are known when a policy is compiled, since those of facts are.

use std::fmt;

/// The type of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Uint,
    Double,
    Text,
    List(Box<Kind>),
    /// From texts to texts: `request.headers`.
    Map,
}

impl Kind {
    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }

    /// Whether values of both can be compared. `cel` compares numbers of all types, and says of other pairs that they are not equal, which
    /// would be a rule that never matches.
    pub(super) fn compares_to(&self, other: &Self) -> bool {
        self == other || self.is_number() && other.is_number()
    }
}

/// Its name in CEL.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::Text => f.write_str("string"),
            Self::List(of) => write!(f, "list({of})"),
            Self::Map => f.write_str("map(string, string)"),
        }
    }
}
