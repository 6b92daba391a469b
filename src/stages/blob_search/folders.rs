//! The days that have a folder under a prefix, found by asking for the first name of a year, a month, a day.
//!
//! Storage lists names in their order, and dates are written so that this is the order of days: the first name under a
//! prefix says where data begins, and nothing before it is asked for. The cost depends on days, not on blobs.

use std::future::Future;
use std::ops::RangeInclusive;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::civil::Date;

/// App Center opened in 2015; no archive is older.
const FIRST_YEAR: i16 = 2015;
/// What the names of all years of it begin with.
const CENTURY: &str = "20";
/// Prefixes that are asked for at once.
const PARALLEL: usize = 16;

/// A folder that holds something.
struct Folder {
    /// Its name, with a slash at the end.
    prefix: String,
    /// Year, month, day, as far as it goes.
    date: [i16; 3],
    /// The first blob in it.
    first: String,
}

/// The days up to the end of `last_year` that have a folder `yyyy/MM/dd/` under a prefix, in order.
///
/// `first_under` gives the first name that begins with a prefix, in the order of names.
///
/// # Errors
/// Those of `first_under`.
pub(super) async fn folders<F, Answer, E>(
    first_under: F,
    under: &str,
    last_year: i16,
) -> Result<Vec<Date>, E>
where
    F: Fn(String) -> Answer,
    Answer: Future<Output = Result<Option<String>, E>>,
{
    let Some(first) = first_under(format!("{under}{CENTURY}")).await? else {
        return Ok(Vec::new());
    };
    let root = Folder {
        prefix: under.to_owned(),
        date: [0; 3],
        first,
    };
    let mut found = vec![root];
    for (level, range) in [FIRST_YEAR..=last_year, 1..=12, 1..=31]
        .into_iter()
        .enumerate()
    {
        let asked = found.iter().flat_map(|folder| below(folder, level, &range));
        // What is known needs no question.
        let answers = asked.map(|it| {
            let first_under = &first_under;
            async move {
                let first = match it.first {
                    Some(first) => Some(first),
                    None => first_under(it.prefix.clone()).await?,
                };
                Ok::<_, E>(first.map(|first| Folder {
                    prefix: it.prefix,
                    date: it.date,
                    first,
                }))
            }
        });
        // The level's questions are made at once: they borrow nothing of the folders above.
        let answers: Vec<_> = answers.collect();
        let answers: Vec<Option<Folder>> = futures::stream::iter(answers)
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        found = answers.into_iter().flatten().collect();
    }
    let dates = found.into_iter().filter_map(|folder| {
        let [year, month, day] = folder.date;
        Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
    });
    Ok(dates.collect())
}

/// A folder that may hold something.
struct Asked {
    prefix: String,
    date: [i16; 3],
    /// The first blob in it, where the folder above told it.
    first: Option<String>,
}

/// The folders below one that may hold something: none before the one of its first blob. Where that one is no folder of
/// the kind, it may be any.
fn below(folder: &Folder, level: usize, range: &RangeInclusive<i16>) -> Vec<Asked> {
    let width = if level == 0 { 4 } else { 2 };
    let known = folder
        .first
        .strip_prefix(&folder.prefix)
        .and_then(|rest| rest.split_once('/'))
        .filter(|(name, _)| name.len() == width && name.bytes().all(|it| it.is_ascii_digit()))
        .and_then(|(name, _)| name.parse().ok());
    let from = known.map_or(*range.start(), |known: i16| known.max(*range.start()));
    (from..=*range.end())
        .map(|number| {
            let mut date = folder.date;
            date[level] = number;
            Asked {
                prefix: format!("{}{number:0width$}/", folder.prefix),
                date,
                first: (known == Some(number)).then(|| folder.first.clone()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// The days found among names, and how many questions it took.
    fn found(names: &BTreeSet<String>, under: &str) -> (Vec<Date>, usize) {
        let asked = Cell::new(0);
        let first_under = |prefix: String| {
            asked.set(asked.get() + 1);
            let first = names.range(prefix.clone()..).next();
            let first = first.filter(|name| name.starts_with(&prefix)).cloned();
            async move { Ok::<_, Infallible>(first) }
        };
        let days = futures::executor::block_on(folders(first_under, under, 2027));
        let Ok(days) = days;
        (days, asked.get())
    }

    fn check(names: &[&str], under: &str, days: &[&str]) -> usize {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let (found, asked) = found(&names, under);
        let found: Vec<String> = found.iter().map(Date::to_string).collect();
        assert_eq!(found, days, "{names:?}");
        asked
    }

    #[test]
    fn days_are_found_by_their_first_names() {
        assert_eq!(check(&[], "", &[]), 1);
        assert_eq!(check(&["app/2026/11/24/09/03/logs.v1.data"], "", &[]), 1);
        let names = [
            "app/2025/12/31/09/03/logs.v1.data",
            "app/2026/11/24/09/03/logs.v1.data",
            "app/2026/11/26/09/03/crashes/x.json",
        ];
        let days = ["2025-12-31", "2026-11-24", "2026-11-26"];
        let asked = check(&names, "app/", &days);
        assert!(asked < 16, "{asked} questions");
        // What else begins like a year, a month or a day hides none.
        let names = [
            "20000000-0000-4000-8000-000000000001/2026/11/24/x",
            "2026/1/x",
            "2026/11/24/x",
            "2026/11/3/x",
            "2026/11/31/x",
            "2026/13/01/x",
            "2099/01/01/x",
        ];
        check(&names, "", &["2026-11-24"]);
        check(&["2014/01/01/x", "2015/01/01/x"], "", &["2015-01-01"]);
    }

    fn name() -> impl Strategy<Value = String> {
        let number = |width: usize, range: RangeInclusive<u16>| {
            prop_oneof![
                9 => range.prop_map(move |it| format!("{it:0width$}/")),
                1 => "[0-9x/]{1,5}",
            ]
        };
        let date = (number(4, 2012..=2029), number(2, 0..=13), number(2, 0..=32));
        ("(a/)?", date, "[0-9/]{0,3}x").prop_map(|(under, (year, month, day), rest)| {
            format!("{under}{year}{month}{day}{rest}")
        })
    }

    proptest! {
        #[test]
        fn the_days_are_those_of_all_names(names in proptest::collection::btree_set(name(), 0..40)) {
            for under in ["", "a/"] {
                let of_name = |name: &String| {
                    let text = name.strip_prefix(under)?.get(..11)?.strip_suffix('/')?;
                    let is_date = text.bytes().enumerate().all(|(at, byte)| match at {
                        4 | 7 => byte == b'/',
                        _ => byte.is_ascii_digit(),
                    });
                    let date: Date = text.replace('/', "-").parse().ok().filter(|_| is_date)?;
                    (2015..=2027).contains(&date.year()).then_some(date)
                };
                let days: BTreeSet<Date> = names.iter().filter_map(of_name).collect();
                let (found, _asked) = found(&names, under);
                prop_assert_eq!(found, days.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
