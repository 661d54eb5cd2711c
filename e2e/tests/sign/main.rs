//! Do others agree with what the sidecar makes of a secret: botocore and moto with its signatures for AWS, google-auth with its claims, and
//! `oidc-provider` with its requests for tokens?
//!
//! Each question is a program in Python or JavaScript beside this file: it is the upstream and the caller, and the sidecar stands between. No cluster
//! is needed.

mod program;
mod sidecar;

use anyhow::Result;
use postern_e2e::Cache;
use serde_json::json;

use self::{program::Program, sidecar::Sidecar};

#[test]
fn botocore_makes_the_same_signatures() -> Result<()> {
    let program = Program::python(&Cache::open()?, "botocore_agrees.py")?;
    let aws = |service: &str| json!({"awsSigV4": {"service": service, "region": "eu-central-1"}});
    let sidecar = Sidecar::of(
        &program,
        &[
            ("sessioned", aws("bedrock"), "secret"),
            ("unsessioned", aws("bedrock"), "without_session"),
            ("s3", aws("s3"), "secret"),
        ],
    )?;
    program.go(&sidecar)
}

#[test]
fn moto_takes_what_is_signed_and_refuses_what_was_changed() -> Result<()> {
    let program = Program::python(&Cache::open()?, "moto_accepts.py")?;
    let aws = |service: &str| json!({"awsSigV4": {"service": service, "region": "us-east-1"}});
    let sidecar = Sidecar::of(
        &program,
        &[
            ("s3", aws("s3"), "secret"),
            ("sts", aws("sts"), "secret"),
            ("wrong", aws("s3"), "wrong"),
        ],
    )?;
    program.go(&sidecar)
}

#[test]
fn google_auth_verifies_the_claims_of_a_service_account() -> Result<()> {
    let program = Program::python(&Cache::open()?, "google_agrees.py")?;
    let url = format!("https://127.0.0.1:{}/token", program.port()?);
    let scopes = ["https://www.googleapis.com/auth/cloud-platform"];
    let access = json!({"gcpServiceAccount": {"scopes": scopes, "tokenUrl": url}});
    let identity =
        json!({"gcpServiceAccount": {"audience": "https://run.example.com", "tokenUrl": url}});
    let sidecar = Sidecar::of(
        &program,
        &[
            ("access", access.clone(), "secret"),
            ("identity", identity, "secret"),
            ("wrong", access, "wrong"),
        ],
    )?;
    program.go(&sidecar)
}

#[test]
fn a_certified_server_gives_tokens_to_a_client() -> Result<()> {
    let program = Program::node(&Cache::open()?, "tokens_are_taken.mjs")?;
    let url = format!("https://127.0.0.1:{}/token", program.port()?);
    let client = |id: &str, style: &str| json!({"oauth2ClientCredentials": {"tokenUrl": url, "clientId": id, "authStyle": style, "scopes": ["crm.read", "crm.write"]}});
    let sidecar = Sidecar::of(
        &program,
        &[
            ("header", client("bot:1", "Header"), "secret"),
            ("form", client("form", "Body"), "secret"),
            ("wrong", client("form", "Body"), "wrong"),
        ],
    )?;
    program.go(&sidecar)
}
