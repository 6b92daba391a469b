//! Reads what a client asked: a call of `sp_executesql`, as MS-TDS 2.2.6.6 draws it, with the types that we send.

use crate::ledger::statement::Parameter;

/// The number of `sp_executesql` among the procedures that have one.
const EXECUTE_SQL: u16 = 10;

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.number().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.number().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<usize> {
        usize::try_from(self.number().map(u32::from_le_bytes)?).ok()
    }

    fn utf16(&mut self, bytes: usize) -> Option<String> {
        let units: Vec<u16> = self
            .take(bytes)?
            .chunks_exact(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
            .collect();
        String::from_utf16(&units).ok()
    }

    fn parameter(&mut self) -> Option<Parameter> {
        let name = usize::from(self.u8()?) * 2;
        self.utf16(name)?;
        let _flags = self.u8()?;
        match self.u8()? {
            // INTNTYPE: its size, the value's length, the value.
            0x26 => {
                assert_eq!((self.u8()?, self.u8()?), (8, 8), "whole numbers are bigint");
                Some(Parameter::Number(i64::from_le_bytes(self.number()?)))
            }
            // NVARCHARTYPE: its size and collation, then the text, in chunks if it has no size.
            0xE7 => {
                let size = self.u16()?;
                let _collation: [u8; 5] = self.number()?;
                if size != 0xFFFF {
                    let length = usize::from(self.u16()?);
                    return self.utf16(length).map(Parameter::Text);
                }
                let _total: [u8; 8] = self.number()?;
                let mut text = String::new();
                loop {
                    match self.u32()? {
                        0 => return Some(Parameter::Text(text)),
                        length => text.push_str(&self.utf16(length)?),
                    }
                }
            }
            other => panic!("a type that was never sent before: {other:#x}"),
        }
    }
}

/// The statement and its parameters.
pub(super) fn read(body: &[u8]) -> Option<(String, Vec<Parameter>)> {
    let mut reader = Reader(body);
    let headers = reader.u32()?;
    reader.take(headers.checked_sub(4)?)?;
    assert_eq!(reader.u16()?, 0xFFFF, "a procedure by number");
    assert_eq!(reader.u16()?, EXECUTE_SQL);
    let _flags = reader.u16()?;
    let mut given = Vec::new();
    while !reader.0.is_empty() {
        given.push(reader.parameter()?);
    }
    let mut given = given.into_iter();
    let Some(Parameter::Text(statement)) = given.next() else {
        panic!("the statement comes first");
    };
    let declared = given.next();
    assert!(
        matches!(declared, Some(Parameter::Text(_))),
        "then the types"
    );
    Some((statement, given.collect()))
}
