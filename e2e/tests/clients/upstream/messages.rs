//! Anthropic's messages (<https://docs.claude.com/en/docs/build-with-claude/streaming>): thinking, a text and two calls, one block after another.

use serde_json::{Value, json};

use super::{
    says::Says,
    write::{Event, Writing, named},
};

fn message(content: &Value, stop: Option<&str>, output: u32) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929", "content": content,
           "stop_reason": stop, "stop_sequence": null, "usage": {"input_tokens": 11, "output_tokens": output}})
}

/// The answer in one piece.
pub(super) fn whole(says: &Says) -> Value {
    let mut content = vec![
        json!({"type": "thinking", "thinking": says.reasoning, "signature": "c2lnbmF0dXJl"}),
        json!({"type": "text", "text": says.text}),
    ];
    content.extend(says.calls.iter().enumerate().map(|(number, call)| {
        json!({"type": "tool_use", "id": format!("toolu_{number}"), "name": call.name, "input": call.arguments})
    }));
    message(&json!(content), Some("tool_use"), 222)
}

/// The answer in events.
pub(super) fn events(says: &Says, writing: &Writing) -> Vec<Event> {
    let mut events = vec![
        json!({"type": "message_start", "message": message(&json!([]), None, 1)}),
        json!({"type": "ping"}),
    ];
    let mut blocks = vec![
        (
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            ("thinking_delta", "thinking", says.reasoning.clone()),
        ),
        (
            json!({"type": "text", "text": ""}),
            ("text_delta", "text", says.text.clone()),
        ),
    ];
    blocks.extend(says.calls.iter().enumerate().map(|(number, call)| {
        (
            json!({"type": "tool_use", "id": format!("toolu_{number}"), "name": call.name, "input": {}}),
            ("input_json_delta", "partial_json", writing.json(&call.arguments)),
        )
    }));
    for (index, (block, (kind, member, text))) in blocks.into_iter().enumerate() {
        let delta =
            |delta: &Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
        events.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        for piece in writing.pieces(&text) {
            events.push(delta(&json!({"type": kind, member: piece})));
        }
        if kind == "thinking_delta" {
            events.push(delta(
                &json!({"type": "signature_delta", "signature": "c2lnbmF0dXJl"}),
            ));
        }
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    let end = json!({"stop_reason": "tool_use", "stop_sequence": null});
    events.push(json!({"type": "message_delta", "delta": end, "usage": {"output_tokens": 222}}));
    events.push(json!({"type": "message_stop"}));
    events.into_iter().map(named).collect()
}

/// What Anthropic says when it refuses a call.
pub(super) fn error(says: &Says) -> Value {
    json!({"type": "error", "error": {"type": "invalid_request_error", "message": says.error}, "request_id": "req_1"})
}

/// A stream that breaks off with an error, while a value is open.
pub(super) fn broken(says: &Says, _: &Writing) -> Vec<Event> {
    let block = json!({"type": "text", "text": ""});
    let delta = json!({"type": "text_delta", "text": "alice@exam"});
    [
        json!({"type": "message_start", "message": message(&json!([]), None, 1)}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        error(says),
    ]
    .map(named)
    .into()
}
