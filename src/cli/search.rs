//! `appcenter-dsr search`: the engine over files and folders, one JSON line a matching record.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::search::facts::ids_in_name;
use crate::search::{Facts, Identifiers, Kind, Match, Options, Searcher, Sink, Unsearched};

/// How much of a file is read at once.
const CHUNK: usize = 1 << 20;
/// The longest line of a file of subjects, in bytes.
const MAX_SUBJECT: u64 = 1 << 20;
/// How deep folders are entered.
const MAX_FOLDERS: usize = 100;

/// Something was found.
const FOUND: u8 = 0;
/// Nothing was found, and everything was read.
const NOTHING: u8 = 1;
/// Something could not be read.
const UNREAD: u8 = 2;

/// What the command line holds, kind by kind.
#[derive(Args)]
struct Flags {
    /// An install ID, in any spelling
    #[arg(long = "install-id", value_name = "ID")]
    install_id: Vec<String>,
    /// A user ID, exactly as it is stored
    #[arg(long = "user-id", value_name = "ID", allow_hyphen_values = true)]
    user_id: Vec<String>,
    /// An e-mail address
    #[arg(long = "email", value_name = "E")]
    email: Vec<String>,
    /// A word or phrase, such as a name
    #[arg(long = "term", value_name = "T", allow_hyphen_values = true)]
    term: Vec<String>,
    /// Many people at once: JSON Lines `{"id","install_ids","user_ids","emails","terms"}`
    #[arg(long = "subjects", value_name = "FILE", conflicts_with_all = ["install_id", "user_id", "email", "term"])]
    subjects: Option<PathBuf>,
    /// Say on stderr how much was read, and how fast
    #[arg(long)]
    stats: bool,
    /// Files and folders
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

/// The arguments of `appcenter-dsr search`.
///
/// `Debug` shows no identifier.
pub struct SearchArgs {
    flags: Flags,
    /// The kind of each identifier, in the order of the command line.
    order: Vec<Kind>,
}

impl std::fmt::Debug for SearchArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SearchArgs")
            .field("identifiers", &self.order.len())
            .field("paths", &self.flags.paths.len())
            .finish_non_exhaustive()
    }
}

impl FromArgMatches for SearchArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut order: Vec<(usize, Kind)> = Vec::new();
        for (flag, kind) in [
            ("install_id", Kind::InstallId),
            ("user_id", Kind::UserId),
            ("email", Kind::Email),
            ("term", Kind::Term),
        ] {
            let places = matches.indices_of(flag).into_iter().flatten();
            order.extend(places.map(|place| (place, kind)));
        }
        order.sort_unstable_by_key(|(place, _)| *place);
        Ok(Self {
            flags: Flags::from_arg_matches(matches)?,
            order: order.into_iter().map(|(_, kind)| kind).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for SearchArgs {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

/// Runs the search: matches to stdout, everything else to stderr.
///
/// Exits with 0 when something was found, 1 when nothing was, 2 when something could not be read.
#[must_use]
pub fn run(args: &SearchArgs) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut err = io::stderr().lock();
    ExitCode::from(run_to(args, &mut out, &mut err))
}

/// The command with its streams given.
fn run_to(args: &SearchArgs, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let started = Instant::now();
    let people = match People::of(args) {
        Ok(people) => people,
        Err(error) => {
            say(err, &error);
            return UNREAD;
        }
    };
    let mut run = Run {
        people: &people,
        out,
        err,
        buffer: vec![0; CHUNK],
        bytes: 0,
        records: 0,
        matches: 0,
        is_incomplete: false,
        is_out_broken: false,
    };
    for path in &args.flags.paths {
        run.path(path);
    }
    if run.out.flush().is_err() {
        run.unread("stdout", "cannot be written");
    }
    if args.flags.stats {
        let seconds = started.elapsed().as_secs_f64();
        let rate = run.bytes as f64 / seconds.max(1e-9);
        let stats = format!(
            "bytes={} records={} seconds={seconds:.6} bytes_per_second={rate:.0}",
            run.bytes, run.records
        );
        say(run.err, &stats);
    }
    match (run.is_incomplete, run.matches) {
        (true, _) => UNREAD,
        (false, 0) => NOTHING,
        (false, _) => FOUND,
    }
}

/// Writes a line to stderr. When even that fails there is nobody left to tell.
fn say(err: &mut dyn Write, line: &str) {
    _ = writeln!(err, "{line}");
}

/// Everybody who is looked for.
struct People {
    searcher: Searcher,
    /// The ID of each subject; one without when the identifiers stand on the command line.
    ids: Vec<Option<String>>,
    /// For identifiers of the command line: the place there of each, by the engine's order.
    places: Option<Vec<usize>>,
}

/// One line of a file of subjects.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    id: String,
    #[serde(default)]
    install_ids: Vec<Uuid>,
    #[serde(default)]
    user_ids: Vec<String>,
    #[serde(default)]
    emails: Vec<String>,
    #[serde(default)]
    terms: Vec<String>,
}

impl People {
    fn of(args: &SearchArgs) -> Result<Self, String> {
        match &args.flags.subjects {
            Some(file) => Self::of_file(file),
            None => Self::of_flags(args),
        }
    }

    fn of_flags(args: &SearchArgs) -> Result<Self, String> {
        let flags = &args.flags;
        if args.order.is_empty() {
            return Err(
                "give at least one of --install-id, --user-id, --email, --term, or --subjects"
                    .to_owned(),
            );
        }
        let install_ids: Result<Vec<Uuid>, _> = flags
            .install_id
            .iter()
            .map(|id| Uuid::try_parse(id.trim()))
            .collect();
        let identifiers = Identifiers {
            install_ids: install_ids.map_err(|_error| "an --install-id is no UUID".to_owned())?,
            user_ids: flags.user_id.clone(),
            emails: flags.email.clone(),
            terms: flags.term.clone(),
            ..Identifiers::default()
        };
        let searcher = Searcher::new(&[identifiers]).map_err(|error| error.to_string())?;
        // The engine counts kind by kind.
        let mut places: Vec<usize> = (0..args.order.len()).collect();
        places.sort_by_key(|place| args.order.get(*place).copied());
        Ok(Self {
            searcher,
            ids: vec![None],
            places: Some(places),
        })
    }

    fn of_file(file: &Path) -> Result<Self, String> {
        let shown = file.display();
        let opened = File::open(file).map_err(|error| format!("{shown}: {error}"))?;
        let mut reader = BufReader::new(opened);
        let mut ids = Vec::new();
        let mut subjects = Vec::new();
        for number in 1_u64.. {
            let mut line = Vec::new();
            reader
                .by_ref()
                .take(MAX_SUBJECT + 1)
                .read_until(b'\n', &mut line)
                .map_err(|error| format!("{shown}: {error}"))?;
            if line.is_empty() {
                break;
            }
            if line.len() as u64 > MAX_SUBJECT {
                return Err(format!(
                    "{shown}: line {number} is longer than {MAX_SUBJECT} bytes"
                ));
            }
            let text = line.trim_ascii();
            let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
            if text.is_empty() {
                continue;
            }
            // The parser's own words may quote the line.
            let subject: Subject = serde_json::from_slice(text).map_err(|error| {
                format!(
                    "{shown}: line {number} is no subject ({:?} error, column {})",
                    error.classify(),
                    error.column()
                )
            })?;
            ids.push(Some(subject.id));
            subjects.push(Identifiers {
                install_ids: subject.install_ids,
                user_ids: subject.user_ids,
                emails: subject.emails,
                terms: subject.terms,
                ..Identifiers::default()
            });
        }
        if subjects.is_empty() {
            return Err(format!("{shown}: it holds no subject"));
        }
        let searcher = Searcher::new(&subjects).map_err(|error| format!("{shown}: {error}"))?;
        Ok(Self {
            searcher,
            ids,
            places: None,
        })
    }
}

/// One run over all paths.
struct Run<'a> {
    people: &'a People,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    buffer: Vec<u8>,
    bytes: u64,
    records: u64,
    matches: u64,
    is_incomplete: bool,
    is_out_broken: bool,
}

impl Run<'_> {
    /// Searches a path of the command line.
    fn path(&mut self, path: &Path) {
        let shown = path.to_string_lossy().into_owned();
        if shown.starts_with("https://") || shown.starts_with("http://") {
            // The address may carry a signature: only its beginning is shown.
            return self.unread(
                "a container URL",
                "is not supported yet; download it to a folder and give that",
            );
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                self.folder(path, shown.trim_end_matches(['/', '\\']), 0)
            }
            Ok(_) => self.file(path, &shown.replace(std::path::MAIN_SEPARATOR, "/")),
            Err(error) => self.unread(&shown, &error.to_string()),
        }
    }

    /// Searches a folder, in the order of names.
    fn folder(&mut self, path: &Path, name: &str, depth: usize) {
        if depth >= MAX_FOLDERS {
            return self.unread(name, "is too deep a folder");
        }
        let mut entries = Vec::new();
        match fs::read_dir(path) {
            Ok(found) => {
                for entry in found {
                    match entry {
                        Ok(entry) => entries.push(entry),
                        Err(error) => self.unread(name, &error.to_string()),
                    }
                }
            }
            Err(error) => return self.unread(name, &error.to_string()),
        }
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            match fs::metadata(&path) {
                // A link to a folder may lead in circles.
                Ok(metadata) if metadata.is_dir() && is_link => {
                    self.unread(&name, "is a link to a folder, which is not followed");
                }
                Ok(metadata) if metadata.is_dir() => self.folder(&path, &name, depth + 1),
                Ok(metadata) if metadata.is_file() => self.file(&path, &name),
                Ok(_) => self.unread(&name, "is neither a file nor a folder"),
                Err(error) => self.unread(&name, &error.to_string()),
            }
            if self.is_out_broken {
                return;
            }
        }
    }

    fn file(&mut self, path: &Path, name: &str) {
        if self.is_out_broken {
            return;
        }
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) => return self.unread(name, &error.to_string()),
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut scan = self.people.searcher.scan(Options {
            path: Some(name),
            ..Options::default()
        });
        let mut lines = Lines {
            people: self.people,
            out: self.out,
            blob: name,
            error: None,
        };
        let mut problem = None;
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    let chunk = buffer.get(..length).unwrap_or_default();
                    if scan.push(chunk, &mut lines).is_break() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    problem = Some(error.to_string());
                    break;
                }
            }
        }
        let summary = scan.finish(&mut lines);
        let broken = lines.error.take();
        self.buffer = buffer;
        self.bytes += summary.bytes;
        self.records += summary.records;
        self.matches += summary.matches;
        if let Some(problem) = problem {
            self.unread(name, &problem);
        }
        if let Some(error) = broken {
            self.is_out_broken = true;
            self.unread("stdout", &error.to_string());
        }
        for missed in &summary.not_searched {
            say(self.err, &format!("{name}: {missed}"));
            self.is_incomplete |= missed.what != Unsearched::Hits;
        }
        if summary.not_searched_more > 0 {
            let more = summary.not_searched_more;
            self.unread(name, &format!("and {more} more not searched"));
        }
    }

    /// Says that something could not be read. The rest is searched.
    fn unread(&mut self, name: &str, why: &str) {
        self.is_incomplete = true;
        say(self.err, &format!("{name}: {why}"));
    }
}

/// One line of output.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    blob: &'a str,
    record: u64,
    offset: u64,
    length: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    decoded: bool,
    install_id: Option<String>,
    report_id: Option<String>,
    matched: Vec<usize>,
}

/// Writes a line for each subject of each matching record.
struct Lines<'a> {
    people: &'a People,
    out: &'a mut dyn Write,
    blob: &'a str,
    error: Option<io::Error>,
}

impl Sink for Lines<'_> {
    fn matched(&mut self, found: &Match<'_>) -> ControlFlow<()> {
        match self.write(found) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

impl Lines<'_> {
    fn write(&mut self, found: &Match<'_>) -> io::Result<()> {
        let facts = Facts::of_record(found.bytes);
        let mut matched: Vec<(usize, usize)> = found
            .hits
            .iter()
            .map(|hit| {
                let places = self.people.places.as_ref();
                let place = places.and_then(|places| places.get(hit.identifier).copied());
                (hit.subject, place.unwrap_or(hit.identifier))
            })
            .collect();
        matched.sort_unstable();
        matched.dedup();
        for group in matched.chunk_by(|(left, _), (right, _)| left == right) {
            let subject = group
                .first()
                .and_then(|(subject, _)| self.people.ids.get(*subject));
            let line = Line {
                subject: subject.and_then(Option::as_deref),
                blob: self.blob,
                record: found.record,
                offset: found.offset,
                length: found.length,
                decoded: found.decoded,
                install_id: facts.install_id.map(|id| id.to_string()),
                report_id: report_id(&facts, self.blob).map(|id| id.to_string()),
                matched: group.iter().map(|(_, identifier)| *identifier).collect(),
            };
            serde_json::to_writer(&mut *self.out, &line)?;
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// The report that a record belongs to: by its own ID, by the blob that it names, or by the name of its own blob.
fn report_id(facts: &Facts, blob: &str) -> Option<Uuid> {
    let named = |name: &str| ids_in_name(name).error_id.and_then(|id| id.guid());
    facts
        .error_id
        .as_ref()
        .and_then(crate::domain::ErrorId::guid)
        .or_else(|| facts.payload_blob.as_deref().and_then(named))
        .or_else(|| named(blob))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "e589a371-ea0c-4479-9a7b-9f834adec040";
    const ROW: &str = r#"{"InstallId":"E589A371-EA0C-4479-9A7B-9F834ADEC040","UserId":"u-20417"}"#;

    fn parse(arguments: &[&str]) -> Result<SearchArgs, clap::Error> {
        let command = SearchArgs::augment_args(Command::new("search").no_binary_name(true));
        SearchArgs::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }

    /// Runs the command over a folder with these files; `DIR` stands for the folder.
    fn check(files: &[(&str, &[u8])], arguments: &[&str], code: u8, expected: &[&str]) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().to_string_lossy().replace('\\', "/");
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("inside")).expect("a folder");
            fs::write(path, bytes).expect("a file");
        }
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| argument.replace("DIR", &root))
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let args = parse(&arguments).expect("good arguments");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let found = run_to(&args, &mut out, &mut err);
        let out = String::from_utf8(out).expect("UTF-8").replace(&root, "DIR");
        let err = String::from_utf8(err).expect("UTF-8").replace(&root, "DIR");
        assert_eq!(found, code, "{arguments:?}: {out}{err}");
        assert_eq!(
            out.lines().collect::<Vec<_>>(),
            expected,
            "{arguments:?}: {err}"
        );
        err
    }

    #[test]
    fn files_and_folders() {
        let array = format!("[{{}},{ROW}]");
        let files: &[(&str, &[u8])] = &[
            ("b/logs.v1.data", array.as_bytes()),
            ("a.txt", b"nothing"),
            ("empty", b""),
        ];
        let line = r#"{"blob":"DIR/b/logs.v1.data","record":1,"offset":4,"length":71,"install_id":"e589a371-ea0c-4479-9a7b-9f834adec040","report_id":null,"matched":[0]}"#;
        for path in ["DIR", "DIR/", "DIR/b", "DIR/b/logs.v1.data"] {
            check(files, &["--user-id", "u-20417", path], FOUND, &[line]);
        }
        check(files, &["--user-id", "u-20418", "DIR"], NOTHING, &[]);
    }

    #[test]
    fn identifiers_count_in_the_order_of_the_command_line() {
        let files: &[(&str, &[u8])] = &[("x", ROW.as_bytes())];
        let line = r#"{"blob":"DIR/x","record":0,"offset":0,"length":71,"install_id":"e589a371-ea0c-4479-9a7b-9f834adec040","report_id":null,"matched":[1,3]}"#;
        let arguments = [
            "--term",
            "none",
            "--user-id=u-20417",
            "--email",
            "a@b.c",
            "--install-id",
            ID,
            "DIR/x",
        ];
        check(files, &arguments, FOUND, &[line]);
    }

    #[test]
    fn reports_by_name_and_decoded_bytes() {
        let name = "2026/11/20/09/00/attachments/2518291138564839999-0B1C2D3E-4F50-6172-8394-A5B6C7D8E9F0/x";
        let utf16: Vec<u8> = "\u{feff}for ana@example.com"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let line = format!(
            r#"{{"blob":"DIR/{name}","record":0,"offset":0,"length":19,"decoded":true,"install_id":null,"report_id":"0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0","matched":[0]}}"#
        );
        check(
            &[(name, &utf16)],
            &["--email", "ANA@example.com", "DIR"],
            FOUND,
            &[&line],
        );
    }

    #[test]
    fn subjects_from_a_file() {
        let subjects = format!(
            "{{\"id\":\"one\",\"install_ids\":[\"{ID}\"],\"user_ids\":[\"x\",\"u-20417\"]}}\n\n{{\"id\":\"two\",\"emails\":[\"a@b.c\"]}}\n{{\"id\":\"three\",\"user_ids\":[\"u-20417\"]}}"
        );
        let files: &[(&str, &[u8])] = &[("s", subjects.as_bytes()), ("d/x", ROW.as_bytes())];
        let line = |subject: &str, matched: &str| {
            format!(
                r#"{{"subject":"{subject}","blob":"DIR/d/x","record":0,"offset":0,"length":71,"install_id":"{ID}","report_id":null,"matched":{matched}}}"#
            )
        };
        let expected = [line("one", "[0,2]"), line("three", "[0]")];
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(files, &["--subjects", "DIR/s", "DIR/d"], FOUND, &expected);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let files: &[(&str, &[u8])] = &[
            ("x", b"for ana@example.com"),
            ("y.gz", b"\x1F\x8B\x08\x00broken..."),
        ];
        let line = r#"{"blob":"DIR/x","record":0,"offset":0,"length":19,"install_id":null,"report_id":null,"matched":[0]}"#;
        let mail = ["--email", "ana@example.com"];
        let err = check(
            files,
            &[&mail[..], &["DIR/none", "DIR/x"]].concat(),
            UNREAD,
            &[line],
        );
        assert!(err.starts_with("DIR/none: "), "{err}");
        let err = check(files, &[&mail[..], &["DIR"]].concat(), UNREAD, &[line]);
        assert!(
            err.starts_with("DIR/y.gz: record 0: not searched: a damaged gzip stream"),
            "{err}"
        );
        let url = "https://account.blob.core.windows.net/archive?sig=secret";
        let err = check(
            files,
            &[&mail[..], &[url, "DIR/x"]].concat(),
            UNREAD,
            &[line],
        );
        assert!(
            err.contains("not supported yet") && !err.contains("secret"),
            "{err}"
        );
    }

    #[test]
    fn bad_arguments() {
        let files: &[(&str, &[u8])] = &[
            ("x", b"x"),
            ("s", b"{\"id\":\"one\",\"emails\":[\"secret\",3]}"),
            ("e", b"\n"),
        ];
        for (arguments, expected) in [
            (&["DIR/x"][..], "give at least one"),
            (&["--install-id", "secret", "DIR/x"], "no UUID"),
            (&["--email", "secret", "DIR/x"], "not an e-mail address"),
            (&["--term", "", "DIR/x"], "is empty"),
            (&["--subjects", "DIR/s", "DIR/x"], "line 1 is no subject"),
            (&["--subjects", "DIR/e", "DIR/x"], "holds no subject"),
            (&["--subjects", "DIR/none", "DIR/x"], "DIR/none: "),
        ] {
            let err = check(files, arguments, UNREAD, &[]);
            assert!(err.contains(expected) && !err.contains("secret"), "{err}");
        }
        assert!(parse(&["--email", "a@b.c"]).is_err());
        assert!(parse(&["--email", "a@b.c", "--subjects", "s", "x"]).is_err());
    }

    #[test]
    fn stats() {
        let files: &[(&str, &[u8])] = &[("x", b"{}\n{}\n")];
        let err = check(files, &["--term", "abcd", "--stats", "DIR"], NOTHING, &[]);
        assert!(err.starts_with("bytes=6 records=2 seconds="), "{err}");
        assert!(err.contains(" bytes_per_second="), "{err}");
    }
}
