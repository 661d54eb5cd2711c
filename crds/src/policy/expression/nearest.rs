//! What somebody may have meant who wrote a name that there is not.

/// The name among `known` that is written almost as `name` is, or ends as it does.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let written = plain(name);
    let last = |name: &str| plain(name.rsplit('.').next().unwrap_or_default());
    let by_distance = known
        .iter()
        .map(|other| (distance(&written, &plain(other)), *other))
        .min()
        .filter(|(distance, _)| *distance <= 1 + written.len() / 8);
    by_distance.map(|(_, other)| other).or_else(|| {
        known
            .iter()
            .copied()
            .find(|other| last(other) == last(name))
    })
}

/// Without regard to case and to `snake_case`.
fn plain(name: &str) -> Vec<u8> {
    let letters = name.bytes().filter(|byte| *byte != b'_');
    letters.map(|byte| byte.to_ascii_lowercase()).collect()
}

/// How many letters must be put in, taken out or changed (Levenshtein).
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}
