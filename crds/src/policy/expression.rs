//! Expressions on rules: CEL, compiled once and evaluated over the facts that they name. The one module that knows the `cel` crate.
//!
//! # What bounds it
//!
//! The parser and the evaluator of `cel` recurse, and neither has a budget. So what reaches them is bounded before:
//!
//! - The text has at most [`MAX_BYTES`] bytes of ASCII, [`scan::MAX_TOKENS`] tokens and [`scan::MAX_DEPTH`] levels, and what
//!   is parsed at most [`check::MAX_LEVELS`]. With that both fit into 1.5 MiB in a build without optimisation, of the 2 MiB that a thread of
//!   tokio has; a test shows it on a thread of that size with the deepest texts of every kind.
//! - Every name and every type is checked when it is compiled, so that what is left to fail when it is evaluated are facts that are not known,
//!   and arithmetic.
//! - Loops are `all`, `exists` and `exists_one`, over a list, and not one in another: `map` and `filter`, which make lists, do not exist. A list
//!   has at most [`fact::MAX_ENTRIES`] entries and [`fact::MAX_TEXT`] bytes, or the expression that names it fails. So an evaluation takes at most
//!   as many steps as `MAX_TOKENS × MAX_ENTRIES`, each of which looks at one fact at most.
//! - Patterns of `matches` are literals, compiled with the expression by an engine of linear time into at most [`MAX_PATTERN`] bytes.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use cel::{Context, Env, ExecutionError, Program, Value, extractors::This};
use regex_lite::{Regex, RegexBuilder};

use crate::facts::{Content, Facts};

mod check;
mod fact;
mod kind;
mod nearest;
mod scan;
#[cfg(test)]
mod tests;

use fact::{Fact, Source};

/// Most bytes of an expression.
pub(crate) const MAX_BYTES: usize = 4096;

/// Most bytes that a pattern of `matches` is compiled into.
const MAX_PATTERN: usize = 16 * 1024;

/// What the standard of CEL defines, without its optional values.
static STANDARD: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));

/// The same without macros: in what it parses, `has` and loops are still the calls that were written, and stand where they stood.
static AS_WRITTEN: LazyLock<Env> =
    LazyLock::new(|| Env::default().with_optional_support(false).with_stdlib());

/// A compiled expression.
#[derive(Clone)]
pub(super) struct Expression {
    source: String,
    program: Arc<Program>,
    /// What it names, sorted.
    facts: Vec<Fact>,
    patterns: Arc<Vec<(String, Regex)>>,
}

/// Something wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// Bytes before it.
    at: usize,
    /// What is wrong.
    message: String,
}

impl Mistake {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }

    /// The message with the column, and the line where `source` has several.
    fn in_source(&self, source: &str) -> String {
        let before = &source[..self.at.min(source.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |end| end + 1) + 1;
        if source.trim_end().contains('\n') {
            format!("line {line}, column {column}: {}", self.message)
        } else {
            format!("column {column}: {}", self.message)
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its column.
    pub(super) fn parse(source: &str) -> Result<Self, Vec<String>> {
        let told = |mistakes: Vec<Mistake>| -> Vec<String> {
            mistakes
                .iter()
                .map(|mistake| mistake.in_source(source))
                .collect()
        };
        if source.trim().is_empty() || source.len() > MAX_BYTES {
            return Err(vec![format!("must be 1 to {MAX_BYTES} bytes of CEL")]);
        }
        scan::scan(source).map_err(|mistake| told(vec![mistake]))?;
        let written = AS_WRITTEN
            .compile(source)
            .map_err(|errors| told(syntax(source, &errors)))?;
        let checked = check::check(&written).map_err(told)?;
        let program = STANDARD
            .compile(source)
            .map_err(|errors| told(syntax(source, &errors)))?;
        Ok(Self {
            source: source.to_owned(),
            program: Arc::new(program),
            facts: checked.facts,
            patterns: Arc::new(checked.patterns),
        })
    }

    /// As it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether it names what is not in the head of a call.
    pub(super) fn reads_content(&self) -> bool {
        self.facts.iter().any(|fact| fact.source() != Source::Head)
    }

    /// Whether it names the headers of a call.
    pub(super) fn reads_headers(&self) -> bool {
        self.facts.contains(&Fact::Headers)
    }

    /// Whether all that it names was looked at, be it known or not.
    pub(super) fn is_readable(&self, content: &Content<'_>) -> bool {
        self.facts.iter().all(|fact| match content {
            Content::Read(_) => true,
            Content::Uninspected(_) => fact.source() != Source::Body,
            Content::NotRead => fact.source() == Source::Head,
        })
    }

    /// The facts that it names with what they are for a call. They are quoted, so this is for the person who asks, and not for a log.
    pub(super) fn told(&self, facts: &Facts<'_>) -> String {
        let told: Vec<String> = self.facts.iter().map(|fact| fact.told(facts)).collect();
        told.join(", ")
    }

    /// Whether it is true of a call.
    ///
    /// # Errors
    /// Why it has no value, in the words of the policy: facts are named and not quoted.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> Result<bool, String> {
        let mut context = Context::with_env(Arc::clone(&STANDARD));
        let absent = fact::bind(&self.facts, facts, &mut context)?;
        if !self.patterns.is_empty() {
            let patterns = Arc::clone(&self.patterns);
            let matches = move |This(text): This<Arc<String>>, pattern: Arc<String>| {
                patterns
                    .iter()
                    .find(|(source, _)| *source == *pattern)
                    .is_some_and(|(_, regex)| regex.is_match(&text))
            };
            // Fails only where the environment has a function of the name, and `cel` has none without its feature `regex`.
            context
                .add_function("matches", matches)
                .map_err(|_| "matches is defined twice".to_owned())?;
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(value)) => Ok(value),
            Ok(_) => Err("it is neither true nor false".to_owned()),
            Err(error) => Err(in_our_words(&error, &absent)),
        }
    }
}

/// A pattern of `matches`.
fn compile_pattern(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(MAX_PATTERN)
        .build()
        .map_err(|error| error.to_string())
}

/// What the parser says, without its drawings.
fn syntax(source: &str, errors: &cel::ParseErrors) -> Vec<Mistake> {
    errors
        .errors
        .iter()
        .take(3) // The first tells; those that follow are mostly its echo.
        .map(|error| {
            let lines = usize::try_from(error.pos.0 - 1).unwrap_or(0);
            let before: usize = source.split_inclusive('\n').take(lines).map(str::len).sum();
            let column = usize::try_from(error.pos.1 - 1).unwrap_or(0);
            Mistake::new(before + column, error.msg.clone())
        })
        .collect()
}

/// Why an expression has no value. The errors of `cel` quote values; these do not.
fn in_our_words(error: &ExecutionError, absent: &[&str]) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => absent
            .iter()
            .find(|path| path.rsplit('.').next() == Some(key.as_str()))
            .map_or_else(
                || "a header that it names is not in the call".to_owned(),
                |path| format!("{path} is not known of this call"),
            ),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "it divides by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number in it is too large".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "a list in it has fewer entries".to_owned(),
        ExecutionError::FunctionError { function, .. } => format!("{function}() has no value"),
        _ => "it cannot be evaluated".to_owned(),
    }
}
