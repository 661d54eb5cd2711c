//! Reads the masks of a policy.

use std::collections::BTreeSet;

use crate::{
    egress_policy::{
        Detector, EgressPolicySpec, Mask, MaskDictionary, MaskPattern, MaskStyle, Mode,
    },
    policy::mask::{Field, MaskItem, Masked, Masks, Step, parse_pattern},
    violation::Violation,
};

/// What a policy masks in calls, and every problem that this has.
pub(super) fn of_requests(spec: &EgressPolicySpec, violations: &mut Vec<Violation>) -> Masks {
    let mask = spec.request.as_ref().and_then(|rules| rules.mask.as_ref());
    compile("spec.request.mask", spec.mode, mask, violations)
}

/// What a policy masks in answers, and every problem that this has.
pub(super) fn of_responses(spec: &EgressPolicySpec, violations: &mut Vec<Violation>) -> Masks {
    const AT: &str = "spec.response.mask";
    let mask = spec.response.as_ref().and_then(|rules| rules.mask.as_ref());
    if mask.is_some_and(|mask| mask.restore) {
        violations.push(Violation::new(
            format!("{AT}.restore"),
            "restore belongs to request.mask: what a call had is put back",
        ));
    }
    compile(AT, spec.mode, mask, violations)
}

fn compile(
    at: &'static str,
    mode: Mode,
    mask: Option<&Mask>,
    violations: &mut Vec<Violation>,
) -> Masks {
    let Some(mask) = mask else {
        return Masks::default();
    };
    let mut reader = Reader {
        at,
        mask,
        enforce: mode == Mode::Enforce,
        names: Detector::ALL.map(Detector::name).into(),
        masks: Masks::default(),
        violations,
    };
    reader.read();
    reader.masks
}

/// Reads one mask, and notes what is wrong with it.
struct Reader<'a> {
    /// Where it stands.
    at: &'static str,
    mask: &'a Mask,
    enforce: bool,
    /// Names that are taken.
    names: BTreeSet<&'a str>,
    masks: Masks,
    violations: &'a mut Vec<Violation>,
}

impl<'a> Reader<'a> {
    fn wrong(&mut self, member: &str, message: impl Into<String>) {
        let at = format!("{}{member}", self.at);
        self.violations.push(Violation::new(at, message));
    }

    fn read(&mut self) {
        let mask = self.mask;
        if mask.detectors.is_empty()
            && mask.patterns.is_empty()
            && mask.dictionaries.is_empty()
            && mask.fields.is_empty()
        {
            self.wrong(
                "",
                "name at least one of detectors, patterns, dictionaries and fields",
            );
        }
        if !mask.phone_regions.is_empty() && !mask.detectors.contains(&Detector::Phone) {
            self.wrong(
                ".phoneRegions",
                "phoneRegions belongs to the detector PHONE",
            );
        }
        self.restore();
        self.masks.phone_regions = mask.phone_regions.iter().copied().collect();
        let detectors: BTreeSet<Detector> = mask.detectors.iter().copied().collect();
        for detector in detectors {
            self.add(Masked::Detector(detector), None);
        }
        for (index, pattern) in mask.patterns.iter().enumerate() {
            self.pattern(&format!(".patterns[{index}]"), pattern);
        }
        for (index, dictionary) in mask.dictionaries.iter().enumerate() {
            self.dictionary(&format!(".dictionaries[{index}]"), dictionary);
        }
        for (index, field) in mask.fields.iter().enumerate() {
            let at = format!(".fields[{index}].path");
            match path(&field.path) {
                Ok(path) if self.masks.fields.iter().any(|known| known.path == path) => {
                    self.wrong(&at, format!("{:?} is an earlier field too", field.path));
                }
                Ok(path) => self.masks.fields.push(Field {
                    path,
                    action: field.action,
                    enforce: self.enforce,
                }),
                Err(message) => self.wrong(&at, message),
            }
        }
    }

    fn add(&mut self, what: Masked, style: Option<MaskStyle>) {
        let default = match self.mask.restore {
            true => MaskStyle::Pseudonym,
            false => MaskStyle::default(),
        };
        self.masks.items.push(MaskItem {
            what,
            style: style.or(self.mask.style).unwrap_or(default),
            enforce: self.enforce,
            restore: self.mask.restore,
        });
    }

    /// What is put back is a pseudonym that stands in the call.
    fn restore(&mut self) {
        let mask = self.mask;
        if !mask.restore {
            return;
        }
        if !self.enforce {
            self.wrong(
                ".restore",
                "mode Observe takes nothing out, so there is nothing to put back: leave restore out until the mode is Enforce",
            );
        }
        if mask.detectors.is_empty() && mask.patterns.is_empty() && mask.dictionaries.is_empty() {
            self.wrong(
                ".restore",
                "members that are masked whole are not put back: name detectors, patterns or dictionaries",
            );
        }
        let styles = [(".style".to_owned(), mask.style)].into_iter();
        let patterns = mask.patterns.iter().enumerate();
        let patterns =
            patterns.map(|(index, own)| (format!(".patterns[{index}].style"), own.style));
        let dictionaries = mask.dictionaries.iter().enumerate();
        let dictionaries =
            dictionaries.map(|(index, own)| (format!(".dictionaries[{index}].style"), own.style));
        for (at, style) in styles.chain(patterns).chain(dictionaries) {
            if style.is_some_and(|style| style != MaskStyle::Pseudonym) {
                self.wrong(
                    &at,
                    "restore puts pseudonyms back and nothing else: leave style out",
                );
            }
        }
    }

    fn pattern(&mut self, at: &str, pattern: &'a MaskPattern) {
        self.name(at, &pattern.name);
        if let Err(message) = parse_pattern(&pattern.regex) {
            self.wrong(&format!("{at}.regex"), message);
            return;
        }
        let what = Masked::Pattern {
            name: pattern.name.clone(),
            regex: pattern.regex.clone(),
        };
        self.add(what, pattern.style);
    }

    fn dictionary(&mut self, at: &str, dictionary: &'a MaskDictionary) {
        self.name(at, &dictionary.name);
        if dictionary.words.is_empty() {
            self.wrong(&format!("{at}.words"), "name at least one word");
        }
        for (index, word) in dictionary.words.iter().enumerate() {
            if word.is_empty() || word.len() > MAX_WORD_BYTES {
                self.wrong(
                    &format!("{at}.words[{index}]"),
                    format!("a word has 1 to {MAX_WORD_BYTES} bytes"),
                );
            }
        }
        let what = Masked::Dictionary {
            name: dictionary.name.clone(),
            words: dictionary.words.iter().cloned().collect(),
            ignore_case: dictionary.ignore_case,
        };
        self.add(what, dictionary.style);
    }

    fn name(&mut self, at: &str, name: &'a str) {
        let is_upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let is_name = name.len() <= 63
            && name.bytes().next().is_some_and(|b| b.is_ascii_uppercase())
            && name.bytes().last().is_some_and(is_upper)
            && name.bytes().all(|byte| is_upper(byte) || byte == b'_');
        if !is_name {
            self.wrong(
                &format!("{at}.name"),
                "must be 1 to 63 characters of A-Z, 0-9 and '_', starting with a letter and not ending with '_'",
            );
        } else if !self.names.insert(name) {
            self.wrong(
                &format!("{at}.name"),
                format!(
                    "{name:?} is the name of a detector, or of an earlier pattern or dictionary"
                ),
            );
        }
    }
}

/// The longest word of a dictionary, in bytes.
const MAX_WORD_BYTES: usize = 256;

/// The longest path of a field, in steps: deeper values are not looked into.
const MAX_STEPS: usize = 32;

/// Reads `$.name['other name'][*]`, the part of JSONPath that names members and arrays
/// (<https://www.rfc-editor.org/rfc/rfc9535#section-2.5>).
fn path(text: &str) -> Result<Vec<Step>, String> {
    const SHAPE: &str = "use names and [*], as in $.user.email, $.data[*].owner or $['a b'].c";
    let mut rest = text.strip_prefix('$').ok_or(SHAPE)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[*]") {
            steps.push(Step::Every);
            rest = after;
        } else if let Some(quoted) = rest.strip_prefix("['") {
            let (name, after) = quoted.split_once("']").ok_or(SHAPE)?;
            if name.is_empty() || name.contains(['\'', '\\']) {
                return Err(SHAPE.to_owned());
            }
            steps.push(Step::Name(name.to_owned()));
            rest = after;
        } else {
            let named = rest.strip_prefix('.').ok_or(SHAPE)?;
            let end = named.find(['.', '[']).unwrap_or(named.len());
            let (name, after) = named.split_at(end);
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if name.is_empty() || !name.chars().all(is_name) {
                return Err(SHAPE.to_owned());
            }
            steps.push(Step::Name(name.to_owned()));
            rest = after;
        }
    }
    if steps.len() > MAX_STEPS {
        return Err(format!("has more than {MAX_STEPS} steps"));
    }
    match steps.last() {
        Some(Step::Name(_)) => Ok(steps),
        _ => Err(format!("must end with a name: {SHAPE}")),
    }
}
