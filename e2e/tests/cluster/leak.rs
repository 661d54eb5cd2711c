//! Is the key anywhere but in its Secret, the bundle, the sidecar's memory and the provider's hands?

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use postern_crds::names;
use postern_e2e::{
    Cache, Image, PATIENCE,
    house::{NAMESPACE, RELEASE},
    image::{self, Programs},
    run, until,
};
use serde::Deserialize;
use serde_json::Value;

use crate::support::{Agent, Agents, agent, create, ground, pod, random, secret};

/// A key, and the other shapes in which it might be found.
struct Needle(Vec<String>);

impl Needle {
    /// The key itself, and its base64 whichever byte of a longer text it begins at.
    fn of(key: &str) -> Self {
        let encoded = (0..3).map(|before| {
            let text = STANDARD.encode([&vec![0; before], key.as_bytes()].concat());
            // The first four and the last four characters hold bits of its neighbours.
            text[4..text.len() - 4].to_owned()
        });
        Self(encoded.chain([key.to_owned()]).collect())
    }

    fn is_in(&self, haystack: &str) -> bool {
        self.0.iter().any(|shape| haystack.contains(shape))
    }
}

/// What a search of an application's container read, and where it found a text.
#[derive(Debug, Deserialize)]
struct Search {
    processes: u64,
    memory: u64,
    files: u64,
    found: Vec<String>,
}

/// Searches the container `agent` for `texts`, from within, as the program's own user.
fn search<'a>(agent: &Agent<'_>, texts: impl IntoIterator<Item = &'a str>) -> Result<Search> {
    // Inverted, so that the search does not find its own question.
    let invert = |text: &str| -> String {
        text.bytes()
            .map(|byte| format!("{:02x}", byte ^ 255))
            .collect()
    };
    let inverted: Vec<String> = texts.into_iter().map(invert).collect();
    let inverted = inverted.join("\n");
    let program = include_str!("../../demo/search.py");
    let line = agent.run(&["python3", "-c", program], &inverted)?;
    serde_json::from_str(&line).with_context(|| format!("reading what the search printed: {line}"))
}

/// An agent whose key went through everything that can happen to it: used, rotated, refused by the provider, denied, misplaced, withdrawn.
struct Story {
    agents: Agents,
    keys: [String; 2],
}

impl Story {
    fn play(purpose: &str) -> Result<Self> {
        let agents = Agents::create(purpose)?;
        let namespace = &agents.namespace;
        create(
            namespace,
            &pod("loop", &ground()?.python, &["python3", "/program/loop.py"]),
        )?;
        let teller = agent(&agents, "bot")?;
        teller.ask()?.allowed()?;
        let busy = teller.call("/chat/completions", "Be busy.")?;
        assert_eq!((busy.status, busy.reason), (Some(429), None));
        teller
            .call("/responses", "Plan my year.")?
            .denied("no_rule")?;
        let lost = teller.call("/../nowhere", "Hello?")?;
        assert!(lost.reason.is_some(), "{lost:?}");
        teller
            .ask_with("ANTHROPIC_API_KEY")?
            .denied("placeholder_misplaced")?;

        let second = format!("sk-live-{}", random()?);
        agents.apply(&[secret("openai-key", &second)])?;
        agents.until_used(&second, &teller)?;
        // A key that no header can carry is an error in every part of the way.
        agents.apply(&[secret(
            "anthropic-key",
            &format!("{}\nsecond line", agents.anthropic),
        )])?;
        namespace.condition(
            "agentidentity",
            "support-bot",
            "CredentialsResolved",
            "False",
        )?;
        let identity = namespace.get("agentidentity", "support-bot")?;
        let revision = identity["status"]["bundleRevision"]
            .as_str()
            .context("a revision")?
            .to_owned();
        namespace.ready("loop")?;
        for pod in ["bot", "loop"] {
            let agent = Agent::of(namespace, pod);
            until("the last change to reach the sidecar", PATIENCE, || {
                let metrics = agent.metrics()?;
                ensure!(metrics.contains(&revision), "{metrics}");
                Ok(())
            })?;
        }
        let keys = [agents.openai.clone(), second];
        Ok(Self { agents, keys })
    }

    /// All keys that were ever in use.
    fn needles(&self) -> Vec<Needle> {
        let keys = self.keys.iter().chain([&self.agents.anthropic]);
        keys.map(|key| Needle::of(key)).collect()
    }

    fn agents(&self) -> [Agent<'_>; 2] {
        ["bot", "loop"].map(|pod| Agent::of(&self.agents.namespace, pod))
    }
}

#[test]
fn leak_no_log_event_status_metric_or_object_has_the_key() -> Result<()> {
    let story = Story::play("leak-records")?;
    let namespace = story.agents.namespace.name();
    let cluster = &ground()?.house.cluster;
    let mut records: Vec<(String, String)> = Vec::new();
    let mut look = |what: String, arguments: &[&str]| -> Result<()> {
        let text = cluster.kubectl(arguments)?;
        ensure!(
            !text.trim().is_empty(),
            "{what} is empty, so nothing was looked at"
        );
        records.push((what, text));
        Ok(())
    };
    for agent in story.agents() {
        for container in ["agent", names::CONTAINER] {
            // What only waits prints nothing.
            if (agent.pod.as_str(), container) != ("bot", "agent") {
                let arguments = [
                    "logs",
                    &agent.pod,
                    "--namespace",
                    namespace,
                    "--container",
                    container,
                ];
                look(format!("the log of {}/{container}", agent.pod), &arguments)?;
            }
        }
        look(
            format!("the metrics of {}", agent.pod),
            &["get", "--raw", &agent.metrics_path()],
        )?;
    }
    for component in ["controller", "webhook"] {
        let selector =
            format!("app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}");
        let pods = cluster.kubectl([
            "get",
            "pods",
            "--namespace",
            NAMESPACE,
            "--selector",
            &selector,
            "--output",
            "jsonpath={.items[*].metadata.name}",
        ])?;
        for pod in pods.split(' ') {
            look(
                format!("the log of {pod}"),
                &["logs", pod, "--namespace", NAMESPACE, "--all-containers"],
            )?;
            let metrics = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics");
            look(format!("the metrics of {pod}"), &["get", "--raw", &metrics])?;
        }
    }
    // Everything in the namespace but Secrets, with every status, annotation and environment.
    let kinds = "agentidentities,egresspolicies,pods,configmaps,events,serviceaccounts";
    let arguments = [
        "get",
        kinds,
        "--namespace",
        namespace,
        "--show-managed-fields",
        "--output",
        "yaml",
    ];
    look("the objects".to_owned(), &arguments)?;
    let arguments = [
        "get",
        "pods,configmaps,events,leases",
        "--namespace",
        NAMESPACE,
        "--output",
        "yaml",
    ];
    look("the release's objects".to_owned(), &arguments)?;
    // Layers, configuration and history: nothing in an archive is compressed, as the test of the images shows.
    for image in programs()? {
        records.push((
            format!("the image {}", image.reference),
            text_of(&image.archive)?,
        ));
    }

    for (what, text) in records
        .iter()
        .filter(|(what, _)| what.starts_with("the log of postern-"))
    {
        for line in text.lines() {
            let said: Value =
                serde_json::from_str(line).with_context(|| format!("{what}: {line}"))?;
            let members = ["timestamp", "level", "target", "message"];
            assert!(
                members.iter().all(|name| said[name].is_string()),
                "{what}: {line}"
            );
        }
    }

    for (number, needle) in story.needles().iter().enumerate() {
        for (what, text) in &records {
            assert!(!needle.is_in(text), "key {number} is in {what}");
        }
        // The same search finds it where it has to be.
        let secrets = cluster.kubectl([
            "get",
            "secrets",
            "--namespace",
            namespace,
            "--output",
            "yaml",
        ])?;
        let is_current = number > 0;
        assert_eq!(
            needle.is_in(&secrets),
            is_current,
            "key {number} and the Secrets"
        );
    }
    Ok(())
}

/// The images that the release and its sidecars run.
fn programs() -> Result<[Image; 2]> {
    let Programs {
        operator, sidecar, ..
    } = image::programs(&Cache::open()?)?;
    Ok([operator, sidecar])
}

#[test]
fn leak_image_of_the_sidecar_has_at_most_12_mib() -> Result<()> {
    if env::var_os("POSTERN_PROFILE").is_some_and(|profile| profile != "release") {
        // Only a release build is as small as it can be; `cargo verify` has no other.
        return Ok(());
    }
    let [_, sidecar] = programs()?;
    let bytes = fs::metadata(&sidecar.archive)?.len();
    assert!(bytes <= 12 << 20, "its archive has {bytes} bytes");
    Ok(())
}

#[test]
fn leak_images_hold_one_program_each_and_no_file_variable_or_command_beside_it() -> Result<()> {
    for (image, program) in programs()?.iter().zip(["postern-operator", "postern"]) {
        let work = tempfile::tempdir()?;
        let tar = |arguments: &[&str]| -> Result<String> {
            let mut tar = Command::new("tar");
            run::output(tar.current_dir(work.path()).args(arguments))
        };
        tar(&["-xf", &image.archive.to_string_lossy()])?;
        let read = |name: &str| -> Result<Value> {
            Ok(serde_json::from_slice(&fs::read(work.path().join(name))?)?)
        };
        let name = |value: &Value| value.as_str().map(str::to_owned).context("a name");
        let manifest = &read("manifest.json")?[0];
        let layers = manifest["Layers"].as_array().context("layers")?;
        assert_eq!(layers.len(), 1, "{manifest}");
        assert_eq!(tar(&["-tf", &name(&layers[0])?])?.trim(), program);
        // tar would see through compression; the search for a key does not.
        let layer = text_of(&work.path().join(name(&layers[0])?))?;
        assert!(layer.contains("\u{7f}ELF"), "the layer is compressed");

        let config = read(&name(&manifest["Config"])?)?;
        let variables = config["config"]["Env"].as_array().context("variables")?;
        let variables: Vec<_> = variables.iter().map(name).collect::<Result<_>>()?;
        assert!(
            variables
                .iter()
                .all(|variable| variable.starts_with("PATH=")),
            "{variables:?}"
        );
        let steps = config["history"].as_array().context("a history")?;
        let steps: Vec<_> = steps
            .iter()
            .map(|step| name(&step["created_by"]))
            .collect::<Result<_>>()?;
        let known = [" COPY file:", " USER ", " ENTRYPOINT ", " CMD "];
        assert!(
            steps
                .iter()
                .all(|step| known.iter().any(|known| step.contains(known))),
            "{steps:#?}"
        );
    }
    Ok(())
}

#[test]
fn leak_application_cannot_read_the_key_from_files_environment_or_memory() -> Result<()> {
    let story = Story::play("leak-inside")?;
    for agent in story.agents() {
        let needles = story.needles();
        let shapes = needles.iter().flat_map(|needle| &needle.0);
        let searched = search(&agent, shapes.map(String::as_str))?;
        assert_eq!(searched.found, [""; 0], "in {}", agent.pod);
        assert!(
            searched.processes > 0 && searched.files > 100 && searched.memory > 1 << 20,
            "too little was searched: {searched:?}"
        );
        // A search that finds nothing proves something only if it can find.
        let placeholder = agent.run(
            &[
                "python3",
                "-c",
                "import os; print(os.environ['OPENAI_API_KEY'])",
            ],
            "",
        )?;
        let control = search(&agent, [placeholder.trim()])?.found;
        assert!(
            control.iter().any(|place| place.ends_with("/environ")),
            "{control:?}"
        );
        assert!(
            control.iter().any(|place| place.ends_with("/mem")),
            "{control:?}"
        );

        let list = "import glob; print([open(name).read().strip() for name in glob.glob('/proc/[0-9]*/comm')])";
        let processes = agent.run(&["python3", "-c", list], "")?;
        assert!(
            !processes.contains("postern"),
            "the sidecar's process is seen: {processes}"
        );
    }
    Ok(())
}

#[test]
fn leak_sidecar_keeps_the_key_in_its_bundle_and_its_undumpable_memory_only() -> Result<()> {
    let story = Story::play("leak-sidecar")?;
    let [bot, _] = story.agents();
    let process = bot.process(names::CONTAINER)?;
    // What is not dumpable belongs to root, whoever runs it: proc(5). No process of the same user can attach to it.
    assert!(process.status("Uid")?.starts_with("14000\t14000\t"));
    assert_eq!(fs::metadata(process.path("environ"))?.uid(), 0);
    let limits = fs::read_to_string(process.path("limits"))?;
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let core: Vec<_> = core
        .context("the limit of core dumps")?
        .split_whitespace()
        .collect();
    // The soft limit, by which the kernel goes.
    assert_eq!(core[4], "0");

    let root = process.path("root");
    let mut files = Vec::new();
    collect(&root, &root, &mut files)?;
    let bundle = names::BUNDLE_DIR.trim_start_matches('/');
    for (number, needle) in story.needles().iter().enumerate() {
        for file in ["environ", "cmdline"] {
            let text = text_of(&process.path(file))?;
            assert!(
                !needle.is_in(&text),
                "key {number} is in the sidecar's {file}"
            );
        }
        let holders: Vec<_> = files
            .iter()
            .filter(|(_, text)| needle.is_in(text))
            .filter_map(|(path, _)| path.strip_prefix(&root).ok())
            .collect();
        // Only the key that is in force now, and only there: neither the image nor anything that the sidecar wrote has it.
        let in_force = number == 1;
        assert_eq!(!holders.is_empty(), in_force, "key {number}: {holders:?}");
        assert!(
            holders.iter().all(|path| path.starts_with(bundle)),
            "key {number}: {holders:?}"
        );
    }
    Ok(())
}

/// Every file below `folder` that is the container's own, neither the kernel's nor a device, and what is in it.
fn collect(root: &Path, folder: &Path, into: &mut Vec<(PathBuf, String)>) -> Result<()> {
    const KERNEL: [&str; 3] = ["proc", "sys", "dev"];
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        let kernel = folder == root && KERNEL.iter().any(|name| entry.file_name() == *name);
        if kind.is_dir() && !kernel {
            collect(root, &path, into)?;
        } else if kind.is_file() {
            let text = text_of(&path)?;
            into.push((path, text));
        }
    }
    Ok(())
}

/// Whatever is in a file, as text.
fn text_of(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
