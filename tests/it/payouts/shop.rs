//! The payment API in the process: it opens off-ramps under a key, once each, with all that goes wrong on the way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use rampwatch::domain::chain::B256;
use rampwatch::domain::decimal::Decimal;
use rampwatch::domain::payment::{ApiStatus, BankAccountId, PaymentId, QuoteId, RecipientId, UserId, WebhookId};
use rampwatch::domain::quote::{Exchange, Quote, Rate};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::domain::webhook::Webhook;
use rampwatch::ports::clock::Clock;
use rampwatch::ports::off_ramp_api::{Listing, NewOffRamp, OffRampApi, WebhookChange};
use rampwatch::ports::payment_api::{ApiError, ApiPayment, PaymentApi};

use super::bench::TestClock;
use crate::support::payouts::taken_quote;
use crate::support::points::Points;
use crate::support::records::{address, payment_id};

/// What goes wrong with one create call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mishap {
    /// Not acted upon, and the answer is unclear.
    LostBefore,
    /// Acted upon, and the answer is lost.
    LostAfter,
    /// Acted upon only so long after it began, which is after its time-out.
    Late(Span),
    /// Certainly not acted upon.
    NotNow,
    /// Refused.
    Refused(u16, &'static str),
    /// The key may not do this.
    KeyRefused,
    /// Opened twice under the key.
    Twice,
    /// Not acted upon, and answered with the payment that was opened first, without the key that it bears.
    AnswersWithTheFirst,
}

/// What answers tell of the deposit address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Every answer tells it.
    Always,
    /// Only a GET tells it.
    ByGet,
    /// None does.
    Never,
}

/// What the API holds.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) payments: Vec<ApiPayment>,
    /// The keys of all create calls, in order, and how many were under way at most.
    pub(super) creates: Vec<String>,
    pub(super) most_at_once: usize,
    under_way: usize,
    pub(super) lists: u32,
    pub(super) mishaps: VecDeque<Mishap>,
    pub(super) told: Told,
    pub(super) quote_life: Span,
    pub(super) pays: &'static str,
    pub(super) list_refused: bool,
    /// Whether a GET of a payment names its recipient.
    pub(super) names_recipient: bool,
    quotes: BTreeMap<QuoteId, (Quote, Exchange, BankAccountId)>,
    /// Quotes that a call was made on with less than a minute left.
    pub(super) used_late: BTreeSet<QuoteId>,
}

/// The API as one life of the process sees it.
#[derive(Clone)]
pub(super) struct Shop {
    held: Arc<Mutex<Held>>,
    clock: TestClock,
    points: Arc<Points>,
}

impl Shop {
    pub(super) fn open(clock: TestClock) -> Self {
        let held = Held {
            payments: vec![],
            creates: vec![],
            most_at_once: 0,
            under_way: 0,
            lists: 0,
            mishaps: VecDeque::new(),
            told: Told::Always,
            quote_life: Span::from_secs(600),
            pays: "17000",
            list_refused: false,
            names_recipient: true,
            quotes: BTreeMap::new(),
            used_late: BTreeSet::new(),
        };
        Self { held: Arc::new(Mutex::new(held)), clock, points: Arc::new(Points::until(0)) }
    }

    /// The same API for another life.
    pub(super) fn for_life(&self, points: &Arc<Points>) -> Self {
        Self { points: Arc::clone(points), ..self.clone() }
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }

    /// What goes wrong with the next create calls.
    pub(super) fn mishaps(&self, mishaps: &[Mishap]) {
        self.held().mishaps.extend(mishaps.iter().cloned());
    }

    fn shown(&self, payment: &ApiPayment, by_get: bool) -> ApiPayment {
        let tells = match self.held().told {
            Told::Always => true,
            Told::ByGet => by_get,
            Told::Never => false,
        };
        let mut shown = payment.clone();
        if !tells {
            (shown.deposit_address, shown.deposit_amount, shown.deposit_chain) = (None, None, None);
        }
        shown
    }

    /// Opens the off-ramp, unless its key has opened one.
    fn act(&self, recipient: &RecipientId, new: &NewOffRamp, again: bool) -> ApiPayment {
        let now = self.clock.now();
        let mut held = self.held();
        let known =
            held.payments.iter().find(|payment| payment.idempotency_key.as_deref() == Some(&new.idempotency_key));
        if let Some(known) = known.filter(|_| !again) {
            return known.clone();
        }
        let (_, exchange, to) = held.quotes.get(&new.quote_id).expect("a quote that was given").clone();
        assert_eq!(to, new.bank_account);
        let n = u64::try_from(held.payments.len()).unwrap() + 1;
        let payment = ApiPayment {
            recipient_id: Some(recipient.clone()),
            deposit_address: Some(address(n)),
            deposit_amount: Some(exchange.source_amount),
            deposit_chain: Some("POLYGON".to_owned()),
            bank_account: Some(new.bank_account.clone()),
            sender: Some(new.from_address),
            created_at: Some(now),
            expires_at: Some(now.plus(Span::from_secs(300_000))),
            kind: Some("OFF_RAMP".to_owned()),
            idempotency_key: Some(new.idempotency_key.clone()),
            ..ApiPayment::new(payment_id(n), ApiStatus::AwaitingFunds)
        };
        held.payments.push(payment.clone());
        payment
    }

    fn begin(&self, new: &NewOffRamp, now: Timestamp) -> Option<Mishap> {
        let mut held = self.held();
        held.creates.push(new.idempotency_key.clone());
        held.under_way += 1;
        held.most_at_once = held.most_at_once.max(held.under_way);
        let (quote, ..) = held.quotes.get(&new.quote_id).expect("a quote that was given");
        if quote.expires_at.unwrap() < now.plus(Span::from_secs(60)) {
            held.used_late.insert(new.quote_id.clone());
        }
        held.mishaps.pop_front()
    }

    fn answered(
        &self,
        recipient: &RecipientId,
        new: &NewOffRamp,
        mishap: Option<Mishap>,
    ) -> Result<ApiPayment, ApiError> {
        let detail = "no answer in time".to_owned();
        let unclear = || Err(ApiError::Unclear { detail: detail.clone(), retry_after: None });
        match mishap {
            None => {
                let payment = self.act(recipient, new, false);
                Ok(self.shown(&payment, false))
            }
            Some(Mishap::LostBefore) => unclear(),
            Some(Mishap::LostAfter) => {
                self.act(recipient, new, false);
                unclear()
            }
            Some(Mishap::Late(span)) => {
                let (this, recipient, new) = (self.clone(), recipient.clone(), new.clone());
                tokio::spawn(async move {
                    this.clock.sleep(span).await;
                    this.act(&recipient, &new, false);
                });
                unclear()
            }
            Some(Mishap::NotNow) => Err(ApiError::NotNow { detail, retry_after: None }),
            Some(Mishap::Refused(404, detail)) => Err(ApiError::NotFound { detail: detail.to_owned() }),
            Some(Mishap::Refused(status, detail)) => Err(ApiError::Refused { status, detail: detail.to_owned() }),
            Some(Mishap::KeyRefused) => Err(ApiError::KeyRefused { status: 403, detail }),
            Some(Mishap::AnswersWithTheFirst) => {
                let first = self.held().payments.first().cloned().expect("one that was opened");
                Ok(ApiPayment { idempotency_key: None, ..self.shown(&first, false) })
            }
            Some(Mishap::Twice) => {
                self.act(recipient, new, false);
                self.act(recipient, new, true);
                unclear()
            }
        }
    }
}

#[async_trait]
impl PaymentApi for Shop {
    async fn payment(&self, id: &PaymentId) -> Result<ApiPayment, ApiError> {
        self.points.pass().await;
        let found = self.held().payments.iter().find(|payment| payment.id == *id).cloned();
        self.points.pass().await;
        let mut found = found.ok_or_else(|| ApiError::NotFound { detail: "no such payment".to_owned() })?;
        found.recipient_id = found.recipient_id.filter(|_| self.held().names_recipient);
        Ok(self.shown(&found, true))
    }

    async fn complete(&self, _: &RecipientId, _: &PaymentId, _: B256) -> Result<ApiPayment, ApiError> {
        panic!("nothing is paid here")
    }
}

#[async_trait]
impl OffRampApi for Shop {
    async fn rate(&self, _: &UserId, _: &Exchange) -> Result<Rate, ApiError> {
        panic!("nobody asks")
    }

    async fn quote(&self, _: &UserId, exchange: &Exchange, to: &BankAccountId) -> Result<Quote, ApiError> {
        self.points.pass().await;
        let now = self.clock.now();
        let mut quote = taken_quote(now).quote;
        {
            let mut held = self.held();
            quote.id = QuoteId::new(format!("quote-{}", held.quotes.len() + 1)).unwrap();
            quote.rate.source_amount = Some(exchange.source_amount);
            quote.rate.destination_amount = Decimal::from_person(held.pays).ok();
            quote.expires_at = Some(now.plus(held.quote_life));
            held.quotes.insert(quote.id.clone(), (quote.clone(), exchange.clone(), to.clone()));
        }
        self.points.pass().await;
        Ok(quote)
    }

    async fn create(&self, recipient: &RecipientId, new: &NewOffRamp) -> Result<ApiPayment, ApiError> {
        self.points.pass().await;
        let mishap = self.begin(new, self.clock.now());
        self.clock.sleep(Span::from_millis(30)).await;
        let answer = self.answered(recipient, new, mishap);
        self.held().under_way -= 1;
        self.points.pass().await;
        answer
    }

    async fn payments_of_user(&self, _: &UserId) -> Result<Listing, ApiError> {
        panic!("nobody asks")
    }

    async fn payments_of_recipient(&self, recipient: &RecipientId) -> Result<Listing, ApiError> {
        self.points.pass().await;
        let payments: Vec<ApiPayment> = {
            let mut held = self.held();
            held.lists += 1;
            if held.list_refused {
                return Err(ApiError::NotFound { detail: "no such route".to_owned() });
            }
            held.payments.iter().filter(|payment| payment.recipient_id.as_ref() == Some(recipient)).cloned().collect()
        };
        self.points.pass().await;
        let payments = payments.iter().map(|payment| self.shown(payment, false)).collect();
        Ok(Listing { payments, unreadable: vec![], partial: None })
    }

    async fn create_webhook(&self, _: &WebhookChange) -> Result<Webhook, ApiError> {
        panic!("nobody asks")
    }

    async fn webhook(&self, id: &WebhookId) -> Result<Webhook, ApiError> {
        Ok(Webhook {
            id: id.clone(),
            url: "https://elsewhere.example/hook".to_owned(),
            events: vec![],
            is_active: Some(true),
            created_at: None,
            updated_at: None,
        })
    }

    async fn update_webhook(&self, _: &WebhookId, _: &WebhookChange) -> Result<Webhook, ApiError> {
        panic!("nobody asks")
    }
}
