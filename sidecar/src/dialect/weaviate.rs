//! Weaviate's REST and GraphQL APIs (<https://docs.weaviate.io/weaviate/api/rest>); its gRPC API is not read.
//!
//! Which model embeds is a property of the class. A model that writes answers (`generate`, `ask`, `summary`) is chosen by the class or by the
//! query, so it counts as hidden.

use postern_crds::facts::{Call, Models, Operation};

use super::{
    Head, Request, Unreadable,
    draft::Draft,
    json::{self, Value},
    media, query,
    store::{Place, Store},
};

mod graphql;

/// Where an operation has its class and its tenant, beside the path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    /// In the query alone.
    Unread,
    /// At the top of the body.
    Object,
    /// The same, in a search of the REST API, a preview, where models may write a part of the answer.
    Search,
    /// In each of the body's objects.
    Objects,
    /// In the body's `match`.
    Match,
    /// In the addresses of the body's references.
    References,
    /// In a query's text.
    GraphQl,
    /// In several of them.
    GraphQls,
}

struct Endpoint<'a> {
    operation: Operation,
    class: Option<&'a str>,
    body: Body,
}

fn endpoint<'a>(head: &Head<'a>) -> Option<Endpoint<'a>> {
    use Operation as O;
    let segments = head.segments();
    let (operation, class, body) = match (head.method, segments.as_slice()) {
        ("POST", ["graphql"]) => (O::VectorQuery, None, Body::GraphQl),
        ("POST", ["graphql", "batch"]) => (O::VectorQuery, None, Body::GraphQls),
        ("POST", ["aggregate", class]) => (O::VectorQuery, Some(*class), Body::Object),
        ("POST", ["search", class, ..]) => (O::VectorQuery, Some(*class), Body::Search),
        ("GET", ["objects"]) => (O::VectorQuery, None, Body::Unread),
        ("POST", ["objects"]) => (O::VectorUpsert, None, Body::Object),
        ("POST", ["objects", "validate"]) => (O::VectorQuery, None, Body::Object),
        // Without a class it is the older form, by which the server looks into all of them.
        (method, ["objects", place @ ..]) if matches!(place.len(), 1 | 2) => {
            let operation = match method {
                "GET" | "HEAD" => O::VectorQuery,
                "PUT" | "PATCH" => O::VectorUpsert,
                "DELETE" => O::VectorDelete,
                _ => return None,
            };
            match place {
                [class, _] => (operation, Some(*class), Body::Object),
                _ => (operation, None, Body::Unread),
            }
        }
        ("POST" | "PUT", ["objects", class, _, "references", _]) => {
            (O::VectorUpsert, Some(*class), Body::Unread)
        }
        ("DELETE", ["objects", class, _, "references", _]) => {
            (O::VectorDelete, Some(*class), Body::Unread)
        }
        ("POST", ["batch", "objects"]) => (O::VectorUpsert, None, Body::Objects),
        ("DELETE", ["batch", "objects"]) => (O::VectorDelete, None, Body::Match),
        ("POST", ["batch", "references"]) => (O::VectorUpsert, None, Body::References),
        ("POST", ["schema"]) => (O::VectorCollections, None, Body::Object),
        (_, ["schema", class, ..]) => (O::VectorCollections, Some(*class), Body::Unread),
        (_, ["schema" | "aliases" | "backups" | "classifications", ..])
        | ("GET", ["meta" | "nodes" | "cluster" | "tasks" | ".well-known", ..] | [""]) => {
            (O::VectorCollections, None, Body::Unread)
        }
        _ => return None,
    };
    Some(Endpoint {
        operation,
        class,
        body,
    })
}

/// What the head alone tells.
pub(super) fn head(head: &Head<'_>) -> Call {
    let Some(endpoint) = endpoint(head) else {
        return super::unknown();
    };
    let models = match endpoint.body {
        Body::GraphQl | Body::GraphQls | Body::Search => Models::Hidden,
        _ => Models::None,
    };
    let mut store = Store::default();
    if let Some(class) = endpoint.class
        && endpoint.body == Body::Unread
    {
        add_class(&mut store, class);
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
    if let Some(class) = endpoint.class {
        add_class(&mut store, class);
    }
    for class in query::values(head.query, "class")? {
        add_class(&mut store, &class);
    }
    for tenant in query::values(head.query, "tenant")? {
        store.namespace.add(&tenant);
    }
    if !request.body.is_empty() {
        media::json(request.headers)?;
        json::read(request.body, |value| {
            body(endpoint.body, value, &mut store, &mut draft)
        })?;
    }
    Ok(store.complete(draft.finish()))
}

fn body(
    kind: Body,
    value: Value<'_, '_>,
    store: &mut Store,
    draft: &mut Draft,
) -> Result<(), Unreadable> {
    match kind {
        Body::Unread => Ok(value.skip()?),
        Body::Object => object(value, store),
        Body::Search => {
            draft.hide_models();
            object(value, store)
        }
        Body::Objects => value.object(&["objects"], |_, value| {
            value.list(|value| {
                let mut one = Store::default();
                object(value, &mut one)?;
                merge(store, one);
                Ok(())
            })
        }),
        Body::Match => value.object(&["match"], |_, value| object(value, store)),
        Body::References => value.list(|value| {
            let mut one = Store::default();
            value.object(&["from", "tenant"], |field, value| {
                let text = value.text()?;
                if field == "tenant" {
                    one.namespace.add(&text);
                } else {
                    // `weaviate://localhost/Class/ID/property`
                    match text.split('/').nth(3) {
                        Some(class) => add_class(&mut one, class),
                        None => one.collection = Place::Mixed,
                    }
                }
                Ok(())
            })?;
            merge(store, one);
            Ok(())
        }),
        Body::GraphQl => text(value, store, draft),
        Body::GraphQls => value.list(|value| text(value, store, draft)),
    }
}

/// The class and the tenant of one object.
fn object(value: Value<'_, '_>, store: &mut Store) -> Result<(), Unreadable> {
    value.object(&["class", "tenant"], |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        let text = value.text()?;
        if field == "class" {
            add_class(store, &text);
        } else {
            store.namespace.add(&text);
        }
        Ok(())
    })
}

/// A query's text, and whether it is one.
fn text(value: Value<'_, '_>, store: &mut Store, draft: &mut Draft) -> Result<(), Unreadable> {
    let mut said = false;
    value.object(&["query"], |_, value| {
        said = true;
        let query = graphql::scan(&value.text()?);
        for class in &query.classes {
            add_class(store, class);
        }
        for tenant in &query.tenants {
            match tenant {
                Some(tenant) => store.namespace.add(tenant),
                None => store.namespace = Place::Mixed,
            }
        }
        if query.is_open {
            store.collection = Place::Mixed;
        }
        if query.generates {
            draft.hide_models();
        }
        Ok(())
    })?;
    if !said {
        store.collection = Place::Mixed;
    }
    Ok(())
}

/// The server begins a class's name with a capital, whoever wrote it.
fn add_class(store: &mut Store, name: &str) {
    let mut name = name.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    store.collection.add(&name);
}

/// Takes what one object of several reaches to what the others do: one without a tenant reaches another place than one with a tenant.
fn merge(store: &mut Store, one: Store) {
    let is_first = store.collection == Place::Open;
    for (all, one) in [
        (&mut store.collection, one.collection),
        (&mut store.namespace, one.namespace),
    ] {
        match one {
            Place::One(name) if is_first || *all != Place::Open => all.add(&name),
            Place::Open if is_first || *all == Place::Open => {}
            Place::One(_) | Place::Open | Place::Mixed => *all = Place::Mixed,
        }
    }
}
