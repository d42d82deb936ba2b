//! Signs. The nonce is taken in the commit that stores the signed bytes and their hash, and in no other.
//!
//! Bytes that could not be stored are dropped: nobody has seen them. So a nonce is never taken by something that is not
//! on the disk, and what is on the disk is never signed twice under two nonces.

use super::preflight::{Offer, transfer_of};
use super::{Funder, Trouble};
use crate::domain::chain::B256;
use crate::domain::hold::Hold;
use crate::domain::order::{Attempt, AttemptKind, Fees, Order, OrderState};
use crate::domain::wallet::Wallet;
use crate::engine::order_repository::event;
use crate::engine::transaction;
use crate::planted::{Bug, planted};
use crate::policy::fees::SELF_SEND_GAS;
use crate::policy::order_machine::{OrderFact, apply};
use crate::ports::sender::{SenderError, SignedTx, TxAction, TxSpec};
use crate::ports::signer::SignerError;
use crate::ports::store::{Commit, StoreError};

impl Funder {
    /// Signs the first attempt of an order and takes the next nonce for it; nothing, when the order or the wallet has
    /// changed meanwhile.
    pub(super) async fn sign_first(&self, order: &Order, offer: &Offer) -> Result<(), Trouble> {
        let Some(order) = self.ports.store.order(&order.id).await?.filter(|now| now.version == order.version) else {
            return Ok(());
        };
        let Some(wallet) = self.ports.store.wallet().await? else { return Ok(()) };
        if wallet.paused.is_some() || wallet.halted.is_some() {
            return Ok(());
        }
        let nonce = wallet.next_nonce;
        let Some(next_nonce) = nonce.checked_add(1) else { return Ok(()) };
        match self.sign(&order, nonce, AttemptKind::Transfer, offer.fees, offer.gas_limit).await {
            Ok(attempt) => {
                if planted(Bug::BroadcastBeforeCommit) {
                    let signed = SignedTx { hash: attempt.tx_hash, raw: attempt.raw.clone() };
                    self.funding.sender.send(&signed).await;
                }
                let next_nonce = if planted(Bug::NonceNotTaken) { nonce } else { next_nonce };
                self.keep(order, attempt, Some(Wallet { next_nonce, ..wallet })).await?;
                Ok(())
            }
            Err(hold) => self.note_hold(&order, hold).await,
        }
    }

    /// Signs another attempt of an order at the nonce that it has.
    pub(super) async fn sign_again(
        &self,
        order: &Order,
        kind: AttemptKind,
        fees: Fees,
    ) -> Result<Option<(Order, B256)>, Trouble> {
        let Some(nonce) = order.state.nonce() else { return Ok(None) };
        let gas_limit = match kind {
            AttemptKind::SelfSend => SELF_SEND_GAS,
            AttemptKind::Transfer => order.live_attempts().map(|attempt| attempt.gas_limit).max().unwrap_or_default(),
        };
        let attempt = match self.sign(order, nonce, kind, fees, gas_limit).await {
            Ok(attempt) => attempt,
            Err(hold) => {
                self.note_hold(order, hold).await?;
                return Ok(None);
            }
        };
        self.keep(order.clone(), attempt, None).await
    }

    /// Stores the signed bytes, with the wallet's record where a nonce is taken.
    async fn keep(
        &self,
        mut order: Order,
        attempt: Attempt,
        wallet: Option<Wallet>,
    ) -> Result<Option<(Order, B256)>, Trouble> {
        let (now, tx_hash) = (self.ports.clock.now(), attempt.tx_hash);
        let kinds = match apply(&mut order, &OrderFact::Signed(attempt), now, &self.pace()) {
            Ok(kinds) => kinds,
            Err(error) => {
                tracing::warn!(order = %order.id, %error, "what was signed is dropped");
                // Without a hold it would be due still, and signed again without end.
                self.note_hold(&order, Hold::Signer { detail: error.to_string() }).await?;
                return Ok(None);
            }
        };
        let events = kinds.into_iter().map(|kind| event(&order, now, kind)).collect();
        let commit = Commit { orders: vec![order.clone()], wallet, events, ..Commit::default() };
        match transaction::commit(&*self.ports.store, commit).await {
            Ok(_) => Ok(Some((Order { version: order.version.saturating_add(1), ..order }, tx_hash))),
            Err(StoreError::Conflict(what)) => {
                tracing::debug!(order = %order.id, what, "version conflict; the signature is dropped");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn sign(
        &self,
        order: &Order,
        nonce: u64,
        kind: AttemptKind,
        fees: Fees,
        gas_limit: u64,
    ) -> Result<Attempt, Hold> {
        let action = match kind {
            AttemptKind::Transfer => TxAction::Transfer(transfer_of(order)),
            AttemptKind::SelfSend => TxAction::SelfSend { wallet: order.wallet },
        };
        let is_other = kind == AttemptKind::SelfSend && planted(Bug::SelfSendAtAnotherNonce);
        let at = nonce.saturating_add(u64::from(is_other));
        let tx = TxSpec { chain_id: order.chain_id, nonce: at, fees, gas_limit, action };
        let refused = |detail: String| Hold::Signer { detail };
        let signature = self.funding.signer.sign(self.funding.sender.digest(&tx)).await;
        let signature = signature.map_err(|error: SignerError| refused(error.to_string()))?;
        let signed = self.funding.sender.assemble(&tx, &signature);
        let signed = signed.map_err(|error: SenderError| refused(error.to_string()))?;
        let signed_at = self.ports.clock.now();
        let (tx_hash, raw) = (signed.hash, signed.raw);
        Ok(Attempt { kind, nonce, tx_hash, raw, fees, gas_limit, signed_at, sent_at: None, sends: 0 })
    }

    /// Whether the wallet may send at this very moment.
    pub(super) async fn may_send(&self, order: &Order) -> Result<bool, StoreError> {
        let wallet = self.ports.store.wallet().await?;
        let open = wallet.is_some_and(|wallet| wallet.paused.is_none() && wallet.halted.is_none());
        let state = self.ports.store.order(&order.id).await?.map(|now| now.state);
        let same_kind = match (&order.state, state) {
            (OrderState::Sending { nonce, .. }, Some(OrderState::Sending { nonce: now, .. }))
            | (OrderState::Cancelling { nonce, .. }, Some(OrderState::Cancelling { nonce: now, .. })) => *nonce == now,
            _ => false,
        };
        Ok(open && same_kind)
    }
}
