//! The last act: the key is rotated in OpenBao while the agent talks.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use postern_e2e::{PATIENCE, random, until};

use crate::{NAMESPACE, say, story::Scene};

/// Calls that are waited for at each turn.
const SOME: usize = 10;
/// Longer than a demo takes.
const DEMO: Duration = Duration::from_secs(1200);

/// Rotates the key, tells what became of the agent's calls, and returns the new key.
pub(crate) fn rotate(scene: &Scene<'_>) -> Result<String> {
    let mut talk = exec(scene)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context("starting the agent's talk")?;
    // Whatever goes wrong from here on, the talk ends when its input does.
    let input = talk.stdin.take();
    let said_before = received(scene, scene.key)?;
    more(scene, scene.key, said_before + SOME)?;

    let new = format!("sk-live-{}", random()?);
    say(&format!(
        "  $ bao kv put -mount=secret ai/openai api_key={new}"
    ));
    scene.openbao.put("ai/openai", &new)?;
    let rotated = Instant::now();
    more(scene, &new, 1)?;
    let noticed = rotated.elapsed().as_secs_f64();
    more(scene, &new, SOME)?;
    // What a provider does when both keys were good for long enough.
    scene.provider.revoke(scene.key)?;
    let answered = received(scene, &new)?;
    more(scene, &new, answered + SOME)?;

    drop(input);
    let out = talk.wait_with_output().context("waiting for the talk")?;
    let printed = String::from_utf8(out.stdout).context("reading the talk")?;
    let failed: Vec<&str> = printed.lines().filter(|line| *line != "answered").collect();
    ensure!(failed.is_empty(), "calls failed: {failed:?}");
    let [old, after] = [
        received(scene, scene.key)? - said_before,
        received(scene, &new)?,
    ];
    let all = printed.lines().count();
    ensure!(
        old + after == all,
        "{all} calls, of which {old} and {after} arrived"
    );
    say(&format!(
        "  calls with the old key   {old}, then the provider refuses it"
    ));
    say(&format!(
        "  calls with the new key   {after}, the first one after {noticed:.1} s"
    ));
    say(&format!("  failed                   0 of {all}"));
    say(&format!("  restarts                 {}", restarts(scene)?));
    Ok(new)
}

/// The agent's talk, in its container.
fn exec(scene: &Scene<'_>) -> Command {
    let mut command = scene.cluster.kubectl_command();
    command.args(["exec", scene.pod, "--namespace", NAMESPACE]);
    command.args(["--container=agent", "--stdin", "--"]);
    command.args(["python3", "/program/talk.py"]);
    command
}

/// How often containers of the agent's pod, the sidecar too, were started again.
fn restarts(scene: &Scene<'_>) -> Result<u64> {
    let counts = scene.of_pod(
        "{.status.initContainerStatuses[*].restartCount} {.status.containerStatuses[*].restartCount}",
    )?;
    let counts = counts.split_whitespace().map(str::parse::<u64>);
    counts.sum::<Result<u64, _>>().context("reading counts")
}

/// Waits until the provider has received as many calls with `key`.
fn more(scene: &Scene<'_>, key: &str, count: usize) -> Result<()> {
    until("calls to arrive", PATIENCE, || {
        let received = received(scene, key)?;
        ensure!(received >= count, "{received} of {count} arrived");
        Ok(())
    })
}

/// How many calls the provider has answered that had `key`.
fn received(scene: &Scene<'_>, key: &str) -> Result<usize> {
    let bearer = format!("Bearer {key}");
    let received = scene.provider.received(DEMO)?;
    let with_key = received.iter().filter(|request| {
        request.status == Some(200) && request.headers.get("authorization") == Some(&bearer)
    });
    Ok(with_key.count())
}
