//! A request as somebody tells it, made into the one that the proxy would get.

use std::{
    fs,
    io::{self, Read as _},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use postern_crds::Violation;

/// A request as somebody tells it.
#[derive(Debug)]
pub(super) struct Told {
    /// Its method.
    pub(super) method: String,
    /// Its path below the proxy, which starts with the credential's name, and its query.
    pub(super) target: String,
    /// Its headers.
    pub(super) headers: Vec<(String, String)>,
    /// Its body. It counts as JSON where no header says otherwise.
    pub(super) body: Bytes,
}

impl Told {
    /// The request.
    ///
    /// # Errors
    /// Everything in it that no request can have.
    pub(super) fn build(self) -> Result<Request<Bytes>, Vec<String>> {
        let Self {
            method,
            target,
            headers,
            body,
        } = self;
        let mut problems = Vec::new();
        let mut request = Request::new(body);
        match Method::from_bytes(method.as_bytes()) {
            Ok(method) => *request.method_mut() = method,
            Err(_) => problems.push(format!("{method:?} is not a method")),
        }
        match target.parse::<Uri>() {
            Ok(uri) if target.starts_with('/') && !target.contains('#') => {
                *request.uri_mut() = uri;
            }
            _ => problems.push(format!(
                "{target:?} is not a path: it must start with '/' and have no space and no '#'"
            )),
        }
        for (name, value) in headers {
            let parsed = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(&value),
            );
            match parsed {
                (Ok(name), Ok(value)) => {
                    request.headers_mut().append(name, value);
                }
                _ => problems.push(format!(
                    "header {name:?} has a name or value that no header can have"
                )),
            }
        }
        if !request.body().is_empty() {
            request
                .headers_mut()
                .entry(header::CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/json"));
        }
        if problems.is_empty() {
            Ok(request)
        } else {
            Err(problems)
        }
    }
}

/// `name: value` as its parts.
///
/// # Errors
/// A line without a colon.
pub(super) fn header_of_line(line: &str) -> Result<(String, String), String> {
    line.split_once(':')
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| format!("{line:?} must be a header as in \"name: value\""))
}

/// What `--body` means: a file after `@`, standard input for `-`, otherwise the text itself.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn body_of_flag(flag: Option<&str>) -> Result<Bytes, Vec<Violation>> {
    let read = match flag {
        None => Ok(Vec::new()),
        Some("-") => {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        }
        Some(text) => match text.strip_prefix('@') {
            Some(file) => fs::read(file),
            None => Ok(text.as_bytes().to_vec()),
        },
    };
    read.map(Bytes::from).map_err(|error| {
        let flag = flag.unwrap_or_default();
        vec![Violation::new(
            format!("--body {flag}"),
            format!("cannot be read: {error}"),
        )]
    })
}
