//! Asks for receipts of what is on its way, and for finality of what is in a block.

use std::collections::BTreeSet;

use super::{Funder, Trouble};
use crate::domain::chain::{B256, BlockNumber, BlockRef, Header};
use crate::domain::event::EventKind;
use crate::domain::hold::Hold;
use crate::domain::order::{Order, OrderState};
use crate::domain::time::Timestamp;
use crate::domain::wallet::Receipt;
use crate::planted::{Bug, planted};
use crate::policy::finality::{final_block, final_number};
use crate::policy::funding::{OrderFact, effect};
use crate::ports::sender::Receipts;

impl Funder {
    /// Takes in what became of every order that has a nonce.
    pub(super) async fn settle(&mut self, open: &[Order]) -> Result<(), Trouble> {
        let with_nonce: Vec<&Order> = open.iter().filter(|order| order.state.nonce().is_some()).collect();
        let hashes: Vec<B256> =
            with_nonce.iter().flat_map(|order| order.live_attempts().map(|attempt| attempt.tx_hash)).collect();
        if hashes.is_empty() {
            return Ok(());
        }
        let receipts = self.funding.sender.receipts(&hashes).await?;
        for order in &with_nonce {
            self.take_in(order, &hashes, &receipts).await?;
        }
        self.settle_final(receipts.head).await
    }

    async fn take_in(&mut self, order: &Order, hashes: &[B256], receipts: &Receipts) -> Result<(), Trouble> {
        let of_order = hashes.iter().zip(&receipts.receipts).filter(|(hash, _)| order.attempt(**hash).is_some());
        let found: Vec<&Receipt> = of_order.filter_map(|(_, receipt)| receipt.as_ref()).collect();
        if let Some(receipt) = found.first() {
            self.set_looks(&order.id, None);
            return self.note_mined(order, receipt).await;
        }
        // An endpoint that has not come to the block says nothing by having no receipt.
        let is_gone = matches!(&order.state, OrderState::Mined { block, .. } if receipts.head >= block.number);
        if !is_gone && !is_seen(&order.state) {
            return Ok(());
        }
        // One receipt in a block that stands is more than an endpoint's lack of it.
        if let Some(receipt) = self.receipt_anywhere(order).await? {
            self.set_looks(&order.id, None);
            return self.note_mined(order, &receipt).await;
        }
        if !is_gone {
            return Ok(());
        }
        self.tell_unchanged(order, OrderFact::Unmined).await
    }

    /// Any endpoint's receipt of one of the order's transactions, in a block that is on the chain.
    async fn receipt_anywhere(&self, order: &Order) -> Result<Option<Receipt>, Trouble> {
        let hashes: Vec<B256> = order.live_attempts().map(|attempt| attempt.tx_hash).collect();
        let answers = self.funding.sender.receipts_everywhere(&hashes).await;
        let found = answers.into_iter().filter_map(|answer| answer.answer.ok()).flat_map(|said| said.receipts);
        for receipt in found.flatten() {
            // An endpoint that names a block that nobody can show must not keep the others from being heard.
            match self.ports.chain.header(receipt.block.number, None).await {
                Ok(Some(header)) if header.block.hash == receipt.block.hash => return Ok(Some(receipt)),
                Ok(_) => {}
                Err(error) => tracing::debug!(order = %order.id, %error, "a receipt's block cannot be looked at"),
            }
        }
        Ok(None)
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
        if numbers.is_empty() {
            return Ok(());
        }
        let found = self.ports.chain.witnessed_headers(&numbers, rule.uses_tag(), report.endpoint).await?;
        let headers: Vec<Header> =
            found.iter().filter_map(|found| final_block(rule, found).and(found.header)).collect();
        for (order, block) in mined {
            // Another block at that height is told by the receipts, which are asked for again.
            if let Some(block_time) = self.final_time(&headers, &block) {
                self.tell_unchanged(order, OrderFact::Final { block_time }).await?;
            }
        }
        Ok(())
    }

    /// When the block was made, where it is among the final ones: what an order spent counts from then on.
    fn final_time(&self, headers: &[Header], block: &BlockRef) -> Option<Timestamp> {
        let is_final = headers.iter().find(|header| header.block == *block).map(|header| header.time);
        is_final.or_else(|| planted(Bug::MinedIsPaid).then(|| self.ports.clock.now()))
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
