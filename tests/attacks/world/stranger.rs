//! Somebody who listens at a port that is none of his, and keeps what comes: a squatter, a proxy, a false API.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What he says to everything.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";

/// See the module. He is gone with this value, and his port is free.
pub(crate) struct Stranger {
    address: SocketAddr,
    heard: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stranger {
    /// Listens at this address; port 0 is any free one.
    pub(crate) async fn listen(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let heard = Arc::<Mutex<String>>::default();
        let hears = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let hears = Arc::clone(&hears);
                tokio::spawn(async move {
                    let mut bytes = vec![0; 16_384];
                    // Whatever goes wrong with a connection, what was heard of it was heard.
                    let length = connection.read(&mut bytes).await.unwrap_or_default();
                    let text = String::from_utf8_lossy(&bytes[..length]).into_owned() + "\n";
                    hears.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
                    let _ = connection.write_all(ANSWER).await;
                });
            }
        });
        Ok(Self { address, heard, task })
    }

    /// Where he listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that was said to him.
    pub(crate) fn heard(&self) -> String {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// He goes, and his port is free when this returns.
    pub(crate) async fn go(mut self) {
        self.task.abort();
        // An aborted task ends with an error, which is what was asked for.
        let _ = (&mut self.task).await;
    }
}
