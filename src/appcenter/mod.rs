//! The App Center API client.
