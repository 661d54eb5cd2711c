use std::time::Duration;

use postern_crds::{
    facts::{Call, Model, Models},
    money::Usd,
    policy::{BudgetExceeded, Measure},
    price::{Listed, Price},
    usage::Usage,
};

use super::{exceeded::Why, expected::Output, *};

const MINUTE: Duration = Duration::from_secs(60);

fn limit(measure: Measure) -> Limit {
    Limit {
        id: RuleId {
            policy: "budget".into(),
            rule: "limit".into(),
        },
        credentials: vec!["*".into()],
        measure,
        per: MINUTE,
        enforce: true,
        assumed_price: None,
        exceeded: BudgetExceeded::EndStream,
    }
}

fn named(name: &str, limit: Limit) -> Limit {
    Limit {
        id: RuleId {
            rule: name.into(),
            ..limit.id
        },
        ..limit
    }
}

fn tokens(input: u64, output: Output) -> Expected {
    Expected {
        input: Some(input),
        output,
        listed: None,
        can_end: false,
    }
}

fn stream(input: u64, output: Output) -> Expected {
    Expected {
        can_end: true,
        ..tokens(input, output)
    }
}

fn used(input: u64, output: u64) -> Usage {
    Usage {
        input,
        output,
        ..Usage::default()
    }
}

/// Limits, the ones in force, and a clock that stands until it is moved.
struct Fixture {
    limits: Arc<Limits>,
    in_force: Vec<Limit>,
    now: Instant,
}

impl Fixture {
    fn new(in_force: impl Into<Vec<Limit>>) -> Self {
        Self {
            limits: Arc::default(),
            in_force: in_force.into(),
            now: Instant::now(),
        }
    }

    fn reserve(&self, expected: &Expected) -> Result<Reservation, Exceeded> {
        self.limits
            .reserve(&self.in_force, "openai", expected, self.now)
    }

    fn start(&self, expected: &Expected) -> Running {
        self.reserve(expected).expect("there is room").send()
    }

    fn refusal(&self, expected: &Expected) -> Why {
        self.reserve(expected)
            .expect_err("it should be refused")
            .why
    }

    /// One whole call.
    fn call(&self, expected: &Expected, usage: &Usage) {
        self.start(expected).settle(usage, self.now);
    }

    fn left(&self) -> u64 {
        self.limits.remaining(&self.in_force, self.now)[0].left
    }
}

#[test]
fn requests_are_refused_beyond_the_limit_and_pass_again_when_the_window_has_slid() {
    let mut fixture = Fixture::new([limit(Measure::Requests(2))]);
    fixture.call(&Expected::NOTHING, &used(0, 0));
    fixture.now += Duration::from_secs(30);
    fixture.call(&Expected::NOTHING, &used(0, 0));

    let refused = fixture.reserve(&Expected::NOTHING).unwrap_err();
    // The first call's slice ends a second after it, and counts for a minute from then on.
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(31)));
    assert_eq!(
        refused.to_string(),
        "limit budget/limit of 2 requests is used up"
    );

    fixture.now += Duration::from_secs(31);
    fixture.call(&Expected::NOTHING, &used(0, 0));
    assert!(fixture.reserve(&Expected::NOTHING).is_err());
}

#[test]
fn no_span_of_the_window_s_length_ever_has_more_than_the_limit() {
    const LIMIT: usize = 7;
    let mut fixture = Fixture::new([limit(Measure::Requests(LIMIT as u64))]);
    let mut passed = Vec::new();
    for step in 0..5000_u64 {
        fixture.now += Duration::from_millis(37 + step * step % 2111);
        if let Ok(reservation) = fixture.reserve(&Expected::NOTHING) {
            passed.push(fixture.now);
            reservation.send().settle(&used(0, 0), fixture.now);
        }
    }
    let too_close = passed
        .windows(LIMIT + 1)
        .find(|calls| calls[LIMIT] - calls[0] < MINUTE);
    assert_eq!(too_close, None);
    // Nor is capacity lost: what came back late came a slice late.
    let minutes = (passed[passed.len() - 1] - passed[0]).as_secs() / 62;
    assert!(passed.len() as u64 > minutes * LIMIT as u64);
}

#[test]
fn what_was_set_aside_and_not_used_is_free_again() {
    let fixture = Fixture::new([limit(Measure::Tokens(1000))]);
    let running = fixture.start(&tokens(100, Output::Asked(800)));
    assert_eq!(fixture.left(), 100);
    running.settle(&used(90, 10), fixture.now);
    assert_eq!(fixture.left(), 900);
}

#[test]
fn what_was_used_beyond_what_was_set_aside_counts() {
    let fixture = Fixture::new([limit(Measure::Tokens(1000))]);
    fixture.call(&tokens(100, Output::Asked(100)), &used(400, 500));
    assert_eq!(fixture.left(), 100);
}

#[test]
fn a_call_that_was_not_sent_leaves_no_trace() {
    let fixture = Fixture::new([
        limit(Measure::Requests(1)),
        named("tokens", limit(Measure::Tokens(1000))),
        named("at-a-time", limit(Measure::Concurrent(1))),
    ]);
    drop(fixture.reserve(&tokens(1, Output::Asked(999))).unwrap());
    fixture.start(&tokens(1, Output::Asked(999))).release();
    let _whole = fixture.reserve(&tokens(1, Output::Asked(999))).unwrap();
}

#[test]
fn a_call_that_was_sent_and_forgotten_counts_as_all_that_was_set_aside() {
    let fixture = Fixture::new([
        limit(Measure::Tokens(1000)),
        named("at-a-time", limit(Measure::Concurrent(1))),
    ]);
    drop(fixture.start(&tokens(1, Output::Asked(899))));
    assert_eq!(fixture.left(), 100);
    let _next = fixture.reserve(&tokens(1, Output::Asked(9))).unwrap();
}

#[test]
fn a_refused_call_takes_nothing_of_the_limits_that_had_room() {
    let fixture = Fixture::new([
        limit(Measure::Requests(10)),
        named("tokens", limit(Measure::Tokens(10))),
    ]);
    for _ in 0..20 {
        let refused = fixture.reserve(&tokens(5, Output::Asked(6))).unwrap_err();
        assert_eq!(refused.limit.rule, "tokens");
    }
    assert_eq!(fixture.left(), 10);
}

#[test]
fn of_several_limits_in_the_way_the_one_that_lasts_longest_is_named() {
    let hour = Limit {
        per: MINUTE * 60,
        ..named("hour", limit(Measure::Requests(1)))
    };
    let mut fixture = Fixture::new([limit(Measure::Requests(1)), hour]);
    fixture.call(&Expected::NOTHING, &used(0, 0));
    assert_eq!(
        fixture.reserve(&Expected::NOTHING).unwrap_err().limit.rule,
        "hour"
    );
    fixture
        .in_force
        .push(named("small", limit(Measure::Tokens(1))));
    let refused = fixture.reserve(&tokens(2, Output::Asked(0))).unwrap_err();
    assert_eq!(refused.limit.rule, "small");
    assert_eq!(refused.retry_after(), None);
}

#[test]
fn calls_at_a_time_are_counted_until_they_end() {
    let fixture = Fixture::new([limit(Measure::Concurrent(2))]);
    let first = fixture.start(&Expected::NOTHING);
    let _second = fixture.start(&Expected::NOTHING);
    assert_eq!(fixture.refusal(&Expected::NOTHING), Why::Held);
    first.settle(&used(0, 0), fixture.now);
    let _third = fixture.reserve(&Expected::NOTHING).unwrap();
}

#[test]
fn a_long_call_is_held_past_the_window_and_counts_from_its_end() {
    let mut fixture = Fixture::new([limit(Measure::Tokens(100))]);
    let running = fixture.start(&tokens(50, Output::Asked(50)));
    fixture.now += MINUTE * 10;
    assert_eq!(fixture.refusal(&tokens(1, Output::Asked(0))), Why::Held);
    running.settle(&used(50, 50), fixture.now);
    fixture.now += MINUTE;
    assert!(matches!(
        fixture.refusal(&tokens(1, Output::Asked(0))),
        Why::Used { .. }
    ));
    fixture.now += Duration::from_secs(1);
    let _next = fixture.reserve(&tokens(1, Output::Asked(0))).unwrap();
}

#[test]
fn credentials_that_a_limit_does_not_name_do_not_count() {
    let only = Limit {
        credentials: vec!["claude".into()],
        ..limit(Measure::Requests(0))
    };
    let fixture = Fixture::new([only]);
    let _free = fixture.reserve(&Expected::NOTHING).unwrap();
    let refused =
        fixture
            .limits
            .reserve(&fixture.in_force, "claude", &Expected::NOTHING, fixture.now);
    assert!(refused.is_err());
}

#[test]
fn a_bound_that_the_call_says_itself_must_fit() {
    let fixture = Fixture::new([limit(Measure::Tokens(1000))]);
    fixture.call(&tokens(0, Output::Asked(600)), &used(0, 600));
    assert!(matches!(
        fixture.refusal(&stream(1, Output::Asked(400))),
        Why::Used { .. }
    ));
    let refused = fixture
        .reserve(&stream(1, Output::Asked(1000)))
        .unwrap_err();
    assert_eq!(refused.why, Why::TooLarge { most: 1001 });
    assert_eq!(
        refused.to_string(),
        "this call may use 1001 tokens, which is more than the whole of limit budget/limit of 1000 tokens: ask for fewer output tokens"
    );
}

#[test]
fn a_stream_without_a_bound_gets_what_is_left_and_is_ended_when_it_is_used_up() {
    for output in [Output::Unknown, Output::Model(128_000)] {
        let fixture = Fixture::new([limit(Measure::Tokens(1000))]);
        let mut running = fixture.start(&stream(100, output));
        assert_eq!(fixture.left(), 0);
        assert_eq!(running.draw(&used(100, 900), fixture.now), Draw::Continue);
        assert_eq!(
            running.draw(&used(100, 901), fixture.now),
            Draw::Exhausted(fixture.in_force[0].id.clone())
        );
    }
}

#[test]
fn a_stream_that_outgrows_its_share_takes_more_while_there_is_more() {
    let fixture = Fixture::new([limit(Measure::Tokens(1000))]);
    let mut running = fixture.start(&stream(10, Output::Asked(90)));
    assert_eq!(running.draw(&used(300, 100), fixture.now), Draw::Continue);
    assert_eq!(fixture.left(), 600);
    let _other = fixture.reserve(&tokens(0, Output::Asked(500))).unwrap();
    assert_eq!(running.draw(&used(300, 200), fixture.now), Draw::Continue);
    assert!(matches!(
        running.draw(&used(300, 201), fixture.now),
        Draw::Exhausted(_)
    ));
    running.settle(&used(300, 201), fixture.now);
    assert_eq!(fixture.left(), 0);
}

#[test]
fn a_whole_answer_without_a_bound_is_refused_where_the_limit_is_hard() {
    let fixture = Fixture::new([limit(Measure::Tokens(1000))]);
    let refused = fixture.reserve(&tokens(100, Output::Unknown)).unwrap_err();
    assert_eq!(refused.why, Why::Unbounded);
    assert!(refused.to_string().ends_with("set max_tokens"));
    assert_eq!(
        fixture.refusal(&tokens(1, Output::Model(1000))),
        Why::Unbounded
    );
    let _fits = fixture.reserve(&tokens(1, Output::Model(999))).unwrap();
}

#[test]
fn an_answer_that_may_finish_counts_against_what_comes_next() {
    let soft = Limit {
        exceeded: BudgetExceeded::Finish,
        ..limit(Measure::Tokens(1000))
    };
    let mut fixture = Fixture::new([soft]);
    let mut running = fixture.start(&stream(100, Output::Unknown));
    assert_eq!(running.draw(&used(100, 5000), fixture.now), Draw::Continue);
    running.settle(&used(100, 5000), fixture.now);
    let small = tokens(1, Output::Asked(1));
    assert!(matches!(fixture.refusal(&small), Why::Used { .. }));
    fixture.now += Duration::from_secs(61);
    let _next = fixture.reserve(&small).unwrap();
}

#[test]
fn a_body_that_was_not_read_has_no_bound() {
    let fixture = Fixture::new([limit(Measure::Tokens(1000))]);
    let unread = Expected {
        input: None,
        ..tokens(0, Output::Asked(1))
    };
    assert!(fixture.reserve(&unread).is_err());
}

fn priced(input: u64, output: Output) -> Expected {
    Expected {
        listed: Some(Price::flat(Usd::from_pico(2), Usd::from_pico(10)).into()),
        ..tokens(input, output)
    }
}

#[test]
fn money_is_set_aside_at_the_most_and_settled_at_the_real_price() {
    let fixture = Fixture::new([limit(Measure::Spend(Usd::from_pico(1000)))]);
    let running = fixture.start(&priced(100, Output::Asked(80)));
    assert_eq!(fixture.left(), 0);
    running.settle(&used(100, 5), fixture.now);
    assert_eq!(fixture.left(), 1000 - 250);
}

#[test]
fn a_price_that_is_not_known_is_refused_or_assumed_and_never_zero() {
    let spend = limit(Measure::Spend(Usd::from_pico(1000)));
    let fixture = Fixture::new([spend.clone()]);
    let refused = fixture.reserve(&tokens(1, Output::Asked(1))).unwrap_err();
    assert_eq!(refused.why, Why::UnknownPrice);
    assert_eq!(refused.retry_after(), None);

    let assumes = Limit {
        assumed_price: Some(Price::flat(Usd::from_pico(3), Usd::from_pico(4))),
        ..spend
    };
    let fixture = Fixture::new([assumes]);
    fixture.call(&tokens(10, Output::Asked(100)), &used(10, 10));
    assert_eq!(fixture.left(), 1000 - 70);
}

#[test]
fn a_call_that_no_model_answers_is_free() {
    let spend = limit(Measure::Spend(Usd::ZERO));
    let fixture = Fixture::new([spend]);
    let listing = Call {
        operation: postern_crds::facts::Operation::Files,
        ..Call::default()
    };
    let _free = fixture
        .reserve(&Expected::of(&listing, None, false))
        .unwrap();
    // What is not known may cost anything.
    assert_eq!(
        fixture.refusal(&Expected::of(&Call::default(), None, false)),
        Why::UnknownPrice
    );
}

#[test]
fn a_call_is_expected_to_use_its_bound_for_every_answer() {
    let listed = Listed {
        max_output_tokens: Some(500),
        ..Listed::FREE
    };
    let call = |max_tokens, n| Call {
        operation: postern_crds::facts::Operation::Chat,
        models: Models::Named(vec![Model::new("m")]),
        max_tokens,
        n,
        ..Call::default()
    };
    let output = |call: &Call, listed| Expected::of(call, listed, false).output;
    assert_eq!(output(&call(Some(10), 3), Some(listed)), Output::Asked(30));
    assert_eq!(output(&call(Some(10), 0), None), Output::Asked(10));
    assert_eq!(output(&call(None, 2), Some(listed)), Output::Model(1000));
    assert_eq!(output(&call(None, 2), None), Output::Unknown);
    let embeddings = Call {
        operation: postern_crds::facts::Operation::Embeddings,
        ..call(None, 1)
    };
    assert_eq!(output(&embeddings, None), Output::Asked(0));
}

#[test]
fn a_limit_that_observes_refuses_nothing_counts_all_and_says_what_it_would_refuse() {
    let observes = Limit {
        enforce: false,
        ..limit(Measure::Requests(1))
    };
    let fixture = Fixture::new([observes]);
    let first = fixture.reserve(&Expected::NOTHING).unwrap();
    assert_eq!(first.observed(), []);
    let _first = first.send();
    let second = fixture.reserve(&Expected::NOTHING).unwrap();
    assert!(matches!(second.observed()[0].why, Why::Used { .. }));
    assert_eq!(fixture.left(), 0);
}

#[test]
fn a_stream_is_never_ended_by_a_limit_that_observes() {
    let observes = Limit {
        enforce: false,
        ..limit(Measure::Tokens(10))
    };
    let fixture = Fixture::new([observes]);
    let mut running = fixture.start(&stream(1, Output::Unknown));
    assert_eq!(running.draw(&used(1, 1000), fixture.now), Draw::Continue);
}

#[test]
fn a_limit_whose_numbers_change_keeps_what_was_used() {
    let mut fixture = Fixture::new([limit(Measure::Requests(2))]);
    fixture.call(&Expected::NOTHING, &used(0, 0));
    fixture.in_force = vec![];
    let _unlimited = fixture.start(&Expected::NOTHING);
    fixture.in_force = vec![limit(Measure::Requests(5))];
    assert_eq!(fixture.left(), 4);
    fixture.in_force = vec![Limit {
        per: MINUTE * 60,
        ..limit(Measure::Requests(5))
    }];
    fixture.now += MINUTE * 2;
    assert_eq!(fixture.left(), 4);
    // Another measure is another limit, whatever its name.
    fixture.in_force = vec![limit(Measure::Concurrent(5))];
    assert_eq!(fixture.left(), 5);
}

#[test]
fn sixty_four_callers_at_once_never_pass_a_limit_together() {
    const LIMIT: u64 = 10_000;
    let limits: Arc<Limits> = Arc::default();
    let in_force = vec![
        limit(Measure::Tokens(LIMIT)),
        named("at-a-time", limit(Measure::Concurrent(16))),
    ];
    let now = Instant::now();
    let in_use = std::sync::atomic::AtomicU64::new(0);
    let highest = std::sync::atomic::AtomicU64::new(0);
    let total = std::sync::atomic::AtomicU64::new(0);
    let order = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|scope| {
        for caller in 0..64_u64 {
            let (limits, in_force) = (&limits, &in_force);
            let (in_use, highest, total) = (&in_use, &highest, &total);
            scope.spawn(move || {
                for round in 0..50 {
                    let expected = tokens(10, Output::Asked(90));
                    let Ok(reservation) = limits.reserve(in_force, "openai", &expected, now) else {
                        continue;
                    };
                    let running = reservation.send();
                    highest.fetch_max(in_use.fetch_add(1, order) + 1, order);
                    std::thread::yield_now();
                    let usage = used(10, (caller + round) % 91);
                    total.fetch_add(usage.total(), order);
                    in_use.fetch_sub(1, order);
                    running.settle(&usage, now);
                }
            });
        }
    });
    assert!(highest.into_inner() <= 16);
    let total = total.into_inner();
    assert!(total <= LIMIT, "{total}");
    let left = limits.remaining(&in_force, now);
    assert_eq!(left[0].left, LIMIT - total);
    assert_eq!(left[1].limit.id.rule, "at-a-time");
    assert_eq!(left[1].left, 16);
    assert!(
        left[0].left < 100,
        "the budget was used, or this shows nothing"
    );
}
