//! Whose wallet it is, and whether anybody else uses it.

use super::{Funder, Trouble};
use crate::domain::coverage::Coverage;
use crate::domain::event::{Event, EventKind, WalletChange};
use crate::domain::time::Timestamp;
use crate::domain::wallet::{Halt, HaltReason, NonceCount, Wallet};
use crate::engine::telling::log_events;
use crate::policy::{nonces, sweep};
use crate::ports::chain::ChainError;
use crate::ports::store::{Commit, StoreError};

impl Funder {
    /// The wallet's record; made at the first start. `None` when the nodes could not be asked yet.
    pub(super) async fn wallet(&mut self) -> Result<Option<Wallet>, Trouble> {
        let address = self.funding.signer.address();
        let Some(wallet) = self.ports.store.wallet().await? else { return self.open_wallet().await };
        if wallet.address != address || wallet.chain_id != self.settings.chain_id {
            let why = HaltReason::OtherWallet { stored: wallet.address };
            let unchanged = wallet.halted.as_ref().is_some_and(|halt| halt.why == why);
            if !unchanged {
                self.halt(&why).await?;
            }
            return Ok(Some(Wallet { halted: Some(Halt { at: self.ports.clock.now(), why }), ..wallet }));
        }
        // The right key is back: what only its absence had halted goes on.
        if matches!(&wallet.halted, Some(Halt { why: HaltReason::OtherWallet { .. }, .. })) {
            self.book.clear_other_wallet().await?;
        }
        if !self.checked_start && self.settings.mode.acts() {
            self.check_start().await?;
        }
        self.ports.store.wallet().await.map_err(Trouble::from)
    }

    async fn open_wallet(&self) -> Result<Option<Wallet>, Trouble> {
        let address = self.funding.signer.address();
        // One that is behind knows nothing of a wallet that was used: none may be missing when a wallet is begun with.
        let (counts, all_answered) = self.counts().await;
        if counts.is_empty() || !all_answered {
            tracing::warn!(wallet = %address, "not every endpoint tells of the wallet's nonces; it is opened when all do");
            return Ok(None);
        }
        let (next_nonce, halt) = nonces::begin(&counts);
        let now = self.ports.clock.now();
        let halted = halt.clone().map(|why| Halt { at: now, why });
        let wallet = Wallet {
            address,
            chain_id: self.settings.chain_id,
            version: 0,
            next_nonce,
            paused: None,
            halted,
            clock: now,
            booked: Vec::new(),
        };
        let said = |change| Event {
            at: now,
            payment: None,
            deposit: None,
            kind: EventKind::WalletChanged { address, change },
        };
        let mut events = vec![said(WalletChange::Opened { next_nonce })];
        if let Some(why) = halt {
            tracing::error!(wallet = %address, %why, "the wallet begins halted");
            events.push(said(WalletChange::Halted { why }));
        }
        let commit = Commit {
            wallet: Some(wallet.clone()),
            coverage: self.own_coverage(now).await?.into_iter().collect(),
            events: events.clone(),
            ..Commit::default()
        };
        match self.ports.store.commit(commit).await {
            Ok(_) => {
                log_events(&events);
                Ok(Some(Wallet { version: 1, ..wallet }))
            }
            Err(StoreError::Conflict(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The wallet's own address is watched from now on, so that money that comes back is recorded. `None` when it is
    /// watched already, for a payment that somebody added; one that was let go is taken up again.
    async fn own_coverage(&self, now: Timestamp) -> Result<Option<Coverage>, StoreError> {
        let address = self.funding.signer.address();
        let known = self.ports.store.coverage(address).await?;
        if known.as_ref().is_some_and(|known| !known.closed) {
            return Ok(None);
        }
        let cover = sweep::cover(known.as_ref(), address, now, &self.settings.sweep);
        Ok(Some(Coverage { watch_until: Some(Timestamp::FAR_FUTURE), ..cover }))
    }

    /// What the endpoints that answer count, and whether all do.
    async fn counts(&self) -> (Vec<NonceCount>, bool) {
        let answers = self.funding.sender.nonces(self.funding.signer.address(), None).await;
        let all_answered = answers.iter().all(|answer| answer.answer.is_ok());
        let counts = answers
            .into_iter()
            .filter_map(|answer| match answer.answer {
                Ok(count) => Some(count),
                Err(error) => {
                    tracing::warn!(endpoint = answer.name, %error, "it does not tell of the wallet's nonces");
                    None
                }
            })
            .collect();
        (counts, all_answered)
    }

    async fn check_start(&mut self) -> Result<(), Trouble> {
        let now = self.ports.clock.now();
        if self.take_up_at > now {
            return Ok(());
        }
        let (counts, _) = self.counts().await;
        // Silence is no word that the counts fit: it is asked again.
        if counts.is_empty() {
            self.take_up_at = now.plus(self.pace().hold_check);
            return Ok(());
        }
        let Some(wallet) = self.ports.store.wallet().await? else { return Ok(()) };
        let open = self.ports.store.open_orders().await?;
        if let Err(why) = nonces::check(&wallet, &counts) {
            self.checked_start = true;
            return self.halt(&why).await;
        }
        match nonces::check_start(&wallet, &counts, &open) {
            Ok(()) => {
                self.checked_start = true;
                self.behind = None;
            }
            // Nodes that have just been started come after. On a chain that was wiped they never do.
            Err(behind) => {
                tracing::warn!(%behind, "nothing is sent yet");
                self.behind = Some(behind.to_string());
                self.take_up_at = now.plus(self.pace().hold_check);
            }
        }
        Ok(())
    }

    /// Whether nobody else uses the key, by the counts of every endpoint that answers. Asked before nonces are taken.
    pub(super) async fn nonces_fit(&self) -> Result<bool, Trouble> {
        let (counts, _) = self.counts().await;
        if counts.is_empty() {
            let detail = "no endpoint tells of the wallet's nonces".to_owned();
            return Err(Trouble::Chain(ChainError::Unavailable(detail)));
        }
        // Read after the counts: the nodes cannot know of a nonce before it is taken.
        let Some(wallet) = self.ports.store.wallet().await? else { return Ok(false) };
        match nonces::check(&wallet, &counts) {
            Ok(()) => Ok(wallet.halted.is_none() && wallet.paused.is_none()),
            Err(why) => {
                self.halt(&why).await?;
                Ok(false)
            }
        }
    }
}
