//! A listener that nobody can fill up: a connection that has shown no token gives way to newcomers and does not get old,
//! one that says nothing is closed, and those that have shown one have places of their own.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What connections may take.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// The most that have shown no token. For one more, the oldest of them is cut off.
    pub(super) strangers: usize,
    /// The most that have shown one. Those after them are served as strangers.
    pub(super) known: usize,
    /// How long a connection may say nothing.
    pub(super) idle: Duration,
    /// How old one may get that has shown no token, however busy it is: somebody who sends byte by byte is cut off.
    pub(super) age: Option<Duration>,
    /// Called for each that is cut off, for its age or for a newcomer.
    pub(super) cut: fn(),
}

pub(super) struct Bounded<L> {
    listener: L,
    bounds: Bounds,
    strangers: Arc<Strangers>,
    places: Arc<Semaphore>,
}

impl<L> Bounded<L> {
    pub(super) fn new(listener: L, bounds: Bounds) -> Self {
        Self { listener, bounds, strangers: Arc::default(), places: Arc::new(Semaphore::new(bounds.known)) }
    }
}

impl<L: Listener> Listener for Bounded<L> {
    type Io = Connection<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = self.listener.accept().await;
        let (strangers, places) = (Arc::clone(&self.strangers), Arc::clone(&self.places));
        let guest = Arc::new(Guest { strangers, places, place: OnceLock::new(), cut: CancellationToken::new() });
        self.strangers.admit(&guest, self.bounds.strangers);
        let Bounds { idle, age, cut, .. } = self.bounds;
        let (silence, end) = (Box::pin(sleep(idle)), age.map(|age| Box::pin(sleep(age))));
        let leaves = Box::pin(guest.cut.clone().cancelled_owned());
        (Connection { stream, guest, idle, silence, end, leaves, cut, over: false }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Open connections that have shown no token, the oldest first.
#[derive(Default)]
struct Strangers(Mutex<VecDeque<Arc<Guest>>>);

impl Strangers {
    fn all(&self) -> MutexGuard<'_, VecDeque<Arc<Guest>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, guest: &Arc<Guest>, most: usize) {
        let mut all = self.all();
        while all.len() >= most.max(1) {
            let Some(oldest) = all.pop_front() else { break };
            oldest.cut.cancel();
        }
        all.push_back(Arc::clone(guest));
    }

    fn forget(&self, guest: &Guest) {
        self.all().retain(|other| !std::ptr::eq(Arc::as_ptr(other), guest));
    }
}

/// Who is at the other end of a connection.
struct Guest {
    strangers: Arc<Strangers>,
    places: Arc<Semaphore>,
    /// One of the places of those who have shown a token.
    place: OnceLock<OwnedSemaphorePermit>,
    cut: CancellationToken,
}

/// A connection, as a handler sees it.
#[derive(Clone)]
pub(super) struct Caller(Arc<Guest>);

impl Caller {
    /// A token was shown over it: it gives way to nobody any more. While all places of such connections are taken, it stays
    /// what it was.
    pub(super) fn note_token(&self) {
        if self.0.place.get().is_some() {
            return;
        }
        if let Ok(place) = Arc::clone(&self.0.places).try_acquire_owned() {
            // Two requests do not come over one connection at the same time; if they did, one place would go back.
            drop(self.0.place.set(place));
            self.0.strangers.forget(&self.0);
        }
    }
}

impl<L: Listener> Connected<IncomingStream<'_, Bounded<L>>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Bounded<L>>) -> Self {
        Self(Arc::clone(&stream.io().guest))
    }
}

/// A connection that ends when nothing was read or written for too long, and while it is a stranger's, with its age or
/// when it has to give way.
pub(super) struct Connection<S> {
    stream: S,
    guest: Arc<Guest>,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    end: Option<Pin<Box<Sleep>>>,
    leaves: Pin<Box<WaitForCancellationFutureOwned>>,
    cut: fn(),
    over: bool,
}

impl<S> Connection<S> {
    /// Whether it is cut off.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        if self.over {
            return true;
        }
        if self.guest.place.get().is_some() {
            return false;
        }
        let is_old = self.end.as_mut().is_some_and(|end| end.as_mut().poll(cx).is_ready());
        if !is_old && self.leaves.as_mut().poll(cx).is_pending() {
            return false;
        }
        (self.cut)();
        self.over = true;
        true
    }

    fn moved(&mut self) {
        let until = Instant::now().checked_add(self.idle);
        if let Some(until) = until {
            self.silence.as_mut().reset(until);
        }
    }

    /// What came of a step: it may take no longer than anything may be silent.
    fn within<T>(&mut self, step: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match step {
            Poll::Ready(result) => {
                self.moved();
                Poll::Ready(result)
            }
            Poll::Pending => self.silence.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        self.guest.strangers.forget(&self.guest);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_over(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let step = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.within(step, cx)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_over(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let step = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.within(step, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
