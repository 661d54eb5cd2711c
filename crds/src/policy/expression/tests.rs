//! What expressions are refused for, and what bounds those that are not. What they mean is told by the golden files.

use std::{borrow::Cow, thread};

use super::*;
use crate::facts::{Call, Model, Models};

/// Three quarters of the stack of one of tokio's threads: the rest is for who calls.
const STACK: usize = 3 * 512 * 1024;

fn call(content: Call) -> Facts<'static> {
    Facts {
        content: Content::Read(Cow::Owned(content)),
        ..Facts::of_head("openai", "POST", "/v1/chat/completions")
    }
}

fn mistakes(source: &str) -> Vec<String> {
    Expression::parse(source).expect_err(source)
}

/// Parses and evaluates on a thread with a stack of `bytes`; where that overflows, the whole test run aborts.
fn on_a_stack_of(bytes: usize, source: String) -> Result<Result<bool, String>, Vec<String>> {
    let run = move || Expression::parse(&source).map(|parsed| parsed.holds(&call(Call::default())));
    thread::Builder::new()
        .stack_size(bytes)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap()
}

/// The deepest texts that come past the scanner, of every way in which the grammar recurses.
fn deepest() -> Vec<String> {
    let links = scan::MAX_TOKENS / 2 - scan::MAX_DEPTH - 1;
    let nested = |open: &str, inner: &str, close: &str| {
        format!(
            "{}{inner}{}",
            open.repeat(scan::MAX_DEPTH),
            close.repeat(scan::MAX_DEPTH)
        )
    };
    let chains = ["+1", "-1", "*1", "==1", "<1", " in 1", ".a", "&&a", "||a"]
        .map(|link| format!("1{}", link.repeat(links)));
    let mut texts = vec![
        "!".repeat(scan::MAX_TOKENS - 1) + "a",
        "-".repeat(scan::MAX_TOKENS - 1) + "a",
        "!-".repeat(scan::MAX_TOKENS / 2 - 1) + "a",
        "a?".repeat(scan::MAX_DEPTH) + "a" + &":a".repeat(scan::MAX_DEPTH),
        "a?a:".repeat(scan::MAX_DEPTH) + "a",
        nested("!", "a", ""),
        nested("a.exists(x,", "x", ")"),
        nested("!(", "true", ")"),
        nested("-(", "1", ")"),
        nested("{1:", "1", "}"),
        nested("a{b:", "1", "}"),
        format!("a{}", "[0]".repeat(scan::MAX_TOKENS / 3 - 1)),
        format!("a{}", ".a()".repeat(scan::MAX_TOKENS / 4 - 1)),
        "(".repeat(scan::MAX_DEPTH),
        "[".repeat(scan::MAX_DEPTH),
    ];
    for chain in &chains {
        texts.push(chain.clone());
        texts.push(nested("(", chain, ")"));
        texts.push(nested("[", chain, "]"));
        texts.push(nested("f(", &chain[..chain.len() / 2], ")"));
    }
    // These are true, so they are evaluated too.
    let sum = format!("1{} > 0", "+1".repeat(check::MAX_LEVELS - 6));
    texts.push(sum.clone());
    texts.push(nested("(", &sum, ")"));
    texts.push(format!("true{}", " && true".repeat(links)));
    texts.push(format!(
        "'a'.matches(r'{}{}') || 1 > 0",
        "(".repeat(50),
        ")".repeat(50)
    ));
    texts.push(format!(
        "[1].exists(x, {})",
        format!("({sum})").replace("1+", "x+")
    ));
    texts
}

#[test]
fn the_deepest_expression_fits_into_the_stack_of_a_thread() {
    for text in deepest() {
        assert_eq!(scan::scan(&text), Ok(()), "{text}");
        let result = on_a_stack_of(STACK, text.clone());
        if text.contains("> 0") || text.starts_with("true &&") {
            assert_eq!(result, Ok(Ok(true)), "{text}");
        }
    }
}

#[test]
fn a_text_of_too_many_tokens_or_levels_never_reaches_the_parser() {
    let texts = [
        format!("1{} > 0", "+1".repeat(1000)),
        "(".repeat(4000),
        "!(".repeat(2000),
        "a?a:".repeat(100) + "a",
        "'\\q' + ((((((((((((".to_owned(),
        "''' ' ((((((((((((((".to_owned(),
        "// '\n((((((((((((((".to_owned(),
        "b'((((((((((((('".to_owned(),
        "'a\n((((((((((((((".to_owned(),
        "\u{2028}((((((((((((((".to_owned(),
    ];
    for text in texts {
        assert!(scan::scan(&text).is_err(), "{text}");
        assert!(on_a_stack_of(64 * 1024, text).is_err());
    }
}

#[test]
fn a_string_is_one_token_whatever_is_in_it() {
    for text in [
        "'((((((((((' == \"((((((((((\"",
        r#"'\'((((((((((' == "\"((((((((((""#,
        r"r'\((((((((((' == 'x'",
        r"request.path.matches(r'^/v1/(a|b)/(\d+)/((((((((c))))))))$')",
    ] {
        assert_eq!(scan::scan(text), Ok(()), "{text}");
        assert!(
            Expression::parse(text).is_ok(),
            "{text}: {:?}",
            mistakes(text)
        );
    }
}

#[test]
fn no_text_makes_it_panic_and_what_is_accepted_is_a_bool_of_fitting_types() {
    use proptest::prelude::*;
    proptest!(|(text in "[a-z.()\\[\\]{}?:!&|<>=+*/%'\", 0-9-]{0,60}")| {
        if let Ok(parsed) = Expression::parse(&text) {
            let _ = parsed.holds(&call(Call::default()));
        }
    });
    let words = prop::sample::select(vec![
        "request.model",
        "request.tools",
        "request.n",
        "request.stream",
        "'a'",
        "1",
        "1.5",
        "2u",
        "true",
        "(",
        ")",
        "[",
        "]",
        ",",
        "==",
        "<",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "%",
        "/",
        " in ",
        "?",
        ":",
        ".size()",
        ".exists(x, ",
        "x",
        "has(",
        "int(",
        "string(",
        ".matches('a')",
        ".startsWith(",
    ]);
    let facts = call(Call {
        models: Models::Named(vec![Model::new("a")]),
        tools: vec!["a".into()],
        ..Call::default()
    });
    proptest!(ProptestConfig::with_cases(1024), |(words in prop::collection::vec(words, 1..14))| {
        if let Ok(parsed) = Expression::parse(&words.concat())
            && let Err(error) = parsed.holds(&facts)
        {
            prop_assert!(!error.contains("neither true") && !error.contains("cannot be evaluated"), "{error}");
        }
    });
}

#[test]
fn a_list_that_is_too_long_to_loop_over_fails() {
    let of_tools = |tools: Vec<String>| {
        let expression = Expression::parse("request.tools.all(t, t.startsWith('a'))").unwrap();
        expression.holds(&call(Call {
            tools,
            ..Call::default()
        }))
    };
    assert_eq!(of_tools(vec!["a".into(); fact::MAX_ENTRIES]), Ok(true));
    let told = Err(format!(
        "request.tools has more than {} entries or {} bytes",
        fact::MAX_ENTRIES,
        fact::MAX_TEXT
    ));
    assert_eq!(of_tools(vec!["a".into(); fact::MAX_ENTRIES + 1]), told);
    assert_eq!(of_tools(vec!["a".repeat(fact::MAX_TEXT + 1)]), told);
}

#[test]
fn an_error_quotes_no_fact() {
    let facts = Call {
        models: Models::Named(vec![Model::new("secret-model")]),
        n: 7,
        ..Call::default()
    };
    for source in [
        "int(request.model) == 1",
        "request.models[1] == 'x'",
        "request.n / (request.n - request.n) == 1",
        "request.n % (request.n - request.n) == 1",
        "request.n * 9223372036854775807 == 1",
        "double(request.model) == 1.0",
        "request.headers.accept == 'x'",
        "request.maxTokens == 1",
        "request.embeddings.count == 1",
    ] {
        let error = Expression::parse(source)
            .unwrap()
            .holds(&call(facts.clone()));
        let error = error.expect_err(source);
        assert!(!error.contains("secret"), "{source}: {error}");
        assert!(!error.contains('7'), "{source}: {error}");
    }
}

#[test]
fn an_explanation_tells_the_facts_that_an_expression_names() {
    let expression = Expression::parse(
        "request.n > 1 && request.models == ['a'] && request.stream && has(request.maxTokens) && 'accept' in request.headers",
    )
    .unwrap();
    let facts = Facts {
        headers: vec![("accept", "b".into())],
        ..call(Call {
            models: Models::Named(vec![Model::new("a")]),
            ..Call::default()
        })
    };
    assert_eq!(
        expression.told(&facts),
        r#"request.models is ["a"], request.stream is false, request.maxTokens is not known, request.n is 0, request.headers is {accept: "b"}"#
    );
}

#[test]
fn every_fact_has_the_type_that_the_table_says() {
    let all = call(Call {
        models: Models::Named(vec![Model::new("m")]),
        max_tokens: Some(1),
        estimated_input_tokens: Some(1),
        estimated_cost: Some(crate::money::Usd::default()),
        tools: vec!["t".into()],
        messages: Some(1),
        image_size: Some("1x1".into()),
        embeddings_count: Some(1),
        collection: Some("c".into()),
        namespace: Some("n".into()),
        ..Call::default()
    });
    let all = Facts {
        host: "h",
        identity: ("agents", "bot"),
        pod: "p",
        headers: vec![("accept", "a".into()), ("accept", "b".into())],
        ..all
    };
    for fact in Fact::ALL {
        let path = fact.path();
        let source = match fact.kind() {
            kind::Kind::Bool => format!("{path} || !{path}"),
            kind::Kind::Int => format!("{path} + 1 > 0"),
            kind::Kind::Uint => format!("{path} + 1u > 0u"),
            kind::Kind::Double => format!("{path} + 1.0 > 0.0"),
            kind::Kind::Text => format!("{path}.size() + {path}.size() > 0"),
            kind::Kind::List(_) => {
                format!("{path}[0].size() > 0 && {path}.exists(x, x.size() > 0)")
            }
            kind::Kind::Map => format!("{path}['accept'] == 'a, b' && !('traceparent' in {path})"),
        };
        assert_eq!(
            Expression::parse(&source).unwrap().holds(&all),
            Ok(true),
            "{source}"
        );
        assert_eq!(
            Expression::parse(&format!("has({path})"))
                .unwrap()
                .holds(&all),
            Ok(true),
            "{path}"
        );
    }
    let nothing = Facts::of_head("", "", "");
    for fact in Fact::ALL
        .iter()
        .filter(|fact| fact.source() != Source::Head)
    {
        let asked = format!("has({})", fact.path());
        assert_eq!(
            Expression::parse(&asked).unwrap().holds(&nothing),
            Ok(false),
            "{asked}"
        );
    }
}
