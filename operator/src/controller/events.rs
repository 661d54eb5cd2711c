//! Events on our resources, as `kubectl describe` shows them.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Resource, ResourceExt as _,
    runtime::events::{Event, EventType, Recorder},
};

use super::conditions::shorten;
use crate::kube_error;

/// The longest note that the API takes.
const MAX_NOTE: usize = 1024;

/// One Event to come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    pub(crate) warning: bool,
    pub(crate) reason: &'static str,
    pub(crate) action: &'static str,
    pub(crate) note: String,
    pub(crate) about: Option<ObjectReference>,
}

impl Notice {
    pub(crate) fn normal(reason: &'static str, action: &'static str, note: String) -> Self {
        Self::new(false, reason, action, note)
    }

    pub(crate) fn warning(reason: &'static str, action: &'static str, note: String) -> Self {
        Self::new(true, reason, action, note)
    }

    fn new(warning: bool, reason: &'static str, action: &'static str, note: String) -> Self {
        Self {
            warning,
            reason,
            action,
            note: shorten(note, MAX_NOTE),
            about: None,
        }
    }

    /// Names the other object that it is about.
    pub(crate) fn about(self, about: Option<ObjectReference>) -> Self {
        Self { about, ..self }
    }
}

/// Publishes `notices` on `object`. An Event that cannot be written is logged and not tried again: the status says the same.
pub(crate) async fn publish<K: Resource<DynamicType = ()>>(
    recorder: &Recorder,
    object: &K,
    notices: Vec<Notice>,
) {
    let reference = ObjectReference {
        // The recorder counts Events of equal reason and object as one, and keeps the first one's note. With the version in it, only
        // what is said twice of the same state is counted.
        resource_version: object.resource_version(),
        ..object.object_ref(&())
    };
    for Notice {
        warning,
        reason,
        action,
        note,
        about,
    } in notices
    {
        let event = Event {
            type_: if warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: reason.to_owned(),
            action: action.to_owned(),
            note: Some(note),
            secondary: about,
        };
        if let Err(error) = recorder.publish(&event, &reference).await {
            tracing::warn!(
                reason,
                error = kube_error::describe(&error),
                "an event could not be written"
            );
        }
    }
}
