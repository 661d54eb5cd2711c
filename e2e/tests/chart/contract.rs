//! Do operator and chart mean the same: flags, ports, names, labels?

use clap::Parser;
use postern_crds::names;
use postern_operator::{
    config::{Certificates, Cli, Role},
    sidecar::{Settings, SidecarTemplate, container},
};
use serde_json::{Value, json};

use crate::helm::{find, list, objects_with, strings, value_sets};

/// The role as the operator understands the arguments that the chart gives it.
fn role(deployment: &Value) -> Role {
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let environment = ["--namespace=postern-system", "--pod-name=postern-0"];
    let arguments = strings(&container["args"]).into_iter();
    match operator(arguments.chain(environment)) {
        Cli::Run(role) => role,
        Cli::Check(_) => panic!("the chart runs no role"),
    }
}

/// What the operator makes of a command line.
fn operator<'a>(arguments: impl Iterator<Item = &'a str>) -> Cli {
    Cli::try_parse_from(["postern-operator"].into_iter().chain(arguments))
        .unwrap_or_else(|error| panic!("the operator refuses what the chart gives it: {error}"))
}

fn roles(set: &str) -> (Role, Role) {
    let objects = objects_with(set);
    let name = if set == "most" {
        "corp-gate"
    } else {
        "postern"
    };
    let [controller, webhook] = ["controller", "webhook"]
        .map(|component| role(find(&objects, "Deployment", &format!("{name}-{component}"))));
    (controller, webhook)
}

#[test]
fn the_operator_takes_the_flags_of_every_value_set() {
    for set in value_sets() {
        let (controller, webhook) = roles(&set);
        assert!(
            matches!(controller, Role::Controller(_)) && matches!(webhook, Role::Webhook(_)),
            "{set}"
        );
        assert_eq!(
            controller.common().watch_namespaces,
            webhook.common().watch_namespaces,
            "{set}"
        );
    }
}

#[test]
fn both_roles_inject_and_expect_the_same_sidecar() {
    for set in value_sets() {
        let (Role::Controller(controller), Role::Webhook(webhook)) = roles(&set) else {
            panic!("{set}: the roles")
        };
        let [expected, injected] = [controller.sidecar, webhook.sidecar].map(|sidecar| {
            let template =
                SidecarTemplate::new(sidecar).unwrap_or_else(|error| panic!("{set}: {error}"));
            container(&template, &Settings::default())
        });
        assert_eq!(expected, injected, "{set}");
    }
}

#[test]
fn values_reach_the_sidecar() {
    let (_, Role::Webhook(webhook)) = roles("most") else {
        panic!("the webhook")
    };
    let template = SidecarTemplate::new(webhook.sidecar).expect("a template");
    let container = container(&template, &Settings::default());
    assert_eq!(
        container["image"],
        "registry.corp:5000/mirror/sidecar:1.2.3"
    );
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(
        container["resources"],
        json!({"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "2", "memory": "256Mi"}})
    );
    assert_eq!(template.cpu_bounds().1.to_string(), "4");
    assert_eq!(template.memory_bounds().1.to_string(), "1Gi");
}

#[test]
fn the_controller_serves_bundles_where_the_service_leads_and_sidecars_may_come() {
    for (set, fullname) in [("defaults", "postern"), ("most", "corp-gate")] {
        let objects = objects_with(set);
        let (Role::Controller(controller), _) = roles(set) else {
            panic!("{set}: the controller")
        };
        let fetch = controller.fetch;
        let name = fetch.bundle_service.expect("a Service");
        let service = &find(&objects, "Service", &name)["spec"];
        // What a sidecar calls where the bundle names no port.
        assert_eq!(service["ports"][0]["port"], 443, "{set}");
        let name = format!("{fullname}-controller");
        let pod = &find(&objects, "Deployment", &name)["spec"]["template"]["spec"];
        let ports = list(&pod["containers"][0]["ports"]);
        let target = &service["ports"][0]["targetPort"];
        let named = ports.iter().find(|port| port["name"] == *target);
        let port = &named.expect("a port of that name")["containerPort"];
        assert_eq!(*port, fetch.bundle_listen.port(), "{set}");
        let role = find(&objects, "Role", &format!("{fullname}-controller-ca"));
        let secret = json!([fetch.bundle_ca_secret]);
        assert_eq!(role["rules"][0]["resourceNames"], secret, "{set}");
        find(&objects, "Secret", &fetch.bundle_ca_secret);

        let policy = find(&objects, "NetworkPolicy", &name);
        let ingress = &list(&policy["spec"]["ingress"])[0];
        assert_eq!(ingress["ports"][0]["port"], *target, "{set}");
        let label = &ingress["from"][0]["podSelector"]["matchExpressions"][0]["key"];
        assert_eq!(*label, names::IDENTITY_LABEL, "{set}");
    }
    let (Role::Controller(controller), _) = roles("least") else {
        panic!("the controller")
    };
    assert_eq!(controller.fetch.bundle_service, None);
}

#[test]
fn the_webhook_serves_where_the_service_leads() {
    for (set, fullname) in [
        ("defaults", "postern"),
        ("host-network", "postern"),
        ("most", "corp-gate"),
    ] {
        let objects = objects_with(set);
        let (_, Role::Webhook(webhook)) = roles(set) else {
            panic!("{set}: the webhook")
        };
        let service = find(&objects, "Service", &webhook.webhook_service);
        let port = &service["spec"]["ports"][0];
        let pod = &find(&objects, "Deployment", &format!("{fullname}-webhook"))["spec"]["template"]
            ["spec"];
        let ports = list(&pod["containers"][0]["ports"]);
        let named = |name: &Value| {
            ports
                .iter()
                .find(|port| port["name"] == *name)
                .expect("a port of that name")["containerPort"]
                .clone()
        };
        assert_eq!(named(&port["targetPort"]), webhook.listen.port(), "{set}");
        assert_eq!(
            named(&json!("admin")),
            webhook.common.admin_address.port(),
            "{set}"
        );

        let configuration = find(
            &objects,
            "MutatingWebhookConfiguration",
            &webhook.webhook_configuration,
        );
        let hook = &configuration["webhooks"][0];
        assert_eq!(hook["name"], "inject.postern.dev");
        let condition = hook["matchConditions"][0]["expression"]
            .as_str()
            .expect("a condition");
        assert!(
            condition.contains(&format!("'{}'", names::IDENTITY_ANNOTATION)),
            "{condition}"
        );
        let client = &hook["clientConfig"]["service"];
        assert_eq!(client["name"], webhook.webhook_service, "{set}");
        assert_eq!(client["port"], port["port"], "{set}");

        match webhook.certificates {
            Certificates::Own => {
                let role = find(&objects, "Role", &format!("{fullname}-webhook-ca"));
                assert_eq!(
                    role["rules"][0]["resourceNames"],
                    json!([webhook.ca_secret]),
                    "{set}"
                );
                let role = find(
                    &objects,
                    "ClusterRole",
                    &format!("{fullname}-webhook-configuration"),
                );
                assert_eq!(
                    role["rules"][0]["resourceNames"],
                    json!([webhook.webhook_configuration]),
                    "{set}"
                );
            }
            Certificates::Files => {
                let mount = &pod["containers"][0]["volumeMounts"][0];
                assert_eq!(
                    mount["mountPath"].as_str().map(Into::into),
                    webhook.certificate_dir,
                    "{set}"
                );
                let certificate = find(&objects, "Certificate", &format!("{fullname}-webhook"));
                assert_eq!(
                    certificate["spec"]["secretName"], pod["volumes"][0]["secret"]["secretName"],
                    "{set}"
                );
                let host = format!("{}.postern-system.svc", webhook.webhook_service);
                assert_eq!(
                    certificate["spec"]["dnsNames"],
                    json!([host, format!("{host}.cluster.local")]),
                    "{set}"
                );
            }
        }
    }
}

#[test]
fn the_controller_may_use_its_own_lease_only() {
    let objects = objects_with("most");
    let (Role::Controller(controller), _) = roles("most") else {
        panic!("the controller")
    };
    let rules = &find(&objects, "Role", "corp-gate-controller-lease")["rules"];
    assert_eq!(list(rules).len(), 2);
    assert_eq!(rules[0]["verbs"], json!(["create"]));
    assert_eq!(rules[1]["resourceNames"], json!([controller.lease_name]));
    find(&objects, "Lease", &controller.lease_name);
}

#[test]
fn the_controller_is_let_out_to_the_admin_port_of_whatever_the_webhook_injects() {
    for (set, fullname) in [("defaults", "postern"), ("most", "corp-gate")] {
        let objects = objects_with(set);
        let (_, Role::Webhook(webhook)) = roles(set) else {
            panic!("{set}: the webhook")
        };
        let policy = find(&objects, "NetworkPolicy", &format!("{fullname}-controller"));
        let to_sidecars = json!([{
            "namespaceSelector": {},
            "podSelector": {"matchExpressions": [{"key": names::IDENTITY_LABEL, "operator": "Exists"}]},
        }]);
        let mut rules = list(&policy["spec"]["egress"]).iter();
        let rule = rules.find(|rule| rule["to"] == to_sidecars);
        let ports = &rule.expect("a rule for sidecars")["ports"];
        let admin = json!([{"port": names::ADMIN_PORT, "protocol": "TCP"}]);
        assert_eq!(*ports, admin, "{set}");
        let template = SidecarTemplate::new(webhook.sidecar).expect("a template");
        let container = container(&template, &Settings::default());
        assert_eq!(
            container["ports"][0]["containerPort"],
            names::ADMIN_PORT,
            "{set}"
        );
    }
}

#[test]
fn the_monitor_of_sidecars_selects_what_the_webhook_injects() {
    let objects = objects_with("most");
    let (_, Role::Webhook(webhook)) = roles("most") else {
        panic!("the webhook")
    };
    let template = SidecarTemplate::new(webhook.sidecar).expect("a template");
    let container = container(&template, &Settings::default());
    let monitor = &find(&objects, "PodMonitor", "corp-gate-sidecars")["spec"];
    assert_eq!(
        monitor["podMetricsEndpoints"][0]["port"],
        container["ports"][0]["name"]
    );
    assert_eq!(
        monitor["selector"]["matchExpressions"][0]["key"],
        names::IDENTITY_LABEL
    );
}

#[test]
fn the_test_pod_runs_a_command_of_the_operator() {
    let objects = objects_with("most");
    let pod = find(&objects, "Pod", "corp-gate-check");
    let arguments = strings(&pod["spec"]["containers"][0]["args"]);
    match operator(arguments.into_iter()) {
        Cli::Check(check) => assert_eq!(check.namespace, "agents"),
        Cli::Run(role) => panic!("not the check but {}", role.name()),
    }
}

#[test]
fn the_webhook_finds_its_tokens_for_events_where_they_are_mounted() {
    let objects = objects_with("most");
    let (_, Role::Webhook(webhook)) = roles("most") else {
        panic!("the webhook")
    };
    let file = webhook.events_token_file.expect("a file");
    let pod = &find(&objects, "Deployment", "corp-gate-webhook")["spec"]["template"]["spec"];
    let named = |list_of: &Value| {
        let events = list(list_of).iter().find(|one| one["name"] == "events");
        events.expect("one of that name").clone()
    };
    let mount = named(&pod["containers"][0]["volumeMounts"]);
    let secret = named(&pod["volumes"])["secret"].clone();
    let mounted = format!(
        "{}/{}",
        mount["mountPath"].as_str().expect("a path"),
        secret["items"][0]["path"].as_str().expect("a path")
    );
    assert_eq!(file.to_str(), Some(mounted.as_str()));
    assert_eq!(secret["secretName"], "store-events");
    assert_eq!(secret["items"][0]["key"], "tokens.txt");
    // Admissions do not wait for it.
    assert_eq!(secret["optional"], true);

    let (_, Role::Webhook(webhook)) = roles("defaults") else {
        panic!("the webhook")
    };
    assert_eq!(webhook.events_token_file, None);
}
