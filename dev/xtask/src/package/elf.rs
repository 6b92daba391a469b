//! What an executable needs of the machine that runs it.

use anyhow::{Context as _, ensure};

/// Type of the program header that names the dynamic linker (ELF: `PT_INTERP`).
const INTERPRETER: u32 = 3;

/// Whether an executable of 64-bit Linux asks for a dynamic linker, and with it for the machine's C library.
///
/// # Errors
/// When these bytes are no such executable.
pub(super) fn is_dynamic(file: &[u8]) -> anyhow::Result<bool> {
    ensure!(
        file.starts_with(b"\x7fELF\x02\x01"),
        "this is no executable of 64-bit Linux"
    );
    let at = |offset: usize, length: usize| {
        let bytes = offset
            .checked_add(length)
            .and_then(|end| file.get(offset..end));
        let bytes = bytes.context("the executable is cut off")?;
        let number = bytes
            .iter()
            .rev()
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        anyhow::Ok(number)
    };
    let table = usize::try_from(at(32, 8)?)?;
    let (size, count) = (usize::try_from(at(54, 2)?)?, usize::try_from(at(56, 2)?)?);
    for n in 0..count {
        let header = n.checked_mul(size).and_then(|it| it.checked_add(table));
        if at(header.context("the executable is cut off")?, 4)? == u64::from(INTERPRETER) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::is_dynamic;

    /// A header whose table of program headers follows at once, with these types.
    fn elf(types: &[u32]) -> Vec<u8> {
        let mut file = vec![0_u8; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32] = 64;
        file[54] = 56;
        file[56] = u8::try_from(types.len()).expect("few");
        for kind in types {
            let mut header = [0_u8; 56];
            header[..4].copy_from_slice(&kind.to_le_bytes());
            file.extend(header);
        }
        file
    }

    #[test]
    fn a_dynamic_linker_is_found() {
        assert!(!is_dynamic(&elf(&[1, 1, 2, 6])).expect("whole"));
        assert!(is_dynamic(&elf(&[6, 3, 1])).expect("whole"));
        assert!(!is_dynamic(&elf(&[])).expect("whole"));
        let mut cut = elf(&[1, 3]);
        cut.truncate(110);
        assert!(is_dynamic(&cut).is_err());
        assert!(is_dynamic(b"#!/bin/sh").is_err());
        // The test itself is linked as everything is here.
        let itself = std::env::current_exe().expect("it runs");
        let itself = std::fs::read(itself).expect("readable");
        assert!(is_dynamic(&itself).is_ok());
    }
}
