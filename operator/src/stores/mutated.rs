//! What must hold of what stores answer, whatever they answer: nothing panics, and no word about it says a value.

use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use k8s_openapi::jiff::Timestamp;
use postern_crds::{agent_identity::StoreRef, credential_store::ValueEncoding, source::Shape};
use serde_json::Value;

use super::{
    aws,
    document::Document,
    lease::{Granted, Lease},
    problem::Problem,
    reading::Reading,
    vault::{self, Engine},
};
use crate::fuzz;

/// What the values of the inputs that were kept have in them, and their names have not.
const MARK: &str = "sk-live";

/// Whether nothing of a value is in what is said about `document`.
fn says_no_value(document: &[u8], problem: &Problem) {
    fn is_name(value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().any(is_name),
            Value::Object(members) => members
                .iter()
                .any(|(name, member)| name.contains(MARK) || is_name(member)),
            _ => false,
        }
    }
    let said = format!("{problem} {problem:?}");
    let is_named = serde_json::from_slice(document).is_ok_and(|value| is_name(&value));
    assert!(is_named || !said.contains(MARK), "{said}");
}

/// Every shape of a credential is asked of a reading, with a key and without.
fn asked(reading: &Reading, answer: &[u8]) {
    let place = |key: Option<&str>| StoreRef {
        key: key.map(str::to_owned),
        ..place()
    };
    let shapes = [
        Shape::Text,
        Shape::UserAndPassword,
        Shape::Cookie,
        Shape::AwsKeys,
        Shape::GcpKey,
    ];
    for shape in shapes {
        for key in [None, Some("key"), Some("username")] {
            match reading.secret(&place(key), shape) {
                Ok(secret) => assert!(!format!("{secret:?}").contains(MARK)),
                Err(problem) => says_no_value(answer, &problem),
            }
        }
    }
}

fn place() -> StoreRef {
    serde_json::from_value(serde_json::json!({"name": "corp", "path": "ai/openai"}))
        .expect("a place in a store")
}

/// A lease of any length, whatever else is said of it.
fn lasts(lease: &mut Lease, granted: &Granted) {
    let times = [
        Timestamp::MIN,
        Timestamp::UNIX_EPOCH,
        Timestamp::now(),
        Timestamp::MAX,
    ];
    for now in times {
        lease.step(now);
        lease.is_over(now);
        lease.clone().retire(now);
        lease.renewed(granted, now);
        lease.due();
    }
    let text = serde_json::to_string(&*lease).expect("a lease is JSON");
    let again: Lease = serde_json::from_str(&text).expect("what was written is read");
    assert!(again == *lease);
}

/// Which engine answered, and its answer.
fn of_vault(data: &[u8]) {
    let Some((engine, answer)) = data.split_first() else {
        return;
    };
    let engine = match engine % 3 {
        0 => Engine::Kv1,
        1 => Engine::Kv2,
        _ => Engine::Logical,
    };
    let document = match Document::read(answer) {
        Ok(document) => document,
        Err(problem) => return says_no_value(answer, &problem),
    };
    let lifetime = document.at("/auth/lease_duration").and_then(Value::as_u64);
    vault::renewal(lifetime.unwrap_or_default());
    match vault::reading(&engine, document, "ai/openai".to_owned(), None) {
        Ok(reading) => {
            assert!(reading.version.bytes().all(|byte| byte.is_ascii_graphic()));
            if let Some(granted) = &reading.lease {
                let now = Timestamp::now();
                let mut lease = Lease::new("corp", "o/", "ai", &reading.version, granted, now);
                lasts(&mut lease, granted);
            }
            asked(&reading, answer);
        }
        Err(problem) => says_no_value(answer, &problem),
    }
}

/// A pointer, a new line, and the answer that it leads into.
fn by_pointer(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (pointer, answer) = (&data[..end], &data[end + 1..]);
    let (Ok(pointer), Ok(document)) = (std::str::from_utf8(pointer), Document::read(answer)) else {
        return;
    };
    let found = document.find(pointer);
    // Without what is ours alone it is a pointer as everybody reads it. The schema of a store demands the slash.
    if !pointer.contains('=') && (pointer.is_empty() || pointer.starts_with('/')) {
        assert!(found == document.at(pointer), "{pointer}");
    }
    let Some(found) = found else { return };
    for (is_keyed, encoding) in [(true, ValueEncoding::Text), (false, ValueEncoding::Base64)] {
        let reading = Reading {
            document: Document::new(found.clone()),
            path: "ai/openai".to_owned(),
            version: "1".to_owned(),
            is_keyed,
            encoding,
            lease: None,
        };
        asked(&reading, answer);
    }
}

/// A secret's text: JSON, or none.
fn of_aws(data: &[u8]) {
    let (text, binary) = match String::from_utf8(data.to_vec()) {
        Ok(text) => (Some(text), None),
        Err(_) => (
            None,
            Some(aws_sdk_secretsmanager::primitives::Blob::new(data)),
        ),
    };
    let answer = GetSecretValueOutput::builder()
        .set_secret_string(text)
        .set_secret_binary(binary)
        .version_id("7b1ad1c4-2a3e-4c55-9d5c-111111111111")
        .build();
    match aws::reading(answer, &place()) {
        Ok(reading) => asked(&reading, data),
        Err(problem) => says_no_value(data, &problem),
    }
}

/// The leases that stand in a bundle's Secret, which somebody may have edited.
fn of_a_secret(data: &[u8]) {
    let leases: Vec<Lease> = serde_json::from_slice(data).unwrap_or_default();
    for mut lease in leases {
        let granted = Granted {
            id: String::new(),
            seconds: u64::MAX,
            renewable: true,
            login_ends: None,
        };
        let is_told = format!("{}{}", lease.origin, lease.path).contains(MARK);
        assert!(is_told || !format!("{lease:?}").contains(MARK));
        lasts(&mut lease, &granted);
    }
}

#[test]
fn mutated_answers_of_vault_give_a_credential_or_a_reason() {
    fuzz::check("vault", of_vault);
}

#[test]
fn mutated_pointers_lead_where_they_lead_everywhere() {
    fuzz::check("pointer", by_pointer);
}

#[test]
fn mutated_secrets_of_aws_give_a_credential_or_a_reason() {
    fuzz::check("aws", of_aws);
}

#[test]
fn mutated_leases_can_be_counted_with() {
    fuzz::check("leases", of_a_secret);
}
