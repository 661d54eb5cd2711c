//! Of several replicas one works, and another takes over.

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    api_server::ApiServer,
    cluster::{Controller, bundled_secret, cluster, pass, ready, secret, until},
};

fn holder(server: &ApiServer) -> Value {
    server.object("leases", "postern-controller")["spec"]["holderIdentity"].clone()
}

fn is_held_by(server: &ApiServer, pod: &str) -> bool {
    holder(server)
        .as_str()
        .is_some_and(|holder| holder.starts_with(&format!("{pod}_")))
}

#[tokio::test(start_paused = true)]
async fn one_of_two_leads_and_both_are_ready() {
    let server = cluster();
    let first = Controller::start(&server, "first");
    until("the first leads", || first.leads()).await;
    let second = Controller::start(&server, "second");
    until("the second is ready", || second.readiness.is_ready()).await;
    pass(120).await;
    assert!(first.leads() && !second.leads());
    assert!(is_held_by(&server, "first"));
    assert!(
        !second.metrics().contains("reconciles_total{"),
        "a standby does not reconcile"
    );
    second.stop().await;
    first.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_hands_over_at_once() {
    let server = cluster();
    let first = Controller::start(&server, "first");
    until("the first leads", || first.leads()).await;
    let second = Controller::start(&server, "second");
    pass(10).await;
    first.stop().await;
    assert_eq!(holder(&server), json!(null), "the lease is given back");
    let started = Instant::now();
    until("the second leads", || second.leads()).await;
    assert!(started.elapsed().as_secs() <= 2, "{:?}", started.elapsed());
    server.put("secrets", secret("openai-key", "sk-live-2"));
    until("the second works", || {
        bundled_secret(&server).as_deref() == Some("sk-live-2")
    })
    .await;
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_dies_is_followed_when_its_lease_has_expired() {
    let server = cluster();
    let first = Controller::start(&server, "first");
    until("the first leads", || first.leads()).await;
    let second = Controller::start(&server, "second");
    pass(10).await;
    first.kill().await;
    let started = Instant::now();
    until("the second leads", || second.leads()).await;
    let took = started.elapsed().as_secs();
    assert!((12..=18).contains(&took), "{took} s");
    let transitions =
        server.object("leases", "postern-controller")["spec"]["leaseTransitions"].clone();
    assert_eq!(transitions, 2);
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_before_another_starts() {
    let server = cluster();
    let first = Controller::start(&server, "first");
    until("it is ready", || ready(&server) == "True/Ready").await;
    server.fail("GET leases/", 500);
    let started = Instant::now();
    until("it has stopped", || !first.leads()).await;
    assert!(started.elapsed().as_secs() <= 12, "{:?}", started.elapsed());
    let writes = server.writes();
    server.put("secrets", secret("openai-key", "sk-live-2"));
    pass(120).await;
    assert_eq!(server.writes(), writes, "it writes nothing any more");
    server.mend();
    until("it leads again", || first.leads()).await;
    until("it works again", || {
        bundled_secret(&server).as_deref() == Some("sk-live-2")
    })
    .await;
    first.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_taken_away_is_respected() {
    let server = cluster();
    let first = Controller::start(&server, "first");
    until("it leads", || first.leads()).await;
    server.edit("leases", "postern-controller", |lease| {
        lease["spec"]["holderIdentity"] = json!("somebody");
    });
    until("it has stopped", || !first.leads()).await;
    assert_eq!(holder(&server), "somebody");
    until("it takes it when nobody renews it", || first.leads()).await;
    first.stop().await;
}

#[tokio::test(start_paused = true)]
async fn many_that_start_together_elect_one() {
    let server = cluster();
    let all: Vec<Controller> = (0..5)
        .map(|number| Controller::start(&server, &format!("c{number}")))
        .collect();
    pass(60).await;
    assert_eq!(
        all.iter().filter(|controller| controller.leads()).count(),
        1
    );
    for controller in all {
        controller.stop().await;
    }
}
