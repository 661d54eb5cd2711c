//! nginx with the sidecar's duties: one path and method allowed, the caller's credentials taken off, the real one put on, the upstream
//! verified and its connections kept, a line of access log for each request.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use postern_e2e::{Cache, packages};

use crate::fixture::{Fixture, PATH, ROUTE};
use crate::proxy::{Proxy, free_address};
use crate::upstream::HOST;

/// Debian's.
const PROGRAM: &str = "/usr/sbin/nginx";

/// Installs it if it is missing, and returns its program.
pub(crate) fn install(cache: &Cache) -> Result<PathBuf> {
    packages::require(
        cache,
        &[("nginx-light", "is what the sidecar is measured against")],
    )?;
    Ok(PathBuf::from(PROGRAM))
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
    let address = free_address()?;
    fs::write(dir.join("authority.pem"), authority)?;
    fs::write(
        dir.join("nginx.conf"),
        configuration(fixture, address, upstream),
    )
    .context("writing nginx.conf")?;
    let dir = dir
        .to_str()
        .context("a temporary directory with a plain name")?;
    Ok(Proxy {
        program: program.to_owned(),
        args: ["-p", dir, "-c", "nginx.conf", "-e", "error.log"]
            .map(str::to_owned)
            .to_vec(),
        environment: Vec::new(),
        address,
        ready: (address, "/readyz"),
        patience: Duration::from_secs(10),
        log: Path::new(dir).join("stdout.log"),
    })
}

fn configuration(fixture: &Fixture, address: SocketAddr, upstream: SocketAddr) -> String {
    let key = &fixture.key;
    format!(
        r#"daemon off;
user root;
worker_processes 1;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log access.log;
    client_body_temp_path client;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
    # By default it closes a connection after 1000 requests; the sidecar has no such limit.
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    upstream provider {{
        server {upstream};
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 300s;
    }}
    server {{
        listen {address};
        location = /readyz {{ access_log off; return 200; }}
        location = /{ROUTE}{PATH} {{
            limit_except POST {{ deny all; }}
            proxy_pass https://provider{PATH};
            proxy_http_version 1.1;
            # A model's answer is a stream: no byte of it may wait.
            proxy_buffering off;
            proxy_request_buffering off;
            # By default it carries 64 KiB in pieces of 4.
            proxy_buffer_size 64k;
            proxy_buffers 8 64k;
            proxy_busy_buffers_size 128k;
            client_body_buffer_size 128k;
            proxy_set_header Connection "";
            proxy_set_header Host {HOST}:{port};
            proxy_set_header Authorization "Bearer {key}";
            proxy_set_header X-Api-Key "";
            proxy_set_header Api-Key "";
            proxy_set_header X-Goog-Api-Key "";
            proxy_set_header Cookie "";
            proxy_ssl_server_name on;
            proxy_ssl_name {HOST};
            proxy_ssl_protocols TLSv1.3;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate authority.pem;
        }}
        location / {{ return 403; }}
    }}
}}
"#,
        port = upstream.port(),
    )
}
