//! Gives signed bytes to the nodes, and takes in what they say.

use super::{Funder, Trouble};
use crate::domain::chain::B256;
use crate::domain::hold::Hold;
use crate::domain::order::Order;
use crate::domain::text::short;
use crate::domain::wallet::HaltReason;
use crate::policy::broadcast::{BroadcastOutcome, Heard, read};
use crate::policy::nonces;
use crate::policy::order_machine::OrderFact;
use crate::policy::order_machine::too_cheap;
use crate::ports::sender::{SendAnswer, SignedTx};

/// How often every endpoint is asked for a receipt of ours before a nonce counts as somebody else's.
const MOST_LOOKS: u32 = 5;

impl Funder {
    /// Gives one of the order's transactions to every endpoint.
    pub(super) async fn broadcast(&self, order: &Order, tx_hash: B256) -> Result<(), Trouble> {
        let Some(attempt) = order.attempt(tx_hash).cloned() else { return Ok(()) };
        // A pause, a halt or a cancellation that came while the checks were made counts at once.
        if !self.may_send(order).await? {
            return Ok(());
        }
        let signed = SignedTx { hash: attempt.tx_hash, raw: attempt.raw };
        let answers = self.funding.sender.send(&signed).await;
        let heard: Vec<Heard> = answers.iter().map(|answer| heard(&answer.answer)).collect();
        let said: Vec<String> =
            answers.iter().map(|answer| format!("{}: {}", answer.name, words(&answer.answer))).collect();
        let said = short(&said.join("; "));
        tracing::debug!(order = %order.id, %tx_hash, nonce = attempt.nonce, said, "given to the nodes");
        match read(&heard) {
            BroadcastOutcome::Taken | BroadcastOutcome::Unclear => self.note_sent(order, tx_hash, said).await,
            BroadcastOutcome::NonceTooLow => self.look_everywhere(order, tx_hash, said).await,
            BroadcastOutcome::TooCheap => self.note_hold(order, too_cheap(order, &said)).await,
            BroadcastOutcome::OutOfTurn => self.note_out_of_turn(order, tx_hash, said).await,
            BroadcastOutcome::Refused => self.note_refused(order, said).await,
            BroadcastOutcome::NotReached => self.note_hold(order, Hold::ChainUnavailable { detail: said }).await,
        }
    }

    async fn note_sent(&self, order: &Order, tx_hash: B256, said: String) -> Result<(), Trouble> {
        self.set_looks(&order.id, None);
        let fact = OrderFact::Sent { tx_hash, said };
        self.tell(order, fact, Vec::new(), |now| now.attempt(tx_hash).is_some()).await
    }

    /// The nodes miss lower nonces. Where those are ours and wait, nothing is wrong with this one: it is offered again as any
    /// other, and its fees are left as they are.
    async fn note_out_of_turn(&self, order: &Order, tx_hash: B256, said: String) -> Result<(), Trouble> {
        let open = self.ports.store.open_orders().await?;
        let nonce = order.state.nonce();
        if open.iter().any(|other| other.state.nonce().is_some_and(|lower| Some(lower) < nonce)) {
            return self.note_sent(order, tx_hash, said).await;
        }
        self.note_refused(order, said).await
    }

    async fn note_refused(&self, order: &Order, said: String) -> Result<(), Trouble> {
        tracing::error!(order = %order.id, said, "the nodes refuse the transaction");
        self.note_hold(order, Hold::NodeRefuses { detail: said }).await
    }

    /// The nodes say that the nonce is consumed. By one of ours? Every endpoint is asked, several times: some may be
    /// behind. If none of them has a receipt of ours, and enough operators count the nonce as consumed, somebody else uses
    /// the key.
    async fn look_everywhere(&self, order: &Order, tx_hash: B256, said: String) -> Result<(), Trouble> {
        // Counted before the receipts: what is mined in between is ours by its receipt.
        let (counts, _) = self.counts().await;
        let is_taken = order
            .state
            .nonce()
            .is_some_and(|nonce| nonces::is_taken(nonce, &counts, self.ports.operators_needed(&self.settings)));
        let hashes: Vec<B256> = order.live_attempts().map(|attempt| attempt.tx_hash).collect();
        let answers = self.funding.sender.receipts_everywhere(&hashes).await;
        let mut all_answered = !answers.is_empty();
        for answer in answers {
            match answer.answer {
                Ok(receipts) => {
                    all_answered &= receipts.receipts.iter().all(Result::is_ok);
                    if let Some(receipt) = receipts.receipts.iter().flatten().flatten().next() {
                        self.set_looks(&order.id, None);
                        return self.note_mined(order, receipt).await;
                    }
                }
                Err(error) => {
                    all_answered = false;
                    tracing::warn!(endpoint = answer.name, %error, "it does not tell of the wallet's transactions");
                }
            }
        }
        // What one operator says where others are to agree halts nothing: the others have the transaction, and go on with it.
        if !is_taken {
            tracing::error!(order = %order.id, said, "too few operators count this nonce as consumed");
            return self.note_sent(order, tx_hash, said).await;
        }
        // Only looks that every endpoint has answered count: the one that is silent may be the one that knows.
        let now = self.ports.clock.now();
        let (looks, _) = self.looks(&order.id).unwrap_or((0, now));
        let looks = looks.saturating_add(u32::from(all_answered));
        let again_at = now.plus(self.pace().poll_interval.times(2));
        self.set_looks(&order.id, Some((looks, again_at)));
        let Some(nonce) = order.state.nonce().filter(|_| looks >= MOST_LOOKS) else { return Ok(()) };
        self.set_looks(&order.id, None);
        self.halt(&HaltReason::NonceTaken { nonce }).await
    }
}

fn heard(answer: &SendAnswer) -> Heard {
    match answer {
        SendAnswer::Accepted => Heard::Accepted,
        SendAnswer::AlreadyKnown => Heard::AlreadyKnown,
        SendAnswer::NonceTooLow => Heard::NonceTooLow,
        SendAnswer::NonceTooHigh => Heard::NonceTooHigh,
        SendAnswer::Underpriced | SendAnswer::FeeTooLow(_) => Heard::TooCheap,
        SendAnswer::InsufficientFunds => Heard::InsufficientFunds,
        SendAnswer::Refused(_) => Heard::Refused,
        SendAnswer::Unclear(_) => Heard::Unclear,
        SendAnswer::NotReached(_) => Heard::NotReached,
    }
}

fn words(answer: &SendAnswer) -> String {
    match answer {
        SendAnswer::Accepted => "accepted".to_owned(),
        SendAnswer::AlreadyKnown => "already known".to_owned(),
        SendAnswer::NonceTooLow => "nonce too low".to_owned(),
        SendAnswer::NonceTooHigh => "nonce too high".to_owned(),
        SendAnswer::Underpriced => "replacement underpriced".to_owned(),
        SendAnswer::FeeTooLow(text) => format!("fee too low ({text})"),
        SendAnswer::InsufficientFunds => "insufficient funds for gas".to_owned(),
        SendAnswer::Refused(text) => format!("refused ({text})"),
        SendAnswer::Unclear(text) => format!("unclear ({text})"),
        SendAnswer::NotReached(text) => format!("not reached ({text})"),
    }
}
