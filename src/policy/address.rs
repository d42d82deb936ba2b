//! One address's book: its payments and deposits together, judged and settled as one.
//!
//! Whatever was learnt (a deposit seen, gone or final; a payment added; a person's word) is first written into
//! the book; [`AddressState::settle`] then draws the conclusions, and [`AddressState::changes`] tells what to commit.

use std::collections::{BTreeMap, BTreeSet};

use super::ending::may_open_again;
use super::matching::{MatchParams, Own, judge, pays};
use super::payment_machine::{Context, Fact, Step, Unexpected, step};
use crate::domain::api_field::ApiField;
use crate::domain::chain::{Address, B256};
use crate::domain::deposit::{BlockStatus, Deposit, DepositKey, ReviewReason, Verdict};
use crate::domain::event::{Alarm, Event, EventKind, Reading};
use crate::domain::operator::Operator;
use crate::domain::payment::{ApiView, Payment, PaymentId, PaymentState, Provenance, RecipientId};
use crate::domain::time::Timestamp;
use crate::planted::{Bug, planted};

/// The payments and deposits of one address.
#[derive(Clone, Debug)]
pub struct AddressState {
    payments: Vec<Payment>,
    deposits: Vec<Deposit>,
    /// Where each deposit is in `deposits`. Anyone can make worthless deposits by the ten thousand, so none is searched for.
    places: BTreeMap<DepositKey, usize>,
    read_payments: Vec<Payment>,
    read_deposits: Vec<Deposit>,
    events: Vec<Event>,
    own: Own,
}

/// What has to be committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressChanges {
    pub payments: Vec<Payment>,
    pub deposits: Vec<Deposit>,
    pub events: Vec<Event>,
}

impl AddressState {
    /// Opens the book on what the store holds.
    #[must_use]
    pub fn open(payments: Vec<Payment>, deposits: Vec<Deposit>) -> Self {
        Self {
            places: deposits.iter().enumerate().map(|(place, deposit)| (deposit.key, place)).collect(),
            read_payments: payments.clone(),
            read_deposits: deposits.clone(),
            payments,
            deposits,
            events: Vec::new(),
            own: Own::default(),
        }
    }

    /// The same, knowing our own wallet's part at the address.
    #[must_use]
    pub fn with_own(self, own: Own) -> Self {
        Self { own, ..self }
    }

    #[must_use]
    pub fn payments(&self) -> &[Payment] {
        &self.payments
    }

    #[must_use]
    pub fn deposits(&self) -> &[Deposit] {
        &self.deposits
    }

    /// The deposit with this key.
    #[must_use]
    pub fn deposit(&self, key: &DepositKey) -> Option<&Deposit> {
        self.deposits.get(*self.places.get(key)?)
    }

    /// Whether a deposit is a transfer that our own orders have signed.
    #[must_use]
    pub fn is_own(&self, deposit: &Deposit) -> bool {
        self.own.transfers.contains_key(&deposit.key.tx_hash)
    }

    pub(super) fn deposits_mut(&mut self) -> &mut [Deposit] {
        &mut self.deposits
    }

    pub(super) fn deposit_mut(&mut self, key: &DepositKey) -> Option<&mut Deposit> {
        self.deposits.get_mut(*self.places.get(key)?)
    }

    pub fn add_payment(&mut self, payment: Payment) {
        let kind = EventKind::PaymentAdded { payment: Box::new(payment.clone()) };
        let event = Event { at: payment.added_at, payment: Some(payment.id.clone()), deposit: None, kind };
        self.events.push(event);
        self.payments.push(payment);
    }

    /// Notes that a payment which is known came of our own create call, for this recipient, with these terms and this sender.
    pub fn claim(&mut self, id: &PaymentId, recipient: &RecipientId, sender: Option<Address>) {
        if let Some(payment) = self.payments.iter_mut().find(|payment| payment.id == *id) {
            let terms = &mut payment.terms;
            (terms.address_from, terms.amount_from) = (Provenance::Created, Provenance::Created);
            if payment.recipient_id == *recipient {
                terms.recipient_from = Some(Provenance::Created);
            }
            if let Some(sender) = sender {
                (terms.sender, terms.sender_from) = (Some(sender), Some(Provenance::Created));
            }
        }
    }

    pub fn add_deposit(&mut self, deposit: Deposit, reading: Reading) {
        let kind = EventKind::DepositSeen { deposit: Box::new(deposit.clone()), reading };
        self.note_deposit(&deposit.key, deposit.first_seen_at, kind);
        self.places.insert(deposit.key, self.deposits.len());
        self.deposits.push(deposit);
    }

    /// Notes something about a deposit.
    pub fn note_deposit(&mut self, key: &DepositKey, at: Timestamp, kind: EventKind) {
        self.events.push(Event { at, payment: None, deposit: Some(*key), kind });
    }

    /// Notes something about a payment.
    pub fn note_payment(&mut self, id: &PaymentId, deposit: Option<DepositKey>, at: Timestamp, kind: EventKind) {
        self.events.push(Event { at, payment: Some(id.clone()), deposit, kind });
    }

    /// Sets where a deposit's block stands. `canonical`: what the chain has at that height, if it differs.
    pub fn set_standing(&mut self, key: &DepositKey, standing: BlockStatus, canonical: Option<B256>, at: Timestamp) {
        if planted(Bug::GoneDepositsStay) && matches!(standing, BlockStatus::Gone { .. }) {
            return;
        }
        if let Some(deposit) = self.deposit_mut(key).filter(|deposit| deposit.standing != standing) {
            deposit.standing = standing;
            let kind = EventKind::DepositStands { standing, block: deposit.block(), canonical, made_at: None };
            self.events.push(Event { at, payment: None, deposit: Some(*key), kind });
        }
    }

    /// A deposit's block says when it was made. True when something else was known.
    pub fn set_block_time(&mut self, key: &DepositKey, time: Timestamp, at: Timestamp) -> bool {
        let Some(deposit) = self.deposit_mut(key).filter(|deposit| deposit.block_time != time) else { return false };
        deposit.block_time = time;
        let (standing, block) = (deposit.standing, deposit.block());
        let kind = EventKind::DepositStands { standing, block, canonical: None, made_at: Some(time) };
        self.events.push(Event { at, payment: None, deposit: Some(*key), kind });
        true
    }

    /// Keeps who called a deposit's block final.
    pub fn set_final_by(&mut self, key: &DepositKey, operator: Option<Operator>) {
        if let Some(deposit) = self.deposit_mut(key).filter(|_| operator.is_some()) {
            deposit.final_by = operator;
        }
    }

    /// Notes that a deposit which had been final is not on the chain any more, and raises the alarm.
    pub fn lose_final(&mut self, key: &DepositKey, canonical: Option<B256>, at: Timestamp) {
        let had = |deposit: &&Deposit| deposit.key == *key && matches!(deposit.standing, BlockStatus::Final { .. });
        if self.deposits.iter().find(had).is_some() {
            self.set_standing(key, BlockStatus::Gone { after_final: true }, canonical, at);
            self.note_deposit(key, at, EventKind::Alarm { alarm: Alarm::GoneAfterFinal });
        }
    }

    /// Sets a deposit's verdict.
    pub fn set_verdict(&mut self, key: &DepositKey, verdict: Verdict, at: Timestamp) {
        if let Some(deposit) = self.deposit_mut(key).filter(|deposit| deposit.verdict != verdict) {
            deposit.verdict = verdict.clone();
            self.events.push(Event {
                at,
                payment: None,
                deposit: Some(*key),
                kind: EventKind::DepositJudged { verdict },
            });
        }
    }

    /// Takes a fact about a payment to its state machine.
    ///
    /// # Errors
    /// As [`step`].
    pub fn tell(&mut self, id: &PaymentId, fact: &Fact, context: &Context<'_>) -> Result<(), Unexpected> {
        if let Some(payment) = self.payments.iter_mut().find(|payment| payment.id == *id) {
            let step = step(payment, fact, context)?;
            self.events.extend(apply(payment, step, context.now));
        }
        Ok(())
    }

    /// Takes what the API said of a payment: kept as its word, and told to the state machine.
    ///
    /// # Errors
    /// As [`step`].
    pub fn hear(
        &mut self,
        id: &PaymentId,
        fact: &Fact,
        view: &ApiView,
        context: &Context<'_>,
    ) -> Result<(), Unexpected> {
        self.tell(id, fact, context)?;
        if let Some(payment) = self.payments.iter_mut().find(|payment| payment.id == *id) {
            let last = payment.api.replace(view.clone());
            let fields = |view: &ApiView| view.unread.iter().map(|unread| unread.field).collect::<Vec<_>>();
            let is_news = last.is_none_or(|last| {
                last.status != view.status || last.tx_hash != view.tx_hash || fields(&last) != fields(view)
            });
            if is_news && !planted(Bug::ChangeUntold) {
                let kind = EventKind::ApiReported { view: view.clone() };
                self.events.push(Event { at: context.now, payment: Some(id.clone()), deposit: None, kind });
            }
        }
        Ok(())
    }

    /// Takes a person's word for a field of a payment that the API's answers do not tell readably.
    pub fn vouch(&mut self, id: &PaymentId, field: ApiField) {
        if let Some(payment) = self.payments.iter_mut().find(|payment| payment.id == *id)
            && !payment.vouched.contains(&field)
        {
            payment.vouched.push(field);
        }
    }

    /// Puts off the next look at a payment.
    pub fn postpone(&mut self, id: &PaymentId, until: Timestamp) {
        if let Some(payment) = self.payments.iter_mut().find(|payment| payment.id == *id) {
            payment.next_at = Some(until);
        }
    }

    /// Puts off the next look at a payment, counting the look that was taken.
    pub fn look_again(&mut self, id: &PaymentId, until: Timestamp) {
        if let Some(payment) = self.payments.iter_mut().find(|payment| payment.id == *id) {
            payment.next_at = Some(until);
            payment.quiet_checks = payment.quiet_checks.saturating_add(1);
        }
    }

    /// Judges every deposit and moves every payment accordingly, until nothing follows any more: a payment that became
    /// due may settle which of the others another deposit pays.
    ///
    /// # Errors
    /// [`Unexpected`] when a payment cannot take what follows; nothing is to be committed then.
    pub fn settle(&mut self, params: &MatchParams, context: &Context<'_>) -> Result<(), Unexpected> {
        // Each further round needs a payment that became due in the one before, so the rounds are bounded.
        for _ in 0..=self.payments.len() {
            let told = self.events.len();
            self.settle_once(params, context)?;
            if self.events.len() == told {
                break;
            }
        }
        Ok(())
    }

    fn settle_once(&mut self, params: &MatchParams, context: &Context<'_>) -> Result<(), Unexpected> {
        let verdicts = judge(&self.payments, &self.deposits, &self.own, params);
        let judged: Vec<(DepositKey, Verdict)> =
            self.deposits.iter().map(|deposit| deposit.key).zip(verdicts).collect();
        for (key, verdict) in judged {
            self.ask_after_ended(&key, &verdict, params, context.now);
            self.set_verdict(&key, verdict, context.now);
        }
        let ids: Vec<_> = self.payments.iter().map(|payment| payment.id.clone()).collect();
        for id in ids {
            // A match may be followed by finality at once, so facts are drawn until there are none.
            for _ in 0..3 {
                let fact =
                    self.payments.iter().find(|payment| payment.id == id).and_then(|payment| self.next_fact(payment));
                let Some(fact) = fact else { break };
                self.tell(&id, &fact, context)?;
            }
        }
        Ok(())
    }

    /// Money has come for a payment that the API has ended: the API is asked whether it has opened it again, now and, since
    /// there are quiet checks, again and again.
    fn ask_after_ended(&mut self, key: &DepositKey, verdict: &Verdict, params: &MatchParams, now: Timestamp) {
        let Verdict::Review { why: ReviewReason::PaymentEnded { payment: id } } = verdict else { return };
        let Some(deposit) = self.deposit(key).filter(|known| known.verdict != *verdict) else { return };
        let amount = deposit.amount;
        let asked_after = |payment: &&mut Payment| {
            payment.id == *id && may_open_again(&payment.state) && pays(amount, payment.terms.amount, params)
        };
        if let Some(payment) = self.payments.iter_mut().find(asked_after) {
            payment.next_at = Some(payment.next_at.map_or(now, |at| at.min(now)));
            payment.quiet_checks = payment.quiet_checks.max(1);
        }
    }

    /// What the deposits mean for a payment and it has not taken in yet.
    fn next_fact(&self, payment: &Payment) -> Option<Fact> {
        let pays = |deposit: &&Deposit| {
            if planted(Bug::OneDepositPaysTwo) && deposit.stands() && deposit.amount == payment.terms.amount {
                return true;
            }
            deposit.stands() && matches!(&deposit.verdict, Verdict::Pays { payment: id, .. } if *id == payment.id)
        };
        let paying = self.deposits.iter().find(pays);
        let deposit = |key: &DepositKey| self.deposit(key);
        match (&payment.state, paying) {
            (PaymentState::Waiting | PaymentState::Following { deposit: None }, Some(paying)) => {
                Some(Fact::Matched(paying.key))
            }
            // The transaction that the API names has come back in another block.
            (PaymentState::Following { deposit: Some(key) }, Some(paying))
                if paying.key != *key && deposit(key).is_none_or(|deposit| !deposit.stands()) =>
            {
                Some(Fact::Matched(paying.key))
            }
            (PaymentState::Seen { deposit: key }, None) => match deposit(key).map(|deposit| deposit.standing) {
                Some(BlockStatus::Gone { after_final: true }) => Some(Fact::GoneAfterFinal),
                _ => Some(Fact::Unmatched),
            },
            (PaymentState::Seen { deposit: key }, Some(paying)) if paying.key != *key => {
                Some(Fact::Matched(paying.key))
            }
            (PaymentState::Seen { .. }, Some(paying)) => {
                matches!(paying.standing, BlockStatus::Final { .. }).then_some(Fact::Final)
            }
            // Gone, or back again and judged anew while the payment was being called: it would never be called for it.
            (PaymentState::Due { deposit: key, attempt }, _) => {
                let gone = deposit(key).filter(|deposit| !pays(deposit))?;
                // Operators never agreed on it, and nothing was called: it was one operator's word.
                let was_a_word = *attempt == 0 && gone.standing == BlockStatus::Gone { after_final: false };
                Some(if was_a_word { Fact::Unmatched } else { Fact::GoneAfterFinal })
            }
            (
                PaymentState::Waiting
                | PaymentState::Following { .. }
                | PaymentState::Calling { .. }
                | PaymentState::Unclear { .. }
                | PaymentState::Ended { .. }
                | PaymentState::Review { .. },
                _,
            ) => None,
        }
    }

    /// What has to be committed: every record that is not as it was read, and the events that explain it. What an event is
    /// about goes along though it is as it was; so does every payment of the address with a new match, which rests on all of
    /// them. Whoever changes one of them meanwhile makes the commit fail, and it is decided anew.
    #[must_use]
    pub fn changes(self) -> AddressChanges {
        let Self { payments, deposits, read_payments, read_deposits, events, .. } = self;
        let is_match = |deposit: &Deposit, read: Option<&Deposit>| {
            matches!(deposit.verdict, Verdict::Pays { .. }) && read.is_none_or(|read| read.verdict != deposit.verdict)
        };
        let rests_on_all =
            deposits.iter().enumerate().any(|(place, deposit)| is_match(deposit, read_deposits.get(place)));
        let of_payments: BTreeSet<PaymentId> = events.iter().filter_map(|event| event.payment.clone()).collect();
        let of_deposits: BTreeSet<DepositKey> = events.iter().filter_map(|event| event.deposit).collect();
        let payments = changed(payments, &read_payments, |it| rests_on_all || of_payments.contains(&it.id));
        let deposits = changed(deposits, &read_deposits, |it| of_deposits.contains(&it.key));
        AddressChanges { payments, deposits, events }
    }
}

/// What is not as it was read, or goes `along`. Records keep their places, and new ones come behind.
fn changed<T: PartialEq>(now: Vec<T>, read: &[T], along: impl Fn(&T) -> bool) -> Vec<T> {
    let paired = now.into_iter().enumerate();
    let is_meant = |(place, record): &(usize, T)| read.get(*place) != Some(record) || along(record);
    paired.filter(is_meant).map(|(_, record)| record).collect()
}

/// Writes a step into the payment. Returns the event, if the state changed.
pub fn apply(payment: &mut Payment, step: Step, now: Timestamp) -> Option<Event> {
    let Step { state, next_at, quiet_checks, why, ending, taken } = step;
    (payment.ending, payment.taken) = (ending, taken);
    payment.next_at = next_at;
    payment.quiet_checks = quiet_checks;
    if payment.state == state {
        return None;
    }
    let from = Box::new(std::mem::replace(&mut payment.state, state));
    let kind = EventKind::PaymentMoved { from, to: Box::new(payment.state.clone()), why };
    let deposit = payment.state.deposit().copied();
    Some(Event { at: now, payment: Some(payment.id.clone()), deposit, kind })
}
