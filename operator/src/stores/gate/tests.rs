//! A thousand who want something of a store that is slow, or down: on virtual time, and with a store that counts.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::{
    task::JoinSet,
    time::{advance, sleep},
};

use super::*;

const IDENTITIES: usize = 1000;
const PERIOD: Duration = Duration::from_secs(30);

/// A store that answers after a while.
struct Slow {
    takes: Duration,
    /// From when to when it fails.
    down: std::ops::Range<Duration>,
    started: Instant,
    /// When it was asked.
    asked: Mutex<Vec<Duration>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Slow {
    fn new(takes: Duration, down: std::ops::Range<u64>) -> Arc<Self> {
        let seconds = Duration::from_secs;
        Arc::new(Self {
            takes,
            down: seconds(down.start)..seconds(down.end),
            started: Instant::now(),
            asked: Mutex::default(),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        })
    }

    async fn answer(&self) -> Result<Arc<()>, Problem> {
        let at = self.started.elapsed();
        self.asked.lock().unwrap().push(at);
        self.most
            .fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        sleep(self.takes).await;
        self.now.fetch_sub(1, SeqCst);
        if self.down.contains(&at) {
            Err(Problem::Server(503))
        } else {
            Ok(Arc::new(()))
        }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// How often it was asked in its busiest second from `from` on.
    fn busiest(&self, from: Duration) -> usize {
        let asked = self.asked.lock().unwrap();
        let mut seconds: HashMap<u64, usize> = HashMap::new();
        for at in asked.iter().filter(|at| **at >= from) {
            *seconds.entry(at.as_secs()).or_default() += 1;
        }
        seconds.into_values().max().unwrap_or_default()
    }
}

type Counted = Arc<Gate<usize, ()>>;

fn gate(registry: &mut Registry) -> Counted {
    Arc::new(Gate::new("corp".to_owned(), Metrics::register(registry)))
}

async fn read(gate: &Counted, store: &Arc<Slow>, path: usize) -> Outcome<()> {
    let start = || {
        let (gate, store) = (Arc::clone(gate), Arc::clone(store));
        async move { gate.ask(store.answer()).await }.boxed()
    };
    gate.share(path, start).await
}

/// So many identities with a path each, which all start at the same moment, and read again after each period, as the controller has them do it. Each says when
/// it was last given something.
fn identities(
    count: usize,
    gate: &Counted,
    store: &Arc<Slow>,
) -> (JoinSet<()>, Arc<Mutex<Vec<Duration>>>) {
    let given = Arc::new(Mutex::new(vec![Duration::ZERO; count]));
    let mut tasks = JoinSet::new();
    for path in 0..count {
        let (gate, store, given) = (Arc::clone(gate), Arc::clone(store), Arc::clone(&given));
        tasks.spawn(async move {
            loop {
                if read(&gate, &store, path).await.is_ok() {
                    given.lock().unwrap()[path] = store.started.elapsed();
                }
                sleep(jitter(PERIOD)).await;
            }
        });
    }
    (tasks, given)
}

fn circuit(registry: &Registry) -> String {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    let mut lines = text.lines();
    let line = lines.find(|line| line.starts_with("operator_store_circuit_open{"));
    line.unwrap_or_default().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_identities_ask_a_slow_store_a_few_at_a_time_and_nothing_piles_up() {
    let gate = gate(&mut Registry::default());
    let store = Slow::new(Duration::from_millis(100), 0..0);
    let (mut tasks, given) = identities(IDENTITIES, &gate, &store);
    sleep(PERIOD * 20).await;
    let most = store.most.load(SeqCst);
    assert_eq!(most, CONCURRENT, "so many at once");
    // Everybody is served again and again.
    let oldest = given.lock().unwrap().iter().min().copied().unwrap();
    assert!(oldest > PERIOD * 18, "{oldest:?}");
    // As many are remembered as are on their way.
    let waiting = gate.flights.lock().unwrap().len();
    assert!(waiting < IDENTITIES, "{waiting}");
    tasks.shutdown().await;
    let _ = read(&gate, &store, 0).await;
    assert_eq!(gate.flights.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_herd_that_started_at_once_has_dispersed_after_a_while() {
    let gate = gate(&mut Registry::default());
    let store = Slow::new(Duration::from_millis(1), 0..0);
    let (tasks, _) = identities(IDENTITIES, &gate, &store);
    sleep(PERIOD * 20).await;
    assert_eq!(
        store.busiest(Duration::ZERO),
        IDENTITIES,
        "all start at once"
    );
    let busiest = store.busiest(PERIOD * 10);
    assert!(busiest < IDENTITIES / 6, "{busiest}");
    drop(tasks);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_for_an_hour_is_tried_by_one_at_a_time_and_everybody_is_back_soon() {
    let mut registry = Registry::default();
    let gate = gate(&mut registry);
    let store = Slow::new(Duration::from_secs(1), 600..4200);
    // As many as it can serve: four a second.
    let (tasks, given) = identities(100, &gate, &store);
    sleep(Duration::from_secs(599)).await;
    assert_eq!(
        circuit(&registry),
        "operator_store_circuit_open{store=\"corp\"} 0"
    );
    let before = store.asked();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(
        circuit(&registry),
        "operator_store_circuit_open{store=\"corp\"} 1"
    );
    // Pauses of 1, 2, 4 … and then 60 seconds, a tenth more or less.
    let tries = store.asked() - before;
    assert!((60..90).contains(&tries), "{tries}");
    sleep(Duration::from_secs(150)).await;
    assert_eq!(
        circuit(&registry),
        "operator_store_circuit_open{store=\"corp\"} 0"
    );
    let oldest = given.lock().unwrap().iter().min().copied().unwrap();
    assert!(oldest > Duration::from_secs(4200), "{oldest:?}");
    assert!(store.most.load(SeqCst) <= CONCURRENT);
    drop(tasks);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_turn_says_nothing_of_the_store() {
    let mut registry = Registry::default();
    let gate = gate(&mut registry);
    let store = Slow::new(Duration::from_secs(14), 0..0);
    let readings = (0..CONCURRENT * 2).map(|path| read(&gate, &store, path));
    let readings = futures::future::join_all(readings).await;
    let failed: Vec<Problem> = readings.into_iter().filter_map(Result::err).collect();
    assert_eq!(failed, vec![Problem::Crowded(TURN); CONCURRENT]);
    assert!(read(&gate, &store, 0).await.is_ok());
    assert_eq!(
        circuit(&registry),
        "operator_store_circuit_open{store=\"corp\"} 0"
    );
}

#[tokio::test(start_paused = true)]
async fn one_who_tries_a_store_for_all_and_goes_away_does_not_lock_it() {
    let gate = gate(&mut Registry::default());
    let store = Slow::new(Duration::from_secs(1), 0..1);
    assert_eq!(read(&gate, &store, 0).await, Err(Problem::Server(503)));
    advance(Duration::from_secs(2)).await;
    let tried = read(&gate, &store, 0).now_or_never();
    assert!(tried.is_none(), "it was on its way, and is no more");
    assert!(read(&gate, &store, 1).await.is_err());
    advance(Duration::from_secs(READ)).await;
    assert!(read(&gate, &store, 1).await.is_ok());
}
