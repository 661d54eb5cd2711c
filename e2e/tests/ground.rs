//! Questions to the cluster itself, without Postern: what the other cluster tests take for granted.

use std::time::Duration;

use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postern_e2e::pki::{Authority, Subject};
use postern_e2e::{Cluster, Namespace, PATIENCE, image, until};

fn namespace(purpose: &str) -> Result<(Namespace, String)> {
    let cluster = Cluster::ensure()?;
    let python = cluster.load(&image::langchain_python(cluster.cache())?)?;
    Ok((Namespace::create(&cluster, purpose)?, python))
}

#[test]
fn native_sidecar_is_up_before_the_program_and_does_not_keep_its_pod() -> Result<()> {
    let (namespace, python) = namespace("sidecar")?;
    let manifest = include_str!("ground/sidecar.yaml").replace("$IMAGE", &python);
    namespace.apply(&manifest)?;
    assert_eq!(namespace.finished("program")?, "Succeeded");
    assert_eq!(namespace.logs("program", "program")?, "404\n");
    Ok(())
}

#[test]
fn service_is_found_by_name_and_names_of_the_outside_do_not_exist() -> Result<()> {
    let (namespace, python) = namespace("service")?;
    let manifest = include_str!("ground/service.yaml").replace("$IMAGE", &python);
    namespace.apply(&manifest)?;
    namespace.ready("web")?;
    let inside = format!("http.client.HTTPConnection('web.{}.svc')", namespace.name());
    let program = format!(
        "import http.client; c = {inside}; c.request('GET', '/'); print(c.getresponse().status)"
    );
    // kube-proxy learns of a ready pod a moment after we do.
    let status = until("the Service to answer", PATIENCE, || {
        namespace.kubectl(["exec", "web", "--", "python3", "-c", &program])
    })?;
    assert_eq!(status, "200\n");

    // "Name or service not known", not a time-out of the name server.
    let lookup = "import socket\ntry: print(socket.getaddrinfo('nobody.example.com', 443))\nexcept OSError as error: print(error.errno)";
    let said = until("an answer about a name of the outside", PATIENCE, || {
        let said = namespace.kubectl(["exec", "web", "--", "python3", "-c", lookup])?;
        // A busy machine may lose the output of a short command.
        ensure!(!said.is_empty(), "nothing was printed");
        Ok(said)
    })?;
    assert_eq!(said, "-2\n");
    Ok(())
}

#[test]
fn changed_secret_reaches_a_running_pod_in_seconds() -> Result<()> {
    let (namespace, python) = namespace("secret")?;
    namespace.kubectl([
        "create",
        "secret",
        "generic",
        "key",
        "--from-literal=key=one",
    ])?;
    let manifest = include_str!("ground/secret.yaml").replace("$IMAGE", &python);
    namespace.apply(&manifest)?;
    namespace.ready("reader")?;
    let patch = r#"{"stringData": {"key": "two"}}"#;
    namespace.kubectl(["patch", "secret", "key", "--patch", patch])?;
    // The kubelet looks every two seconds; its default is a minute.
    until("the new value", Duration::from_secs(20), || {
        let value = namespace.kubectl(["exec", "reader", "--", "cat", "/key/key"])?;
        ensure!(value == "two", "it reads {value:?}");
        Ok(())
    })
}

#[test]
fn webhook_in_a_pod_decides_what_the_api_server_admits() -> Result<()> {
    let (namespace, python) = namespace("webhook")?;
    let authority = Authority::new("webhook")?;
    let host = format!("webhook.{}.svc", namespace.name());
    let identity = authority.issue(&Subject {
        name: "webhook",
        group: None,
        hosts: &[&host],
    })?;
    let manifest = include_str!("ground/webhook.yaml")
        .replace("$IMAGE", &python)
        .replace("$NAMESPACE", namespace.name())
        .replace("$CERTIFICATE", &STANDARD.encode(&identity.certificate))
        .replace("$KEY", &STANDARD.encode(&identity.key))
        .replace("$AUTHORITY", &STANDARD.encode(authority.certificate()));
    let (server, configuration) = manifest.split_once("# ---").expect("two parts");
    namespace.apply(server)?;
    namespace.ready("webhook")?;
    namespace.apply(configuration)?;
    let answer = until("the webhook to be asked", PATIENCE, || {
        match namespace.kubectl(["create", "configmap", "something", "--dry-run=server"]) {
            Ok(_) => anyhow::bail!("the API server admits it unasked"),
            Err(error) => Ok(format!("{error:#}")),
        }
    })?;
    let name = format!("ground-{}", namespace.name());
    namespace.kubectl(["delete", "validatingwebhookconfiguration", &name])?;
    assert!(answer.contains("not today"), "{answer}");
    Ok(())
}
