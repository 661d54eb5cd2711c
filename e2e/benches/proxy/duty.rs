//! What an entrant has to do, looked at before it is measured: a proxy that does less would be faster.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::fixture::{FORBIDDEN_PATH, Fixture, Kind, PATH, Usage};
use crate::machine::Cores;
use crate::measure::{Entrant, Failure};
use crate::sidecar;

/// Beside carrying the calls as they are, which all do.
pub(crate) enum Duty {
    /// Not to let a call through whose path is not allowed.
    RefusePath,
    /// Not to let a call through whose body says `member` to be `value`.
    RefuseBody { member: &'static str, value: Value },
    /// To ask streams what they use.
    AskUsage,
    /// To mask an address that comes in a stream, in pieces.
    Mask,
    /// To count tokens and money; where it tells them.
    CountUsage(SocketAddr),
}

/// Starts the entrant's proxy and looks whether it does all that it must. Returns the kinds of calls that a proxy of others does not carry, with
/// what it said.
///
/// # Errors
/// What it does not do otherwise, or does not carry if it is ours.
pub(crate) async fn check(
    entrant: &Entrant,
    cores: &Cores,
    fixture: &Arc<Fixture>,
) -> Result<Vec<Failure>> {
    let mut failures = Vec::new();
    let Some(proxy) = &entrant.proxy else {
        return Ok(failures);
    };
    let _running = proxy.start(cores)?;
    let upstream = &entrant.upstream;
    let mut used = Usage::default();
    let mut asked = None;
    for kind in [Kind::Json, Kind::Large, Kind::Sse] {
        let before = upstream.asked();
        let mut carried = carries(entrant, fixture, kind, false).await;
        if kind == Kind::Sse && carried.is_ok() {
            asked = Some(upstream.asked() > before);
            // The caller that wants to know itself is told.
            carried = carries(entrant, fixture, kind, true).await;
            used += fixture.call(kind).usage;
        }
        match carried {
            Ok(()) => used += fixture.call(kind).usage,
            Err(error) => failures.push(Failure::of(entrant, Some(kind), error)?),
        }
    }
    for duty in &entrant.duties {
        match duty {
            Duty::RefusePath => {
                refuses(entrant, FORBIDDEN_PATH, &fixture.call(Kind::Json).request)
                    .await
                    .context("a forbidden path")?;
            }
            Duty::RefuseBody { member, value } => {
                let body = changed(&fixture.call(Kind::Json).request, member, value)?;
                refuses(entrant, PATH, &body)
                    .await
                    .with_context(|| format!("{member} {value}"))?;
            }
            Duty::AskUsage => ensure!(asked != Some(false), "a stream was not asked what it uses"),
            Duty::Mask => {
                let (status, body) = entrant.way.ask(PATH, fixture.telling()).await?;
                ensure!(status == 200, "a stream is answered {status}");
                fixture.check_masked(&body)?;
            }
            Duty::CountUsage(admin) => sidecar::check_counts(*admin, used)?,
        }
    }
    upstream.check()?;
    Ok(failures)
}

/// Fails unless one call comes back as the provider answered it.
async fn carries(entrant: &Entrant, fixture: &Fixture, kind: Kind, asking: bool) -> Result<()> {
    let call = fixture.call(kind);
    let request = match call.asking() {
        Some(body) if asking => body,
        _ => &call.request,
    };
    let (status, body) = entrant.way.ask(PATH, request).await?;
    entrant.upstream.check()?;
    ensure!(
        status == 200,
        "{} is answered {status}: {}",
        kind.name(),
        String::from_utf8_lossy(&body)
    );
    call.check(&body, asking, entrant.way.fidelity)
        .with_context(|| format!("an answer of {}, asked for usage: {asking}", kind.name()))
}

/// Fails unless the call is refused and does not reach the provider.
async fn refuses(entrant: &Entrant, path: &str, body: &[u8]) -> Result<()> {
    let before = entrant.upstream.requests();
    let (status, said) = entrant.way.ask(path, body).await?;
    ensure!(
        (400..500).contains(&status),
        "is answered with {status}: {}",
        String::from_utf8_lossy(&said)
    );
    ensure!(
        entrant.upstream.requests() == before,
        "reached the provider"
    );
    Ok(())
}

fn changed(body: &[u8], member: &str, value: &Value) -> Result<Bytes> {
    let mut document: Value = serde_json::from_slice(body)?;
    document[member] = json!(value);
    Ok(document.to_string().into())
}
