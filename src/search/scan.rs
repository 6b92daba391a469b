//! Reads one blob: takes compression and UTF-16 off the stream, splits it into records and searches each.

use std::io::Write as _;
use std::ops::ControlFlow;

use flate2::write::MultiGzDecoder;

use super::examine::Examiner;
use super::index::{BlobTokens, Key, Tokens};
use super::records::{Piece, Splitter, whole_words};
use super::sieve::{Scratch, Sieve, Verdict};
use super::sink::{Container, Encoding, Match, Sink, Summary};
use super::texts::{Order, byte_order_mark, is_binary, unmarked_order};
use super::utf16::Utf16;
use super::{Options, Searcher, Unsearched};

/// How many bytes decide about compression and UTF-16.
const SIGNATURE: usize = 4;
/// Compressed bytes are inflated in blocks of this size, so that limits do not depend on how the bytes arrive.
const BLOCK: usize = 4 * 1024;
/// How much of an oversized record is kept for its match.
const MAX_HEAD: usize = 256 * 1024;

/// What comes off the stored bytes first.
enum Source {
    /// Not decided yet: too few bytes.
    Unknown(Vec<u8>),
    Plain,
    Gzip {
        decoder: Box<MultiGzDecoder<Vec<u8>>>,
        block: Vec<u8>,
        consumed: u64,
        produced: u64,
        is_over: bool,
    },
}

/// What comes off the bytes next.
enum Charset {
    Unknown(Vec<u8>),
    Bytes,
    Utf16(Utf16),
}

/// The scan of one blob.
pub struct Scan<'s> {
    options: Options<'s>,
    source: Source,
    text: Text<'s>,
    bytes: u64,
    is_stopped: bool,
}

impl std::fmt::Debug for Scan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// Adds to the first bytes. Once they are enough to decide, they come back with what follows them in the chunk.
fn signature<'c>(head: &mut Vec<u8>, chunk: &'c [u8]) -> Option<(Vec<u8>, &'c [u8])> {
    let missing = SIGNATURE.saturating_sub(head.len());
    let (first, rest) = chunk.split_at(chunk.len().min(missing));
    head.extend_from_slice(first);
    (head.len() >= SIGNATURE).then(|| (std::mem::take(head), rest))
}

impl<'s> Scan<'s> {
    pub(super) fn new(searcher: &'s Searcher, options: Options<'s>) -> Self {
        Self {
            options,
            source: Source::Unknown(Vec::new()),
            text: Text {
                charset: Charset::Unknown(Vec::new()),
                splitter: Splitter::new(options.max_record),
                records: Records {
                    sieve: (!options.is_exhaustive).then_some(&searcher.sieve),
                    depth: options.depth,
                    scratch: Scratch::default(),
                    examiner: Examiner::new(searcher, options),
                    matches: 0,
                    oversized: 0,
                    head: Vec::new(),
                    is_decoded: false,
                    is_binary: false,
                },
            },
            bytes: 0,
            is_stopped: false,
        }
    }

    /// Gathers what an index tells of the blob, too: every record gets the exact search then, whoever is looked for.
    ///
    /// What is not looked at because of a limit counts as not searched, so that the limits make no difference later.
    #[must_use]
    pub fn with_tokens(mut self, key: &Key) -> Self {
        self.text.records.sieve = None;
        self.text.records.examiner.tokens = Some(Tokens::new(key.clone()));
        self
    }

    /// Takes the next bytes of the blob. Chunks of any size give the same matches.
    ///
    /// `Break` when the sink said so; what is pushed afterwards is ignored.
    pub fn push(&mut self, chunk: &[u8], sink: &mut dyn Sink) -> ControlFlow<()> {
        if self.is_stopped {
            return ControlFlow::Break(());
        }
        self.bytes += chunk.len() as u64;
        let outcome = self.feed(chunk, sink);
        self.is_stopped = outcome.is_break();
        outcome
    }

    /// Ends the blob: searches what is left of it and says what was read.
    #[must_use]
    pub fn finish(self, sink: &mut dyn Sink) -> Summary {
        self.finish_with_tokens(0, sink).0
    }

    /// Ends a blob whose tokens were gathered; `blob` is how the index knows it. `None` when they were not.
    #[must_use]
    pub fn finish_with_tokens(
        mut self,
        blob: u64,
        sink: &mut dyn Sink,
    ) -> (Summary, Option<BlobTokens>) {
        // For what is found it makes no difference any more whether the sink stops now.
        let is_all = !self.is_stopped && self.end(sink).is_continue();
        let Text {
            charset,
            splitter,
            mut records,
        } = self.text;
        let is_gzip = matches!(self.source, Source::Gzip { .. });
        let encoding = match (is_gzip, charset) {
            (false, Charset::Utf16(Utf16 { order, .. })) => match order {
                Order::Little => Encoding::Utf16Le,
                Order::Big => Encoding::Utf16Be,
            },
            (true, Charset::Utf16(_)) => Encoding::GzipUtf16,
            (true, _) => Encoding::Gzip,
            (false, _) => Encoding::Plain,
        };
        let container = match splitter.records {
            0 if !splitter.is_array => Container::Empty,
            _ if splitter.is_text && records.is_binary => Container::Binary,
            _ if splitter.is_text => Container::Text,
            _ if splitter.is_array => Container::Array,
            1 => Container::Object,
            _ => Container::Lines,
        };
        let tokens = records.examiner.tokens.take();
        let summary = Summary {
            bytes: self.bytes,
            records: splitter.records,
            matches: records.matches,
            oversized_records: records.oversized,
            not_searched: records.examiner.not_searched,
            not_searched_more: records.examiner.not_searched_more,
            container,
            encoding,
        };
        // A blob of which something was not searched may hold anybody.
        let is_searched = is_all
            && summary.not_searched.is_empty()
            && summary.not_searched_more == 0
            && summary.oversized_records == 0;
        let tokens = tokens.map(|tokens| tokens.finish(blob, summary.records, is_searched));
        (summary, tokens)
    }

    fn feed(&mut self, chunk: &[u8], sink: &mut dyn Sink) -> ControlFlow<()> {
        if let Source::Unknown(head) = &mut self.source {
            let Some((head, rest)) = signature(head, chunk) else {
                return ControlFlow::Continue(());
            };
            self.start(&head, sink)?;
            return self.inflate(rest, false, sink);
        }
        self.inflate(chunk, false, sink)
    }

    /// Decides about compression and takes the first bytes.
    fn start(&mut self, head: &[u8], sink: &mut dyn Sink) -> ControlFlow<()> {
        self.source = Source::Plain;
        if head.starts_with(&[0x1F, 0x8B, 8]) {
            self.text.records.is_decoded = true;
            self.source = Source::Gzip {
                decoder: Box::new(MultiGzDecoder::new(Vec::new())),
                block: Vec::new(),
                consumed: 0,
                produced: 0,
                is_over: false,
            };
        }
        self.inflate(head, false, sink)
    }

    fn end(&mut self, sink: &mut dyn Sink) -> ControlFlow<()> {
        if let Source::Unknown(head) = &mut self.source {
            let head = std::mem::take(head);
            self.start(&head, sink)?;
        }
        self.inflate(&[], true, sink)?;
        self.text.finish(sink)
    }

    /// Passes bytes on, inflated where the blob is compressed.
    fn inflate(&mut self, chunk: &[u8], is_last: bool, sink: &mut dyn Sink) -> ControlFlow<()> {
        let Source::Gzip {
            decoder,
            block,
            consumed,
            produced,
            is_over,
        } = &mut self.source
        else {
            return self.text.push(chunk, sink);
        };
        let mut rest = chunk;
        while !*is_over {
            let (first, after) = rest.split_at(rest.len().min(BLOCK - block.len()));
            block.extend_from_slice(first);
            rest = after;
            if block.len() < BLOCK && !is_last {
                break;
            }
            *consumed += block.len() as u64;
            let outcome = decoder.write_all(block).and_then(|()| {
                if is_last && rest.is_empty() {
                    decoder.try_finish()
                } else {
                    decoder.flush()
                }
            });
            let is_block_last = block.len() < BLOCK;
            block.clear();
            let limit = self.options.expansion_at(*consumed);
            let mut bytes = std::mem::take(decoder.get_mut());
            let room = usize::try_from(limit.saturating_sub(*produced)).unwrap_or(usize::MAX);
            if bytes.len() > room {
                bytes.truncate(room);
                *is_over = true;
                self.text.miss(Unsearched::Expansion, limit);
            } else if outcome.is_err() {
                *is_over = true;
                self.text.miss(Unsearched::DamagedGzip, 0);
            }
            *produced += bytes.len() as u64;
            self.text.push(&bytes, sink)?;
            bytes.clear();
            *decoder.get_mut() = bytes;
            if is_block_last {
                break;
            }
        }
        ControlFlow::Continue(())
    }
}

/// The text of a blob on its way to its records.
struct Text<'s> {
    charset: Charset,
    splitter: Splitter,
    records: Records<'s>,
}

impl Text<'_> {
    fn miss(&mut self, what: Unsearched, limit: u64) {
        self.records.examiner.begin(self.splitter.records);
        self.records.examiner.miss(what, limit);
    }

    fn push(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> ControlFlow<()> {
        let Charset::Unknown(head) = &mut self.charset else {
            return self.decoded(bytes, sink);
        };
        let Some((head, rest)) = signature(head, bytes) else {
            return ControlFlow::Continue(());
        };
        self.start(&head, sink)?;
        self.decoded(rest, sink)
    }

    fn start(&mut self, head: &[u8], sink: &mut dyn Sink) -> ControlFlow<()> {
        self.charset = Charset::Bytes;
        if let Some(order) = byte_order_mark(head).or_else(|| unmarked_order(head)) {
            self.records.is_decoded = true;
            self.charset = Charset::Utf16(Utf16::new(order));
        }
        self.decoded(head, sink)
    }

    fn decoded(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> ControlFlow<()> {
        let Self {
            charset,
            splitter,
            records,
        } = self;
        let mut emit = |piece: Piece<'_>| records.take(piece, sink);
        if let Charset::Utf16(utf16) = charset {
            utf16.push(bytes);
            let outcome = splitter.push(utf16.text.as_bytes(), &mut emit);
            utf16.text.clear();
            return outcome;
        }
        splitter.push(bytes, &mut emit)
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> ControlFlow<()> {
        if let Charset::Unknown(head) = &mut self.charset {
            let head = std::mem::take(head);
            self.start(&head, sink)?;
        }
        let Self {
            charset,
            splitter,
            records,
        } = self;
        let mut emit = |piece: Piece<'_>| records.take(piece, sink);
        if let Charset::Utf16(utf16) = charset {
            utf16.finish();
            splitter.push(utf16.text.as_bytes(), &mut emit)?;
        }
        splitter.finish(&mut emit)
    }
}

/// Searches records and reports those with hits.
struct Records<'s> {
    /// Tells which records need to be examined; all of them without.
    sieve: Option<&'s Sieve>,
    /// How many layers of encoding are taken off.
    depth: u8,
    scratch: Scratch,
    examiner: Examiner<'s>,
    matches: u64,
    oversized: u64,
    /// The beginning of an oversized record.
    head: Vec<u8>,
    is_decoded: bool,
    is_binary: bool,
}

impl Records<'_> {
    fn take(&mut self, piece: Piece<'_>, sink: &mut dyn Sink) -> ControlFlow<()> {
        let is_oversized = !(piece.is_first && piece.is_last);
        if piece.is_first {
            sink.seen(piece.bytes);
            self.examiner.begin(piece.record);
            if !piece.is_json {
                self.is_binary |= is_binary(piece.bytes);
            }
            if is_oversized {
                self.oversized += 1;
                self.head.clear();
                let head = piece.bytes.len().min(MAX_HEAD);
                self.head
                    .extend_from_slice(piece.bytes.get(..head).unwrap_or_default());
                if super::texts::is_container(piece.bytes) {
                    let limit = self.examiner.max_record();
                    self.examiner.miss(Unsearched::LargeContainer, limit);
                }
            }
        }
        let bytes = whole_words(&piece);
        let (depth, scratch) = (self.depth, &mut self.scratch);
        let verdict = self.sieve.map_or(Verdict::Plain, |sieve| {
            sieve.judge(bytes, piece.is_json, depth, scratch)
        });
        if verdict != Verdict::Nothing {
            let may_be_plain = verdict == Verdict::Plain;
            self.examiner.search(bytes, &piece, may_be_plain);
        }
        if !piece.is_last || self.examiner.hits.is_empty() {
            return ControlFlow::Continue(());
        }
        self.matches += 1;
        let (length, bytes) = if is_oversized {
            (piece.end - piece.offset, self.head.as_slice())
        } else {
            (piece.bytes.len() as u64, piece.bytes)
        };
        sink.matched(&Match {
            record: piece.record,
            offset: piece.offset,
            length,
            decoded: self.is_decoded,
            oversized: is_oversized,
            bytes,
            hits: &self.examiner.hits,
        })
    }
}
