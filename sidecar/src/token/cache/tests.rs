//! Who fetches a token, how often, and for how long it is used. Time is paused.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderValue;
use tokio::task::JoinSet;

use super::*;

/// A server that has tokens, each with its number, and counts who asks.
#[derive(Clone, Default)]
struct Server {
    asked: Arc<AtomicUsize>,
    is_down: Arc<std::sync::atomic::AtomicBool>,
}

const LIFETIME: Duration = Duration::from_secs(3600);

impl Server {
    /// Answers a turn after a second.
    fn answer(&self, turn: Turn) {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let is_down = Arc::clone(&self.is_down);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            turn.end(if is_down.load(Ordering::SeqCst) {
                Err(Failure::Timeout)
            } else {
                let bought = Bought {
                    header: HeaderValue::from_str(&format!("token-{number}")).unwrap(),
                    needles: None,
                };
                Ok((bought, LIFETIME))
            });
        });
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn token(&self, cache: &Arc<Cache>) -> Result<String, Failure> {
        let bought = cache.current(|turn| self.answer(turn)).await?;
        Ok(bought.header.to_str().unwrap().to_owned())
    }
}

/// Lets this much of the paused time go by, and everything happen that comes in it.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_at_a_time_make_one_fetch() {
    let (server, cache) = (Server::default(), Arc::new(Cache::default()));
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (server, cache) = (server.clone(), Arc::clone(&cache));
        calls.spawn(async move { server.token(&cache).await.unwrap() });
    }
    assert!(
        calls
            .join_all()
            .await
            .iter()
            .all(|token| token == "token-1")
    );
    assert_eq!(server.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_used_until_it_nears_its_end_and_renewed_beside_the_call() {
    let (server, cache) = (Server::default(), Arc::new(Cache::default()));
    assert_eq!(server.token(&cache).await.unwrap(), "token-1");
    pass(3200).await;
    assert_eq!(server.token(&cache).await.unwrap(), "token-1");
    assert_eq!(server.asked(), 1);
    // 3600 s less 30 s of margin, less 300 s of lead.
    pass(100).await;
    let before = Instant::now();
    assert_eq!(server.token(&cache).await.unwrap(), "token-1");
    assert_eq!(Instant::now(), before, "no call waits for a renewal");
    assert_eq!(server.token(&cache).await.unwrap(), "token-1");
    assert_eq!(server.asked(), 2, "one renewal, however many calls");
    pass(2).await;
    assert_eq!(server.token(&cache).await.unwrap(), "token-2");
    assert_eq!(server.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_expired_is_never_used() {
    let (server, cache) = (Server::default(), Arc::new(Cache::default()));
    assert_eq!(server.token(&cache).await.unwrap(), "token-1");
    pass(3571).await;
    assert_eq!(server.token(&cache).await.unwrap(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_asked_ever_more_seldom() {
    let (server, cache) = (Server::default(), Arc::new(Cache::default()));
    server.is_down.store(true, Ordering::SeqCst);
    let mut asked_at = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(120) {
        let before = server.asked();
        assert!(server.token(&cache).await.is_err());
        if server.asked() > before {
            asked_at.push(begin.elapsed().as_secs());
        }
        pass(1).await;
    }
    assert!(asked_at.len() < 10, "{asked_at:?}");
    let last = asked_at.len() - 1;
    assert!(asked_at[last] - asked_at[last - 1] >= 30, "{asked_at:?}");
    server.is_down.store(false, Ordering::SeqCst);
    pass(31).await;
    assert!(server.token(&cache).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_leaves_the_token_in_use_to_its_end() {
    let (server, cache) = (Server::default(), Arc::new(Cache::default()));
    server.token(&cache).await.unwrap();
    server.is_down.store(true, Ordering::SeqCst);
    pass(3300).await;
    for _ in 0..5 {
        assert_eq!(server.token(&cache).await.unwrap(), "token-1");
        pass(40).await;
    }
    assert!(server.asked() > 2, "it is tried again");
    pass(100).await;
    assert!(server.token(&cache).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_goes_away_takes_no_fetch_with_it() {
    let (server, cache) = (Server::default(), Arc::new(Cache::default()));
    let impatient = tokio::time::timeout(Duration::from_millis(1), server.token(&cache)).await;
    assert!(impatient.is_err());
    assert_eq!(server.token(&cache).await.unwrap(), "token-1");
    assert_eq!(server.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_is_dropped_is_a_failure_and_not_a_wait_for_ever() {
    let cache = Arc::new(Cache::default());
    let result = cache.current(drop).await;
    assert!(matches!(result, Err(Failure::CutOff)));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_taken_is_fetched_anew_but_not_with_every_call() {
    let (server, cache) = (Server::default(), Arc::new(Cache::default()));
    assert_eq!(server.token(&cache).await.unwrap(), "token-1");
    for _ in 0..10 {
        cache.distrust();
        assert_eq!(server.token(&cache).await.unwrap(), "token-2");
    }
    pass(31).await;
    cache.distrust();
    assert_eq!(server.token(&cache).await.unwrap(), "token-3");
}
