//! The package as the person opens it: in a browser, from a folder, without a network.

mod chromium;
mod form;

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use appcenter_sim::World;
use reqwest::Method;
use serde_json::Value;
use url::Url;
use zip::ZipArchive;

use self::chromium::{Chromium, Seen};
use crate::harness::{LIMIT, settings, start};

const HOSTILE: &str = include_str!("../../scenarios/hostile.toml");

/// What a page holds, read in the page itself.
const INSPECT: &str = r#"(() => {
    const all = [...document.querySelectorAll('*')];
    const allowed = ['HTML', 'HEAD', 'META', 'TITLE', 'STYLE', 'BODY', 'MAIN', 'SECTION', 'H1', 'H2', 'H3', 'P', 'A',
        'UL', 'LI', 'DL', 'DT', 'DD', 'TABLE', 'THEAD', 'TBODY', 'TR', 'TH', 'TD', 'B', 'BR', 'CODE', 'SMALL', 'BDI'];
    const csp = document.querySelector('head > meta[http-equiv="Content-Security-Policy"]');
    return {
        strange: all.filter(it => !allowed.includes(it.tagName)).map(it => it.tagName),
        handlers: all.flatMap(it => [...it.attributes].map(a => a.name)).filter(it => /^(on|style$|src|action$|ping$)/i.test(it)),
        refresh: document.querySelectorAll('meta[http-equiv=refresh i]').length,
        policy: csp ? csp.content : '',
        links: [...document.querySelectorAll('[href]')].map(it => it.href),
        lost: [...document.querySelectorAll('a[href^="\#"]')].map(it => it.getAttribute('href'))
            .filter(it => !document.getElementById(decodeURIComponent(it.slice(1)))),
        text: document.body ? document.body.innerText : '',
        wide: document.documentElement.scrollWidth > window.innerWidth,
    };
})()"#;

/// A package in a folder.
struct Unpacked {
    folder: tempfile::TempDir,
}

impl Unpacked {
    fn new(zip: &[u8]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut archive = ZipArchive::new(Cursor::new(zip))?;
        for n in 0..archive.len() {
            let mut file = archive.by_index(n)?;
            let name = file.enclosed_name().expect("it climbs");
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder"))?;
            std::io::copy(&mut file, &mut std::fs::File::create_new(&path)?)?;
        }
        Ok(Self { folder })
    }

    /// With one page that is not ours.
    fn of_page(page: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("index.html"), page)?;
        Ok(Self { folder })
    }

    fn url(&self, path: &str) -> anyhow::Result<String> {
        let base = Url::from_directory_path(self.folder.path().canonicalize()?);
        Ok(base.expect("an absolute path").join(path)?.to_string())
    }

    fn file(&self, url: &str) -> Option<PathBuf> {
        let mut url = Url::parse(url).ok()?;
        url.set_fragment(None);
        let path = url.to_file_path().ok()?;
        let is_inside = path
            .canonicalize()
            .ok()?
            .starts_with(self.folder.path().canonicalize().ok()?);
        (is_inside && path.is_file()).then_some(path)
    }
}

/// What is wrong with what a page did.
fn faults(package: &Unpacked, url: &str, seen: &Seen) -> Vec<String> {
    let mut faults: Vec<String> = seen
        .requests
        .iter()
        .filter(|request| package.file(request).is_none())
        .map(|request| format!("{url}: it asks for {request}"))
        .collect();
    if seen.dialogs + seen.said > 0 || seen.title == "run" {
        faults.push(format!("{url}: something ran: {seen:?}"));
    }
    faults
}

/// Opens a page and every file that it links to; what is wrong with them, and what the page shows.
async fn look(browser: &mut Chromium, package: &Unpacked) -> anyhow::Result<(Vec<String>, Value)> {
    let index = package.url("index.html")?;
    let seen = browser.open(&index).await?;
    let mut wrong = faults(package, &index, &seen);
    let page = browser.evaluate(INSPECT).await?;
    for (what, found) in [
        ("elements that do not belong there", &page["strange"]),
        (
            "attributes that can run or load something",
            &page["handlers"],
        ),
        ("links to places that are not there", &page["lost"]),
    ] {
        if found.as_array().is_none_or(|it| !it.is_empty()) {
            wrong.push(format!("{what}: {found}"));
        }
    }
    if page["refresh"] != 0 || page["wide"] != false {
        wrong.push(format!(
            "it leads on or is too wide: {} {}",
            page["refresh"], page["wide"]
        ));
    }
    let policy = page["policy"].as_str().unwrap_or_default();
    if !policy.starts_with("default-src 'none'; style-src 'unsafe-inline';") {
        wrong.push(format!("the policy: {policy}"));
    }
    let links: BTreeSet<&str> = page["links"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for link in links {
        if package.file(link).is_none() {
            wrong.push(format!("a link that leads out of the package: {link}"));
        } else if !link.starts_with(&index) {
            let seen = browser.open(link).await?;
            wrong.extend(faults(package, link, &seen));
        }
    }
    browser.open(&index).await?;
    Ok((wrong, page))
}

/// Runs an export as a user does and downloads its package.
async fn package(world: World, request: &str) -> anyhow::Result<Unpacked> {
    let request = world.request(request).expect("the world has it").clone();
    let stack = start(world, settings()).await?;
    let id = stack.api.submit(&request.document).await?;
    stack.api.wait_ended(&id, LIMIT).await?;
    let path = format!("/api/requests/{id}/package");
    let response = stack.api.send(Method::GET, &path, None).await?;
    assert_eq!(response.status().as_u16(), 200);
    Unpacked::new(&response.bytes().await?)
}

/// Keeps a picture of the page to look at.
async fn keep_picture(browser: &mut Chromium, name: &str) -> anyhow::Result<()> {
    let picture = browser.picture().await?;
    assert!(picture.len() > 10_000, "an empty picture");
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), picture)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_package_of_the_demo_person_opens() -> anyhow::Result<()> {
    let package = package(World::demo()?, "ana-export").await?;
    let mut browser = Chromium::start().await?;
    let (wrong, page) = look(&mut browser, &package).await?;
    assert!(wrong.is_empty(), "{wrong:#?}");
    let text = page["text"].as_str().expect("a text");
    for said in [
        "Copy of your personal data",
        "Yes, data about you was found in the 2 apps named below",
        "contoso/shop-ios",
        "contoso/shop-android",
        "Who received it?",
        "How long is it kept?",
        "What is missing?",
        "Found, and left out because it may be about somebody else",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    // Every file of the package is linked.
    let links = page["links"].as_array().expect("a list");
    let linked: BTreeSet<PathBuf> = links
        .iter()
        .filter_map(|it| package.file(it.as_str()?))
        .collect();
    let mut folders = vec![package.folder.path().canonicalize()?];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert!(linked.contains(&path), "{} is not linked", path.display());
            }
        }
    }
    keep_picture(&mut browser, "package-demo.png").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_package_does_nothing() -> anyhow::Result<()> {
    let package = package(World::parse(HOSTILE)?, "export").await?;
    let mut browser = Chromium::start().await?;
    let (wrong, page) = look(&mut browser, &package).await?;
    assert!(wrong.is_empty(), "{wrong:#?}");
    let text = page["text"].as_str().expect("a text");
    for said in [
        "sent as: <script>document.title='run'</script>.html",
        "sent as: ../../../../x",
        "sent as: javascript:alert(document.domain)",
        "sent as: photo\u{fffd}gpj.exe",
        "This package holds no data about you from this app.",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    keep_picture(&mut browser, "package-hostile.png").await?;
    // No cell of its tables is a formula.
    let links = page["links"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str);
    let tables: BTreeSet<&str> = links.filter(|link| link.ends_with(".csv")).collect();
    assert!(tables.len() >= 2, "{tables:?}");
    let mut harmless = 0;
    for table in tables {
        let file = package.file(table).expect("it is there");
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_path(file)?;
        for record in reader.records() {
            for cell in record?.iter() {
                assert!(
                    !cell.starts_with(['=', '+', '-', '@', '\t', '\r']),
                    "{cell}"
                );
                harmless +=
                    usize::from(cell.starts_with("'=HYPERLINK(") || cell.starts_with("'-2+3"));
            }
        }
    }
    assert_eq!(harmless, 2, "the formulas, as text");
    Ok(())
}

/// The same look at pages that do run, load or lead somewhere: it finds that.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_looked_for_is_found() -> anyhow::Result<()> {
    let mut browser = Chromium::start().await?;
    for (page, expected) in [
        ("<script>document.title='run'</script>", "something ran"),
        ("<script>alert(1)</script>", "something ran"),
        (
            "<img src='http://evil.invalid/x'>",
            "it asks for http://evil.invalid/x",
        ),
        (
            "<script>fetch('http://evil.invalid/y')</script>",
            "it asks for http://evil.invalid/y",
        ),
        ("<p onclick='x()'>a</p>", "attributes that can run"),
        ("<iframe></iframe>", "elements that do not belong there"),
        (
            "<a href='javascript:alert(1)'>a</a>",
            "leads out of the package: javascript:",
        ),
        ("<a href='../x'>a</a>", "leads out of the package: file:"),
        (
            "<a href='./gone.txt'>a</a>",
            "leads out of the package: file:",
        ),
        (
            "<a href='#gone'>a</a>",
            "links to places that are not there",
        ),
        ("<p>a</p>", "the policy"),
    ] {
        let package = Unpacked::of_page(page)?;
        let (wrong, _page) = look(&mut browser, &package).await?;
        assert!(
            wrong.iter().any(|it| it.contains(expected)),
            "{page}: {wrong:?}"
        );
    }
    Ok(())
}
