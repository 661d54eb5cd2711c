//! Sets the scene: the provider's stand-ins, and each entrant's way to them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use postern_e2e::pki::Authority;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio_rustls::TlsConnector;

use crate::duty::Duty;
use crate::fixture::{Fidelity, Fixture, ROUTE};
use crate::load::Way;
use crate::machine::Cores;
use crate::measure::Entrant;
use crate::names::{
    DIRECT, ENVOY, LITELLM, NGINX, OTHER, PORTKEY, T0, T1, T1_HTTP2, T2, T3, is_wanted,
};
use crate::peers::{Peers, envoy, litellm, nginx, portkey};
use crate::proxy::Proxy;
use crate::sidecar::{self, Tier};
use crate::upstream::{HOST, Upstream};

/// The programs that are measured.
pub(crate) struct Programs {
    pub(crate) sidecar: PathBuf,
    /// Another build of the sidecar.
    pub(crate) against: Option<PathBuf>,
    pub(crate) peers: Peers,
}

/// The provider's stand-ins, and what is said about them.
struct Scene<'a> {
    cores: &'a Cores,
    authority: Authority,
    fixture: Arc<Fixture>,
}

/// Starts the stand-ins and prepares in `dir` the proxies that `only` names, or all. The first entrant is the direct call.
pub(crate) fn prepare(
    cores: &Cores,
    dir: &Path,
    programs: &Programs,
    only: &[String],
) -> Result<(Arc<Fixture>, Vec<Entrant>)> {
    let scene = Scene {
        cores,
        authority: Authority::new("Postern benchmark")?,
        fixture: Arc::new(Fixture::new(sidecar::placeholder()?)?),
    };
    let pem = scene.authority.certificate();
    let fixture = &scene.fixture;
    // nginx and Envoy speak HTTP/1.1 to their upstream; the sidecar would take HTTP/2 if it were offered.
    let http1 = scene.upstream("http/1.1", Fidelity::Bytes)?;
    let mut entrants = vec![direct(&http1, fixture, &pem)?];

    let peers = &programs.peers;
    if let Some(program) = &peers.nginx {
        let proxy = nginx::prepare(&dir.join(NGINX), program, fixture, http1.address, &pem)?;
        let way = through(&proxy, fixture);
        entrants.push(of_others(NGINX, proxy, way, &http1, vec![Duty::RefusePath]));
    }
    if let Some(program) = &peers.envoy {
        let proxy = envoy::prepare(&dir.join(ENVOY), program, fixture, http1.address, &pem)?;
        let way = through(&proxy, fixture);
        entrants.push(of_others(ENVOY, proxy, way, &http1, vec![Duty::RefusePath]));
    }
    let ours = [
        (T0, Some(&programs.sidecar), Tier::Zero, "http/1.1"),
        (T1, Some(&programs.sidecar), Tier::One, "http/1.1"),
        (T1_HTTP2, Some(&programs.sidecar), Tier::One, "h2"),
        (T2, Some(&programs.sidecar), Tier::Two, "http/1.1"),
        (T3, Some(&programs.sidecar), Tier::Three, "http/1.1"),
        (OTHER, programs.against.as_ref(), Tier::Two, "http/1.1"),
    ];
    for (name, program, tier, protocol) in ours {
        let Some(program) = program.filter(|_| name == OTHER || is_wanted(name, only)) else {
            continue;
        };
        let upstream = scene.upstream(protocol, Fidelity::Bytes)?;
        let dir = dir.join(name.replace(' ', "-"));
        let proxy = sidecar::prepare(&dir, program, fixture, upstream.address, &pem, tier)?;
        entrants.push(Entrant {
            name,
            is_ours: true,
            way: through(&proxy, fixture),
            duties: duties_of(tier, &proxy),
            proxy: Some(proxy),
            upstream,
        });
    }
    if let Some(program) = &peers.litellm {
        let upstream = scene.upstream("http/1.1", Fidelity::Meaning)?;
        let dir = dir.join(LITELLM);
        let proxy = litellm::prepare(&dir, program, fixture, upstream.address, &pem)?;
        let way = Way {
            prefix: String::new(),
            fidelity: Fidelity::Meaning,
            // It would compress what the provider did not.
            headers: vec![("accept-encoding", "identity".to_owned())],
            ..through(&proxy, fixture)
        };
        let duties = vec![
            refuse("model", "gpt-5"),
            refuse("max_tokens", 4000),
            Duty::AskUsage,
        ];
        entrants.push(of_others(LITELLM, proxy, way, &upstream, duties));
    }
    if let Some(program) = &peers.portkey {
        let upstream = scene.upstream("http/1.1", Fidelity::Meaning)?;
        let proxy = portkey::prepare(&dir.join(PORTKEY), program, &pem)?;
        let way = Way {
            prefix: String::new(),
            fidelity: Fidelity::Meaning,
            headers: portkey::headers(fixture, upstream.address),
            ..through(&proxy, fixture)
        };
        let duties = vec![refuse("model", "gpt-5")];
        entrants.push(of_others(PORTKEY, proxy, way, &upstream, duties));
    }
    Ok((scene.fixture, entrants))
}

impl Scene<'_> {
    fn upstream(&self, protocol: &str, fidelity: Fidelity) -> Result<Arc<Upstream>> {
        let started = Upstream::start(
            self.cores,
            &self.authority,
            &self.fixture,
            &[protocol],
            fidelity,
        );
        started.map(Arc::new)
    }
}

fn of_others(
    name: &'static str,
    proxy: Proxy,
    way: Way,
    upstream: &Arc<Upstream>,
    duties: Vec<Duty>,
) -> Entrant {
    Entrant {
        name,
        is_ours: false,
        way,
        proxy: Some(proxy),
        upstream: Arc::clone(upstream),
        duties,
    }
}

fn duties_of(tier: Tier, proxy: &Proxy) -> Vec<Duty> {
    let mut duties = Vec::new();
    if tier >= Tier::One {
        duties.push(Duty::RefusePath);
    }
    if tier >= Tier::Two {
        duties.extend([
            Duty::AskUsage,
            Duty::CountUsage(proxy.ready.0),
            refuse("model", "gpt-5"),
            refuse("max_tokens", 4000),
        ]);
    }
    if tier >= Tier::Three {
        duties.push(Duty::Mask);
    }
    duties
}

fn refuse(member: &'static str, value: impl Into<serde_json::Value>) -> Duty {
    Duty::RefuseBody {
        member,
        value: json!(value.into()),
    }
}

fn direct(upstream: &Arc<Upstream>, fixture: &Fixture, authority: &str) -> Result<Entrant> {
    Ok(Entrant {
        name: DIRECT,
        is_ours: true,
        way: Way {
            address: upstream.address,
            tls: Some((connector(authority)?, ServerName::try_from(HOST)?)),
            prefix: String::new(),
            host: format!("{HOST}:{}", upstream.address.port()),
            secret: fixture.key.clone(),
            headers: Vec::new(),
            fidelity: Fidelity::Bytes,
        },
        proxy: None,
        upstream: Arc::clone(upstream),
        duties: Vec::new(),
    })
}

/// The way through a proxy that knows the provider by its route and keeps every byte.
fn through(proxy: &Proxy, fixture: &Fixture) -> Way {
    Way {
        address: proxy.address,
        tls: None,
        prefix: format!("/{ROUTE}"),
        host: proxy.address.to_string(),
        secret: fixture.placeholder.clone(),
        headers: Vec::new(),
        fidelity: Fidelity::Bytes,
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
