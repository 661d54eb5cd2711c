//! How fast texts are searched for what a policy masks: `cargo bench -p postern-sidecar --bench mask`.
//!
//! Everything that can be masked is looked for: all detectors, all regions of phone numbers, a pattern and a dictionary. One core; the best of some
//! rounds, since whatever else the machine does makes a round slower and never faster. The goal (issue 5): 500 MB/s on text without values, 150 MB/s
//! with many.

#![expect(
    clippy::print_stdout,
    reason = "a table on the terminal is what it is for"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use postern_crds::{
    egress_policy::{Detector, MaskStyle, Region},
    policy::{MaskItem, Masked, Masks},
};
use postern_sidecar::bench::Masking;

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

fn main() {
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

/// Megabytes of `text` a second.
fn speed<T>(text: &str, run: impl Fn() -> T) -> f64 {
    let begin = Instant::now();
    let mut best = Duration::MAX;
    while begin.elapsed() < TIME {
        let round = Instant::now();
        black_box(run());
        best = best.min(round.elapsed());
    }
    text.len() as f64 / best.as_secs_f64() / 1e6
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
