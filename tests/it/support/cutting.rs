//! Stands before an HTTP server, and resets each connection when a second request comes over it: as servers do that have given
//! up a connection which their client has kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Ends when dropped.
pub(crate) struct CutsKept {
    url: String,
    cut: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl CutsKept {
    /// Stands before this server.
    pub(crate) async fn start(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let cut = Arc::new(AtomicU64::new(0));
        let (counted, to) = (Arc::clone(&cut), url::Url::parse(&to).unwrap());
        let to = format!("{}:{}", to.host_str().unwrap(), to.port().unwrap());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, to.clone(), Arc::clone(&counted)));
            }
        });
        Self { url, cut, task }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// How many connections it has cut.
    pub(crate) fn cut(&self) -> u64 {
        self.cut.load(Ordering::SeqCst)
    }
}

impl Drop for CutsKept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes one request and its answer on. What comes after that gets no answer.
async fn serve(mut client: TcpStream, to: String, cut: Arc<AtomicU64>) {
    let Ok(mut server) = TcpStream::connect(to).await else { return };
    let (mut asked, mut buffer) = (0, vec![0_u8; 64 * 1_024]);
    let mut answer = vec![0_u8; 256 * 1_024];
    loop {
        tokio::select! {
            read = client.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    if asked > 0 {
                        cut.fetch_add(1, Ordering::SeqCst);
                        // With bytes unread, closing resets.
                        return;
                    }
                    if server.write_all(&buffer[..count]).await.is_err() {
                        return;
                    }
                }
            },
            read = server.read(&mut answer) => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    asked += 1;
                    if client.write_all(&answer[..count]).await.is_err() {
                        return;
                    }
                }
            },
        }
    }
}
