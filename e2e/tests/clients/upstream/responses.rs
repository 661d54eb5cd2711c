//! OpenAI's Responses (<https://platform.openai.com/docs/api-reference/responses-streaming>): each text in pieces, then whole, and all once more at
//! the end.

use serde_json::{Value, json};

use super::{
    says::Says,
    write::{Event, Writing, named},
};

fn response(status: &str, output: &Value) -> Value {
    let usage = json!({"input_tokens": 11, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 222,
                       "output_tokens_details": {"reasoning_tokens": 33}, "total_tokens": 233});
    json!({
        "id": "resp_1", "object": "response", "created_at": 1_732_521_600, "status": status, "error": null,
        "incomplete_details": null, "instructions": null, "metadata": {}, "model": "gpt-4o-mini-2024-07-18", "output": output,
        "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "usage": if status == "completed" { usage } else { Value::Null },
    })
}

/// The items of the answer: reasoning, a message of a text and a refusal, and the calls.
fn items(says: &Says, writing: &Writing) -> Vec<Value> {
    let text = json!({"type": "output_text", "text": says.text, "annotations": []});
    let refusal = json!({"type": "refusal", "refusal": says.refusal});
    let summary = json!({"type": "summary_text", "text": says.reasoning});
    let mut items = vec![
        json!({"id": "rs_1", "type": "reasoning", "summary": [summary]}),
        json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [text, refusal]}),
    ];
    items.extend(says.calls.iter().enumerate().map(|(number, call)| {
        json!({"id": format!("fc_{number}"), "type": "function_call", "call_id": format!("call_{number}"), "status": "completed",
               "name": call.name, "arguments": writing.json(&call.arguments)})
    }));
    items
}

/// The answer in one piece.
pub(super) fn whole(says: &Says, writing: &Writing) -> Value {
    response("completed", &json!(items(says, writing)))
}

/// A text in pieces, then whole: the events `response.<kind>.delta` and `response.<kind>.done`, whose member for the whole is `member`.
fn told(kind: &str, member: &str, text: &str, place: &Value, writing: &Writing) -> Vec<Value> {
    let event = |what: &str, member: &str, text: &str| {
        let mut event = place.clone();
        event["type"] = json!(format!("response.{kind}.{what}"));
        event[member] = json!(text);
        event
    };
    let pieces = writing.pieces(text).into_iter();
    pieces
        .map(|piece| event("delta", "delta", &piece))
        .chain([event("done", member, text)])
        .collect()
}

/// The answer in events.
pub(super) fn events(says: &Says, writing: &Writing) -> Vec<Event> {
    let begun = response("in_progress", &json!([]));
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
    ];
    for (index, item) in items(says, writing).into_iter().enumerate() {
        let mut empty = item.clone();
        for member in ["content", "summary"] {
            if empty.get(member).is_some() {
                empty[member] = json!([]);
            }
        }
        if empty.get("arguments").is_some() {
            empty["arguments"] = json!("");
        }
        events.push(
            json!({"type": "response.output_item.added", "output_index": index, "item": empty}),
        );
        let place = json!({"item_id": item["id"], "output_index": index});
        let part = |number: &str, at: usize, kind: &str, member: &str, part: &Value, name: &str| {
            let mut place = place.clone();
            place[number] = json!(at);
            let text = part[member].as_str().unwrap_or_default();
            let edge = |what: &str, empty: bool| {
                let mut edge = place.clone();
                edge["type"] = json!(format!("response.{name}.{what}"));
                edge["part"] = part.clone();
                if empty {
                    edge["part"][member] = json!("");
                }
                edge
            };
            let mut events = vec![edge("added", true)];
            events.extend(told(kind, member, text, &place, writing));
            events.push(edge("done", false));
            events
        };
        match item["type"].as_str() {
            Some("reasoning") => {
                let (kind, name) = ("reasoning_summary_text", "reasoning_summary_part");
                events.extend(part(
                    "summary_index",
                    0,
                    kind,
                    "text",
                    &item["summary"][0],
                    name,
                ));
            }
            Some("message") => {
                for (at, kind, member) in [(0, "output_text", "text"), (1, "refusal", "refusal")] {
                    let content = &item["content"][at];
                    events.extend(part(
                        "content_index",
                        at,
                        kind,
                        member,
                        content,
                        "content_part",
                    ));
                }
            }
            _ => {
                let arguments = item["arguments"].as_str().unwrap_or_default();
                let kind = "function_call_arguments";
                events.extend(told(kind, "arguments", arguments, &place, writing));
            }
        }
        events.push(
            json!({"type": "response.output_item.done", "output_index": index, "item": item}),
        );
    }
    events.push(json!({"type": "response.completed", "response": whole(says, writing)}));
    numbered(events)
}

/// A response that fails while a value is open.
pub(super) fn broken(says: &Says, _: &Writing) -> Vec<Event> {
    let mut failed = response("failed", &json!([]));
    failed["error"] = json!({"code": "server_error", "message": says.error});
    numbered(vec![
        json!({"type": "response.created", "response": response("in_progress", &json!([]))}),
        json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "alice@exam"}),
        json!({"type": "response.failed", "response": failed}),
    ])
}

fn numbered(events: Vec<Value>) -> Vec<Event> {
    let number = |(number, mut event): (usize, Value)| {
        event["sequence_number"] = json!(number);
        named(event)
    };
    events.into_iter().enumerate().map(number).collect()
}
