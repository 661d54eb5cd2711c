//! How fast texts are searched for what a policy masks, and what that adds to an event of a stream:
//! `cargo bench --profile release -p postern-sidecar --bench mask`. The profile is the product's; that of `cargo bench` alone does not optimise the
//! sidecar, which other benchmarks measure from outside.
//!
//! Everything that can be masked is looked for: all detectors, all regions of phone numbers, a pattern and a dictionary. One core; the best of some
//! rounds, since whatever else the machine does makes a round slower and never faster. The goal (issue 5): 500 MB/s on text without values, 150 MB/s
//! with many; a stream's event with masks costs at most a tenth more than without, which counts all of a call, not only the stages that are here.

#![expect(
    clippy::print_stdout,
    reason = "a table on the terminal is what it is for"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::Bytes;
use postern_crds::{
    egress_policy::{Detector, MaskStyle, Region},
    policy::{MaskItem, Masked, Masks},
};
use postern_sidecar::bench::{Masking, Stages};

/// Bytes of each text.
const TEXT: usize = 32 << 10;
/// How long one measurement goes on.
const TIME: Duration = Duration::from_millis(600);

const PROSE: &str = "The harbour wakes before the town does. Boats that left in the dark come back with the light behind them, and the women on \
    the quay already know which of them will be late; \"there is no hurry\", one says, \"the tide waits for 3 or 4 of them\". By half past nine \
    the market - what is left of it - has sold most of what came in. Nobody counts the boxes: somebody always has.\n\n";

const CODE: &str = "fn total(items: &[Item]) -> Result<u64, Error> {\n    let mut sum = 0_u64;\n    for (index, item) in items.iter().enumerate() {\n        \
    let price = item.price.checked_mul(100).ok_or(Error::Overflow { index })?;\n        sum += price as u64; // cents, see `Price::to_cents`\n    }\n    \
    Ok(sum)\n}\n\n";

const FIGURES: &str = "| 2024 | Q1 | 1,204.50 | 318 | 0.26 |\n| 2024 | Q2 | 1,391.00 | 402 | 0.29 |\n| 2025 | Q3 | 998.75 | 287 | 0.28 |\n";

const CHINESE: &str = "港口在城市醒来之前就已经醒了。黑暗中出发的船只带着身后的光回来，码头上的人们早就知道哪一艘会迟到。\n";

const VALUES: &str = "Write to bob.smith@example.com or +49 30 901820; card 4111 1111 1111 1111, account DE89 3704 0044 0532 0130 00, from 192.0.2.17, \
    case CASE-12345678, for Anna Bell, born on 12 March 1980, SSN 123-45-6789. ";

/// What an event of OpenAI's says beside its word.
const HEAD: &str = r#"{"id":"chatcmpl-C0FFEEC0FFEEC0FFEEC0FFEE","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_51db84afab","choices":[{"index":0,"delta":{"content":""#;
const TAIL: &str = r#""},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":""#;
/// What `obfuscation` is a part of, in each event another.
const NOISE: &str = "q8Zr0mTnX2aB7kLw9Vd3cYh5Jf4Se6Ug1PzRx";

const WORDS: [&str; 27] = [
    "Two", " pods", ":", " one", " to", " hold", " the", " bulb", ",", " and", " one", r#" \""#,
    "side", "car", r#"\""#, " to", " turn", " the", " *", "world", "*", " —", " gently", r".\n",
    " Voilà", " 💡", "!",
];

fn main() {
    texts();
    events();
}

/// The search alone.
fn texts() {
    let masking = Masking::new(&masks());
    println!(
        "{:<28}{:>10}{:>12}{:>12}{:>10}",
        "text", "piece", "MB/s", "values/KB", "of copy"
    );
    for (name, sample) in [
        ("prose", PROSE),
        ("code", CODE),
        ("figures", FIGURES),
        ("Chinese", CHINESE),
        ("many values", VALUES),
    ] {
        let text = sample.repeat(TEXT / sample.len());
        let copy = speed(&text, || black_box(text.as_bytes().to_vec()));
        for piece in [16, 1024, TEXT] {
            let values = masking.found(&text, piece).len();
            let masked = speed(&text, || masking.found(&text, piece).len());
            println!(
                "{name:<28}{piece:>10}{masked:>12.0}{:>12.2}{:>9.1}%",
                values as f64 * 1000.0 / text.len() as f64,
                masked * 100.0 / copy,
            );
        }
    }
}

/// All that the events of a stream pass.
fn events() {
    let frames: Vec<Bytes> = WORDS
        .iter()
        .enumerate()
        .map(|(index, word)| {
            let noise = &NOISE[index..index + 10];
            format!("data: {HEAD}{word}{TAIL}{noise}\"}}\n\n").into()
        })
        .collect();
    let cost = |masks: &Masks| {
        let stages = Stages::new(masks);
        let best = best(|| stages.pass(&frames, |out| drop(black_box(out))));
        best.as_secs_f64() * 1e6 / frames.len() as f64
    };
    let (without, with) = (cost(&Masks::default()), cost(&masks()));
    println!("an event without masks, µs {without:>10.2}");
    println!("an event with masks, µs {with:>13.2}");
}

/// Megabytes of `text` a second.
fn speed<T>(text: &str, run: impl Fn() -> T) -> f64 {
    text.len() as f64 / best(run).as_secs_f64() / 1e6
}

/// The shortest time of one round.
fn best<T>(run: impl Fn() -> T) -> Duration {
    let begin = Instant::now();
    let mut best = Duration::MAX;
    while begin.elapsed() < TIME {
        let round = Instant::now();
        black_box(run());
        best = best.min(round.elapsed());
    }
    best
}

/// Everything that can be masked.
fn masks() -> Masks {
    let detectors = Detector::ALL.into_iter().map(Masked::Detector);
    let own = [
        Masked::Pattern {
            name: "CASE_ID".to_owned(),
            regex: "CASE-[0-9]{8}".to_owned(),
        },
        Masked::Dictionary {
            name: "PEOPLE".to_owned(),
            words: ["Anna Bell", "Jonas Weber", "Project Heron"]
                .map(str::to_owned)
                .into(),
            ignore_case: true,
        },
    ];
    Masks {
        items: detectors
            .chain(own)
            .map(|what| MaskItem {
                what,
                style: MaskStyle::Label,
                enforce: true,
                restore: false,
            })
            .collect(),
        phone_regions: [Region::Us, Region::Gb, Region::De, Region::Fr].into(),
        ..Masks::default()
    }
}
