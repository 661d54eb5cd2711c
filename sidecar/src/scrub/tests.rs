//! Every form is found, however it is split.

use std::{fmt::Write as _, sync::Arc};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderMap, Response};
use hyper::ext::ReasonPhrase;
use postern_crds::{Secret, source::Shape};
use proptest::prelude::*;
use serde_json::json;

use super::{Needles, Scrubber, Secrets, needles::MIN_SECRET};

const KEY: &str = "sk-p%41\"&/+\\~>?key";
const PLACEHOLDER: &str = "sk-placeholder";

fn needles() -> Arc<Needles> {
    needles_of(KEY.as_bytes())
}

fn needles_of(secret: &[u8]) -> Arc<Needles> {
    Arc::new(Needles::new([secret].into_iter(), PLACEHOLDER).unwrap())
}

fn written(escape: impl Fn(u8) -> String) -> String {
    KEY.bytes().map(escape).collect()
}

fn forms() -> Vec<String> {
    let lower = written(|byte| format!("{byte:02x}"));
    let mut mixed = String::new();
    for (index, byte) in KEY.bytes().enumerate() {
        match index % 4 {
            0 => write!(mixed, "%{byte:02x}").unwrap(),
            1 => write!(mixed, "\\u{byte:04X}").unwrap(),
            2 => write!(mixed, "&#x{byte:x};").unwrap(),
            _ => mixed.push(char::from(byte)),
        }
    }
    let mut forms = vec![
        KEY.to_owned(),
        crate::percent::encode(KEY.as_bytes(), b""),
        written(|byte| format!("%{byte:02x}")),
        serde_json::to_string(KEY).unwrap(),
        written(|byte| format!("\\u{byte:04x}")),
        written(|byte| format!("&#{byte};")),
        KEY.replace('&', "&amp;")
            .replace('"', "&quot;")
            .replace('>', "&gt;"),
        lower.to_uppercase(),
        lower,
        mixed,
    ];
    let in_json = |text: &str| serde_json::to_string(text).unwrap();
    forms.extend([
        in_json(&in_json(KEY)),
        in_json(&in_json(&in_json(KEY))),
        in_json(&crate::percent::encode(in_json(KEY).as_bytes(), b"")),
        written(|byte| format!("%25{byte:02x}")),
        written(|byte| format!("&amp;amp;#{byte};")),
        written(|byte| format!("\\\\u{byte:04x}")),
    ]);
    for before in ["", "a", "ab"] {
        let text = format!("{before}{KEY}:zz");
        let encoded = BASE64_STANDARD.encode(&text);
        forms.push(crate::percent::encode(encoded.as_bytes(), b""));
        forms.push(encoded);
        forms.push(BASE64_URL_SAFE_NO_PAD.encode(&text));
    }
    forms
}

/// What comes out of `text` that comes in pieces of these lengths, over and over; and how many were found.
fn scrubbed(text: &[u8], lengths: &[usize]) -> (Vec<u8>, u64) {
    let mut scrubber = Scrubber::new(Some(needles()));
    let mut out = Vec::new();
    let mut rest = text;
    let mut lengths = lengths.iter().cycle();
    while !rest.is_empty() {
        let length = lengths
            .next()
            .copied()
            .unwrap_or(rest.len())
            .min(rest.len());
        out.extend(scrubber.push(Bytes::copy_from_slice(&rest[..length])));
        rest = &rest[length..];
    }
    out.extend(scrubber.finish(Bytes::new()));
    assert_eq!(scrubber.held(), 0);
    (out, scrubber.take_found())
}

#[test]
fn every_form_is_found_split_at_every_byte() {
    for form in forms() {
        let text = format!("{{\"a\": \"%2, {form}\"}}");
        let (whole, found) = scrubbed(text.as_bytes(), &[]);
        assert_eq!(found, 1, "{form}");
        let out = String::from_utf8(whole.clone()).unwrap();
        assert!(out.contains(PLACEHOLDER) && !out.contains(&form), "{out}");
        assert_eq!(
            out.len(),
            text.len(),
            "what is told of its length stays true"
        );
        for at in 1..text.len() {
            assert_eq!(scrubbed(text.as_bytes(), &[at, text.len()]).0, whole);
        }
        assert_eq!(scrubbed(text.as_bytes(), &[1]).0, whole);
    }
}

#[test]
fn what_has_none_goes_on_at_once_and_uncopied() {
    let mut scrubber = Scrubber::new(Some(needles()));
    let piece = Bytes::from_static(b"data: {\"delta\": \"a \\n b 5% off &amp; so on\"}\n\n");
    let out = scrubber.push(piece.clone());
    assert_eq!(out.as_ptr(), piece.as_ptr());
    assert_eq!((out, scrubber.held()), (piece, 0));
}

#[test]
fn an_escape_that_never_ends_is_not_waited_for() {
    let mut scrubber = Scrubber::new(Some(needles()));
    for text in ["&#00", "%7", "\\u00", "&am", "%25"] {
        assert!(scrubber.push(text.into()).is_empty(), "{text}");
        assert_eq!(scrubber.push("zz ".into()), format!("{text}zz "));
    }
    let zeros = format!("&#{}", "0".repeat(40));
    assert_eq!(scrubber.push(zeros.clone().into()), zeros);
}

#[test]
fn a_placeholder_is_cut_or_filled_up_to_the_length_of_the_secret() {
    for (secret, expected) in [
        ("sk-a-key", "<sk-place>"),
        ("a-secret-of-some-length", "<sk-placeholder--------->"),
    ] {
        let mut scrubber = Scrubber::new(Some(needles_of(secret.as_bytes())));
        assert_eq!(scrubber.finish(format!("<{secret}>").into()), expected);
    }
}

#[test]
fn a_secret_that_comes_byte_by_byte_in_its_longest_spelling_takes_no_long_time() {
    // As long as a credential may be. Looked at anew with every byte, this takes minutes.
    let secret: String = (0..16 * 1024)
        .map(|index| char::from(b'!' + u8::try_from(index * 7 % 94).unwrap()))
        .collect();
    let spelled: String = BASE64_STANDARD
        .encode(&secret)
        .bytes()
        .map(|byte| format!("&#{byte:08};"))
        .collect();
    let mut scrubber = Scrubber::new(Some(needles_of(secret.as_bytes())));
    let mut out = Vec::new();
    for byte in spelled.bytes() {
        out.extend(scrubber.push(Bytes::copy_from_slice(&[byte])));
        assert!(scrubber.held() <= spelled.len());
    }
    out.extend(scrubber.finish(Bytes::new()));
    assert_eq!((out.len(), scrubber.take_found()), (spelled.len(), 1));
    assert!(out.starts_with(PLACEHOLDER.as_bytes()));
}

#[test]
fn headers_are_scrubbed_and_so_are_the_words_behind_a_status() {
    let place = format!(
        "https://a/?k={}&",
        crate::percent::encode(KEY.as_bytes(), b"")
    );
    let mut response = Response::builder()
        .header("location", &place)
        .header("set-cookie", "a=b")
        .header("set-cookie", "k=c2stcCU0MSImLysLfj4/a2V5")
        .header("set-cookie", format!("k={}", BASE64_STANDARD.encode(KEY)))
        .extension(ReasonPhrase::try_from(format!("No {KEY}").into_bytes()).unwrap())
        .body(())
        .unwrap();
    let mut scrubber = Scrubber::new(Some(needles()));
    scrubber.head(&mut response);
    assert_eq!(scrubber.take_found(), 3);
    let location = response.headers()["location"].to_str().unwrap();
    assert!(
        location.starts_with(&format!("https://a/?k={PLACEHOLDER}-"))
            && location.ends_with("-&")
            && location.len() == place.len(),
        "{location}"
    );
    let cookies: Vec<&str> = response
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert_eq!(
        cookies,
        [
            "a=b",
            "k=c2stcCU0MSImLysLfj4/a2V5",
            "k=sk-placeholder----------"
        ]
    );
    assert!(response.extensions().get::<ReasonPhrase>().is_none());

    let mut headers = HeaderMap::new();
    headers.insert("x-fine", "as it was".parse().unwrap());
    scrubber.headers(&mut headers);
    assert_eq!(
        (&headers["x-fine"], scrubber.take_found()),
        (&"as it was".parse().unwrap(), 0)
    );
}

/// What of `echo` is left on a route that puts `secret` in by `inject`.
fn left(inject: &serde_json::Value, secret: &str, echo: &str) -> String {
    let spec = json!({"serviceAccountNames": ["bot"], "credentials": [{
        "name": "a",
        "http": {"hosts": ["a.example.com"], "inject": inject},
        "source": {"secret": {"name": "keys", "key": "a"}},
    }]});
    let spec: postern_crds::AgentIdentitySpec = serde_json::from_value(spec).unwrap();
    let routes = postern_crds::route::compile("agents", "bot", &spec).unwrap();
    let shape = Shape::of(&spec.credentials[0]);
    let secret = Secret::new(secret.as_bytes().to_vec());
    let needles = Secrets::of(&routes[0], shape, &secret).needles([]);
    let out = Scrubber::new(needles).finish(echo.to_owned().into());
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn what_is_looked_for_is_what_is_secret_and_what_is_made_of_it() {
    let placeholder = postern_crds::placeholder::render("postern-{}", "agents", "bot", "a");
    let with = |length| &placeholder[..length];
    let named = json!({"basic": {"username": "me"}});
    let pair = json!({"basic": {}});
    let keyed = json!({"hmac": {"keyEncoding": "Hex", "message": "{target}", "headers": [{"name": "X-Sign", "value": "{signature}"}]}});
    let aws = json!({"awsSigV4": {"service": "bedrock", "region": "r"}});
    let keys = r#"{"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "secret-of-aws", "sessionToken": "session-of-aws"}"#;
    let bearer = json!({"bearer": {}});
    for (inject, secret, echo, expected) in [
        (
            &named,
            "pass",
            "pass, Basic bWU6cGFzcw==",
            // Too short alone, but not as it is sent.
            format!("pass, Basic {}", with(12)),
        ),
        (&named, "pw", "Basic bWU6cHc=", format!("Basic {}", with(8))),
        (
            &pair,
            "somebody:password",
            "somebody has password",
            format!("somebody has {}", with(8)),
        ),
        (
            &keyed,
            "6b65792d6f662d6d696e65",
            "<key-of-mine>",
            format!("<{}>", with(11)),
        ),
        (
            &aws,
            keys,
            "AKIDEXAMPLE secret-of-aws session-of-aws",
            format!("AKIDEXAMPLE {} {}", with(13), with(14)),
        ),
        (&bearer, "sk-alive\n", "sk-alive", with(8).into()),
        (
            &bearer,
            "what\0cannot be sent",
            "what\0cannot be sent",
            "what\0cannot be sent".into(),
        ),
    ] {
        assert_eq!(left(inject, secret, echo), expected);
    }
}

#[test]
fn a_secret_that_is_too_short_to_be_told_from_chance_is_not_looked_for() {
    assert!(Needles::new([&b"1234567"[..]].into_iter(), PLACEHOLDER).is_none());
    assert_eq!(MIN_SECRET, 8);
    let mut scrubber = Scrubber::new(None);
    assert_eq!(scrubber.push("1234567".into()), "1234567");
    assert_eq!(scrubber.held(), 0);
}

/// A text as it stands inside another one.
#[derive(Clone, Copy, Debug)]
enum Layer {
    Url,
    Json,
    Html,
}

impl Layer {
    fn around(self, text: &str) -> String {
        match self {
            Self::Url => crate::percent::encode(text.as_bytes(), b""),
            Self::Json => {
                let quoted = json!(text).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            Self::Html => text
                .replace('&', "&amp;")
                .replace('"', "&quot;")
                .replace('\'', "&#39;")
                .replace('<', "&lt;")
                .replace('>', "&gt;"),
        }
    }
}

/// `byte` in one of five spellings.
fn spelled(byte: u8, spelling: usize) -> String {
    match spelling {
        0 => char::from(byte).into(),
        1 => format!("%{byte:02X}"),
        2 => format!("\\u{byte:04x}"),
        3 => format!("&#{byte};"),
        _ => format!("&#x{byte:02x};"),
    }
}

proptest! {
    #[test]
    fn any_secret_is_found_in_any_spelling_of_its_bytes_inside_two_more_layers(
        secret in "[!-~]{8,40}",
        spellings in prop::collection::vec(0_usize..5, 40),
        layers in prop::collection::vec(prop::sample::select(vec![Layer::Url, Layer::Json, Layer::Html]), 0..3),
    ) {
        let spelled: String = secret.bytes().zip(&spellings).map(|(byte, spelling)| spelled(byte, *spelling)).collect();
        let text = layers.iter().fold(format!("< {spelled} >"), |text, layer| layer.around(&text));
        let needles = needles_of(secret.as_bytes());
        let scrubbed = needles.scrub(text.as_bytes(), true);
        prop_assert_eq!(scrubbed.found, 1, "{}", text);
        // And nothing around it is gone.
        let clean = String::from_utf8(scrubbed.clean.unwrap()).unwrap();
        let begin = layers.iter().fold("< ".to_owned(), |text, layer| layer.around(&text));
        let end = layers.iter().fold(" >".to_owned(), |text, layer| layer.around(&text));
        prop_assert!(clean.starts_with(&begin) && clean.ends_with(&end), "{}", clean);
    }

    #[test]
    fn a_split_changes_nothing(
        pieces in prop::collection::vec((0_usize..64, "[sk%4\\\\&;#x0-9a-zA-Z+/ ]{0,12}", 0_usize..40), 0..8),
        lengths in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let forms = forms();
        let mut text = String::new();
        for (form, noise, cut) in pieces {
            let form = &forms[form % forms.len()];
            text.push_str(&noise);
            text.push_str(&form[..form.len().saturating_sub(cut.saturating_sub(20))]);
        }
        prop_assert_eq!(scrubbed(text.as_bytes(), &lengths), scrubbed(text.as_bytes(), &[]));
    }
}
