//! Server-sent events of the daemon, read one after the other.
//!
//! Only what the daemon sends is understood: one `data` line for each event; everything else is left alone.

use reqwest::Response;

use super::ClientError;
use crate::view::EventView;

/// The longest line that is read. No event comes near it.
const MAX_LINE_BYTES: usize = 1 << 20;

/// A stream of events.
pub struct Feed {
    response: Response,
    /// What has come and is not read yet.
    held: Vec<u8>,
    last: Option<u64>,
}

fn unavailable(what: &str) -> ClientError {
    ClientError::Unavailable(format!("the daemon {what}"))
}

impl Feed {
    pub(super) const fn new(response: Response) -> Self {
        Self { response, held: Vec::new(), last: None }
    }

    /// The number of the last event that came.
    #[must_use]
    pub const fn last(&self) -> Option<u64> {
        self.last
    }

    /// The next event; `None` when the daemon ends the stream.
    ///
    /// # Errors
    /// The daemon falls silent, or sends what is no event.
    pub async fn next(&mut self) -> Result<Option<EventView>, ClientError> {
        loop {
            while let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                let Some(data) = line.strip_prefix(b"data:") else { continue };
                let event: EventView = serde_json::from_slice(data).map_err(|error| {
                    unavailable(&format!("sent an event that this rampwatch does not understand: {error}"))
                })?;
                self.last = Some(event.seq);
                return Ok(Some(event));
            }
            if self.held.len() > MAX_LINE_BYTES {
                return Err(unavailable("sends more than can be read"));
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.held.extend_from_slice(&chunk),
                // A daemon that stops ends the stream or breaks it off: the same to whoever follows.
                Ok(None) => return Ok(None),
                Err(error) if error.is_timeout() => return Err(unavailable("has fallen silent")),
                Err(_) => return Ok(None),
            }
        }
    }
}
