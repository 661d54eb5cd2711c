//! Does a LangChain program see the same through the sidecar as without it, and does it understand a denial?

use anyhow::Result;
use postern_e2e::{Cache, image, provider::Received};
use serde_json::{Value, json};

use crate::support::{
    Agent, Agents, WHOLE_RUN, create, direct, ground, pod, secret, without_postern,
};

mod vendors;

/// The calls of `e2e/programs/traffic.*` that fail at the provider.
const MEANT_TO_FAIL: [&str; 6] = [
    "openai.busy",
    "openai.broken",
    "openai.break_off",
    "anthropic.busy",
    "anthropic.broken",
    "anthropic.break_off",
];

/// The lines that a program printed, one a call.
fn lines(printed: &str) -> Vec<Value> {
    printed
        .lines()
        .map(|line| {
            serde_json::from_str(line).unwrap_or_else(|_| panic!("not a call's line: {line}"))
        })
        .collect()
}

/// What a program printed until it ended.
fn run(agents: &Agents, pod: &Value) -> Result<Vec<Value>> {
    let name = pod["metadata"]["name"].as_str().expect("a pod has a name");
    let phase = agents.namespace.finished(name)?;
    let printed = agents.namespace.logs(name, "agent")?;
    assert_eq!(phase, "Succeeded", "{printed}");
    Ok(lines(&printed))
}

/// The headers and paths of `requests` in which a placeholder is. It looks for what all of them have in common, and not for `postern-`
/// alone, since names of namespaces begin so.
fn placeholders(requests: &[Received]) -> Vec<&str> {
    const DIGITS: usize = 32;
    let has_placeholder = |text: &&str| {
        text.split("postern-").skip(1).any(|after| {
            let mut digits = after.bytes().take_while(u8::is_ascii_hexdigit);
            digits.nth(DIGITS - 1).is_some()
        })
    };
    requests
        .iter()
        .flat_map(|request| request.headers.values().chain([&request.path]))
        .map(String::as_str)
        .filter(has_placeholder)
        .collect()
}

/// Runs the pod `straight`, whose program has keys of its own, and the pod `through`, whose program has none. Both must see the same of
/// `calls` calls, which is a result but for the calls `failing`.
fn both(
    agents: &Agents,
    straight: &Value,
    through: &Value,
    calls: usize,
    failing: &[&str],
) -> Result<()> {
    create(&agents.namespace, straight)?;
    create(&agents.namespace, through)?;
    let (straight, through) = (run(agents, straight)?, run(agents, through)?);

    assert_eq!(straight.len(), calls, "{straight:#?}");
    for (straight, through) in straight.iter().zip(&through) {
        assert_eq!(straight, through);
        let came = ["result", "error"].map(|of| !through[of].is_null());
        assert!(came[0] != came[1], "a call that shows nothing: {through}");
    }
    assert_eq!(straight.len(), through.len());
    let failed: Vec<&str> = through
        .iter()
        .filter(|line| !line["error"].is_null())
        .filter_map(|line| line["call"].as_str())
        .collect();
    assert_eq!(failed, failing, "{through:#?}");
    Ok(())
}

/// Runs a program straight at the provider with the keys, and through the sidecar without them.
fn same_result(purpose: &str, image: &str, command: &[&str], calls: usize) -> Result<()> {
    let agents = Agents::create(purpose)?;
    let through = pod("through", image, command);
    same_result_in(&agents, &through, image, command, calls)
}

/// Runs a program straight at the provider with the keys, and in the pod `through`, which has another way to it.
fn same_result_in(
    agents: &Agents,
    through: &Value,
    image: &str,
    command: &[&str],
    calls: usize,
) -> Result<()> {
    let straight = direct(pod("direct", image, command), agents);
    both(agents, &straight, through, calls, &MEANT_TO_FAIL)?;

    // Each call arrived twice with the real key: once from either pod, and no call was made again.
    let arrived =
        agents.received(&agents.openai)?.len() + agents.received(&agents.anthropic)?.len();
    assert_eq!(arrived, 2 * calls);
    // And none arrived with a placeholder, whoever made it.
    let all = ground()?.provider.received(WHOLE_RUN)?;
    assert_eq!(placeholders(&all), [""; 0]);
    Ok(())
}

#[test]
fn traffic_of_langchain_for_python_is_the_same_through_the_sidecar() -> Result<()> {
    same_result(
        "python",
        &ground()?.python,
        &["python3", "/program/traffic.py"],
        24,
    )
}

/// A pod without Postern plays the laptop: the program in it is started by `postern run`, with the files that the cluster was given.
#[test]
fn traffic_of_langchain_for_python_is_the_same_under_postern_run() -> Result<()> {
    let agents = Agents::create("laptop")?;
    let keys = [
        secret("openai-key", &agents.openai),
        secret("anthropic-key", &agents.anthropic),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "provider-ca"},
            "data": {"ca.crt": ground()?.provider.ca},
        }),
    ];
    let folder = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "policy"},
        "stringData": {
            "agents.yaml": include_str!("support/agents.yaml"),
            "keys.json": json!({"apiVersion": "v1", "kind": "List", "items": keys}).to_string(),
        },
    });
    agents.apply(&[folder])?;

    let image = &ground()?.python;
    let run =
        "exec /postern run -f /policy --summary none -- python3 /program/traffic.py 2>/dev/null";
    let mut laptop = without_postern(pod("laptop", image, &["sh", "-c", run]));
    let program = image::programs(&Cache::open()?)?.postern;
    let mounts = json!([
        {"name": "programs", "mountPath": "/program"},
        {"name": "policy", "mountPath": "/policy"},
        {"name": "postern", "mountPath": "/postern", "readOnly": true},
    ]);
    laptop["spec"]["containers"][0]["volumeMounts"] = mounts;
    laptop["spec"]["volumes"] = json!([
        {"name": "programs", "configMap": {"name": "programs"}},
        {"name": "policy", "secret": {"secretName": "policy"}},
        {"name": "postern", "hostPath": {"path": program, "type": "File"}},
    ]);
    let command = ["python3", "/program/traffic.py"];
    same_result_in(&agents, &laptop, image, &command, 24)
}

#[test]
fn traffic_of_langchain_for_javascript_is_the_same_through_the_sidecar() -> Result<()> {
    same_result(
        "javascript",
        &ground()?.node,
        &["node", "/program/traffic.mjs"],
        18,
    )
}

/// Runs a program whose calls are denied, one because no rule allows it and one because a rule denies it.
fn denied(purpose: &str, image: &str, command: &[&str]) -> Result<()> {
    let agents = Agents::create(purpose)?;
    agents.apply(&[json!({
        "apiVersion": "postern.dev/v1alpha1", "kind": "EgressPolicy", "metadata": {"name": "freeze"},
        "spec": {
            "targetRefs": [{"kind": "AgentIdentity", "name": "support-bot"}],
            "rules": [{"name": "no-claude", "to": {"credentials": ["claude"]}, "action": "Deny"}],
        },
    })])?;
    agents
        .namespace
        .condition("egresspolicy", "freeze", "Ready", "True")?;
    let program = pod("denied", image, command);
    create(&agents.namespace, &program)?;
    let printed = run(&agents, &program)?;

    let says = [
        "no rule allows POST /v1/responses with credential \"openai\"",
        "rule freeze/no-claude denies POST /v1/messages with credential \"claude\"",
    ];
    assert_eq!(printed.len(), says.len(), "{printed:#?}");
    for (line, says) in printed.iter().zip(says) {
        let kinds = line["kinds"].as_array().cloned().unwrap_or_default();
        assert!(kinds.contains(&json!("PermissionDeniedError")), "{line}");
        assert_eq!(line["status"], 403, "{line}");
        // As an exception of Python's prints it, a quotation mark may be escaped.
        let message = line["message"]
            .as_str()
            .unwrap_or_default()
            .replace("\\\"", "\"");
        assert!(message.contains(says), "{says:?} is not in {message:?}");
    }

    // One attempt each, and nothing of it left the pod.
    let log = Agent::of(&agents.namespace, "denied").access_log()?;
    let decided: Vec<_> = log
        .iter()
        .map(|line| (&line["decision"], &line["reason"]))
        .collect();
    let deny = json!("deny");
    assert_eq!(
        decided,
        [
            (&deny, &json!("no_rule")),
            (&deny, &json!("denied_by_rule"))
        ]
    );
    for key in [&agents.openai, &agents.anthropic] {
        assert_eq!(agents.received(key)?.len(), 0);
    }
    Ok(())
}

#[test]
fn traffic_denied_is_permission_denied_once_for_langchain_for_python() -> Result<()> {
    denied(
        "denied-python",
        &ground()?.python,
        &["python3", "/program/denied.py"],
    )
}

#[test]
fn traffic_denied_is_permission_denied_once_for_langchain_for_javascript() -> Result<()> {
    denied(
        "denied-javascript",
        &ground()?.node,
        &["node", "/program/denied.mjs"],
    )
}
