//! Whether the ledger comes to what the records say: what the last event told of a record is what the record bears.

use std::ops::ControlFlow;

use ::sled::IVec;

use super::{Checker, Looked};
use crate::adapters::sled::keys;
use crate::adapters::sled::packs::unpack;
use crate::adapters::sled::reader::above;
use crate::adapters::sled::records::is_about;
use crate::domain::chain::Address;
use crate::domain::deposit::{BlockStatus, Deposit, Verdict};
use crate::domain::event::{EventKind, WalletChange};
use crate::domain::order::{Order, OrderState, Spend};
use crate::domain::payment::{Payment, PaymentState};
use crate::domain::record::{Record, RecordBody};
use crate::domain::wallet::Wallet;
use crate::ports::store::Subject;

impl Checker<'_> {
    /// Goes through the events of a payment, a deposit or a further record, the last first, until one says enough. Events that cannot
    /// be read are found elsewhere.
    fn backwards(&self, subject: &Subject, mut hear: impl FnMut(EventKind) -> ControlFlow<()>) -> Looked {
        let subject = keys::events_of(subject);
        for entry in self.tree.range(above(&subject, 0)).rev() {
            let (_, key) = entry?;
            let all = self.tree.get(&key)?.and_then(|bytes| unpack(&key, &bytes).ok()).unwrap_or_default();
            let its = all.into_iter().rev().map(|recorded| recorded.event).filter(|event| is_about(event, &subject));
            for event in its {
                if hear(event.kind).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    pub(super) fn replay_payment(&mut self, key: &IVec, payment: &Payment) -> Looked {
        let mut told: Option<Box<PaymentState>> = None;
        self.backwards(&Subject::Payment(payment.id.clone()), |kind| match kind {
            EventKind::PaymentMoved { to, .. } => {
                told = Some(to);
                ControlFlow::Break(())
            }
            EventKind::PaymentAdded { payment } => {
                told = Some(Box::new(payment.state));
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        })?;
        self.compare(key, "state", &payment.state, told.as_deref());
        Ok(())
    }

    pub(super) fn replay_deposit(&mut self, key: &IVec, deposit: &Deposit) -> Looked {
        let (mut verdict, mut standing): (Option<Verdict>, Option<BlockStatus>) = (None, None);
        self.backwards(&Subject::Deposit(deposit.key), |kind| {
            match kind {
                EventKind::DepositJudged { verdict: told } => {
                    verdict.get_or_insert(told);
                }
                EventKind::DepositStands { standing: told, .. } => {
                    standing.get_or_insert(told);
                }
                EventKind::DepositSeen { deposit, .. } => {
                    verdict.get_or_insert(deposit.verdict);
                    standing.get_or_insert(deposit.standing);
                }
                _ => {}
            }
            if verdict.is_some() && standing.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        self.compare(key, "verdict", &deposit.verdict, verdict.as_ref());
        self.compare(key, "standing", &deposit.standing, standing.as_ref());
        Ok(())
    }

    pub(super) fn replay_order(&mut self, key: &IVec, order: &Order) -> Looked {
        let mut told: Option<(OrderState, Spend)> = None;
        self.backwards(&Subject::Payment(order.id.payment.clone()), |kind| match kind {
            EventKind::OrderMoved { order: id, to, spend, .. } if id == order.id => {
                told = Some((*to, spend));
                ControlFlow::Break(())
            }
            EventKind::OrderPlaced { order: placed } if placed.id == order.id => {
                told = Some((placed.state, placed.spend));
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        })?;
        self.compare(key, "state", &order.state, told.as_ref().map(|(state, _)| state));
        self.compare(key, "spend", &order.spend, told.as_ref().map(|(_, spend)| spend));
        Ok(())
    }

    pub(super) fn replay_record(&mut self, key: &IVec, record: &Record) -> Looked {
        let mut told: Option<Box<RecordBody>> = None;
        self.backwards(&Subject::Record(record.body.key()), |kind| match kind {
            EventKind::RecordChanged { body, .. } => {
                told = Some(body);
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        })?;
        // Bodies are long, and hold addresses that are nobody else's business: none is shown.
        match (&record.body, told.as_deref()) {
            (RecordBody::Webhook(_), Some(told)) if *told != record.body => {
                self.find(key, "it says something else than the ledger comes to");
            }
            // How often a candidate was asked after in vain is no event.
            (RecordBody::Candidate(ours), Some(RecordBody::Candidate(told))) if ours.state != told.state => {
                self.find(key, format!("its state is {:?}, and the ledger comes to {:?}", ours.state, told.state));
            }
            (RecordBody::Webhook(_) | RecordBody::Candidate(_), None) => self.find(key, "no event tells of it"),
            // What other kinds say may change without an event.
            _ => {}
        }
        Ok(())
    }

    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, key: &IVec, what: &str, ours: &T, told: Option<&T>) {
        match told {
            Some(told) if told == ours => {}
            Some(told) => self.find(key, format!("its {what} is {ours:?}, and the ledger comes to {told:?}")),
            None => self.find(key, format!("no event tells of its {what}")),
        }
    }
}

/// What the events say of the wallet, in their order.
#[derive(Debug, Default)]
pub(super) struct WalletStory {
    address: Option<Address>,
    next_nonce: u64,
    paused: bool,
    halted: bool,
}

impl WalletStory {
    pub(super) fn hear(&mut self, kind: &EventKind) {
        match kind {
            EventKind::WalletChanged { address, change } => {
                self.address = Some(*address);
                match change {
                    WalletChange::Opened { next_nonce } => self.next_nonce = *next_nonce,
                    WalletChange::Adopted { next_nonce, .. } => {
                        self.next_nonce = *next_nonce;
                        self.halted = false;
                    }
                    WalletChange::Paused { .. } => self.paused = true,
                    WalletChange::Resumed { .. } => self.paused = false,
                    WalletChange::Halted { .. } => self.halted = true,
                }
            }
            // All attempts but the first of a nonce bear one that was taken before.
            EventKind::AttemptSigned { attempt, .. } => {
                self.next_nonce = self.next_nonce.max(attempt.nonce.saturating_add(1));
            }
            _ => {}
        }
    }

    /// Where the wallet's record says otherwise.
    pub(super) fn compare(&self, wallet: Option<&Wallet>) -> Vec<String> {
        let Some(wallet) = wallet else {
            let missing = "the ledger tells of a wallet, whose record is missing".to_owned();
            return self.address.map(|_| missing).into_iter().collect();
        };
        let ours = [
            ("address", Some(wallet.address).map(|address| address.to_string())),
            ("next nonce", Some(wallet.next_nonce.to_string())),
            ("being paused", Some(wallet.paused.is_some().to_string())),
            ("being halted", Some(wallet.halted.is_some().to_string())),
        ];
        let told = [
            self.address.map(|address| address.to_string()),
            Some(self.next_nonce.to_string()),
            Some(self.paused.to_string()),
            Some(self.halted.to_string()),
        ];
        let pairs = ours.into_iter().zip(told).filter(|((_, ours), told)| ours != told);
        let say = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
        pairs
            .map(|((what, ours), told)| format!("its {what} is {}, and the ledger comes to {}", say(ours), say(told)))
            .collect()
    }
}
