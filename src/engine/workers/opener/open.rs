//! The quote, and the call that opens the off-ramp.

use super::Opener;
use crate::domain::payment::PayoutReference;
use crate::domain::payout::{Payout, PayoutState, TakenQuote};
use crate::domain::record::{Record, RecordBody};
use crate::domain::shadow::ShadowAct;
use crate::domain::time::Span;
use crate::engine::api_facts::failure;
use crate::engine::circuit_breaker::CallKind;
use crate::engine::follow_ups::note_would;
use crate::engine::payout_repository::{Kept, PayoutError, unmoved};
use crate::engine::transaction;
use crate::policy::payout_machine::{PayoutFact, usable_until};
use crate::ports::attachments::AttachmentError;
use crate::ports::off_ramp_api::{AttachedFile, NewOffRamp};
use crate::ports::payment_api::ApiError;
use crate::ports::store::Commit;

/// How long a payout that shadow mode keeps from being opened is left alone.
const LOOK_AGAIN: Span = Span::from_secs(60);

impl Opener {
    /// Takes a quote. It binds nobody, so it may be taken as often as need be.
    pub(super) async fn quote(&self, kept: &Kept) -> Result<(), PayoutError> {
        let payout = &kept.payout;
        let wish = &payout.wish;
        let asked_at = self.ports.clock.now();
        let answer = self.api.quote(&wish.user, &wish.exchange, &wish.bank_account).await;
        // A quote shows that the key is good for questions, not that it may open anything.
        let asked = if answer.is_ok() { CallKind::Get } else { CallKind::Open };
        let fact = match self.breaker.learn(asked, payout.reference.as_str(), answer).await? {
            Ok(quote) => PayoutFact::Quoted(Box::new(TakenQuote { quote, asked_at })),
            Err(error) => {
                tracing::warn!(reference = %payout.reference, %error, "no quote");
                let detail = error.to_string();
                PayoutFact::QuoteFailed { failure: failure(error), detail }
            }
        };
        self.book().tell(&payout.reference, &fact, None, unmoved(payout)).await?;
        Ok(())
    }

    /// Opens the off-ramp: "creating" is committed, then the call is made.
    pub(super) async fn open(&self, kept: &Kept) -> Result<(), PayoutError> {
        let payout = &kept.payout;
        if !self.settings.mode.acts() {
            return self.would_open(kept).await;
        }
        let files = match self.files(payout).await {
            Ok(files) => files,
            Err(error) => {
                let again = matches!(error, AttachmentError::Failed { .. });
                let fact = PayoutFact::FileLost { detail: error.to_string(), again };
                self.book().tell(&payout.reference, &fact, None, unmoved(payout)).await?;
                return Ok(());
            }
        };
        let told = self.book().tell(&payout.reference, &PayoutFact::CallStarted, None, unmoved(payout)).await?;
        let Some(Kept { payout, .. }) = told else { return Ok(()) };
        let (PayoutState::Creating { started_at }, Some(taken)) = (&payout.state, &payout.quote) else { return Ok(()) };
        // A process that was frozen since then must not act upon what has grown old. The state says "creating"; it is looked
        // into like any other call whose fate is not known.
        let now = self.ports.clock.now();
        let margin = self.settings.payouts.params.quote_margin;
        // Nobody knows how long it was, if the clock was set back meanwhile.
        let is_old = now < *started_at || now.since(*started_at) > self.settings.pace.api_timeout;
        if is_old || now >= usable_until(taken, margin) {
            tracing::warn!(reference = %payout.reference, "too long since the call was decided; it is not made");
            return Ok(());
        }
        let new = new_off_ramp(&payout, taken, files);
        let answer = self.api.create(&payout.wish.recipient, &new).await;
        let answer = self.breaker.learn(CallKind::Open, payout.reference.as_str(), answer).await?;
        let result = answer.as_ref().map_or_else(ApiError::name, |_| "opened");
        metrics::counter!("rampwatch_creations_total", "result" => result).increment(1);
        match answer {
            Ok(said) => self.take(&payout, said).await,
            Err(error) => self.call_failed(&payout.reference, &payout, error).await,
        }
    }

    /// In shadow mode: says once that it would be opened now. It keeps its quote, and takes another once shadow mode is over.
    async fn would_open(&self, kept: &Kept) -> Result<(), PayoutError> {
        let now = self.ports.clock.now();
        let act = ShadowAct::Create { reference: kept.payout.reference.clone() };
        note_would(&*self.ports.store, None, &act, now).await?;
        let body = RecordBody::Payout(Box::new(kept.payout.clone()));
        let next_at = Some(now.plus(LOOK_AGAIN));
        let records = vec![Record { version: kept.version, next_at, body }];
        transaction::commit(&*self.ports.store, Commit { records, ..Commit::default() }).await?;
        Ok(())
    }

    async fn call_failed(
        &self,
        reference: &PayoutReference,
        payout: &Payout,
        error: ApiError,
    ) -> Result<(), PayoutError> {
        tracing::warn!(%reference, %error, "the off-ramp was not opened, for all that is known");
        let detail = error.to_string();
        let fact = PayoutFact::CallFailed { failure: failure(error), detail };
        self.book().tell(reference, &fact, None, unmoved(payout)).await?;
        Ok(())
    }

    async fn files(&self, payout: &Payout) -> Result<Vec<AttachedFile>, AttachmentError> {
        let mut files = Vec::new();
        for file in &payout.wish.files {
            let bytes = self.payouts.attachments.get(file.digest).await?;
            files.push(AttachedFile { media_type: file.media_type.clone(), bytes });
        }
        Ok(files)
    }
}

fn new_off_ramp(payout: &Payout, taken: &TakenQuote, files: Vec<AttachedFile>) -> NewOffRamp {
    let wish = &payout.wish;
    NewOffRamp {
        idempotency_key: payout.key.as_str().to_owned(),
        quote_id: taken.quote.id.clone(),
        bank_account: wish.bank_account.clone(),
        from_address: wish.from_address,
        payment_reason: wish.reason.as_str().to_owned(),
        document_reference: wish.document_reference.clone(),
        reference_id: wish.reference_id.clone(),
        files,
    }
}
