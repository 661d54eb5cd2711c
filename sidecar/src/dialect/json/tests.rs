use proptest::prelude::*;

use super::*;

/// Reads `text` and skips all of it.
fn skipped(text: &[u8]) -> Result<(), Fault> {
    read(text, |value| Ok(value.skip()?)).map_err(fault)
}

/// Reads `text` as an object with members `model` and `n`; gives what it found of them.
fn members(text: &str) -> Result<(Option<String>, Option<u64>), Error> {
    let (mut model, mut n) = (None, None);
    let result = read(text.as_bytes(), |value| {
        value.object(&["model", "n"], |field, value| {
            match field {
                "model" => model = Some(value.text()?.into_owned()),
                _ => n = Some(value.count()?),
            }
            Ok(())
        })
    });
    match result {
        Ok(()) => Ok((model, n)),
        Err(Unreadable::Json(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

fn fault(error: Unreadable) -> Fault {
    match error {
        Unreadable::Json(error) => error.fault,
        other => panic!("{other}"),
    }
}

#[test]
fn json_is_read() {
    for text in [
        "null",
        " \t\r\n true \n",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        "0",
        "-0",
        "-1.50e+10",
        "[1,2 , 3]",
        r#"{"a":{"b":[{"c":null}]},"d":"e"}"#,
        r#""\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00""#,
        "\"\u{7f}ä€😀\"",
    ] {
        assert_eq!(skipped(text.as_bytes()), Ok(()), "{text}");
    }
    assert_eq!(
        members(r#" { "x" : [1] , "model" : "gpt-4o" , "n" : 2 } "#),
        Ok((Some("gpt-4o".into()), Some(2)))
    );
}

#[test]
fn what_is_not_json_is_refused() {
    use Fault::{Control, End, Surrogate, Syntax, Trailing, Utf8};
    for (text, expected) in [
        (&b""[..], End),
        (b"  ", End),
        (b"{", End),
        (b"[1", End),
        (b"{\"a\"", End),
        (b"{\"a\":", End),
        (b"\"a", End),
        (b"\"a\\", End),
        (b"nul", Syntax),
        (b"NaN", Syntax),
        (b"Infinity", Syntax),
        (b"-", End),
        (b"+1", Syntax),
        (b"01", Trailing),
        (b"1.", End),
        (b".5", Syntax),
        (b"1e", End),
        (b"0x1", Trailing),
        (b"[1,]", Syntax),
        (b"[,1]", Syntax),
        (b"[1 2]", Syntax),
        (b"{\"a\":1,}", Syntax),
        (b"{a:1}", Syntax),
        (b"{'a':1}", Syntax),
        (b"{\"a\" 1}", Syntax),
        (b"{\"a\":1 \"b\":2}", Syntax),
        (b"{/**/}", Syntax),
        (b"{} x", Trailing),
        (b"{}{}", Trailing),
        (b"{}\0", Trailing),
        (b"{}\x0b", Trailing),
        (b"\xa0{}", Utf8),
        (b"\"\\x41\"", Syntax),
        (b"\"\\u12\"", Syntax),
        (b"\"\\u12g4\"", Syntax),
        (b"\"\\ud800\"", Surrogate),
        (b"\"\\ud800\\n\"", Surrogate),
        (b"\"\\ud800\\ud800\"", Surrogate),
        (b"\"\\udc00\"", Surrogate),
        (b"\"a\nb\"", Control),
        (b"\"\0\"", Control),
        (b"\"0123456789\x1f\"", Control),
        (b"\"\xff\"", Utf8),
        (b"\"\xed\xa0\x80\"", Utf8),
        (b"\"\xc0\x80\"", Utf8),
        (b"\xff\xfe{\0}\0", Utf8),
        (b"{\0}\0", Syntax),
    ] {
        let shown = String::from_utf8_lossy(text);
        assert_eq!(skipped(text), Err(expected), "{shown:?}");
    }
    assert_eq!(skipped(b"\xef\xbb\xbf{}"), Err(Fault::ByteOrderMark));
}

#[test]
fn a_key_stands_once_in_an_object_at_every_depth() {
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"a":1}"#,
        r#"{"a":1,"\u0061":1}"#,
        r#"{"ä":1,"\u00e4":1}"#,
        r#"{"":1,"":1}"#,
        r#"{"x":[{"y":{"a":1,"a":2}}]}"#,
        r#"[[[{"a/b":1,"a\/b":2}]]]"#,
    ] {
        assert_eq!(skipped(text.as_bytes()), Err(Fault::DuplicateKey), "{text}");
    }
    for text in [
        r#"{"a":{"a":1},"b":{"a":1}}"#,
        r#"[{"a":1},{"a":1}]"#,
        r#"{"a":1,"A":1}"#,
    ] {
        assert_eq!(skipped(text.as_bytes()), Ok(()), "{text}");
    }
    for text in [
        r#"{"model":"a","model":"b"}"#,
        r#"{"model":"a","mod\u0065l":"b"}"#,
    ] {
        assert_eq!(
            members(text).map_err(|e| e.fault),
            Err(Fault::DuplicateKey),
            "{text}"
        );
    }
}

#[test]
fn a_key_that_is_a_read_one_but_for_case_is_refused() {
    for text in [
        r#"{"Model":"x"}"#,
        r#"{"model":"x","MODEL":"y"}"#,
        r#"{"model":"x","\u004dodel":"y"}"#,
    ] {
        assert_eq!(
            members(text).map_err(|e| e.fault),
            Err(Fault::KeyCase("model")),
            "{text}"
        );
    }
    let folded = read("{\"token\u{17f}\":1}".as_bytes(), |value| {
        value.object(&["tokens"], |_, _| Ok(()))
    });
    assert_eq!(folded.map_err(fault), Err(Fault::KeyCase("tokens")));
    let kelvin = read("{\"to\\u212aens\":1}".as_bytes(), |value| {
        value.object(&["tokens"], |_, _| Ok(()))
    });
    assert_eq!(kelvin.map_err(fault), Err(Fault::KeyCase("tokens")));
    assert!(members("{\"mödel\":1}").is_ok());
}

#[test]
fn a_key_with_nul_is_refused() {
    assert_eq!(skipped(br#"{"model\u0000":1}"#), Err(Fault::KeyNul));
}

#[test]
fn nesting_ends_at_the_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let limit = usize::from(MAX_DEPTH);
    assert_eq!(skipped(nested(limit).as_bytes()), Ok(()));
    assert_eq!(skipped(nested(limit + 1).as_bytes()), Err(Fault::Depth));
    assert_eq!(skipped("[".repeat(1_000_000).as_bytes()), Err(Fault::Depth));
    assert_eq!(
        skipped("{\"a\":".repeat(1_000_000).as_bytes()),
        Err(Fault::Depth)
    );
    // What was closed does not count.
    let wide = format!("[{}]", vec![nested(limit - 1); 3].join(","));
    assert_eq!(skipped(wide.as_bytes()), Ok(()));
}

#[test]
fn a_number_that_we_read_is_whole_and_exact() {
    let n = |number: &str| members(&format!("{{\"n\":{number}}}")).map(|(_, n)| n);
    for (number, expected) in [
        ("0", 0),
        ("-0", 0),
        ("100", 100),
        ("100.0", 100),
        ("1e2", 100),
        ("9007199254740991", 9_007_199_254_740_991),
    ] {
        assert_eq!(n(number), Ok(Some(expected)), "{number}");
    }
    for number in [
        "-1",
        "1.5",
        "9007199254740992",
        "18446744073709551616",
        "1e400",
        "1e-400000000000",
        "\"100\"",
        "true",
        "null",
        "[1]",
    ] {
        let refused = n(number).map_err(|error| matches!(error.fault, Fault::Expected(_)));
        if number == "1e-400000000000" {
            assert_eq!(refused, Ok(Some(0)), "it is nothing, for every parser");
        } else {
            assert_eq!(refused, Err(true), "{number}");
        }
    }
    // Those that we do not read may be anything.
    assert_eq!(members(r#"{"x":1e400}"#), Ok((None, None)));
}

#[test]
fn an_error_names_the_member_and_the_place_and_quotes_nothing() {
    let error = members(r#"{"model":{"secret":"sk-1"}}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`model`: a string is expected here (at byte 9)"
    );
    let error = members(r#"{"sk-1":1,"sk-1":2}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a key stands twice in one object; send it once (at byte 19)"
    );
}

#[test]
fn a_value_that_nobody_takes_is_checked_all_the_same() {
    let untaken = |text: &str| {
        read(text.as_bytes(), |value| {
            value.object(&["model"], |_, _| Ok(()))
        })
        .map_err(fault)
    };
    assert_eq!(untaken(r#"{"model":{"a":1}}"#), Ok(()));
    assert_eq!(
        untaken(r#"{"model":{"a":1,"a":1}}"#),
        Err(Fault::DuplicateKey)
    );
    assert_eq!(untaken(r#"{"model":nul}"#), Err(Fault::Syntax));
}

#[test]
fn an_object_of_a_million_keys_takes_no_quadratic_time() {
    let members: Vec<String> = (0..200_000).map(|n| format!("\"{n}\":0")).collect();
    let text = format!("{{{}}}", members.join(","));
    let start = std::time::Instant::now();
    assert_eq!(skipped(text.as_bytes()), Ok(()));
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

/// A JSON document of any shape, without a key twice.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::hash_map(any::<String>(), inner, 0..8).prop_map(|map| {
                map.into_iter()
                    .map(|(key, value)| (key.replace('\0', ""), value))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = skipped(&bytes);
    }

    #[test]
    fn no_text_made_of_tokens_panics_and_what_is_read_serde_reads_too(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"a\"", "\"\\u0061\"", "\"", "\\", "1", "-", ".5", "e", "null", "true", " ", "\\ud800", "ä",
            ]),
            0..24,
        )
    ) {
        let text = tokens.concat();
        if skipped(text.as_bytes()).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn every_document_is_read(document in document()) {
        prop_assert_eq!(skipped(document.to_string().as_bytes()), Ok(()));
        let pretty = serde_json::to_string_pretty(&document).unwrap();
        prop_assert_eq!(skipped(pretty.as_bytes()), Ok(()));
    }

    #[test]
    fn a_string_is_what_serde_says(text in any::<String>()) {
        let encoded = serde_json::to_string(&text).unwrap();
        let mut read_back = None;
        read(encoded.as_bytes(), |value| {
            read_back = Some(value.text()?.into_owned());
            Ok(())
        }).unwrap();
        prop_assert_eq!(read_back, Some(text));
    }

    #[test]
    fn a_key_twice_anywhere_is_refused(document in document(), key in "[a-z\"\\\\ä]{0,4}", outer in 0..5_usize) {
        let encoded = serde_json::to_string(&key).unwrap();
        let escaped: String = key.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let mut text = format!("{{{encoded}:{document},\"{escaped}\":{document}}}");
        for _ in 0..outer {
            text = format!("[{document},{{\"x\":{text}}}]");
        }
        prop_assert_eq!(skipped(text.as_bytes()), Err(Fault::DuplicateKey));
    }

    #[test]
    fn a_run_ends_at_the_first_special_byte(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let first = bytes.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\');
        prop_assert_eq!(text::plain_run(&bytes), first.unwrap_or(bytes.len()));
    }
}
