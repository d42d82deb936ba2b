//! Asks for receipts of what is on its way, and for finality of what is in a block.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;

use super::{Funder, Trouble, its_own};
use crate::domain::chain::{B256, BlockNumber, BlockRef};
use crate::domain::dispute::Matter;
use crate::domain::event::EventKind;
use crate::domain::hold::Hold;
use crate::domain::order::{Order, OrderState};
use crate::domain::time::Timestamp;
use crate::domain::wallet::Receipt;
use crate::engine::agreement::{Answer, Question};
use crate::planted::{Bug, planted};
use crate::policy::evidence::{Claim, Freeing, MOST_BLOCKS_BACK, WalletRecords, nothing_left, prove};
use crate::policy::finality::final_number;
use crate::policy::order_machine::{OrderFact, effect};
use crate::policy::sweep::MOST_BLOCKS_A_SECOND;
use crate::policy::window::spent_at;
use crate::ports::chain::ChainError;
use crate::ports::sender::Receipts;

/// How many orders' ends are proven at once.
const PROOFS_AT_ONCE: usize = 8;

/// So many blocks are read in any case.
const LEAST_BLOCKS_BACK: u64 = 64;

impl Funder {
    /// Takes in what became of every order that has a nonce.
    pub(super) async fn settle(&mut self, open: &[Order]) -> Result<(), Trouble> {
        let with_nonce: Vec<&Order> = open.iter().filter(|order| order.state.nonce().is_some()).collect();
        let hashes: Vec<B256> =
            with_nonce.iter().flat_map(|order| order.live_attempts().map(|attempt| attempt.tx_hash)).collect();
        if hashes.is_empty() {
            return Ok(());
        }
        self.unread.clear();
        let receipts = match self.funding.sender.receipts(&hashes).await {
            // The nodes answer, and tell nothing of any transaction for now: that is no reason to leave all else undone.
            Err(ChainError::Refused(why)) => {
                for order in &with_nonce {
                    its_own(self.cannot_read(order, &why).await)?;
                }
                return Ok(());
            }
            receipts => receipts?,
        };
        for order in &with_nonce {
            its_own(self.take_in(order, &hashes, &receipts).await)?;
        }
        self.settle_final(receipts.head).await
    }

    async fn take_in(&mut self, order: &Order, hashes: &[B256], receipts: &Receipts) -> Result<(), Trouble> {
        let of_order = hashes.iter().zip(&receipts.receipts).filter(|(hash, _)| order.attempt(**hash).is_some());
        // A block that the same endpoint has not come to is none.
        let is_there = |receipt: &&Receipt| receipt.block.number <= receipts.head;
        let mut unread: Option<&str> = None;
        let mut found: Vec<&Receipt> = Vec::new();
        for (_, receipt) in of_order {
            match receipt {
                Ok(receipt) => found.extend(receipt.as_ref().filter(is_there)),
                Err(why) => unread = Some(why),
            }
        }
        if let Some(receipt) = found.first() {
            self.set_looks(&order.id, None);
            return self.note_mined(order, receipt).await;
        }
        if let Some(why) = unread {
            return match self.receipt_anywhere(order).await {
                Some(receipt) => self.note_mined(order, &receipt).await,
                None => self.cannot_read(order, why).await,
            };
        }
        // An endpoint that has not come to the block says nothing by having no receipt.
        let is_gone = matches!(&order.state, OrderState::Mined { block, .. } if receipts.head >= block.number);
        if !is_gone && !is_seen(&order.state) {
            return Ok(());
        }
        // One receipt in a block that stands is more than an endpoint's lack of it.
        if let Some(receipt) = self.receipt_anywhere(order).await {
            self.set_looks(&order.id, None);
            return self.note_mined(order, &receipt).await;
        }
        if !is_gone {
            return Ok(());
        }
        self.tell_unchanged(order, OrderFact::Unmined).await
    }

    /// Whether one of the order's transactions is mined cannot be known: it is neither raised nor replaced until it can be, and
    /// says so.
    async fn cannot_read(&mut self, order: &Order, why: &str) -> Result<(), Trouble> {
        self.unread.insert(order.id.clone());
        if !matches!(order.state, OrderState::Sending { .. } | OrderState::Cancelling { .. }) {
            return Ok(());
        }
        self.note_hold(order, Hold::ChainUnavailable { detail: format!("its receipt cannot be read: {why}") }).await
    }

    /// Any endpoint's receipt of one of the order's transactions, in a block that is on the chain.
    pub(super) async fn receipt_anywhere(&self, order: &Order) -> Option<Receipt> {
        let hashes: Vec<B256> = order.live_attempts().map(|attempt| attempt.tx_hash).collect();
        let answers = self.funding.sender.receipts_everywhere(&hashes).await;
        let found = answers.into_iter().filter_map(|answer| answer.answer.ok()).flat_map(|said| said.receipts);
        for receipt in found.filter_map(Result::ok).flatten() {
            // An endpoint that names a block that nobody can show must not keep the others from being heard.
            match self.ports.chain.header(receipt.block.number, None).await {
                Ok(Some(header)) if header.block.hash == receipt.block.hash => return Some(receipt),
                Ok(_) => {}
                Err(error) => tracing::debug!(order = %order.id, %error, "a receipt's block cannot be looked at"),
            }
        }
        None
    }

    /// Notes that one of the order's transactions is in a block.
    pub(super) async fn note_mined(&self, order: &Order, receipt: &Receipt) -> Result<(), Trouble> {
        let Some(attempt) = order.attempt(receipt.tx_hash) else { return Ok(()) };
        let (tx_hash, block) = (receipt.tx_hash, receipt.block);
        let effect = effect(order, attempt, receipt);
        let known = matches!(&order.state, OrderState::Mined { tx_hash: known, block: at, effect: did, .. }
            if (*known, *at, *did) == (tx_hash, block, effect));
        if known {
            return Ok(());
        }
        let said = EventKind::AttemptMined {
            order: order.id.clone(),
            tx_hash,
            block,
            gas_used: receipt.gas_used,
            gas_price: receipt.gas_price,
        };
        let fact = OrderFact::Mined { tx_hash, block, effect };
        let live = |now: &Order| now.live_attempts().any(|attempt| attempt.tx_hash == tx_hash);
        self.tell(order, fact, vec![said], live).await
    }

    /// Settles what is in final blocks, by the same rule as the deposits.
    async fn settle_final(&self, head: u64) -> Result<(), Trouble> {
        let rule = self.settings.finality;
        let open = self.ports.store.open_orders().await?;
        let mined: Vec<(&Order, BlockRef)> = open
            .iter()
            .filter_map(|order| match &order.state {
                OrderState::Mined { block, .. } => Some((order, *block)),
                _ => None,
            })
            .collect();
        let deep_enough = |lowest: u64| head >= lowest.saturating_add(rule.depth());
        let lowest = mined.iter().map(|(_, block)| block.number).min();
        if !lowest.is_some_and(deep_enough) {
            return Ok(());
        }
        let report = self.ports.chain.finality(rule.uses_tag()).await?;
        let Some(number) = final_number(rule, &report.head, report.finalized.as_ref()) else { return Ok(()) };
        let is_final = |block: &BlockRef| block.number <= number || planted(Bug::MinedIsPaid);
        let mined: Vec<(&Order, BlockRef)> = mined.into_iter().filter(|(_, block)| is_final(block)).collect();
        let numbers: BTreeSet<BlockNumber> = mined.iter().map(|(_, block)| block.number).collect();
        let numbers: Vec<BlockNumber> = numbers.into_iter().collect();
        let headers = self.ports.chain.headers(&numbers, Some(report.endpoint)).await?;
        let times: BTreeMap<B256, Timestamp> =
            headers.into_iter().flatten().map(|header| (header.block.hash, header.time)).collect();
        let newest = report.head.time;
        let proving = mined.into_iter().map(|(order, block)| (order.clone(), times.get(&block.hash).copied()));
        let proving: Vec<(Order, Option<Timestamp>)> = proving.collect();
        let proving = proving.into_iter().map(|(order, made_at)| async move {
            // Without its block's time, what it spent counts from the newest block on: longer, not shorter.
            self.prove_final(&order, spent_at(&order, made_at.unwrap_or(newest), newest)).await
        });
        let mut under_way = futures_util::stream::iter(proving).buffered(PROOFS_AT_ONCE);
        while let Some(proven) = under_way.next().await {
            its_own(proven)?;
        }
        Ok(())
    }

    /// Ends an order whose transaction is final, if that is proven: enough operators say the same, and where nothing is
    /// said to have moved, the wallet's own records fit (decision 14).
    async fn prove_final(&self, order: &Order, block_time: Timestamp) -> Result<(), Trouble> {
        let OrderState::Mined { tx_hash, block, effect, .. } = order.state else { return Ok(()) };
        let payment = self.ports.store.payment(&order.id.payment).await?;
        let question = Question {
            matter: Matter::Order(order.id.clone()),
            claim: Claim::of_order(order, tx_hash, block, effect),
            said_by: None,
            deadline: payment.and_then(|payment| payment.terms.expires_at),
        };
        if self.agreements.rests(&question.matter) {
            return Ok(());
        }
        let agreed = match self.agreements.ask(&question).await? {
            Answer::Agreed(agreed) => agreed,
            answer @ (Answer::Missing { .. } | Answer::Disputed) => {
                tracing::debug!(order = %order.id, %tx_hash, why = answer.why(), "its end is not proven yet");
                return Ok(());
            }
        };
        let fact = Freeing::of_effect(effect);
        let fit = if fact.needs().records {
            match nothing_left(order, block, &self.wallet_records(order, block).await?) {
                Ok(fit) => Some(fit),
                Err(why) => return Ok(self.agreements.contradicted(&question, &why).await?),
            }
        } else {
            None
        };
        match prove(fact, &agreed, fit.as_ref()) {
            Some(proof) => self.tell_unchanged(order, OrderFact::Final { proof, block_time }).await,
            None => Ok(()),
        }
    }

    /// The transfers that left the wallet since the order was first signed, up to this block, and the wallet's balance before
    /// and after it.
    async fn wallet_records(&self, order: &Order, block: BlockRef) -> Result<WalletRecords, Trouble> {
        let sender = &self.funding.sender;
        let now = self.ports.clock.now();
        let age = order.live_attempts().map(|attempt| now.since(attempt.signed_at)).max().unwrap_or_default();
        let back = age.as_secs().saturating_mul(MOST_BLOCKS_A_SECOND).saturating_add(LEAST_BLOCKS_BACK);
        let from = block.number.saturating_sub(back.min(MOST_BLOCKS_BACK));
        let page = sender.sent(order.wallet, &[order.token], from, block.number, None).await?;
        let before = match block.number.checked_sub(1) {
            Some(parent) => sender.balance_at(order.wallet, order.token, parent).await?,
            None => None,
        };
        let after = sender.balance_at(order.wallet, order.token, block.number).await?;
        Ok(WalletRecords { sent: page.transfers, balances: before.zip(after) })
    }
}

/// Whether the chain or the API has told of the transfer, and its receipt is awaited.
const fn is_seen(state: &OrderState) -> bool {
    matches!(
        state,
        OrderState::Sending { trouble: Some(Hold::OwnTransferSeen { .. }), .. }
            | OrderState::Cancelling { trouble: Some(Hold::OwnTransferSeen { .. }), .. }
    )
}
