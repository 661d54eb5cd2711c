//! What each detector finds and leaves, and the guarantees of [`Detect::at`].

use std::{collections::BTreeSet, sync::LazyLock};

use postern_crds::egress_policy::{Detector, Region};
use proptest::prelude::*;

use super::{Detect, Found, Masked, detector};
use crate::mask::{
    scan::Scanner,
    tests::{check, everything, item, text},
    view::View,
};

#[test]
fn addresses_of_mail_are_masked_and_nothing_like_them() {
    check(
        &[item(Masked::Detector(Detector::Email))],
        &[
            ("mail bob@example.com.", "mail [EMAIL]."),
            ("<bob.o'hara+x@mail.example.co.uk>", "<[EMAIL]>"),
            ("?email=bob@example.com&x=1", "?email=[EMAIL]&x=1"),
            (
                "mailto:bob@example.com?subject=x",
                "mailto:[EMAIL]?subject=x",
            ),
            ("'bob@example.com'", "'[EMAIL]'"),
            ("…jörg@exämple.de…", "…[EMAIL]…"),
            ("联系bob@example.com获取", "联系[EMAIL]获取"),
            ("a@xn--80ak6aa92e.xn--p1ai!", "[EMAIL]!"),
            (r"\nbob@example.com\nx", r"\n[EMAIL]\nx"),
            (r"\u003cbob@example.com\u003e", r"\u003c[EMAIL]\u003e"),
            ("bob@example.com--or", "[EMAIL]--or"),
            ("a@b.cd,e@f.gh", "[EMAIL],[EMAIL]"),
            (
                "user@localhost @handle a@b bob@ @example.com",
                "user@localhost @handle a@b bob@ @example.com",
            ),
            (
                "icon@2x.png lodash@4.17.21 a@-b.com a@b..com",
                "icon@2x.png lodash@4.17.21 a@-b.com a@b..com",
            ),
            (
                "bob@example.c bob@example.c1m",
                "bob@example.c bob@example.c1m",
            ),
        ],
    );
    let long = "x".repeat(70);
    check(
        &[item(Masked::Detector(Detector::Email))],
        &[(&format!("{long}@example.com"), "xxxxxx[EMAIL]")],
    );
}

#[test]
fn numbers_of_cards_are_masked_and_nothing_like_them() {
    check(
        &[item(Masked::Detector(Detector::CreditCard))],
        &[
            ("4111111111111111", "[CREDIT_CARD]"),
            ("card 4111 1111 1111 1111 12/28", "card [CREDIT_CARD] 12/28"),
            ("5555-5555-5555-4444,", "[CREDIT_CARD],"),
            ("3782 822463 10005", "[CREDIT_CARD]"),
            ("card_6011111111111117", "card_[CREDIT_CARD]"),
            (r"\n2223003122003222\n", r"\n[CREDIT_CARD]\n"),
            ("卡4111111111111111号", "卡[CREDIT_CARD]号"),
            ("4111\u{a0}1111\u{a0}1111\u{a0}1111", "[CREDIT_CARD]"),
            ("4111111111111112", "4111111111111112"),
            (
                "x4111111111111111 4111111111111111x",
                "x4111111111111111 4111111111111111x",
            ),
            ("0.4111111111111111", "0.4111111111111111"),
            ("41111111111111111111111", "41111111111111111111111"),
            (
                "1234567812345670 7111111111111116",
                "1234567812345670 7111111111111116",
            ),
            ("4111 1111-1111 1111", "4111 1111-1111 1111"),
            (
                "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
                "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
            ),
        ],
    );
}

#[test]
fn numbers_of_phones_are_masked_and_nothing_like_them() {
    check(
        &[item(Masked::Detector(Detector::Phone))],
        &[
            ("call +49 30 901820.", "call [PHONE]."),
            ("+14155550123", "[PHONE]"),
            ("+1 (415) 555-0123, ok", "[PHONE], ok"),
            ("tel:+44 20 7946 0018", "tel:[PHONE]"),
            ("+49 (0)30 901820", "[PHONE]"),
            ("+33 6 12 34 56 78", "[PHONE]"),
            ("(415) 555-0123", "[PHONE]"),
            ("415-555-0123", "[PHONE]"),
            ("1-415-555-0123", "[PHONE]"),
            ("4155550123", "[PHONE]"),
            ("020 7946 0018", "[PHONE]"),
            ("06 12 34 56 78", "[PHONE]"),
            ("030/901820", "[PHONE]"),
            ("612 345 678", "[PHONE]"),
            ("电话+8613800138000是", "电话[PHONE]是"),
            ("\\n+14155550123\\n", "\\n[PHONE]\\n"),
            ("415-555-0123x204.", "[PHONE]."),
            ("+1-415-555-0123X20456", "[PHONE]"),
            ("0049 30 901820", "[PHONE]"),
            ("001-415-555-0123", "[PHONE]"),
            ("00 491 5 1234567890", "[PHONE]"),
            ("08 05 20 26 10", "[PHONE]"),
            ("415-555-0123x", "415-555-0123x"),
            ("415-555-0123x2y", "415-555-0123x2y"),
            ("0000123456789", "0000123456789"),
            ("001-415-555-012", "001-415-555-012"),
            ("03/12/1980", "03/12/1980"),
            ("08.05.2026 10:22", "08.05.2026 10:22"),
            ("665-12-3456", "665-12-3456"),
            ("+1 415 555 012", "+1 415 555 012"),
            ("+999 123 456 789", "+999 123 456 789"),
            ("+4", "+4"),
            ("x+49 30 901820", "x+49 30 901820"),
            ("1 + 4155", "1 + 4155"),
            ("2024-03-12 10:22", "2024-03-12 10:22"),
            ("115-555-0123", "115-555-0123"),
            ("415-155-0123", "415-155-0123"),
            ("4155-550-123", "4155-550-123"),
            ("12-415-555-0123", "12-415-555-0123"),
            ("1234567", "1234567"),
            ("3.4155550123", "3.4155550123"),
            ("+49 30 901820a", "+49 30 901820a"),
            ("+1234567890123456", "+1234567890123456"),
        ],
    );
}

#[test]
fn numbers_of_accounts_are_masked_and_nothing_like_them() {
    check(
        &[item(Masked::Detector(Detector::Iban))],
        &[
            ("DE89370400440532013000", "[IBAN]"),
            ("IBAN DE89 3704 0044 0532 0130 00 Bank", "IBAN [IBAN] Bank"),
            ("GB82-WEST-1234-5698-7654-32.", "[IBAN]."),
            ("gb82west12345698765432", "[IBAN]"),
            ("NO9386011117947", "[IBAN]"),
            ("MT84MALT011000012345MTLCAST001S", "[IBAN]"),
            ("\\nDE89370400440532013000", "\\n[IBAN]"),
            ("(FR1420041010050500013M02606)", "([IBAN])"),
            ("DE89370400440532013001", "DE89370400440532013001"),
            ("DE8937040044053201300", "DE8937040044053201300"),
            ("DE893704004405320130000", "DE893704004405320130000"),
            ("xDE89370400440532013000", "xDE89370400440532013000"),
            ("XX89370400440532013000", "XX89370400440532013000"),
            ("DE89 370400440532013000", "DE89 370400440532013000"),
            ("DE89 3704-0044 0532 0130 00", "DE89 3704-0044 0532 0130 00"),
            ("DEAB370400440532013000", "DEAB370400440532013000"),
        ],
    );
}

#[test]
fn social_security_numbers_are_masked_and_nothing_like_them() {
    check(
        &[item(Masked::Detector(Detector::UsSsn))],
        &[
            ("SSN 123-45-6789.", "SSN [US_SSN]."),
            ("123 45 6789", "[US_SSN]"),
            ("123.45.6789", "[US_SSN]"),
            ("my SSN is 123456789", "my SSN is [US_SSN]"),
            (
                "Social Security number: 123456789",
                "Social Security number: [US_SSN]",
            ),
            ("\"ssn\":\"123456789\"", "\"ssn\":\"[US_SSN]\""),
            ("000-45-6789", "000-45-6789"),
            ("666-45-6789", "666-45-6789"),
            ("900-45-6789", "900-45-6789"),
            ("123-00-6789", "123-00-6789"),
            ("123-45-0000", "123-45-0000"),
            ("123-45 6789", "123-45 6789"),
            ("123-456-789", "123-456-789"),
            ("1123-45-6789", "1123-45-6789"),
            ("123-45-67890", "123-45-67890"),
            ("123456789", "123456789"),
            ("1-123-45-6789", "1-123-45-6789"),
            ("123-45-6789-0", "123-45-6789-0"),
            ("0.123-45-6789", "0.123-45-6789"),
            ("ssn. Order 123456789", "ssn. Order 123456789"),
            ("classname 123456789", "classname 123456789"),
        ],
    );
}

#[test]
fn addresses_of_machines_are_masked_and_nothing_like_them() {
    check(
        &[item(Masked::Detector(Detector::IpAddress))],
        &[
            ("at 192.0.2.1.", "at [IP_ADDRESS]."),
            ("10.0.0.1:8080", "[IP_ADDRESS]:8080"),
            ("10.0.0.0/8", "[IP_ADDRESS]/8"),
            ("10.0.0.1-10.0.0.9", "[IP_ADDRESS]-[IP_ADDRESS]"),
            ("[2001:db8::1]:80", "[[IP_ADDRESS]]:80"),
            ("2001:db8:0:0:8:800:200c:417a", "[IP_ADDRESS]"),
            ("::1", "[IP_ADDRESS]"),
            ("fe80::1%eth0", "[IP_ADDRESS]"),
            ("::ffff:192.0.2.1.", "[IP_ADDRESS]."),
            ("1::", "[IP_ADDRESS]"),
            ("x=fe80::1, ok", "x=[IP_ADDRESS], ok"),
            ("host fe80::1:", "host [IP_ADDRESS]:"),
            ("1.2.3", "1.2.3"),
            ("1.2.3.4.5", "1.2.3.4.5"),
            ("v1.2.3.4", "v1.2.3.4"),
            ("256.1.1.1", "256.1.1.1"),
            ("1.2.3.04", "1.2.3.04"),
            ("1.2.3.4x", "1.2.3.4x"),
            ("12:30:45", "12:30:45"),
            ("::", "::"),
            ("std::io", "std::io"),
            ("ab::cd", "ab::cd"),
            ("00:1a:2b:3c:4d:5e", "00:1a:2b:3c:4d:5e"),
            ("1:2:3:4:5:6:7", "1:2:3:4:5:6:7"),
            ("1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8:9"),
            ("12345::1", "12345::1"),
            ("1::2::3", "1::2::3"),
            ("g::1", "g::1"),
        ],
    );
}

#[test]
fn key_ids_of_aws_are_masked_and_nothing_like_them() {
    check(
        &[item(Masked::Detector(Detector::AwsAccessKey))],
        &[
            (
                &format!("id=AKIA{}, ", "ABCD2345".repeat(2)),
                "id=[AWS_ACCESS_KEY], ",
            ),
            (&format!("ASIA{}", "ABCD2345".repeat(2)), "[AWS_ACCESS_KEY]"),
            (
                &format!("AKIA{}X", "ABCD2345".repeat(2)),
                &format!("AKIA{}X", "ABCD2345".repeat(2)),
            ),
            (
                &format!("xAKIA{}", "ABCD2345".repeat(2)),
                &format!("xAKIA{}", "ABCD2345".repeat(2)),
            ),
            (
                &format!("AKIA{}", "ABCD234".repeat(2)),
                &format!("AKIA{}", "ABCD234".repeat(2)),
            ),
            (
                &format!("AKIA{}", "ABCD2341".repeat(2)),
                &format!("AKIA{}", "ABCD2341".repeat(2)),
            ),
            (
                &format!("AKIA{}", "abcd2345".repeat(2)),
                &format!("AKIA{}", "abcd2345".repeat(2)),
            ),
        ],
    );
}

#[test]
fn tokens_of_github_are_masked_and_nothing_like_them() {
    check(
        &[item(Masked::Detector(Detector::GithubToken))],
        &[
            (&format!("ghp_{}.", "aB3".repeat(12)), "[GITHUB_TOKEN]."),
            (
                &format!("https://x:ghs_{}@github.com", "aB3".repeat(12)),
                "https://x:[GITHUB_TOKEN]@github.com",
            ),
            (
                &format!("ghs_123_{0}.{0}.{0}. Next", "aB3".repeat(12)),
                "[GITHUB_TOKEN]. Next",
            ),
            (
                &format!("github_pat_{}", "aB3_".repeat(20)),
                "[GITHUB_TOKEN]",
            ),
            (
                &format!("ghp_{} {}", "aB3".repeat(12).repeat(60), "next"),
                "[GITHUB_TOKEN] next",
            ),
            (
                &format!("ghx_{}", "aB3".repeat(12)),
                &format!("ghx_{}", "aB3".repeat(12)),
            ),
            (
                &format!("xghp_{}", "aB3".repeat(12)),
                &format!("xghp_{}", "aB3".repeat(12)),
            ),
            (
                &format!("ghp_{}", "aB3".repeat(11)),
                &format!("ghp_{}", "aB3".repeat(11)),
            ),
            (
                "ghp_ github_pat_ ghs_actions",
                "ghp_ github_pat_ ghs_actions",
            ),
        ],
    );
}

#[test]
fn web_tokens_are_masked_and_nothing_like_them() {
    check(
        &[item(Masked::Detector(Detector::Jwt))],
        &[
            (
                "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl.",
                "Bearer [JWT].",
            ),
            ("eyJhbGciOiJkaXIifQ..aXZhYmNkZWY.Y2lwaGVy.dGFn", "[JWT]"),
            (
                &format!("eyJhbGciOiJIUzI1NiJ9.{}, next", "aB3".repeat(3000)),
                "[JWT], next",
            ),
            ("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", "[JWT]."),
            ("eyJhbGciOiJIUzI1NiJ9. Next", "eyJhbGciOiJIUzI1NiJ9. Next"),
            ("eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiJ9"),
            (
                "eyJzdWIiOiIxIn0.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
                "eyJzdWIiOiIxIn0.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
            ),
            (
                "eyJhbGciOiJIUzI1NiJ.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
                "eyJhbGciOiJIUzI1NiJ.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
            ),
            (
                "xeyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
                "xeyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
            ),
        ],
    );
}

#[test]
fn private_keys_are_masked_and_nothing_like_them() {
    let body = "aB3/".repeat(16);
    let key = format!(
        "-----BEGIN RSA PRIVATE KEY-----\n{body}\n{body}\naB3=\n-----END RSA PRIVATE KEY-----"
    );
    let armour = format!(
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2 (GNU/Linux)\n\n{body}\n=aB3+\n-----END PGP PRIVATE KEY BLOCK-----"
    );
    let flat = key.replace('\n', "\\n");
    let prose = "-----BEGIN PRIVATE KEY----- is how it begins; -----BEGIN PUBLIC KEY-----\n";
    check(
        &[item(Masked::Detector(Detector::PrivateKey))],
        &[
            (&format!("Here: {key}\nDone."), "Here: [PRIVATE_KEY]\nDone."),
            (&armour, "[PRIVATE_KEY]"),
            (
                &format!("{{\"key\": \"{flat}\"}}"),
                "{\"key\": \"[PRIVATE_KEY]\"}",
            ),
            (&key[..100], "[PRIVATE_KEY]"),
            (
                &format!(
                    "{}. It was cut off there, and that is all there is of it; sorry",
                    &key[..100]
                ),
                "[PRIVATE_KEY] of it; sorry",
            ),
            (prose, prose),
            (
                &format!("-----BEGIN PUBLIC KEY-----\n{body}"),
                &format!("-----BEGIN PUBLIC KEY-----\n{body}"),
            ),
            (
                &format!("----BEGIN PRIVATE KEY-----\n{body}"),
                &format!("----BEGIN PRIVATE KEY-----\n{body}"),
            ),
        ],
    );
}

#[test]
fn keys_of_providers_are_masked_and_nothing_like_them() {
    let masker = crate::mask::tests::masker(vec![item(Masked::Detector(Detector::ApiKey))]);
    let masked = |text: &str| crate::mask::mask(&masker, text);
    let body = "aB3".repeat(40);
    let prefixes = [
        "sk-",
        "sk-proj-",
        "sk-svcacct-",
        "sk-admin-",
        "sk-ant-api03-",
        "sk-or-v1-",
        "AIza",
        "AQ.Ab",
        "ya29.",
        "ABSK",
        "bedrock-api-key-",
        "gsk_",
        "xai-",
        "pplx-",
        "fw_",
        "tgp_v1_",
        "pcsk_",
        "tvly-dev-",
        "jina_",
        "pa-",
        "lsv2_pt_",
        "ls__",
    ];
    for prefix in prefixes {
        assert_eq!(masked(&format!("key={prefix}{body}.")), "key=[API_KEY].");
        let long = format!("{prefix}{} next", body.repeat(20));
        assert_eq!(masked(&long), "[API_KEY] next");
        for other in [format!("{prefix}aB3"), format!("x{prefix}{body}")] {
            assert_eq!(masked(&other), other);
        }
    }
    let other =
        "scikit sk-learn-is-a-library sk-toggleable__content sk-estimator-doc-link-1 disk-space";
    assert_eq!(masked(other), other);
}

#[test]
fn dates_of_birth_are_masked_and_other_dates_are_not() {
    check(
        &[item(Masked::Detector(Detector::DateOfBirth))],
        &[
            ("出生日期：1980-03-12。", "出生日期：[DATE_OF_BIRTH]。"),
            (
                "Date of birth: 1980-03-12.",
                "Date of birth: [DATE_OF_BIRTH].",
            ),
            ("\"dob\": \"12/03/1980\"", "\"dob\": \"[DATE_OF_BIRTH]\""),
            ("DOB 3/12/80", "DOB [DATE_OF_BIRTH]"),
            ("born on March 12th, 1980 in", "born on [DATE_OF_BIRTH] in"),
            (
                "born in Paris on 12 March 1980, he",
                "born in Paris on [DATE_OF_BIRTH], he",
            ),
            (
                "was born on the 3rd of March 1980",
                "was born on the [DATE_OF_BIRTH]",
            ),
            ("birthday: 12-Mar-1980", "birthday: [DATE_OF_BIRTH]"),
            ("geb. 12.03.1980", "geb. [DATE_OF_BIRTH]"),
            ("geboren am 12. März 1980", "geboren am [DATE_OF_BIRTH]"),
            ("né le 3 mars 1980", "né le [DATE_OF_BIRTH]"),
            ("nacido el 3 de marzo de 1980", "nacido el [DATE_OF_BIRTH]"),
            (
                "\"date_of_birth\":\"19800312\"",
                "\"date_of_birth\":\"[DATE_OF_BIRTH]\"",
            ),
            (
                "birth: 1980-03-12T00:00:00Z",
                "birth: [DATE_OF_BIRTH]T00:00:00Z",
            ),
            ("d.o.b. 01.02.1990", "d.o.b. [DATE_OF_BIRTH]"),
            ("Date: 1980-03-12", "Date: 1980-03-12"),
            (
                "born today. Invoice of 1980-03-12",
                "born today. Invoice of 1980-03-12",
            ),
            ("dob 1980-13-12", "dob 1980-13-12"),
            ("dob 1980-03-32", "dob 1980-03-32"),
            ("dob 2180-03-12", "dob 2180-03-12"),
            ("born 12 Brumaire 1980", "born 12 Brumaire 1980"),
            ("born in 1980", "born in 1980"),
            ("stubborn 12/03/1980", "stubborn 12/03/1980"),
            ("bornite 12/03/1980", "bornite 12/03/1980"),
            ("dob 1.5.2", "dob 1.5.2"),
            ("dob 12/03/19801", "dob 12/03/19801"),
            ("age 12/03", "age 12/03"),
        ],
    );
}

#[test]
fn numbers_of_passports_are_masked_and_other_numbers_are_not() {
    check(
        &[item(Masked::Detector(Detector::Passport))],
        &[
            (
                "Passport number: 123456789.",
                "Passport number: [PASSPORT].",
            ),
            ("passport no. C01X00T47", "passport no. [PASSPORT]"),
            ("passport: ab1234567", "passport: [PASSPORT]"),
            ("护照号码X1234567。", "护照号码[PASSPORT]。"),
            ("Reisepass Nr. C01X00T47", "Reisepass Nr. [PASSPORT]"),
            ("passport_number=X1234567", "passport_number=[PASSPORT]"),
            ("passport\\nX1234567\\n", "passport\\n[PASSPORT]\\n"),
            ("Invoice 123456789", "Invoice 123456789"),
            (
                "The passport is new. Order 123456789",
                "The passport is new. Order 123456789",
            ),
            ("passport 2024", "passport 2024"),
            ("passport ABCDEFGH", "passport ABCDEFGH"),
            ("passport 1234567890", "passport 1234567890"),
            ("passport 12345", "passport 12345"),
            ("passport holder", "passport holder"),
        ],
    );
}

/// Every detector there is, made once.
static SCANNER: LazyLock<Scanner> = LazyLock::new(|| {
    let regions = BTreeSet::from(Region::ALL);
    let detectors = everything()
        .into_iter()
        .map(|item| detector(&item.what, &regions));
    Scanner::new(detectors.collect())
});

fn detectors() -> impl Iterator<Item = (usize, &'static dyn Detect)> {
    let count = everything().len();
    (0..count).map(|index| (index, SCANNER.detector(index)))
}

/// What an answer says, so that two can be compared.
fn said(found: &Found) -> String {
    match found {
        Found::Long(end, _) => format!("Long({end})"),
        found => format!("{found:?}"),
    }
}

fn boundaries(text: &str) -> Vec<usize> {
    text.char_indices().map(|(at, _)| at).collect()
}

/// Those of `(start, detector, end)` that are not inside another one of the same detector.
fn outermost(values: &[(usize, usize, usize)]) -> Vec<(usize, usize, usize)> {
    let is_inside = |(start, by, end): (usize, usize, usize)| {
        move |other: &(usize, usize, usize)| other.1 == by && other.0 < start && end <= other.2
    };
    values
        .iter()
        .copied()
        .filter(|value| !values.iter().any(is_inside(*value)))
        .collect()
}

proptest! {
    #[test]
    fn an_answer_stays_whatever_follows(text in text()) {
        let text = &text[..text.floor_char_boundary(120)];
        let whole = View { text, is_last: true };
        for (index, detector) in detectors() {
            for start in boundaries(text) {
                let last = said(&detector.at(&whole, start));
                prop_assert_ne!(&last, "Open");
                for end in boundaries(text).into_iter().filter(|end| *end > start).chain([text.len()]) {
                    let view = View { text: &text[..end], is_last: false };
                    let now = said(&detector.at(&view, start));
                    prop_assert!(now == "Open" || now == last, "{index} at {start} before {end} of {text:?}: {now}, {last}");
                }
            }
        }
    }

    #[test]
    fn an_answer_depends_on_little_before_its_place(text in text()) {
        let whole = View { text: &text, is_last: true };
        for (index, detector) in detectors() {
            for start in boundaries(&text).into_iter().filter(|start| *start > crate::mask::CONTEXT) {
                let from = text.floor_char_boundary(start - crate::mask::CONTEXT);
                let near = View { text: &text[from..], is_last: true };
                let (near, far) = (detector.at(&near, start - from), detector.at(&whole, start));
                let near = match near {
                    Found::Value(end) => format!("Value({})", end + from),
                    Found::Long(end, _) => format!("Long({})", end + from),
                    near => said(&near),
                };
                prop_assert_eq!(near, said(&far), "{} at {} of {:?}", index, start, text);
            }
        }
    }

    #[test]
    fn triggers_lead_to_every_value(text in text(), end in 0_usize..200) {
        let cut = &text[..text.floor_char_boundary(end)];
        for view in [View { text: &text, is_last: true }, View { text: cut, is_last: false }] {
            let mut values = Vec::new();
            let open = SCANNER.scan(&view, 0, &mut values);
            let mut led: Vec<_> = values.iter().map(|value| (value.start, value.by, value.end)).collect();
            led.retain(|(start, ..)| *start < open);
            led.sort_unstable();
            led.dedup();
            let mut all = Vec::new();
            for start in boundaries(view.text) {
                for (by, detector) in detectors() {
                    match detector.at(&view, start) {
                        Found::Nothing => {}
                        Found::Open => prop_assert!(open <= start, "{by} is open at {start} of {:?}", view.text),
                        Found::Value(end) | Found::Long(end, _) => all.push((start, by, end)),
                    }
                }
            }
            all.retain(|(start, ..)| *start < open);
            prop_assert_eq!(outermost(&led), outermost(&all), "{:?}", view.text);
        }
    }
}
