//! Durations as users write them: `30s`, `5m`, `1h`.

use std::time::Duration;

/// Parses `<number><s|m|h>`; `None` for anything else, and for zero.
pub fn parse(text: &str) -> Option<Duration> {
    let unit = match text.bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3600,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_seconds_minutes_hours() {
        assert_eq!(parse("30s"), Some(Duration::from_secs(30)));
        assert_eq!(parse("5m"), Some(Duration::from_secs(300)));
        assert_eq!(parse("1h"), Some(Duration::from_secs(3600)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "s",
            "0s",
            "-1s",
            "+1s",
            "1.5s",
            "10",
            "10d",
            "99999999999999999999s",
            "1é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
