//! What must not be found: other people, parts of longer identifiers, values of the schema.

use super::encode::Encoder;
use super::*;

fn check(blobs: &[&str]) {
    for blob in blobs {
        assert_eq!(names(blob.as_bytes()), Vec::<String>::new(), "{blob}");
    }
}

#[test]
fn install_ids() {
    check(&[
        "",
        "e589a371",
        "e589a371-ea0c-4479-9a7b-9f834adec04",
        "e589a371-ea0c-4479-9a7b-9f834adec041",
        "e589a371-ea0c-4479-9a7b-9f834adec0400",
        "0e589a371-ea0c-4479-9a7b-9f834adec040",
        "ae589a371-ea0c-4479-9a7b-9f834adec040",
        "Fe589a371-ea0c-4479-9a7b-9f834adec040",
        "e589a371-ea0c-4479-9a7b-9f834adec040a",
        "e589a371-ea0c-4479-9a7b-9f834adec040F",
        "e589a371ea0c44799a7b9f834adec0400",
        "0e589a371ea0c44799a7b9f834adec040",
        "e589a371ea0c44799a7b9f834adec04",
        "e589a371ea0c-4479-9a7b-9f834adec040",
        "e589a371-ea0c44799a7b9f834adec040",
        "e589a371-ea0c-4479-9a7b9f834adec040",
        "e589a371 ea0c 4479 9a7b 9f834adec040",
        "e589a371_ea0c_4479_9a7b_9f834adec040",
        "e589a371--ea0c-4479-9a7b-9f834adec040",
        "e589a371-ea0c-4479-9a7b-9f834adec0\n40",
        "e589a372-ea0c-4479-9a7b-9f834adec040",
        "e589a371-ea0c-4479-9a7b-9f834adec040%61",
        "%61e589a371-ea0c-4479-9a7b-9f834adec040",
        "%e589a371-ea0c-4479-9a7b-9f834adec040",
        "e589a371-ea0c-4479-9a7b-9f834adec040&#97;",
        "&#97;e589a371-ea0c-4479-9a7b-9f834adec040",
        r#"{"a":"e589a371-ea0c-4479-9a7b-9f834adec040\u0061"}"#,
        r#"{"a":"\u0061e589a371-ea0c-4479-9a7b-9f834adec040"}"#,
        r"x \u0061e589a371-ea0c-4479-9a7b-9f834adec040",
        r"e589a371-ea0c-4479-9a7b-9f834adec040\u0061",
        r#"{"a":"{\"b\":\"e589a371-ea0c-4479-9a7b-9f834adec040\\u0061\"}"}"#,
        "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f01",
        "sha256:e589a371ea0c44799a7b9f834adec040e589a371ea0c44799a7b9f834adec040",
    ]);
}

#[test]
fn user_ids_in_text() {
    check(&[
        "u-204170",
        "xu-20417",
        "u-2041",
        "U-20417",
        "u_20417",
        "u-20417-b",
        "u-20417_b",
        "u-20417.b",
        "u-20417.",
        "-u-20417",
        ".u-20417",
        "_u-20417",
        "1u-20417",
        "éu-20417",
        "u-20417é",
        "u-20417\u{301}",
        "u-20417%2D",
        "u-20417%2Eb",
        "%2Du-20417",
        "u-20417&#45;b",
        "&#45;u-20417",
        r"u-20417\u002db",
        r"\u002du-20417",
        "20417",
        "user 20417 said",
        "user=20417",
        "a7",
        "user a7",
        "auth0|Anb.c",
        "auth0|añb.c",
        "auth0|Añb.cd",
        "xauth0|Añb.c",
        "auth0|An\u{303}b.c",
        "u-\n20417",
        "u- 20417",
    ]);
}

#[test]
fn user_ids_in_json() {
    check(&[
        r#"{"UserId":"U-20417"}"#,
        r#"{"UserId":"u-204171"}"#,
        r#"{"UserId":"120417"}"#,
        r#"{"UserId":204170}"#,
        r#"{"UserId":20417.5}"#,
        r#"{"UserId":-20417}"#,
        r#"{"UserId":"20417 x"}"#,
        r#"{"UserId":"A7"}"#,
        r#"{"a":"20417"}"#,
        r#"{"a":20417}"#,
        r#"[20417]"#,
        r#"{"a":"a7"}"#,
        r#"{"AppBuild":"20417"}"#,
        r#"{"AppBuild":"u-20417"}"#,
        r#"{"app_build":"u-20417"}"#,
        r#"{"AppVersion":"u-20417"}"#,
        r#"{"OsVersion":"u-20417"}"#,
        r#"{"OsName":"u-20417"}"#,
        r#"{"OsBuild":"u-20417"}"#,
        r#"{"OsApiLevel":"20417"}"#,
        r#"{"SdkVersion":"u-20417"}"#,
        r#"{"SdkName":"u-20417"}"#,
        r#"{"Model":"u-20417"}"#,
        r#"{"OemName":"u-20417"}"#,
        r#"{"Locale":"u-20417"}"#,
        r#"{"CountryCode":"u-20417"}"#,
        r#"{"CarrierName":"u-20417"}"#,
        r#"{"CarrierCountry":"u-20417"}"#,
        r#"{"EventName":"u-20417"}"#,
        r#"{"EventName":"open u-20417 now"}"#,
        r#"{"MessageType":"u-20417"}"#,
        r#"{"MessageId":"u-20417"}"#,
        r#"{"EventId":"u-20417"}"#,
        r#"{"SessionId":"u-20417"}"#,
        r#"{"CorrelationId":"u-20417"}"#,
        r#"{"AppId":"u-20417"}"#,
        r#"{"InstallId":"u-20417"}"#,
        r#"{"ErrorGroupId":"20417"}"#,
        r#"{"ErrorGroupId":"u-20417"}"#,
        r#"{"ScreenSize":"u-20417"}"#,
        r#"{"Timestamp":"u-20417"}"#,
        r#"{"TimeZoneOffset":"u-20417"}"#,
        r#"{"WrapperSdkName":"u-20417"}"#,
        r#"{"device":{"model":"u-20417"}}"#,
        r#"{"device":{"osVersion":"u-20417"}}"#,
        r#"{"MessageType":"x","name":"u-20417"}"#,
        r#"{"sid":"x","type":"event","name":"u-20417"}"#,
        r#"{"processId":20417}"#,
        r#"{"Properties":"{\"a\":\"20417\"}"}"#,
        r#"{"Properties":"{\"count\":20417}"}"#,
        r#"{"Properties":"{\"AppBuild\":\"20417\"}"}"#,
        r#"{"20417":1}"#,
        r#"{"a7":"UserId"}"#,
        r#"{"userIds":"20417"}"#,
        r#"{"parentUserId":"20417"}"#,
        r#"{"users":{"id":20417}}"#,
        r#"{"UserId":"{\"x\":\"20417\"}"}"#,
        r#"{"typedProperties":[{"name":"Count","value":"20417"}]}"#,
        r#"{"typedProperties":[{"name":"UserId"},{"name":"x","value":"20417"}]}"#,
        r#"{"typedProperties":[{"name":"UserId","type":"20417"}]}"#,
        "UserId,Count\nx,20417\n",
        r#"{"a":"MjA0MTc="}"#,
        r#"{"a":"dS0yMDQxNw=="}"#,
    ]);
}

#[test]
fn emails() {
    check(&[
        "diana@example.com",
        "ana@example.community",
        "ana@example.com.au",
        "ana@example.comé",
        "ana@example.com\u{301}",
        "ana@example.com-x",
        "ana@example.com_x",
        "ana@example.com2",
        ".ana@example.com",
        "_ana@example.com",
        "%ana@example.com",
        "+ana@example.com",
        "-ana@example.com",
        "bob+ana@example.com",
        "bob.ana@example.com",
        "bob_ana@example.com",
        "1ana@example.com",
        "éana@example.com",
        "ana@example.co",
        "ana@ example.com",
        "ana@@example.com",
        "ana@sub.example.com",
        "ana@example.com.x",
        "ana+x@example.com",
        "ana@example.com%2Eau",
        "ana@example.com%2eau",
        "ana@example.com%2Dx",
        "bob%2Bana@example.com",
        "bob%2Eana@example.com",
        "bob%2bana%40example.com",
        "ana@example.com%252Eau",
        "ana@example.com&#46;au",
        "ana@example.com&period;au",
        "bob&#43;ana@example.com",
        "bob&plus;ana@example.com",
        "bob&#x2E;ana@example.com",
        r#"{"a":"ana@example.com\u002eau"}"#,
        r#"{"a":"bob\u002bana@example.com"}"#,
        r#"{"a":"di\u0061na@example.com"}"#,
        r#"{"a":"{\"b\":\"bob\\u002bana@example.com\"}"}"#,
        r"bob\u002bana@example.com",
        r"ana@example.com\u002eau",
        r#"{"m":"got {\"mail\":\"bob\\u002bana@example.com\"} back"}"#,
        "ana@buecher.example",
        "ana@bucher.example",
        "ana@xn--bcher-kva.example.org",
        "ana@xn--bcher-kvb.example",
        "diana@bücher.example",
        "ZGlhbmFAZXhhbXBsZS5jb20=",
        "YW5hQGV4YW1wbGUuY29tLmF1",
        "ana at example.com",
        "anaexample.com",
        "ana@example",
        "aña@example.com",
        "a\u{301}na@example.com",
        "ana@\nexample.com",
    ]);
}

#[test]
fn emails_of_domains_that_fold_alike() {
    let with = |email: &str| Identifiers {
        emails: vec![email.to_owned()],
        ..Identifiers::default()
    };
    let subjects = [with("ana@straße.example"), with("ana@strasse.example")];
    let searcher = Searcher::new(&subjects).expect("good identifiers");
    for (blob, expected) in [
        ("ana@straße.example", 0),
        ("ANA@STRAßE.EXAMPLE", 0),
        ("é ana@strasse.example", 1),
        ("ana@STRASSE.example", 1),
        ("ana@xn--strae-oqa.example", 0),
    ] {
        let (found, _) = search_with(&searcher, blob.as_bytes(), Options::default());
        let subjects: Vec<usize> = found[0].hits.iter().map(|hit| hit.subject).collect();
        assert_eq!(subjects, [expected], "{blob}");
    }
}

#[test]
fn terms() {
    check(&[
        "Diana Díaz",
        "Ana Díazs",
        "Ana Diaz",
        "AnaDíaz",
        "Ana-Díaz",
        "Ana_Díaz",
        "Ana, Díaz",
        "Ana María Díaz",
        "Mariana Díaz",
        "Ana Díaz1",
        "1Ana Díaz",
        "_Ana Díaz",
        "Ana Díaz_",
        "Ana Dí",
        "Ana Díaz\u{301}",
        "Ana D\u{ec}az",
        "\u{c1}na Díaz",
        "A\u{301}na Díaz",
        "Díaz Ana",
        "Ana%20D%C3%ADaza",
        "Ana Díaz%61",
        "Ana Díaz&#97;",
        "&#97;Ana Díaz",
        r#"{"a":"Ana D\u00edaz\u0061"}"#,
        r#"{"a":"Di\u0061na D\u00edaz"}"#,
        r#"{"a":"Ana","b":"Díaz"}"#,
        "Straßen",
        "Hauptstraße",
        "STRASSEN",
        "Strase",
        "Strasze",
        "田中太",
        "田中 太郎",
        "田中次郎",
        "田中太郎\u{301}",
        "田中太朗",
    ]);
}

#[test]
fn literals() {
    check(&[
        "2026/11/20/09/00/crashes/X.json",
        "2026/11/20/09/00/crashes/x.jso",
        "2026/11/20/09/00/crashes//x.json",
        "2026/11/20/09/01/crashes/x.json",
    ]);
}

/// A look-alike stays one in every encoding.
#[test]
fn encoded() {
    for text in [
        "bob+ana@example.com",
        "ana@example.com.au",
        "see u-20417-b here",
        "e589a371-ea0c-4479-9a7b-9f834adec0400",
        "Diana D\u{ed}az was here",
        "die Hauptstraße im Ort",
        "the number 20417 alone",
    ] {
        for first in Encoder::ALL {
            for second in Encoder::ALL {
                let encoded = first.encode(text.as_bytes());
                let Some(encoded) = encoded.and_then(|bytes| second.encode(&bytes)) else {
                    continue;
                };
                let found = names(&encoded);
                // A line of base64 before an escape may have ended there.
                let is_wrapped = matches!(first, Encoder::Base64Wrapped | Encoder::Base64Indented);
                let in_doubt = |name: &String| is_wrapped && name.ends_with('t');
                assert!(
                    found.iter().all(in_doubt),
                    "{text} by {first:?}, {second:?}: {found:?}"
                );
            }
        }
    }
}
