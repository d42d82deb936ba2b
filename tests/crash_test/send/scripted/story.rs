//! The stories: what happens to a transfer on its way, told so that it can be gone on with after a death at any point.

use rampwatch::domain::order::{AttemptKind, Order, OrderOutcome, OrderState};
use rampwatch::domain::wei::Wei;
use rampwatch::sandbox::{SandboxError, USDC, WALLET};
use tokio::time::{Duration, Instant};

use super::child::{Ask, Look};
use super::ground::Ground;

/// When nothing has changed for so long, a block is mined all the same, as the world does.
const STALE: Duration = Duration::from_millis(1_500);

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Story {
    /// Nothing special.
    Plain,
    /// The base fee rises above the first attempt's cap, and the node throws the attempt out.
    Bump,
    /// A person cancels while the transfer waits in the pool.
    Cancel,
    /// The token is paused when the transfer is mined, and not any more afterwards.
    Revert,
    /// The block with the transfer goes away, and the transfer with it.
    Reorg,
}

impl Story {
    pub(crate) const ALL: [Self; 5] = [Self::Plain, Self::Bump, Self::Cancel, Self::Revert, Self::Reorg];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Bump => "bump",
            Self::Cancel => "cancel",
            Self::Revert => "revert",
            Self::Reorg => "reorg",
        }
    }

    /// How many transfers and how many other transactions of the wallet are mined in it, and stay.
    pub(crate) const fn mined(self) -> (usize, usize) {
        match self {
            Self::Plain | Self::Bump | Self::Reorg => (1, 0),
            Self::Cancel => (0, 1),
            Self::Revert => (1, 1),
        }
    }

    /// What must have been passed, whatever else was, for the story to have been told.
    pub(crate) const fn landmarks(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[
                "commit of order placed",
                "sender.nonces while ready",
                "sender.view while ready",
                "api.payment while ready",
                "chain.transfers while ready",
                "signer.sign while ready",
                "commit of order ready to sending, Transfer signed",
                "sender.view while sending, attempt 1 signed",
                "api.payment while sending, attempt 1 signed",
                "sender.send while sending, attempt 1 signed",
                "commit of sent",
                "sender.receipts while sending, attempt 1 sent",
                "commit of mined, order sending to mined",
                "commit of order mined to ended",
            ],
            Self::Bump => &[
                "sender.market while sending, attempt 1 sent",
                "signer.sign while sending, attempt 1 sent",
                "sender.send while sending, attempt 2 signed",
            ],
            Self::Cancel => &[
                "commit of cancel, order sending to cancelling",
                "sender.balances while cancelling, attempt 1 sent",
                "signer.sign while cancelling, attempt 1 sent",
                "sender.send while cancelling, attempt 2 signed",
                "commit of mined, order cancelling to mined",
            ],
            Self::Revert => &[
                "commit of order mined to awaiting-approval",
                "commit of approve, order awaiting-approval to ready",
                "signer.sign while ready at nonce 1",
                "sender.send while sending, attempt 2 signed",
            ],
            Self::Reorg => &["commit of order mined to sending", "sender.send while sending, attempt 1 sent"],
        }
    }

    /// Whether the payment and its order have come to where they must.
    pub(crate) fn is_over(self, look: &Look) -> bool {
        let Some(order) = look.orders.last() else { return false };
        let OrderState::Ended { outcome, .. } = &order.state else { return false };
        let payment = look.payment.as_deref().unwrap_or_default();
        match self {
            Self::Cancel => matches!(outcome, OrderOutcome::SelfSent { .. }) && payment == "waiting",
            Self::Plain | Self::Bump | Self::Revert | Self::Reorg => {
                matches!(outcome, OrderOutcome::Paid { .. }) && payment == "ended Completed"
            }
        }
    }
}

/// Tells one story. It remembers what has happened outside; what happened inside it reads off the orders.
pub(crate) struct Teller {
    story: Story,
    /// Whether what makes the story special has happened.
    turned: bool,
    seen: String,
    seen_at: Instant,
}

fn was_sent(order: &Order) -> bool {
    order.live_attempts().last().is_some_and(|attempt| attempt.sends > 0)
}

impl Teller {
    pub(crate) fn new(story: Story) -> Self {
        Self { story, turned: false, seen: String::new(), seen_at: Instant::now() }
    }

    /// Does what comes next out there; gives what a person asks for next.
    pub(crate) async fn tell(&mut self, ground: &Ground, look: &Look) -> Result<Option<Ask>, SandboxError> {
        let Some(order) = look.orders.last() else { return Ok(None) };
        let seen = format!("{:?} {:?}", look.payment, order);
        if seen != self.seen {
            (self.seen, self.seen_at) = (seen, Instant::now());
        }
        match (self.story, self.turned) {
            (Story::Plain, _) | (_, true) => {}
            (Story::Bump, false) => return self.raise(ground, order).await.map(|()| None),
            (Story::Revert, false) => return self.fail(ground, order).await.map(|()| None),
            (Story::Reorg, false) if matches!(order.state, OrderState::Mined { .. }) => {
                return self.take_back(ground, order).await.map(|()| None);
            }
            (Story::Cancel, false) => match &order.state {
                OrderState::Sending { .. } if was_sent(order) => return Ok(Some(Ask::Cancel(order.id.to_string()))),
                OrderState::Cancelling { .. } => self.turned = true,
                _ => return Ok(None),
            },
            (Story::Reorg, false) => {}
        }
        // A person has seen that it failed, and wants it paid once more.
        if let (Story::Revert, OrderState::AwaitingApproval { .. }) = (self.story, &order.state) {
            return Ok(Some(Ask::Approve(order.id.to_string())));
        }
        let next = match &order.state {
            OrderState::Sending { .. } | OrderState::Cancelling { .. } => {
                let wanted = if self.story == Story::Cancel { AttemptKind::SelfSend } else { AttemptKind::Transfer };
                let is_it = order.live_attempts().last().is_some_and(|attempt| attempt.kind == wanted);
                is_it && was_sent(order) && self.waits(ground).await?
            }
            OrderState::Mined { .. } | OrderState::Ended { .. } => true,
            OrderState::AwaitingApproval { .. } | OrderState::Ready | OrderState::Held { .. } => false,
        };
        if next || self.seen_at.elapsed() > STALE {
            self.seen_at = Instant::now();
            ground.node().mine(1).await?;
        }
        Ok(None)
    }

    /// Whether a transaction of the wallet is ready in the pool.
    async fn waits(&self, ground: &Ground) -> Result<bool, SandboxError> {
        Ok(ground.node().pool().await?.iter().any(|waiting| waiting.from == WALLET && waiting.is_ready))
    }

    async fn raise(&mut self, ground: &Ground, order: &Order) -> Result<(), SandboxError> {
        let Some(first) = order.attempts.first().filter(|attempt| attempt.sends > 0) else { return Ok(()) };
        let above = first.fees.cap.plus(Wei::from_gwei(10));
        ground.node().mine_at(above, 1).await?;
        self.turned = true;
        Ok(())
    }

    async fn fail(&mut self, ground: &Ground, order: &Order) -> Result<(), SandboxError> {
        let Some(first) = order.attempts.first().filter(|attempt| attempt.sends > 0) else { return Ok(()) };
        let node = ground.node();
        // So that the pause comes first, whatever the order of the pool is.
        node.drop_transactions_of(WALLET).await?;
        node.set_paused(USDC, true).await?;
        node.mine(1).await?;
        let raw = first.raw.0.clone();
        // The wallet may have been quicker.
        let _ = node.send_raw(&raw).await;
        node.mine(1).await?;
        let failed = node.receipt(first.tx_hash).await?.is_some_and(|receipt| !receipt.succeeded);
        node.set_paused(USDC, false).await?;
        node.mine(1).await?;
        self.turned = failed;
        if failed { Ok(()) } else { Err(SandboxError::Outcome("the transfer did not fail as it should".to_owned())) }
    }

    async fn take_back(&mut self, ground: &Ground, order: &Order) -> Result<(), SandboxError> {
        let OrderState::Mined { block, .. } = &order.state else { return Ok(()) };
        let head = ground.node().head().await?;
        ground.node().reorg_dropping(head - block.number + 1, WALLET).await?;
        self.turned = true;
        Ok(())
    }
}
