//! Text in which `{name}` stands for a part of a request.

use http::HeaderName;

/// A text and what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Itself.
    Text(String),
    /// `{method}`.
    Method,
    /// `{host}`, with the port where it is sent.
    Host,
    /// `{path}`.
    Path,
    /// `{query}`, without the `?`; empty where there is none.
    Query,
    /// `{target}`: path, and `?` and query where there is one.
    Target,
    /// `{timestamp}`.
    Timestamp,
    /// `{keyId}`.
    KeyId,
    /// `{body}`.
    Body,
    /// `{bodySha256}`.
    BodySha256,
    /// `{header:NAME}`.
    Header(HeaderName),
    /// `{signature}`.
    Signature,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = rest.strip_prefix("}}") {
                plain.push('}');
                rest = after;
            } else if let Some((name, after)) =
                rest.strip_prefix('{').and_then(|rest| rest.split_once('}'))
            {
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(part(name)?);
                rest = after;
            } else {
                return Err(
                    "has a brace that opens or closes nothing: write {{ or }} for a brace itself"
                        .into(),
                );
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// Its pieces, in their order.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }
}

fn part(name: &str) -> Result<Part, String> {
    Ok(match name {
        "method" => Part::Method,
        "host" => Part::Host,
        "path" => Part::Path,
        "query" => Part::Query,
        "target" => Part::Target,
        "timestamp" => Part::Timestamp,
        "keyId" => Part::KeyId,
        "body" => Part::Body,
        "bodySha256" => Part::BodySha256,
        "signature" => Part::Signature,
        _ => match name.strip_prefix("header:").map(str::parse) {
            Some(Ok(name)) => Part::Header(name),
            _ => {
                return Err(format!(
                    "{{{name}}} stands for nothing; what there is: {{method}}, {{host}}, {{path}}, {{query}}, {{target}}, {{timestamp}}, {{keyId}}, \
                     {{body}}, {{bodySha256}}, {{header:NAME}}, {{signature}}"
                ));
            }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_text_and_names() {
        assert_eq!(
            Template::parse("v1:{timestamp}\n{{{header:X-A}}}")
                .unwrap()
                .parts(),
            [
                Part::Text("v1:".into()),
                Part::Timestamp,
                Part::Text("\n{".into()),
                Part::Header(HeaderName::from_static("x-a")),
                Part::Text("}".into()),
            ]
        );
        assert!(Template::parse("").unwrap().parts().is_empty());
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        for text in [
            "{",
            "}",
            "a{b",
            "{nonce}",
            "{}",
            "{header:}",
            "{header:a b}",
            "{Method}",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
