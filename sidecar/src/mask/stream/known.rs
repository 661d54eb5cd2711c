//! Strings that a stream's events say again and again, and in which nothing is: the answer's id, its model. Each is searched once.

/// More than an event has of them.
const MOST: usize = 16;
/// Longer ones are none.
const LONGEST: usize = 64;

/// Strings in which nothing was found, the last that was said in front.
#[derive(Default)]
pub(super) struct Known(Vec<String>);

impl Known {
    /// Whether `text` is one of them.
    pub(super) fn has(&mut self, text: &str) -> bool {
        let Some(index) = self.0.iter().position(|known| known == text) else {
            return false;
        };
        self.0[..=index].rotate_right(1);
        true
    }

    /// Takes the place of the one that was not said for the longest time.
    pub(super) fn add(&mut self, text: &str) {
        if text.len() > LONGEST {
            return;
        }
        let mut known = if self.0.len() < MOST {
            String::new()
        } else {
            self.0.pop().unwrap_or_default()
        };
        known.clear();
        known.push_str(text);
        self.0.insert(0, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_again_is_known_beside_what_is_not() {
        let mut known = Known::default();
        let long = "x".repeat(LONGEST + 1);
        known.add(&long);
        assert!(!known.has(&long));
        let same = ["id", "model", "object"];
        for text in same {
            assert!(!known.has(text));
            known.add(text);
        }
        for other in 0..3 * MOST {
            assert!(same.iter().all(|text| known.has(text)));
            known.add(&other.to_string());
        }
        assert!(!known.has("0"));
    }
}
