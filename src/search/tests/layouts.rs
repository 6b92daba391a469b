//! How blobs are split into records, whole and broken ones, and where a match lies.

use super::*;

/// Checks the container, the number of records, and of each match the record and its text.
fn check(blob: &str, container: Container, records: u64, expected: &[(u64, &str)]) {
    let (found, summary) = search(blob.as_bytes());
    assert_eq!(summary.container, container, "{blob}");
    assert_eq!(summary.records, records, "{blob}: {found:?}");
    assert_eq!(summary.bytes, blob.len() as u64, "{blob}");
    assert_eq!(summary.encoding, Encoding::Plain, "{blob}");
    let records: Vec<(u64, &str)> = found
        .iter()
        .map(|found| {
            assert!(!found.decoded && !found.oversized, "{blob}");
            let start = usize::try_from(found.offset).expect("small");
            let end = usize::try_from(found.offset + found.length).expect("small");
            (found.record, &blob[start..end])
        })
        .collect();
    assert_eq!(records, expected, "{blob}");
}

const U: &str = r#"{"UserId":"u-20417"}"#;

#[test]
fn arrays() {
    let all = Container::Array;
    check("[]", all, 0, &[]);
    check(" [ ] \n", all, 0, &[]);
    check(&format!("[{U}]"), all, 1, &[(0, U)]);
    check(&format!("[{{}},{U}]"), all, 2, &[(1, U)]);
    check(
        &format!(" [ {{}} ,\n {U} , {{\"a\":[1,{{}}]}} ]\n"),
        all,
        3,
        &[(1, U)],
    );
    check(&format!("\u{feff}[{U}]"), all, 1, &[(0, U)]);
    check(r#"["u-20417", "x"]"#, all, 2, &[(0, r#""u-20417""#)]);
    check(r#"[1, null, "u-20417"]"#, all, 3, &[(2, r#""u-20417""#)]);
    check(r#"[[], ["u-20417"]]"#, all, 2, &[(1, r#"["u-20417"]"#)]);
    check(&format!(r#"[{{"a":"]}}[{{"}},{U}]"#), all, 2, &[(1, U)]);
    check(&format!(r#"[{{"a":"\"}},{{"}},{U}]"#), all, 2, &[(1, U)]);
    check(&format!(r#"[{{"a":"\\"}},{U}]"#), all, 2, &[(1, U)]);
    check(&format!("[{{}}][{U}]"), all, 2, &[(1, U)]);
    check(&format!("[{{}}]\n[{{}},{U}]\n"), all, 3, &[(2, U)]);
    check(&format!("[{{}}]\n{U}\n"), all, 2, &[(1, U)]);
}

#[test]
fn broken_arrays() {
    let all = Container::Array;
    check(&format!("[{U},{{\"a\":\"b"), all, 2, &[(0, U)]);
    check(&format!("[{{}},{U}"), all, 2, &[(1, U)]);
    check(&format!("[{{}},{}", &U[..19]), all, 2, &[(1, &U[..19])]);
    check(&format!("[{{\"a\":1,{U},{{\"b\":2}}]"), all, 3, &[(1, U)]);
    check(&format!("[{{\"a\":1{U},{{\"b\":2}}]"), all, 3, &[(1, U)]);
    check(&format!("[{{}},,{U},]"), all, 2, &[(1, U)]);
    check(&format!("[{{}} {U}]"), all, 2, &[(1, U)]);
    check(&format!("[{{}},nonsense,{U}]"), all, 3, &[(2, U)]);
    check(
        "[{},for u-20417 only,{}]",
        all,
        3,
        &[(1, "for u-20417 only")],
    );
    check(
        "[{}] for u-20417 only\n",
        all,
        2,
        &[(1, "for u-20417 only\n")],
    );
    check(&format!("[{{\"a\":1}}}},{U}]"), all, 2, &[(1, U)]);
}

#[test]
fn lines() {
    let all = Container::Lines;
    check(&format!("{{}}\n{U}"), all, 2, &[(1, U)]);
    check(&format!("{{}}\n{U}\n"), all, 2, &[(1, U)]);
    check(&format!("{{}}\r\n\r\n\r\n{U}\r\n"), all, 2, &[(1, U)]);
    check(&format!("\n\n{{}}\n\n{U}\n{U}"), all, 3, &[(1, U), (2, U)]);
    check(&format!("\u{feff}{{}}\n{U}"), all, 2, &[(1, U)]);
    check(&format!("{{}}{U}{{}}"), all, 3, &[(1, U)]);
    check(&format!("{{}}, {U}"), all, 2, &[(1, U)]);
    check("{}\n[1,\"u-20417\"]\n", all, 2, &[(1, r#"[1,"u-20417"]"#)]);
    check(&format!("{{\"a\":\n1}}\n{U}\n"), all, 2, &[(1, U)]);
}

#[test]
fn broken_lines() {
    let all = Container::Lines;
    // Cut off in a string, after a number, after a comma, after a colon.
    check(&format!("{{\"a\":\"b\n{U}\n{{}}\n"), all, 3, &[(1, U)]);
    check(&format!("{{\"a\":1\n{U}\n{{}}\n"), all, 3, &[(1, U)]);
    check(&format!("{{\"a\":1,\n{U}\n{{}}\n"), all, 3, &[(1, U)]);
    check(&format!("{{}}\n{{\"a\":\n{U}\n{{}}\n"), all, 4, &[(2, U)]);
    check(
        &format!("{{}}\n{{\"a\":[1,\n{U}\n{{}}\n"),
        all,
        4,
        &[(2, U)],
    );
    check(&format!("{{}}\n{{}}\nno JSON\n{U}"), all, 4, &[(3, U)]);
    check("{}\n{}\nfor u-20417 \n{}", all, 4, &[(2, "for u-20417")]);
    check(&format!("{{}}\n{{}}\n}}\n{U}"), all, 4, &[(3, U)]);
    check(&format!("{{}}\n{}", &U[..19]), all, 2, &[(1, &U[..19])]);
}

#[test]
fn objects_and_texts() {
    check(U, Container::Object, 1, &[(0, U)]);
    check(&format!("\n {U}\n"), Container::Object, 1, &[(0, U)]);
    check(
        "{\n \"a\": {\n},\n\"UserId\": \"20417\"\n}\n",
        Container::Object,
        1,
        &[(0, "{\n \"a\": {\n},\n\"UserId\": \"20417\"\n}")],
    );
    check(
        "{\"a\": [\n{\n\"b\": 1\n},\n{\n\"UserId\": \"20417\"\n}\n]\n}\n",
        Container::Object,
        1,
        &[(
            0,
            "{\"a\": [\n{\n\"b\": 1\n},\n{\n\"UserId\": \"20417\"\n}\n]\n}",
        )],
    );
    check(&U[..19], Container::Object, 1, &[(0, &U[..19])]);
    check("", Container::Empty, 0, &[]);
    check(" \n\t", Container::Empty, 0, &[]);
    for text in [
        "u-20417",
        "\n for u-20417 only \n",
        "\u{feff}for u-20417 only",
        "a,b\n1,u-20417\n",
        "\"u-20417\"\n",
        "[INFO] for u-20417 only\n[INFO] x",
        "[12:30:05] for u-20417 only\n",
        "[2026-11-20 09:00:00] for u-20417 only\n",
        "[1234] for u-20417 only\n",
        "[[main]] for u-20417 only\n",
        "[true story] for u-20417\n",
        "{not JSON} u-20417",
        "{'a': 'u-20417'}",
        "{\"app\":\"x\"}\nIncident Identifier: u-20417\n",
        "%7B%22a%22%3Au-20417%7D",
        "] u-20417",
    ] {
        check(text, Container::Text, 1, &[(0, text)]);
    }
}

#[test]
fn binaries_and_encodings() {
    let row = br#"[{},{"UserId":"u-20417"}]"#;
    let gzip = encode::Encoder::Gzip.encode(row).expect("bytes");
    for (blob, encoding) in [
        (gzip, Encoding::Gzip),
        (
            encode::Encoder::Utf16Le.encode(row).expect("text"),
            Encoding::Utf16Le,
        ),
        (
            encode::Encoder::Utf16Be.encode(row).expect("text"),
            Encoding::Utf16Be,
        ),
        (
            encode::Encoder::Utf16LeUnmarked.encode(row).expect("text"),
            Encoding::Utf16Le,
        ),
        (
            encode::chain(
                std::str::from_utf8(row).expect("text"),
                &[encode::Encoder::Utf16Le, encode::Encoder::Gzip],
            )
            .expect("text"),
            Encoding::GzipUtf16,
        ),
    ] {
        let (found, summary) = search(&blob);
        assert_eq!(summary.encoding, encoding);
        assert_eq!(summary.bytes, blob.len() as u64);
        assert_eq!((summary.container, summary.records), (Container::Array, 2));
        assert_eq!(found.len(), 1);
        let found = &found[0];
        assert_eq!((found.record, found.offset, found.length), (1, 4, 20));
        assert!(found.decoded);
    }
    let (found, summary) = search(b"\x01\x02 ana@example.com \x03\xFF");
    assert_eq!((summary.container, summary.records), (Container::Binary, 1));
    assert_eq!(
        (found[0].offset, found[0].length, found[0].decoded),
        (0, 21, false)
    );
}

#[test]
fn pointers() {
    for (record, expected) in [
        (r#"{"a":{"b":[{},{"c":"u-20417"}]}}"#, "/a/b/1/c"),
        (r#"{"a":{"x":1},"b":"u-20417"}"#, "/b"),
        (r#"{"a":[1,[2],{"x":3}],"b":["y","u-20417"]}"#, "/b/1"),
        (r#"{"a/b":{"~c":"u-20417"}}"#, "/a~1b/~0c"),
        (r#"{"\u0061":"u-20417"}"#, "/a"),
        (r#"{"":"u-20417"}"#, "/"),
        (
            r#"{"Properties":"{\"x\":[{\"y\":\"u-20417\"}]}"}"#,
            "/Properties/x/0/y",
        ),
        (r#"{"m":"got {\"y\":\"u-20417\"}"}"#, "/m/y"),
        ("\"u-20417\"", ""),
        ("for u-20417", ""),
    ] {
        let (found, _) = search(record.as_bytes());
        let pointers: Vec<&str> = found[0]
            .hits
            .iter()
            .map(|hit| hit.pointer.as_str())
            .collect();
        assert!(pointers.contains(&expected), "{record}: {pointers:?}");
    }
}

#[test]
fn user_fields_and_depth() {
    for (record, in_user_field, depth) in [
        (r#"{"UserId":"u-20417"}"#, true, 0),
        (r#"{"User":"u-20417"}"#, false, 0),
        (r#"{"a":"{\"UserId\":\"u-20417\"}"}"#, true, 1),
        (r#"{"UserId":"u%2D20417"}"#, true, 1),
        (r#"{"a":"{\"b\":\"u%2D20417\"}"}"#, false, 2),
    ] {
        let (found, _) = search(record.as_bytes());
        let hit = &found[0].hits[0];
        assert_eq!(
            (hit.in_user_field, hit.depth),
            (in_user_field, depth),
            "{record}"
        );
        assert_eq!(hit.strength, Strength::Exact);
    }
}
