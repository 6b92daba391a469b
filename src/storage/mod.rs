//! Blobs and queues of one storage account, through Microsoft's own crates.
//!
//! An [`Account`] is opened from a connection string or a managed identity and gives out [`Container`]s and [`Queue`]s.
//! Nothing here does I/O before the first call, and nothing here knows what the blobs mean. Every buffer, page and
//! retry has a limit; [`Error`] has one variant for each thing that a caller does about it.

mod account;
mod address;
mod connection;
mod container;
mod download;
mod error;
mod etag;
mod identity;
mod link;
mod listing;
mod names;
mod queue;
mod reader;
mod retry;
mod shared_key;
mod signature;
mod stream;
mod transport;
mod writer;

pub use account::{Account, AccountSettings};
pub use address::Address;
pub use container::{Container, Created, Properties, Replaced, Stored};
pub use error::{Cause, Error};
pub use etag::ETag;
pub use listing::{Entry, Listing};
pub use queue::{NotBase64, Queue, Received};
pub use reader::BlockingReader;
pub use stream::BlobStream;
pub use writer::{BlobWriter, BlockingWriter};

#[cfg(test)]
mod tests;
