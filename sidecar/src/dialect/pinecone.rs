//! Pinecone: its control plane, its inference, and the data plane of one index (<https://docs.pinecone.io/reference/api/introduction>).
//!
//! An index has a host of its own, so `collection` is known on the control plane alone.

use http::header;
use postern_crds::facts::{Call, Models, Operation};

use super::{
    Head, Request, Unreadable, blocks,
    draft::Draft,
    json::{self, Value},
    media, query,
    store::{Place, Store},
};

/// The name of the namespace that a call reaches which names none
/// (<https://docs.pinecone.io/guides/manage-data/manage-namespaces>).
const DEFAULT_NAMESPACE: &str = "__default__";

/// Where an operation has its namespace.
#[derive(Clone, Copy)]
enum Namespace<'a> {
    /// In the path.
    Named(&'a str),
    /// In the body, or in the query of an operation without one; the default one where it is not.
    Said,
    /// Nowhere, or all of them.
    None,
}

struct Endpoint<'a> {
    operation: Operation,
    namespace: Namespace<'a>,
    index: Option<&'a str>,
    /// Whether the body names a model.
    has_model: bool,
}

fn endpoint<'a>(head: &Head<'a>) -> Option<Endpoint<'a>> {
    use Operation as O;
    let segments: Vec<&str> = head.path.split('/').skip(1).collect();
    let known = |operation, namespace| Endpoint {
        operation,
        namespace,
        index: None,
        has_model: false,
    };
    let said = |operation| known(operation, Namespace::Said);
    let nowhere = |operation| known(operation, Namespace::None);
    let on_index = |index| Endpoint {
        index: Some(index),
        ..nowhere(O::VectorCollections)
    };
    Some(match (head.method, segments.as_slice()) {
        ("POST", ["query"] | ["vectors", "fetch_by_metadata"]) => said(O::VectorQuery),
        ("GET", ["vectors", "fetch" | "list"]) => said(O::VectorQuery),
        ("POST" | "GET", ["describe_index_stats"]) => nowhere(O::VectorQuery),
        ("POST", ["records", "namespaces", name, "search"]) => Endpoint {
            // To put the hits in order.
            has_model: true,
            ..known(O::VectorQuery, Namespace::Named(name))
        },
        ("POST", ["records", "namespaces", name, "upsert"]) => {
            known(O::VectorUpsert, Namespace::Named(name))
        }
        ("POST", ["vectors", "upsert" | "update"]) => said(O::VectorUpsert),
        ("POST" | "DELETE", ["vectors", "delete"]) => said(O::VectorDelete),
        ("POST", ["bulk", "imports"]) => nowhere(O::VectorUpsert),
        ("GET" | "DELETE", ["bulk", "imports", ..]) => nowhere(O::VectorCollections),
        ("GET" | "DELETE", ["namespaces", name]) => {
            known(O::VectorCollections, Namespace::Named(name))
        }
        ("GET" | "POST", ["namespaces"]) => nowhere(O::VectorCollections),
        ("POST", ["indexes", "create-for-model"]) => Endpoint {
            has_model: true,
            ..nowhere(O::VectorCollections)
        },
        (_, ["indexes", index, ..]) => on_index(index),
        (_, ["indexes" | "collections" | "backups" | "restore-jobs", ..]) => {
            nowhere(O::VectorCollections)
        }
        ("POST", ["embed"]) => Endpoint {
            has_model: true,
            ..nowhere(O::Embeddings)
        },
        ("POST", ["rerank"]) => Endpoint {
            has_model: true,
            ..nowhere(O::Rerank)
        },
        ("GET", ["models"] | ["models", _]) => nowhere(O::Models),
        _ => return None,
    })
}

/// What the head alone tells.
pub(super) fn head(head: &Head<'_>) -> Call {
    let Some(endpoint) = endpoint(head) else {
        return super::unknown();
    };
    let models = if endpoint.has_model {
        Models::Hidden
    } else {
        Models::None
    };
    let mut store = Store::default();
    if let Namespace::Named(name) = endpoint.namespace {
        store.namespace.add(name);
    }
    if let Some(index) = endpoint.index {
        store.collection.add(index);
    }
    store.complete(Draft::head(endpoint.operation, models))
}

/// The whole call.
pub(super) fn read(request: &Request<'_>) -> Result<Call, Unreadable> {
    let head = &request.head;
    let Some(endpoint) = endpoint(head) else {
        return Ok(super::unknown());
    };
    let mut draft = Draft::new(endpoint.operation);
    let mut store = Store::default();
    if let Some(index) = endpoint.index {
        store.collection.add(index);
    }
    match endpoint.namespace {
        Namespace::Named(name) => store.namespace.add(name),
        Namespace::Said => {
            for name in query::values(head.query, "namespace")? {
                store.namespace.add(&in_full(&name));
            }
        }
        Namespace::None => {}
    }
    if !request.body.is_empty() {
        if is_lines(request) {
            // One record a line: what they say is data, but each must be one document.
            for line in request.body.split(|byte| *byte == b'\n') {
                if !line.trim_ascii().is_empty() {
                    json::read(line, |value| Ok(value.weigh(&mut draft.input)?))?;
                }
            }
        } else {
            media::json(request.headers)?;
            json::read(request.body, |value| {
                body(value, &mut draft, &mut store.namespace)
            })?;
        }
    }
    if matches!(endpoint.namespace, Namespace::Said) && store.namespace == Place::Open {
        store.namespace.add(DEFAULT_NAMESPACE);
    }
    if matches!(
        endpoint.operation,
        Operation::Embeddings | Operation::Rerank
    ) && !draft.has_models()
    {
        return Err(Unreadable::NoModel);
    }
    Ok(store.complete(draft.finish()))
}

/// The namespace called `name`; the default one may be called by the empty name.
fn in_full(name: &str) -> String {
    if name.is_empty() {
        DEFAULT_NAMESPACE.into()
    } else {
        name.into()
    }
}

/// Whether the body is lines of JSON, as only the upsert of records takes it.
fn is_lines(request: &Request<'_>) -> bool {
    let mut kinds = request.headers.get_all(header::CONTENT_TYPE).iter();
    kinds
        .next()
        .is_some_and(|kind| kind == "application/x-ndjson")
        && kinds.next().is_none()
        && request.head.path.ends_with("/upsert")
}

/// All operations use the same words for the same things.
fn body(value: Value<'_, '_>, draft: &mut Draft, namespace: &mut Place) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "documents",
        "embed",
        "inputs",
        "model",
        "namespace",
        "queries",
        "query",
        "rerank",
    ];
    value.object(FIELDS, |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        match field {
            "model" => draft.model_member(value),
            "namespace" => {
                namespace.add(&in_full(&value.text()?));
                Ok(())
            }
            // The older form of a query: several in one, each with a namespace of its own.
            "queries" => value.list(|value| {
                let mut said = false;
                value.object(&["namespace"], |_, value| {
                    if let Some(value) = value.optional()? {
                        said = true;
                        namespace.add(&in_full(&value.text()?));
                    }
                    Ok(())
                })?;
                if !said {
                    namespace.add(DEFAULT_NAMESPACE);
                }
                Ok(())
            }),
            "embed" | "rerank" => value.object(&["model"], |_, value| draft.model_member(value)),
            "inputs" => value.list(|value| {
                draft.embeddings(1);
                blocks::content(value, draft)
            }),
            _ => Ok(value.weigh(&mut draft.input)?),
        }
    })
}
