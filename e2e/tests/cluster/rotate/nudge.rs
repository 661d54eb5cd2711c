//! Do sidecars of an identity with `delivery.nudge` have a new key before their mount brings it, and does nobody else get a bundle that way?

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use postern_crds::{
    Bundle,
    control::{FETCH_PATH, TICKET_HEADER},
    names::{self, BUNDLE_KEY, CONTAINER},
};
use postern_e2e::{
    PATIENCE,
    house::{NAMESPACE, RELEASE},
    until,
};
use serde_json::json;

use crate::support::{
    Agent, Agents, agent, create, ground, pod, random, resting, secret, without_postern,
};

/// Prints the status of a `GET` with the headers and the authority of stdin, and the length of the body.
const GET: &str = r"
import json, ssl, sys, urllib.request, urllib.error
asked = json.load(sys.stdin)
context = ssl.create_default_context(cadata=asked['authority'])
request = urllib.request.Request(asked['url'], headers=asked['headers'])
try:
    answer = urllib.request.urlopen(request, context=context)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, len(answer.read()))
";

/// Agents whose identity asks for it, once their bundle says where it can be fetched.
fn nudged(purpose: &str) -> Result<Agents> {
    let agents = Agents::create(purpose)?;
    let delivery = json!({"spec": {"delivery": {"nudge": true}}});
    agents.patch("agentidentity", "support-bot", &delivery)?;
    until("the bundle to say where to fetch", PATIENCE, || {
        ensure!(bundle(&agents)?.0.fetch.is_some(), "it does not yet");
        Ok(())
    })?;
    Ok(agents)
}

/// The bundle in the cluster, and its length.
fn bundle(agents: &Agents) -> Result<(Bundle, usize)> {
    let object = agents
        .namespace
        .get("secret", &names::bundle_secret("support-bot"))?;
    let data = object["data"][BUNDLE_KEY].as_str().context("a bundle")?;
    let bytes = BASE64_STANDARD.decode(data)?;
    Ok((Bundle::parse(&bytes)?, bytes.len()))
}

/// How many bundles the sidecar fetched and took.
fn taken(agent: &Agent<'_>) -> Result<u64> {
    let metrics = agent.metrics()?;
    let series = r#"postern_bundle_fetches_total{outcome="taken"} "#;
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(Ok(0), |number| Ok(number.parse()?))
}

#[test]
fn rotate_nudged_sidecar_fetches_the_new_key_before_its_mount_has_it() -> Result<()> {
    let agents = nudged("nudge")?;
    let agent = agent(&agents, "bot")?;
    agent.ask()?.allowed()?;
    // Here the kubelet takes a second or two, and wins now and then: what it brought first is not taken again.
    until("a key to be fetched", PATIENCE, || {
        let key = format!("sk-live-{}", random()?);
        agents.apply(&[secret("openai-key", &key)])?;
        agents.refresh()?;
        agents.until_used(&key, &agent)?;
        ensure!(taken(&agent)? > 0, "the mount was faster");
        Ok(())
    })?;

    // The mount comes to the same bundle, and from then on to others.
    let delivery = json!({"spec": {"delivery": null}});
    agents.patch("agentidentity", "support-bot", &delivery)?;
    until("the bundle to be as others are", PATIENCE, || {
        ensure!(bundle(&agents)?.0.fetch.is_none(), "it is not yet");
        Ok(())
    })?;
    let last = format!("sk-live-{}", random()?);
    agents.apply(&[secret("openai-key", &last)])?;
    agents.refresh()?;
    agents.until_used(&last, &agent)?;
    assert_eq!(agent.restarts(CONTAINER)?, 0);
    Ok(())
}

/// What a token is made for.
struct Made<'a> {
    audience: &'a str,
    /// The pod that it ends with.
    pod: Option<&'a str>,
}

fn token(agents: &Agents, made: &Made<'_>) -> Result<String> {
    let audience = format!("--audience={}", made.audience);
    let mut arguments = vec![
        "create".to_owned(),
        "token".to_owned(),
        "default".to_owned(),
    ];
    arguments.push(audience);
    if let Some(pod) = made.pod {
        let uid = agents.namespace.get("pod", pod)?["metadata"]["uid"].clone();
        let uid = uid.as_str().context("a UID")?;
        arguments.push("--bound-object-kind=Pod".to_owned());
        arguments.push(format!("--bound-object-name={pod}"));
        arguments.push(format!("--bound-object-uid={uid}"));
    }
    Ok(agents.namespace.kubectl(arguments)?.trim().to_owned())
}

#[test]
fn rotate_bundle_is_handed_to_nobody_but_a_sidecar_of_the_identity() -> Result<()> {
    let agents = nudged("handed")?;
    let namespace = &agents.namespace;
    let agent = agent(&agents, "bot")?;
    create(namespace, &without_postern(resting("plain")?))?;
    create(
        namespace,
        &pod("gone", &ground()?.python, &["sleep", "600"]),
    )?;
    namespace.ready("plain")?;
    namespace.ready("gone")?;
    let of = |audience, pod| token(&agents, &Made { audience, pod });
    let own = of("postern", Some("bot"))?;
    let gone = of("postern", Some("gone"))?;
    namespace.kubectl(["delete", "pod", "gone", "--wait"])?;

    let (bundle, length) = bundle(&agents)?;
    let fetch = bundle.fetch.context("where to fetch")?;
    let ticket = String::from_utf8(fetch.ticket.expose().to_vec())?;
    let host = format!("https://{RELEASE}-controller.{NAMESPACE}.svc");
    assert_eq!(fetch.address, host);
    let get = |token: &str, ticket: &str| -> Result<String> {
        let asked = json!({
            "url": format!("{host}{FETCH_PATH}"),
            "authority": fetch.authorities,
            "headers": {"Authorization": format!("Bearer {token}"), TICKET_HEADER: ticket},
        });
        let said = agent.run(&["python3", "-c", GET], &asked.to_string())?;
        Ok(said.trim().to_owned())
    };
    // Only the test can do this: it may read the Secret, and make a token.
    assert_eq!(get(&own, &ticket)?, format!("200 {length}"));
    for (whose, token, ticket) in [
        (
            "the pod's, but of a container without the bundle",
            &own,
            "guessed",
        ),
        ("for another purpose", &of("vault", Some("bot"))?, &*ticket),
        ("of no pod", &of("postern", None)?, &ticket),
        (
            "of a pod without a sidecar",
            &of("postern", Some("plain"))?,
            &ticket,
        ),
        ("of a pod that is gone", &gone, &ticket),
        ("made up", &"e30.e30.e30".to_owned(), &ticket),
    ] {
        assert_eq!(get(token, ticket)?, "403 0", "{whose}");
    }
    Ok(())
}
