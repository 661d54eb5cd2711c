//! Where messages end, however their bytes arrive, and which heads are refused.

use super::*;

/// What the whole of `bytes` is taken for, when it arrives in pieces of `size`.
fn read(bytes: &[u8], size: usize) -> (usize, Option<Step>) {
    let mut framing = Framing::new();
    let mut heads = 0;
    let mut at = 0;
    let mut end = 0;
    while end < bytes.len() {
        end = (end + size).min(bytes.len());
        loop {
            match framing.step(&bytes[at..end]) {
                Step::Head(length) => {
                    heads += 1;
                    at += length;
                }
                Step::Pass(length) | Step::Skip(length) => at += length,
                Step::Wait => break,
                refused @ (Step::Refuse(_) | Step::Broken) => return (heads, Some(refused)),
            }
        }
    }
    assert_eq!(at, bytes.len(), "bytes are left that belong to no message");
    (heads, None)
}

fn read_in_every_way(bytes: &[u8]) -> (usize, Option<Step>) {
    let whole = read(bytes, bytes.len());
    for size in 1..bytes.len() {
        assert_eq!(read(bytes, size), whole, "in pieces of {size}");
    }
    whole
}

#[test]
fn messages_end_where_they_should_in_every_split() {
    let stream = b"\r\nGET /a HTTP/1.1\r\nhost: x\r\n\r\n\
        POST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nGET /\
        POST /c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: Chunked\r\n\r\n\
        1a;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nx-sum: 1\r\n\r\n\
        POST /d HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(read_in_every_way(stream), (4, None));
}

#[test]
fn a_body_that_is_not_looked_at_ends_where_it_should() {
    let stream = b"POST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nGET /\
        POST /c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\
        1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n\
        GET /d HTTP/1.1\r\nhost: x\r\n\r\n";
    for most in 1..30 {
        let mut framing = Framing::new();
        let (mut heads, mut at) = (0, 0);
        while at < stream.len() {
            let plain = framing.plain().min(most);
            if plain > 0 {
                framing.passed(plain);
                at += plain as usize;
                continue;
            }
            match framing.step(&stream[at..]) {
                Step::Head(length) => {
                    heads += 1;
                    at += length;
                }
                Step::Pass(length) => at += length,
                other => panic!("{other:?} at {at}"),
            }
        }
        assert_eq!((heads, framing.is_in_head()), (3, true), "{most} at a time");
    }
}

#[test]
fn a_length_that_can_be_read_in_two_ways_is_refused() {
    for headers in [
        "content-length: 5\r\ncontent-length: 5",
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 5",
        "content-length: +5",
        "content-length: 0x5",
        "content-length: ",
        "content-length: 99999999999999999999",
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 5",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: identity",
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked\r\nContent-Length: 5",
    ] {
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\n");
        let expected = (0, Some(Step::Refuse(HeadError::Framing)));
        assert_eq!(read_in_every_way(head.as_bytes()), expected, "{headers}");
    }
    let old = b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(
        read_in_every_way(old).1,
        Some(Step::Refuse(HeadError::Framing))
    );
}

#[test]
fn a_head_that_lenient_readers_repair_is_refused() {
    for head in [
        "GET / HTTP/1.1\nhost: x\n\n",
        "GET / HTTP/1.1\r\nhost: x\n\r\n",
        "GET / HTTP/1.1\r\nhost : x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\n content-length: 5\r\n\r\n",
        "GET / HTTP/1.1\r\nx: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nx: a\0b\r\n\r\n",
        "GET /a b HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / HTTP/2.0\r\nhost: x\r\n\r\n",
        "GET /\r\n\r\n",
        "G@T / HTTP/1.1\r\nhost: x\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let expected = (0, Some(Step::Refuse(HeadError::Malformed)));
        assert_eq!(read_in_every_way(head.as_bytes()), expected, "{head:?}");
    }
}

#[test]
fn a_head_has_a_largest_size() {
    let just_below = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "a".repeat(MAX_HEAD - 100)
    );
    assert_eq!(read(just_below.as_bytes(), 8192), (1, None));
    let refused = (0, Some(Step::Refuse(HeadError::TooLarge)));
    let endless = format!("GET / HTTP/1.1\r\nx: {}", "a".repeat(MAX_HEAD));
    assert_eq!(read(endless.as_bytes(), 8192), refused);
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
    assert_eq!(read(many.as_bytes(), 8192), refused);
}

#[test]
fn a_body_that_makes_no_sense_breaks_the_connection() {
    let chunked = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    for body in [
        "5\nhello",
        "x\r\n",
        "-5\r\n",
        " 5\r\n",
        "5 \r\n",
        "0x5\r\n",
        "ffffffffffffffff\r\n",
        "5\r\nhelloX",
        "5\r\nhello\n",
        "\r\n",
        "0\r\nx: a\rb\r\n",
    ] {
        let stream = format!("{chunked}{body}");
        assert_eq!(
            read_in_every_way(stream.as_bytes()),
            (1, Some(Step::Broken)),
            "{body:?}"
        );
    }
    let endless_line = format!("{chunked}5;{}", "x".repeat(MAX_CHUNK_LINE));
    assert_eq!(read(endless_line.as_bytes(), 100), (1, Some(Step::Broken)));
    let endless_trailers = format!("{chunked}0\r\n{}", "x: y\r\n".repeat(MAX_TRAILERS / 6 + 1));
    assert_eq!(
        read(endless_trailers.as_bytes(), 100),
        (1, Some(Step::Broken))
    );
}
