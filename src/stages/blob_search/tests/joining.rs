//! Requests that join a pass under way: each gets every blob of the day once, whatever happens to the passes.

use proptest::prelude::*;

use super::*;

/// What happens after a blob of a pass.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// Nothing.
    Goes,
    /// Another request joins.
    Joins,
    /// The pass saves itself and ends.
    Ends,
    /// The pass is killed.
    IsKilled,
    /// It is killed, or ends, within the blob that comes then.
    IsCut,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Goes),
        2 => Just(Event::Joins),
        1 => Just(Event::Ends),
        1 => Just(Event::IsKilled),
        1 => Just(Event::IsCut),
    ]
}

/// Reads a day of blobs for everybody, pass by pass; what each came to, and how many blobs were read.
fn search(blobs: &[String], events: &[Event]) -> (Vec<Storage>, usize) {
    let mut events = events.iter().copied();
    let mut all = vec![Storage::default()];
    let mut is_over = vec![false];
    let mut reads = 0;
    while is_over.contains(&false) {
        let open: Vec<usize> = (0..all.len()).filter(|n| !is_over[*n]).collect();
        let mut seats: Vec<(usize, Progress)> =
            open.iter().map(|n| (*n, all[*n].progress())).collect();
        let mut is_ended = false;
        for name in blobs {
            let next = events.next().unwrap_or(Event::Goes);
            if seats.iter().any(|(_, progress)| wants(progress, name)) {
                reads += 1;
                let is_cut = matches!(next, Event::IsCut);
                for (_, progress) in &mut seats {
                    read(progress, name, "1", if is_cut { 4 } else { 10 });
                    if is_cut {
                        count_cut(progress, name);
                    } else {
                        end(progress, name);
                    }
                }
            }
            match next {
                Event::Goes => continue,
                Event::Joins if all.len() < 5 => {
                    let mut storage = Storage::default();
                    let mut progress = storage.progress();
                    assert!(progress.is_new());
                    progress.miss(Some(place(Order::Own, name)));
                    seats.push((all.len(), progress));
                    all.push(std::mem::take(&mut storage));
                    is_over.push(false);
                    continue;
                }
                Event::Joins => continue,
                Event::Ends | Event::IsCut => {
                    for (n, progress) in &mut seats {
                        all[*n].store(progress, false);
                    }
                }
                Event::IsKilled => {}
            }
            is_ended = true;
            break;
        }
        if is_ended {
            continue;
        }
        for (n, progress) in &mut seats {
            is_over[*n] = progress.reach_end();
            all[*n].store(progress, false);
        }
    }
    (all, reads)
}

fn sorted(hits: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = hits.lines().collect();
    lines.sort_unstable();
    lines
}

proptest! {
    #[test]
    fn who_joins_gets_every_blob_once(
        count in 1..8_usize,
        events in proptest::collection::vec(event(), 0..60),
    ) {
        let blobs: Vec<String> = (0..count).map(|n| format!("b{n}")).collect();
        let (expected, _) = search(&blobs, &[]);
        let (all, _) = search(&blobs, &events);
        for storage in &all {
            let hits = storage.hits();
            let wanted = expected[0].hits();
            prop_assert_eq!(sorted(&hits), sorted(&wanted));
            prop_assert_eq!(&storage.result.blobs, &expected[0].result.blobs);
            prop_assert_eq!(storage.result.records, expected[0].result.records);
            prop_assert_eq!(storage.result.foreign, expected[0].result.foreign);
            prop_assert!(storage.result.unreadable.is_empty());
        }
    }
}

/// Who joins reads on with the others, and afterwards only what was over by then.
#[test]
fn what_was_missed_is_all_that_is_read_again() {
    let blobs: Vec<String> = (0..10).map(|n| format!("b{n}")).collect();
    let mut events = vec![Event::Goes; 6];
    events[2] = Event::Joins;
    events[5] = Event::Joins;
    let (all, reads) = search(&blobs, &events);
    assert_eq!(all.len(), 3);
    // All ten once, and the six that the later one missed.
    assert_eq!(reads, 16);
}
