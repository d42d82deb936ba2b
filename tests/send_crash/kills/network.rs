//! A network between rampwatch and the API that takes its time, so that a kill can hit a call on its way there, and an
//! answer on its way back. What a killed process had sent and was still on the way is dropped.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::chance::Chance;

/// The longest that anything is on the way, in milliseconds.
const LONGEST: u64 = 60;

/// The most that is on the way at once, in bytes.
const MOST: usize = 64 * 1024;

/// The network. It ends with this value.
pub(crate) struct Network {
    base_url: String,
    task: JoinHandle<()>,
}

impl Network {
    /// Puts a network in front of the API at this base URL.
    pub(crate) async fn start(api: &str, seed: u64) -> Self {
        let url = url::Url::parse(api).unwrap();
        let server: SocketAddr = url.socket_addrs(|| None).unwrap()[0];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}{}", listener.local_addr().unwrap(), url.path());
        let mut chance = Chance::new(seed, "network");
        let task = tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let (up, down) = (chance.clone(), chance.clone());
                chance.between(0, 2);
                tokio::spawn(connect(client, server, up, down));
            }
        });
        Self { base_url, task }
    }

    /// The API's base URL on this side.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection. When either side closes, the other side is closed too.
async fn connect(client: TcpStream, server: SocketAddr, up: Chance, down: Chance) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    tokio::select! {
        () = carry(client_reads, server_writes, up) => {}
        () = carry(server_reads, client_writes, down) => {}
    }
}

/// Carries bytes with a delay. What is on the way when the sender closes is dropped.
async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut chance: Chance) {
    loop {
        let mut bytes = vec![0; MOST];
        let Ok(read @ 1..) = from.read(&mut bytes).await else { return };
        bytes.truncate(read);
        let arrival = tokio::time::sleep(Duration::from_millis(chance.between(0, LONGEST)));
        tokio::pin!(arrival);
        loop {
            let mut more = [0; 4_096];
            tokio::select! {
                () = &mut arrival => break,
                read = from.read(&mut more) => match read {
                    Ok(read @ 1..) => bytes.extend_from_slice(&more[..read]),
                    Ok(0) | Err(_) => return,
                },
            }
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
