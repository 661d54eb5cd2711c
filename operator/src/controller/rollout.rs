//! How far a bundle has come to the sidecars: they are asked, since only they know.
//!
//! One task follows one identity. A newer bundle, or other pods, replace it. It writes `status.rotation` and the Events of a rotation, and nothing that
//! a sidecar says makes the controller do anything else.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{
    Api, Client, ResourceExt as _,
    api::ListParams,
    runtime::{events::Recorder, reflector::ObjectRef},
};
use postern_crds::{
    AgentIdentity,
    agent_identity::RotationStatus,
    names::{IDENTITY_LABEL, ROTATION_MANAGER},
};
use serde::Serialize;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Metrics,
    conditions::whole_seconds,
    events::{self, Notice},
    freshness::Moment,
    object::IdentityObject,
    pods::PodMeta,
    status,
};
use crate::{kube_error, lease::Leadership};

mod ask;
mod progress;

use ask::{Answer, Sidecars, running};
use progress::{Progress, next};

/// How often sidecars are asked in the beginning. The kubelet takes up to a minute and a half to bring them a bundle.
const OFTEN: Duration = Duration::from_secs(5);
/// How long they are asked so often; then half as often each time.
const EAGER: Duration = Duration::from_secs(180);
/// How seldom they are asked at last.
const SELDOM: Duration = Duration::from_secs(300);
/// After how long a rotation that is not complete is worth a warning.
const LATE: Duration = Duration::from_secs(300);
/// How long sidecars that were told of a new bundle get to fetch it, before they are asked what they use.
const FETCH: Duration = Duration::from_millis(500);
/// How long a list of pods may take.
const LIST: Duration = Duration::from_secs(20);

/// The rollouts of all identities. Dropping it ends their tasks.
pub(crate) struct Rollouts {
    shared: Arc<Shared>,
    running: Mutex<HashMap<ObjectRef<IdentityObject>, Running>>,
}

struct Shared {
    client: Client,
    leadership: Leadership,
    recorder: Recorder,
    metrics: Metrics,
    sidecars: Sidecars,
}

/// One task, and what it is about.
struct Running {
    uid: String,
    revision: String,
    pods: u64,
    state: Arc<Mutex<State>>,
    _task: AbortOnDropHandle<()>,
}

/// What has become of a rollout.
#[derive(Clone, Debug)]
struct State {
    rotation: RotationStatus,
    /// What the status says.
    told: Option<RotationStatus>,
    started: Moment,
    /// A person was told that it takes long.
    is_late: bool,
}

/// A bundle that is in the cluster.
pub(crate) struct Delivery<'a> {
    pub(crate) object: &'a Arc<IdentityObject>,
    pub(crate) key: ObjectRef<IdentityObject>,
    pub(crate) uid: &'a str,
    /// Its revision.
    pub(crate) revision: &'a str,
    /// The credentials whose values are others than the status says.
    pub(crate) changed: BTreeSet<String>,
    /// Its sidecars can fetch it, and are to be told so.
    pub(crate) is_nudged: bool,
    /// When its sources were read.
    pub(crate) found: Moment,
    /// What the status says of a rotation.
    pub(crate) told: Option<&'a RotationStatus>,
    /// The pods that run with the identity.
    pub(crate) pods: &'a [Arc<PodMeta>],
}

/// The part of the status that is written here.
#[derive(Serialize, PartialEq)]
struct Told<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<&'a RotationStatus>,
}

impl Rollouts {
    pub(crate) fn new(
        client: Client,
        leadership: Leadership,
        recorder: Recorder,
        metrics: Metrics,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                client,
                leadership,
                recorder,
                metrics,
                sidecars: Sidecars::default(),
            }),
            running: Mutex::default(),
        }
    }

    /// Follows `delivery` to the sidecars, unless that is being done or was done already.
    pub(crate) fn follow(&self, delivery: Delivery<'_>) {
        let Delivery {
            object,
            key,
            uid,
            revision,
            changed,
            is_nudged,
            found,
            told,
            pods,
        } = delivery;
        let fingerprint = fingerprint(pods);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let before = running.get(&key).filter(|before| before.uid == uid);
        if let Some(before) = before
            && before.revision == revision
            && before.pods == fingerprint
        {
            return;
        }
        // What a task knows is newer than what is heard of the status that it wrote.
        let before = before.map(|before| {
            let state = before.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.clone()
        });
        let now = Timestamp::now();
        let before = before.or_else(|| State::of(told, now));
        let is_known = before
            .as_ref()
            .is_some_and(|before| before.rotation.current_version == revision);
        let starts = !is_known && !changed.is_empty();
        let state = Arc::new(Mutex::new(next(before, revision, changed, found, now)));
        let task = Task {
            shared: Arc::clone(&self.shared),
            object: Arc::clone(object),
            state: Arc::clone(&state),
            has_pods: !pods.is_empty(),
            is_nudged,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(task.run(starts, !is_known)));
        let uid = uid.to_owned();
        let revision = revision.to_owned();
        let entry = Running {
            uid,
            revision,
            pods: fingerprint,
            state,
            _task: task,
        };
        running.insert(key, entry);
    }

    /// The identity is gone.
    pub(crate) fn forget(&self, key: &ObjectRef<IdentityObject>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(key);
    }
}

impl State {
    /// What is known from the status alone.
    fn of(told: Option<&RotationStatus>, now: Timestamp) -> Option<Self> {
        let rotation = told?.clone();
        Some(Self {
            started: Moment::at(rotation.started_at.0, now),
            told: Some(rotation.clone()),
            rotation,
            is_late: false,
        })
    }
}

/// Which pods they are. Others that come, and some that go, make it another number.
fn fingerprint(pods: &[Arc<PodMeta>]) -> u64 {
    let uids: BTreeSet<&str> = pods
        .iter()
        .filter_map(|pod| pod.metadata.uid.as_deref())
        .collect();
    let mut hasher = DefaultHasher::new();
    uids.hash(&mut hasher);
    hasher.finish()
}

struct Task {
    shared: Arc<Shared>,
    object: Arc<IdentityObject>,
    state: Arc<Mutex<State>>,
    has_pods: bool,
    is_nudged: bool,
}

impl Task {
    /// Asks until all sidecars are on the version and no pod is about to start one. It `starts` a rotation or not, and the version is new or not.
    async fn run(self, starts: bool, is_new: bool) {
        let asking = Moment::now();
        let mut known: Option<Vec<running::Pod>> = (!self.has_pods).then(Vec::new);
        // Pods that came with an older version are told by what they answer: others would be disturbed whenever one comes or goes.
        if self.is_nudged && is_new && self.has_pods {
            known = self.pods().await;
            self.nudge(known.iter().flatten()).await;
        }
        if starts {
            let note = progress::started(&self.state().rotation);
            self.publish(Notice::normal("RotationStarted", "Rotate", note))
                .await;
        }
        if self.is_nudged && is_new && self.has_pods {
            sleep(FETCH).await;
        }
        let mut pause = OFTEN / 5;
        loop {
            if !self.shared.leadership.is_held() {
                return;
            }
            let pods = match known.take() {
                Some(pods) => Some(pods),
                None => self.pods().await,
            };
            if let Some(pods) = pods {
                let answers = self.shared.sidecars.ask(&pods).await;
                let revision = self.state().rotation.current_version;
                let progress = Progress::of(&revision, &answers);
                self.tell(&progress).await;
                if progress.is_complete() && !progress.more_to_come {
                    return;
                }
                if self.is_nudged {
                    let uses = Answer::Uses(revision);
                    let answered = pods.iter().zip(&answers);
                    let behind = answered.filter(|(_, (_, answer))| *answer != uses);
                    self.nudge(behind.map(|(pod, _)| pod)).await;
                }
                // Their addresses stay while they run.
                let is_heard = |(_, answer): &(&str, Answer)| *answer != Answer::None;
                if !progress.more_to_come && answers.iter().all(is_heard) {
                    known = Some(pods);
                }
            }
            sleep(super::jitter(pause)).await;
            pause = if asking.age() < EAGER {
                OFTEN.min(pause * 5)
            } else {
                SELDOM.min(pause * 2)
            };
        }
    }

    /// Tells the sidecars of `pods` that there is a newer bundle.
    async fn nudge(&self, pods: impl Iterator<Item = &running::Pod>) {
        for outcome in self.shared.sidecars.nudge(pods).await {
            self.shared.metrics.nudged(outcome);
        }
    }

    /// The pods of the identity, unless they cannot be listed now.
    async fn pods(&self) -> Option<Vec<running::Pod>> {
        let namespace = self.object.namespace().unwrap_or_default();
        let name = self.object.name_any();
        let pods = Api::<Pod>::namespaced(self.shared.client.clone(), &namespace);
        let params = ListParams::default().labels(&format!("{IDENTITY_LABEL}={name}"));
        match timeout(LIST, pods.list(&params)).await {
            Ok(Ok(list)) => Some(running::pods(&list.items)),
            Ok(Err(error)) => {
                let error = kube_error::describe(&error);
                tracing::warn!(
                    namespace,
                    identity = name,
                    error,
                    "the pods could not be listed"
                );
                None
            }
            Err(_) => None,
        }
    }

    /// Writes down what has changed.
    async fn tell(&self, progress: &Progress<'_>) {
        let mut state = self.state();
        let was_complete = state.rotation.completed_at.is_some();
        let took = state.started.age();
        state.rotation.sidecars = progress.sidecars;
        state.rotation.sidecars_on_current = progress.on_current;
        // In the first minutes it is only the kubelet's pace.
        state.rotation.message = (took > LATE).then(|| progress.message()).flatten();
        if progress.is_complete() && !was_complete {
            state.rotation.completed_at = Some(whole_seconds(Timestamp::now()));
        }
        // Pods that come later are no part of it.
        let is_rotation = !state.rotation.credentials.is_empty() && !was_complete;
        let completes = is_rotation && progress.is_complete();
        let late = is_rotation && !completes && took > LATE && !state.is_late;
        state.is_late |= late;
        let told = state.told.clone();
        self.keep(state.clone());

        let api = Api::<AgentIdentity>::namespaced(
            self.shared.client.clone(),
            &self.object.namespace().unwrap_or_default(),
        );
        let written = status::write(
            &api,
            ROTATION_MANAGER,
            &self.object.name_any(),
            self.object.metadata.uid.as_deref().unwrap_or_default(),
            &Told {
                rotation: told.as_ref(),
            },
            &Told {
                rotation: Some(&state.rotation),
            },
        )
        .await;
        match written {
            Ok(()) => {
                state.told = Some(state.rotation.clone());
                self.keep(state.clone());
            }
            // The next round writes it.
            Err(error) => tracing::warn!(%error, "a rotation's progress could not be told"),
        }
        if completes {
            self.shared.metrics.rotated(took);
            let note = progress::completed(&state.rotation, took);
            self.publish(Notice::normal("RotationComplete", "Rotate", note))
                .await;
        } else if late {
            let note = progress::late(&state.rotation);
            self.publish(Notice::warning("RotationIncomplete", "Rotate", note))
                .await;
        }
    }

    async fn publish(&self, notice: Notice) {
        events::publish(&self.shared.recorder, &*self.object, vec![notice]).await;
    }

    fn state(&self) -> State {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clone()
    }

    fn keep(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
