//! Sets of keys in few bits: sorted, and the steps between them written as Golomb and Rice do. A key that was put in is always
//! found; one that was not is found once in 256 times.

/// How many bits of each step are written as they are; 2 to this power is how rare a wrong yes is.
const BITS: u32 = 8;

/// Where a key lies among `count` others: even over a range that is 256 times as large.
fn place(key: u64, count: u64) -> u64 {
    u64::try_from((u128::from(key) * u128::from(count)) >> (64 - BITS)).unwrap_or(u64::MAX)
}

/// Writes keys that are spread evenly, such as hashes. About nine and a half bits each.
pub(super) fn encode(keys: &[u64]) -> Vec<u8> {
    let count = keys.len() as u64;
    let mut places: Vec<u64> = keys.iter().map(|key| place(*key, count)).collect();
    places.sort_unstable();
    let mut bytes = Vec::with_capacity(8 + places.len() * 5 / 4);
    write_number(&mut bytes, count);
    let mut bits = Writer { bytes, free: 0 };
    let mut last = 0;
    for place in places {
        let step = place - last;
        last = place;
        for _ in 0..step >> BITS {
            bits.push(true);
        }
        bits.push(false);
        for bit in (0..BITS).rev() {
            bits.push(step >> bit & 1 == 1);
        }
    }
    bits.bytes
}

/// Whether a key may be there. Bytes that are no set hold everything: what cannot be read rules nothing out.
pub(super) fn may_hold(bytes: &[u8], key: u64) -> bool {
    let mut rest = bytes;
    let Some(count) = read_number(&mut rest) else {
        return true;
    };
    let wanted = place(key, count);
    let mut bits = Reader { bytes: rest, at: 0 };
    let mut last = 0_u64;
    for _ in 0..count {
        let Some(step) = bits.step() else {
            return true;
        };
        last = last.saturating_add(step);
        if last >= wanted {
            return last == wanted;
        }
    }
    false
}

/// Appends a number, seven bits a byte.
pub(super) fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7F).unwrap_or(0);
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// Takes a number off the front.
pub(super) fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7F);
        if part << shift >> shift != part {
            return None;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

struct Writer {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not used yet.
    free: u32,
}

impl Writer {
    fn push(&mut self, bit: bool) {
        if self.free == 0 {
            self.bytes.push(0);
            self.free = 8;
        }
        self.free -= 1;
        if let Some(last) = self.bytes.last_mut().filter(|_| bit) {
            *last |= 1 << self.free;
        }
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Reader<'_> {
    fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1 == 1;
        self.at += 1;
        Some(bit)
    }

    fn step(&mut self) -> Option<u64> {
        let mut step = 0_u64;
        while self.bit()? {
            step += 1;
        }
        for _ in 0..BITS {
            step = step << 1 | u64::from(self.bit()?);
        }
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    /// A number of keys that no set has is damage, and does not overflow.
    #[test]
    fn too_many_keys_rule_nothing_out() {
        let mut bytes = Vec::new();
        write_number(&mut bytes, u64::MAX);
        bytes.push(0);
        assert!(may_hold(&bytes, u64::MAX));
    }

    proptest! {
        #[test]
        fn what_was_put_in_is_found(keys in proptest::collection::vec(any::<u64>(), 0..300)) {
            let bytes = encode(&keys);
            for key in &keys {
                prop_assert!(may_hold(&bytes, *key));
            }
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..50), key in any::<u64>()) {
            may_hold(&bytes, key);
        }

        #[test]
        fn numbers_come_back(number in any::<u64>()) {
            let mut bytes = Vec::new();
            write_number(&mut bytes, number);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(read_number(&mut rest), Some(number));
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn few_bits_and_few_wrong_answers() {
        let mut random = StdRng::seed_from_u64(5);
        let keys: Vec<u64> = (0..5_000).map(|_| random.random()).collect();
        let bytes = encode(&keys);
        assert!(bytes.len() * 8 < 5_000 * 10, "{} bytes", bytes.len());
        let wrong = (0..2_000)
            .filter(|_| may_hold(&bytes, random.random()))
            .count();
        // One in 256 would be eight.
        assert!(wrong < 30, "{wrong}");
        assert!(!may_hold(&encode(&[]), 7));
    }

    #[test]
    fn what_is_damaged_rules_nothing_out() {
        let bytes = encode(&[1 << 20, u64::MAX]);
        assert!(may_hold(&bytes[..bytes.len() - 2], u64::MAX - 5));
        assert!(may_hold(&[], 1));
        assert!(may_hold(&[0xFF; 12], 1));
    }
}
