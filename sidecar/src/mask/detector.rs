//! What a detector is: the answer to whether a value begins at a place.

use postern_crds::{
    egress_policy::{Detector, Region},
    policy::Masked,
};
use std::collections::BTreeSet;

use super::{bytes::ByteSet, swallow::Swallow, view::View};

mod api_key;
mod aws_access_key;
mod context;
mod credit_card;
mod cursor;
mod date_of_birth;
mod email;
mod github_token;
mod iban;
mod ip_address;
mod jwt;
mod passport;
mod pattern;
mod phone;
mod private_key;
mod row;
mod shape;
mod us_ssn;
mod words;

#[cfg(test)]
mod tests;

pub(super) use row::{Row, Rows};

/// Finds one kind of values.
pub(super) trait Detect: Send + Sync {
    /// Whether a value begins at `start`, a boundary of characters in the text. The longest is meant where there are several.
    ///
    /// *Guarantees:* the answer depends on at most [`CONTEXT`](super::CONTEXT) bytes before `start`. One that is not [`Found::Open`] stays, whatever
    /// follows. There is none of it where `view.is_last`.
    fn at(&self, view: &View<'_>, start: usize) -> Found;

    /// The bytes that lead to values: each value has one.
    fn triggers(&self) -> Vec<Triggers>;

    /// Whether a row of digits may lead to a value, of those who are asked about [rows](Triggers::rows). What is not known of it yet may be anything.
    fn may_be(&self, _row: &Row) -> bool {
        true
    }

    /// The place where a value may begin that `trigger` leads to. Every value is led to by one of its bytes, unless it is the end of another one;
    /// an open one too, unless it begins in the last
    /// [`Detect::reach`] bytes or [`Detect::tail`] tells of it.
    fn start(&self, view: &View<'_>, trigger: usize) -> Option<usize>;

    /// Which bytes stand in front of a value's trigger, and how many at most, but for what [`Detect::tail`] tells.
    fn reach(&self) -> Reach {
        Reach::NONE
    }

    /// Whether values begin only where no letter or digit stands before them.
    fn begins_free(&self) -> bool {
        true
    }

    /// The first open place from `from` on, where the trigger may stand far behind it. Asked of those whose [`Reach`] is far.
    fn tail(&self, _view: &View<'_>, _from: usize) -> Option<usize> {
        None
    }

    /// The value as it is compared with others: two spellings of one are the same.
    fn normalize(&self, value: &str) -> String {
        value.to_owned()
    }
}

/// Which bytes a detector wants to be asked about.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Triggers {
    pub(super) bytes: ByteSet,
    /// What must stand behind one of them, if anything stands there.
    pub(super) next: Option<ByteSet>,
    /// Not about a digit with another one before it.
    pub(super) is_number: bool,
}

impl Triggers {
    /// Any of these.
    fn bytes(bytes: ByteSet) -> Self {
        Self {
            bytes,
            next: None,
            is_number: false,
        }
    }

    /// Any of these with one of `next` behind it.
    fn pairs(bytes: ByteSet, next: ByteSet) -> Self {
        Self {
            next: Some(next),
            ..Self::bytes(bytes)
        }
    }

    /// The first of a row of digits, if [`Detect::may_be`] says so.
    pub(super) fn rows() -> Self {
        Self {
            is_number: true,
            ..Self::bytes(ByteSet::digits())
        }
    }

    /// Of the bytes that stand at each place of a match, the two beside one another that text has least, and at which place they are.
    fn rarest(heads: &[ByteSet]) -> (usize, Self) {
        let pairs = heads
            .iter()
            .enumerate()
            .map(|(at, bytes)| (at, bytes, heads.get(at + 1)));
        let (at, bytes, next) = pairs
            .min_by_key(|(_, bytes, next)| {
                bytes.frequency() * (next.map_or(1000, ByteSet::frequency) + 200)
            })
            .expect("a match has at least one byte");
        let triggers = Self {
            next: next.cloned(),
            ..Self::bytes(bytes.clone())
        };
        (at, triggers)
    }
}

/// What may stand in front of a value's trigger.
pub(super) struct Reach {
    /// So many bytes.
    pub(super) bytes: usize,
    /// Where it is more than none: what values begin with.
    pub(super) heads: ByteSet,
    /// [`Detect::tail`] tells what else there is.
    pub(super) is_far: bool,
}

impl Reach {
    /// The trigger is a value's first byte.
    const NONE: Self = Self {
        bytes: 0,
        heads: ByteSet::EMPTY,
        is_far: false,
    };

    /// At most so many bytes, of which the first is one of `heads`.
    fn bytes(bytes: usize, heads: ByteSet) -> Self {
        Self {
            bytes,
            heads,
            is_far: false,
        }
    }
}

/// What begins at a place.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// No value.
    Nothing,
    /// What follows decides.
    Open,
    /// A value, to this end.
    Value(usize),
    /// The begin of a value that is longer than what is held back; how the rest of it is told.
    Long(usize, Swallow),
}

impl Found {
    /// A value to `end`, if there is one.
    fn value(end: Option<usize>) -> Self {
        end.map_or(Self::Nothing, Self::Value)
    }
}

/// The detector of what a policy says.
pub(super) fn detector(what: &Masked, regions: &BTreeSet<Region>) -> Box<dyn Detect> {
    match what {
        Masked::Detector(detector) => match detector {
            Detector::Email => Box::new(email::Email),
            Detector::Phone => Box::new(phone::Phone::new(regions)),
            Detector::CreditCard => Box::new(credit_card::CreditCard),
            Detector::Iban => Box::new(iban::Iban),
            Detector::UsSsn => Box::new(us_ssn::UsSsn::new()),
            Detector::IpAddress => Box::new(ip_address::IpAddress),
            Detector::AwsAccessKey => Box::new(shape::Shapes::new(aws_access_key::AWS_ACCESS_KEY)),
            Detector::GithubToken => Box::new(shape::Shapes::new(github_token::GITHUB_TOKEN)),
            Detector::Jwt => Box::new(jwt::Jwt),
            Detector::PrivateKey => Box::new(private_key::PrivateKey),
            Detector::ApiKey => Box::new(shape::Shapes::new(api_key::API_KEY)),
            Detector::DateOfBirth => Box::new(date_of_birth::DateOfBirth::new()),
            Detector::Passport => Box::new(passport::Passport::new()),
        },
        Masked::Pattern { regex, .. } => Box::new(pattern::Pattern::new(regex)),
        Masked::Dictionary {
            words, ignore_case, ..
        } => Box::new(words::Words::new(words, *ignore_case)),
    }
}
