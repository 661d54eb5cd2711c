//! What a pod asks for: its annotations under our prefix, which may name an identity and size the sidecar, and nothing else.

use postern_crds::names;
use serde_json::Value;

use super::{
    outcome::{Problems, Reason},
    pod::Pod,
};
use crate::sidecar::{LogLevel, Quantity, Settings, SidecarTemplate};

/// What a pod asks for.
#[derive(Debug)]
pub(super) struct OptIn<'a> {
    /// The identity's name; a label value, unless a problem was reported.
    pub(super) identity: &'a str,
    /// The sidecar's size and log level.
    pub(super) settings: Settings,
}

/// The identity that a pod asks for, if it asks for one at all. Of a pod that does not, nothing else is looked at.
pub fn requested_identity(pod: &Value) -> Option<&Value> {
    let identity = &pod["metadata"]["annotations"][names::IDENTITY_ANNOTATION];
    (!identity.is_null()).then_some(identity)
}

/// Reads the annotations, reporting everything that is wrong with them.
pub(super) fn read<'a>(
    pod: &Pod<'a>,
    template: &SidecarTemplate,
    problems: &mut Problems,
) -> OptIn<'a> {
    let mut opt_in = OptIn {
        identity: "",
        settings: Settings::default(),
    };
    let ours = pod
        .annotations()
        .filter(|(name, _)| name.starts_with(names::PREFIX));
    for (name, value) in ours {
        let mut wrong = |message: String| {
            problems.push(Reason::Annotation, format!("annotation {name} {message}"));
        };
        let Some(value) = value.as_str() else {
            wrong("is not text".into());
            continue;
        };
        match name {
            names::IDENTITY_ANNOTATION => {
                opt_in.identity = value;
                if !is_label(value) {
                    wrong(format!(
                        "names no AgentIdentity of this namespace: {value:?} cannot be the name of one"
                    ));
                }
            }
            names::LOG_LEVEL_ANNOTATION => match LogLevel::find(value) {
                Some(level) => opt_in.settings.log_level = Some(level),
                None => wrong(format!(
                    "is {value:?}: use {}",
                    LogLevel::ALL.map(LogLevel::as_str).join(", ")
                )),
            },
            names::CPU_ANNOTATION => {
                let (least, most) = template.cpu_bounds();
                opt_in.settings.cpu = amount(value, &least, most, wrong);
            }
            names::MEMORY_ANNOTATION => {
                let (least, most) = template.memory_bounds();
                opt_in.settings.memory = amount(value, least, most, wrong);
            }
            // Whatever it says, it is written anew.
            names::TEMPLATE_ANNOTATION => {}
            _ => wrong(format!(
                "does not exist: there are {}",
                names::POD_ANNOTATIONS.join(", ")
            )),
        }
    }
    if let Some(label) = pod
        .labels()
        .and_then(|labels| labels.get(names::IDENTITY_LABEL))
        && label.as_str() != Some(opt_in.identity)
    {
        // Written over, it would take the pod out of a selector that means it, and its ReplicaSet would create others for ever.
        problems.push(
            Reason::Label,
            format!(
                "label {} must name the same AgentIdentity as the annotation: leave it out, it is written at admission",
                names::IDENTITY_LABEL
            ),
        );
    }
    opt_in
}

fn amount(
    text: &str,
    least: &Quantity,
    most: &Quantity,
    mut wrong: impl FnMut(String),
) -> Option<Quantity> {
    match text.parse::<Quantity>() {
        Ok(amount) if (least..=most).contains(&&amount) => return Some(amount),
        Ok(_) => wrong(format!(
            "is {text:?}: this installation allows {least} to {most}"
        )),
        Err(invalid) => wrong(format!("is {text:?}, which {invalid}")),
    }
    None
}

/// Whether `name` is a DNS label (RFC 1123), as the name of every `AgentIdentity` is.
fn is_label(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
}
