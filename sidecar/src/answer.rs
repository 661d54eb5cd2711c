//! Writes an error in the words of the API that the caller believes to speak to, so that its client library shows it well.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use postern_crds::{
    names::{REASON_HEADER, REQUEST_ID_HEADER},
    provider::Dialect,
};
use serde_json::{Value, json};

use crate::error::{Call, Error};

/// The response for `error`. The shapes are those that LangChain's clients were seen to show well (research on langchain, section 2.3).
pub(crate) fn render(
    error: &Error,
    call: &Call<'_>,
    dialect: Dialect,
    request_id: &HeaderValue,
) -> Response<Bytes> {
    let status = error.status();
    let id = request_id.to_str().unwrap_or_default();
    let body = body(
        dialect,
        status,
        error.reason(),
        &error.public_message(call),
        id,
    );
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        HeaderName::from_static(REASON_HEADER),
        HeaderValue::from_static(error.reason()),
    );
    headers.insert(
        HeaderName::from_static(REQUEST_ID_HEADER),
        request_id.clone(),
    );
    match dialect {
        Dialect::OpenAi | Dialect::OpenRouter => {
            headers.insert(HeaderName::from_static("x-request-id"), request_id.clone())
        }
        Dialect::Anthropic => {
            headers.insert(HeaderName::from_static("request-id"), request_id.clone())
        }
        Dialect::Gemini | Dialect::Plain => None,
    };
    if !error.is_worth_a_retry() {
        headers.insert(
            HeaderName::from_static("x-should-retry"),
            HeaderValue::from_static("false"),
        );
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        // RFC 9110 section 15.5.6 requires the list.
        headers.insert(
            header::ALLOW,
            HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        );
    }
    response
}

fn body(
    dialect: Dialect,
    status: StatusCode,
    reason: &str,
    message: &str,
    request_id: &str,
) -> Value {
    let kind = Kind::of(status);
    match dialect {
        Dialect::OpenAi => {
            json!({"error": {"message": message, "type": kind.openai(), "param": null, "code": reason}})
        }
        // Its client insists on a number where OpenAI has a word.
        Dialect::OpenRouter => {
            json!({"error": {"code": status.as_u16(), "message": message, "metadata": {"reason": reason}}})
        }
        Dialect::Anthropic => {
            json!({"type": "error", "error": {"type": kind.anthropic(), "message": message}, "request_id": request_id})
        }
        Dialect::Gemini => {
            json!({"error": {"code": status.as_u16(), "message": message, "status": kind.google()}})
        }
        // `error` is where Ollama's client looks, `message` where Cohere's does, `detail.error` where Tavily's does.
        Dialect::Plain => json!({
            "error": message,
            "message": message,
            "detail": {"error": message},
            "reason": reason,
            "request_id": request_id,
        }),
    }
}

/// The kinds of errors that the dialects tell apart.
#[derive(Clone, Copy)]
enum Kind {
    Denied,
    Malformed,
    Unknown,
    Upstream,
    Timeout,
}

impl Kind {
    fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::FORBIDDEN => Self::Denied,
            StatusCode::NOT_FOUND => Self::Unknown,
            StatusCode::GATEWAY_TIMEOUT => Self::Timeout,
            status if status.is_server_error() => Self::Upstream,
            _ => Self::Malformed,
        }
    }

    fn openai(self) -> &'static str {
        match self {
            Self::Denied => "policy_denied",
            Self::Malformed | Self::Unknown => "invalid_request_error",
            Self::Upstream | Self::Timeout => "upstream_error",
        }
    }

    fn anthropic(self) -> &'static str {
        match self {
            Self::Denied => "permission_error",
            Self::Malformed => "invalid_request_error",
            Self::Unknown => "not_found_error",
            Self::Upstream => "api_error",
            Self::Timeout => "timeout_error",
        }
    }

    fn google(self) -> &'static str {
        match self {
            Self::Denied => "PERMISSION_DENIED",
            Self::Malformed => "INVALID_ARGUMENT",
            Self::Unknown => "NOT_FOUND",
            Self::Upstream => "UNAVAILABLE",
            Self::Timeout => "DEADLINE_EXCEEDED",
        }
    }
}
