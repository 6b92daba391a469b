//! The functions that no message of a request starts are killed, too: the timer at each write of what it does, and the
//! intake from the queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use appcenter_dsr::domain::RequestId;
use appcenter_dsr::host::dispatch;
use appcenter_dsr::stages::planned::sha256;
use appcenter_dsr::stages::{Context, intake_queue, sweep};
use appcenter_dsr::work::Error;
use appcenter_dsr::workflow::{Event, Message, Status, Step};
use appcenter_sim::World;

use crate::kill_at::{KillAt, Place};
use crate::pump::{Disturb, Pump};

const SMALL: &str = include_str!("../scenarios/small.toml");
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Every blob of the work container.
type Blobs = BTreeMap<String, Vec<u8>>;

async fn blobs(pump: &Pump) -> anyhow::Result<Blobs> {
    let app = pump.app(KillAt::never())?;
    let mut blobs = Blobs::new();
    for name in pump.blobs("").await? {
        if let Some(stored) = app.store.container().read(&name, 1 << 26).await? {
            blobs.insert(name, stored.bytes.to_vec());
        }
    }
    Ok(blobs)
}

/// Puts the work container back to what it was.
async fn restore(pump: &Pump, was: &Blobs) -> anyhow::Result<()> {
    let app = pump.app(KillAt::never())?;
    let container = app.store.container();
    for name in pump.blobs("").await? {
        if !was.contains_key(&name) {
            container.delete(&name).await?;
        }
    }
    for (name, bytes) in was {
        let content = bytes.clone();
        container.put(name, content, "application/json").await?;
    }
    Ok(())
}

/// The timer, as its function does it.
async fn timer(pump: &Pump, probe: &Arc<KillAt>) -> Result<(), Error> {
    let app = pump.app(Arc::clone(probe)).expect("its settings fit");
    let cx = Context::new(&app);
    let swept = sweep::run(cx).await?;
    Box::pin(dispatch::after_sweep(cx, swept)).await
}

/// Every place of a run with so many writes.
fn places(writes: usize) -> impl Iterator<Item = Place> {
    (0..writes).flat_map(|nth| [(nth, false), (nth, true)])
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_killed_at_every_write_ends_as_it_does_undisturbed() -> anyhow::Result<()> {
    let pump = Pump::start(World::parse(SMALL)?).await?;
    let (export, _) = pump.asked("export");
    let ended = pump.run(&export.document, &Disturb::nothing()).await?;
    assert_eq!(ended.status, Status::Completed, "{ended:#?}");
    let app = pump.app(KillAt::never())?;
    assert!(
        intake_queue::run(Context::new(&app), "no document")
            .await?
            .is_none()
    );
    // At 31 days package, plan and identifiers go; at 740 all that is left.
    for (days, is_gone) in [(31, false), (709, true)] {
        pump.clock.advance(DAY * days);
        let before = blobs(&pump).await?;
        let probe = KillAt::never();
        timer(&pump, &probe).await?;
        let writes = probe.names();
        assert!(writes.len() > 4, "{writes:?}");
        let after = blobs(&pump).await?;
        let names = |blobs: &Blobs| blobs.keys().cloned().collect::<Vec<_>>();
        assert_ne!(names(&before), names(&after));
        let mut kills = 0;
        for place in places(writes.len()) {
            restore(&pump, &before).await?;
            let what = format!("{place:?} {:?}", writes[place.0]);
            let killed = timer(&pump, &KillAt::each([place])).await;
            // Of blobs that are deleted at once the end of one can come after the begin of the next.
            kills += usize::from(matches!(killed, Err(Error::Killed)));
            timer(&pump, &KillAt::never()).await?;
            let is = blobs(&pump).await?;
            assert_eq!(names(&is), names(&after), "{what}");
            if is_gone {
                continue;
            }
            let record = pump.record(&ended.id).await?;
            assert!(record.work_removed && record.subject.is_none(), "{what}");
            let notes = record.history.iter();
            let removed = notes.filter(|it| it.what.contains("retention")).count();
            assert_eq!(removed, 1, "{what}: {:?}", record.history);
            let report = &is[&format!("reports/{}/001.json", ended.id)];
            assert_eq!(record.report_sha256, Some(sha256(report)), "{what}");
            let reports = |blobs: &Blobs| {
                let mut blobs = blobs.clone();
                blobs.retain(|name, _| name.starts_with("reports/"));
                blobs
            };
            assert!(reports(&is) == reports(&after), "{what}");
        }
        assert!(kills > writes.len(), "{kills} kills at {writes:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_killed_at_every_write_is_sent_again_or_given_up() -> anyhow::Result<()> {
    let pump = Pump::start(World::parse(SMALL)?).await?;
    let (known, _) = pump.asked("known");
    let id = pump.submit(&known.document, &Disturb::nothing()).await?;
    let app = pump.app(KillAt::never())?;
    let poison = app.store.queue("export-configure-poison");
    poison.create_if_missing().await?;
    let work = pump.account.queue("export-configure")?;
    let text = Message::step(&id, 1, Step::Configure, None).text();
    let counted = format!("sweep/poison/{id}/001-configure-cut.json");
    let mut before = blobs(&pump).await?;
    for is_given_up in [false, true] {
        if is_given_up {
            before.insert(counted.clone(), br#"{"resent":3}"#.to_vec());
        }
        let once = async |probe: Arc<KillAt>| {
            restore(&pump, &before).await?;
            work.clear(None).await?;
            poison.send(&text, Duration::ZERO).await?;
            let done = timer(&pump, &probe).await;
            if done.is_err() {
                // What was not taken away comes back once it is visible again, or is still there.
                poison.send(&text, Duration::ZERO).await?;
                timer(&pump, &KillAt::never()).await?;
            }
            pump.account
                .queue("export-configure-poison")?
                .clear(None)
                .await?;
            anyhow::Ok(done.is_err())
        };
        let probe = KillAt::never();
        assert!(!once(Arc::clone(&probe)).await?);
        let writes = probe.names();
        assert!(!writes.is_empty());
        for place in places(writes.len()) {
            let what = format!("{place:?} {:?}", writes[place.0]);
            assert!(
                once(KillAt::each([place])).await?,
                "{what}: it was not killed"
            );
            let record = pump.record(&id).await?;
            let is_failed = record.status == Status::Failed;
            assert_eq!(is_failed, is_given_up, "{what}: {record:#?}");
            let messages = work.receive_messages(None).await?.into_model()?;
            let is_sent = messages.items.is_some_and(|it| !it.is_empty());
            assert_eq!(is_sent, !is_given_up, "{what}");
            let open = pump.blobs("open/").await?;
            assert_eq!(open.is_empty(), is_given_up, "{what}: {open:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intake_from_the_queue_killed_at_every_write() -> anyhow::Result<()> {
    let pump = Pump::start(World::parse(SMALL)?).await?;
    let (known, _) = pump.asked("known");
    let id = RequestId::derive(
        "delete",
        known.document["reference"].as_str().expect("a text"),
    );
    let refused = r#"{"kind":"wipe","reference":"SMALL-R"}"#;
    // The host delivers the message again after a kill.
    let deliver = async |text: &str, probe: &Arc<KillAt>| {
        let app = pump.app(Arc::clone(probe)).expect("its settings fit");
        let cx = Context::new(&app);
        let accepted = intake_queue::run(cx, text).await?;
        let Some(accepted) = accepted.filter(|it| it.is_to_start()) else {
            return Ok(());
        };
        let record = accepted.record();
        dispatch::advance(cx, &record.id, record.run, Event::Accepted).await
    };
    // The key by which refused ones are named.
    pump.app(KillAt::never())?.fingerprint(b"x").await?;
    let before = blobs(&pump).await?;
    for text in [known.document.to_string().as_str(), refused] {
        restore(&pump, &before).await?;
        let probe = KillAt::never();
        deliver(text, &probe).await?;
        let writes = probe.names();
        assert!(!writes.is_empty());
        let after: Vec<String> = blobs(&pump).await?.into_keys().collect();
        for place in places(writes.len()) {
            restore(&pump, &before).await?;
            let what = format!("{place:?} {:?}", writes[place.0]);
            let killed = deliver(text, &KillAt::each([place])).await;
            assert!(matches!(killed, Err(Error::Killed)), "{what}: {killed:?}");
            deliver(text, &KillAt::never()).await?;
            let is: Vec<String> = blobs(&pump).await?.into_keys().collect();
            assert_eq!(is, after, "{what}");
        }
    }
    restore(&pump, &before).await?;
    deliver(&known.document.to_string(), &KillAt::never()).await?;
    let record = pump.drive(&id, &Disturb::nothing()).await?;
    assert_eq!(record.status, Status::AwaitingApproval);
    Ok(())
}
