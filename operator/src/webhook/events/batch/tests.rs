//! What the API server is asked, and how often, by a clock that stands still while there is anything to do.

use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use kube::client::Body;
use serde_json::Value;
use tokio::task::JoinSet;

use super::*;

/// An API server that knows the stores `corp` and `aws`, and what was written in their statuses, with the name of the store.
#[derive(Clone, Default)]
pub(in crate::webhook) struct Statuses(Arc<Mutex<Vec<(String, StoreRefresh)>>>);

impl Statuses {
    pub(in crate::webhook) fn client(&self) -> Client {
        let this = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let this = this.clone();
            async move { Ok::<_, Infallible>(this.answer(request).await) }
        });
        Client::new(service, "default")
    }

    /// Everything that was written so far.
    pub(in crate::webhook) fn written(&self) -> Vec<(String, StoreRefresh)> {
        self.0.lock().unwrap().clone()
    }

    async fn answer(&self, request: Request<Body>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let target = head.uri.path_and_query().unwrap().as_str().to_owned();
        let (path, query) = target.split_once('?').unwrap();
        assert_eq!(head.method, "PATCH");
        assert!(
            query.contains("fieldManager=postern-webhook-events"),
            "{query}"
        );
        let name = path
            .strip_prefix("/apis/postern.dev/v1alpha1/credentialstores/")
            .and_then(|rest| rest.strip_suffix("/status"))
            .unwrap();
        let code = match name {
            "corp" | "aws" => 200,
            "broken" => 500,
            _ => 404,
        };
        let body = body.collect().await.unwrap().to_bytes();
        let mut object: Value = serde_json::from_slice(&body).unwrap();
        let answer = if code == 200 {
            let status: CredentialStoreStatus =
                serde_json::from_value(object["status"].clone()).unwrap();
            let refresh = status.refresh.clone().unwrap();
            let alone = CredentialStoreStatus {
                refresh: status.refresh.clone(),
                ..CredentialStoreStatus::default()
            };
            assert_eq!(status, alone, "the rest is the controller's");
            self.0.lock().unwrap().push((name.to_owned(), refresh));
            object["spec"] = json!({});
            object
        } else {
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "no", "reason": "no"})
        };
        Response::builder()
            .status(StatusCode::from_u16(code).unwrap())
            .header("content-type", "application/json")
            .body(Full::new(answer.to_string().into()))
            .unwrap()
    }
}

fn path(path: &str) -> About {
    About::Path(path.to_owned())
}

/// The paths of each writing about `corp`.
fn paths(statuses: &Statuses) -> Vec<Vec<String>> {
    let written = statuses.written();
    let of_corp = written.into_iter().filter(|(name, _)| name == "corp");
    of_corp.map(|(_, refresh)| refresh.paths).collect()
}

fn refreshes() -> (Statuses, Arc<Refreshes>) {
    let statuses = Statuses::default();
    let refreshes = Arc::new(Refreshes::new(statuses.client()));
    (statuses, refreshes)
}

/// Has all of it told at the same time. Returns what became of each.
async fn all(refreshes: &Arc<Refreshes>, told: impl IntoIterator<Item = About>) -> Vec<Told> {
    let mut asking = JoinSet::new();
    for about in told {
        let refreshes = Arc::clone(refreshes);
        asking.spawn(async move { refreshes.ask("corp", about).await });
    }
    asking.join_all().await
}

#[tokio::test(start_paused = true)]
async fn many_events_are_one_writing_in_a_window() {
    let (statuses, refreshes) = refreshes();
    let start = Instant::now();
    assert_eq!(refreshes.ask("corp", About::All).await, Told::Written);
    assert_eq!(
        start.elapsed(),
        Duration::ZERO,
        "the first one waits for nobody"
    );
    let told = all(&refreshes, ["b", "a", "b"].map(path)).await;
    assert_eq!(told, [Told::Written; 3]);
    let took = start.elapsed();
    assert!(took >= WINDOW && took < WINDOW * 2, "{took:?}");
    assert_eq!(
        paths(&statuses),
        [vec![], vec!["a".to_owned(), "b".to_owned()]]
    );
    let written = statuses.written();
    assert!(written[0].1.requested_at < written[1].1.requested_at);
    // Another store does not wait for that one.
    let start = Instant::now();
    assert_eq!(refreshes.ask("aws", About::All).await, Told::Written);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_is_about_all_or_about_too_many_paths_is_about_all() {
    let (statuses, refreshes) = refreshes();
    all(&refreshes, [path("a"), About::All, path("b")]).await;
    all(&refreshes, (0..16).map(|n| path(&n.to_string()))).await;
    all(&refreshes, (0..17).map(|n| path(&n.to_string()))).await;
    let counts: Vec<usize> = paths(&statuses).iter().map(Vec::len).collect();
    assert_eq!(counts, [0, 16, 0]);
}

#[tokio::test(start_paused = true)]
async fn too_many_who_wait_are_sent_away() {
    let (statuses, refreshes) = refreshes();
    refreshes.ask("corp", About::All).await;
    let told = all(&refreshes, (0..MOST_WAITING + 3).map(|_| About::All)).await;
    let away = told.iter().filter(|told| **told == Told::TooOften).count();
    assert_eq!((away, told.len()), (3, MOST_WAITING + 3));
    assert_eq!(statuses.written().len(), 2);
    // After that, the next is welcome.
    assert_eq!(refreshes.ask("corp", About::All).await, Told::Written);
}

#[tokio::test(start_paused = true)]
async fn made_up_names_are_bounded_and_forgotten() {
    let (_statuses, refreshes) = refreshes();
    for number in 0..MOST_STORES {
        let told = refreshes.ask(&format!("n{number}"), About::All).await;
        assert_eq!(told, Told::NoStore);
    }
    assert_eq!(refreshes.ask("corp", About::All).await, Told::TooOften);
    tokio::time::advance(WINDOW).await;
    assert_eq!(refreshes.ask("corp", About::All).await, Told::Written);
    assert_eq!(refreshes.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_api_server_says_is_told() {
    let (_statuses, refreshes) = refreshes();
    assert_eq!(refreshes.ask("nowhere", About::All).await, Told::NoStore);
    assert_eq!(refreshes.ask("broken", About::All).await, Told::Failed);
}

#[tokio::test(start_paused = true)]
async fn what_was_told_is_written_also_when_the_teller_goes_away() {
    let (statuses, refreshes) = refreshes();
    refreshes.ask("corp", About::All).await;
    let asking = refreshes.ask("corp", path("a"));
    assert!(timeout(WINDOW / 2, asking).await.is_err());
    tokio::time::sleep(WINDOW).await;
    assert_eq!(paths(&statuses)[1..], [vec!["a".to_owned()]]);
}
