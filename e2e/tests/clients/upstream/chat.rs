//! OpenAI's chat completions (<https://platform.openai.com/docs/api-reference/chat/streaming>): two choices and two calls, told in turns.
//! `reasoning_content` is DeepSeek's, which the SDKs pass on.

use serde_json::{Value, json};

use super::{
    says::Says,
    write::{Event, Writing},
};

fn usage() -> Value {
    json!({"prompt_tokens": 11, "completion_tokens": 222, "total_tokens": 233})
}

/// The answer in one piece.
pub(super) fn whole(says: &Says, writing: &Writing) -> Value {
    let calls: Vec<Value> = says
        .calls
        .iter()
        .enumerate()
        .map(|(index, call)| {
            json!({"id": format!("call_{index}"), "type": "function",
                   "function": {"name": call.name, "arguments": writing.json(&call.arguments)}})
        })
        .collect();
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_732_521_600, "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {"index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {
                "role": "assistant", "content": says.text, "refusal": says.refusal,
                "reasoning_content": says.reasoning, "tool_calls": calls}},
            {"index": 1, "finish_reason": "stop", "logprobs": null, "message": {
                "role": "assistant", "content": says.second, "refusal": null}},
        ],
        "usage": usage(), "system_fingerprint": "fp_1",
    })
}

fn chunk(choices: &Value, usage: &Value) -> Event {
    let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_732_521_600,
                       "model": "gpt-4o-mini-2024-07-18", "choices": choices, "usage": usage});
    (None, chunk)
}

fn delta(index: usize, delta: &Value, finish: Option<&str>) -> Event {
    let choice = json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish});
    chunk(&json!([choice]), &Value::Null)
}

/// The answer in events, the usage in the last.
pub(super) fn events(says: &Says, writing: &Writing) -> Vec<Event> {
    let mut events = vec![
        delta(0, &json!({"role": "assistant", "content": ""}), None),
        delta(1, &json!({"role": "assistant", "content": ""}), None),
    ];
    let said = |index: usize, member: &str, text: &str| -> Vec<Event> {
        let pieces = writing.pieces(text).into_iter();
        pieces
            .map(|piece| delta(index, &json!({member: piece}), None))
            .collect()
    };
    events.extend(said(0, "reasoning_content", &says.reasoning));
    events.extend(in_turns(vec![
        said(0, "content", &says.text),
        said(1, "content", &says.second),
    ]));
    events.extend(said(0, "refusal", &says.refusal));
    let calls = says.calls.iter().enumerate().map(|(index, call)| {
        let begin = json!({"index": index, "id": format!("call_{index}"), "type": "function",
                           "function": {"name": call.name, "arguments": ""}});
        let pieces = writing.pieces(&writing.json(&call.arguments)).into_iter();
        let pieces = pieces.map(|piece| json!({"index": index, "function": {"arguments": piece}}));
        std::iter::once(begin)
            .chain(pieces)
            .map(|call| delta(0, &json!({"tool_calls": [call]}), None))
            .collect()
    });
    events.extend(in_turns(calls.collect()));
    events.push(delta(0, &json!({}), Some("tool_calls")));
    events.push(delta(1, &json!({}), Some("stop")));
    events.push(chunk(&json!([]), &usage()));
    events.push((None, json!("[DONE]")));
    events
}

/// One of each in turns.
fn in_turns(lists: Vec<Vec<Event>>) -> Vec<Event> {
    let longest = lists.iter().map(Vec::len).max().unwrap_or_default();
    let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    (0..longest)
        .flat_map(|_| {
            lists
                .iter_mut()
                .filter_map(Iterator::next)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// What OpenAI says when it refuses a call.
pub(super) fn error(says: &Says) -> Value {
    json!({"error": {"message": says.error, "type": "invalid_request_error", "param": "user", "code": "no_such_user"}})
}

/// A stream that breaks off with an error, while a value is open.
pub(super) fn broken(says: &Says, _: &Writing) -> Vec<Event> {
    vec![
        delta(
            0,
            &json!({"role": "assistant", "content": "alice@exam"}),
            None,
        ),
        (None, error(says)),
    ]
}
