//! Is a rotation in a store of secrets noticed by programs that call all the while, LangChain among them?

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use postern_crds::names;
use postern_e2e::{
    Namespace, PATIENCE, Provider,
    house::{self, RELEASE},
    image,
    provider::Received,
    until,
};
use rustix::process::Signal;

use super::sources::{self, Source};
use crate::support::{
    Agent, Agents, Stored, Turn, WHOLE_RUN, config_map, create, ground, pod, random, version,
};

/// The pods, what runs in each, and how many calls a second it makes.
const PODS: [(&str, &str, u32); 3] = [
    ("langchain", "load.py", 10),
    ("fetch-1", "load.mjs", 20),
    ("fetch-2", "load.mjs", 20),
];
/// Calls that are waited for, each time that it matters whether some go wrong: two seconds of them.
const SOME: usize = 100;
/// How long a slow stream lasts, in milliseconds: fifty events, one every 100 ms.
const STREAM: u64 = 5000;

/// One value of the key, and when what became of it, in milliseconds since 1970.
struct Key {
    value: String,
    /// The store had it.
    stored: u64,
    /// The identity's status said that all sidecars have it.
    complete: u64,
}

/// A call, as the provider received it.
struct Call {
    began: u64,
    slow: bool,
    bearer: String,
    status: Option<u16>,
}

/// Pods that call a provider of their own, which refuses keys that were replaced.
struct Load {
    stored: Stored,
    provider: Provider,
    /// The provider's namespace.
    beside: Namespace,
    /// Where the identity has its key from.
    source: Source,
    /// The keys so far, in order.
    keys: Vec<Key>,
}

impl Load {
    fn start() -> Result<Self> {
        let ground = ground()?;
        let cluster = &ground.house.cluster;
        // Alone, for the operator is not left in peace, and so that the machine has time for the calls.
        let agents = Agents::arrive("load", Turn::alone())?;
        let stored = Stored::start("load", agents)?;
        let beside = Namespace::create(cluster, "load-provider")?;
        let image = image::provider(cluster.cache())?;
        let aws = sources::aws(&beside);
        let provider = Provider::ensure(cluster, beside.name(), &image, &[&aws])?;
        sources::add(&stored, &beside, &provider)?;
        let agents = &stored.agents;
        let ca = serde_json::json!({"ca.crt": provider.ca});
        agents.apply(&[config_map("load-ca", &ca)])?;
        stored.settle(&provider.host(), "load-ca")?;
        agents.ready()?;
        for (name, program, rate) in PODS {
            let (image, program, rate) = (
                if program.ends_with(".py") {
                    [&*ground.python, "python3"]
                } else {
                    [&*ground.node, "node"]
                },
                format!("/program/{program}"),
                rate.to_string(),
            );
            let [image, interpreter] = image;
            let command = [interpreter, &program, &rate];
            create(&agents.namespace, &pod(name, image, &command))?;
        }
        let first = Key {
            value: agents.openai.clone(),
            stored: 0,
            complete: now()?,
        };
        let load = Self {
            provider,
            beside,
            source: Source::OpenBao,
            stored,
            keys: vec![first],
        };
        for (name, ..) in PODS {
            load.stored.agents.namespace.ready(name)?;
        }
        load.some_with_the_newest_key()?;
        Ok(load)
    }

    /// Puts the key into another store, and has the identity read it there.
    fn move_to(&mut self, source: Source) -> Result<()> {
        source.put(&self.stored, &self.beside, &self.newest()?.value)?;
        let store = source.store(&self.stored);
        self.stored
            .settle_with(&store, &self.provider.host(), "load-ca")?;
        let place = format!("store/{store}/");
        until("the key from another store", PATIENCE, || {
            let status = self.stored.status()?;
            let version = version(&status)?;
            ensure!(version.starts_with(&place), "{version}");
            Ok(())
        })?;
        self.source = source;
        Ok(())
    }

    /// Makes a new key, `disturb`s the operator, waits until the rotation is complete, and has the provider refuse the old key.
    fn rotate(&mut self, disturb: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        let value = format!("sk-live-{}", random()?);
        let status = self.stored.status()?;
        let before = version(&status)?;
        let stored = now()?;
        self.source.put(&self.stored, &self.beside, &value)?;
        disturb(self)?;
        let complete = self.complete(before)?;
        self.keys.push(Key {
            value,
            stored,
            complete,
        });
        self.some_with_the_newest_key()?;
        self.provider.revoke(&self.keys[self.keys.len() - 2].value)
    }

    /// Waits until the identity's status says that all sidecars have another version of the credential than `before`, and returns since when it does.
    fn complete(&self, before: &str) -> Result<u64> {
        until("the rotation to be complete", PATIENCE, || {
            let status = self.stored.status()?;
            ensure!(version(&status)? != before, "{before} is the newest");
            let rotation = status.rotation.as_ref().context("no rotation")?;
            let is_current = Some(&rotation.current_version) == status.bundle_revision.as_ref();
            let all = usize::try_from(rotation.sidecars)? == PODS.len()
                && rotation.sidecars_on_current == rotation.sidecars;
            let completed = rotation.completed_at.as_ref();
            let completed = completed.filter(|_| is_current && all);
            let completed = completed.with_context(|| format!("{rotation:?}"))?;
            // It is of whole seconds, and nobody knew before it was read here.
            let by_then = u64::try_from(completed.0.as_millisecond())? + 1000;
            Ok(by_then.min(now()?))
        })
    }

    fn newest(&self) -> Result<&Key> {
        self.keys.last().context("a key")
    }

    /// Waits until some more calls arrive with the newest key.
    fn some_with_the_newest_key(&self) -> Result<()> {
        let bearer = format!("Bearer {}", self.newest()?.value);
        let since = now()?;
        until("calls with the newest key", PATIENCE, || {
            let calls = self.received(Duration::from_secs(30))?;
            let calls = calls
                .iter()
                .filter(|call| call.began > since && call.bearer == bearer);
            let count = calls.count();
            ensure!(count >= SOME, "{count} arrived");
            Ok(())
        })
    }

    /// Fails unless the provider refuses a key.
    fn refuses(&self, key: &str) -> Result<()> {
        let base = format!("OPENAI_BASE_URL=http://{}/v1", self.provider.host());
        let key = format!("OPENAI_API_KEY={key}");
        let call = ["/program/call.py", "/chat/completions", "hi"];
        let command = [&["env", &base, &key, "python3"], &call[..]].concat();
        let said = self.pod("langchain").run(&command, "")?;
        ensure!(said.contains(r#""status": 401"#), "{said}");
        Ok(())
    }

    fn pod(&self, name: &str) -> Agent<'_> {
        Agent::of(&self.stored.agents.namespace, name)
    }

    /// What the provider received from the pods in the last `since`, in the order in which it ended.
    fn received(&self, since: Duration) -> Result<Vec<Call>> {
        let received = self.provider.received(since)?;
        let call = |received: Received| {
            let header = |name: &str| received.headers.get(name).map(String::as_str);
            let began = header("x-began")?.parse().ok()?;
            Some(Call {
                began,
                slow: header("x-slow")? == "true",
                bearer: header("authorization")?.to_owned(),
                status: received.status,
            })
        };
        Ok(received.into_iter().filter_map(call).collect())
    }

    /// Ends the programs, and fails if one call of theirs did, or had another key than it should.
    fn end(&self) -> Result<()> {
        self.refuses(&self.keys[self.keys.len() - 2].value)?;
        self.some_with_the_newest_key()?;
        let mut made = 0;
        for (name, ..) in PODS {
            self.pod(name).process("agent")?.send(Signal::TERM)?;
        }
        for (name, ..) in PODS {
            let namespace = &self.stored.agents.namespace;
            assert_eq!(namespace.finished(name)?, "Succeeded");
            let printed = namespace.logs(name, "agent")?;
            let failed: Vec<_> = printed.lines().filter(|line| *line != "ok").collect();
            assert_eq!(failed, [""; 0], "{name}");
            made += printed.lines().count();
            assert_eq!(self.pod(name).restarts(names::CONTAINER)?, 0, "{name}");
        }
        let calls = self.received(WHOLE_RUN)?;
        // None was made twice, by whomever.
        assert_eq!(calls.len(), made);
        self.judge(&calls);
        Ok(())
    }

    fn judge(&self, calls: &[Call]) {
        assert!(calls.iter().all(|call| call.status == Some(200)));
        let began = || calls.iter().map(|call| call.began);
        let lasted = began().max().unwrap_or_default() - began().min().unwrap_or_default();
        let wanted: u64 = PODS.iter().map(|(_, _, rate)| u64::from(*rate)).sum();
        let rate = calls.len() as u64 * 1000 / lasted;
        assert!(rate >= wanted * 9 / 10, "{rate} calls a second");

        let mut of: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
        for call in calls {
            let key = call.bearer.strip_prefix("Bearer ").unwrap_or_default();
            of.entry(key).or_default().push(call);
        }
        assert_eq!(of.len(), self.keys.len());
        for pair in self.keys.windows(2) {
            let [old, new] = pair else { continue };
            let [before, after] = [old, new].map(|key| &of[key.value.as_str()]);
            // Every call that began after "complete" has the new key.
            assert!(before.iter().all(|call| call.began < new.complete));
            assert!(after.iter().all(|call| call.began >= new.stored));
            // Streams were on their way when it came.
            let first = after
                .iter()
                .map(|call| call.began)
                .min()
                .unwrap_or_default();
            let on_their_way = before
                .iter()
                .filter(|call| call.slow && (first - STREAM * 4 / 5..first).contains(&call.began));
            assert!(on_their_way.count() > 0);
        }
    }

    /// Ends the replica of the controller that works, so that it says goodbye to nobody.
    fn kill_the_leader(&self) -> Result<()> {
        let get = ["get", "lease", &format!("{RELEASE}-controller")];
        let holder = ["--output=jsonpath={.spec.holderIdentity}"];
        let holder = self.operator(&[&get[..], &holder].concat())?;
        let (leader, _) = holder.rsplit_once('_').context("the holder's pod")?;
        self.operator(&["delete", "pod", leader, "--force", "--grace-period=0"])?;
        Ok(())
    }

    /// Replaces both replicas of the controller, one after the other.
    fn restart_the_operator(&self) -> Result<()> {
        let deployment = format!("deployment/{RELEASE}-controller");
        self.operator(&["rollout", "restart", &deployment])?;
        self.operator(&["rollout", "status", &deployment, "--timeout=180s"])?;
        Ok(())
    }

    /// `kubectl` in the operator's namespace.
    fn operator(&self, arguments: &[&str]) -> Result<String> {
        let place = ["--namespace", house::NAMESPACE];
        let cluster = self.stored.agents.namespace.cluster();
        cluster.kubectl(arguments.iter().chain(&place))
    }
}

/// Milliseconds since 1970; node and tests have one clock.
fn now() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    Ok(u64::try_from(now)?)
}

#[test]
fn rotate_three_times_in_each_store_under_load_without_one_failed_call_whoever_of_the_operator_dies()
-> Result<()> {
    let mut load = Load::start()?;
    load.rotate(|_| Ok(()))?;
    load.rotate(Load::kill_the_leader)?;
    load.rotate(Load::restart_the_operator)?;
    for source in [Source::Http, Source::Aws] {
        load.move_to(source)?;
        for _ in 0..3 {
            load.rotate(|_| Ok(()))?;
        }
    }
    load.end()
}
