//! An answer with the bytes it came in: a person is given everything that is known, not only what is decoded here.

use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::body::decode;
use super::client::Client;
use super::error::Error;
use super::http::Call;

/// A decoded answer and the JSON that it was decoded from.
#[derive(Clone)]
pub struct Document<T> {
    /// What is needed of it.
    pub value: T,
    /// All of it, as it came. Personal.
    pub json: Bytes,
}

impl<T: fmt::Debug> fmt::Debug for Document<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("value", &self.value)
            .field("bytes", &self.json.len())
            .finish()
    }
}

impl Client {
    pub(super) async fn document<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
    ) -> Result<Document<T>, Error> {
        let json = self.send(call).await?;
        Ok(Document {
            value: decode(&json)?,
            json,
        })
    }
}
