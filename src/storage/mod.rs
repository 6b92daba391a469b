//! Blobs and queues.
