//! API_KEY: keys of the providers in Postern's registry (`crds/providers`).
//!
//! The shapes are those of <https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml> and, for what is not there, of
//! <https://github.com/mongodb/kingfisher/tree/main/crates/kingfisher-rules/data/rules>, with lengths as lower bounds since providers lengthen them.
//! Keys of Azure OpenAI, Cohere, Mistral and Weaviate, and the older ones of Pinecone and Together, are letters and digits alone: no shape tells
//! them from other text. Those of Qdrant are JSON Web Tokens: `JWT` finds them.

use super::shape::{Shape, alphanumeric, base64, base64url, dotted, word};

/// Finds keys.
pub(super) const API_KEY: &[Shape] = &[
    // OpenAI, and what is compatible: DeepSeek.
    Shape::new("sk-", 2, alphanumeric, 32),
    Shape::new("sk-proj-", 2, base64url, 20),
    Shape::new("sk-svcacct-", 2, base64url, 20),
    Shape::new("sk-admin-", 2, base64url, 20),
    Shape::new("sk-ant-", 2, base64url, 32),
    Shape::new("sk-or-", 2, base64url, 32),
    // Gemini, and the access tokens of Google's clouds.
    Shape::new("AIza", 0, base64url, 35),
    Shape::new("AQ.Ab", 0, base64url, 32),
    Shape::new("ya29.", 2, dotted, 32),
    // Bedrock: <https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html>.
    Shape::new("ABSK", 0, base64, 64),
    Shape::new("bedrock-api-key-", 7, base64, 32),
    // Groq
    Shape::new("gsk_", 3, alphanumeric, 40),
    // xAI
    Shape::new("xai-", 3, alphanumeric, 40),
    // Perplexity
    Shape::new("pplx-", 4, alphanumeric, 32),
    // Fireworks
    Shape::new("fw_", 2, alphanumeric, 22),
    // Together
    Shape::new("tgp_v1_", 3, base64url, 40),
    // Pinecone
    Shape::new("pcsk_", 4, word, 40),
    // Tavily
    Shape::new("tvly-", 4, base64url, 20),
    // Jina
    Shape::new("jina_", 4, base64url, 40),
    // Voyage
    Shape::new("pa-", 2, base64url, 40),
    // LangSmith
    Shape::new("lsv2_", 4, word, 40),
    Shape::new("ls__", 2, alphanumeric, 32),
];
