//! Azure OpenAI: OpenAI's operations under `/openai`, with a deployment where OpenAI has a model
//! (<https://learn.microsoft.com/azure/ai-foundry/openai/reference>).
//!
//! What model stands behind a deployment is said by the identity's `deployments`. Without that a deployment is a handle behind which any model
//! may stand, whatever its name is.

use std::collections::BTreeMap;

use postern_crds::facts::{Call, Model, Models};

use super::{Head, Request, Unreadable, model, openai};

/// What the head alone tells.
pub(super) fn head(head: &Head<'_>) -> Call {
    let segments = head.segments();
    let (deployment, operation) = split(&segments);
    let mut call = openai::endpoint(head.method, operation).head();
    if let Some(Ok(deployed)) = deployment.map(|name| deployed(name, head.deployments)) {
        call.models = Models::Named(vec![deployed]);
    }
    call
}

/// The whole call.
pub(super) fn read(request: &Request<'_>) -> Result<Call, Unreadable> {
    let head = request.head;
    let segments = head.segments();
    let (deployment, operation) = split(&segments);
    let endpoint = openai::endpoint(head.method, operation);
    let mut draft = endpoint.draft();
    if let Some(name) = deployment {
        // Azure goes by the path alone; that the body names something else is still worth a rule's eye.
        draft.model(deployed(name, head.deployments)?);
        return endpoint.read(request, draft);
    }
    let mut call = endpoint.read(request, draft)?;
    if let Models::Named(models) = &mut call.models {
        for named in models {
            *named = deployed(&named.name, head.deployments)?;
        }
    }
    Ok(call)
}

/// The deployment that a path names, and the operation as OpenAI has it: `/deployments/{deployment}/chat/completions`, `/v1/responses`, and of
/// the versions before, `/responses`.
fn split<'s, 'a>(segments: &'s [&'a str]) -> (Option<&'a str>, &'s [&'a str]) {
    match segments {
        ["deployments", deployment, operation @ ..] => (Some(deployment), operation),
        ["v1", operation @ ..] => (None, operation),
        operation => (None, operation),
    }
}

/// The model behind a deployment.
fn deployed(deployment: &str, deployments: &BTreeMap<String, String>) -> Result<Model, Unreadable> {
    model::check(deployment)?;
    if deployment.contains('%') {
        return Err(Unreadable::ModelName);
    }
    let Some(name) = deployments.get(deployment) else {
        return Ok(Model::opaque(deployment));
    };
    let mut model = model::named(name)?;
    if name != deployment {
        model.aliases.push(deployment.to_owned());
    }
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_a_handle_unless_the_identity_says_what_it_is() {
        let deployments = BTreeMap::from([("fast".to_owned(), "gpt-4o-mini".to_owned())]);
        assert_eq!(deployed("other", &deployments), Ok(Model::opaque("other")));
        assert_eq!(
            deployed("fast", &deployments),
            Ok(Model {
                aliases: vec!["fast".into()],
                ..Model::new("gpt-4o-mini")
            })
        );
        assert_eq!(deployed("a%20b", &deployments), Err(Unreadable::ModelName));
    }
}
