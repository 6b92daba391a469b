//! The page for the person: what it says, and what it must not do.

use std::collections::HashSet;

use super::{FILES, about, meta, package, read, summary};
use crate::domain::plan::{ApiCoverage, Coverage};
use crate::package::page::FILES_PER_PAGE;
use crate::package::{PackageWriter, Summary, What};

#[test]
fn the_page_runs_nothing_and_asks_nobody() {
    let bytes = package(FILES);
    let files = read(&bytes);
    let (_, page) = files
        .iter()
        .find(|(name, _)| name == "index.html")
        .expect("it is there");
    let page = String::from_utf8(page.clone()).expect("UTF-8");
    assert!(page.contains(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'"
    ));
    for forbidden in [
        "<script",
        "<img",
        "<iframe",
        "<link",
        "http:",
        "https:",
        "javascript:",
        "<form",
        "<base",
        "@import",
        "url(",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for said in [
        "Yes, data about you was found",
        "<td>CRM-1042</td>",
        "1 installation of an app; 2 crash or error reports; 3 usage records.",
        "Microsoft, as the operator of Visual Studio App Center",
        "28 days",
        "the data protection authority of your country",
        "contoso/shop-android: 2026-10-04 to 2026-10-05 is missing in the archive",
        "<td class=\"n\">2 d</td>",
        "Found, and left out because it may be about somebody else",
        "App Center keeps none of &lt;b&gt;handled&lt;/b&gt; errors",
        "href=\"./contoso_shop-android/e589a371/log-rows.jsonl\"",
        "sent as: <bdi>../../evil.html</bdi>",
        "It is from an installation that several people use",
        "Yours because your user ID or e-mail address was found in its data. Seen in: usage records",
        "<h3 class=\"app\">contoso/shop-android</h3>",
        "This package holds no data about you from this app.",
        "href=\"#report-",
        "Crash or error of 20 November 2026, 08:00 UTC",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    // Every link leads to a file of the package.
    let names: HashSet<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let links = page
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    for link in links {
        if let Some(place) = link.strip_prefix('#') {
            assert!(page.contains(&format!("id=\"{place}\"")), "{link}");
            continue;
        }
        let path = link.strip_prefix("./").unwrap_or(link);
        let path = percent_encoding::percent_decode_str(path)
            .decode_utf8()
            .expect("UTF-8");
        assert!(names.contains(&*path), "{link}");
    }
}

#[test]
fn what_is_held_for_one_reason_is_one_line() {
    let mut summary = summary();
    let held = [
        ("its rows are found only by a term", 2),
        ("the report is found only by a term", 3),
    ];
    summary.held = held.map(|(reason, n)| (reason.to_owned(), n)).into();
    let page = page_of(&summary);
    let reason = "It holds a name or a number like yours, which may be somebody else&#39;s";
    assert_eq!(page.matches(reason).count(), 1, "{page}");
    let row = format!("<td>{reason}</td><td class=\"n\">5</td>");
    assert!(page.contains(&row), "{page}");
    assert!(page.contains("Some of it could not be had or is left out"));
}

#[test]
fn nothing_found_is_said() {
    let files = read(&package(&[]));
    let page = String::from_utf8(files[0].1.clone()).expect("UTF-8");
    assert!(page.contains("put no data into this package"), "{page}");
    assert!(page.contains("<td class=\"n\">12345</td>"));
    // Where nothing could be searched, the page does not say that all was.
    let mut empty = summary();
    empty.held.clear();
    empty.unavailable.clear();
    for coverage in empty.coverage.values_mut() {
        *coverage = Coverage::default();
    }
    let package = PackageWriter::new(Vec::new(), meta());
    let (bytes, _finished) = package.finish(&empty).expect("finishes");
    let page = String::from_utf8(read(&bytes)[0].1.clone()).expect("UTF-8");
    assert!(page.contains("so nothing could be searched"), "{page}");
    assert!(!page.contains("Nothing that was found was left out"));
    // The lists were read, and nothing is in them: that is an answer for crashes and errors.
    for coverage in empty.coverage.values_mut() {
        coverage.api = Some(ApiCoverage::default());
    }
    let page = page_of(&empty);
    assert!(!page.contains("nothing could be searched"), "{page}");
    assert!(page.contains("were read (0 in all); usage records could not be searched"));
    assert!(page.contains("fetched from App Center to answer requests: 7 days"));
    assert!(!page.contains("Nothing that was found was left out"));
}

/// The page of a package without files.
fn page_of(summary: &Summary) -> String {
    let package = PackageWriter::new(Vec::new(), meta());
    let (bytes, _finished) = package.finish(summary).expect("finishes");
    String::from_utf8(read(&bytes)[0].1.clone()).expect("UTF-8")
}

#[test]
fn the_page_says_in_words_for_the_person_what_limited_the_search() {
    let mut summary = summary();
    for told in [
        "InstallId of a report got by API",
        "CrashReporter Key of a report",
        "install ID in a report's raw log",
        "install ID in a report's session logs",
        "a log row that names a report of it",
    ] {
        summary.installations[0].found_in = vec![told.to_owned()];
        let page = page_of(&summary);
        assert!(
            !page.contains(&told.replace('\'', "&#39;")) && !page.contains(told),
            "{told}"
        );
    }
    for (told, words) in [
        (
            "App Center counts as retired: 410",
            "App Center has been shut down",
        ),
        (
            "the export configuration stays pending: newer data may not be in the archive",
            "did not copy everything",
        ),
        (
            "the app has no export to Blob Storage, and EXPORT_TYPE is `none`",
            "copies nothing of this app",
        ),
    ] {
        summary.unavailable[0].reason = told.to_owned();
        let page = page_of(&summary);
        assert!(page.contains(words) && !page.contains(told), "{page}");
    }
}

#[test]
fn a_long_list_goes_on_on_more_pages() {
    let mut package = PackageWriter::new(Vec::new(), meta());
    for n in 0..FILES_PER_PAGE + 1 {
        package
            .bytes(&["a"], &format!("{n:05}.txt"), about(What::RawLog), b"")
            .expect("adds");
    }
    let (bytes, _finished) = package.finish(&summary()).expect("finishes");
    let files = read(&bytes);
    let page = |name: &str| {
        let (_, content) = files
            .iter()
            .find(|(it, _)| it == name)
            .expect("it is there");
        String::from_utf8(content.clone()).expect("UTF-8")
    };
    assert!(page("index.html").contains("href=\"./index-2.html\""));
    assert!(page("index-2.html").contains("page 2 of 2"));
    assert!(page("index-2.html").contains("href=\"./a/05000.txt\""));
}
