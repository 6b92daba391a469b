//! Finding people in exported data: a pure engine, no I/O.
