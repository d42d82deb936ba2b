//! The sender as the process sees it: the same endpoints as the chain's, each with the account of the block that it
//! shows, and a pool of its own. What is on its way to an endpoint when the process dies gets there without it.

use std::sync::Arc;

use async_trait::async_trait;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256, BlockNumber};
use rampwatch::domain::operator::Operator;
use rampwatch::domain::time::Span;
use rampwatch::domain::wallet::{CallResult, Market, NonceCount, TransferView};
use rampwatch::domain::wei::Wei;
use rampwatch::ports::chain::{ChainError, EndpointId, Flaws, TransferPage};
use rampwatch::ports::clock::Clock;
use rampwatch::ports::sender::{
    EndpointAnswer, Receipts, SendAnswer, Sender, SenderError, SignedTx, TransferSpec, TxAction, TxSpec,
};
use rampwatch::ports::signer::DigestSignature;
use tokio::sync::oneshot;

use super::super::chain::View;
use super::super::endpoints::{Endpoints, Sight};
use super::super::fuse::{Life, Point};
use super::super::lies::shown;
use super::super::world::{World, short};
use super::account::TRANSFER_GAS;
use super::bytes::{self, Signed};
use super::fortune::GWEI;
use super::{broadcasts, heard};

/// The sender port of one life of the process.
pub(super) struct FakeSender {
    world: Arc<World>,
    life: Arc<Life>,
    endpoints: Endpoints,
}

/// What happens to one broadcast to one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    None,
    /// It does not get there.
    NotReached,
    /// It gets lost, and nobody can know.
    Lost,
    /// It is taken, and the answer is lost.
    AnswerLost,
    /// No answer; it gets there later.
    Late,
    /// The endpoint does not like it, for no reason to be seen.
    Refused,
    /// The endpoint takes it, and passes it on to nobody.
    Kept,
}

impl FakeSender {
    /// The port of this life.
    pub(super) fn new(world: Arc<World>, life: Arc<Life>) -> Self {
        let endpoints =
            Endpoints::new(Arc::clone(&world), Arc::clone(&life), &format!("sender of life {}", life.number));
        Self { world, life, endpoints }
    }

    fn name(endpoint: usize) -> String {
        format!("node-{endpoint}")
    }

    /// What an endpoint thinks that others tip. One that is out of its mind is not to be followed.
    fn market_tip(&self) -> Wei {
        let crazy = self.endpoints.fails(40);
        if crazy {
            self.world.count("sender: absurd tip");
        }
        Wei::new(GWEI * if crazy { 40_000 } else { 25 + u128::from(self.endpoints.below(20)) })
    }

    fn view_of(&self, transfer: &TransferSpec, sight: &Sight) -> Result<TransferView, ChainError> {
        let (head, account) = (self.endpoints.head(sight)?, shown::account(&self.world, sight));
        let amount = transfer.amount.base_units();
        let mut call = match account.refuses(transfer.to, amount) {
            None => CallResult::True,
            Some(reason) => CallResult::Reverted(reason.to_owned()),
        };
        if self.endpoints.fails(6) {
            self.world.count("sender: a call is said to fail");
            call = CallResult::Other("it returned nothing".to_owned());
        }
        Ok(TransferView {
            head,
            base_fee: Wei::new(account.conditions.base_fee),
            market_tip: self.market_tip(),
            paused: account.conditions.paused,
            wallet_blacklisted: account.conditions.wallet_blacklisted,
            recipient_blacklisted: account.conditions.blacklisted == Some(transfer.to),
            token_balance: Amount::from_base_units(account.balance),
            native_balance: Wei::new(account.native),
            gas_estimate: (call == CallResult::True).then_some(TRANSFER_GAS + self.endpoints.below(900)),
            call,
        })
    }

    fn receipts_of(&self, hashes: &[B256], sight: &Sight) -> Result<Receipts, ChainError> {
        let head = self.endpoints.head(sight)?.block.number;
        let mut receipts: Vec<_> = hashes.iter().map(|hash| Ok(shown::receipt(&self.world, sight, *hash))).collect();
        for receipt in &mut receipts {
            if matches!(receipt, Ok(Some(_))) && self.endpoints.fails(25) {
                self.world.count("sender: a receipt is left out");
                *receipt = Ok(None);
            } else if self.endpoints.fails(15) {
                self.world.count("sender: a receipt cannot be read");
                *receipt = Err("transaction indexing is in progress".to_owned());
            }
        }
        Ok(Receipts { endpoint: EndpointId(sight.endpoint), head, receipts })
    }

    fn draw_mishap(&self, endpoint: usize) -> Mishap {
        if self.endpoints.is_away(endpoint, self.world.clock.elapsed()) {
            return if self.endpoints.below(2) == 0 { Mishap::NotReached } else { Mishap::Lost };
        }
        let faults = self.world.settings.wallet.as_ref().map_or(0, |wallet| wallet.send_faults);
        if !self.endpoints.fails(faults) {
            return Mishap::None;
        }
        match self.endpoints.below(12) {
            0 | 1 => Mishap::NotReached,
            2 | 3 => Mishap::Lost,
            4..=6 => Mishap::AnswerLost,
            7 | 8 => Mishap::Late,
            9 => Mishap::Refused,
            _ => Mishap::Kept,
        }
    }

    /// Sends the bytes on their way to one endpoint. What becomes of them does not depend on the process any more.
    fn give(&self, endpoint: usize, signed: &Signed) -> oneshot::Receiver<SendAnswer> {
        let mishap = self.draw_mishap(endpoint);
        self.world.count(&format!("sender: broadcast, {mishap:?}"));
        let arrives_after = match mishap {
            Mishap::Late => self.endpoints.draw_millis(2_000, 60_000),
            _ => self.endpoints.draw_millis(5, 400),
        };
        let answers_after = match mishap {
            Mishap::Lost | Mishap::AnswerLost | Mishap::Late => self.endpoints.draw_millis(500, 9_000),
            _ => self.endpoints.draw_millis(5, 800),
        };
        let sight = self.endpoints.see(endpoint, self.world.clock.elapsed());
        let words = "simulated".to_owned();
        let (sender, receiver) = oneshot::channel();
        if !matches!(mishap, Mishap::NotReached | Mishap::Lost | Mishap::Refused) {
            let (world, signed) = (Arc::clone(&self.world), signed.clone());
            let (answer, spreads) = (mishap == Mishap::None, mishap != Mishap::Kept);
            let unclear = SendAnswer::Unclear(words.clone());
            let kept = mishap == Mishap::Kept;
            tokio::spawn(async move {
                world.clock.sleep(arrives_after).await;
                let said = arrive(&world, endpoint, &signed, sight.view, spreads);
                world.clock.sleep(answers_after).await;
                // Nobody may be left to hear it.
                let _heard = sender.send(if answer || kept { said } else { unclear });
            });
            return receiver;
        }
        let said = match mishap {
            Mishap::NotReached => SendAnswer::NotReached(words),
            Mishap::Refused => match self.endpoints.below(3) {
                0 => SendAnswer::InsufficientFunds,
                1 => SendAnswer::FeeTooLow(words),
                _ => SendAnswer::Refused(words),
            },
            _ => SendAnswer::Unclear(words),
        };
        note_answer(&self.world, &said);
        let world = Arc::clone(&self.world);
        tokio::spawn(async move {
            world.clock.sleep(answers_after).await;
            let _heard = sender.send(said);
        });
        receiver
    }

    async fn ask_each<T>(
        &self,
        answer: impl Fn(&Sight) -> Result<T, ChainError>,
    ) -> Vec<EndpointAnswer<Result<T, ChainError>>> {
        let reached = self.endpoints.reach_each().await;
        let unavailable = || ChainError::Unavailable("simulated".to_owned());
        reached
            .into_iter()
            .map(|(endpoint, sight)| EndpointAnswer {
                endpoint: EndpointId(endpoint),
                name: Self::name(endpoint),
                answer: sight.as_ref().ok_or_else(unavailable).and_then(&answer),
            })
            .collect()
    }

    fn count_nonces(&self, at: Option<BlockNumber>, sight: &Sight) -> NonceCount {
        let below = |number| shown::account_at(&self.world, sight, number).map_or(0, |account| account.nonce);
        let (latest, at_block) = (shown::account(&self.world, sight).nonce, at.map(below));
        let pending = self.world.wallet().pools.pending(sight.endpoint, latest, self.world.clock.now());
        NonceCount { latest, pending, at_block }
    }
}

/// Signed bytes come to an endpoint that shows the chain like this.
fn arrive(world: &World, endpoint: usize, signed: &Signed, view: View, spreads: bool) -> SendAnswer {
    let (account, is_mined) = {
        let chain = world.chain();
        (chain.account_of(view), chain.receipt_in(view, signed.hash).is_some())
    };
    let now = world.clock.now();
    let said = if is_mined && signed.hash.0[31].is_multiple_of(4) {
        SendAnswer::AlreadyKnown
    } else {
        world.wallet().pools.offer(endpoint, signed, &account, now, spreads)
    };
    world.note(&format!("node-{endpoint} is given {} at nonce {}: {said:?}", short(&signed.hash), signed.tx.nonce));
    note_answer(world, &said);
    said
}

fn note_answer(world: &World, said: &SendAnswer) {
    let kind = format!("{said:?}");
    world.count(&format!("sender: {}", kind.split('(').next().unwrap_or_default()));
}

#[async_trait]
impl Sender for FakeSender {
    fn digest(&self, tx: &TxSpec) -> B256 {
        bytes::digest(tx)
    }

    fn assemble(&self, tx: &TxSpec, signature: &DigestSignature) -> Result<SignedTx, SenderError> {
        let wallet = match &tx.action {
            TxAction::Transfer(transfer) => transfer.wallet,
            TxAction::SelfSend { wallet } => *wallet,
        };
        if !bytes::is_sealed(wallet, bytes::digest(tx), signature.r) {
            return Err(SenderError::WrongSigner { wallet, detail: "another key has made it".to_owned() });
        }
        let (hash, raw) = bytes::write(tx, signature.r);
        Ok(SignedTx { hash, raw })
    }

    async fn view(&self, transfer: &TransferSpec) -> Result<TransferView, ChainError> {
        self.life.before(Point::SenderView).await;
        let asked_at = self.world.clock.now();
        let sight = self.endpoints.reach(None, None).await;
        let answer = sight.and_then(|sight| self.view_of(transfer, &sight));
        self.life.after(Point::SenderView).await;
        if let Ok(view) = &answer {
            heard::view(&self.world, transfer, view, asked_at);
        }
        answer
    }

    async fn market(&self) -> Result<Market, ChainError> {
        self.life.before(Point::SenderMarket).await;
        let sight = self.endpoints.reach(None, None).await;
        let answer = sight.and_then(|sight| {
            let tip = self.market_tip();
            let base_fee = Wei::new(shown::account(&self.world, &sight).conditions.base_fee);
            Ok(Market { head: self.endpoints.head(&sight)?, base_fee, tip })
        });
        self.life.after(Point::SenderMarket).await;
        answer
    }

    async fn balances(&self, _: Address, _: Address) -> Result<(Amount, Wei), ChainError> {
        self.life.before(Point::SenderBalances).await;
        let sight = self.endpoints.reach(None, None).await;
        let answer = sight.map(|sight| {
            let account = shown::account(&self.world, &sight);
            (Amount::from_base_units(account.balance), Wei::new(account.native))
        });
        self.life.after(Point::SenderBalances).await;
        answer
    }

    async fn nonces(&self, _: Address, at: Option<BlockNumber>) -> Vec<EndpointAnswer<Result<NonceCount, ChainError>>> {
        self.life.before(Point::SenderNonces).await;
        let answers = self.ask_each(|sight| Ok(self.count_nonces(at, sight))).await;
        self.life.after(Point::SenderNonces).await;
        answers
    }

    async fn sent(
        &self,
        wallet: Address,
        tokens: &[Address],
        from: BlockNumber,
        to: BlockNumber,
        _: Option<&Operator>,
    ) -> Result<TransferPage, ChainError> {
        let sight = self.endpoints.reach(None, None).await?;
        let behind = || ChainError::Behind(format!("block {to} is not there"));
        let anchor = shown::header(&self.world, &sight, to).ok_or_else(behind)?;
        let mut transfers = shown::transfers(&self.world, &sight, sight.view, from, to);
        transfers.retain(|transfer| transfer.from == wallet && tokens.contains(&transfer.token));
        Ok(TransferPage {
            transfers,
            anchor,
            is_tagged: false,
            endpoint: EndpointId(sight.endpoint),
            malformed: Vec::new(),
            flaws: Flaws::default(),
        })
    }

    async fn balance_at(&self, _: Address, _: Address, block: BlockNumber) -> Result<Option<Amount>, ChainError> {
        let sight = self.endpoints.reach(None, None).await?;
        let account = shown::account_at(&self.world, &sight, block);
        Ok(account.map(|account| Amount::from_base_units(account.balance)))
    }

    async fn send(&self, tx: &SignedTx) -> Vec<EndpointAnswer<SendAnswer>> {
        self.life.before(Point::SenderSend).await;
        let answers = match broadcasts::begins(&self.world, tx) {
            None => Vec::new(),
            Some(signed) => {
                let given = (0..self.world.settings.endpoints).map(|endpoint| (endpoint, self.give(endpoint, &signed)));
                let given: Vec<_> = given.collect();
                let mut answers = Vec::new();
                for (endpoint, answer) in given {
                    let answer = answer.await.expect("it always answers");
                    answers.push(EndpointAnswer { endpoint: EndpointId(endpoint), name: Self::name(endpoint), answer });
                }
                answers
            }
        };
        self.world.clock.sleep(Span::from_millis(1)).await;
        self.life.after(Point::SenderSend).await;
        answers
    }

    async fn receipts(&self, hashes: &[B256]) -> Result<Receipts, ChainError> {
        self.life.before(Point::SenderReceipts).await;
        let sight = self.endpoints.reach(None, None).await;
        let answer = sight.and_then(|sight| self.receipts_of(hashes, &sight));
        self.life.after(Point::SenderReceipts).await;
        answer
    }

    async fn receipts_everywhere(&self, hashes: &[B256]) -> Vec<EndpointAnswer<Result<Receipts, ChainError>>> {
        self.life.before(Point::SenderReceiptsEverywhere).await;
        let answers = self.ask_each(|sight| self.receipts_of(hashes, sight)).await;
        self.life.after(Point::SenderReceiptsEverywhere).await;
        answers
    }
}
