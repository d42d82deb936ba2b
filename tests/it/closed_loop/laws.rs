//! What must hold of every ledger: each record is as its events say, and nothing is shouted twice.

use std::collections::{BTreeMap, BTreeSet};

use rampwatch::domain::chain::B256;
use rampwatch::domain::deposit::{BlockStatus, DepositKey, Verdict};
use rampwatch::domain::event::EventKind;
use rampwatch::domain::payment::{PaymentId, PaymentState};

use crate::support::memory_store::Contents;

/// The records that the events lead to.
#[derive(Default)]
struct Told {
    states: BTreeMap<PaymentId, PaymentState>,
    verdicts: BTreeMap<DepositKey, Verdict>,
    standings: BTreeMap<DepositKey, BlockStatus>,
    alarms: BTreeSet<String>,
}

impl Told {
    fn take(&mut self, contents: &Contents) {
        for recorded in &contents.events {
            let event = &recorded.event;
            match &event.kind {
                EventKind::PaymentAdded { payment } => {
                    let before = self.states.insert(payment.id.clone(), payment.state.clone());
                    assert!(before.is_none(), "payment {} was added twice", payment.id);
                }
                EventKind::PaymentMoved { from, to, why } => {
                    let id = event.payment.clone().expect("a move names its payment");
                    let before = self.states.insert(id.clone(), (**to).clone());
                    assert_eq!(before.as_ref(), Some(&**from), "{id} moved from elsewhere");
                    assert!(!why.is_empty(), "{id} moved without a reason");
                }
                EventKind::DepositSeen { deposit, .. } => {
                    let seen = self.standings.insert(deposit.key, deposit.standing);
                    assert!(seen.is_none(), "deposit {} was seen twice", deposit.key);
                    self.verdicts.insert(deposit.key, deposit.verdict.clone());
                }
                EventKind::DepositJudged { verdict } => {
                    let before = self.verdicts.insert(event.deposit.unwrap(), verdict.clone());
                    assert!(before.is_some_and(|before| before != *verdict), "judged, but not anew: {verdict:?}");
                }
                EventKind::DepositStands { standing, .. } => {
                    self.standings.insert(event.deposit.unwrap(), *standing);
                }
                EventKind::Alarm { alarm } => {
                    let name = format!("{alarm:?} {:?} {:?}", event.payment, event.deposit);
                    assert!(self.alarms.insert(name.clone()), "raised twice: {name}");
                }
                EventKind::ApiReported { .. }
                | EventKind::PersonDecided { .. }
                | EventKind::DepositsCounted { .. }
                | EventKind::FinalityMoved { .. }
                | EventKind::AddressPlaced { .. }
                | EventKind::AddressClosed { .. }
                | EventKind::EndpointBack { .. }
                | EventKind::ListenerBack { .. }
                | EventKind::StallOver { .. }
                | EventKind::OrderPlaced { .. }
                | EventKind::OrderMoved { .. }
                | EventKind::AttemptSigned { .. }
                | EventKind::AttemptSent { .. }
                | EventKind::AttemptMined { .. }
                | EventKind::WalletChanged { .. }
                | EventKind::RecordChanged { .. } => {}
            }
        }
    }
}

/// Checks that the events explain every record, and that no alarm was raised twice.
pub(crate) fn check(contents: &Contents) {
    let mut told = Told::default();
    told.take(contents);
    for payment in contents.payments.values() {
        assert_eq!(told.states.get(&payment.id), Some(&payment.state), "payment {} is not as told", payment.id);
    }
    for deposit in contents.deposits.values() {
        assert_eq!(told.standings.get(&deposit.key), Some(&deposit.standing), "{} stands elsewhere", deposit.key);
        assert_eq!(told.verdicts.get(&deposit.key), Some(&deposit.verdict), "{} was judged otherwise", deposit.key);
        assert!(deposit.verdict != Verdict::Unjudged || !deposit.stands(), "{} was never judged", deposit.key);
    }
}

/// Checks that each completion was for a deposit that pays, of the payment's own amount and address, and came once.
pub(crate) fn check_completions(contents: &Contents, completions: &[(PaymentId, B256)]) {
    let mut done = BTreeSet::new();
    for (id, hash) in completions {
        assert!(done.insert(id), "payment {id} was completed twice");
        let payment = &contents.payments[id];
        let pays = contents.deposits.values().any(|deposit| {
            deposit.key.tx_hash == *hash
                && deposit.to == payment.terms.deposit_address
                && deposit.amount == payment.terms.amount
                && deposit.token == payment.terms.token
        });
        assert!(pays, "payment {id} was completed with {hash}, which does not pay it");
    }
}
