//! The words of a message: what, which payment, how much, what to do. The sentences are those of `why` and `reviews`.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::event::{Alarm, Event, EventKind};
use crate::domain::hold::Hold;
use crate::domain::notice::{Message, NoticeKind};
use crate::domain::order::{Order, OrderId, OrderState};
use crate::domain::payment::{Payment, PaymentId, PaymentState};
use crate::domain::record::RecordBody;
use crate::domain::time::Timestamp;
use crate::engine::notifier::Wording;
use crate::engine::{EngineError, EngineSettings};
use crate::policy::notices::News;
use crate::ports::store::{Store, StoreError, if_readable};
use crate::service::names_of;
use crate::view::explain::{self, Names};
use crate::view::explain_alarms::alarm_text;
use crate::view::explain_orders::{hold_text, state_text};
use crate::view::remedies;
use crate::view::reviews;
use crate::view::runbook;
use crate::view::{ReviewView, TokenName, WayOut};

/// Puts messages into words.
#[derive(Clone)]
pub struct Words {
    store: Arc<dyn Store>,
    settings: Arc<EngineSettings>,
    tokens: Arc<[TokenName]>,
}

/// What a message says, besides its title.
#[derive(Default)]
struct Said {
    text: Vec<String>,
    remedies: Vec<String>,
    payment: Option<PaymentId>,
    order: Option<OrderId>,
}

impl Words {
    /// Over this store; with what tokens are called.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, settings: Arc<EngineSettings>, tokens: Vec<TokenName>) -> Self {
        Self { store, settings, tokens: tokens.into() }
    }

    fn names(&self) -> Names<'_> {
        names_of(&self.settings, &self.tokens)
    }

    async fn said(&self, event: &Event) -> Result<Said, StoreError> {
        Ok(match &event.kind {
            EventKind::PaymentAdded { payment } => self.of_payment(&payment.id, &payment.state).await?,
            EventKind::PaymentMoved { to, .. } => match &event.payment {
                Some(id) => self.of_payment(id, to).await?,
                None => self.of_any(event),
            },
            EventKind::DepositJudged { .. } => self.of_deposit(event).await?,
            EventKind::Alarm { alarm } => self.of_alarm(event, alarm).await?,
            EventKind::OrderPlaced { order } => self.of_order(&order.id, &order.state).await?,
            EventKind::OrderMoved { order, to, .. } => self.of_order(order, to).await?,
            EventKind::WalletChanged { .. } => {
                Said { remedies: vec!["See how it stands: rampwatch wallet status".to_owned()], ..self.of_any(event) }
            }
            EventKind::RecordChanged { body, .. } => self.of_record(event, body),
            EventKind::ApiReported { .. }
            | EventKind::DepositSeen { .. }
            | EventKind::DepositStands { .. }
            | EventKind::DepositsCounted { .. }
            | EventKind::PersonDecided { .. }
            | EventKind::FinalityMoved { .. }
            | EventKind::AddressPlaced { .. }
            | EventKind::AddressClosed { .. }
            | EventKind::EndpointBack { .. }
            | EventKind::ListenerBack { .. }
            | EventKind::StallOver { .. }
            | EventKind::AttemptSigned { .. }
            | EventKind::AttemptSent { .. }
            | EventKind::AttemptMined { .. } => self.of_any(event),
        })
    }

    /// The event's own sentence.
    fn of_any(&self, event: &Event) -> Said {
        let text = vec![explain::event(&event.kind, &self.names()).1];
        Said { text, payment: event.payment.clone(), ..Said::default() }
    }

    fn of_record(&self, event: &Event, body: &RecordBody) -> Said {
        let Some((review, payment)) = reviews::of_record(body, &self.names()) else { return self.of_any(event) };
        let text = vec![format!("The {} {}: {}", review.subject, review.id, review.what)];
        Said { text, remedies: ways_out(review), payment, order: None }
    }

    async fn of_payment(&self, id: &PaymentId, state: &PaymentState) -> Result<Said, StoreError> {
        let names = self.names();
        let Some(payment) = self.store.payment(id).await? else {
            return Ok(Said {
                text: vec![explain::state(state, &names)],
                payment: Some(id.clone()),
                ..Said::default()
            });
        };
        let deposits = self.store.deposits_at(payment.terms.deposit_address).await?;
        let mut text = vec![explain::state(state, &names), payment_line(&payment, &names)];
        if let Some(deposit) = state.deposit() {
            text.push(format!("Transaction: {}", deposit.tx_hash));
        }
        let review = reviews::of_payment(&payment, &deposits, &names).filter(|_| payment.state == *state);
        let mut remedies = review.map(ways_out).unwrap_or_default();
        if !matches!(state, PaymentState::Ended { outcome: crate::domain::payment::Outcome::Completed, .. }) {
            remedies.push(remedies::why(id.as_str()));
        }
        Ok(Said { text, remedies, payment: Some(id.clone()), order: None })
    }

    async fn of_deposit(&self, event: &Event) -> Result<Said, StoreError> {
        let Some(key) = event.deposit else { return Ok(self.of_any(event)) };
        let Some(deposit) = self.store.deposit(&key).await? else { return Ok(self.of_any(event)) };
        let (names, payments) = (self.names(), self.store.payments_at(deposit.to).await?);
        let amount = names.amount(deposit.amount, deposit.token);
        let where_from = format!("{amount} from {} to {}, transaction {}", deposit.from, deposit.to, key.tx_hash);
        let payment = event.payment.clone().or_else(|| match payments.as_slice() {
            [only] => Some(only.id.clone()),
            _ => None,
        });
        let (mut text, mut remedies) = match reviews::of_deposit(&deposit, &payments, &names) {
            Some(review) => (vec![review.what.clone()], ways_out(review)),
            // It was settled meanwhile.
            None => (self.of_any(event).text, Vec::new()),
        };
        text.push(where_from);
        remedies.push(remedies::why(&key.tx_hash.to_string()));
        Ok(Said { text, remedies, payment, order: None })
    }

    async fn of_alarm(&self, event: &Event, alarm: &Alarm) -> Result<Said, StoreError> {
        let names = self.names();
        let mut text = vec![sentence(&alarm_text(alarm, &names))];
        let order = match alarm {
            Alarm::FundingStuck { order, .. } | Alarm::MovedNothing { order } => Some(order.clone()),
            _ => None,
        };
        if let Some(order) = &order {
            text.extend(self.store.order(order).await?.map(|order| order_line(&order, &names)));
        }
        if let Some(key) = event.deposit {
            text.push(format!("Transaction {}, log {}", key.tx_hash, key.log_index));
        }
        let payment = event.payment.clone().or_else(|| order.as_ref().map(|order| order.payment.clone()));
        let wallet = if_readable(self.store.wallet().await)?.map(|wallet| wallet.address);
        let mut remedies = remedies::of_alarm(alarm, wallet);
        remedies.push(format!("More: {}", runbook::alarm(names.docs, alarm)));
        Ok(Said { text, remedies, payment, order })
    }

    async fn of_order(&self, id: &OrderId, state: &OrderState) -> Result<Said, StoreError> {
        let names = self.names();
        let mut text = vec![format!("Order {id} is {}.", state_text(state, &names))];
        text.extend(self.store.order(id).await?.map(|order| order_line(&order, &names)));
        let mut remedies = remedies::of_order(id, state);
        remedies.extend(state.hold().map(|hold| format!("More: {}", runbook::hold(names.docs, hold))));
        Ok(Said { text, remedies, payment: Some(id.payment.clone()), order: Some(id.clone()) })
    }
}

#[async_trait]
impl Wording for Words {
    async fn message(&self, event: &Event, news: &News) -> Result<Message, StoreError> {
        let said = match self.said(event).await {
            Err(StoreError::Corrupt(_)) => self.of_any(event),
            said => said?,
        };
        let Said { text, remedies, payment, order } = said;
        let title = match (&order, &payment) {
            (Some(order), _) => format!("{}: order {order}", news.title),
            (None, Some(payment)) => format!("{}: payment {payment}", news.title),
            (None, None) => news.title.to_owned(),
        };
        Ok(Message { kind: news.kind, at: event.at, title, text, remedies, payment, order })
    }

    fn held(&self, order: &Order, hold: &Hold, before: &Message) -> Message {
        let names = self.names();
        let what = format!("Order {} waits: {}.", order.id, hold_text(hold, &names));
        let text = vec![what, order_line(order, &names), "It is looked at again by itself.".to_owned()];
        let mut remedies = remedies::of_hold(&order.id, hold);
        remedies.push(format!("More: {}", runbook::hold(names.docs, hold)));
        Message { text, remedies, ..before.clone() }
    }

    fn stopped(&self, error: &EngineError, at: Timestamp) -> Message {
        Message {
            kind: NoticeKind::Failure,
            at,
            title: "rampwatch stops by itself".to_owned(),
            text: vec![format!("rampwatch {error}.")],
            remedies: vec!["Nothing is watched or completed until it runs again: rampwatch run".to_owned()],
            payment: None,
            order: None,
        }
    }
}

/// A message that only shows that messages arrive.
#[must_use]
pub fn test_message(now: Timestamp) -> Message {
    Message {
        kind: NoticeKind::Failure,
        at: now,
        title: "A test: rampwatch can reach you here".to_owned(),
        text: vec!["Nothing has happened. Somebody ran `rampwatch notify test`.".to_owned()],
        remedies: vec!["Nothing is to be done.".to_owned()],
        payment: None,
        order: None,
    }
}

fn payment_line(payment: &Payment, names: &Names<'_>) -> String {
    let terms = &payment.terms;
    let amount = names.amount(terms.amount, terms.token);
    format!("{amount} to {}, for recipient {}", terms.deposit_address, payment.recipient_id)
}

fn order_line(order: &Order, names: &Names<'_>) -> String {
    let amount = names.amount(order.amount, order.token);
    format!("{amount} to {}, for payment {} of recipient {}", order.to, order.id.payment, order.recipient_id)
}

fn ways_out(review: ReviewView) -> Vec<String> {
    let way = |way: WayOut| match way.command {
        Some(command) => format!("{} {command}", way.when),
        None => way.when,
    };
    // The last place is for `why`.
    let more = format!("More: {}", review.runbook);
    review.settle.into_iter().take(4).map(way).chain([more]).collect()
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
