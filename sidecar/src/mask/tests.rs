//! The law, and what every detector finds and leaves.

use std::sync::{Arc, LazyLock};

use postern_crds::{
    egress_policy::{Detector, MaskStyle, Region},
    policy::{MaskItem, Masked, Masks},
};
use proptest::prelude::*;

use super::{Edit, ItemId, Masker, SessionKey, Text, mask};

pub(super) fn item(what: Masked) -> MaskItem {
    MaskItem {
        restore: false,
        what,
        style: MaskStyle::Label,
        enforce: true,
    }
}

pub(super) fn pattern(name: &str, regex: &str) -> MaskItem {
    item(Masked::Pattern {
        name: name.to_owned(),
        regex: regex.to_owned(),
    })
}

pub(super) fn words(name: &str, words: &[&str], ignore_case: bool) -> MaskItem {
    item(Masked::Dictionary {
        name: name.to_owned(),
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        ignore_case,
    })
}

pub(super) fn masker(items: Vec<MaskItem>) -> Arc<Masker> {
    let masks = Masks {
        items,
        phone_regions: Region::ALL.into(),
        fields: Vec::new(),
    };
    let key = Arc::new(SessionKey::new().unwrap());
    Arc::new(Masker::new(&masks, key))
}

/// All detectors, some patterns and words.
pub(super) fn everything() -> Vec<MaskItem> {
    let mut items: Vec<_> = Detector::ALL
        .into_iter()
        .map(|detector| item(Masked::Detector(detector)))
        .collect();
    items.push(pattern("CASE_ID", "CASE-[0-9]{8}"));
    items.push(pattern("WORDY", r"\b(?:ab|é){1,9}\b"));
    items.push(words("PEOPLE", &["Ann", "Anna", "José", "hannah"], true));
    items
}

/// Masks all of it.
static EVERYTHING: LazyLock<Arc<Masker>> = LazyLock::new(|| masker(everything()));

/// The edits of a text that comes in pieces of these many characters, over and over; those that go on with another one joined to it.
fn edits(masker: &Arc<Masker>, text: &str, lengths: &[usize]) -> Vec<Edit> {
    let mut state = Text::new(Arc::clone(masker));
    let mut edits = Vec::new();
    let mut rest = text;
    let mut settled = 0;
    let mut lengths = lengths.iter().cycle();
    while !rest.is_empty() {
        let end = lengths
            .next()
            .and_then(|length| rest.char_indices().nth(*length))
            .map_or(rest.len(), |(end, _)| end);
        let known = edits.len();
        state.push(&rest[..end], &mut edits);
        rest = &rest[end..];
        for edit in edits[known..].iter().filter(|edit| edit.applies) {
            assert!(edit.range.start >= settled, "{edit:?} comes late: {text:?}");
            assert!(edit.range.end <= state.settled());
        }
        assert!(state.settled() >= settled);
        settled = state.settled();
        assert!(settled <= (text.len() - rest.len()) as u64);
    }
    state.finish(&mut edits);
    assert_eq!(state.settled(), text.len() as u64);
    let mut joined: Vec<Edit> = Vec::new();
    for edit in edits {
        match joined.last_mut() {
            Some(last) if edit.item.is_none() => {
                assert_eq!((last.range.end, edit.by.as_str()), (edit.range.start, ""));
                last.range.end = edit.range.end;
            }
            _ => {
                assert!(edit.item.is_some());
                joined.push(edit);
            }
        }
    }
    joined
}

/// How much of `text` is held back.
fn held(masker: &Arc<Masker>, text: &str) -> usize {
    let mut state = Text::new(Arc::clone(masker));
    state.push(text, &mut Vec::new());
    text.len() - usize::try_from(state.settled()).unwrap()
}

/// Masks each text.
#[track_caller]
pub(super) fn check(items: &[MaskItem], cases: &[(&str, &str)]) {
    let masker = masker(items.to_vec());
    for (text, masked) in cases {
        assert_eq!(mask(&masker, text), *masked, "{text:?}");
    }
}

#[test]
fn own_patterns_and_words_are_masked() {
    check(
        &everything(),
        &[
            (
                "CASE-12345678 case-12345678 CASE-1234567",
                "[CASE_ID] case-12345678 CASE-1234567",
            ),
            ("CASE-123456789", "[CASE_ID]9"),
            ("abéab abx xab é", "[WORDY] abx xab é"),
            ("ANNA, johannah, josé", "[PEOPLE], jo[PEOPLE], [PEOPLE]"),
        ],
    );
}

#[test]
fn what_overlaps_is_masked_whole_by_the_first() {
    let items = [
        pattern("AB", "ab[a-z]{2}"),
        pattern("CD", "cd[0-9]{2}"),
        pattern("LONG", "ab[a-z]{2}[0-9]"),
    ];
    check(
        &items,
        &[
            ("abcd12", "[LONG]"),
            ("abcd", "[AB]"),
            ("abxcd12", "[AB]"),
            ("cd12abcd1", "[CD][LONG]"),
        ],
    );
    let masker = masker(items.to_vec());
    // `CD` is not counted, and what it covers goes with the first.
    let found = edits(&masker, "abcd12", &[1]);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].range.clone(), found[0].item),
        (0..6, Some(ItemId(2)))
    );
}

#[test]
fn what_is_observed_is_counted_and_hides_nothing() {
    let mut observed = pattern("SEEN", "[a-z]{3}-[a-z]{3}");
    observed.enforce = false;
    let masker = masker(vec![observed, pattern("MASKED", "b-[a-z]{5}")]);
    let text = "aab-abcde";
    assert_eq!(mask(&masker, text), "aa[MASKED]");
    let edits = edits(&masker, text, &[]);
    let names: Vec<_> = edits
        .iter()
        .map(|edit| (masker.name(edit.item.unwrap()), edit.applies))
        .collect();
    assert_eq!(names, [("MASKED", true), ("SEEN", false)]);
}

#[test]
fn styles_show_what_they_say() {
    let styled = |style| {
        let mut item = item(Masked::Detector(Detector::CreditCard));
        item.style = style;
        masker(vec![item])
    };
    let text = "4111-1111-1111-1111";
    assert_eq!(mask(&styled(MaskStyle::Partial), text), "****1111");
    assert_eq!(mask(&styled(MaskStyle::Remove), text), "");
    assert_eq!(mask(&styled(MaskStyle::Label), text), "[CREDIT_CARD]");
    let hashing = styled(MaskStyle::Hash);
    let hash = mask(&hashing, text);
    assert_eq!(hash, mask(&hashing, "4111 1111 1111 1111"));
    assert_ne!(hash, mask(&hashing, "5555-5555-5555-4444"));
    assert_ne!(hash, mask(&styled(MaskStyle::Hash), text));
    assert_eq!(hash.len(), "[CREDIT_CARD:12345678]".len());
}

#[test]
fn what_is_not_the_begin_of_a_value_goes_on_at_once() {
    let all = masker(vec![
        item(Masked::Detector(Detector::Email)),
        item(Masked::Detector(Detector::CreditCard)),
        item(Masked::Detector(Detector::DateOfBirth)),
        item(Masked::Detector(Detector::Passport)),
    ]);
    assert_eq!(held(&all, "Hello, world"), "world".len());
    assert_eq!(held(&all, "Hello, world "), 0);
    assert_eq!(held(&all, "is 42 "), 0);
    assert_eq!(held(&all, "on March 12, "), 0);
    assert_eq!(held(&all, "born on March 12, "), 10);
    assert_eq!(held(&all, "4111 1111 1111 1111 "), 20);
    assert_eq!(held(&all, "1234 1111 1111 1111 "), 0);
    let phone = masker(vec![item(Masked::Detector(Detector::Phone))]);
    assert_eq!(held(&phone, "a score of 10. "), 0);
    // A mobile number of Italy may begin with it; none of these regions' does with 10.
    assert_eq!(held(&phone, "a score of 33 "), 3);
    assert_eq!(held(&phone, "a score of 10 "), 0);
    let own = masker(vec![
        pattern("CASE_ID", "CASE-[0-9]{8}"),
        words("PEOPLE", &["Ann", "Bob", "Bobby"], false),
    ]);
    assert_eq!(held(&own, "CASE-1234567"), 12);
    assert_eq!(held(&own, "CASE-12345678"), 0);
    assert_eq!(held(&own, "Ann"), 0);
    assert_eq!(held(&own, "Bob"), 3);
}

proptest! {
    #[test]
    fn a_split_changes_nothing(
        text in text(),
        lengths in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let masker = &EVERYTHING;
        let whole = edits(masker, &text, &[]);
        prop_assert_eq!(&edits(masker, &text, &[1]), &whole);
        prop_assert_eq!(&edits(masker, &text, &lengths), &whole);
        prop_assert_eq!(&edits(masker, &text, &[700]), &whole);
    }
}

/// Values, near misses, and what stands around them.
const PLANTED: [&str; 38] = [
    "bob@example.com",
    "jörg.o'x+1@exämple.co.uk",
    "4111111111111111",
    "4111 1111 1111 1111",
    "5555-5555-5555-4444",
    "4111111111111112",
    "CASE-12345678",
    "abé",
    "Anna",
    "JOSé",
    "hannah",
    "+49 30 901820",
    "+1 (415) 555-0123",
    "(415) 555-0123",
    "06 12 34 56 78",
    "DE89 3704 0044 0532 0130 00",
    "gb82west12345698765432",
    "123-45-6789",
    "social security 123456789",
    "192.0.2.1",
    "1.2.3.4.5",
    "2001:db8::1",
    "::ffff:192.0.2.1",
    "fe80::1%eth0",
    "12:30:45",
    "born on ",
    "date of birth: ",
    "1980-03-12",
    "12.03.1980",
    "March 12th, 1980",
    "3 de marzo de 1980",
    "born on the 3rd of March 1980",
    "passport no. AB1234567",
    "passport no. ",
    "C01X00T47",
    "\\n",
    "\\",
    ". ",
];

/// Values, near misses and noise, one behind the other and cut.
pub(super) fn text() -> impl Strategy<Value = String> {
    let planted: Vec<String> = PLANTED.iter().map(|value| (*value).to_owned()).collect();
    let keys = [
        format!("sk-proj-{}", "aB3_-".repeat(12)),
        format!("ghp_{}", "aB3".repeat(12)),
        format!("AKIA{}", "ABCD2345".repeat(2)),
        format!(
            "eyJhbGciOiJIUzI1NiJ9.{}.{}",
            "eyJzdWIiOiIxIn0",
            "aB3_-".repeat(8)
        ),
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n{}=\n-----END PRIVATE KEY-----",
            "aB3/".repeat(16),
            "aB3"
        ),
        format!("-----BEGIN PRIVATE KEY-----\\n{}", "aB3/".repeat(16)),
    ];
    let planted: Vec<String> = planted.into_iter().chain(keys).collect();
    let piece = prop_oneof![
        3 => (prop::sample::select(planted), 0_usize..40).prop_map(|(value, cut)| {
            let kept = value.chars().count().saturating_sub(cut.saturating_sub(25));
            value.chars().take(kept).collect::<String>()
        }),
        2 => "[ .,:@\\-_+'0-9a-zA-Z\\\\né中\u{a0}😀]{0,12}",
        1 => "[a-z0-9.]{60,70}",
        1 => "\\PC{0,8}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}
