//! A pipe for a websocket's bytes, which can be cut, frozen, and closed.

use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the connections go by.
struct Shared {
    node: SocketAddr,
    frozen: watch::Sender<bool>,
    dead: AtomicBool,
    made: AtomicU64,
    lines: Mutex<CancellationToken>,
}

/// See the module. It ends with this value.
pub(crate) struct Pipe {
    address: SocketAddr,
    shared: Arc<Shared>,
    _end: DropGuard,
}

impl Pipe {
    /// To a node's port, from a free one.
    pub(crate) fn open(node: SocketAddr) -> Self {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of the loopback can be had");
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        let address = listener.local_addr().expect("a bound socket has an address");
        let listener = TcpListener::from_std(listener).expect("there is a runtime");
        let shared = Arc::new(Shared {
            node,
            frozen: watch::Sender::new(false),
            dead: AtomicBool::new(false),
            made: AtomicU64::new(0),
            lines: Mutex::default(),
        });
        let end = CancellationToken::new();
        let (all, ended) = (Arc::clone(&shared), end.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = ended.cancelled() => all.cut(),
                () = accept(&all, listener) => {}
            }
        });
        Self { address, shared, _end: end.drop_guard() }
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts all connections. New ones work.
    pub(crate) fn cut(&self) {
        self.shared.cut();
    }

    /// While it is frozen, connections stay open and can be made, and nothing passes either way.
    pub(crate) fn set_frozen(&self, frozen: bool) {
        self.shared.frozen.send_replace(frozen);
    }

    /// While it is dead, connections end as soon as they are made.
    pub(crate) fn set_dead(&self, dead: bool) {
        self.shared.dead.store(dead, Ordering::SeqCst);
        if dead {
            self.cut();
        }
    }

    /// How many connections were let through, in all.
    pub(crate) fn made(&self) -> u64 {
        self.shared.made.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn cut(&self) {
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner)).cancel();
    }
}

async fn accept(shared: &Arc<Shared>, listener: TcpListener) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        if shared.dead.load(Ordering::SeqCst) {
            continue;
        }
        shared.made.fetch_add(1, Ordering::SeqCst);
        let cut = shared.lines.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            tokio::select! {
                () = cut.cancelled() => {}
                () = relay(&shared, client) => {}
            }
        });
    }
}

/// Carries bytes both ways until one side ends.
async fn relay(shared: &Shared, client: TcpStream) {
    let Ok(node) = TcpStream::connect(shared.node).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_node, to_node) = node.into_split();
    tokio::select! {
        () = pump(from_client, to_node, shared.frozen.subscribe()) => {}
        () = pump(from_node, to_client, shared.frozen.subscribe()) => {}
    }
}

async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut frozen: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        if frozen.wait_for(|frozen| !frozen).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
