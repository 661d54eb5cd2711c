//! About how many tokens an input has, from its bytes alone.
//!
//! A real tokenizer would be exact for one vendor and weigh more than the rest of the sidecar. What is counted here is meant to be rather too
//! much: against OpenAI's `o200k_base` and `cl100k_base` (by the crate `bpe-openai` 0.3, in November 2026) prose in twenty languages, source
//! code, JSON, YAML, logs and identifiers came out at 1.0 to 2.9 times the tokens of the one and 0.8 to 2.0 times those of the other. Much
//! more: runs of white space, Hindi and Thai for newer models. Less: Base64 and other noise of letters (0.55), single letters with spaces
//! between (0.67), short numbers with separators (0.77), Amharic and Burmese (0.5 to 0.8).
//!
//! Held against 160 recorded calls of LangChain (the cassettes of langchain-openai 1.7.3 and langchain-anthropic 1.7.7) and what the vendors
//! counted for them, it is 0.8 times their count at the least, 1.0 at the fifth percentile, 1.5 in the middle and 3 at the ninety-fifth.
//! Documents are taken for much more than those of the recordings were. Nothing is said where a part of the input is not in the call: what
//! stands at the vendor, and what the vendor's own tools bring. What a call did use is settled from the provider's own count.

/// Tokens that an image stands for, where its size is not known. Anthropic counts up to about 1,600, for its newest models more
/// (<https://docs.claude.com/en/docs/build-with-claude/vision>), Gemini 258 a tile; OpenAI was seen to count 2,080.
const IMAGE: u64 = 2500;

/// What a message costs beside its content: role and separators
/// (<https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb>).
pub(super) const MESSAGE: u64 = 4;

/// What any conversation costs beside its messages.
pub(super) const FRAME: u64 = 4;

/// Instructions of a vendor's tool that the caller runs. OpenAI's `apply_patch` was seen to take 620; Anthropic says 245 for its shell, 700 for
/// its editor and 735 for its computer (<https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview>).
pub(super) const CALLER_TOOL: u64 = 750;

/// The weight of an input, summed up while it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// In sixths of a token, so that many short strings do not each round up.
    sixths: u64,
    /// What the vendor says to the model once, in tokens.
    preamble: u64,
    /// A part of the input stands elsewhere: a stored file, an earlier answer.
    is_incomplete: bool,
}

impl Tally {
    /// A text, escaped as in JSON or not.
    pub(crate) fn text(&mut self, text: &str) {
        self.sixths = self.sixths.saturating_add(sixths(text.as_bytes()));
    }

    /// Tokens that are counted already.
    pub(crate) fn tokens_given(&mut self, tokens: u64) {
        self.sixths = self.sixths.saturating_add(tokens.saturating_mul(6));
    }

    /// Instructions that the vendor adds once, however many things ask for them; of several the longest count.
    pub(crate) fn preamble(&mut self, tokens: u64) {
        self.preamble = self.preamble.max(tokens);
    }

    /// An image.
    pub(crate) fn image(&mut self) {
        self.tokens_given(IMAGE);
    }

    /// Sound or film of this many bytes in base64. Gemini takes 32 tokens a second of sound and 258 a second of film, OpenAI 10 a second of
    /// sound; the slowest usual codecs (32 kbit/s) give 5,400 characters a second.
    pub(crate) fn media(&mut self, base64: usize) {
        self.tokens_given(base64 as u64 / 150 + 1);
    }

    /// A document of this many bytes in base64: a page of PDF is up to 3,000 tokens for Anthropic, and seldom under 12 KiB.
    pub(crate) fn document(&mut self, base64: usize) {
        self.tokens_given(base64 as u64 / 4 + 1);
    }

    /// A part of the input stands elsewhere, so nothing can be said about the whole.
    pub(crate) fn incomplete(&mut self) {
        self.is_incomplete = true;
    }

    /// The estimate; nothing where a part of the input is not in the call.
    pub(crate) fn tokens(&self) -> Option<u64> {
        (!self.is_incomplete).then(|| self.sixths.div_ceil(6).saturating_add(self.preamble))
    }
}

/// The weight of a text in UTF-8: letters and white space a third of a token, digits half of one, other ASCII two thirds; characters of two
/// bytes one token, of three bytes one and a half, of four bytes four.
fn sixths(text: &[u8]) -> u64 {
    let mut total = 0;
    // In chunks as short as counters of one byte allow, which the compiler turns into vectors.
    for chunk in text.chunks(255) {
        let (mut digits, mut others) = (0_u8, 0_u8);
        let [mut ascii, mut from_two, mut from_three, mut four] = [0_u8; 4];
        for byte in chunk {
            let is_digit = byte.wrapping_sub(b'0') < 10;
            let is_word = (byte | 0x20).wrapping_sub(b'a') < 26 || *byte <= b' ' || is_digit;
            digits += u8::from(is_digit);
            others += u8::from(!is_word & (*byte < 0x80));
            ascii += u8::from(*byte < 0x80);
            from_two += u8::from(*byte >= 0xc0);
            from_three += u8::from(*byte >= 0xe0);
            four += u8::from(*byte >= 0xf0);
        }
        let [digits, others, ascii, from_two, from_three, four] =
            [digits, others, ascii, from_two, from_three, four].map(u64::from);
        // Of each class only what it weighs more than the one before.
        total += 2 * ascii + digits + 2 * others + 6 * from_two + 3 * from_three + 15 * four;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> u64 {
        let mut tally = Tally::default();
        tally.text(text);
        tally.tokens().unwrap()
    }

    #[test]
    fn every_class_of_characters_has_its_weight() {
        for (text, expected) in [
            ("", 0),
            ("abcDEF", 2),
            ("a b\tc", 2),
            ("123456", 3),
            ("{}[]\":", 4),
            ("äöü", 3),
            ("日本", 3),
            ("😀", 4),
            (&"a".repeat(3000), 1000),
            (&"é".repeat(300), 300),
        ] {
            assert_eq!(tokens(text), expected, "{text}");
        }
    }

    #[test]
    fn many_short_texts_do_not_each_round_up() {
        let mut tally = Tally::default();
        for _ in 0..300 {
            tally.text("a");
        }
        assert_eq!(tally.tokens(), Some(100));
    }

    #[test]
    fn a_part_elsewhere_leaves_the_whole_unknown() {
        let mut tally = Tally::default();
        tally.text("abc");
        tally.incomplete();
        assert_eq!(tally.tokens(), None);
    }

    /// Token counts by `bpe-openai`, `o200k_base` first and `cl100k_base` second.
    #[test]
    fn an_estimate_is_seldom_below_what_tokenizers_count() {
        for (text, newer, older) in SAMPLES {
            let estimate = tokens(text);
            assert!(estimate >= *newer, "{text}: {estimate} for {newer}");
            assert!(estimate * 10 >= older * 9, "{text}: {estimate} for {older}");
            assert!(estimate <= newer * 3, "{text}: {estimate} for {newer}");
        }
    }

    const SAMPLES: &[(&str, u64, u64)] = &[
        (
            "The sidecar carries one request to its upstream and its response back; the order is a security property.",
            21,
            21,
        ),
        (
            "Der schnelle braune Fuchs springt über den faulen Hund, während die Straßenbahn langsam durch die Stadt fährt.",
            24,
            30,
        ),
        (
            "L'été dernier, nous avons visité plusieurs châteaux près de la rivière où les élèves étaient déjà arrivés.",
            23,
            28,
        ),
        (
            "Съешь же ещё этих мягких французских булок, да выпей чаю.",
            19,
            36,
        ),
        (
            "今天天气很好，我们一起去公园散步吧。人工智能正在改变世界。",
            19,
            34,
        ),
        ("今日はとても天気がいいので、公園を散歩しましょう。", 16, 29),
        (
            "오늘은 날씨가 매우 좋아서 공원에서 산책을 하려고 합니다.",
            18,
            35,
        ),
        (
            "الطقس جميل جدا اليوم، لذلك سنذهب للتنزه في الحديقة.",
            17,
            37,
        ),
        (
            "fn names(call: &Call) -> Vec<&str> {\n    match &call.models {\n        Models::Named(models) => models.iter().map(|m| m.name.as_str()).collect(),\n    }\n}",
            43,
            43,
        ),
        (
            "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\",\"description\":\"The city\"}},\"required\":[\"city\"]}",
            24,
            23,
        ),
        (
            "2026-11-25T01:35:03.123Z INFO [main] proxy::handle request_id=7f3a status=200 dur_ms=12.7",
            38,
            38,
        ),
        ("550e8400-e29b-41d4-a716-446655440000", 18, 18),
        ("😀🎉🚀🔥🤖", 8, 14),
    ];
}
