//! What fuzzing came upon, replayed: `fuzz/README.md` says how the inputs were made.

use std::path::PathBuf;

mod engine {
    pub(super) use crate::search::*;
}

#[path = "../../../fuzz/check.rs"]
mod check;

/// How many inputs there are at least: a corpus that is not there would prove nothing.
const ENOUGH: usize = 100;

#[test]
fn inputs_of_the_fuzzer() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/search");
    let mut inputs: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the corpus")
        .map(|entry| entry.expect("an input").path())
        .collect();
    inputs.sort();
    assert!(inputs.len() >= ENOUGH, "only {} inputs", inputs.len());
    for input in inputs {
        let data = std::fs::read(&input).expect("an input");
        let name = input.file_name().unwrap_or_default().display();
        check::check(&data).unwrap_or_else(|what| panic!("{name}: {what}"));
    }
}
