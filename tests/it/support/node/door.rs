//! A port on the loopback that can be closed and opened again, and whose connections can be cut.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::view::lock;
use crate::support::line::Line;

/// See the module.
pub(crate) struct Door {
    address: SocketAddr,
    /// Bound and never listening: keeps the port ours while nobody listens on it.
    _holder: TcpSocket,
    mute: Arc<AtomicBool>,
    lines: Arc<Mutex<CancellationToken>>,
    /// Connections that were taken while the door was mute.
    held: Arc<Mutex<Vec<TcpStream>>>,
    open: Mutex<Option<(JoinHandle<()>, DropGuard)>>,
    app: Router,
}

fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket can be made");
    socket.set_reuseaddr(true).expect("a socket's address can be made reusable");
    socket.bind(address).expect("a port of the loopback can be had");
    socket
}

impl Door {
    /// Takes a free port and listens on it.
    pub(crate) fn open(app: Router) -> Self {
        let holder = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address = holder.local_addr().expect("a bound socket has an address");
        let door = Self {
            address,
            _holder: holder,
            mute: Arc::default(),
            lines: Arc::default(),
            held: Arc::default(),
            open: Mutex::default(),
            app,
        };
        door.reopen();
        door
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens again; does nothing while it is open.
    pub(crate) fn reopen(&self) {
        let mut open = lock(&self.open);
        if open.is_some() {
            return;
        }
        let listener = socket(self.address).listen(1024).expect("a bound socket can listen");
        let ears = Ears { listener, mute: self.mute.clone(), lines: self.lines.clone(), held: self.held.clone() };
        let end = CancellationToken::new();
        let app = self.app.clone();
        let ended = end.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                _ = async { axum::serve(ears, app).await } => {}
            }
        });
        *open = Some((task, end.drop_guard()));
    }

    /// Refuses new connections and cuts those there are. When it returns, the port is closed.
    pub(crate) async fn close(&self) {
        let open = lock(&self.open).take();
        if let Some((task, end)) = open {
            drop(end);
            task.await.expect("the listening task does not fail");
        }
        self.cut();
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        std::mem::take(&mut *lock(&self.lines)).cancel();
        lock(&self.held).clear();
    }

    /// Whether new connections are taken and then left alone, without a word. A change cuts those there are.
    pub(crate) fn set_mute(&self, mute: bool) {
        if self.mute.swap(mute, Ordering::SeqCst) != mute {
            self.cut();
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.cut();
    }
}

/// Accepts connections for the door.
struct Ears {
    listener: TcpListener,
    mute: Arc<AtomicBool>,
    lines: Arc<Mutex<CancellationToken>>,
    held: Arc<Mutex<Vec<TcpStream>>>,
}

impl axum::serve::Listener for Ears {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        loop {
            let Ok((stream, peer)) = self.listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            if self.mute.load(Ordering::SeqCst) {
                lock(&self.held).push(stream);
                continue;
            }
            return (Line::new(stream, &lock(&self.lines)), peer);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
