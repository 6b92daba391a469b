//! Identifiers in App Center's forms, each derived from the world's seed and a symbolic name.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Ticks (100 ns) between 0001-01-01 and the Unix epoch.
const UNIX_EPOCH_TICKS: i128 = 621_355_968_000_000_000;
/// Error IDs count down from the last tick of the .NET calendar, so the newest sorts first.
const LAST_TICK: i128 = 3_155_378_975_999_999_999;

/// 32 bytes that depend on nothing but the three texts.
pub(crate) fn digest(seed: &str, kind: &str, name: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [seed, kind, name] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}

/// A version 4 UUID that depends on nothing but the three texts.
pub(crate) fn uuid(seed: &str, kind: &str, name: &str) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(seed, kind, name)[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// A number that depends on nothing but the three texts.
pub(crate) fn number(seed: &str, kind: &str, name: &str) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest(seed, kind, name)[..8]);
    u64::from_be_bytes(bytes)
}

/// A group's ID in the current API: digits, with a `u` behind for crashes.
pub(crate) fn group_id(seed: &str, name: &str, is_crash: bool) -> String {
    let digits = 1_000_000_000 + number(seed, "group", name) % 3_200_000_000;
    format!("{digits}{}", if is_crash { "u" } else { "" })
}

/// A group's ID in the legacy API: 40 hexadecimal digits.
pub(crate) fn legacy_group_id(seed: &str, name: &str) -> String {
    hex(&digest(seed, "legacy group", name)[..20])
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A report's ID in the current API: 19 digits of inverse ticks, a hyphen, the SDK's log ID.
pub(crate) fn error_id(at: Timestamp, guid: Uuid) -> String {
    let ticks = at.as_nanosecond() / 100 + UNIX_EPOCH_TICKS;
    format!("{:019}-{guid}", LAST_TICK - ticks)
}

/// A small generator of numbers whose sequence never changes between versions.
#[derive(Debug, Clone)]
pub(crate) struct Sequence(u64);

impl Sequence {
    pub(crate) fn new(seed: &str, name: &str) -> Self {
        Self(number(seed, "sequence", name))
    }

    /// The next number (`SplitMix64`).
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 when `limit` is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { self.next() % limit }
    }

    /// One of the items.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(items.len() as u64);
        usize::try_from(index)
            .ok()
            .and_then(|index| items.get(index))
    }
}

/// A time as App Center writes it: UTC, zero to seven fraction digits, trailing zeros cut.
pub(crate) fn iso(at: Timestamp) -> String {
    let ticks = at.subsec_nanosecond() / 100;
    let whole = at.strftime("%Y-%m-%dT%H:%M:%S");
    if ticks == 0 {
        return format!("{whole}Z");
    }
    let fraction = format!("{:07}", ticks.unsigned_abs());
    format!("{whole}.{}Z", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::{Sequence, error_id, group_id, iso, legacy_group_id, uuid};
    use jiff::Timestamp;
    use uuid::Uuid;

    #[test]
    fn error_ids_count_down_from_the_last_tick() {
        // Decoded from a real ID: 2518291138564839999 is 2019-11-08T04:22:23.516Z.
        let at: Timestamp = "2019-11-08T04:22:23.516Z".parse().expect("a time");
        let id = error_id(at, Uuid::nil());
        assert_eq!(
            id,
            "2518291138564839999-00000000-0000-0000-0000-000000000000"
        );
    }

    #[test]
    fn times_have_zero_to_seven_fraction_digits() {
        for (input, expected) in [
            ("2022-09-23T16:41:00Z", "2022-09-23T16:41:00Z"),
            (
                "2022-09-23T17:06:14.5901576Z",
                "2022-09-23T17:06:14.5901576Z",
            ),
            ("2022-09-23T17:06:14.590100Z", "2022-09-23T17:06:14.5901Z"),
            (
                "2022-09-23T17:06:14.000000100Z",
                "2022-09-23T17:06:14.0000001Z",
            ),
        ] {
            let at: Timestamp = input.parse().expect("a time");
            assert_eq!(iso(at), expected);
        }
    }

    #[test]
    fn names_decide_the_ids() {
        assert_eq!(uuid("s", "install", "a"), uuid("s", "install", "a"));
        assert_ne!(uuid("s", "install", "a"), uuid("t", "install", "a"));
        assert!(group_id("s", "g", true).ends_with('u'));
        assert!(!group_id("s", "g", false).ends_with('u'));
        assert_eq!(legacy_group_id("s", "g").len(), 40);
        assert_eq!(
            Sequence::new("s", "n").next(),
            Sequence::new("s", "n").next()
        );
    }
}
