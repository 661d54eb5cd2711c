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
    for (name, value) in vendor_headers(dialect, status, request_id) {
        headers.insert(HeaderName::from_static(name), value);
    }
    if !error.is_worth_a_retry() {
        headers.insert(
            HeaderName::from_static("x-should-retry"),
            HeaderValue::from_static("false"),
        );
    }
    if let Some(wait) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
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

/// The headers in which the dialect's clients look for the request's id, and for the kind of an error.
fn vendor_headers(
    dialect: Dialect,
    status: StatusCode,
    request_id: &HeaderValue,
) -> Vec<(&'static str, HeaderValue)> {
    match dialect {
        Dialect::OpenAi | Dialect::OpenRouter | Dialect::AzureOpenAi | Dialect::Mistral => {
            vec![("x-request-id", request_id.clone())]
        }
        Dialect::Anthropic => vec![("request-id", request_id.clone())],
        Dialect::Bedrock => vec![
            ("x-amzn-requestid", request_id.clone()),
            (
                "x-amzn-errortype",
                HeaderValue::from_static(Kind::of(status).amazon()),
            ),
        ],
        Dialect::Gemini
        | Dialect::Cohere
        | Dialect::Ollama
        | Dialect::Pinecone
        | Dialect::Qdrant
        | Dialect::Weaviate
        | Dialect::Plain => Vec::new(),
    }
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
        Dialect::OpenAi | Dialect::AzureOpenAi | Dialect::Mistral => {
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
        Dialect::Bedrock => json!({"message": message}),
        Dialect::Pinecone => {
            json!({"error": {"code": kind.google(), "message": message}, "status": status.as_u16()})
        }
        Dialect::Qdrant => json!({"status": {"error": message}, "time": 0.0}),
        Dialect::Weaviate => json!({"error": [{"message": message}]}),
        // `error` is where Ollama's client looks, `message` where Cohere's does, `detail.error` where Tavily's does.
        Dialect::Cohere | Dialect::Ollama | Dialect::Plain => json!({
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
    Limited,
    Upstream,
    Timeout,
}

impl Kind {
    fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::FORBIDDEN => Self::Denied,
            StatusCode::NOT_FOUND => Self::Unknown,
            StatusCode::TOO_MANY_REQUESTS => Self::Limited,
            StatusCode::GATEWAY_TIMEOUT => Self::Timeout,
            status if status.is_server_error() => Self::Upstream,
            _ => Self::Malformed,
        }
    }

    fn openai(self) -> &'static str {
        match self {
            Self::Denied => "policy_denied",
            Self::Malformed | Self::Unknown => "invalid_request_error",
            Self::Limited => "rate_limit_exceeded",
            Self::Upstream | Self::Timeout => "upstream_error",
        }
    }

    fn anthropic(self) -> &'static str {
        match self {
            Self::Denied => "permission_error",
            Self::Malformed => "invalid_request_error",
            Self::Unknown => "not_found_error",
            Self::Limited => "rate_limit_error",
            Self::Upstream => "api_error",
            Self::Timeout => "timeout_error",
        }
    }

    /// Bedrock's exceptions: <https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html>.
    fn amazon(self) -> &'static str {
        match self {
            Self::Denied => "AccessDeniedException",
            Self::Malformed => "ValidationException",
            Self::Unknown => "ResourceNotFoundException",
            Self::Limited => "ThrottlingException",
            Self::Upstream => "ServiceUnavailableException",
            Self::Timeout => "ModelTimeoutException",
        }
    }

    fn google(self) -> &'static str {
        match self {
            Self::Denied => "PERMISSION_DENIED",
            Self::Malformed => "INVALID_ARGUMENT",
            Self::Unknown => "NOT_FOUND",
            Self::Limited => "RESOURCE_EXHAUSTED",
            Self::Upstream => "UNAVAILABLE",
            Self::Timeout => "DEADLINE_EXCEEDED",
        }
    }
}
