//! Connections that can be cut one by one: closed in the middle of a request, without a byte of an answer.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::line::Line;

/// Takes connections for the proxy.
pub(super) struct Ears {
    listener: TcpListener,
    /// While it is set, connections are closed as soon as they are made.
    pub(super) deaf: Arc<AtomicBool>,
    /// Cuts every connection that was made since it was put there.
    pub(super) all: Arc<Mutex<CancellationToken>>,
}

/// Cuts one connection.
#[derive(Clone, Debug)]
pub(super) struct Cutter(pub(super) CancellationToken);

impl Ears {
    /// On a free port of the loopback.
    pub(super) fn open() -> (Self, SocketAddr) {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of the loopback is free");
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        let address = listener.local_addr().expect("a bound socket has an address");
        let listener = TcpListener::from_std(listener).expect("there is a runtime");
        (Self { listener, deaf: Arc::default(), all: Arc::default() }, address)
    }
}

impl Listener for Ears {
    type Io = Line;
    type Addr = Cutter;

    async fn accept(&mut self) -> (Line, Cutter) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            if self.deaf.load(Ordering::SeqCst) {
                continue;
            }
            stream.set_nodelay(true).expect("a connection can be made prompt");
            let cut = self.all.lock().unwrap_or_else(PoisonError::into_inner).child_token();
            let line = Line::new(stream, &cut);
            return (line, Cutter(cut));
        }
    }

    fn local_addr(&self) -> io::Result<Cutter> {
        Ok(Cutter(CancellationToken::new()))
    }
}

impl Connected<IncomingStream<'_, Ears>> for Cutter {
    fn connect_info(stream: IncomingStream<'_, Ears>) -> Self {
        stream.remote_addr().clone()
    }
}
