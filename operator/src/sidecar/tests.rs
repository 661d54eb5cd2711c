//! Tests of the template.

use clap::Parser;
use postern_crds::{AgentIdentitySpec, route};
use serde_json::json;

use super::*;

#[derive(Parser)]
#[command(args_override_self = true)]
struct Command {
    #[command(flatten)]
    sidecar: SidecarArgs,
}

fn template(flags: &[&str]) -> Result<SidecarTemplate, Error> {
    let line = ["test", "--sidecar-image=example.com/postern:1"]
        .iter()
        .chain(flags);
    SidecarTemplate::new(Command::try_parse_from(line).unwrap().sidecar)
}

fn routes(providers: &[&str]) -> Vec<postern_crds::Route> {
    let credentials: Vec<_> = providers
        .iter()
        .map(|name| {
            json!({
                "name": name,
                "provider": name,
                "source": {"secret": {"name": "key", "key": "key"}},
            })
        })
        .collect();
    let spec: AgentIdentitySpec = serde_json::from_value(
        json!({"serviceAccountNames": ["default"], "credentials": credentials}),
    )
    .unwrap();
    route::compile("agents", "support-bot", &spec).unwrap()
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    assert!(matches!(
        template(&["--sidecar-cpu-request=2"]).unwrap_err(),
        Error::RequestAboveLimit {
            resource: "cpu",
            ..
        }
    ));
    assert!(matches!(
        template(&["--sidecar-memory-limit=1Gi"]).unwrap_err(),
        Error::LimitAboveMax {
            resource: "memory",
            ..
        }
    ));
    assert_eq!(
        template(&["--sidecar-image="]).map(|_| ()).unwrap_err(),
        Error::NoImage
    );
}

#[test]
fn a_larger_request_lifts_the_limit_and_a_smaller_one_does_not_lower_it() {
    let template = template(&[]).unwrap();
    let sized = |cpu: &str, memory: &str| {
        let settings = Settings {
            cpu: Some(cpu.parse().unwrap()),
            memory: Some(memory.parse().unwrap()),
            log_level: None,
        };
        container(&template, &settings)["resources"].clone()
    };
    assert_eq!(
        sized("2", "256Mi"),
        json!({"requests": {"cpu": "2", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "256Mi"}})
    );
    assert_eq!(
        sized("50m", "64Mi"),
        json!({"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}})
    );
}

#[test]
fn the_digest_follows_what_is_injected() {
    let base = template_digest(&template(&[]).unwrap(), &routes(&["openai"]));
    assert_eq!(
        base,
        template_digest(&template(&[]).unwrap(), &routes(&["openai"]))
    );
    for (flags, providers) in [
        (
            vec!["--sidecar-image=example.com/postern:2"],
            vec!["openai"],
        ),
        (vec!["--sidecar-log-level=debug"], vec!["openai"]),
        (vec!["--sidecar-cpu-request=20m"], vec!["openai"]),
        (vec![], vec!["anthropic"]),
        (vec![], vec!["openai", "anthropic"]),
        (vec![], vec![]),
    ] {
        let other = template_digest(&template(&flags).unwrap(), &routes(&providers));
        assert_ne!(base, other, "{flags:?} {providers:?}");
    }
}

#[test]
fn bounds_of_annotations_do_not_make_pods_outdated() {
    assert_eq!(
        template_digest(&template(&[]).unwrap(), &[]),
        template_digest(&template(&["--sidecar-max-cpu=8"]).unwrap(), &[])
    );
}
