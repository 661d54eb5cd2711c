//! The environment by which an application's clients find the sidecar.

use super::Route;
use crate::{names::DATA_PORT, provider::Carries};

/// An environment variable for an application container.
///
/// | carries | `only_if_present` | the container does not set it | the container sets it |
/// |---|---|---|---|
/// | `Key` | no | set it | replace it, with a warning |
/// | `Key` | yes | leave it so | replace it, with a warning |
/// | `Address` | no | set it | keep it, with a warning if it points past the sidecar |
/// | `Address` | yes | leave it so | keep it, with a warning if it points past the sidecar |
/// | `Setting` | no | set it | keep it |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value; for an address that points past the sidecar, the one to advise. Empty to clear a key that has no placeholder.
    pub value: String,
    /// What it carries.
    pub carries: Carries,
    /// Never set where the container does not set it.
    pub only_if_present: bool,
    /// The credential that owns it.
    pub credential: String,
}

/// The environment that an identity's routes give an application container, in the order of the credentials. Where two credentials
/// would set the same variable, the first owns it; the second return value says which addresses were lost so, in words for a condition.
pub fn environment(routes: &[Route], port: u16) -> (Vec<Variable>, Vec<String>) {
    let mut variables: Vec<Variable> = Vec::new();
    let mut notes = Vec::new();
    for route in routes {
        let address = format!("http://127.0.0.1:{port}/{}", route.credential);
        for entry in route
            .provider
            .iter()
            .flat_map(|provider| &provider.environment)
        {
            if let Some(owner) = variables.iter().find(|v| v.name == entry.name) {
                // A lost key is not worth a word: the owner's placeholder serves both, since it never leaves the sidecar.
                if entry.carries == Carries::Address && !entry.only_if_present {
                    notes.push(format!(
                        "{} leads to credential {}, which comes first; {} is reached at {address}",
                        entry.name, owner.credential, route.credential
                    ));
                }
                continue;
            }
            let value = entry
                .value
                .replace("{route}", &address)
                .replace("{placeholder}", &route.placeholder)
                .replace("{region}", route.injection.region().unwrap_or_default());
            variables.push(Variable {
                name: entry.name.clone(),
                value,
                carries: entry.carries,
                only_if_present: entry.only_if_present,
                credential: route.credential.clone(),
            });
        }
    }
    match gateway(routes, port, &variables) {
        Ok(more) => variables.extend(more),
        Err(note) => notes.push(note),
    }
    (variables, notes)
}

/// The environment on the port that injected sidecars listen on.
pub fn pod_environment(routes: &[Route]) -> (Vec<Variable>, Vec<String>) {
    environment(routes, DATA_PORT)
}

/// The one vendor of LangChain's gateway layout whose calls are signed: a key of the gateway's makes LangChain for Python send that as a
/// bearer token instead, which AWS's SDK refuses without TLS.
const SIGNED: &str = "bedrock";

/// The variables of LangChain's gateway layout, by which newer clients find every vendor that it knows, or a note why they are left out.
/// `variables` are those that there are without them.
fn gateway(routes: &[Route], port: u16, variables: &[Variable]) -> Result<Vec<Variable>, String> {
    let mut known = routes.iter().filter(|route| route.gateway().is_some());
    // Bedrock's clients need none of this: their own variables lead to the sidecar.
    let Some(first) = known.clone().find(|route| route.gateway() != Some(SIGNED)) else {
        return Ok(Vec::new());
    };
    let is_signed = known.clone().any(|route| route.gateway() == Some(SIGNED));
    // The fallback for the gateway's own key.
    if let Some(key) = variables.iter().find(|v| v.name == "LANGSMITH_API_KEY")
        && is_signed
    {
        return Err(format!(
            "LANGSMITH_GATEWAY is not set: LangChain for Python would send Bedrock the key of credential {} in place of a signature",
            key.credential
        ));
    }
    // A vendor's own variables lead to its first credential. The gateway must lead to the same one: some classes of a client read only the
    // one kind of variable, some only the other.
    let overtaken = known.find(|route| {
        let first_of_vendor = routes
            .iter()
            .find(|other| other.gateway() == route.gateway());
        route.gateway() == Some(&route.credential)
            && first_of_vendor.is_some_and(|other| other.credential != route.credential)
    });
    if let Some(route) = overtaken {
        return Err(format!(
            "LANGSMITH_GATEWAY is not set: it would lead to credential {0}, and the vendor's own variables to the one before it; \
             put {0} before it or give it another name",
            route.credential
        ));
    }
    let address = Variable {
        name: "LANGSMITH_GATEWAY".into(),
        value: format!("http://127.0.0.1:{port}"),
        carries: Carries::Address,
        only_if_present: false,
        credential: first.credential.clone(),
    };
    // Without it each vendor's clients send that vendor's placeholder.
    let key = Variable {
        name: "LANGSMITH_GATEWAY_API_KEY".into(),
        value: if is_signed {
            String::new()
        } else {
            first.placeholder.clone()
        },
        carries: Carries::Key,
        only_if_present: is_signed,
        credential: first.credential.clone(),
    };
    Ok(vec![address, key])
}
