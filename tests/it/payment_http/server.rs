//! A small HTTP server that does as it is told, well or badly, and writes down what it was asked.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Closes the connection before reading anything.
    CutBefore,
    /// Reads the request, then closes without an answer.
    CutAfter,
    /// Reads the request, then never answers.
    Hang,
    /// Reads the request, sends these bytes, and goes on with the connection.
    Send(Vec<u8>),
    /// Reads the request, sends these bytes, then closes.
    SendAndCut(Vec<u8>),
    /// Reads the request, sends these bytes, then never anything more.
    SendAndHang(Vec<u8>),
}

/// A whole answer.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()).into_bytes()
}

#[derive(Debug, Default)]
struct Shared {
    script: Mutex<VecDeque<Act>>,
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
}

/// The server. It dies with the value.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Starts on a free port. The acts are done in order; when they have run out, connections are closed.
    pub(super) async fn start(script: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v1", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { script: Mutex::new(script.into_iter().collect()), ..Shared::default() });
        let served = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                served.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, Arc::clone(&served)));
            }
        });
        Self { url, shared, task }
    }

    /// The requests that were read, in order.
    pub(super) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many connections were made.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    loop {
        let cut_before = matches!(shared.script.lock().unwrap().front(), None | Some(Act::CutBefore));
        if cut_before {
            shared.script.lock().unwrap().pop_front();
            return;
        }
        let Some(request) = read_request(&mut stream).await else { return };
        shared.requests.lock().unwrap().push(request);
        let act = shared.script.lock().unwrap().pop_front();
        match act {
            Some(Act::Send(bytes)) => stream.write_all(&bytes).await.unwrap(),
            Some(Act::SendAndCut(bytes)) => {
                // The client may have gone away meanwhile: it reads no more than it must.
                let _gone = stream.write_all(&bytes).await;
                let _gone = stream.shutdown().await;
                return;
            }
            Some(Act::SendAndHang(bytes)) => {
                stream.write_all(&bytes).await.unwrap();
                std::future::pending::<()>().await;
            }
            Some(Act::Hang) => std::future::pending::<()>().await,
            Some(Act::CutAfter | Act::CutBefore) | None => return,
        }
    }
}

/// Reads one request to the end of its body; `None` when the client has closed.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0_u8; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}
