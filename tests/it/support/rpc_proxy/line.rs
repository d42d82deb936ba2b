//! Connections that can be cut one by one: closed in the middle of a request, without a byte of an answer.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

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
            let line = Line { stream, cut: Box::pin(cut.clone().cancelled_owned()) };
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

/// A connection that breaks when it is cut.
pub(super) struct Line {
    stream: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Line {
    fn whole(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.whole(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.whole(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
