//! How long an event waits: for the next one at most, unless it has what a value may begin with.

use postern_crds::egress_policy::Region;

use super::*;
use crate::mask::{Text, tests::masker};

/// What models say, a piece an event.
const TEXTS: [&str; 4] = [
    "Two| pods|:| one| to| hold| the| bulb|,| and| one| \"|side|car|\"| to| turn| the| *|world|*| —| gently|.\n| Voilà| 💡|!",
    "The| passport| office| is| closed| on| the| day| she| was| born| in| May|,| they| say|;| mar|ched| a| DE| or| be| into| it|.| I|'m| sure| (|he\
     | said|)|:| no| –| it|'s| well|-known|.|\n\n|A| new| par|agraph",
    "J|WT| e|yes| sk|ins| gh|osts| AK| pa|per| -| item| -| item| 4| years| old| (|or| |5|),| jumps| over",
    "```|rust|\n|fn| main|()| {\n|   | let| x| =| foo|::|bar|(&|self|.|baz|);\n|   | //| see| `|Price|::|to|_c|ents|`\n|}\n|```",
];

fn texts() -> impl Iterator<Item = Vec<&'static str>> {
    TEXTS.iter().map(|text| text.split('|').collect())
}

/// How many events later each event of `pieces` comes out, where one follows that ends the text.
fn delays(items: Vec<MaskItem>, pieces: &[&str]) -> Vec<usize> {
    let policy = policy::Masks {
        items,
        phone_regions: BTreeSet::from(Region::ALL),
        fields: Vec::new(),
    };
    let masks = Masks::of_responses(&policy).unwrap();
    let mut stream = stream(&masks, Dialect::OpenAi, Framing::Events);
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let deltas = pieces.iter().map(|piece| chat(&json!({"content": piece})));
    let (mut delays, mut sent, mut got) = (Vec::new(), Vec::new(), Vec::new());
    for (now, event) in deltas.chain([end]).enumerate() {
        let event = format!("data: {event}\n\n");
        sent.extend_from_slice(event.as_bytes());
        stream.push(event.as_bytes(), &mut got).unwrap();
        let ends = got.windows(2).filter(|pair| *pair == b"\n\n").count();
        delays.extend((delays.len()..ends).map(|event| now - event));
    }
    assert_eq!(got, sent);
    delays
}

/// Whether an address of mail may go on with it.
fn is_of_address(char: char) -> bool {
    char.is_alphanumeric() || "._%+-'~".contains(char)
}

#[test]
fn an_event_without_the_begin_of_a_value_waits_for_one_other_at_most() {
    for detector in Detector::ALL {
        for pieces in texts() {
            let delays = delays(vec![item(policy::Masked::Detector(detector))], &pieces);
            for (at, delay) in delays.iter().enumerate() {
                // A word may be the begin of an address until something follows that no address has.
                let goes_on = |piece: &&&str| piece.chars().all(is_of_address);
                let most = match detector {
                    Detector::Email => 1 + pieces.iter().skip(at + 1).take_while(goes_on).count(),
                    _ => 1,
                };
                assert!(
                    *delay <= most,
                    "{detector:?}: {delay} events: {:?}",
                    &pieces[at..]
                );
            }
        }
    }
}

#[test]
fn what_is_held_for_an_address_of_mail_may_be_one() {
    let masker = masker(vec![item(policy::Masked::Detector(Detector::Email))]);
    for pieces in texts() {
        for count in 1..=pieces.len() {
            let text = pieces[..count].concat();
            let mut state = Text::new(Arc::clone(&masker));
            state.push(&text, &mut Vec::new());
            let settled = state.settled() as usize;
            if settled < text.len() {
                let masked = text::mask(&masker, &format!("{text}@example.com"));
                assert_eq!(masked, format!("{}[EMAIL]", &text[..settled]));
            }
        }
    }
}
