//! Walks what an expression says: every name is a fact, every type fits, nothing in it is without a bound.

use cel::{
    IdedExpr, Program,
    common::ast::{CallExpr, Expr, LiteralValue, SourceInfo, operators},
};
use regex_lite::Regex;

use super::{Mistake, compile_pattern, fact::Fact, kind::Kind};
use crate::facts::READABLE_HEADERS;

/// What an expression names.
pub(super) struct Checked {
    /// Facts, sorted.
    pub(super) facts: Vec<Fact>,
    /// Patterns of `matches`, with their texts.
    pub(super) patterns: Vec<(String, Regex)>,
}

/// Most levels of an expression, a loop, a chain link of `+` and a member of `a.b.c` being one each. The evaluator takes 36 kB of stack for
/// each in a build without optimisation.
pub(super) const MAX_LEVELS: usize = 24;

/// Names that are no facts, but the first parts of them.
const ROOTS: [&str; 4] = ["request", "identity", "pod", "now"];

/// Checks an expression that was parsed without macros.
///
/// # Errors
/// All mistakes; an expression that is wrong in a part is not also wrong as a whole.
pub(super) fn check(program: &Program) -> Result<Checked, Vec<Mistake>> {
    let mut walk = Walk {
        source: program.source_info(),
        facts: Vec::new(),
        patterns: Vec::new(),
        mistakes: Vec::new(),
        local: None,
        level: 0,
    };
    let kind = walk.kind(program.expression());
    if let Some(kind) = kind.filter(|kind| *kind != Kind::Bool) {
        walk.mistake(
            program.expression(),
            format!("this is {kind}, and must be a bool"),
        );
    }
    if !walk.mistakes.is_empty() {
        walk.mistakes.sort_by_key(|mistake| mistake.at);
        return Err(walk.mistakes);
    }
    walk.facts.sort_unstable();
    walk.facts.dedup();
    Ok(Checked {
        facts: walk.facts,
        patterns: walk.patterns,
    })
}

struct Walk<'a> {
    source: &'a SourceInfo,
    facts: Vec<Fact>,
    patterns: Vec<(String, Regex)>,
    mistakes: Vec<Mistake>,
    /// The variable of the loop that the walk is in.
    local: Option<(&'a str, Kind)>,
    /// How deep in the expression the walk is.
    level: usize,
}

impl<'a> Walk<'a> {
    fn mistake(&mut self, expr: &IdedExpr, message: impl Into<String>) -> Option<Kind> {
        // A selection stands at its dot; a reader looks for where it begins.
        let mut first = expr;
        while let Expr::Select(select) = &first.expr {
            first = &select.operand;
        }
        let (start, _) = self.source.offset_for(first.id).unwrap_or_default();
        self.mistakes.push(Mistake::new(start as usize, message));
        None
    }

    /// The type of an expression; nothing where it was told already what is wrong with it.
    fn kind(&mut self, expr: &'a IdedExpr) -> Option<Kind> {
        if self.level == MAX_LEVELS {
            return self.mistake(
                expr,
                format!("an expression nests at most {MAX_LEVELS} levels deep, and so many links has a chain; write several rules"),
            );
        }
        self.level += 1;
        let kind = self.kind_of(expr);
        self.level -= 1;
        kind
    }

    fn kind_of(&mut self, expr: &'a IdedExpr) -> Option<Kind> {
        match &expr.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Some(Kind::Bool),
                LiteralValue::Int(_) => Some(Kind::Int),
                LiteralValue::UInt(_) => Some(Kind::Uint),
                LiteralValue::Double(_) => Some(Kind::Double),
                LiteralValue::String(_) => Some(Kind::Text),
                LiteralValue::Null | LiteralValue::Bytes(_) => self.mistake(
                    expr,
                    "no fact is null or bytes; ask has() whether one is known",
                ),
            },
            Expr::Ident(_) | Expr::Select(_) => self.name(expr),
            Expr::List(list) => self.list(expr, &list.elements),
            Expr::Call(call) => self.call(expr, call),
            Expr::Map(_) | Expr::Struct(_) | Expr::Comprehension(_) | Expr::Unspecified => {
                self.mistake(expr, "there are no maps and structures to write")
            }
        }
    }

    fn name(&mut self, expr: &'a IdedExpr) -> Option<Kind> {
        if let (Expr::Ident(name), Some((local, kind))) = (&expr.expr, &self.local)
            && name == local
        {
            return Some(kind.clone());
        }
        let Some(path) = path(expr) else {
            return self.mistake(expr, "only facts have members, and this is none");
        };
        if let Some(fact) = Fact::find(&path) {
            self.facts.push(fact);
            return Some(fact.kind());
        }
        if let Some(header) = path.strip_prefix("request.headers.") {
            return self.header(expr, header);
        }
        let known: Vec<&str> = Fact::ALL.iter().map(|fact| fact.path()).collect();
        match super::nearest::nearest(&path, &known) {
            Some(near) => self.mistake(expr, format!("{path} is no fact; did you mean {near}?")),
            None => {
                let root = path.split('.').next().unwrap_or_default();
                let below: Vec<&str> = known.into_iter().filter(|fact| below(fact, root)).collect();
                if below.is_empty() {
                    self.mistake(
                        expr,
                        format!("{path} is no fact; there are those of {}", ROOTS.join(", ")),
                    )
                } else {
                    self.mistake(
                        expr,
                        format!("{path} is no fact; there are {}", below.join(", ")),
                    )
                }
            }
        }
    }

    fn header(&mut self, expr: &'a IdedExpr, name: &str) -> Option<Kind> {
        if !READABLE_HEADERS.contains(&name) {
            let known = READABLE_HEADERS.join(", ");
            return self.mistake(
                expr,
                format!("{name:?} is no header that a rule reads; there are {known}"),
            );
        }
        self.facts.push(Fact::Headers);
        Some(Kind::Text)
    }

    fn list(&mut self, expr: &'a IdedExpr, elements: &'a [IdedExpr]) -> Option<Kind> {
        let mut of = None;
        for element in elements {
            let kind = self.kind(element)?;
            match &of {
                Some(of) if *of != kind => {
                    return self.mistake(element, format!("this is {kind} in a list of {of}"));
                }
                _ => of = Some(kind),
            }
        }
        match of {
            None => self.mistake(expr, "nothing is in an empty list"),
            Some(Kind::List(_) | Kind::Map) => self.mistake(expr, "there are no lists of lists"),
            Some(of) => Some(Kind::List(Box::new(of))),
        }
    }

    fn call(&mut self, expr: &'a IdedExpr, call: &'a CallExpr) -> Option<Kind> {
        if let Some(target) = &call.target {
            return self.method(expr, call, target);
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, one, other]) => {
                self.wanted(condition, &Kind::Bool);
                let (one, kind) = (self.kind(one), self.kind(other));
                let (one, kind) = (one?, kind?);
                if one != kind {
                    return self.mistake(
                        expr,
                        format!("both values must have one type, and not {one} and {kind}"),
                    );
                }
                Some(kind)
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, terms) => {
                for term in terms {
                    self.wanted(term, &Kind::Bool);
                }
                Some(Kind::Bool)
            }
            (operators::LOGICAL_NOT, [term]) => {
                self.wanted(term, &Kind::Bool);
                Some(Kind::Bool)
            }
            (operators::NEGATE, [term]) => match self.kind(term)? {
                kind @ (Kind::Int | Kind::Double) => Some(kind),
                kind => self.mistake(term, format!("{kind} has no negative")),
            },
            (operators::EQUALS | operators::NOT_EQUALS, [one, other]) => {
                self.compared(expr, one, other)?;
                Some(Kind::Bool)
            }
            (
                operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                [one, other],
            ) => {
                let kind = self.compared(expr, one, other)?;
                if kind.is_number() || kind == Kind::Text {
                    return Some(Kind::Bool);
                }
                self.mistake(expr, format!("{kind} is not less or greater than another"))
            }
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO,
                [one, other],
            ) => self.arithmetic(expr, &call.func_name, one, other),
            (operators::IN, [one, other]) => self.is_in(expr, one, other),
            (operators::INDEX, [list, index]) => self.index(expr, list, index),
            ("has", [argument]) => self.has(argument),
            ("size", [argument]) => self.size(argument),
            ("int" | "double" | "string", [argument]) => self.conversion(&call.func_name, argument),
            (name, arguments) => {
                for argument in arguments {
                    self.kind(argument);
                }
                self.no_function(expr, name)
            }
        }
    }

    fn no_function(&mut self, expr: &IdedExpr, name: &str) -> Option<Kind> {
        self.mistake(
            expr,
            match name {
                "map" | "filter" => format!("there is no {name}(), which makes lists; use all, exists or exists_one"),
                "matches" => "write matches() behind a text, as in request.path.matches(r'^/v1/')".to_owned(),
                name => format!(
                    "there is no function {name:?} with these arguments; there are has, size, int, double and string, and behind a value \
                     startsWith, endsWith, contains, matches, size, all, exists and exists_one"
                ),
            },
        )
    }

    fn method(
        &mut self,
        expr: &'a IdedExpr,
        call: &'a CallExpr,
        target: &'a IdedExpr,
    ) -> Option<Kind> {
        match (call.func_name.as_str(), call.args.as_slice()) {
            ("startsWith" | "endsWith" | "contains", [part]) => {
                self.wanted(target, &Kind::Text);
                self.wanted(part, &Kind::Text);
                Some(Kind::Bool)
            }
            ("matches", [pattern]) => {
                self.wanted(target, &Kind::Text);
                self.pattern(pattern);
                Some(Kind::Bool)
            }
            ("size", []) => self.size(target),
            ("all" | "exists" | "exists_one" | "existsOne", [variable, body]) => {
                self.comprehension(expr, target, variable, body)
            }
            (name, _) => self.no_function(expr, name),
        }
    }

    /// Says so where an expression is not of type `kind`.
    fn wanted(&mut self, expr: &'a IdedExpr, kind: &Kind) {
        if let Some(other) = self.kind(expr)
            && other != *kind
        {
            self.mistake(expr, format!("this is {other}, and must be {kind}"));
        }
    }

    fn compared(
        &mut self,
        expr: &'a IdedExpr,
        one: &'a IdedExpr,
        other: &'a IdedExpr,
    ) -> Option<Kind> {
        let (one, other) = (self.kind(one), self.kind(other));
        let (one, other) = (one?, other?);
        if one.compares_to(&other) {
            return Some(one);
        }
        self.mistake(
            expr,
            format!("{one} is compared with {other}, which it never equals"),
        )
    }

    fn arithmetic(
        &mut self,
        expr: &'a IdedExpr,
        operator: &str,
        one: &'a IdedExpr,
        other: &'a IdedExpr,
    ) -> Option<Kind> {
        let (one, other) = (self.kind(one), self.kind(other));
        let (one, other) = (one?, other?);
        let sign = operator.trim_matches('_');
        if one != other {
            return self.mistake(
                expr,
                format!(
                    "{sign} stands between {one} and {other}; convert one with int() or double()"
                ),
            );
        }
        match one {
            Kind::Int | Kind::Uint => Some(one),
            Kind::Double if operator != operators::MODULO => Some(one),
            Kind::Text if operator == operators::ADD => Some(one),
            _ => self.mistake(expr, format!("there is no {sign} of {one}")),
        }
    }

    fn is_in(
        &mut self,
        expr: &'a IdedExpr,
        one: &'a IdedExpr,
        other: &'a IdedExpr,
    ) -> Option<Kind> {
        let (kind, list) = (self.kind(one), self.kind(other));
        match (kind?, list?) {
            (Kind::Text, Kind::Map) => match &one.expr {
                Expr::Literal(LiteralValue::String(name)) => {
                    self.header(one, name.inner()).map(|_| Kind::Bool)
                }
                _ => Some(Kind::Bool),
            },
            (kind, Kind::List(of)) if kind.compares_to(&of) => Some(Kind::Bool),
            (kind, list) => self.mistake(expr, format!("{kind} is never in {list}")),
        }
    }

    fn index(
        &mut self,
        expr: &'a IdedExpr,
        list: &'a IdedExpr,
        index: &'a IdedExpr,
    ) -> Option<Kind> {
        let (of, kind) = (self.kind(list), self.kind(index));
        match (of?, kind?) {
            (Kind::List(of), Kind::Int) => Some(*of),
            (Kind::Map, Kind::Text) => match &index.expr {
                Expr::Literal(LiteralValue::String(name)) => self.header(index, name.inner()),
                _ => self.mistake(index, "write the name of the header itself"),
            },
            (of, kind) => self.mistake(expr, format!("{of} has no entry by {kind}")),
        }
    }

    /// Whether a fact is known.
    fn has(&mut self, argument: &'a IdedExpr) -> Option<Kind> {
        if matches!(argument.expr, Expr::Select(_)) {
            return self.name(argument).map(|_| Kind::Bool);
        }
        self.mistake(
            argument,
            "has() asks for a fact, as in has(request.maxTokens); for a header, write \"user-agent\" in request.headers",
        )
    }

    fn size(&mut self, argument: &'a IdedExpr) -> Option<Kind> {
        match self.kind(argument)? {
            Kind::Text | Kind::List(_) | Kind::Map => Some(Kind::Int),
            kind => self.mistake(argument, format!("{kind} has no size")),
        }
    }

    fn conversion(&mut self, to: &str, argument: &'a IdedExpr) -> Option<Kind> {
        let kind = self.kind(argument)?;
        match to {
            "string" if kind.is_number() || matches!(kind, Kind::Bool | Kind::Text) => {
                Some(Kind::Text)
            }
            "int" if kind.is_number() || kind == Kind::Text => Some(Kind::Int),
            "double" if kind.is_number() || kind == Kind::Text => Some(Kind::Double),
            _ => self.mistake(argument, format!("{kind} cannot be converted to {to}")),
        }
    }

    fn pattern(&mut self, expr: &'a IdedExpr) {
        let Expr::Literal(LiteralValue::String(pattern)) = &expr.expr else {
            self.mistake(expr, "the pattern of matches() must be a literal");
            return;
        };
        match compile_pattern(pattern.inner()) {
            Ok(regex) => self.patterns.push((pattern.inner().to_owned(), regex)),
            Err(error) => {
                self.mistake(expr, format!("this is no pattern: {error}"));
            }
        }
    }

    fn comprehension(
        &mut self,
        expr: &'a IdedExpr,
        list: &'a IdedExpr,
        variable: &'a IdedExpr,
        body: &'a IdedExpr,
    ) -> Option<Kind> {
        if self.local.is_some() {
            return self.mistake(expr, "a loop in a loop takes too long; write two rules");
        }
        let of = match self.kind(list)? {
            Kind::List(of) => *of,
            Kind::Map => Kind::Text,
            kind => return self.mistake(list, format!("{kind} is no list")),
        };
        match &variable.expr {
            Expr::Ident(name) if !ROOTS.contains(&name.as_str()) && !name.starts_with('.') => {
                self.local = Some((name, of));
            }
            _ => {
                return self.mistake(
                    variable,
                    "name a variable here, other than request, identity, pod and now",
                );
            }
        }
        self.wanted(body, &Kind::Bool);
        self.local = None;
        Some(Kind::Bool)
    }
}

/// Whether a fact's name begins with `root` and a dot.
fn below(fact: &str, root: &str) -> bool {
    fact.strip_prefix(root)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// `a.b.c`, where an expression is nothing but a name.
fn path(expr: &IdedExpr) -> Option<String> {
    match &expr.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => {
            Some(format!("{}.{}", path(&select.operand)?, select.field))
        }
        _ => None,
    }
}
