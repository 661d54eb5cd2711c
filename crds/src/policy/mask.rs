//! Masks, ready to be applied. How text is searched is the sidecar's business (`mask.rs` there); this is what the policies say.

use std::collections::BTreeSet;

use regex_syntax::{
    ParserBuilder,
    hir::{Hir, HirKind, Look},
};

use crate::egress_policy::{Detector, FieldAction, MaskStyle, Region};

/// The longest expression of a pattern, in bytes.
pub(crate) const MAX_PATTERN_BYTES: u32 = 512;
/// The longest match of a pattern, in bytes: what may become one is held back until it is known.
const MAX_MATCH_BYTES: usize = 1024;
/// The most that a compiled pattern may take, in bytes.
const MAX_COMPILED_BYTES: usize = 256 * 1024;

/// What all policies of one identity mask in one direction, without order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masks {
    /// What is searched in texts; no two of them search the same.
    pub items: Vec<MaskItem>,
    /// Countries whose national numbers [`Detector::Phone`] finds.
    pub phone_regions: BTreeSet<Region>,
    /// Members that are masked whole; no two of the same path.
    pub fields: Vec<Field>,
}

/// One thing that is searched in texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskItem {
    /// What is searched.
    pub what: Masked,
    /// What stands in its place.
    pub style: MaskStyle,
    /// Whether it is masked, or (its policy observes) only counted.
    pub enforce: bool,
    /// Whether what it masks in a call is put back in the call's answer. Its style is [`MaskStyle::Pseudonym`] then.
    pub restore: bool,
}

/// What is searched in texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Masked {
    /// A kind of data that Postern knows.
    Detector(Detector),
    /// A regular expression, as [`parse_pattern`] reads it.
    Pattern {
        /// Its name.
        name: String,
        /// The expression.
        regex: String,
    },
    /// Words.
    Dictionary {
        /// Its name.
        name: String,
        /// The words.
        words: BTreeSet<String>,
        /// Whether `a` to `z` are found in any case.
        ignore_case: bool,
    },
}

impl Masked {
    /// The name for labels and metrics.
    pub fn name(&self) -> &str {
        match self {
            Self::Detector(detector) => detector.name(),
            Self::Pattern { name, .. } | Self::Dictionary { name, .. } => name,
        }
    }
}

/// A member of JSON values that is masked whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The way to it. Its last step is a name.
    pub path: Vec<Step>,
    /// What is done to it.
    pub action: FieldAction,
    /// Whether it is done, or (its policy observes) only counted.
    pub enforce: bool,
}

/// One step into a JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the member of this name.
    Name(String),
    /// To every element of an array.
    Every,
}

impl Masks {
    /// Whether nothing is masked or counted.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.fields.is_empty()
    }

    /// Takes in what another policy masks. For the same thing, what enforces wins over what observes, then the stronger style or action, then what is not put back.
    pub(super) fn add(&mut self, other: Self) {
        for item in other.items {
            match self.items.iter_mut().find(|known| known.what == item.what) {
                Some(known) => {
                    let strength = |item: &MaskItem| (item.enforce, item.style, !item.restore);
                    if strength(&item) > strength(known) {
                        *known = item;
                    }
                }
                None => self.items.push(item),
            }
        }
        for field in other.fields {
            match self
                .fields
                .iter_mut()
                .find(|known| known.path == field.path)
            {
                Some(known) => {
                    let strength = |field: &Field| (field.enforce, field.action);
                    if strength(&field) > strength(known) {
                        *known = field;
                    }
                }
                None => self.fields.push(field),
            }
        }
        self.phone_regions.extend(other.phone_regions);
    }
}

/// Reads the expression of a pattern, with `\b` as a boundary of ASCII words.
///
/// # Errors
/// What is wrong with it, in words: besides mistakes of syntax, that a match can be empty or has no bound, since a match that may go on for ever
/// could never be told in a stream.
pub fn parse_pattern(regex: &str) -> Result<Hir, String> {
    let hir = ParserBuilder::new()
        .nest_limit(64)
        .build()
        .parse(regex)
        .map_err(|error| match error {
            regex_syntax::Error::Parse(error) => {
                let start = error.span().start;
                format!("{} (at column {})", error.kind(), start.column)
            }
            regex_syntax::Error::Translate(error) => {
                let start = error.span().start;
                format!("{} (at column {})", error.kind(), start.column)
            }
            _ => "is no regular expression".to_owned(),
        })?;
    let properties = hir.properties();
    if properties.minimum_len().is_none_or(|length| length == 0) {
        return Err("matches the empty text: say what must be there, as in [0-9]{4,16}".to_owned());
    }
    match properties.maximum_len() {
        Some(length) if length <= MAX_MATCH_BYTES => {}
        Some(length) => {
            return Err(format!(
                "a match can have {length} bytes, and at most {MAX_MATCH_BYTES} can be held back in a stream: lower the bounds of {{n,m}} ('.' and classes \
                 like \\w count 4 bytes a character, [0-9A-Za-z] one)"
            ));
        }
        None => {
            return Err(
                "a match can be of any length: bound it, as in [0-9]{1,16} instead of [0-9]+ or [0-9]*"
                    .to_owned(),
            );
        }
    }
    if !properties
        .look_set()
        .iter()
        .all(|look| matches!(look, Look::WordAscii | Look::WordUnicode))
    {
        return Err(
            "only \\b can look around in a stream: ^, $, \\B and the like cannot be told there"
                .to_owned(),
        );
    }
    let hir = with_ascii_words(hir);
    regex_automata::nfa::thompson::Compiler::new()
        .configure(
            regex_automata::nfa::thompson::Config::new()
                .nfa_size_limit(Some(MAX_COMPILED_BYTES)),
        )
        .build_from_hir(&hir)
        .map_err(|_| {
            "is too large once compiled: lower its repetitions, or use [0-9A-Za-z] instead of classes of Unicode like \\w"
                .to_owned()
        })?;
    Ok(hir)
}

/// `hir` with boundaries of Unicode words as boundaries of ASCII words: automata that search streams know these alone.
fn with_ascii_words(hir: Hir) -> Hir {
    match hir.into_kind() {
        HirKind::Look(Look::WordUnicode) => Hir::look(Look::WordAscii),
        HirKind::Look(look) => Hir::look(look),
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Repetition(mut repetition) => {
            repetition.sub = Box::new(with_ascii_words(*repetition.sub));
            Hir::repetition(repetition)
        }
        HirKind::Capture(mut capture) => {
            capture.sub = Box::new(with_ascii_words(*capture.sub));
            Hir::capture(capture)
        }
        HirKind::Concat(parts) => Hir::concat(parts.into_iter().map(with_ascii_words).collect()),
        HirKind::Alternation(parts) => {
            Hir::alternation(parts.into_iter().map(with_ascii_words).collect())
        }
    }
}
