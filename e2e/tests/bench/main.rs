//! What the benchmark computes is right: when calls count from, percentiles, and answers that come in any pieces. The benchmark has no harness for
//! tests of its own (it takes a quiet machine, and minutes), so its files are tested here.

#[path = "../../benches/proxy/load/answer.rs"]
mod answer;
#[path = "../../benches/proxy/load/pace.rs"]
mod pace;
#[path = "../../benches/proxy/statistics.rs"]
mod statistics;

use std::time::{Duration, Instant};

use answer::Reader;
use pace::{Pace, Turn};
use statistics::{Latency, Spread};

const LONG: Duration = Duration::from_secs(60);

fn after(begin: Instant, millis: u64) -> Instant {
    begin + Duration::from_millis(millis)
}

/// A pace of a call a millisecond, and when its first call was due.
fn every_millisecond(count: usize, limit: Duration) -> (Pace, Instant) {
    let pace = Pace::new(count, limit, Some(1000));
    let Turn::Now(begin) = pace.turn(Instant::now()) else {
        panic!("the first call is due at once");
    };
    (pace, begin)
}

#[test]
fn a_call_that_nobody_was_free_to_make_counts_from_when_it_was_due() {
    let (pace, begin) = every_millisecond(4, LONG);
    assert_eq!(pace.turn(after(begin, 30)), Turn::Now(after(begin, 1)));
    assert_eq!(pace.turn(after(begin, 60)), Turn::Now(after(begin, 2)));
}

#[test]
fn a_call_does_not_begin_before_it_is_due() {
    let (pace, begin) = every_millisecond(4, LONG);
    assert_eq!(pace.turn(begin), Turn::At(after(begin, 1)));
    assert_eq!(pace.turn(begin), Turn::At(after(begin, 2)));
}

#[test]
fn no_more_calls_are_made_than_there_are_or_than_the_time_allows() {
    let (few, begin) = every_millisecond(2, LONG);
    assert_eq!(few.turn(begin), Turn::At(after(begin, 1)));
    assert_eq!(few.turn(begin), Turn::Over);
    let (short, begin) = every_millisecond(9, Duration::from_millis(1));
    assert_eq!(short.turn(begin), Turn::At(after(begin, 1)));
    assert_eq!(short.turn(begin), Turn::Over);
    let (late, begin) = every_millisecond(9, Duration::from_millis(5));
    assert_eq!(late.turn(after(begin, 6)), Turn::Over);
}

#[tokio::test]
async fn a_caller_waits_until_its_call_is_due() {
    let (pace, begin) = every_millisecond(2, LONG);
    assert!(pace.next().await >= Some(after(begin, 1)));
    assert_eq!(pace.next().await, None);
}

#[test]
fn without_a_rate_a_caller_asks_again_as_soon_as_it_is_free() {
    let pace = Pace::new(9, LONG, None);
    let now = Instant::now();
    assert_eq!(pace.turn(now), Turn::Now(now));
    assert_eq!(pace.turn(after(now, 7)), Turn::Now(after(now, 7)));
}

#[test]
fn percentiles_are_times_that_were_measured() {
    let latency = Latency::of((1..=1000).map(Duration::from_micros)).expect("a thousand times");
    let found = [latency.p50, latency.p90, latency.p99, latency.p999];
    assert_eq!(found, [500.0, 900.0, 990.0, 999.0]);
    let one = Latency::of([Duration::from_micros(7)]).expect("one time");
    assert_eq!([one.p50, one.p999], [7.0, 7.0]);
    assert!(Latency::of([]).is_none());
}

#[test]
fn a_spread_is_the_median_with_its_extremes() {
    let spread = Spread::of([9.0, 1.0, 2.0]).expect("three values");
    assert_eq!(spread.to_string(), "2 (1 to 9)");
    let even = Spread::of([1.0, 2.0]).expect("two values");
    assert_eq!(format!("{even:.1}"), "1.5 (1.0 to 2.0)");
    assert!(Spread::of([]).is_none());
}

#[test]
fn an_answer_is_the_same_in_whatever_pieces_it_comes() {
    const CHUNKED: &str =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n1;x=y\r\ne\r\n0\r\n\r\n";
    const SIZED: &str = "HTTP/1.1 429 Later\r\nContent-Length: 5\r\n\r\nabcde";
    for (text, status) in [(CHUNKED, 200), (SIZED, 429)] {
        for size in 1..=text.len() {
            let mut reader = Reader::default();
            reader.clear();
            let mut pieces = text.as_bytes().chunks(size).peekable();
            while let Some(piece) = pieces.next() {
                let is_whole = reader.push(piece).expect("a good answer");
                assert_eq!(is_whole, pieces.peek().is_none(), "{size}");
            }
            assert_eq!((reader.status(), reader.body()), (status, &b"abcde"[..]));
        }
    }
}

#[test]
fn more_than_an_answer_is_an_error() {
    let text = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab";
    assert!(Reader::default().push(text).is_err());
    let endless = b"HTTP/1.1 200 OK\r\n\r\nab";
    assert!(Reader::default().push(endless).is_err());
}
