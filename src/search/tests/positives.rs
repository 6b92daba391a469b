//! What must be found. Indices as in [`ana`]; `t` marks a token, `w` a word, nothing an exact find.

use super::encode::{Encoder, zip};
use super::*;

fn check(cases: &[(&str, &str)]) {
    for (blob, expected) in cases {
        let expected: Vec<&str> = expected.split(' ').collect();
        assert_eq!(names(blob.as_bytes()), expected, "{blob}");
    }
}

#[test]
fn install_ids() {
    check(&[
        ("e589a371-ea0c-4479-9a7b-9f834adec040", "0"),
        ("E589A371-EA0C-4479-9A7B-9F834ADEC040", "0"),
        ("E589a371-Ea0C-4479-9a7B-9f834aDEC040", "0"),
        ("e589a371ea0c44799a7b9f834adec040", "0"),
        ("E589A371EA0C44799A7B9F834ADEC040", "0"),
        ("{e589a371-ea0c-4479-9a7b-9f834adec040}", "0"),
        ("{E589A371EA0C44799A7B9F834ADEC040}", "0"),
        ("(e589a371-ea0c-4479-9a7b-9f834adec040)", "0"),
        ("urn:uuid:e589a371-ea0c-4479-9a7b-9f834adec040", "0"),
        ("x=e589a371-ea0c-4479-9a7b-9f834adec040&y", "0"),
        ("xe589a371-ea0c-4479-9a7b-9f834adec040x", "0"),
        ("_e589a371-ea0c-4479-9a7b-9f834adec040_", "0"),
        (
            "2518291138564839999-e589a371-ea0c-4479-9a7b-9f834adec040.json",
            "0",
        ),
        ("e589a371-ea0c-4479-9a7b-9f834adec040-2", "0"),
        ("e589a371-ea0c-4479-9a7b-9f834adec040\u{e9}", "0"),
        ("a/e589a371-ea0c-4479-9a7b-9f834adec040/b", "0"),
        (
            "CrashReporter Key:   E589A371-EA0C-4479-9A7B-9F834ADEC040\n",
            "0",
        ),
        (
            r#"{"InstallId":"e589a371-ea0c-4479-9a7b-9f834adec040"}"#,
            "0",
        ),
        (r#"{"e589a371-ea0c-4479-9a7b-9f834adec040":1}"#, "0"),
        (r#"{"a":"\u0065589a371-ea0c-4479-9a7b-9f834adec040"}"#, "0"),
        (
            r#"{"a":"e589a371\u002dea0c\u002D4479-9a7b-9f834adec040"}"#,
            "0",
        ),
        (
            r#"{"a":"{\"b\":\"e589a371-ea0c-4479-9a7b-9f834adec040\"}"}"#,
            "0",
        ),
        ("%7Be589a371-ea0c-4479-9a7b-9f834adec040%7D", "0"),
        ("e589a371%2Dea0c%2D4479%2D9a7b%2D9f834adec040", "0"),
        ("e589a371-ea0c-4479-9a7b-9f834adec040%20and", "0"),
        ("&#123;e589a371-ea0c-4479-9a7b-9f834adec040&#125;", "0"),
        (r"x\ne589a371-ea0c-4479-9a7b-9f834adec040\n", "0"),
        ("0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0", "10"),
        (
            "2518291138564839999-0B1C2D3E-4F50-6172-8394-A5B6C7D8E9F0",
            "10",
        ),
        (
            "e589a371ea0c44799a7b9f834adec040,0b1c2d3e4f5061728394a5b6c7d8e9f0",
            "0 10",
        ),
    ]);
}

#[test]
fn user_ids_as_values() {
    check(&[
        (r#"{"UserId":"u-20417"}"#, "1"),
        (r#"{"a":"u-20417"}"#, "1"),
        (r#"["u-20417"]"#, "1"),
        (r#"[["u-20417"]]"#, "1"),
        (r#"{"a":{"b":["x","u-20417"]}}"#, "1"),
        (r#"{"a":"\u0075-20417"}"#, "1"),
        (r#"{"a":"\u0075\u002d20417"}"#, "1"),
        (r#"{"UserId":20417}"#, "2"),
        (r#"{"userId":"20417"}"#, "2"),
        (r#"{"user_id":20417}"#, "2"),
        (r#"{"User-ID":"20417"}"#, "2"),
        (r#"{"USERID":"20417"}"#, "2"),
        (r#"{"user_name":"20417"}"#, "2"),
        (r#"{"user_email":"20417"}"#, "2"),
        (r#"{"userEmail":"20417"}"#, "2"),
        (r#"{"\u0055serId":"20417"}"#, "2"),
        (r#"{"UserId":["20417"]}"#, "2"),
        (
            r#"{"UserId":"2\u003017"}"#.replace("2\\u003017", "2\\u003041\\u0037").as_str(),
            "2",
        ),
        (r#"{"UserId":"a7"}"#, "3"),
        (r#"{"Properties":"{\"user_id\":\"a7\"}"}"#, "3"),
        (r#"{"Properties":"{\"UserId\":20417}"}"#, "2"),
        (r#"{"Properties":{"UserId":20417}}"#, "2"),
        (
            r#"{"typedProperties":[{"type":"string","name":"UserId","value":"20417"}]}"#,
            "2",
        ),
        (
            r#"{"properties":[{"name":"user_email","value":"a7"}]}"#,
            "3",
        ),
        (r#"{"Properties":"{\"account\":\"u-20417\"}"}"#, "1"),
        (r#"{"a":"auth0|A\u00f1b.c"}"#, "4"),
        (r#"{"a":"auth0|Añb.c"}"#, "4"),
        (r#"{"a":"[\"u-20417\"]"}"#, "1"),
        (r#"{"a":"\"u-20417\""}"#, "1"),
        (r#"{"a":"{\"b\":\"{\\\"c\\\":\\\"u-20417\\\"}\"}"}"#, "1"),
        (r#"{"a":"u%2D20417"}"#, "1"),
        (r#"{"a":"%75%2d%32%30%34%31%37"}"#, "1"),
        (r#"{"UserId":"%32%30%34%31%37"}"#, "2"),
        (r#"{"a":"u&#45;20417"}"#, "1"),
        (r#"{"message":"u-20417"}"#, "1"),
        (r#"{"id":"u-20417"}"#, "1"),
        (r#"{"name":"u-20417"}"#, "1"),
        ("{\"a\":1}\n{\"UserId\":\"20417\"}\n", "2"),
        ("\u{feff}{\"UserId\":\"20417\"}", "2"),
        (r#"{"UserId":"20417","b":"cut o"#, "2"),
        (r#"[{"UserId":"20417"},{"b":"cut o"#, "2"),
        (r#"prefix {"UserId":"20417"} suffix"#, "2"),
        (r#"{"m":"got {\"UserId\":20417} back"}"#, "2"),
        (r#"{"m":"got [{\"UserId\":\"20417\"}, {\"UserI"}"#, "2"),
        (r#"got {\"UserId\":\"20417\"} back"#, "2"),
    ]);
}

#[test]
fn user_ids_as_tokens() {
    check(&[
        ("u-20417", "1t"),
        ("the user u-20417.\n".trim_end_matches(".\n"), "1t"),
        ("user=u-20417&x", "1t"),
        ("user:u-20417,", "1t"),
        ("/users/u-20417/cart", "1t"),
        ("<u-20417>", "1t"),
        ("(u-20417)", "1t"),
        ("'u-20417'", "1t"),
        ("\"u-20417\" said", "1t"),
        ("u-20417@home", "1t"),
        ("u-20417:", "1t"),
        (r#"{"m":"hello u-20417!"}"#, "1t"),
        (r#"{"m":" u-20417"}"#, "1t"),
        (r#"{"m":"x\nu-20417\ny"}"#, "1t"),
        (r#"{"m":"id=\u0075-20417;"}"#, "1t"),
        (r#"{"m":"C:\\Users\\u-20417\\x.cs"}"#, "1t"),
        (r"in C:\Users\u-20417\x.cs", "1t"),
        (r#"{"UserId":"u-20417;x"}"#, "1t"),
        (r#"{"u-20417":1}"#, "1t"),
        (r#"{"Properties":"{\"Model\":\"u-20417\"}"}"#, "1t"),
        (r#"{"Properties":{"AppVersion":"u-20417"}}"#, "1t"),
        (r#"{"Properties":"for u-20417 only"}"#, "1t"),
        ("x%20u-20417%20y", "1t"),
        ("x?u=u-20417%26", "1t"),
        ("auth0|Añb.c logged in", "4t"),
        (r"CONTOSO\u-20417 logged in", "1t"),
        ("Incident: 1\nUser: u-20417\n", "1t"),
    ]);
}

/// `CONTOSO\nina` is a user of a domain, or a line break and `ina`: both are told, the first one as in doubt.
#[test]
fn doubtful_escapes() {
    let nina = Identifiers {
        user_ids: vec!["u20417".to_owned()],
        emails: vec!["nina@example.com".to_owned(), "ina@example.com".to_owned()],
        terms: vec!["nina b".to_owned()],
        ..Identifiers::default()
    };
    let searcher = Searcher::new(std::slice::from_ref(&nina)).expect("good identifiers");
    for (blob, expected) in [
        (r"CONTOSO\u20417 logged in", &["0t"][..]),
        (r"CONTOSO\nina@example.com in", &["1t", "2"]),
        (r"C:\nina@example.com in", &["1"]),
        (r"C:\Users\nina@example.com\temp", &["1"]),
        (r"\\server\nina b", &["3w"]),
    ] {
        let (found, _) = search_with(&searcher, blob.as_bytes(), Options::default());
        assert_eq!(found[0].names(), expected, "{blob}");
        index::check(&nina, blob.as_bytes(), Options::default(), &found);
    }
}

/// Base64 before an escape may go on behind it, as a wrapped line does: what stands at its end is in doubt, unless the text
/// without the escape says the same.
#[test]
fn base64_beside_escapes() {
    check(&[
        ("bWFpbHMgdG8gYW5hQGV4YW1wbGUuY29t%2C next", "5"),
        ("bWFpbHMgdG8gYW5hQGV4YW1wbGUuY29t%0AHello", "5"),
        ("bWFpbHMgdG8gYW5hQGV4YW1wbGUuY29t%0AYWJj", "5t"),
        ("bWFpbHMgdG8gYW5hQGV4YW1wbGUuY29t&#10;YWJj", "5t"),
        (r"bWFpbHMgdG8gYW5hQGV4YW1wbGUuY29t\u000AYWJj", "5t"),
        ("YW5hQGV4YW1wbGUuY29t%0ALmF1", "5t"),
        // Further in it is not in doubt.
        ("bWFpbHMgdG8gYW5hQGV4YW1wbGUuY29tISBCeWU%0ALmF1", "5"),
        // No escape, though it looks like one.
        ("100%c2VuZCB0byBhbmFAZXhhbXBsZS5jb20h", "5"),
    ]);
}

#[test]
fn emails() {
    check(&[
        ("ana@example.com", "5"),
        ("ANA@EXAMPLE.COM", "5"),
        ("Ana@Example.com.", "5"),
        ("mailto:ana@example.com?subject=x", "5"),
        ("<ana@example.com>", "5"),
        ("\"ana@example.com\"", "5"),
        ("ana@example.com, bob@example.com", "5"),
        ("ana@example.com. Next", "5"),
        ("ana@example.com.\n", "5"),
        ("(ana@example.com)", "5"),
        ("user/ana@example.com/x", "5"),
        ("x=ana@example.com;", "5"),
        ("'ana@example.com'", "5"),
        ("ana@example.com:8080", "5"),
        ("#ana@example.com", "5"),
        ("ana@example.com\u{3002}", "5"),
        ("ana@example.com..", "5"),
        ("ana@example.com+x", "5"),
        ("ana@bücher.example", "6"),
        ("ANA@BÜCHER.example", "6"),
        ("ana@bu\u{308}cher.example", "6"),
        ("ana@xn--bcher-kva.example", "6"),
        ("ana@XN--BCHER-KVA.EXAMPLE", "6"),
        ("ana%40example.com", "5"),
        ("ana%40example%2Ecom", "5"),
        ("x=%22ana%40example.com%22", "5"),
        ("ana%2540example.com", "5"),
        ("ana%252540example.com", "5"),
        ("email=ana@example.com%20x", "5"),
        ("ana@b%C3%BCcher.example", "6"),
        ("ana&#64;example.com", "5"),
        ("ana&#x40;example&period;com", "5"),
        ("&lt;ana@example.com&gt;", "5"),
        ("ana&commat;example.com", "5"),
        (r#"{"a":"ana\u0040example.com"}"#, "5"),
        (r#"{"a":"\u0061\u006E\u0061@example.com"}"#, "5"),
        (r#"{"a":"x\nana@example.com\tb"}"#, "5"),
        (r#"{"a":"ana@b\u00fccher.example"}"#, "6"),
        (r#"{"a":"ana@b\u00DCcher.example"}"#, "6"),
        (r#"{"AppVersion":"ana@example.com"}"#, "5"),
        (r#"{"ana@example.com":true}"#, "5"),
        (r#"{"EventName":"sent to ana@example.com"}"#, "5"),
        (r#"{"a":"{\"b\":\"ana\\u0040example.com\"}"}"#, "5"),
        (
            r#"{"a":"{\"b\":\"{\\\"c\\\":\\\"ana\\\\u0040example.com\\\"}\"}"}"#,
            "5",
        ),
        (r#"{"a":"https:\/\/x\/ana@example.com\/"}"#, "5"),
        (r"x \nana@example.com\n", "5"),
        (r"body {\nana@example.com", "5"),
        (r#"{"m":"C:\\Users\\ana@example.com\\temp"}"#, "5"),
        ("YW5hQGV4YW1wbGUuY29t", "5"),
        ("data:text/plain;base64,YW5hQGV4YW1wbGUuY29t", "5"),
        (r#"{"data":"YW5hQGV4YW1wbGUuY29t"}"#, "5"),
        (
            r#"{"data":"eyJlbWFpbCI6ImFuYVx1MDA0MGV4YW1wbGUuY29tIn0="}"#,
            "5",
        ),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJlbWFpbCI6ImFuYUBleGFtcGxlLmNvbSJ9.c2lnbmF0dXJlLW9mLWl0",
            "5",
        ),
    ]);
}

#[test]
fn terms() {
    check(&[
        ("Ana Díaz", "7w"),
        ("ANA DÍAZ", "7w"),
        ("ana di\u{301}az", "7w"),
        ("Dear Ana Díaz, hello", "7w"),
        ("Ana\nDíaz", "7w"),
        ("Ana  Díaz", "7w"),
        ("Ana\u{a0}Díaz", "7w"),
        ("Ana+D%C3%ADaz", "7w"),
        ("Ana%20D%C3%ADaz", "7w"),
        ("Ana%20Di%CC%81az", "7w"),
        ("Ana+Díaz", "7w"),
        ("Ana Díaz's phone", "7w"),
        ("(Ana Díaz)", "7w"),
        ("Mr.Ana Díaz.", "7w"),
        ("Ana Díaz-Gil", "7w"),
        ("Ana D&iacute;az", "7w"),
        ("Ana D&#237;az", "7w"),
        ("Ana&nbsp;D&#xED;az", "7w"),
        (r#"{"a":"Ana D\u00edaz"}"#, "7w"),
        (r#"{"a":"Ana D\u00EDaz"}"#, "7w"),
        (r#"{"a":"Ana Di\u0301az"}"#, "7w"),
        (r#"{"a":"\u0041na\u0020D\u00edaz"}"#, "7w"),
        (r#"{"a":"{\"b\":\"Ana D\\u00edaz\"}"}"#, "7w"),
        ("Ana Díazさん", "7w"),
        ("Straße", "8w"),
        ("STRASSE", "8w"),
        ("strasse", "8w"),
        ("STRAßE", "8w"),
        ("STRAẞE", "8w"),
        ("Straſse", "8w"),
        ("die Straße.", "8w"),
        ("Straße-Nord", "8w"),
        ("田中太郎", "9w"),
        ("私は田中太郎です", "9w"),
        ("user田中太郎1", "9w"),
        (r#"{"a":"\u7530\u4e2d\u592a\u90ce"}"#, "9w"),
        ("%E7%94%B0%E4%B8%AD%E5%A4%AA%E9%83%8E", "9w"),
        ("QW5hIETDrWF6IHdhcyBoZXJl", "7w"),
    ]);
}

#[test]
fn literals() {
    check(&[
        ("2026/11/20/09/00/crashes/x.json", "11"),
        ("app/2026/11/20/09/00/crashes/x.json.gz", "11"),
        (r#"{"Properties":"2026/11/20/09/00/crashes/x.json"}"#, "11"),
        (
            r#"{"Properties":"2026\/11\/20\/09\/00\/crashes\/x.json"}"#,
            "11",
        ),
        ("2026%2F11%2F20%2F09%2F00%2Fcrashes%2Fx.json", "11"),
    ]);
}

#[test]
fn bytes_that_are_no_utf8() {
    for (blob, expected) in [
        (&b"Ana D\xEDaz"[..], "7w"),
        (b"\xE9 Ana D\xEDaz \xE9", "7w"),
        (b"{\"a\":\"Ana D\xEDaz\"}", "7w"),
        (b"{\"a\":\"\xE9\",\"UserId\":\"20417\"}", "2"),
        (b"Ana%20D%EDaz", "7w"),
        (b"\x00\x01\x02\xE9ana@example.com\x00\x03", "5"),
        (b"MDMP\x93\xA7\x00\x00\x0a\x00\x00\x00u\x00-\x002\x000\x004\x001\x007\x00\x00\x00", "1t"),
        (b"MDMP\x93\xA7\x00\x00\x00a\x00n\x00a\x00@\x00e\x00x\x00a\x00m\x00p\x00l\x00e\x00.\x00c\x00o\x00m\x00\x00", "5"),
        (b"MDMP\x93\xA7\x00a\x00n\x00a\x00@\x00e\x00x\x00a\x00m\x00p\x00l\x00e\x00.\x00c\x00o\x00m\x00\x00\x00\x01\x02", "5"),
        (b"ab\x1F\x8B\x08 ana@example.com", "5"),
    ] {
        assert_eq!(names(blob), [expected], "{blob:?}");
    }
}

#[test]
fn containers() {
    let gzip = |bytes: &[u8]| Encoder::Gzip.encode(bytes).expect("bytes");
    let base64 = |bytes: &[u8]| {
        let encoded = Encoder::Base64.encode(bytes).expect("bytes");
        String::from_utf8(encoded).expect("ASCII")
    };
    let utf16 = |text: &str| {
        Encoder::Utf16LeUnmarked
            .encode(text.as_bytes())
            .expect("text")
    };
    let row = br#"{"UserId":"20417"}"#;
    let archive = zip(&[("a.txt", b"nothing"), ("b/c.json", row)]);
    let named = zip(&[
        ("ana@example.com.txt", b"x"),
        ("for ana@example.com/x", b"x"),
    ]);
    for (blob, expected) in [
        (gzip(row), "2"),
        ([gzip(b"[1,"), gzip(&row[..]), gzip(b"]")].concat(), "2"),
        (gzip(&utf16(r#"{"UserId":"20417"}"#)), "2"),
        (gzip(&gzip(row)), "2"),
        (utf16(r#"[{"UserId":"20417"}]"#), "2"),
        (archive.clone(), "2"),
        (named, "5"),
        (gzip(&archive), "2"),
        (zip(&[("x.gz", &gzip(row))]), "2"),
        (zip(&[("x.zip", &archive)]), "2"),
        (
            format!(r#"{{"data":"{}"}}"#, base64(&gzip(row))).into_bytes(),
            "2",
        ),
        (
            format!(r#"{{"data":"{}"}}"#, base64(&archive)).into_bytes(),
            "2",
        ),
        (
            format!(r#"{{"data":"{}"}}"#, base64(&utf16("say ana@example.com"))).into_bytes(),
            "5",
        ),
        (
            format!(r#"{{"data":"{}"}}"#, base64(base64(&gzip(row)).as_bytes())).into_bytes(),
            "2",
        ),
        (
            format!("x {} y", base64(&Encoder::Zlib.encode(row).expect("bytes"))).into_bytes(),
            "2",
        ),
        (
            format!(r#"{{"UserId":"{}"}}"#, base64(&gzip(b"20417"))).into_bytes(),
            "2",
        ),
        (
            format!(r#"{{"x":"{}"}}"#, base64(&gzip(b"u-20417"))).into_bytes(),
            "1",
        ),
    ] {
        assert_eq!(
            names(&blob),
            [expected],
            "{}",
            String::from_utf8_lossy(&blob)
        );
    }
}
