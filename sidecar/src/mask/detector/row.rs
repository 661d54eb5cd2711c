//! A row of digits and what stands beside it: looked at once, for all detectors that ask about digits.

use crate::mask::view::View;

/// A row of digits at a place.
#[derive(Clone, Copy, Debug)]
pub(in crate::mask) struct Row {
    /// How many there are, up to [`Row::MOST`].
    pub(in crate::mask) count: usize,
    /// Whether a number begins with them: [`View::is_number_start`].
    pub(super) is_start: bool,
    /// What stands before them.
    pub(super) before: Option<u8>,
    /// What stands behind them, if something is there already.
    pub(super) next: Option<u8>,
    /// What stands behind that.
    pub(super) then: Option<u8>,
}

impl Row {
    /// No detector tells longer ones apart.
    const MOST: usize = 20;

    /// The first byte of a no-break space.
    pub(super) const NBSP: u8 = 0xc2;

    /// The row whose first digit stands at `at`.
    pub(in crate::mask) fn of(view: &View<'_>, at: usize) -> Self {
        let rest = &view.bytes()[at..];
        let digits = rest.iter().take(Self::MOST);
        let count = digits.take_while(|byte| byte.is_ascii_digit()).count();
        Self {
            count,
            is_start: view.is_number_start(at),
            before: view.byte_before(at),
            next: rest.get(count).copied(),
            then: rest.get(count + 1).copied(),
        }
    }

    /// Whether a digit stands behind the byte behind it, or what stands there is not known.
    pub(super) fn may_go_on(&self) -> bool {
        self.then.is_none_or(|byte| byte.is_ascii_digit())
    }
}
