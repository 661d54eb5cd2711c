//! What is taken out of answers: values of a policy's, and the secret.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use http::{Response, header};
use http_body_util::Full;
use memchr::memmem;
use postern_crds::{
    egress_policy::{Detector, FieldAction, MaskStyle, Region},
    policy::{self, Field, MaskItem, Masked, Step},
};

use super::{calls::vendor, choice, pieces};
use crate::{
    bench,
    mask::{Masking, Masks},
    scrub::{Needles, Scrubber},
};

fn policy() -> policy::Masks {
    let all = Detector::ALL.map(Masked::Detector);
    let own = [
        Masked::Pattern {
            name: "CASE_ID".to_owned(),
            regex: "CASE-[0-9]{4,8}".to_owned(),
        },
        Masked::Dictionary {
            name: "HOUSE".to_owned(),
            words: BTreeSet::from(["Bluebird".to_owned(), "\u{e9}\"\\".to_owned()]),
            ignore_case: true,
        },
    ];
    let items = all.into_iter().chain(own).map(|what| MaskItem {
        what,
        style: MaskStyle::Label,
        enforce: true,
        restore: false,
    });
    policy::Masks {
        items: items.collect(),
        phone_regions: BTreeSet::from([Region::Us, Region::De]),
        fields: vec![Field {
            path: ["user", "mail"]
                .map(|name| Step::Name(name.to_owned()))
                .into(),
            action: FieldAction::Drop,
            enforce: true,
        }],
    }
}

/// The values that detectors find in a text are the same in pieces.
pub(super) fn text(data: &[u8]) {
    static MASKING: LazyLock<bench::Masking> = LazyLock::new(|| bench::Masking::new(&policy()));
    let (seed, data) = choice(data);
    let text = String::from_utf8_lossy(data);
    let whole = MASKING.found(&text, usize::MAX);
    // A character has up to four bytes.
    assert_eq!(whole, MASKING.found(&text, 4 + seed % 32), "{text:?}");
    for (_, start, end) in whole {
        assert!(start < end && end <= text.len() as u64);
    }
}

/// An answer is masked in pieces as it is whole, whatever it is.
pub(super) fn answer(data: &[u8]) {
    static MASKS: LazyLock<Masks> =
        LazyLock::new(|| Masks::of_responses(&policy()).expect("there are masks"));
    let (number, data) = choice(data);
    let (seed, data) = choice(data);
    let kind = [
        "text/event-stream",
        "application/json",
        "application/x-ndjson",
        "application/vnd.amazon.eventstream",
        "text/plain",
        "text/html",
    ][number / 16 % 6];
    let masked = |pieces: &[&[u8]]| {
        let mut response = Response::builder()
            .header(header::CONTENT_TYPE, kind)
            .body(Full::new(Bytes::from_static(b"there is one")))
            .expect("it is a response");
        let masking = Masking::of(&MASKS, vendor(number % 16), number % 2 == 0, &mut response);
        let Ok(Some(mut masking)) = masking else {
            panic!("{kind} can be masked");
        };
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(masking.push(Bytes::copy_from_slice(piece)).ok()?);
        }
        out.extend(masking.finish(Bytes::new()).ok()?);
        Some(out)
    };
    assert_eq!(masked(&[data]), masked(&pieces(data, seed)));
}

/// The secret does not come back, and all else keeps its place.
pub(super) fn scrub(data: &[u8]) {
    const KEY: &[u8] = b"sk-p%41\"&/+\\~>?key";
    static NEEDLES: LazyLock<Arc<Needles>> = LazyLock::new(|| {
        Arc::new(Needles::new([KEY].into_iter(), "sk-placeholder").expect("it is long enough"))
    });
    let (seed, data) = choice(data);
    let scrubbed = |pieces: &[&[u8]]| {
        let mut scrubber = Scrubber::new(Some(Arc::clone(&NEEDLES)));
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(scrubber.push(Bytes::copy_from_slice(piece)));
        }
        out.extend(scrubber.finish(Bytes::new()));
        assert_eq!(scrubber.held(), 0);
        (out, scrubber.take_found())
    };
    let whole = scrubbed(&[data]);
    assert_eq!(whole, scrubbed(&pieces(data, seed)));
    let (out, found) = whole;
    assert_eq!(out.len(), data.len());
    assert!(memmem::find(&out, KEY).is_none());
    if found == 0 {
        assert_eq!(out, data);
    }
}
