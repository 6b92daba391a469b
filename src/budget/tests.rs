//! Against a real emulator.

use std::sync::Arc;
use std::time::Duration;

use azurite::Azurite;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tokio::time::Instant;

use super::{Budget as _, BudgetSpec, Exhausted, SharedBudget};
use crate::clock::{Clock, ShiftedClock};
use crate::storage::{Account, AccountSettings, Container};

const BLOB: &str = "budget/ledger.json";

struct World {
    _azurite: Azurite,
    connection: String,
    clock: Arc<ShiftedClock>,
}

impl World {
    async fn start() -> Self {
        let azurite = Azurite::start().await.expect("Azurite starts");
        Self {
            connection: azurite.account().connection_string(),
            _azurite: azurite,
            clock: Arc::new(ShiftedClock::default()),
        }
    }

    fn container(&self) -> Container {
        let settings = AccountSettings::ConnectionString(SecretString::from(&*self.connection));
        Account::open(&settings)
            .expect("it opens")
            .container("work")
    }

    /// Another instance of the service.
    fn instance(&self, spec: &str) -> Arc<SharedBudget> {
        let spec = BudgetSpec::parse(spec).expect("a budget");
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Arc::new(SharedBudget::new(self.container(), BLOB, spec, clock))
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Acquires with 16 callers at once until the budget is exhausted, and says how many were given and until when.
async fn drain(budget: &Arc<SharedBudget>) -> (u64, Timestamp) {
    let callers = (0..16).map(|_| {
        let budget = Arc::clone(budget);
        tokio::spawn(async move {
            let mut given = 0_u64;
            loop {
                match budget.acquire().await {
                    Ok(_leave) => given += 1,
                    Err(Exhausted { until }) => return (given, until),
                }
            }
        })
    });
    let mut total = (0, Timestamp::MAX);
    for caller in join_all(callers).await {
        let (given, until) = caller.expect("it ran");
        total = (total.0 + given, total.1.min(until));
    }
    total
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_share_what_there_is() {
    let world = World::start().await;
    let instances: Vec<_> = (0..3).map(|_| world.instance("400/300s")).collect();
    let started = world.now();
    let given: u64 = join_all(instances.iter().map(drain))
        .await
        .iter()
        .map(|(given, _)| given)
        .sum();
    // What was taken ahead and not used is at most a hundredth each.
    assert!((388..=400).contains(&given), "{given}");
    // A new instance, as after a restart, finds it exhausted as well.
    let (more, until) = drain(&world.instance("400/300s")).await;
    assert!(given + more <= 400, "{given} {more}");
    let wait = until.duration_since(started);
    assert!(
        (SignedDuration::from_secs(306)..SignedDuration::from_secs(330)).contains(&wait),
        "{wait:?}"
    );
    // Nothing more within the window, all of it after.
    world.advance(295);
    assert_eq!(drain(&instances[0]).await.0, 0);
    world.advance(35);
    let (again, _) = drain(&instances[1]).await;
    assert!((388..=400).contains(&again), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_wait_is_waited() {
    let world = World::start().await;
    let budget = world.instance("5/1s");
    let begin = Instant::now();
    for _ in 0..6 {
        // A window of one second and its margins are over in four.
        while let Err(exhausted) = budget.acquire().await {
            assert!(exhausted.until > world.now());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    let took = begin.elapsed();
    assert!(took > Duration::from_secs(2), "{took:?}");
    assert!(took < Duration::from_secs(9), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_write_serves_many_callers() {
    let world = World::start().await;
    let instances = [world.instance("60000/300s"), world.instance("60000/300s")];
    let begin = Instant::now();
    let callers = (0..32).map(|n| {
        let budget = Arc::clone(&instances[n % 2]);
        tokio::spawn(async move {
            let mut given = 0_u64;
            while begin.elapsed() < Duration::from_secs(3) {
                budget.acquire().await.expect("there is plenty");
                given += 1;
                // The call itself.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            given
        })
    });
    let mut given = 0;
    for caller in join_all(callers).await {
        given += caller.expect("it ran");
    }
    let per_second = given / 3;
    assert!(per_second >= 250, "{per_second} a second");
    // Little is taken that is not used.
    let ledger = world.container().read(BLOB, 1 << 20).await;
    let ledger = ledger.expect("readable").expect("there").bytes;
    let ledger: serde_json::Value = serde_json::from_slice(&ledger).expect("JSON");
    let granted: u64 = ledger["granted"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry[1].as_u64().expect("a number"))
        .sum();
    assert!(
        granted >= given && granted - given <= 1200,
        "{granted} {given}"
    );
}

#[tokio::test]
async fn unused_tokens_are_given_back() {
    let world = World::start().await;
    let budget = world.instance("1000/300s");
    // Fast enough that tokens are taken ahead.
    for _ in 0..400 {
        budget.acquire().await.expect("there is plenty");
    }
    world.advance(5);
    budget.acquire().await.expect("there is plenty");
    // Nothing is lost: what lapsed was given back with the write of the last one.
    let (rest, _) = drain(&budget).await;
    assert!(401 + rest >= 990 && 401 + rest <= 1000, "{rest}");
}

#[tokio::test]
async fn answered_calls_are_free_again_sooner() {
    let world = World::start().await;
    let budget = world.instance("20/300s");
    let begin = world.now();
    for n in 0..20 {
        let leave = budget.acquire().await.expect("there is one");
        if n < 15 {
            budget.answered(leave);
        }
    }
    // The one who is refused has nothing to write, and forgets nothing: it tells what it knows with its next grant.
    let until = budget.acquire().await.expect_err("all are taken").until;
    let wait = until.duration_since(begin).as_secs();
    assert!((302..306).contains(&wait), "{wait}");
    world.advance(u64::try_from(wait).expect("ahead"));
    let (free, until) = drain(&budget).await;
    assert!(free >= 15, "{free}");
    let wait = until.duration_since(begin).as_secs();
    assert!((306..312).contains(&wait) || free == 20, "{free} {wait}");
}

#[tokio::test]
async fn holds_are_for_all() {
    let world = World::start().await;
    let (one, two) = (world.instance("500/300s"), world.instance("500/300s"));
    one.acquire().await.expect("there is plenty");
    let until = world.now() + SignedDuration::from_secs(60);
    two.hold_until(until).await;
    assert_eq!(two.acquire().await, Err(Exhausted { until }));
    // The other one learns it with its next write, the restarted one at once.
    let restarted = world.instance("500/300s");
    let seen = restarted.acquire().await.expect_err("held");
    assert!(seen.until >= until && seen.until <= until + SignedDuration::from_secs(1));
    world.advance(5);
    assert!(one.acquire().await.is_err());
    world.advance(60);
    for instance in [one, two, restarted] {
        assert!(instance.acquire().await.is_ok());
    }
}

#[tokio::test]
async fn a_ledger_nobody_can_read_is_full() {
    let world = World::start().await;
    let huge = vec![b'1'; 300 * 1024];
    for content in [&b"{\"version\":1,\"gran"[..], b"", &huge[..]] {
        let container = world.container();
        container
            .put(BLOB, content.to_vec(), "x/y")
            .await
            .expect("put");
        let written = world.now();
        for _ in 0..2 {
            let closed = world.instance("500/300s").acquire().await;
            let until = closed.expect_err("full").until;
            let wait = until.duration_since(written).as_secs();
            assert!((307..312).contains(&wait), "{wait}");
        }
        world.advance(312);
        assert!(world.instance("500/300s").acquire().await.is_ok());
    }
}

#[tokio::test]
async fn a_newer_ledger_is_left_alone() {
    let world = World::start().await;
    let newer = "{\"version\":2,\"tokens\":{}}";
    let container = world.container();
    let etag = container.put(BLOB, newer, "x/y").await.expect("put");
    let budget = world.instance("500/300s");
    assert!(budget.acquire().await.is_err());
    budget.hold_until(world.now()).await;
    let stored = container
        .read(BLOB, 100)
        .await
        .expect("read")
        .expect("there");
    assert_eq!((&stored.bytes[..], stored.etag), (newer.as_bytes(), etag));
}

#[tokio::test]
async fn storage_that_is_away_exhausts_for_a_moment() {
    let settings = AccountSettings::ConnectionString(SecretString::from(
        "AccountName=t;AccountKey=eA==;BlobEndpoint=http://127.0.0.1:1/t;QueueEndpoint=http://127.0.0.1:1/t",
    ));
    let container = Account::open(&settings)
        .expect("it opens")
        .container("work");
    let clock = Arc::new(ShiftedClock::default());
    let spec = BudgetSpec::parse("500/300s").expect("a budget");
    let budget = SharedBudget::new(container, BLOB, spec, Arc::clone(&clock) as Arc<dyn Clock>);
    let begin = Instant::now();
    let until = budget.acquire().await.expect_err("no storage").until;
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert!(until < clock.now() + SignedDuration::from_secs(10));
}
