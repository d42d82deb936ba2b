//! The wires between rampwatch and the rest of the world, each a process of its own, so that it can be stopped
//! (`SIGSTOP`) as a box in a network can hang: connections stay open, new ones are taken by the kernel, and nothing moves.
//!
//! A line carries bytes with a small delay, can be cut and made deaf, and says what it sees pass, so that faults can strike
//! in the middle of work. What is on the way when its sender hangs up is dropped.

use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rampwatch::sandbox::{Pid, SandboxError};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{broadcast, watch};

use super::guard::Guard;
use crate::run::chance::Chance;

/// The first argument of a process that is a line.
pub(crate) const CHILD_FLAG: &str = "line";

/// The most bytes that are read at once.
const MOST: usize = 64 * 1024;

/// What passes on a line, and means that rampwatch is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// A call of `/complete`.
    Complete,
    /// An answer that says that the API has taken a payment up.
    Taken,
    /// A transaction that is broadcast.
    Broadcast,
    /// A question for logs.
    Sweep,
    /// A log or a head that is pushed.
    Push,
}

impl Sight {
    /// All of them, with what tells them among the bytes, and the word for them.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Complete, "/complete HTTP/1.1", "complete"),
        (Self::Taken, "PROCESSING", "taken"),
        (Self::Broadcast, "eth_sendRawTransaction", "broadcast"),
        (Self::Sweep, "eth_getLogs", "sweep"),
        (Self::Push, "eth_subscription", "push"),
    ];
}

/// A line. It ends with this value.
#[derive(Debug)]
pub(crate) struct Line {
    child: Child,
    orders: ChildStdin,
    pid: Pid,
    address: SocketAddr,
}

impl Line {
    /// Starts one to this address. Nothing is on its way for longer than `longest` milliseconds.
    pub(crate) async fn start(
        to: SocketAddr,
        longest: u64,
        seed: u64,
        guard: &Guard,
        sights: broadcast::Sender<Sight>,
    ) -> Result<Self, SandboxError> {
        let failed = |source| SandboxError::Process { what: "start a line".to_owned(), source };
        let program = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(program)
            .args([CHILD_FLAG, &to.to_string(), &longest.to_string(), &seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let pid = Pid(child.id().expect("it was not waited for"));
        guard.watch(pid);
        let orders = child.stdin.take().expect("it is piped");
        let mut words = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let first = words.next_line().await.map_err(failed)?;
        let address = first.and_then(|word| word.parse().ok());
        let address = address.ok_or_else(|| SandboxError::Outcome("a line did not come up".to_owned()))?;
        tokio::spawn(async move {
            while let Ok(Some(word)) = words.next_line().await {
                if let Some((sight, ..)) = Sight::ALL.iter().find(|(.., name)| *name == word) {
                    // Nobody has to look.
                    let _ = sights.send(*sight);
                }
            }
        });
        Ok(Self { child, orders, pid, address })
    }

    /// Its process.
    pub(crate) const fn pid(&self) -> Pid {
        self.pid
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts all connections; then it is deaf: new ones are closed as soon as they are made.
    pub(crate) async fn cut(&mut self) -> Result<(), SandboxError> {
        self.order("cut\n").await
    }

    /// Lets new connections through again.
    pub(crate) async fn mend(&mut self) -> Result<(), SandboxError> {
        self.order("mend\n").await
    }

    /// Ends it.
    pub(crate) async fn stop(self) -> Result<(), SandboxError> {
        let Self { mut child, orders, .. } = self;
        drop(orders);
        let failed = |source| SandboxError::Process { what: "end a line".to_owned(), source };
        child.wait().await.map(drop).map_err(failed)
    }

    async fn order(&mut self, order: &str) -> Result<(), SandboxError> {
        let failed = |source| SandboxError::Process { what: "tell a line".to_owned(), source };
        self.orders.write_all(order.as_bytes()).await.map_err(failed)
    }
}

/// What all connections of a line share.
struct Shared {
    to: SocketAddr,
    longest: u64,
    deaf: AtomicBool,
    cuts: watch::Sender<u64>,
}

/// A line itself: its arguments are the address, the longest delay and the seed. It ends when nobody can order it any
/// more.
pub(crate) fn child(arguments: &[String]) -> ExitCode {
    let [to, longest, seed] = arguments else { return ExitCode::from(2) };
    let (Ok(to), Ok(longest), Ok(seed)) = (to.parse(), longest.parse(), seed.parse()) else {
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    say(&listener.local_addr().unwrap().to_string());
    let shared = Arc::new(Shared { to, longest, deaf: AtomicBool::new(false), cuts: watch::Sender::new(0) });
    runtime.spawn(take(listener, Arc::clone(&shared), Chance::new(seed, "line")));
    for order in std::io::stdin().lock().lines() {
        let Ok(order) = order else { break };
        shared.deaf.store(order == "cut", Ordering::SeqCst);
        if order == "cut" {
            shared.cuts.send_modify(|cuts| *cuts += 1);
        }
    }
    ExitCode::SUCCESS
}

/// One line of output. When nobody reads it, this process is not needed any more.
fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{word}").and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

async fn take(listener: TcpListener, shared: Arc<Shared>, mut chance: Chance) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        if shared.deaf.load(Ordering::SeqCst) {
            continue;
        }
        let (up, down) = (chance.clone(), chance.clone());
        chance.between(0, 2);
        tokio::spawn(connect(client, Arc::clone(&shared), up, down));
    }
}

/// One connection. When either side closes, the other side is closed too.
async fn connect(client: TcpStream, shared: Arc<Shared>, up: Chance, down: Chance) {
    let mut cuts = shared.cuts.subscribe();
    let Ok(server) = TcpStream::connect(shared.to).await else { return };
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    tokio::select! {
        () = carry(client_reads, server_writes, up, shared.longest, AtTheEnd::Drop) => {}
        () = carry(server_reads, client_writes, down, shared.longest, AtTheEnd::Deliver) => {}
        _ = cuts.changed() => {}
    }
}

/// What becomes of bytes that are on the way when their sender closes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AtTheEnd {
    /// What a caller asked for who has gone does not arrive late, also when this process was stopped meanwhile.
    Drop,
    /// An answer may be the last on its connection.
    Deliver,
}

/// Carries bytes with a delay, and says what it sees.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut chance: Chance,
    longest: u64,
    at_the_end: AtTheEnd,
) {
    let mut ended = false;
    while !ended {
        let mut bytes = vec![0; MOST];
        let Ok(read @ 1..) = from.read(&mut bytes).await else { return };
        bytes.truncate(read);
        let arrival = tokio::time::sleep(Duration::from_millis(chance.between(0, longest + 1)));
        tokio::pin!(arrival);
        while !ended {
            let mut more = [0; 4_096];
            tokio::select! {
                biased;
                read = from.read(&mut more) => match read {
                    Ok(read @ 1..) => bytes.extend_from_slice(&more[..read]),
                    Ok(0) | Err(_) => ended = true,
                },
                () = &mut arrival => break,
            }
        }
        if ended && at_the_end == AtTheEnd::Drop {
            return;
        }
        for (_, mark, word) in Sight::ALL {
            if bytes.windows(mark.len()).any(|window| window == mark.as_bytes()) {
                say(word);
            }
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
