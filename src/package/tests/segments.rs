//! A package that is written in segments.

use std::io::{Cursor, Write as _};

use super::{FILES, about, meta, package, read, summary};
use crate::package::{Error, PackageWriter, What};

/// Writes the files in segments that end before the places, each file in pieces of the length, and merges them.
fn merged(ends: &[usize], piece: usize) -> Vec<u8> {
    let mut package = PackageWriter::new(Vec::new(), meta());
    let mut begin = 0;
    for end in ends.iter().copied().chain([FILES.len()]) {
        let mut segment = PackageWriter::new(Vec::new(), meta());
        for (folder, ..) in FILES {
            segment.reserve(folder);
        }
        for (n, (folder, name, what, content)) in FILES.iter().enumerate().take(end) {
            if n < begin {
                segment.skip(folder, name, *what);
                continue;
            }
            let mut file = segment.file(folder, name, about(*what)).expect("begins");
            for part in content.chunks(piece) {
                file.write_all(part).expect("a vector");
            }
            file.end().expect("ends");
        }
        begin = end;
        let (bytes, files) = segment.end_segment().expect("ends");
        // What is said of the files is stored beside the segment.
        let stored = serde_json::to_string(&files).expect("JSON");
        let files = serde_json::from_str(&stored).expect("JSON");
        package.merge(Cursor::new(bytes), files).expect("merges");
    }
    let (bytes, finished) = package.finish(&summary()).expect("finishes");
    assert_eq!(finished.size, bytes.len() as u64);
    bytes
}

#[test]
fn segments_give_the_same_bytes_however_they_are_cut() {
    let whole = merged(&[], 1000);
    assert_eq!(read(&whole), read(&package(FILES)));
    for (ends, piece) in [
        (vec![1], 7),
        (vec![0, 3, 3, 5], 1),
        ((1..FILES.len()).collect(), 3),
        (vec![FILES.len()], 2),
    ] {
        assert!(merged(&ends, piece) == whole, "{ends:?}");
    }
}

#[test]
fn a_segment_that_is_not_what_was_written_is_refused() {
    let segment = || {
        let mut segment = PackageWriter::new(Vec::new(), meta());
        segment
            .bytes(&["a"], "a.txt", about(What::RawLog), b"text")
            .expect("adds");
        segment.end_segment().expect("ends")
    };
    let (bytes, files) = segment();
    let mut renamed = files.clone();
    renamed[0].path = "a/b.txt".to_owned();
    let cut = bytes[..bytes.len() / 2].to_vec();
    for (bytes, files) in [
        (bytes.clone(), Vec::new()),
        (bytes.clone(), renamed),
        (cut, files.clone()),
        (b"no zip".to_vec(), files.clone()),
    ] {
        let mut package = PackageWriter::new(Vec::new(), meta());
        let merged = package.merge(Cursor::new(bytes), files);
        assert!(matches!(merged, Err(Error::Segment)), "{merged:?}");
    }
    // The same file twice: nothing of it gets into a package.
    let mut package = PackageWriter::new(Vec::new(), meta());
    package
        .merge(Cursor::new(bytes.clone()), files.clone())
        .expect("merges");
    assert!(package.merge(Cursor::new(bytes), files).is_err());
    assert!(package.finish(&summary()).is_err());
}
