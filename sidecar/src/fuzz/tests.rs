//! The inputs that were kept: seeds that lead into each parser, and those of which something did not hold once.

use std::{fs, path::Path};

use super::TARGETS;

#[test]
fn everything_holds_of_the_inputs_that_were_kept() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for target in TARGETS {
        let folder = corpus.join(target.name);
        let inputs = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{} has no inputs: {error}", target.name));
        for input in inputs {
            let data = fs::read(input.unwrap().path()).unwrap();
            // In some more pieces than its own first byte says.
            for seed in [
                None,
                Some(0),
                Some(1),
                Some(16),
                Some(32),
                Some(48),
                Some(7),
            ] {
                let mut data = data.clone();
                if let (Some(seed), Some(first)) = (seed, data.first_mut()) {
                    *first = seed;
                }
                (target.holds)(&data);
            }
        }
    }
}
