//! The search engine over any bytes; `fuzz/check.rs` says what must hold.

#![no_main]

mod engine {
    pub(crate) use appcenter_dsr::search::*;
}

#[path = "../check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(what) = check::check(data) {
        panic!("{what}");
    }
});
