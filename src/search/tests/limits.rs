//! Limits are kept, and said.

use super::encode::{Encoder, chain, zip};
use super::*;

fn missed(summary: &Summary) -> Vec<(Unsearched, u64)> {
    summary
        .not_searched
        .iter()
        .map(|missed| (missed.what, missed.limit))
        .collect()
}

fn searcher() -> Searcher {
    Searcher::new(&[ana()]).expect("good identifiers")
}

#[test]
fn depth() {
    let nested = |layers: usize| {
        let encoders = [Encoder::JsonString, Encoder::Percent];
        let chain_of: Vec<Encoder> = (0..layers).map(|at| encoders[at % 2]).collect();
        chain("mail ana@example.com now", &chain_of).expect("text")
    };
    for layers in 0..=8 {
        let (found, summary) = search(&nested(layers));
        assert_eq!(found.len(), 1, "{layers}");
        assert_eq!(missed(&summary), [], "{layers}");
    }
    let (found, summary) = search(&nested(12));
    assert_eq!(found.len(), 0);
    assert_eq!(missed(&summary), [(Unsearched::Depth, 8)]);
    let said = summary.not_searched[0].to_string();
    assert_eq!(said, "record 0: not searched beyond 8 layers of encoding");
}

#[test]
fn deep_brackets() {
    for open in ["[", "{\"a\":", "[{\"a\":"] {
        let mut blob = open.repeat(200_000);
        blob.push_str("\"u-20417\"");
        let mut sink = Collect::default();
        let searcher = searcher();
        let mut scan = searcher.scan(Options::default());
        _ = scan.push(blob.as_bytes(), &mut sink);
        let summary = scan.finish(&mut sink);
        assert_eq!(summary.matches, 1, "{open}");
        assert_eq!(sink.0[0].hits[0].strength, Strength::Exact);
        assert!(sink.0[0].hits[0].pointer.len() <= 1_100);
    }
}

#[test]
fn bombs() {
    let zeros = vec![b'0'; 8 << 20];
    let gzip = Encoder::Gzip.encode(&zeros).expect("bytes");
    let (found, summary) = search(&gzip);
    assert_eq!((found.len(), summary.records), (0, 1));
    assert_eq!(missed(&summary).len(), 1);
    assert_eq!(missed(&summary)[0].0, Unsearched::Expansion);

    // Inside of a record the limit is that of the whole blob.
    let base64 = Encoder::Base64.encode(&gzip).expect("bytes");
    let rows = [&b"{\"UserId\":\"u-20417\",\"d\":\""[..], &base64, b"\"}"].concat();
    let (found, summary) = search(&rows);
    assert_eq!(found.len(), 1);
    assert_eq!(missed(&summary)[0].0, Unsearched::Expansion);

    let archive = zip(&[("a", &zeros), ("ana@example.com", b"x")]);
    let (found, summary) = search(&archive);
    assert_eq!(found.len(), 1);
    assert_eq!(missed(&summary)[0].0, Unsearched::Expansion);
}

#[test]
fn damaged_containers() {
    let mut text = "for ana@example.com only, and much more that is not alike: ".to_owned();
    text.extend((0..2_000).map(|n| format!("{} ", n * 7_919)));
    let gzip = Encoder::Gzip.encode(text.as_bytes()).expect("bytes");
    let (found, summary) = search(&gzip[..gzip.len() / 2]);
    assert_eq!(found.len(), 1);
    assert_eq!(missed(&summary), [(Unsearched::DamagedGzip, 0)]);
    let (found, summary) = search(&[&gzip[..], b"trailing u-20417"].concat());
    assert_eq!(found.len(), 1);
    assert_eq!(missed(&summary), [(Unsearched::DamagedGzip, 0)]);
    let archive = zip(&[("a.txt", text.as_bytes()), ("b.txt", b"u-20417")]);
    let (found, summary) = search(&archive[..archive.len() / 2]);
    assert_eq!(found.len(), 1);
    assert!(missed(&summary).contains(&(Unsearched::DamagedZip, 0)));
    let (_, summary) = search(b"\x28\xB5\x2F\xFD\x00\x01");
    assert_eq!(missed(&summary), [(Unsearched::Zstd, 0)]);
}

#[test]
fn oversized_records() {
    let options = Options {
        max_record: 1_000,
        ..Options::default()
    };
    let filler = "lorem ipsum dolor, ".repeat(300);
    for at in [0, 500, 731, 990, 1_003, 2_500, filler.len()] {
        let (head, tail) = filler.split_at(at);
        for (blob, oversized) in [
            (
                format!(r#"{{"a":"{head} ana@example.com {tail}","UserId":"20417"}}"#),
                true,
            ),
            (
                format!(r#"[{{}},{{"a":"{head} ana@example.com {tail}","UserId":"20417"}}]"#),
                true,
            ),
            (
                format!("x {head} ana@example.com {tail} {{\"UserId\":\"20417\"}}"),
                true,
            ),
        ] {
            let (found, summary) = search_with(&searcher(), blob.as_bytes(), options);
            assert_eq!(summary.oversized_records, u64::from(oversized), "{at}");
            assert_eq!(found.len(), 1, "{at}");
            let identifiers: Vec<usize> = {
                let mut all: Vec<usize> = found[0].hits.iter().map(|hit| hit.identifier).collect();
                all.sort_unstable();
                all.dedup();
                all
            };
            assert_eq!(identifiers, [2, 5], "{at}: {blob}");
            assert!(found[0].oversized);
            let end = found[0].offset + found[0].length;
            assert!(
                end <= blob.len() as u64 && end + 1 >= blob.len() as u64,
                "{at}"
            );
        }
        // A look-alike stays one wherever the windows are cut.
        let blob = format!("x {head}diana@example.com.au {tail}");
        let (found, _) = search_with(&searcher(), blob.as_bytes(), options);
        assert_eq!(found.len(), 0, "{at}");
    }
}

/// Base64 that is longer than a window, and has no line break at which the next one could begin.
#[test]
fn base64_over_windows() {
    use base64::prelude::*;
    let options = Options {
        max_record: 1_000,
        ..Options::default()
    };
    for before in [100, 800, 2_000, 5_000] {
        let text = format!(
            "{}ana@example.com{}",
            "lorem ".repeat(before / 6),
            " x".repeat(900)
        );
        let run = BASE64_STANDARD.encode(text);
        // A slash among the first digits, with the backslash that some writers put before it.
        let slashed = run.replacen('c', r"\/", 1);
        for shift in 0..4 {
            let beginning = "y".repeat(shift);
            for blob in [
                format!(r#"{{"a":"{beginning}","b":"{run}"}}"#),
                format!(r#"{{"a":"{beginning}","b":"{slashed}"}}"#),
                format!("{beginning}: {run}"),
            ] {
                let (found, summary) = search_with(&searcher(), blob.as_bytes(), options);
                assert_eq!(summary.oversized_records, 1, "{before} {shift}");
                assert_eq!(found.len(), 1, "{before} {shift} {blob}");
            }
        }
    }
}

#[test]
fn records_up_to_the_limit_are_whole() {
    let options = Options {
        max_record: 200,
        ..Options::default()
    };
    for length in 195..=205 {
        let mut record = String::from(r#"{"UserId":"20417","a":""#);
        while record.len() < length - 2 {
            record.push('x');
        }
        record.push_str("\"}");
        let blob = format!("[{record},{{}}]");
        let (found, summary) = search_with(&searcher(), blob.as_bytes(), options);
        assert_eq!(found[0].oversized, length > 200, "{length}");
        assert_eq!(found[0].length, length as u64);
        assert_eq!(summary.records, 2);
    }
}

#[test]
fn many_finds_in_one_record() {
    let blob = format!("[{}]", vec![r#""u-20417""#; 100].join(",")).replace('[', "[[") + "]";
    let (found, summary) = search(blob.as_bytes());
    assert_eq!(found[0].hits.len(), 16);
    assert_eq!(missed(&summary), [(Unsearched::Hits, 16)]);
}

#[test]
fn contrived_work_ends() {
    for part in [
        "%25",
        "&amp;",
        r"\\",
        "%5C",
        "{\"a\":",
        "[\"",
        "\\u005c",
        "QUFB",
        "\n",
        "\"",
        "&#38;%26\\\\",
    ] {
        let blob = part.repeat(40_000);
        let mut sink = Collect::default();
        let searcher = searcher();
        let mut scan = searcher.scan(Options::default());
        _ = scan.push(blob.as_bytes(), &mut sink);
        let summary = scan.finish(&mut sink);
        assert_eq!(summary.matches, 0, "{part}");
    }
}
