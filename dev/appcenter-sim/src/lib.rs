//! A simulator of App Center.
