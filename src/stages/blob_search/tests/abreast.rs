//! Requests that are abreast come to what each would come to alone.

use proptest::prelude::*;

use super::super::abreast::Abreast;
use super::*;

/// Where a request stands when the pass begins.
#[derive(Debug, Clone)]
struct Start {
    resume_after: Option<usize>,
    missed: Option<(usize, bool)>,
    since: Option<i64>,
    has_account: bool,
}

/// What becomes of a blob.
#[derive(Debug, Clone, Copy)]
enum What {
    IsRead,
    Fails,
    IsPassedOver,
    IsCut,
}

#[derive(Debug, Clone)]
struct Blob {
    what: What,
    written: i64,
    /// Who is found in it.
    finds: Vec<usize>,
    /// All are stored while it is read.
    is_stored_within: bool,
    /// All are stored behind it.
    is_stored: bool,
    /// Another request joins behind it.
    joins: bool,
}

fn start() -> impl Strategy<Value = Start> {
    let missed = proptest::option::weighted(0.3, (0..8_usize, any::<bool>()));
    let after = proptest::option::weighted(0.3, 0..8_usize);
    let since = proptest::option::weighted(0.2, 0..4_i64);
    (after, missed, since, any::<bool>()).prop_map(|(resume_after, missed, since, has_account)| {
        Start {
            resume_after,
            missed,
            since,
            has_account,
        }
    })
}

fn blob() -> impl Strategy<Value = Blob> {
    let what = prop_oneof![
        5 => Just(What::IsRead),
        1 => Just(What::Fails),
        2 => Just(What::IsPassedOver),
        1 => Just(What::IsCut),
    ];
    let finds = proptest::collection::vec(0..5_usize, 0..4);
    let flags = proptest::array::uniform3(proptest::bool::weighted(0.2));
    (what, 0..4_i64, finds, flags).prop_map(
        |(what, written, finds, [is_stored_within, is_stored, joins])| Blob {
            what,
            written,
            finds,
            is_stored_within,
            is_stored,
            joins,
        },
    )
}

/// The second half lies in another account.
fn entry_of(n: usize, count: usize, blob: &Blob) -> (Entry, Order) {
    let file = ["logs.v1.data", "crashes/x", "errors/x", "attachments/x"][n % 4];
    let (name, order) = match n < count / 2 {
        true => (format!("b{n}/{file}"), Order::Own),
        false => (format!("@ex1/b{n}/{file}"), Order::SharedElsewhere),
    };
    let last_modified = Timestamp::from_second(blob.written).expect("a time");
    let entry = Entry {
        last_modified,
        ..entry(&name)
    };
    (entry, order)
}

/// What everybody comes to: what was stored, and what is not written yet.
type Outcome = Vec<(DayResult, Vec<u8>)>;

fn go(starts: &[Start], blobs: &[Blob], is_abreast: bool) -> (Vec<Outcome>, usize) {
    let entries: Vec<_> = (blobs.iter().enumerate())
        .map(|(n, blob)| entry_of(n, blobs.len(), blob))
        .collect();
    let place_of = |n: usize| {
        let (entry, order) = &entries[n % entries.len()];
        place(*order, &entry.name)
    };
    let accounts: BTreeSet<String> = [String::from("ex1")].into();
    let mut all: Vec<Progress> = (starts.iter())
        .map(|start| {
            let result = DayResult {
                resume_after: start.resume_after.map(place_of),
                missed: start.missed.map(|(up_to, is_next)| super::super::Missed {
                    up_to: place_of(up_to),
                    is_next,
                }),
                ..DayResult::default()
            };
            let since = start
                .since
                .map(|it| Timestamp::from_second(it).expect("a time"));
            let own = accounts.iter().filter(|_| start.has_account).cloned();
            Progress::new(result, since, Vec::new(), own.collect())
        })
        .collect();
    let mut abreast = Abreast::default();
    let mut stored = Vec::new();
    let mut came = 0;
    let mut store = |abreast: &mut Abreast, all: &mut [Progress]| {
        abreast.settle(&mut all.iter_mut().collect::<Vec<_>>());
        let states = all
            .iter_mut()
            .map(|it| (it.result.clone(), it.pending.clone()));
        stored.push(states.collect());
    };
    for ((entry, order), blob) in entries.iter().zip(blobs) {
        let here = Here::listed(entry, *order);
        let mut served: Vec<&mut Progress> = all.iter_mut().collect();
        if is_abreast {
            abreast.arrive(&mut served, &here, &accounts);
            came = came.max(served.iter().filter(|it| it.is_abreast()).count());
        } else {
            served.iter_mut().for_each(|it| it.arrive(&here));
        }
        let whole = whole();
        if let What::IsPassedOver = blob.what {
            match is_abreast {
                true => abreast.pass_over(&mut served, &here, &whole),
                false => (served.iter_mut()).for_each(|it| it.pass_over(&here, &whole)),
            }
        } else {
            served.iter_mut().for_each(|it| it.open(&here));
            for (record, n) in (0_u64..).zip(&blob.finds) {
                let found = Found {
                    customer: *n,
                    record,
                    app_id: None,
                    line: format!("{} {record} {n}\n", entry.name).into_bytes(),
                };
                if let Some(progress) = served.get_mut(*n) {
                    progress.take(&here, APP, &found);
                }
            }
            if blob.is_stored_within {
                store(&mut abreast, &mut all);
            }
            let mut served: Vec<&mut Progress> = all.iter_mut().collect();
            let ended = match blob.what {
                What::Fails => Err(super::super::scan::ScanError::Gone),
                What::IsCut => {
                    for progress in &mut served {
                        progress.count_cut(&here);
                    }
                    Ok(Ended {
                        is_whole: false,
                        ..whole
                    })
                }
                What::IsRead | What::IsPassedOver => Ok(whole),
            };
            match is_abreast {
                true => abreast.end(&mut served, &here, &ended),
                false => served.iter_mut().for_each(|it| it.end(&here, &ended)),
            }
        }
        if blob.is_stored {
            store(&mut abreast, &mut all);
        }
        if blob.joins {
            let mut progress =
                Progress::new(DayResult::default(), None, Vec::new(), accounts.clone());
            progress.miss(Some(here.into_place()));
            all.push(progress);
        }
    }
    abreast.settle(&mut all.iter_mut().collect::<Vec<_>>());
    for progress in &mut all {
        progress.reach_end();
    }
    store(&mut abreast, &mut all);
    (stored, came)
}

proptest! {
    #[test]
    fn who_is_abreast_comes_to_what_it_would_alone(
        starts in proptest::collection::vec(start(), 1..4),
        blobs in proptest::collection::vec(blob(), 1..10),
    ) {
        let (alone, _) = go(&starts, &blobs, false);
        let (abreast, _) = go(&starts, &blobs, true);
        prop_assert_eq!(alone, abreast);
    }
}

/// The usual case is the one that costs nothing: new requests are abreast at once, and so is one that joins.
#[test]
fn new_requests_are_abreast() {
    let start = Start {
        resume_after: None,
        missed: None,
        since: None,
        has_account: true,
    };
    let blob = Blob {
        what: What::IsRead,
        written: 0,
        finds: vec![0],
        is_stored_within: false,
        is_stored: false,
        joins: false,
    };
    let joins = Blob {
        joins: true,
        ..blob.clone()
    };
    let starts = [start.clone(), start];
    let one = std::slice::from_ref(&blob);
    assert_eq!(go(&starts, one, true).1, 2);
    assert_eq!(go(&starts, &[joins, blob.clone()], true).1, 3);
}
