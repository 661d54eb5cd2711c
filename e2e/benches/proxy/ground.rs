//! Sets the scene: the provider's stand-in, and each entrant's way to it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use postern_e2e::pki::Authority;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::fixture::{Fixture, ROUTE};
use crate::load::Way;
use crate::machine::Cores;
use crate::measure::Entrant;
use crate::proxy::Proxy;
use crate::upstream::{HOST, Upstream};
use crate::{nginx, sidecar};

/// Starts the stand-in and prepares the proxies in `dir`. The first entrant is the direct call, then nginx, then the sidecar `program`; the
/// last is another build of it, if there is one.
pub(crate) fn prepare(
    cores: &Cores,
    dir: &Path,
    program: &Path,
    against: Option<&Path>,
) -> Result<(Arc<Fixture>, Vec<Entrant>)> {
    let authority = Authority::new("Postern benchmark")?;
    let pem = authority.certificate();
    let fixture = Arc::new(Fixture::new(sidecar::placeholder()?)?);
    // nginx speaks HTTP/1.1 to its upstream; the sidecar would take HTTP/2 if it were offered.
    let http1 = Arc::new(Upstream::start(cores, &authority, &fixture, &["http/1.1"])?);
    let http2 = Arc::new(Upstream::start(cores, &authority, &fixture, &["h2"])?);

    let direct = Way {
        address: http1.address,
        tls: Some((connector(&pem)?, ServerName::try_from(HOST)?)),
        prefix: String::new(),
        host: format!("{HOST}:{}", http1.address.port()),
        secret: fixture.key.clone(),
    };
    let nginx = nginx::prepare(&dir.join("nginx"), &fixture, http1.address, &pem)?;
    let sidecar1 = sidecar::prepare(&dir.join("sidecar"), program, &fixture, http1.address, &pem)?;
    let sidecar2 = sidecar::prepare(
        &dir.join("sidecar-h2"),
        program,
        &fixture,
        http2.address,
        &pem,
    )?;
    let another = against
        .map(|program| {
            sidecar::prepare(&dir.join("another"), program, &fixture, http1.address, &pem)
        })
        .transpose()?;
    let through = |name, proxy, upstream: &Arc<Upstream>| through(name, proxy, upstream, &fixture);
    let mut entrants = vec![
        Entrant {
            name: "direct call",
            way: direct,
            proxy: None,
            upstream: Arc::clone(&http1),
        },
        through("nginx", nginx, &http1),
        through("sidecar", sidecar1, &http1),
        through("sidecar, HTTP/2 upstream", sidecar2, &http2),
    ];
    entrants.extend(another.map(|proxy| through("the other sidecar", proxy, &http1)));
    Ok((fixture, entrants))
}

fn through(
    name: &'static str,
    proxy: Proxy,
    upstream: &Arc<Upstream>,
    fixture: &Fixture,
) -> Entrant {
    Entrant {
        name,
        way: Way {
            address: proxy.address,
            tls: None,
            prefix: format!("/{ROUTE}"),
            host: proxy.address.to_string(),
            secret: fixture.placeholder.clone(),
        },
        proxy: Some(proxy),
        upstream: Arc::clone(upstream),
    }
}

fn connector(authority: &str) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.as_bytes())?)
        .context("trusting the benchmark's authority")?;
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
