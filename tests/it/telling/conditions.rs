//! Conditions without events: each is told once for each time that it begins, restarts or not.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256, BlockNumber};
use rampwatch::domain::operator::Operator;
use rampwatch::domain::time::Span;
use rampwatch::domain::wallet::{Market, NonceCount, TransferView};
use rampwatch::domain::wei::Wei;
use rampwatch::engine::FundingPorts;
use rampwatch::ports::chain::{ChainError, TransferPage};
use rampwatch::ports::sender::{
    EndpointAnswer, Receipts, SendAnswer, Sender, SenderError, SignedTx, TransferSpec, TxSpec,
};
use rampwatch::ports::signer::{DigestSignature, Signer, SignerError};
use rampwatch::ports::store::{Commit, Store as _};

use super::rig::{Ear, Rig, rules};
use crate::support::records::{coverage, wallet_address};

#[tokio::test(start_paused = true)]
async fn a_chain_that_cannot_be_read_for_long_is_told_once() {
    let ear = Ear::new("ear");
    let mut rig = Rig::new(&[&ear]);
    rig.store.commit(Commit { coverage: vec![coverage(1)], ..Commit::default() }).await.unwrap();
    rig.begin().await;
    rig.wait(600).await;
    assert_eq!(ear.titles().len(), 0, "not long yet");
    rig.wait(3_600).await;
    assert_eq!(ear.titles(), ["The chain cannot be read"]);
    assert!(ear.heard()[0].message.text[0].contains("nobody home"), "{:?}", ear.heard()[0].message.text);
    rig.die().await;
    rig.begin().await;
    rig.wait(7_200).await;
    assert_eq!(ear.titles().len(), 1, "the same trouble is not told again after a restart");
    rig.stop().await.unwrap();
}

/// A wallet with balances that the test sets.
struct Purse(Mutex<(u128, Wei, u32)>);

#[async_trait]
impl Signer for Purse {
    fn address(&self) -> Address {
        wallet_address()
    }

    async fn sign(&self, _: B256) -> Result<DigestSignature, SignerError> {
        unreachable!("nobody signs here")
    }
}

#[async_trait]
impl Sender for Purse {
    fn digest(&self, _: &TxSpec) -> B256 {
        unreachable!("nobody signs here")
    }
    fn assemble(&self, _: &TxSpec, _: &DigestSignature) -> Result<SignedTx, SenderError> {
        unreachable!("nobody signs here")
    }
    async fn view(&self, _: &TransferSpec) -> Result<TransferView, ChainError> {
        unreachable!("nobody sends here")
    }
    async fn market(&self) -> Result<Market, ChainError> {
        unreachable!("nobody sends here")
    }
    async fn balances(&self, wallet: Address, _: Address) -> Result<(Amount, Wei), ChainError> {
        assert_eq!(wallet, wallet_address());
        let mut purse = self.0.lock().unwrap();
        purse.2 += 1;
        if purse.2.is_multiple_of(5) {
            return Err(ChainError::Unavailable("now and then".to_owned()));
        }
        Ok((Amount::from_base_units(purse.0), purse.1))
    }
    async fn nonces(&self, _: Address, _: Option<BlockNumber>) -> Vec<EndpointAnswer<Result<NonceCount, ChainError>>> {
        unreachable!("nobody sends here")
    }
    async fn send(&self, _: &SignedTx) -> Vec<EndpointAnswer<SendAnswer>> {
        unreachable!("nobody sends here")
    }
    async fn receipts(&self, _: &[B256]) -> Result<Receipts, ChainError> {
        unreachable!("nobody sends here")
    }
    async fn sent(
        &self,
        _: Address,
        _: &[Address],
        _: BlockNumber,
        _: BlockNumber,
        _: Option<&Operator>,
    ) -> Result<TransferPage, ChainError> {
        unreachable!("nobody audits here")
    }
    async fn balance_at(&self, _: Address, _: Address, _: BlockNumber) -> Result<Option<Amount>, ChainError> {
        unreachable!("nobody audits here")
    }
    async fn receipts_everywhere(&self, _: &[B256]) -> Vec<EndpointAnswer<Result<Receipts, ChainError>>> {
        unreachable!("nobody sends here")
    }
}

#[tokio::test(start_paused = true)]
async fn a_low_balance_is_told_once_for_each_time_that_it_gets_low() {
    let ear = Ear::new("ear");
    let mut rig = Rig::new(&[&ear]);
    let purse = Arc::new(Purse(Mutex::new((900_000_000, Wei::from_gwei(2_000_000_000), 0))));
    rig.rules.low_token = Some(Amount::from_base_units(500_000_000));
    rig.rules.low_native = Some(Wei::from_gwei(1_000_000_000));
    rig.funding = Some(FundingPorts { sender: purse.clone(), signer: purse.clone() });
    assert_eq!(rules().balance_every, Span::from_secs(600));
    rig.begin().await;
    rig.wait(86_400).await;
    assert_eq!(ear.titles().len(), 0);
    let asked = purse.0.lock().unwrap().2;
    assert!((100..=145).contains(&asked), "a balance is read every ten minutes: {asked} in a day");

    purse.0.lock().unwrap().0 = 499_999_999;
    rig.wait(7_200).await;
    assert_eq!(ear.titles(), ["The wallet is low on the token"]);
    assert!(ear.heard()[0].message.text[0].contains("499.999999, less than 500.00"), "{:?}", ear.heard()[0].message);
    rig.die().await;
    rig.begin().await;
    rig.wait(7_200).await;
    assert_eq!(ear.titles().len(), 1, "still the same time");
    purse.0.lock().unwrap().0 = 500_000_000;
    rig.wait(7_200).await;
    purse.0.lock().unwrap().0 = 1;
    purse.0.lock().unwrap().1 = Wei::from_gwei(999_999_999);
    rig.wait(7_200).await;
    let mut titles = ear.titles();
    titles.sort();
    let low = "The wallet is low on the token";
    assert_eq!(titles, ["The wallet is low on gas money", low, low]);
    rig.stop().await.unwrap();
}
