//! Against a real emulator.

use std::io::Write as _;
use std::time::Duration;

use azurite::Azurite;
use futures::StreamExt as _;
use jiff::Timestamp;
use secrecy::SecretString;

use super::{Account, AccountSettings, Container, Created, ETag, Error, NotBase64, Replaced};

struct Emulator {
    azurite: Azurite,
    raw: azurite::Account,
    account: Account,
}

impl Emulator {
    async fn start() -> Self {
        let azurite = Azurite::start().await.expect("Azurite starts");
        let raw = azurite.account();
        let account = open(&raw.connection_string());
        Self {
            azurite,
            raw,
            account,
        }
    }
}

fn open(connection: &str) -> Account {
    let settings = AccountSettings::ConnectionString(SecretString::from(connection));
    Account::open(&settings).expect("the account opens")
}

async fn names(container: &Container, prefix: &str, page_size: u16) -> Vec<String> {
    let mut listing = container.list(prefix).with_page_size(page_size);
    let mut names = Vec::new();
    while let Some(page) = listing.next_page().await.expect("a page") {
        assert!(!page.is_empty() && page.len() <= usize::from(page_size));
        names.extend(page.into_iter().map(|entry| entry.name));
    }
    names
}

const JSON: &str = "application/json";

#[tokio::test]
async fn blobs_are_written_by_condition() -> Result<(), Error> {
    let emulator = Emulator::start().await;
    let work = emulator.account.container("work");

    // Nothing is there yet, not even the container.
    assert!(work.read("a", 10).await?.is_none());
    assert!(work.read_range("a", 0, 1).await?.is_none());
    assert!(work.head("a").await?.is_none());
    assert!(work.stream("a").await?.is_none());
    assert!(!work.delete("a").await?);
    assert!(!work.exists_under("").await?);
    assert!(names(&work, "", 10).await.is_empty());
    let other = ETag::from("\"0x1\"");
    assert_eq!(
        work.replace("a", "x", JSON, &other).await?,
        Replaced::Conflict
    );

    // The first write makes it.
    let Created::New(first) = work.create("a", "one", JSON).await? else {
        panic!("it was not there")
    };
    assert_eq!(work.create("a", "two", JSON).await?, Created::Exists);
    work.create_if_missing().await?;
    work.create_if_missing().await?;
    let stored = work.read("a", 3).await?.expect("it is there");
    assert_eq!((&stored.bytes[..], &stored.etag), (&b"one"[..], &first));
    assert!(stored.last_modified > "2026-01-01T00:00:00Z".parse::<Timestamp>().expect("a time"));

    let Replaced::Done(second) = work.replace("a", "two", JSON, &first).await? else {
        panic!("nobody else wrote it")
    };
    assert_eq!(
        work.replace("a", "three", JSON, &first).await?,
        Replaced::Conflict
    );
    assert_eq!(
        work.replace("b", "three", JSON, &first).await?,
        Replaced::Conflict
    );
    let head = work.head("a").await?.expect("it is there");
    assert_eq!((head.size, &head.etag), (3, &second));
    let mut listing = work.list("");
    let page = listing.next_page().await?.expect("a page");
    assert_eq!((page[0].size, &page[0].etag), (3, &second));
    assert_eq!(page[0].last_modified, head.last_modified);

    assert_ne!(work.put("a", "four", JSON).await?, second);
    assert!(work.delete("a").await?);
    assert!(!work.delete("a").await?);
    assert!(work.read("a", 10).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn reading_has_limits() -> Result<(), Error> {
    let emulator = Emulator::start().await;
    let work = emulator.account.container("work");
    work.put("ten", "0123456789", JSON).await?;
    work.put("none", "", JSON).await?;

    for limit in [10, 11, 1_000_000] {
        let read = work.read("ten", limit).await?.expect("there");
        assert_eq!(&read.bytes[..], b"0123456789");
    }
    for limit in [0, 1, 9] {
        let error = work.read("ten", limit).await.expect_err("too long");
        assert!(matches!(error, Error::TooLarge { limit: said } if said == limit as u64));
    }
    for limit in [0, 1] {
        assert!(
            work.read("none", limit)
                .await?
                .expect("there")
                .bytes
                .is_empty()
        );
    }
    for (offset, length, expected) in [
        (0, 10, "0123456789"),
        (0, 100, "0123456789"),
        (3, 2, "34"),
        (9, 5, "9"),
        (10, 5, ""),
        (50, 5, ""),
        (3, 0, ""),
    ] {
        let bytes = work
            .read_range("ten", offset, length)
            .await?
            .expect("there");
        assert_eq!(&bytes[..], expected.as_bytes(), "{offset} {length}");
    }
    assert!(
        work.read_range("none", 0, 5)
            .await?
            .expect("there")
            .is_empty()
    );

    let mut empty = work.stream("none").await?.expect("there");
    assert_eq!(empty.size, 0);
    assert!(empty.next().await?.is_none());
    Ok(())
}

#[tokio::test]
async fn odd_names_are_names() -> Result<(), Error> {
    let emulator = Emulator::start().await;
    let work = emulator.account.container("odd");
    let mut odd = vec![
        "a b+c%.json",
        "a%20b",
        "a%2Fb",
        "a//b",
        "a/b/",
        "dir/ü/漢字/🦀.json",
        "e\u{301}",
        "q?x=1&y=2#z",
        "semi;colon,comma:at@eq=$!'()*",
        "quote\"<tag>",
        "trailing.",
    ];
    odd.sort_unstable();
    for name in &odd {
        let Created::New(_) = work.create(name, name.to_string(), JSON).await? else {
            panic!("{name} was there")
        };
    }
    for name in &odd {
        let stored = work.read(name, 100).await?.expect(name);
        assert_eq!(&stored.bytes[..], name.as_bytes());
        assert!(work.exists_under(name).await?, "{name}");
        let link = work
            .read_link(name, Duration::from_secs(600), now())
            .await?;
        let (status, body) = fetch(link.as_str()).await;
        assert_eq!((status, body.as_str()), (200, *name), "{name}");
    }
    for page_size in [1, 5, 5000] {
        let mut found = names(&work, "", page_size).await;
        found.sort_unstable();
        assert_eq!(found, odd);
    }
    assert_eq!(names(&work, "a b+c%", 10).await, ["a b+c%.json"]);
    assert_eq!(names(&work, "dir/ü", 10).await, ["dir/ü/漢字/🦀.json"]);
    for name in &odd {
        assert!(work.delete(name).await?, "{name}");
    }
    assert!(work.read("a\nb", 1).await.is_err());
    Ok(())
}

#[tokio::test]
async fn listings_go_on_from_a_marker() -> Result<(), Error> {
    let emulator = Emulator::start().await;
    let work = emulator.account.container("many");
    for n in 0..23 {
        work.put(&format!("day/{n:03}"), "x", JSON).await?;
    }
    work.put("else", "x", JSON).await?;
    let mut first = work.list("day/").with_page_size(10);
    assert_eq!(first.marker(), None);
    assert_eq!(first.next_page().await?.expect("a page").len(), 10);
    let marker = first.marker().expect("there is more");
    let mut later = work.list("day/").with_marker(marker);
    let rest = later.next_page().await?.expect("a page");
    assert_eq!(rest.len(), 13);
    assert_eq!(rest[0].name, "day/010");
    assert_eq!(later.marker(), None);
    assert!(later.next_page().await?.is_none());
    Ok(())
}

/// Bytes that do not repeat within a block.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[tokio::test]
async fn large_blobs_are_written_and_read_in_parts() -> Result<(), Error> {
    let emulator = Emulator::start().await;
    let work = emulator.account.container("large");
    for length in [0, 1, 4 << 20, (4 << 20) + 1, 20 << 20] {
        let content = noise(length);
        let mut writer = work.writer("blob", "application/zip");
        for part in content.chunks(1_000_003) {
            writer.write(part).await?;
        }
        assert_eq!(writer.written(), length as u64);
        let etag = writer.commit().await?;
        let mut stream = work.stream("blob").await?.expect("there");
        assert_eq!((&stream.etag, stream.size), (&etag, length as u64));
        let mut read = Vec::new();
        while let Some(bytes) = stream.next().await? {
            read.extend_from_slice(&bytes);
        }
        assert!(read == content, "{length} bytes");
        assert!(stream.next().await?.is_none());
    }
    Ok(())
}

#[tokio::test]
async fn streams_notice_changes() -> Result<(), Error> {
    let emulator = Emulator::start().await;
    let work = emulator.account.container("large");
    let content = noise(20 << 20);
    let write = async || {
        let mut writer = work.writer("blob", JSON);
        writer.write(&content).await?;
        writer.commit().await
    };
    let drain = async |mut stream: super::BlobStream| {
        while let Some(_bytes) = stream.next().await? {}
        Ok::<_, Error>(())
    };
    write().await?;
    let stream = work.stream("blob").await?.expect("there");
    write().await?;
    assert!(matches!(drain(stream).await, Err(Error::Changed)));
    let stream = work.stream("blob").await?.expect("there");
    work.delete("blob").await?;
    assert!(matches!(drain(stream).await, Err(Error::Changed)));
    Ok(())
}

#[tokio::test]
async fn two_writers_never_mix() -> Result<(), Error> {
    let emulator = Emulator::start().await;
    let work = emulator.account.container("large");
    let (ours, theirs) = (noise(9 << 20), vec![7_u8; 9 << 20]);
    let mut one = work.writer("blob", JSON);
    let mut two = work.writer("blob", JSON);
    let mut same = work.writer("blob", JSON);
    one.write(&ours).await?;
    two.write(&theirs).await?;
    same.write(&ours).await?;
    one.commit().await?;
    assert!(matches!(two.commit().await, Err(Error::Changed)));
    same.commit().await?;
    let read = work.read("blob", 10 << 20).await?.expect("there");
    assert!(read.bytes == ours);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archives_are_streamed() -> anyhow::Result<()> {
    let emulator = Emulator::start().await;
    let work = emulator.account.container("packages");
    let content = noise(6 << 20);
    let writer = work.writer("package.zip", "application/zip").blocking();
    let expected = content.clone();
    let writer = tokio::task::spawn_blocking(move || {
        let mut zip = zip::ZipWriter::new_stream(writer);
        zip.start_file("a.bin", zip::write::SimpleFileOptions::default())?;
        zip.write_all(&content)?;
        anyhow::Ok(zip.finish()?.into_inner().into_inner())
    })
    .await??;
    writer.commit().await?;
    let read = work.read("package.zip", 10 << 20).await?.expect("there");
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(read.bytes))?;
    let mut found = Vec::new();
    std::io::copy(&mut archive.by_name("a.bin")?, &mut found)?;
    assert!(found == expected);
    Ok(())
}

#[tokio::test]
async fn links_read_one_blob_for_a_while() -> Result<(), Error> {
    let emulator = Emulator::start().await;
    let work = emulator.account.container("packages");
    work.put("a/package 1.zip", "zip", "application/zip")
        .await?;
    work.put("other", "secret", JSON).await?;
    let link = work
        .read_link("a/package 1.zip", Duration::from_secs(60), now())
        .await?;
    assert_eq!(link.path().rsplit('/').next(), Some("package%201.zip"));
    assert_eq!(fetch(link.as_str()).await, (200, "zip".to_owned()));
    // Not for another blob, not changed, not after its time, not without the signature.
    let other = link.as_str().replace("a/package%201.zip", "other");
    assert_eq!(fetch(&other).await.0, 403);
    let more = link.as_str().replace("sp=r", "sp=rw");
    assert_eq!(fetch(&more).await.0, 403);
    let past = now() - jiff::SignedDuration::from_hours(1);
    let old = work
        .read_link("other", Duration::from_secs(60), past)
        .await?;
    assert_eq!(fetch(old.as_str()).await.0, 403);
    let mut bare = link.clone();
    bare.set_query(None);
    assert_ne!(fetch(bare.as_str()).await.0, 200);
    for valid_for in [0, 7 * 24 * 3600 + 1] {
        let refused = work.read_link("other", Duration::from_secs(valid_for), now());
        assert!(matches!(refused.await, Err(Error::Invalid(_))));
    }
    Ok(())
}

#[tokio::test]
async fn queues_carry_text() -> Result<(), Error> {
    let emulator = Emulator::start().await;
    let queue = emulator.account.queue("delete");
    let minute = Duration::from_secs(60);
    assert!(queue.receive(32, minute).await?.is_empty());
    assert_eq!(queue.approximate_count().await?, 0);
    let text = "{\"request\":\"r1\",\"note\":\"ä <&> \\\"\"}";
    queue.send(text, Duration::ZERO).await?;
    queue.create_if_missing().await?;
    queue.create_if_missing().await?;
    queue.send("later", Duration::from_secs(3600)).await?;
    assert_eq!(queue.approximate_count().await?, 2);

    let received = queue.receive(32, Duration::from_secs(1)).await?;
    let [message] = &received[..] else {
        panic!("one is visible")
    };
    assert_eq!(message.text.as_deref(), Ok(text));
    assert_eq!(message.dequeue_count, 1);
    assert!(!format!("{message:?}").contains("r1"));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let again = queue.receive(1, minute).await?;
    assert_eq!(again[0].dequeue_count, 2);
    // The first receipt is void; the second one deletes, and deleting twice is no error.
    queue.delete(message).await?;
    assert_eq!(queue.approximate_count().await?, 2);
    queue.delete(&again[0]).await?;
    queue.delete(&again[0]).await?;
    assert_eq!(queue.approximate_count().await?, 1);

    let most = "x".repeat(48 * 1024);
    queue.send(&most, Duration::ZERO).await?;
    let more = queue.send(&format!("{most}x"), Duration::ZERO).await;
    assert!(matches!(more, Err(Error::TooLarge { limit: 49152 })));
    assert_eq!(
        queue.receive(1, minute).await?[0].text.as_deref(),
        Ok(&most[..])
    );
    Ok(())
}

#[tokio::test]
async fn messages_of_others_need_not_be_base64() -> anyhow::Result<()> {
    let emulator = Emulator::start().await;
    let queue = emulator.account.queue("intake-queue");
    queue.create_if_missing().await?;
    let message = azure_storage_queue::models::QueueMessage {
        message_text: Some("{\"plain\":true}".to_owned()),
    };
    let theirs = emulator.raw.queue("intake-queue")?;
    theirs.send_message(message.try_into()?, None).await?;
    let received = queue.receive(1, Duration::from_secs(9)).await?;
    assert_eq!(received[0].text, Err(NotBase64));
    Ok(())
}

#[tokio::test]
async fn a_wrong_key_is_denied_and_no_server_is_transient() {
    let emulator = Emulator::start().await;
    let connection = emulator.raw.connection_string();
    let wrong = connection.replace(emulator.raw.key(), "d3Jvbmc=");
    let error = open(&wrong).container("work").read("b", 1).await;
    let error = error.expect_err("the key is wrong");
    assert!(matches!(error, Error::Denied(_)), "{error:?}");
    let error = open(&wrong).queue("delete").send("x", Duration::ZERO).await;
    assert!(matches!(error, Err(Error::Denied(_))), "{error:?}");

    drop(emulator.azurite);
    let nobody = open(&connection);
    let error = nobody.container("work").read("b", 1).await;
    let error = error.expect_err("nobody is there");
    assert!(matches!(error, Error::Transient(_)), "{error:?}");
}

#[test]
fn calls_can_move_between_threads() {
    fn check<T: Send>(_: T) {}
    let account = open("UseDevelopmentStorage=true");
    let (work, queue) = (account.container("work"), account.queue("delete"));
    let mut writer = work.writer("a", JSON);
    let mut listing = work.list("");
    check(work.read("a", 1));
    check(work.create("a", "", JSON));
    check(work.stream("a"));
    check(work.read_link("a", Duration::ZERO, now()));
    check(listing.next_page());
    check(writer.write(b""));
    check(writer.commit());
    check(queue.send("", Duration::ZERO));
    check(queue.receive(1, Duration::ZERO));
    check(async {
        if let Ok(Some(mut stream)) = work.stream("a").await {
            let _part = stream.next().await;
        }
    });
}

fn now() -> Timestamp {
    use crate::clock::Clock as _;
    crate::clock::SystemClock.now()
}

async fn fetch(url: &str) -> (u16, String) {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .expect("a client");
    let answer = client.get(url).send().await.expect("an answer");
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.expect("a chunk"));
    }
    (status, String::from_utf8(body).unwrap_or_default())
}
