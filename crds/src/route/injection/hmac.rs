//! A keyed hash over a template.

use http::HeaderName;

use super::{
    Injection, header_name, is_printable,
    template::{Part, Template},
};
use crate::{
    agent_identity::{
        HmacAlgorithm, HmacEncoding, HmacHeader, HmacInject, KeyEncoding, TimestampFormat,
    },
    violation::Violation,
};

/// How a request is signed with a keyed hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hmac {
    /// The hash.
    pub algorithm: HmacAlgorithm,
    /// How the signature is written.
    pub encoding: HmacEncoding,
    /// How the key is written in its source.
    pub key_encoding: KeyEncoding,
    /// Names the key; empty where it has no name.
    pub key_id: String,
    /// How the moment is written.
    pub timestamp: TimestampFormat,
    /// What is signed. `{signature}` is not in it.
    pub message: Template,
    /// The headers that are set. Nothing but `{signature}`, `{timestamp}` and `{keyId}` is in them.
    pub headers: Vec<(HeaderName, Template)>,
}

impl Hmac {
    /// Whether what is signed depends on the body.
    pub(super) fn needs_body(&self) -> bool {
        let of_the_body = |part: &Part| matches!(part, Part::Body | Part::BodySha256);
        self.message.parts().iter().any(of_the_body)
    }
}

pub(super) fn compile(at: &str, inject: &HmacInject) -> Result<Injection, Vec<Violation>> {
    let HmacInject {
        algorithm,
        encoding,
        key_encoding,
        key_id,
        timestamp,
        message,
        headers,
    } = inject;
    let mut found = Vec::new();
    if key_id.as_ref().is_some_and(|id| !is_printable(id)) {
        found.push(Violation::new(
            format!("{at}.keyId"),
            "must be of printable ASCII characters",
        ));
    }
    let template = |place: String, text: &str, is_for: fn(&Part) -> bool, otherwise: &str| {
        let parsed = Template::parse(text).map_err(|message| Violation::new(&place, message))?;
        if !parsed.parts().iter().all(is_for) {
            Err(Violation::new(place, otherwise))
        } else if key_id.is_none() && parsed.parts().contains(&Part::KeyId) {
            Err(Violation::new(
                place,
                "{keyId} stands there, and keyId is not set",
            ))
        } else {
            Ok(parsed)
        }
    };
    let message = template(
        format!("{at}.message"),
        message,
        |part| *part != Part::Signature,
        "{signature} is made of it and cannot be in it",
    );
    let mut set: Vec<(HeaderName, Template)> = Vec::new();
    for (index, header) in headers.iter().enumerate() {
        let at = format!("{at}.headers[{index}]");
        if !is_printable(&header.value) {
            found.push(Violation::new(
                format!("{at}.value"),
                "must be of printable ASCII characters",
            ));
        }
        let value = template(
            format!("{at}.value"),
            &header.value,
            |part| {
                matches!(
                    part,
                    Part::Text(_) | Part::Signature | Part::Timestamp | Part::KeyId
                )
            },
            "may have {signature}, {timestamp} and {keyId} only",
        );
        match (header_name(&at, &header.name), value) {
            (Ok(name), Ok(_)) if set.iter().any(|(other, _)| *other == name) => {
                found.push(Violation::new(format!("{at}.name"), "is set twice"));
            }
            (Ok(name), Ok(value)) => set.push((name, value)),
            (name, value) => found.extend(name.err().into_iter().chain(value.err())),
        }
    }
    let carries = |header: &HmacHeader| header.value.contains("{signature}");
    if !headers.iter().any(carries) {
        found.push(Violation::new(
            format!("{at}.headers"),
            "no header carries {signature}",
        ));
    }
    match message {
        Ok(message) if found.is_empty() => Ok(Injection::Hmac(Box::new(Hmac {
            algorithm: *algorithm,
            encoding: *encoding,
            key_encoding: *key_encoding,
            key_id: key_id.clone().unwrap_or_default(),
            timestamp: *timestamp,
            message,
            headers: set,
        }))),
        message => {
            found.extend(message.err());
            Err(found)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(yaml: &str) -> Result<Hmac, Vec<String>> {
        match compile("at", &crate::yaml::from_str(yaml).unwrap()) {
            Ok(Injection::Hmac(hmac)) => Ok(*hmac),
            Ok(other) => panic!("{other:?}"),
            Err(found) => Err(found.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn what_is_left_out_is_the_usual() {
        let hmac =
            compiled("{message: \"{timestamp}{method}{target}\", headers: [{name: X-Sig, value: \"{signature}\"}]}")
                .unwrap();
        assert_eq!(hmac.algorithm, HmacAlgorithm::SHA256);
        assert_eq!(hmac.encoding, HmacEncoding::Hex);
        assert_eq!(hmac.key_encoding, KeyEncoding::Text);
        assert_eq!(hmac.timestamp, TimestampFormat::Seconds);
        assert!(!hmac.needs_body());
    }

    #[test]
    fn a_body_is_needed_where_it_is_signed() {
        for part in ["{body}", "{bodySha256}"] {
            let hmac = compiled(&format!(
                "{{message: \"{part}\", headers: [{{name: X-Sig, value: \"{{signature}}\"}}]}}"
            ));
            assert!(hmac.unwrap().needs_body(), "{part}");
        }
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let found = compiled(
            "{keyId: \"a\\nb\", message: \"{signature}\", headers: [
               {name: Host, value: \"{keyId}\"}, {name: X-A, value: \"{body}\"}, {name: X-B, value: x}, {name: x-b, value: z},
               {name: X-C, value: \"a\\nb\"}]}",
        )
        .unwrap_err();
        let paths: Vec<&str> = found
            .iter()
            .map(|v| v.split_once(": ").unwrap().0)
            .collect();
        assert_eq!(
            paths,
            [
                "at.keyId",
                "at.headers[0].name",
                "at.headers[1].value",
                "at.headers[3].name",
                "at.headers[4].value",
                "at.headers",
                "at.message",
            ]
        );
        let found =
            compiled("{message: \"{keyId}\", headers: [{name: X-A, value: \"{signature}\"}]}")
                .unwrap_err();
        assert!(found[0].contains("keyId is not set"), "{found:?}");
    }
}
