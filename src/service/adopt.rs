//! Adopting the wallet: a person ends a halt, once it is known which nonce is next and what the wallet has sent.
//!
//! The store may be an old copy, or new: what the wallet sent in the last 24 hours is read from the chain, and what no order
//! here accounts for is booked as spend. So an adoption begins no new day.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::amount::Amount;
use crate::domain::chain::{B256, BlockNumber, BlockRef, Header, Transfer};
use crate::domain::event::{Event, EventKind, WalletChange};
use crate::domain::operator::{KnownEndpoint, Operator};
use crate::domain::order::{Order, OrderOutcome, OrderState, Spend};
use crate::domain::payment::RecipientId;
use crate::domain::time::Timestamp;
use crate::domain::wallet::{BookedSpend, NonceCount, Wallet};
use crate::engine::FundingPorts;
use crate::engine::first_block::first_block;
use crate::engine::order_repository::OrderRepository;
use crate::engine::transaction;
use crate::planted::{Bug, planted};
use crate::policy::evidence::{Freeing, MOST_BLOCKS_BACK, Proof, WalletRecords, consumed, nothing_left, prove};
use crate::policy::finality::final_number;
use crate::policy::nonces::{self, AdoptRefusal};
use crate::policy::numbering::together;
use crate::policy::order_machine::{OrderFact, apply};
use crate::policy::window::{Spending, book, window_now, window_start};
use crate::ports::chain::{Chain, ChainError, EndpointId};
use crate::ports::sender::EndpointAnswer;
use crate::ports::store::{Commit, StoreError};
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::service::orders::given;
use crate::view::order::WalletView;

/// How often an adoption is judged anew when orders change meanwhile.
const ADOPT_TRIES: u32 = 5;

/// A wish to adopt the wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdoptRequest {
    /// Why: 1 to 500 characters.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// The wallet's next nonce, as the person knows it from elsewhere, such as a block explorer. Needed where the endpoints
    /// are all one operator's, or do not agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_nonce: Option<u64>,
}

fn refuse(refusal: AdoptRefusal) -> OperatorError {
    OperatorError::Refused(refusal.to_string())
}

fn unreachable(error: &ChainError) -> OperatorError {
    OperatorError::Refused(error.to_string())
}

fn unread(detail: impl std::fmt::Display) -> OperatorError {
    OperatorError::Refused(format!(
        "what the wallet sent in the last 24 hours cannot be read ({detail}), and without it the limit per day would begin \
         anew: try again"
    ))
}

impl OperatorService {
    /// Ends a halt, once every endpoint agrees on the wallet's nonces.
    ///
    /// # Errors
    /// As [`OperatorService::adopt`].
    pub async fn adopt_wallet(&self, reason: &str) -> Result<WalletView, OperatorError> {
        self.adopt(&AdoptRequest { reason: reason.to_owned(), next_nonce: None }).await
    }

    /// Ends a halt, once every endpoint agrees on the wallet's nonces, or one with the person who gives the next. Orders
    /// whose nonce somebody else's transaction has consumed for good end as displaced; what the wallet sent in the last
    /// 24 hours counts as spent.
    ///
    /// # Errors
    /// When no engine with a wallet runs, the wallet is not halted, the endpoints do not agree, the wallet's transfers
    /// cannot be read, or no reason is given.
    pub async fn adopt(&self, request: &AdoptRequest) -> Result<WalletView, OperatorError> {
        for _ in 0..ADOPT_TRIES {
            match self.adopt_as_it_stands(request).await {
                // The sender notes on the orders what became of them meanwhile: everything is asked and judged anew.
                Err(OperatorError::Store(StoreError::Conflict(_))) => {}
                adopted => return adopted,
            }
        }
        Err(OperatorError::Refused("something changed meanwhile: try again".to_owned()))
    }

    async fn adopt_as_it_stands(&self, request: &AdoptRequest) -> Result<WalletView, OperatorError> {
        let (orders, reason) = (self.order_repository()?, given(&request.reason)?);
        let Some((chain, funding)) = &self.wallet_ports else {
            return Err(OperatorError::Refused(
                "adopting asks the nodes: it needs `rampwatch run` with the wallet configured".to_owned(),
            ));
        };
        let head = chain.head().await.map_err(|error| unreachable(&error))?;
        let answers = funding.sender.nonces(funding.signer.address(), None).await;
        let counts: Vec<(KnownEndpoint, Result<NonceCount, String>)> = answers
            .into_iter()
            .map(|EndpointAnswer { endpoint, name, answer }| {
                let operator = chain.operator(endpoint);
                (KnownEndpoint { name, operator }, answer.map_err(|error| error.to_string()))
            })
            .collect();
        let wallet = self.wallet_record().await?;
        let open = self.store.open_orders().await?;
        let adoption = nonces::adopt(&wallet, &counts, &open, request.next_nonce).map_err(refuse)?;
        let spent = Unaccounted { handle: self, chain: &**chain, funding, orders: &orders, head };
        let displaced = self.displaced(&spent, &wallet, &open, adoption.latest).await?;
        let over: Vec<Order> = displaced.iter().map(|(order, _)| order.clone()).collect();
        let mut found = spent.find(&wallet, &over).await?;
        found.retain(|_| !planted(Bug::AdoptForgetsSpend));
        let booked = book(&wallet.booked, &found, head.time);
        self.fits_the_limits(&orders, &wallet, &booked, head.time).await?;
        let adopted = Wallet { next_nonce: adoption.next_nonce, halted: None, booked, ..wallet };
        let sum = found.iter().try_fold(Amount::ZERO, |sum, entry| sum.checked_add(entry.amount));
        let change = WalletChange::Adopted {
            reason: reason.to_owned(),
            next_nonce: adoption.next_nonce,
            by: Some(self.actor.clone()),
            booked: sum.filter(|sum| !sum.is_zero()),
            typed: request.next_nonce.is_some(),
        };
        self.keep_adoption(&orders, adopted, displaced, change, head.time).await
    }

    /// The orders whose nonce somebody else's transaction has consumed for good, each with the proof of it: no endpoint has a
    /// receipt of theirs, enough operators count their nonces in a final block, and none of their transactions is among the
    /// wallet's own transfers.
    async fn displaced(
        &self,
        spent: &Unaccounted<'_>,
        wallet: &Wallet,
        open: &[Order],
        latest: u64,
    ) -> Result<Vec<(Order, Proof)>, OperatorError> {
        let below = open.iter().filter(|order| order.state.nonce().is_some_and(|nonce| nonce < latest));
        let below: Vec<&Order> = below.collect();
        let Some(tx_hash) = below.iter().flat_map(|order| order.live_attempts()).map(|attempt| attempt.tx_hash).next()
        else {
            return Ok(Vec::new());
        };
        // The counts come first, so that what is mined while the others are asked has its receipt or its transfer there.
        let needed = spent.needed();
        let (block, counts) = spent.final_counts(wallet, tx_hash, needed).await?;
        let mut over = Vec::new();
        for order in below {
            if !self.has_receipt(order).await? {
                over.push(order);
            }
        }
        let signed_at = over.iter().flat_map(|order| order.live_attempts()).map(|attempt| attempt.signed_at).min();
        let Some(since) = signed_at else { return Ok(Vec::new()) };
        let to = block.number.max(spent.head.block.number);
        let from = spent.first_block(since).await?.max(to.saturating_sub(MOST_BLOCKS_BACK));
        let sent = spent.outgoing(wallet, from, to).await?;
        let records = WalletRecords { sent, balances: None };
        let prove_over = |order: &Order| {
            let (id, nonce) = (order.id.to_string(), order.state.nonce().unwrap_or_default());
            let agreed = consumed(nonce, &counts, needed);
            let agreed = agreed.ok_or(AdoptRefusal::NotFinal { nonce, order: id.clone(), needed })?;
            let fit = nothing_left(order, block, &records);
            let fit = fit.map_err(|why| AdoptRefusal::Moved { order: id.clone(), why })?;
            prove(Freeing::Displaced, &agreed, Some(&fit)).ok_or(AdoptRefusal::NotFinal { nonce, order: id, needed })
        };
        let proven = over.into_iter().map(|order| Ok((order.clone(), prove_over(order).map_err(refuse)?)));
        proven.collect()
    }

    /// Orders that nothing is signed for yet were placed when nobody knew what the wallet had sent; the limits are not looked
    /// at again before they are signed. So they must fit now, together with what was found.
    async fn fits_the_limits(
        &self,
        book: &OrderRepository,
        wallet: &Wallet,
        booked: &[BookedSpend],
        newest: Timestamp,
    ) -> Result<(), OperatorError> {
        let at = window_now(Some(wallet), Some(newest), self.clock.now(), book.skew);
        let counted = book.counted(at).await?;
        let spending = Spending { orders: &counted, booked, at };
        let limits = &book.rules.limits;
        let is_over = |order: &&Order| {
            let unsigned = !order.state.is_ended() && order.state.nonce().is_none();
            let over =
                spending.all() > limits.max_per_day || spending.to(&order.recipient_id) > limits.max_per_recipient;
            unsigned && over
        };
        let over: Vec<String> = counted.iter().filter(is_over).map(|order| order.id.to_string()).collect();
        if over.is_empty() {
            return Ok(());
        }
        Err(OperatorError::Refused(format!(
            "together with what the wallet has sent in the last 24 hours, open orders go over the limits per day: cancel some \
             of them (rampwatch cancel), then adopt: {}",
            over.join(", ")
        )))
    }

    /// Whether any endpoint has a receipt of one of the order's transactions. Each must answer.
    async fn has_receipt(&self, order: &Order) -> Result<bool, OperatorError> {
        let Some((_, funding)) = &self.wallet_ports else { return Ok(false) };
        let hashes: Vec<_> = order.live_attempts().map(|attempt| attempt.tx_hash).collect();
        for answer in funding.sender.receipts_everywhere(&hashes).await {
            let receipts = answer.answer.map_err(|error| {
                OperatorError::Refused(format!("endpoint {:?} did not answer: {error}", answer.name))
            })?;
            for receipt in receipts.receipts {
                let unread = |why| OperatorError::Refused(format!("endpoint {:?} does not tell: {why}", answer.name));
                if receipt.map_err(unread)?.is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn keep_adoption(
        &self,
        book: &OrderRepository,
        wallet: Wallet,
        displaced: Vec<(Order, Proof)>,
        change: WalletChange,
        block_time: Timestamp,
    ) -> Result<WalletView, OperatorError> {
        let now = self.clock.now();
        let said = |payment, kind| Event { at: now, payment, deposit: None, kind };
        let mut events = vec![said(None, EventKind::WalletChanged { address: wallet.address, change })];
        let mut orders = Vec::new();
        for (mut order, proof) in displaced {
            let kinds = apply(&mut order, &OrderFact::Displaced { proof, block_time }, now, &book.rules.pace);
            let kinds = kinds.map_err(|error| OperatorError::Refused(error.to_string()))?;
            events.extend(kinds.into_iter().map(|kind| said(Some(order.id.payment.clone()), kind)));
            orders.push(order);
        }
        let commit = Commit { orders, wallet: Some(wallet), events, ..Commit::default() };
        transaction::commit(&*self.store, commit).await?;
        self.wallet().await
    }
}

/// Finds what the wallet has sent and no order accounts for.
struct Unaccounted<'a> {
    handle: &'a OperatorService,
    chain: &'a dyn Chain,
    funding: &'a FundingPorts,
    orders: &'a OrderRepository,
    head: Header,
}

impl Unaccounted<'_> {
    /// The transfers of the token that pays which left the wallet within 24 hours of the head and which no order accounts
    /// for. `displaced`: the orders that end so with this adoption.
    async fn find(&self, wallet: &Wallet, displaced: &[Order]) -> Result<Vec<BookedSpend>, OperatorError> {
        let start = window_start(self.head.time);
        let from = self.first_block(start).await?;
        let token = self.handle.settings.token;
        let transfers = self.outgoing(wallet, from, self.head.block.number).await?;
        let left = |transfer: &Transfer| {
            transfer.token == token
                && transfer.from == wallet.address
                && transfer.to != wallet.address
                && !transfer.amount.is_zero()
        };
        let sent: Vec<Transfer> = transfers.into_iter().filter(left).collect();
        let times = self.times(&sent).await?;
        let mut replaced = self.displaced(start, displaced).await?;
        let mut found = Vec::new();
        for transfer in sent {
            let at = times.get(&transfer.block.number).copied().unwrap_or(self.head.time).min(self.head.time);
            if at >= start && !self.is_an_orders(&transfer, at, &mut replaced).await? {
                let recipient = self.recipient(&transfer).await?;
                found.push(BookedSpend { at, recipient, amount: transfer.amount });
            }
        }
        Ok(found)
    }

    /// A block that enough operators call final, and how many of the wallet's transactions each endpoint that answers counts in
    /// it. `tx_hash`: any of the wallet's.
    async fn final_counts(
        &self,
        wallet: &Wallet,
        tx_hash: B256,
        needed: usize,
    ) -> Result<(BlockRef, Vec<(Operator, u64)>), OperatorError> {
        let rule = self.handle.settings.finality;
        let mut finals = Vec::new();
        for operator in self.chain.operators() {
            let said = self.chain.testify(&operator, tx_hash, rule.uses_tag()).await.statement;
            finals.extend(said.ok().and_then(|said| final_number(rule, &said.head, said.finalized.as_ref())));
        }
        let too_few =
            || OperatorError::Refused(format!("no block is final yet by {needed} operator(s): try again in a while"));
        finals.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
        let number = needed.checked_sub(1).and_then(|last| finals.get(last)).copied().ok_or_else(too_few)?;
        let header = self.chain.header(number, None).await.map_err(unread)?.ok_or_else(too_few)?;
        let answers = self.funding.sender.nonces(wallet.address, Some(number)).await;
        let counts = answers.into_iter().filter_map(|answer| {
            let count = answer.answer.ok()?.at_block?;
            Some((self.chain.operator(answer.endpoint), count))
        });
        Ok((header.block, counts.collect()))
    }

    /// How many operators have to agree.
    fn needed(&self) -> usize {
        self.handle.settings.operators_needed(self.chain.operators().len()).max(1)
    }

    /// One endpoint of each operator that can be asked.
    fn endpoints(&self) -> Vec<EndpointId> {
        let operators = self.chain.operators();
        let all: Vec<EndpointId> = (0..self.chain.endpoints()).map(EndpointId).collect();
        let of = |operator: &Operator| all.iter().copied().find(|endpoint| self.chain.operator(*endpoint) == *operator);
        operators.iter().filter_map(of).collect()
    }

    /// The transfers of the token that pays which left the wallet in these blocks. As many operators as have to agree read
    /// them: what one of them leaves out, another shows.
    async fn outgoing(
        &self,
        wallet: &Wallet,
        from: BlockNumber,
        to: BlockNumber,
    ) -> Result<Vec<Transfer>, OperatorError> {
        let token = self.handle.settings.token;
        let mut operators = self.chain.operators();
        operators.truncate(self.needed());
        let mut all = Vec::new();
        for operator in &operators {
            let page = self.funding.sender.sent(wallet.address, &[token], from, to, Some(operator)).await;
            all = together(all, &page.map_err(unread)?.transfers);
        }
        Ok(all)
    }

    /// A block near the first one at or after a moment, and none after it: the lowest by the words of as many operators as have
    /// to agree.
    async fn first_block(&self, moment: Timestamp) -> Result<BlockNumber, OperatorError> {
        let (mut heard, mut trouble) = (Vec::new(), None);
        for endpoint in self.endpoints() {
            let mut times = BTreeMap::from([(self.head.block.number, self.head.time)]);
            match first_block(self.chain, &mut times, moment, Some(endpoint)).await {
                Ok(number) => heard.push(number),
                Err(error) => trouble = Some(unread(error)),
            }
            if heard.len() == self.needed() {
                return Ok(heard.into_iter().min().unwrap_or_default());
            }
        }
        Err(trouble.unwrap_or_else(|| unread("too few operators tell when blocks were made")))
    }

    /// When the blocks of these transfers were made: the latest word of as many operators as have to agree, so that nobody makes
    /// what was sent older than it is.
    async fn times(&self, sent: &[Transfer]) -> Result<BTreeMap<BlockNumber, Timestamp>, OperatorError> {
        let numbers: BTreeSet<BlockNumber> = sent.iter().map(|transfer| transfer.block.number).collect();
        let numbers: Vec<BlockNumber> = numbers.into_iter().collect();
        let mut times: BTreeMap<BlockNumber, Timestamp> = BTreeMap::new();
        let mut heard = Vec::new();
        for endpoint in self.endpoints() {
            if numbers.is_empty() || heard.len() == self.needed() {
                break;
            }
            let Ok(headers) = self.chain.headers(&numbers, Some(endpoint)).await else { continue };
            heard.push(endpoint);
            for header in headers.into_iter().flatten() {
                let time = times.entry(header.block.number).or_insert(header.time);
                *time = header.time.max(*time);
            }
        }
        if heard.len() < self.needed() && !numbers.is_empty() {
            return Err(unread("too few operators tell when blocks were made"));
        }
        match numbers.iter().find(|number| !times.contains_key(number)) {
            Some(missing) => Err(unread(format!("no endpoint has block {missing}"))),
            None => Ok(times),
        }
    }

    /// Displaced orders, whose spend counts although nothing of theirs was mined: what replaced one, to its address and of
    /// its amount, is counted by it.
    async fn displaced(&self, start: Timestamp, now: &[Order]) -> Result<Vec<(Order, Timestamp)>, OperatorError> {
        let counted = self.orders.store.spent_since(start).await?;
        let is_displaced =
            |order: &Order| matches!(order.state, OrderState::Ended { outcome: OrderOutcome::Displaced { .. }, .. });
        let before = counted.into_iter().filter(is_displaced).map(|order| {
            let from = order.counts_from();
            (order, from)
        });
        Ok(now.iter().map(|order| (order.clone(), self.head.time)).chain(before).collect())
    }

    /// Whether an order counts this transfer as its own. One whose spend was given back does not.
    async fn is_an_orders(
        &self,
        transfer: &Transfer,
        at: Timestamp,
        displaced: &mut Vec<(Order, Timestamp)>,
    ) -> Result<bool, OperatorError> {
        let fits = |order: &Order| {
            order.spend == Spend::Counted
                && (order.token, order.to, order.amount) == (transfer.token, transfer.to, transfer.amount)
        };
        if self.orders.store.order_of_tx(transfer.tx_hash).await?.is_some_and(|order| fits(&order)) {
            return Ok(true);
        }
        let place = displaced.iter().position(|(order, from)| fits(order) && *from >= at);
        Ok(place.map(|place| displaced.swap_remove(place)).is_some())
    }

    /// Whose payments are at the address that the money went to, where they are all one recipient's.
    async fn recipient(&self, transfer: &Transfer) -> Result<Option<RecipientId>, OperatorError> {
        let payments = self.orders.store.payments_at(transfer.to).await?;
        let all: BTreeSet<RecipientId> = payments.into_iter().map(|payment| payment.recipient_id).collect();
        Ok(all.first().cloned().filter(|_| all.len() == 1))
    }
}
