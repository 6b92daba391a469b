//! Blocks and bytes give the same pieces, whatever the input and however it is chunked.

use proptest::prelude::*;

use super::*;

/// A piece with bytes of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owned {
    record: u64,
    offset: u64,
    end: u64,
    bytes: Vec<u8>,
    flags: [bool; 4],
}

/// All pieces, and what the splitter says about the blob.
fn pieces<'a>(
    is_plain: bool,
    max: usize,
    chunks: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Owned>, u64, bool, bool) {
    let mut splitter = Splitter::new(max);
    splitter.is_plain = is_plain;
    let mut all = Vec::new();
    let mut emit = |piece: Piece<'_>| {
        all.push(Owned {
            record: piece.record,
            offset: piece.offset,
            end: piece.end,
            bytes: piece.bytes.to_vec(),
            flags: [
                piece.is_json,
                piece.is_in_string,
                piece.is_first,
                piece.is_last,
            ],
        });
        ControlFlow::Continue(())
    };
    for chunk in chunks {
        _ = splitter.push(chunk, &mut emit);
    }
    _ = splitter.finish(&mut emit);
    (all, splitter.records, splitter.is_array, splitter.is_text)
}

fn check(blob: &[u8], max: usize, sizes: &[usize]) -> Result<(), TestCaseError> {
    let expected = pieces(true, max, std::iter::once(blob));
    prop_assert_eq!(&pieces(false, max, std::iter::once(blob)), &expected);
    for size in sizes {
        let expected = pieces(true, max, blob.chunks(*size));
        prop_assert_eq!(&pieces(false, max, blob.chunks(*size)), &expected);
    }
    Ok(())
}

proptest! {

    #[test]
    fn any_structure(
        text in r#"[\{\[]?([\{\}\[\]",:\\ \n]|"[a-z ]{0,90}"|"a":|\\"|\\\\|[ \t\r\n]{1,70}|\{"a":"b"\}|\},\{"|\}\n\{"|[a-z]{1,70}|\\{1,70}){0,60}"#,
        max in 64..600_usize,
        size in 1..200_usize,
    ) {
        check(text.as_bytes(), max, &[size])?;
        check(text.as_bytes(), 1 << 20, &[1, 64, size])?;
    }

    #[test]
    fn any_rows(
        rows in proptest::collection::vec(r#"\{("[a-z]{1,20}":("[a-z \\n]{0,80}"|"(\\"|\\\\|x){0,80}"|[0-9]{1,5}|null|\{"b":\[1,\{\}\]\}),){0,6}"z":"(\\"|[\{\}a\[\]]){0,90}"\}?"#, 0..12),
        separator in prop_oneof![Just(","), Just("\n"), Just(" "), Just(",\n  "), Just("")],
        is_array in any::<bool>(),
        cut in 0..80_usize,
        max in 64..2_000_usize,
        size in 1..300_usize,
    ) {
        let mut text = rows.join(separator);
        if is_array {
            text = format!("[{text}]");
        }
        let end = text.len().saturating_sub(cut);
        for text in [text.as_str(), text.get(..end).unwrap_or_default()] {
            check(text.as_bytes(), max, &[size])?;
            check(text.as_bytes(), 1 << 20, &[1, 64, size])?;
        }
    }
}
