//! Bundles in a directory: rotation, what is not a bundle, and that the last good one stays.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use postern_sidecar::{Config, Source};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Answer, Body, Identity, Protocol, Sidecar, Upstream, eventually, full, soon, stream, whole_log,
};

/// A directory that changes as the kubelet changes a mounted Secret: a new directory, and one rename of the link `..data`.
pub(crate) struct Mount {
    directory: TempDir,
    swaps: AtomicU32,
}

impl Mount {
    fn empty() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            swaps: AtomicU32::new(0),
        }
    }

    pub(crate) fn of(document: &Value) -> Self {
        let mount = Self::empty();
        mount.swap(document.to_string().as_bytes());
        mount
    }

    pub(crate) fn swap(&self, bytes: &[u8]) {
        let root = self.path();
        let number = self.swaps.fetch_add(1, Ordering::SeqCst);
        let data = format!("..{number}");
        fs::create_dir(root.join(&data)).unwrap();
        fs::write(root.join(&data).join("bundle.json"), bytes).unwrap();
        symlink(&data, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        if number == 0 {
            symlink("..data/bundle.json", root.join("bundle.json")).unwrap();
        } else {
            fs::remove_dir_all(root.join(format!("..{}", number - 1))).unwrap();
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) async fn serve(&self) -> Sidecar {
        Sidecar::with(Config::on_free_ports(Source::Directory(
            self.path().to_owned(),
        )))
        .await
    }
}

/// How many bundles were refused so far.
async fn refusals(sidecar: &Sidecar) -> u32 {
    let metrics = sidecar.metrics().await;
    let line = metrics
        .lines()
        .find(|line| line.starts_with("postern_bundle_errors_total"))
        .unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_rotated_key_is_used_by_the_next_call_while_running_streams_go_on() {
    let (sender, body) = stream();
    let body: Mutex<Option<Body>> = Mutex::new(Some(body));
    let upstream = Upstream::answering(Protocol::Http1, move |parts, _| {
        if parts.uri.path() == "/v1/stream" {
            Response::new(body.lock().unwrap().take().unwrap())
        } else {
            Response::new(full("ok"))
        }
    })
    .await;
    let identity = Identity::openai_at(&upstream).secret("openai", "sk-before");
    let mount = Mount::of(&identity.document());
    let sidecar = mount.serve().await;

    let mut streaming = sidecar.client().await;
    let request = streaming
        .request("POST", "/openai/v1/stream")
        .body(full("{}"))
        .unwrap();
    let mut response = soon("the stream began", streaming.open(request))
        .await
        .unwrap();
    assert_eq!(
        upstream.saw_one().header("authorization"),
        Some("Bearer sk-before")
    );

    mount.swap(
        identity
            .secret("openai", "sk-after-rotation")
            .document()
            .to_string()
            .as_bytes(),
    );

    // No call fails on the way from the old key to the new one.
    let mut client = sidecar.client().await;
    eventually("the new key was used", async || {
        assert_eq!(
            sidecar.get("/openai/v1/models").await.status,
            StatusCode::OK
        );
        let seen = upstream.seen().pop().unwrap();
        (seen.header("authorization") == Some("Bearer sk-after-rotation")).then_some(())
    })
    .await;
    assert_eq!(client.get("/openai/v1/models").await.status, StatusCode::OK);
    let seen = upstream.seen().pop().unwrap();
    assert_eq!(
        seen.header("authorization"),
        Some("Bearer sk-after-rotation")
    );

    sender.send(Ok(Frame::data("still here".into()))).unwrap();
    drop(sender);
    let rest = soon("the stream ended", response.body_mut().collect())
        .await
        .unwrap();
    assert_eq!(rest.to_bytes(), "still here");
}

#[tokio::test]
async fn what_is_not_a_bundle_leaves_the_last_good_one_in_use() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let identity = Identity::openai_at(&upstream).secret("openai", "sk-of-the-last-good-bundle");
    let good = identity.document();
    let mount = Mount::of(&good);
    let sidecar = mount.serve().await;
    let mut truncated = good.to_string().into_bytes();
    truncated.truncate(truncated.len() / 2);
    let newer = {
        let mut document = good.clone();
        document["minReader"] = json!(postern_crds::bundle::FORMAT + 1);
        document
    };
    let bad_policy = {
        let mut document = good.clone();
        document["policies"][0]["spec"]["rules"][0]["paths"] = json!(["no-slash"]);
        document
    };
    let broken_secret = {
        let mut document = good.clone();
        document["secrets"]["openai"]["value"] = json!("sk-not-base64!");
        document
    };
    let huge = vec![b' '; 2 * 1024 * 1024];
    let deep = vec![b'['; 1024 * 1024];
    for (number, bytes) in [
        truncated,
        b"".to_vec(),
        b"null".to_vec(),
        b"\xff\xfe\x00".to_vec(),
        newer.to_string().into_bytes(),
        bad_policy.to_string().into_bytes(),
        broken_secret.to_string().into_bytes(),
        huge,
        deep,
    ]
    .into_iter()
    .enumerate()
    {
        mount.swap(&bytes);
        eventually("the bundle was refused", async || {
            (refusals(&sidecar).await == number as u32 + 1).then_some(())
        })
        .await;
        assert_eq!(
            sidecar.get("/openai/v1/models").await.status,
            StatusCode::OK
        );
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(
            seen.header("authorization"),
            Some("Bearer sk-of-the-last-good-bundle")
        );
        assert_eq!(sidecar.admin("/readyz").await.status, StatusCode::OK);
    }
    assert!(
        !whole_log().contains("sk-not-base64"),
        "a bundle that is refused is not quoted"
    );

    fs::remove_file(mount.path().join("..data")).unwrap();
    let answer: Answer = sidecar.get("/openai/v1/models").await;
    assert_eq!(answer.status, StatusCode::OK);

    mount.swap(
        identity
            .secret("openai", "sk-good-again")
            .document()
            .to_string()
            .as_bytes(),
    );
    eventually("a good bundle was taken again", async || {
        assert_eq!(
            sidecar.get("/openai/v1/models").await.status,
            StatusCode::OK
        );
        let seen = upstream.seen().pop().unwrap();
        (seen.header("authorization") == Some("Bearer sk-good-again")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_bundle_that_comes_later_makes_the_sidecar_ready() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let mount = Mount::empty();
    let sidecar = mount.serve().await;
    assert_eq!(
        sidecar.admin("/readyz").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(
        sidecar.get("/openai/v1/models").await.reason(),
        Some("no_policy")
    );
    mount.swap(
        Identity::openai_at(&upstream)
            .document()
            .to_string()
            .as_bytes(),
    );
    eventually("the sidecar was ready", async || {
        (sidecar.admin("/readyz").await.status == StatusCode::OK).then_some(())
    })
    .await;
    assert_eq!(
        sidecar.get("/openai/v1/models").await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_rule_that_is_taken_away_denies_the_next_call() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let allowed = Identity::openai_at(&upstream);
    let mount = Mount::of(&allowed.document());
    let sidecar = mount.serve().await;
    assert_eq!(
        sidecar.get("/openai/v1/models").await.status,
        StatusCode::OK
    );
    mount.swap(
        Identity::new()
            .credential("openai", "openai", &upstream, "k")
            .document()
            .to_string()
            .as_bytes(),
    );
    eventually("the call was denied", async || {
        (sidecar.get("/openai/v1/models").await.reason() == Some("no_rule")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn connections_survive_a_rotation() {
    let upstream = Upstream::ok(Protocol::Http2).await;
    let identity = Identity::openai_at(&upstream);
    let mount = Mount::of(&identity.document());
    let sidecar = mount.serve().await;
    assert_eq!(
        sidecar.get("/openai/v1/models").await.status,
        StatusCode::OK
    );
    mount.swap(
        identity
            .secret("openai", "sk-another")
            .document()
            .to_string()
            .as_bytes(),
    );
    eventually("the new key was used", async || {
        sidecar.get("/openai/v1/models").await;
        let seen = upstream.seen().pop().unwrap();
        (seen.header("authorization") == Some("Bearer sk-another")).then_some(())
    })
    .await;
    assert_eq!(upstream.connections(), 1);
}
