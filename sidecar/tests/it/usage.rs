//! What a call used: read from its answer, counted, priced, settled with its limits.

use std::sync::Mutex;

use http::Response;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::support::{
    Body, Client, Identity, Protocol, Sidecar, Upstream, eventually, full, line_of, stream,
};

const CHAT: &str = "/openai/v1/chat/completions";

/// An upstream that answers every call with `body` as `content_type`.
async fn saying(content_type: &'static str, body: String) -> Upstream {
    Upstream::answering(Protocol::Http1, move |_, _| {
        Response::builder()
            .header("content-type", content_type)
            .body(full(body.clone()))
            .unwrap()
    })
    .await
}

fn answer_using(input: u64, output: u64) -> String {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
                  "prompt_tokens_details": {"cached_tokens": 5},
                  "completion_tokens_details": {"reasoning_tokens": 2}},
    })
    .to_string()
}

async fn serving(upstream: &Upstream, limits: Value) -> Sidecar {
    Identity::new()
        .credential("openai", "openai", upstream, "sk-real")
        .rule(json!({"name": "mini", "to": {"credentials": ["openai"]}, "models": ["gpt-4o-mini"], "action": "Allow"}))
        .member("limits", limits)
        .serve()
        .await
}

fn ask(client: &Client, max_tokens: Option<u64>, stream: bool) -> http::Request<Body> {
    let mut body = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "capital of France?"}]});
    if let Some(max_tokens) = max_tokens {
        body["max_tokens"] = json!(max_tokens);
    }
    if stream {
        body["stream"] = json!(true);
    }
    client
        .request("POST", CHAT)
        .header("content-type", "application/json")
        .header("accept-encoding", "gzip, br")
        .body(full(body.to_string()))
        .unwrap()
}

/// Of a model that no price table knows.
fn ask_unpriced(client: &Client) -> http::Request<Body> {
    client
        .request("POST", CHAT)
        .header("content-type", "application/json")
        .body(full(
            r#"{"model":"house-model-1","max_tokens":10,"messages":[]}"#,
        ))
        .unwrap()
}

#[tokio::test]
async fn tokens_and_cost_of_an_answer_are_logged_and_counted_under_the_policys_name_of_its_model() {
    let upstream = saying("application/json", answer_using(20, 7)).await;
    let sidecar = serving(&upstream, json!([])).await;
    let mut client = sidecar.client().await;
    let request = ask(&client, Some(100), false);
    let answer = client.send(request).await;
    assert_eq!(answer.text(), answer_using(20, 7));
    assert_eq!(
        upstream.saw_one().header("accept-encoding"),
        Some("identity")
    );

    let line = line_of(answer.request_id()).await;
    assert_eq!(line["gen_ai.request.max_tokens"], 100);
    assert_eq!(line["gen_ai.response.model"], "gpt-4o-mini-2024-07-18");
    assert_eq!(line["gen_ai.response.finish_reasons"], "stop");
    assert_eq!(line["gen_ai.usage.input_tokens"], 20);
    assert_eq!(line["gen_ai.usage.output_tokens"], 7);
    assert_eq!(line["gen_ai.usage.cache_read.input_tokens"], 5);
    assert_eq!(line["gen_ai.usage.reasoning.output_tokens"], 2);
    assert_eq!(line["usage_source"], "complete");
    // 15 at 0.15, 5 at 0.075 and 7 at 0.60 dollars a million.
    assert_eq!(line["cost_usd"], "0.000006825");

    let metrics = sidecar.metrics().await;
    for line in [
        r#"postern_tokens_total{route="openai",model="gpt-4o-mini",kind="input",source="complete"} 20"#,
        r#"postern_tokens_total{route="openai",model="gpt-4o-mini",kind="cached_input",source="complete"} 5"#,
        r#"postern_tokens_total{route="openai",model="gpt-4o-mini",kind="output",source="complete"} 7"#,
        r#"postern_cost_total{route="openai",model="gpt-4o-mini",currency="USD"} 0.000006825"#,
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn the_first_calls_cost_is_a_rise_since_its_series_was_there_before() {
    let upstream = saying("application/json", answer_using(20, 7)).await;
    let sidecar = serving(&upstream, json!([])).await;
    let cost = async || {
        let metrics = sidecar.metrics().await;
        let lines = metrics
            .lines()
            .filter(|line| line.starts_with("postern_cost_total"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let series = |model, value| {
        format!(r#"postern_cost_total{{route="openai",model="{model}",currency="USD"}} {value}"#)
    };
    let mut before = cost().await;
    before.sort();
    assert_eq!(
        before,
        [series("gpt-4o-mini", "0.0"), series("other", "0.0")]
    );

    let mut client = sidecar.client().await;
    let request = ask(&client, Some(100), false);
    assert_eq!(client.send(request).await.status, 200);
    eventually("the cost is counted", async || {
        cost()
            .await
            .contains(&series("gpt-4o-mini", "0.000006825"))
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_of_a_model_without_a_price_is_counted_as_such_and_costs_nothing_known() {
    let answer = answer_using(20, 7).replace("gpt-4o-mini-2024-07-18", "house-model-1");
    let upstream = saying("application/json", answer).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let mut client = sidecar.client().await;
    let request = ask_unpriced(&client);
    let answer = client.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let line = line_of(answer.request_id()).await;
    assert_eq!(line["gen_ai.usage.input_tokens"], 20);
    assert_eq!(line["cost_usd"], Value::Null);
    let metrics = sidecar.metrics().await;
    for line in [
        r#"postern_unpriced_requests_total{route="openai",model="other"} 1"#,
        r#"postern_cost_total{route="openai",model="other",currency="USD"} 0.0"#,
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}: {metrics}"
        );
    }
}

#[tokio::test]
async fn a_limit_of_tokens_sets_aside_what_a_call_may_use_and_settles_what_it_did() {
    let upstream = saying("application/json", answer_using(20, 30)).await;
    let limits = json!([{"name": "tokens", "scope": "Pod", "tokens": 1000, "per": "1h"}]);
    let sidecar = serving(&upstream, limits).await;
    let mut client = sidecar.client().await;

    // Nine hundred are set aside and fifty used, so that the next nine hundred fit; a third time they do not.
    for left in [950, 900] {
        let request = ask(&client, Some(900), false);
        let answer = client.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        eventually("the call is settled", async || {
            let metrics = sidecar.metrics().await;
            let settled = format!("postern_limit_remaining{{limit=\"egress/tokens\"}} {left}.0\n");
            metrics.contains(&settled).then_some(())
        })
        .await;
    }
    let request = ask(&client, Some(900), false);
    let answer = client.send(request).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    let request = ask(&client, Some(2000), false);
    let answer = client.send(request).await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason()),
        (403, Some("limit_too_small"))
    );
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn a_limit_of_money_refuses_a_model_whose_price_is_not_known() {
    let upstream = saying("application/json", answer_using(20, 7)).await;
    let sidecar = Identity::openai_at(&upstream)
        .member("limits", json!([{"name": "daily", "scope": "Pod", "spend": "1.00", "currency": "USD", "per": "24h"}]))
        .serve()
        .await;
    let mut client = sidecar.client().await;
    let request = ask_unpriced(&client);
    let answer = client.send(request).await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason()),
        (403, Some("price_unknown"))
    );
    assert!(answer.text().contains("spec.prices"), "{}", answer.text());

    let request = ask(&client, Some(100), false);
    assert_eq!(client.send(request).await.status, 200);
}

#[tokio::test]
async fn what_an_upstream_refuses_uses_no_tokens() {
    let upstream = Upstream::answering(Protocol::Http1, |_, _| {
        Response::builder()
            .status(500)
            .header("content-type", "application/json")
            .body(full(r#"{"error":{"message":"overloaded"}}"#))
            .unwrap()
    })
    .await;
    let limits = json!([{"name": "tokens", "scope": "Pod", "tokens": 1000, "per": "1h"}]);
    let sidecar = serving(&upstream, limits).await;
    let mut client = sidecar.client().await;
    for _ in 0..3 {
        let request = ask(&client, Some(900), false);
        assert_eq!(client.send(request).await.status, 500);
        eventually("the call is settled", async || {
            let metrics = sidecar.metrics().await;
            metrics
                .contains(r#"postern_limit_remaining{limit="egress/tokens"} 1000"#)
                .then_some(())
        })
        .await;
    }
}

/// A stream of `count` chunks, and what OpenAI adds where the usage was asked for.
fn chunks(count: usize, asked: bool) -> String {
    let null = if asked { r#","usage":null"# } else { "" };
    let mut text: String = (0..count)
        .map(|number| {
            format!(
                r#"data: {{"id":"c","object":"chat.completion.chunk","model":"gpt-4o-mini","choices":[{{"index":0,"delta":{{"content":"word{number} "}},"finish_reason":null}}]{null}}}"#
            ) + "\n\n"
        })
        .collect();
    text += &format!(
        r#"data: {{"id":"c","object":"chat.completion.chunk","model":"gpt-4o-mini","choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}]{null}}}"#
    );
    text += "\n\n";
    if asked {
        text += r#"data: {"id":"c","object":"chat.completion.chunk","model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":22,"total_tokens":33}}"#;
        text += "\n\n";
    }
    text + "data: [DONE]\n\n"
}

#[tokio::test]
async fn a_stream_is_asked_for_its_usage_and_its_caller_sees_what_it_would_have_seen() {
    let upstream = saying("text/event-stream", chunks(3, true)).await;
    let sidecar = serving(&upstream, json!([])).await;
    let mut client = sidecar.client().await;
    let request = ask(&client, Some(100), true);
    let answer = client.send(request).await;
    assert_eq!(answer.text(), chunks(3, false));

    let sent: Value = serde_json::from_slice(&upstream.saw_one().body).unwrap();
    assert_eq!(sent["stream_options"], json!({"include_usage": true}));
    let line = line_of(answer.request_id()).await;
    assert_eq!(line["gen_ai.usage.input_tokens"], 11);
    assert_eq!(line["gen_ai.usage.output_tokens"], 22);
    assert_eq!(line["usage_source"], "complete");
    assert_eq!(line["outcome"], "complete");
}

#[tokio::test]
async fn a_caller_that_asks_itself_gets_the_usage() {
    let upstream = saying("text/event-stream", chunks(3, true)).await;
    let sidecar = serving(&upstream, json!([])).await;
    let mut client = sidecar.client().await;
    let body = json!({"model": "gpt-4o-mini", "messages": [], "stream": true, "stream_options": {"include_usage": true}}).to_string();
    let request = client
        .request("POST", CHAT)
        .header("content-type", "application/json")
        .body(full(body.clone()))
        .unwrap();
    assert_eq!(client.send(request).await.text(), chunks(3, true));
    assert_eq!(upstream.saw_one().body, body);
}

#[tokio::test]
async fn a_stream_whose_budget_ends_is_ended_with_an_error_that_the_caller_can_read() {
    let upstream = saying("text/event-stream", chunks(2000, true)).await;
    for (exceeded, ends) in [("EndStream", true), ("Finish", false)] {
        let limits = json!([{"name": "tokens", "scope": "Pod", "tokens": 500, "per": "1h", "budgetExceeded": exceeded}]);
        let sidecar = serving(&upstream, limits).await;
        let mut client = sidecar.client().await;
        let request = ask(&client, None, true);
        let answer = client.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        let events: Vec<&str> = text.split_terminator("\n\n").collect();
        let last: Value =
            serde_json::from_str(events.last().unwrap().strip_prefix("data: ").unwrap())
                .unwrap_or_default();
        assert_eq!(last["error"]["code"] == "limit_exceeded", ends, "{last}");
        assert_eq!(events.last() == Some(&"data: [DONE]"), !ends);
        let line = line_of(answer.request_id()).await;
        assert_eq!(
            line["outcome"],
            if ends { "limit_ended" } else { "complete" }
        );
        let ended = r#"postern_limit_ended_streams_total{limit="egress/tokens"} 1"#;
        assert_eq!(sidecar.metrics().await.contains(ended), ends);

        let request = ask(&client, None, true);
        // What the stream that finished used by its provider's word is little; what the other used is not known better than by its bytes.
        let status = client.send(request).await.status.as_u16();
        assert_eq!(status, if ends { 429 } else { 200 }, "{exceeded}");
    }
}

#[tokio::test]
async fn what_a_stream_leaves_is_there_for_the_next_call_before_the_stream_is_closed() {
    let (sender, body) = stream();
    let body = Mutex::new(Some(body));
    let upstream = Upstream::answering(Protocol::Http1, move |_, _| {
        let body = body.lock().unwrap().take();
        Response::builder()
            .header("content-type", "text/event-stream")
            .body(body.unwrap_or_else(|| full(chunks(1, true))))
            .unwrap()
    })
    .await;
    let limits = json!([{"name": "tokens", "scope": "Pod", "tokens": 1000, "per": "1h"}]);
    let sidecar = serving(&upstream, limits).await;
    let (mut first, mut second) = (sidecar.client().await, sidecar.client().await);

    // It says no bound, so that it holds all.
    let request = ask(&first, None, true);
    let mut open = first.open(request).await.unwrap();
    let request = ask(&second, None, true);
    assert_eq!(second.send(request).await.status, 429);

    let frame = http_body::Frame::data(bytes::Bytes::from(chunks(1, true)));
    sender.send(Ok(frame)).unwrap();
    open.body_mut().frame().await.unwrap().unwrap();
    let request = ask(&second, None, true);
    let answer = second.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    drop(sender);
}
