//! Hits in bounded memory, and a blob that takes more than one pass.

mod abreast;
mod joining;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::DayResult;
use super::days::{Order, sources};
use super::here::{Here, place};
use super::needles::Needles;
use super::progress::Progress;
use super::scan::{Chunk, Customer, Ended, Found, Job, MIN_READ, News, scan_chunks};
use crate::domain::{AppRef, Subject};
use crate::search::Searcher;
use crate::storage::{ETag, Entry};
use crate::work::names;

const BLOB: &str = "2026/11/20/09/03/logs.v1.data";
const APP: &str = "6a1c2f80-3d54-4c2e-8a0e-1f1f9d9c0a11";

fn job(deadline: Instant) -> Job {
    let subject = Subject {
        user_ids: vec!["u-20417".to_owned()],
        ..Subject::default()
    };
    let needles = Needles {
        subject,
        ..Needles::default()
    };
    let searcher = Searcher::new(&[needles.identifiers()]).expect("an identifier");
    Job {
        searcher: Arc::new(searcher),
        customers: Arc::new([Arc::new(Customer {
            needles,
            keeps_text: false,
        })]),
        count: None,
        deadline,
        tokens: None,
    }
}

fn rows(bytes: usize) -> Vec<u8> {
    let mut blob = Vec::with_capacity(bytes + 200);
    while blob.len() < bytes {
        blob.extend_from_slice(
            format!("{{\"AppId\":\"{APP}\",\"UserId\":\"u-20417\"}}\n").as_bytes(),
        );
    }
    blob
}

/// Scans a blob; `listen` takes the news.
fn scan(
    blob: &[u8],
    deadline: Instant,
    fed: &AtomicUsize,
    listen: impl FnOnce(mpsc::Receiver<News>),
) -> Option<Ended> {
    let (send, chunks) = mpsc::channel(4);
    let (news, heard) = mpsc::channel(2);
    let job = job(deadline);
    thread::scope(|scope| {
        scope.spawn(move || {
            for chunk in blob.chunks(16 * 1024) {
                let chunk = Chunk::Bytes(Bytes::copy_from_slice(chunk));
                if send.blocking_send(chunk).is_err() {
                    return;
                }
                fed.fetch_add(1, Ordering::SeqCst);
            }
            _ = send.blocking_send(Chunk::End);
        });
        let scan = scope.spawn(move || scan_chunks(chunks, &job, (BLOB, &ETag::from("1")), &news));
        listen(heard);
        scan.join().expect("no panic")
    })
}

fn batches(mut heard: mpsc::Receiver<News>) -> Vec<Vec<Found>> {
    let mut all = Vec::new();
    while let Some(news) = heard.blocking_recv() {
        if let News::Found(batch) = news {
            all.push(batch);
        }
    }
    all
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

#[test]
fn a_scan_waits_for_those_who_take_its_hits() {
    let blob = rows(2 * 1024 * 1024);
    let fed = AtomicUsize::new(0);
    let mut all = Vec::new();
    let ended = scan(&blob, later(), &fed, |heard| {
        // It goes as far as it can without anybody taking a hit.
        let mut before = usize::MAX;
        while before != fed.load(Ordering::SeqCst) || before == 0 {
            before = fed.load(Ordering::SeqCst);
            thread::sleep(Duration::from_millis(500));
        }
        assert!(before < 32, "{before} of 128 chunks were read");
        all = batches(heard);
    });
    let ended = ended.expect("it came to its end");
    assert!(ended.is_whole);
    let lengths = all
        .iter()
        .map(|batch| batch.iter().map(|it| it.line.len()).sum::<usize>());
    assert!(lengths.max().is_some_and(|longest| longest < 70 * 1024));
    let records: Vec<u64> = all.iter().flatten().map(|it| it.record).collect();
    assert!(records.iter().copied().eq(0..ended.records));
}

#[test]
fn time_ends_a_scan_within_a_blob_between_two_records() {
    let blob = rows(9 * 1024 * 1024);
    let fed = AtomicUsize::new(0);
    let mut found = 0;
    let ended = scan(&blob, Instant::now(), &fed, |heard| {
        found = batches(heard).iter().map(Vec::len).sum();
    });
    let ended = ended.expect("it says where it was");
    assert!(!ended.is_whole);
    assert!((MIN_READ..MIN_READ + 128 * 1024).contains(&ended.bytes));
    assert_eq!(ended.records, found as u64, "what was searched was told");
    assert!(ended.not_searched.is_empty(), "{:?}", ended.not_searched);
}

#[test]
fn short_blobs_are_read_whole_whatever_the_clock_says() {
    let blob = rows(64 * 1024);
    let fed = AtomicUsize::new(0);
    let ended = scan(&blob, Instant::now(), &fed, |heard| drop(batches(heard)));
    assert!(ended.is_some_and(|it| it.is_whole));
}

fn entry(name: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        size: 1000,
        etag: "\"1\"".into(),
        last_modified: Timestamp::UNIX_EPOCH,
    }
}

fn whole() -> Ended {
    Ended {
        is_whole: true,
        own: super::scan::OwnReports::default(),
        records: 10,
        bytes: 1000,
        not_searched: Vec::new(),
        tokens: None,
    }
}

/// The stored state: a slice's result, and parts that a killed pass may leave without anybody naming them.
#[derive(Default)]
struct Storage {
    result: DayResult,
    parts: Vec<(String, String)>,
}

impl Storage {
    fn progress(&self) -> Progress {
        let text = serde_json::to_string(&self.result).expect("it is stored as JSON");
        let result = serde_json::from_str(&text).expect("and read again");
        Progress::new(result, None, Vec::new(), BTreeSet::new())
    }

    /// Writes parts and, unless the pass is killed before, the slice.
    fn store(&mut self, progress: &mut Progress, is_killed: bool) {
        for (bytes, is_own) in progress.unwritten() {
            if bytes.is_empty() {
                continue;
            }
            let name = self.parts.len().to_string();
            let text = String::from_utf8(bytes).expect("lines are text");
            self.parts.push((name.clone(), text));
            progress.wrote(name, is_own);
        }
        if !is_killed {
            self.result = progress.result.clone();
        }
    }

    fn hits(&self) -> String {
        let named = self.result.parts.iter().map(|name| {
            let part = self.parts.iter().find(|(part, _)| part == name);
            part.expect("a part that is named is there").1.as_str()
        });
        named.collect()
    }
}

/// Reads a blob of ten hits, every third of another app, up to a record.
fn read(progress: &mut Progress, name: &str, etag: &str, up_to: u64) {
    let entry = entry(name);
    let mut here = Here::listed(&entry, Order::Own);
    progress.arrive(&here);
    here.opened(ETag::from(etag));
    progress.open(&here);
    for record in 0..up_to {
        let app = if record % 3 == 2 { "another" } else { APP };
        let found = Found {
            customer: 0,
            record,
            app_id: Some(app.to_owned()),
            line: format!("{name} {etag} {record}\n").into_bytes(),
        };
        progress.take(&here, APP, &found);
    }
}

fn end(progress: &mut Progress, name: &str) {
    let entry = entry(name);
    progress.end(&Here::listed(&entry, Order::Own), &Ok(whole()));
}

fn wants(progress: &Progress, name: &str) -> bool {
    progress.wants(&Here::listed(&entry(name), Order::Own))
}

fn count_cut(progress: &mut Progress, name: &str) -> Option<u32> {
    progress.count_cut(&Here::listed(&entry(name), Order::Own))
}

/// What a day of two blobs comes to when nothing happens.
fn undisturbed(etag: &str) -> (String, u64, u64, u64) {
    let mut storage = Storage::default();
    let mut progress = storage.progress();
    for (name, etag) in [("a", "1"), ("b", etag)] {
        read(&mut progress, name, etag, 10);
        end(&mut progress, name);
    }
    storage.store(&mut progress, false);
    outcome(&storage)
}

fn outcome(storage: &Storage) -> (String, u64, u64, u64) {
    let result = &storage.result;
    (storage.hits(), result.hits, result.foreign, result.records)
}

#[test]
fn a_pass_that_ends_within_a_blob_loses_and_doubles_nothing() {
    let expected = undisturbed("1");
    for first in 0..=10 {
        for second in 0..=10 {
            for is_killed in [false, true] {
                let mut storage = Storage::default();
                let mut progress = storage.progress();
                read(&mut progress, "a", "1", 10);
                end(&mut progress, "a");
                read(&mut progress, "b", "1", first);
                storage.store(&mut progress, is_killed);
                let mut progress = storage.progress();
                assert!(is_killed || !wants(&progress, "a"));
                if is_killed {
                    read(&mut progress, "a", "1", 10);
                    end(&mut progress, "a");
                }
                assert!(wants(&progress, "b"));
                read(&mut progress, "b", "1", second);
                storage.store(&mut progress, false);
                let mut progress = storage.progress();
                read(&mut progress, "b", "1", 10);
                end(&mut progress, "b");
                storage.store(&mut progress, false);
                assert_eq!(outcome(&storage), expected, "{first} {second} {is_killed}");
                assert!(!wants(&storage.progress(), "b"));
            }
        }
    }
}

#[test]
fn of_another_version_nothing_counts_that_was_taken_before() {
    let mut storage = Storage::default();
    let mut progress = storage.progress();
    read(&mut progress, "a", "1", 10);
    end(&mut progress, "a");
    read(&mut progress, "b", "1", 7);
    storage.store(&mut progress, false);
    read(&mut progress, "b", "1", 9);
    storage.store(&mut progress, false);
    let mut progress = storage.progress();
    read(&mut progress, "b", "2", 10);
    end(&mut progress, "b");
    storage.store(&mut progress, false);
    assert_eq!(outcome(&storage), undisturbed("2"));
}

#[test]
fn a_blob_that_is_gone_keeps_what_was_found_in_it_and_is_named() {
    let mut storage = Storage::default();
    let mut progress = storage.progress();
    read(&mut progress, "b", "1", 7);
    assert_eq!(count_cut(&mut progress, "b"), Some(1));
    storage.store(&mut progress, false);
    let mut progress = storage.progress();
    assert_eq!(progress.cut_at(), Some("0b"));
    read(&mut progress, "c", "1", 10);
    end(&mut progress, "c");
    storage.store(&mut progress, false);
    assert_eq!(storage.result.hits, 5 + 7);
    let named: Vec<&str> = storage
        .result
        .unreadable
        .iter()
        .map(|it| it.blob.as_str())
        .collect();
    assert_eq!(named, ["b"]);
}

#[test]
fn a_blob_that_no_pass_can_end_is_named_with_its_place() {
    let mut storage = Storage::default();
    for tries in 1..=super::pass::MAX_CUTS {
        let mut progress = storage.progress();
        read(&mut progress, "b", "1", 7);
        assert_eq!(count_cut(&mut progress, "b"), Some(tries));
        if tries == super::pass::MAX_CUTS {
            let cut = Ended {
                is_whole: false,
                records: 7,
                bytes: 700,
                ..whole()
            };
            let entry = entry("b");
            progress.end(&Here::listed(&entry, Order::Own), &Ok(cut));
        }
        storage.store(&mut progress, false);
    }
    let result = &storage.result;
    assert_eq!((result.hits, result.records, result.bytes), (5, 7, 700));
    assert_eq!(
        result.not_searched[0].reason,
        "not searched beyond record 7 (at byte 700 of 1000): 4 invocations were too short"
    );
    assert!(!wants(&storage.progress(), "b"));
}

#[test]
fn places_ascend_over_sources_and_accounts() {
    let app = AppRef::new("contoso", "shop").expect("valid");
    let accounts: BTreeSet<String> = ["ex2", "ex1", "zz9"].map(str::to_owned).into();
    let day = "2026-11-20".parse().expect("a day");
    let sources = sources(&app, "0f1e2d3c", &accounts, day);
    assert_eq!(sources.len(), 3 + 2 * accounts.len());
    let mut progress = Progress::new(DayResult::default(), None, Vec::new(), accounts);
    for source in &sources {
        let name = |file: &str| {
            let blob = format!("{}{file}", source.prefix);
            match &source.account {
                Some(account) => names::in_account(account, &blob),
                None => blob,
            }
        };
        // A pass may end after every blob: the next one wants all that follow, and none before.
        for file in ["a", "b"] {
            let entry = entry(&name(file));
            let here = Here::listed(&entry, source.order);
            assert!(progress.wants(&here), "{}", entry.name);
            progress.arrive(&here);
            progress.open(&here);
            progress.end(&here, &Ok(whole()));
            assert!(!progress.wants(&here), "{}", entry.name);
        }
    }
    let strangers = entry("@other/2026/11/20/a");
    let here = Here::listed(&strangers, Order::SharedElsewhere);
    assert!(!progress.wants(&here));
}
