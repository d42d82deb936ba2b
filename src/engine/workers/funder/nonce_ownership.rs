//! Whose wallet it is, and whether anybody else uses it.

use super::{Funder, Trouble, no_word_of_nonces};
use crate::domain::coverage::Coverage;
use crate::domain::event::{Event, EventKind, WalletChange};
use crate::domain::hold::Hold;
use crate::domain::operator::Operator;
use crate::domain::time::Timestamp;
use crate::domain::wallet::{Halt, HaltReason, NonceCount, Wallet};
use crate::engine::transaction;
use crate::policy::nonces::Fit;
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
        let (said, all_answered) = self.counts().await;
        let counts: Vec<NonceCount> = said.iter().map(|(_, count)| *count).collect();
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
        // One operator's word does not begin it halted where others are to agree: only a person could end that.
        let unused = Wallet { next_nonce: 0, ..wallet.clone() };
        if let Fit::Contradicted { operators, theirs } = self.fit(&unused, &said) {
            let why = contradicted(&unused, &operators, theirs);
            tracing::error!(wallet = %address, why, "the wallet is opened when they agree");
            return Ok(None);
        }
        let event = |change| Event::new(now, EventKind::WalletChanged { address, change });
        let mut events = vec![event(WalletChange::Opened { next_nonce })];
        if let Some(why) = halt {
            tracing::error!(wallet = %address, %why, "the wallet begins halted");
            events.push(event(WalletChange::Halted { why }));
        }
        let commit = Commit {
            wallet: Some(wallet.clone()),
            coverage: self.own_coverage(now).await?.into_iter().collect(),
            events,
            ..Commit::default()
        };
        match transaction::commit(&*self.ports.store, commit).await {
            Ok(_) => Ok(Some(Wallet { version: 1, ..wallet })),
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
    pub(super) async fn counts(&self) -> (Vec<(Operator, NonceCount)>, bool) {
        let answers = self.funding.sender.nonces(self.funding.signer.address(), None).await;
        // One of another chain is shut out: it knows nothing of this wallet.
        let is_out = |error: &ChainError| matches!(error, ChainError::Contradiction(_));
        let all_answered = answers.iter().all(|answer| answer.answer.as_ref().err().is_none_or(is_out));
        let counts = answers
            .into_iter()
            .filter_map(|answer| match answer.answer {
                Ok(count) => Some((self.ports.chain.operator(answer.endpoint), count)),
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
        match self.fit(&wallet, &counts) {
            Fit::Fits => {}
            Fit::Halt(why) => {
                self.checked_start = true;
                return self.halt(&why).await;
            }
            Fit::Contradicted { operators, theirs } => {
                let why = contradicted(&wallet, &operators, theirs);
                tracing::error!(why, "nothing is sent yet");
                self.behind = Some(why);
                self.take_up_at = now.plus(self.pace().hold_check);
                return Ok(());
            }
        }
        let counts: Vec<NonceCount> = counts.into_iter().map(|(_, count)| count).collect();
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

    fn fit(&self, wallet: &Wallet, counts: &[(Operator, NonceCount)]) -> Fit {
        let needed = self.ports.operators_needed(&self.settings);
        nonces::fit(wallet, counts, needed)
    }

    /// What keeps a nonce from being taken: that somebody else uses the key, by the counts of every endpoint that answers, or
    /// that operators contradict each other about it; `None`: nothing. Asked before nonces are taken.
    pub(super) async fn nonces_hold(&self) -> Result<Option<Hold>, Trouble> {
        let (counts, _) = self.counts().await;
        if counts.is_empty() {
            let detail = "no endpoint tells of the wallet's nonces".to_owned();
            return Err(Trouble::Chain(ChainError::Unavailable(detail)));
        }
        // Read after the counts: the nodes cannot know of a nonce before it is taken.
        let Some(wallet) = self.ports.store.wallet().await? else { return Ok(Some(no_word_of_nonces())) };
        match self.fit(&wallet, &counts) {
            Fit::Fits => Ok(self.stopped(&wallet)),
            Fit::Halt(why) => {
                self.halt(&why).await?;
                Ok(Some(Hold::WalletHalted))
            }
            Fit::Contradicted { operators, theirs } => {
                let detail = contradicted(&wallet, &operators, theirs);
                tracing::error!(detail, "no nonce is taken while that is so");
                Ok(Some(Hold::ChainUnavailable { detail }))
            }
        }
    }
}

fn contradicted(wallet: &Wallet, operators: &[Operator], theirs: u64) -> String {
    let who: Vec<&str> = operators.iter().map(Operator::as_str).collect();
    format!(
        "operators contradict each other: {} knows of the wallet's nonces up to {theirs}, and here and elsewhere {} is next; \
         look the wallet up in an explorer, and exclude the endpoint that is wrong",
        who.join(", "),
        wallet.next_nonce
    )
}
