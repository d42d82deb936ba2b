//! A listener that bounds how many connections are open, and closes those that say nothing.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

pub(super) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    idle: Duration,
    /// How old a connection may get, and who is told when one gets older.
    age: Option<(Duration, fn())>,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener, most: usize, idle: Duration) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(most)), idle, age: None }
    }

    /// The same, and no connection gets older than that, however busy it is: somebody who sends byte by byte is cut off.
    /// `cut` is called then.
    pub(super) fn with_age(self, age: Duration, cut: fn()) -> Self {
        Self { age: Some((age, cut)), ..self }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed; were it, connections would go unbounded rather than unheard.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let silence = Box::pin(sleep(self.idle));
        let end = self.age.map(|(age, cut)| (Box::pin(sleep(age)), cut));
        (Connection { stream, idle: self.idle, silence, end, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// When a connection is too old, and who is told.
type End = (Pin<Box<Sleep>>, fn());

/// A connection that holds one of the places, and ends when nothing was read or written for too long.
pub(super) struct Connection {
    stream: TcpStream,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    /// When it is too old, and who is told; `None` once that was told, or when it may get as old as it likes.
    end: Option<End>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// Whether it is too old. Says so once; after that the stream is shut.
    fn is_too_old(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((end, cut)) = &mut self.end else { return false };
        if end.as_mut().poll(cx).is_pending() {
            return false;
        }
        cut();
        self.end = None;
        self.idle = Duration::ZERO;
        self.moved();
        true
    }

    fn moved(&mut self) {
        let until = Instant::now().checked_add(self.idle);
        if let Some(until) = until {
            self.silence.as_mut().reset(until);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_too_old(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(result) => {
                self.moved();
                Poll::Ready(result)
            }
            Poll::Pending => self.silence.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, buf) {
            Poll::Ready(result) => {
                self.moved();
                Poll::Ready(result)
            }
            Poll::Pending => self.silence.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
