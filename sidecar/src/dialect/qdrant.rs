//! Qdrant: <https://api.qdrant.tech/api-reference>.
//!
//! A server of one's own has no models. Qdrant Cloud can embed what it is sent (<https://qdrant.tech/documentation/cloud/inference/>): then a text
//! and a model stand where a vector would.

use postern_crds::facts::{Call, Models, Operation};

use super::{
    Head, Request, Unreadable,
    draft::Draft,
    json::{self, Kind, Value},
    media,
    store::{Place, Store},
};

/// What the body may add to what the path says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Nothing.
    Unread,
    /// Vectors to look for, and other collections from which it takes vectors or payloads.
    Search,
    /// Points with vectors.
    Points,
    /// A list of operations of several kinds.
    Operations,
    /// The collections of aliases.
    Aliases,
}

struct Endpoint<'a> {
    operation: Operation,
    body: Body,
    collection: Option<&'a str>,
}

fn endpoint<'a>(head: &Head<'a>) -> Option<Endpoint<'a>> {
    use Operation as O;
    let segments: Vec<&str> = head.path.split('/').skip(1).collect();
    let (method, segments) = (head.method, segments.as_slice());
    let (operation, body) = match (method, segments) {
        ("POST", ["collections", "aliases"]) => {
            return Some(Endpoint {
                operation: O::VectorCollections,
                body: Body::Aliases,
                collection: None,
            });
        }
        ("POST", ["collections", _, "points"])
        | ("GET", ["collections", _, "points", _])
        | ("POST", ["collections", _, "points", "scroll" | "count"])
        | ("POST", ["collections", _, "facet"]) => (O::VectorQuery, Body::Unread),
        (
            "POST",
            [
                "collections",
                _,
                "points",
                "search" | "query" | "recommend" | "discover",
                ..,
            ],
        ) => (O::VectorQuery, Body::Search),
        ("PUT", ["collections", _, "points"])
        | ("PUT", ["collections", _, "points", "vectors"]) => (O::VectorUpsert, Body::Points),
        ("PUT" | "POST", ["collections", _, "points", "payload"]) => {
            (O::VectorUpsert, Body::Unread)
        }
        ("POST", ["collections", _, "points", "delete"])
        | ("POST", ["collections", _, "points", "payload", "delete" | "clear"])
        | ("POST", ["collections", _, "points", "vectors", "delete"]) => {
            (O::VectorDelete, Body::Unread)
        }
        ("POST", ["collections", _, "points", "batch"]) => (O::Unknown, Body::Operations),
        // Anything else below `points` is newer than this list.
        (_, ["collections", _, "points", ..]) => return None,
        (_, ["collections" | "aliases" | "snapshots" | "cluster", ..]) => {
            (O::VectorCollections, Body::Unread)
        }
        ("GET", ["" | "healthz" | "livez" | "readyz" | "telemetry" | "metrics" | "issues"]) => {
            (O::VectorCollections, Body::Unread)
        }
        _ => return None,
    };
    let collection = match segments {
        ["collections", name, ..] => Some(*name),
        _ => None,
    };
    Some(Endpoint {
        operation,
        body,
        collection,
    })
}

impl Endpoint<'_> {
    fn store(&self) -> Store {
        self.collection.map(Store::collection).unwrap_or_default()
    }
}

/// What the head alone tells.
pub(super) fn head(head: &Head<'_>) -> Call {
    let Some(endpoint) = endpoint(head) else {
        return super::unknown();
    };
    let store = match endpoint.body {
        Body::Unread | Body::Points | Body::Operations => endpoint.store(),
        // The body may name another one.
        Body::Search | Body::Aliases => Store::default(),
    };
    let models = match endpoint.body {
        Body::Unread | Body::Aliases => Models::None,
        Body::Search | Body::Points | Body::Operations => Models::Hidden,
    };
    store.complete(Draft::head(endpoint.operation, models))
}

/// The whole call.
pub(super) fn read(request: &Request<'_>) -> Result<Call, Unreadable> {
    let Some(endpoint) = endpoint(&request.head) else {
        return Ok(super::unknown());
    };
    let mut store = endpoint.store();
    let mut operation = endpoint.operation;
    let mut draft = Draft::default();
    if !request.body.is_empty() {
        media::json(request.headers)?;
        json::read(request.body, |value| match endpoint.body {
            Body::Unread => Ok(value.skip()?),
            Body::Search => search(value, &mut store.collection, &mut draft),
            Body::Points => points(value, &mut draft),
            Body::Operations => {
                operation = operations(value, &mut draft)?;
                Ok(())
            }
            Body::Aliases => aliases(value, &mut store.collection),
        })?;
    }
    Ok(store.complete(Call {
        operation,
        ..draft.finish()
    }))
}

/// Queries, searches and recommendations, one or many: their vectors, or what they answer, may come from other collections.
fn search(
    value: Value<'_, '_>,
    collection: &mut Place,
    draft: &mut Draft,
) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "context",
        "lookup_from",
        "negative",
        "positive",
        "prefetch",
        "query",
        "searches",
        "target",
        "vector",
        "with_lookup",
    ];
    match value.kind() {
        Some(Kind::List) => value.list(|value| search(value, collection, draft)),
        Some(Kind::Object) => value.object(FIELDS, |field, value| match field {
            "lookup_from" | "with_lookup" => other(value, collection),
            "prefetch" | "searches" => search(value, collection, draft),
            _ => vectors(value, draft),
        }),
        _ => Ok(value.skip()?),
    }
}

/// Points in a list, or by their members.
fn points(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    value.object(&["batch", "points"], |field, value| {
        match (field, value.kind()) {
            ("batch", Some(Kind::Object)) => {
                value.object(&["vectors"], |_, value| vectors(value, draft))
            }
            ("points", Some(Kind::List)) => value.list(|value| match value.kind() {
                Some(Kind::Object) => value.object(&["vector"], |_, value| vectors(value, draft)),
                _ => Ok(value.skip()?),
            }),
            _ => Ok(value.skip()?),
        }
    })
}

/// One or more vectors, some of them perhaps a text and the model that is to make a vector of it. They may have names of any kind.
fn vectors(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    match value.kind() {
        Some(Kind::List) => value.list(|value| vectors(value, draft)),
        Some(Kind::Object) => value.members(|key, value| match (key, value.kind()) {
            ("model", Some(Kind::Text)) => draft.model_member(value),
            _ => vectors(value, draft),
        }),
        _ => Ok(value.skip()?),
    }
}

/// A collection by its name, or an object with it.
fn other(value: Value<'_, '_>, collection: &mut Place) -> Result<(), Unreadable> {
    match value.kind() {
        Some(Kind::Null) => Ok(value.skip()?),
        Some(Kind::Text) => {
            collection.add(&value.text()?);
            Ok(())
        }
        _ => value.object(&["collection"], |_, value| {
            collection.add(&value.text()?);
            Ok(())
        }),
    }
}

/// The one kind of all the operations in a batch; where there are several kinds it is not known, so that a rule about either is about it.
fn operations(value: Value<'_, '_>, draft: &mut Draft) -> Result<Operation, Unreadable> {
    const FIELDS: &[&str] = &[
        "clear_payload",
        "delete",
        "delete_payload",
        "delete_vectors",
        "overwrite_payload",
        "set_payload",
        "update_vectors",
        "upsert",
    ];
    let mut kinds = Vec::new();
    value.object(&["operations"], |_, value| {
        value.list(|value| {
            let mut known = false;
            value.object(FIELDS, |field, value| {
                known = true;
                kinds.push(match field {
                    "delete" | "delete_payload" | "delete_vectors" | "clear_payload" => {
                        Operation::VectorDelete
                    }
                    _ => Operation::VectorUpsert,
                });
                match field {
                    "upsert" | "update_vectors" => points(value, draft),
                    _ => Ok(value.skip()?),
                }
            })?;
            if !known {
                kinds.push(Operation::Unknown);
            }
            Ok(())
        })
    })?;
    kinds.dedup();
    Ok(match kinds.as_slice() {
        [kind] => *kind,
        _ => Operation::Unknown,
    })
}

/// What a change of aliases is about.
fn aliases(value: Value<'_, '_>, collection: &mut Place) -> Result<(), Unreadable> {
    const ACTIONS: &[&str] = &["create_alias", "delete_alias", "rename_alias"];
    value.object(&["actions"], |_, value| {
        value.list(|value| {
            value.object(ACTIONS, |_, value| {
                let mut named = false;
                value.object(&["collection_name"], |_, value| {
                    named = true;
                    collection.add(&value.text()?);
                    Ok(())
                })?;
                if !named {
                    // By the alias alone, whose collection the server knows.
                    *collection = Place::Mixed;
                }
                Ok(())
            })
        })
    })
}
