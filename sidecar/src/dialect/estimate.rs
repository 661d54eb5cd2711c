//! About how many tokens an input has, from its bytes alone.

/// Tokens that an image stands for, where its size is not known. Anthropic counts up to about 1,600
/// (<https://docs.claude.com/en/docs/build-with-claude/vision>), OpenAI 1,105 for the largest at high detail, Gemini 258 a tile.
const IMAGE: u64 = 1600;

/// The weight of an input, summed up while it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// In thirds of a token, so that many short strings do not each round up.
    thirds: u64,
    /// A part of the input stands elsewhere: a stored file, an earlier answer.
    is_incomplete: bool,
}

impl Tally {
    /// A text, escaped as in JSON or not.
    pub(crate) fn text(&mut self, text: &str) {
        let [ascii, two, three, four] = classes(text);
        self.thirds += ascii + 3 * two + 6 * three + 9 * four;
    }

    /// Tokens that are counted already.
    pub(crate) fn tokens_given(&mut self, tokens: u64) {
        self.thirds = self.thirds.saturating_add(tokens.saturating_mul(3));
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
        (!self.is_incomplete).then(|| self.thirds.div_ceil(3))
    }
}

/// How many characters of `text` take one, two, three and four bytes.
fn classes(text: &str) -> [u64; 4] {
    let count = |is: fn(u8) -> bool| text.bytes().filter(|byte| is(*byte)).count() as u64;
    if text.is_ascii() {
        return [text.len() as u64, 0, 0, 0];
    }
    [
        count(|byte| byte < 0x80),
        count(|byte| (0xc0..0xe0).contains(&byte)),
        count(|byte| (0xe0..0xf0).contains(&byte)),
        count(|byte| byte >= 0xf0),
    ]
}
