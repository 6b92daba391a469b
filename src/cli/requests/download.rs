//! `download`: a package in ranges, resumed where it stopped, and only given its name when its hash is right.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Response, StatusCode};
use sha2::{Digest as _, Sha256};

use super::api::{Api, header};
use super::failure::Failure;
use super::show::hex;
use crate::domain::RequestId;

/// Bytes asked for at once; the service may give fewer.
const RANGE: u64 = 8 * 1024 * 1024;
/// Failures one after the other before giving up; what is there stays for the next time.
const MAX_FAILURES: u32 = 5;
/// The wait after the first of them; it doubles.
const BACKOFF: Duration = Duration::from_millis(500);

/// A download.
pub(super) struct Download<'a> {
    api: &'a Api,
    segments: [&'a str; 3],
    output: PathBuf,
    force: bool,
    range: u64,
    backoff: Duration,
}

/// The package, as the service describes it with every range.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Package {
    size: u64,
    sha256: String,
}

impl<'a> Download<'a> {
    pub(super) fn new(api: &'a Api, id: &'a RequestId, output: PathBuf, force: bool) -> Self {
        Self {
            api,
            segments: ["requests", id.as_str(), "package"],
            output,
            force,
            range: RANGE,
            backoff: BACKOFF,
        }
    }

    /// The same with small ranges and waits.
    #[cfg(test)]
    pub(super) fn with_range(mut self, range: u64) -> Self {
        self.range = range;
        self.backoff = Duration::from_millis(1);
        self
    }

    /// Downloads, checks, and gives the file its name.
    pub(super) async fn run(
        &self,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<(), Failure> {
        if self.output.exists() && !self.force {
            return Err(Failure::usage(
                "the file is there already; --force replaces it, --output names another",
            ));
        }
        let package = self.describe(err).await?;
        let part = self.part(&package);
        let mut file = open(&part)?;
        let mut at = length(&mut file)?;
        if at > package.size {
            file.set_len(0).map_err(cannot_write)?;
            at = 0;
        }
        if at > 0 {
            writeln!(err, "going on at byte {at} of {}", package.size)?;
        }
        let mut failures = 0;
        while at < package.size {
            let before = at;
            let result = self.next_range(&package, &mut file, &mut at).await;
            if at > before {
                failures = 0;
            }
            match result {
                Ok(()) => {}
                Err(failure) if failure.is_passing() && failures < MAX_FAILURES => {
                    failures += 1;
                    writeln!(err, "{failure}; trying again at byte {at}")?;
                    tokio::time::sleep(self.backoff * (1 << failures)).await;
                }
                Err(failure) => return Err(failure),
            }
        }
        if hash(&mut file)? != package.sha256 {
            // A part that is wrong would be wrong again after every resume.
            drop(file);
            std::fs::remove_file(&part).map_err(cannot_write)?;
            return Err(Failure::Answer(
                "the package does not fit its SHA-256; what was downloaded is deleted",
            ));
        }
        file.sync_all().map_err(cannot_write)?;
        drop(file);
        std::fs::rename(&part, &self.output).map_err(cannot_write)?;
        let path = self.output.display();
        writeln!(
            out,
            "{path}  {} bytes  SHA-256 {}",
            package.size, package.sha256
        )?;
        Ok(())
    }

    /// Size and hash, from the answer to its first byte.
    async fn describe(&self, err: &mut dyn Write) -> Result<Package, Failure> {
        let mut failures = 0;
        loop {
            match self.api.range(&self.segments, 0, 0).await {
                Ok(response) => return describe(&response).map(|(package, _first)| package),
                Err(failure) if failure.is_passing() && failures < MAX_FAILURES => {
                    failures += 1;
                    writeln!(err, "{failure}; trying again")?;
                    tokio::time::sleep(self.backoff * (1 << failures)).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Beside the output, and named by the hash: parts of two packages never mix.
    fn part(&self, package: &Package) -> PathBuf {
        let mut name = self.output.file_name().unwrap_or_default().to_owned();
        name.push(format!(
            ".{}.part",
            package.sha256.get(..16).unwrap_or_default()
        ));
        self.output.with_file_name(name)
    }

    /// Appends what the service gives from `at` on; what has come stays even when the rest fails.
    async fn next_range(
        &self,
        package: &Package,
        file: &mut File,
        at: &mut u64,
    ) -> Result<(), Failure> {
        let last = (*at + self.range).min(package.size) - 1;
        let mut response = self.api.range(&self.segments, *at, last).await?;
        let (now, first) = describe(&response)?;
        if now != *package {
            return Err(Failure::Answer(
                "the package changed meanwhile; download it again",
            ));
        }
        if first != *at {
            return Err(Failure::Answer("it is another range than was asked for"));
        }
        let before = *at;
        while let Some(chunk) = response.chunk().await? {
            if *at + chunk.len() as u64 > package.size {
                return Err(Failure::Answer("it is longer than it said"));
            }
            file.write_all(&chunk).map_err(cannot_write)?;
            *at += chunk.len() as u64;
        }
        if *at == before {
            return Err(Failure::Answer("it is empty"));
        }
        Ok(())
    }
}

/// Reads `Content-Range` and the hash; the package and where the answer begins.
fn describe(response: &Response) -> Result<(Package, u64), Failure> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Err(Failure::Answer("it gives no ranges"));
    }
    let (first, size) = header(response, "content-range")
        .and_then(|text| content_range(&text))
        .ok_or(Failure::Answer("its Content-Range cannot be read"))?;
    let sha256 = header(response, "x-content-sha256")
        .filter(|text| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(|text| text.to_ascii_lowercase())
        .or_else(|| digest(&header(response, "repr-digest")?))
        .or_else(|| digest(&header(response, "digest")?))
        .ok_or(Failure::Answer("it has no SHA-256 to check"))?;
    Ok((Package { size, sha256 }, first))
}

/// First byte and size of `bytes 0-9/100`.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size): (u64, u64, u64) =
        (first.parse().ok()?, last.parse().ok()?, size.parse().ok()?);
    (first <= last && last < size).then_some((first, size))
}

/// The SHA-256 in `sha-256=:BASE64:` (RFC 9530) or `SHA-256=BASE64` (RFC 3230), as hex.
fn digest(text: &str) -> Option<String> {
    text.split(',').find_map(|item| {
        let (algorithm, value) = item.trim().split_once('=')?;
        let is_sha256 = algorithm.eq_ignore_ascii_case("sha-256");
        let bytes = STANDARD.decode(value.trim_matches(':')).ok()?;
        (is_sha256 && bytes.len() == 32).then(|| hex(&bytes))
    })
}

fn cannot_write(error: std::io::Error) -> Failure {
    Failure::file("write the package", error)
}

/// Opens the part to append to. A package is personal data: only its owner reads it.
fn open(path: &std::path::Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path).map_err(cannot_write)
}

fn length(file: &mut File) -> Result<u64, Failure> {
    file.seek(SeekFrom::End(0)).map_err(cannot_write)
}

fn hash(file: &mut File) -> Result<String, Failure> {
    file.rewind().map_err(cannot_write)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1024 * 1024];
    loop {
        let read = file.read(&mut buffer).map_err(cannot_write)?;
        if read == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        let cases = [
            ("bytes 0-9/100", Some((0, 100))),
            ("bytes 90-99/100", Some((90, 100))),
            ("bytes 90-100/100", None),
            ("bytes 9-0/100", None),
            ("bytes */100", None),
            ("bytes 0-9/*", None),
            ("items 0-9/100", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(content_range(text), expected, "{text}");
        }
    }

    #[test]
    fn digests_in_both_forms() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let base64 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        for text in [
            format!("sha-256=:{base64}:"),
            format!("SHA-256={base64}"),
            format!("md5=x, sha-256=:{base64}:"),
        ] {
            assert_eq!(digest(&text).as_deref(), Some(empty), "{text}");
        }
        for text in ["", "sha-256=:x:", "sha-512=:AAAA:", "sha-256=AAAA"] {
            assert_eq!(digest(text), None, "{text}");
        }
    }
}
