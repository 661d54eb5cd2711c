//! Leader election on a Kubernetes Lease: of several replicas, one works.
//!
//! The rules are those of client-go's `leaderelection`: every write carries the `resourceVersion` that was read, so two replicas cannot both
//! win; a standby judges a Lease by how long *it* has seen it unchanged, so clocks of different nodes are never compared; a leader that
//! cannot renew stops by itself before a standby may take over.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::kube_error;

/// How long a standby must see a Lease unrenewed before it takes it.
const DURATION: Duration = Duration::from_secs(15);
/// How long a leader works on without a renewal. Less than [`DURATION`], so that it has stopped before another starts.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Between two attempts to take or renew the Lease.
const RETRY: Duration = Duration::from_secs(2);
/// How long one attempt may take: several must fit into [`RENEW_DEADLINE`].
const ATTEMPT: Duration = Duration::from_secs(4);

/// One replica's part in the election.
#[derive(Debug)]
pub struct Election {
    leases: Api<Lease>,
    name: String,
    holder: String,
    held_until: watch::Sender<Option<Instant>>,
    /// The Lease as it was last seen, and when it first looked so.
    observed: Option<(Lease, Instant)>,
}

/// Whether this replica leads. Cheap to clone and to ask.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<Option<Instant>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Leader,
    Standby,
}

fn holds(held_until: &Option<Instant>) -> bool {
    held_until.is_some_and(|until| Instant::now() < until)
}

impl Leadership {
    /// Whether this replica leads at this moment. To be asked before every write: a process that was suspended finds out here.
    pub fn is_held(&self) -> bool {
        holds(&self.0.borrow())
    }

    /// Returns once this replica leads; never, if the election has ended.
    pub async fn acquired(&mut self) {
        if self.0.wait_for(holds).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns once this replica does not lead any more.
    pub async fn lost(&mut self) {
        loop {
            let Some(until) = *self.0.borrow_and_update() else {
                return;
            };
            tokio::select! {
                () = sleep_until(until) => return,
                changed = self.0.changed() => if changed.is_err() { return },
            }
        }
    }
}

impl Election {
    /// The election on the Lease `name` in `namespace`. `holder` must differ between processes, restarts of one pod's container included.
    pub fn new(client: Client, namespace: &str, name: &str, holder: String) -> (Self, Leadership) {
        let (held_until, receiver) = watch::channel(None);
        let election = Self {
            leases: Api::namespaced(client, namespace),
            name: name.to_owned(),
            holder,
            held_until,
            observed: None,
        };
        (election, Leadership(receiver))
    }

    /// Stands for election until `shutdown`, then gives the Lease back so that another replica need not wait for it to expire. Calls
    /// `heard` whenever the API server has answered.
    ///
    /// # Guarantees
    /// At most one [`Leadership`] of all replicas is held at a time, as long as the clocks of their machines run at about the same speed.
    pub async fn run(mut self, mut heard: impl FnMut(), shutdown: CancellationToken) {
        loop {
            let started = Instant::now();
            match timeout(ATTEMPT, self.attempt()).await {
                Ok(Ok(standing)) => {
                    heard();
                    self.publish((standing == Standing::Leader).then(|| started + RENEW_DEADLINE));
                }
                Ok(Err(error)) => {
                    tracing::warn!(
                        lease = self.name,
                        error = kube_error::describe(&error),
                        "the lease could not be read or written"
                    );
                }
                Err(_) => tracing::warn!(
                    lease = self.name,
                    "the lease could not be read or written in time"
                ),
            }
            self.step_down_when_overdue();
            tokio::select! {
                () = sleep(RETRY) => {}
                () = shutdown.cancelled() => break,
            }
        }
        let led = self.held_until.borrow().is_some();
        self.publish(None);
        if led {
            self.release().await;
        }
    }

    fn publish(&self, held_until: Option<Instant>) {
        let led = self.held_until.send_replace(held_until).is_some();
        match (led, held_until.is_some()) {
            (false, true) => tracing::info!(lease = self.name, holder = self.holder, "leading"),
            (true, false) => {
                tracing::info!(lease = self.name, holder = self.holder, "no longer leading");
            }
            _ => {}
        }
    }

    fn step_down_when_overdue(&self) {
        if self
            .held_until
            .borrow()
            .is_some_and(|until| Instant::now() >= until)
        {
            self.publish(None);
        }
    }

    /// Takes or renews the Lease, if it is ours to take.
    async fn attempt(&mut self) -> Result<Standing, kube::Error> {
        let Some(lease) = self.leases.get_opt(&self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec(None)),
            };
            return self.won(self.leases.create(&PostParams::default(), &lease).await);
        };
        self.observe(&lease);
        if !self.may_take(&lease) {
            return Ok(Standing::Standby);
        }
        let next = Lease {
            spec: Some(self.spec(lease.spec.as_ref())),
            ..lease
        };
        self.won(
            self.leases
                .replace(&self.name, &PostParams::default(), &next)
                .await,
        )
    }

    fn observe(&mut self, lease: &Lease) {
        let version = &lease.metadata.resource_version;
        if self
            .observed
            .as_ref()
            .is_none_or(|(seen, _)| seen.metadata.resource_version != *version)
        {
            self.observed = Some((lease.clone(), Instant::now()));
        }
    }

    fn may_take(&self, lease: &Lease) -> bool {
        let spec = lease.spec.as_ref();
        match spec
            .and_then(|spec| spec.holder_identity.as_deref())
            .unwrap_or_default()
        {
            "" => true,
            holder if holder == self.holder => true,
            _ => {
                let duration = spec
                    .and_then(|spec| spec.lease_duration_seconds)
                    .and_then(|s| u64::try_from(s).ok());
                let duration = duration.map_or(DURATION, Duration::from_secs);
                self.observed
                    .as_ref()
                    .is_some_and(|(_, since)| since.elapsed() >= duration)
            }
        }
    }

    /// What the Lease says once it is ours, after it said `before`.
    fn spec(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let before = before.cloned().unwrap_or_default();
        let renewal = before.holder_identity.as_deref() == Some(&self.holder);
        let transitions = before.lease_transitions.unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.holder.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: if renewal {
                before.acquire_time
            } else {
                Some(now.clone())
            },
            renew_time: Some(now),
            lease_transitions: Some(if renewal {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            preferred_holder: before.preferred_holder,
            strategy: before.strategy,
        }
    }

    fn won(&mut self, written: Result<Lease, kube::Error>) -> Result<Standing, kube::Error> {
        match written {
            Ok(lease) => {
                self.observe(&lease);
                Ok(Standing::Leader)
            }
            // Another replica was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Standing::Standby),
            Err(error) => Err(error),
        }
    }

    /// Gives the Lease back. If that fails, the others wait for it to expire.
    async fn release(&self) {
        let Some((lease, _)) = &self.observed else {
            return;
        };
        let mut lease = lease.clone();
        lease.spec = lease.spec.map(|spec| LeaseSpec {
            holder_identity: None,
            renew_time: None,
            acquire_time: None,
            lease_duration_seconds: None,
            ..spec
        });
        match timeout(
            ATTEMPT,
            self.leases
                .replace(&self.name, &PostParams::default(), &lease),
        )
        .await
        {
            Ok(Ok(_)) => tracing::info!(lease = self.name, "released the lease"),
            Ok(Err(error)) => {
                tracing::warn!(
                    lease = self.name,
                    error = kube_error::describe(&error),
                    "the lease could not be released"
                );
            }
            Err(_) => tracing::warn!(lease = self.name, "the lease could not be released in time"),
        }
    }
}
