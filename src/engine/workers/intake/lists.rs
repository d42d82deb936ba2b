//! Reads the lists of the users and recipients that are followed.

use std::collections::BTreeMap;
use std::fmt;

use tokio_util::sync::CancellationToken;

use super::{Intake, Listed, Onward};
use crate::domain::payment::{PaymentId, RecipientId, UserId};
use crate::domain::text::short;
use crate::domain::time::{Span, Timestamp};
use crate::engine::IntakeRules;
use crate::engine::circuit_breaker::{CallKind, Permit};
use crate::ports::off_ramp_api::Listing;
use crate::ports::payment_api::ApiError;
use crate::ports::store::StoreError;

/// The longest that a user or recipient which the API does not show is left alone.
const LONGEST_REFUSAL: Span = Span::from_secs(600);

/// Whose list it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    User(UserId),
    Recipient(RecipientId),
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user {id}"),
            Self::Recipient(id) => write!(f, "recipient {id}"),
        }
    }
}

/// A list that is followed.
#[derive(Clone, Debug)]
pub(super) struct Source {
    whose: Whose,
    /// When it is read next.
    pub(super) next_at: Timestamp,
    /// How often the API has refused to show it, in a row.
    refusals: u32,
}

impl Source {
    /// Everything that is followed. Recipients come last, so that theirs is the word on whose a payment is.
    pub(super) fn all(rules: &IntakeRules) -> Vec<Self> {
        let users = rules.users.iter().cloned().map(Whose::User);
        let all = users.chain(rules.recipients.iter().cloned().map(Whose::Recipient));
        all.map(|whose| Self { whose, next_at: Timestamp::EPOCH, refusals: 0 }).collect()
    }
}

impl Intake {
    /// Reads every list that is due into `listed`.
    pub(super) async fn read_lists(
        &mut self,
        listed: &mut BTreeMap<PaymentId, Listed>,
        stop: &CancellationToken,
    ) -> Result<Onward, StoreError> {
        for at in 0..self.sources.len() {
            let Some(source) = self.sources.get(at).filter(|source| source.next_at <= self.ports.clock.now()) else {
                continue;
            };
            let whose = source.whose.clone();
            let permit = self.permit(stop);
            if permit == Permit::None {
                return Ok(Onward::No);
            }
            let Some(answer) = self.list(&whose, stop).await else { return Ok(Onward::No) };
            let answer = self.breaker.learn(CallKind::Get, &format!("the list of {whose}"), answer).await?;
            let onward = self.take_in(at, &whose, answer, listed);
            if onward == Onward::No || permit == Permit::Probe {
                return Ok(Onward::No);
            }
        }
        self.count_sources();
        Ok(Onward::Yes)
    }

    /// One list; `None` when the engine stops meanwhile, or there is no way to the lists.
    async fn list(&self, whose: &Whose, stop: &CancellationToken) -> Option<Result<Listing, ApiError>> {
        let api = self.ports.off_ramp_api.as_ref()?;
        let ask = async {
            match whose {
                Whose::User(id) => api.payments_of_user(id).await,
                Whose::Recipient(id) => api.payments_of_recipient(id).await,
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            answer = ask => Some(answer),
        }
    }

    fn take_in(
        &mut self,
        at: usize,
        whose: &Whose,
        answer: Result<Listing, ApiError>,
        listed: &mut BTreeMap<PaymentId, Listed>,
    ) -> Onward {
        let (now, interval) = (self.ports.clock.now(), self.settings.intake.interval);
        let (next_at, refusals) = match &answer {
            Ok(_) => (now.plus(interval), 0),
            // An answer that is no use is this list's own trouble: the others may well be readable.
            Err(error) if error.is_about_the_api() && !error.may_have_acted() => {
                self.back_off(error);
                return Onward::No;
            }
            Err(error) => self.refused(at, whose, error),
        };
        if let Some(source) = self.sources.get_mut(at) {
            (source.next_at, source.refusals) = (next_at, refusals);
        }
        let Ok(Listing { payments, unreadable, partial }) = answer else { return Onward::Yes };
        self.failures = 0;
        let pages = format!("the whole list of {whose}");
        match &partial {
            Some(why) => self.health.api_unanswered(&pages, now, why),
            None => self.health.api_answered(&pages, now),
        }
        for detail in unreadable {
            if self.memory.is_new_trouble(&detail) {
                super::take_up::count("unreadable");
                tracing::warn!(list = %whose, detail = short(&detail), "the API lists something that cannot be read");
            }
        }
        for said in payments {
            let recipient = match whose {
                Whose::Recipient(id) => Some(id.clone()),
                Whose::User(_) => listed.get(&said.id).and_then(|known| known.whose.clone()),
            };
            listed.insert(said.id.clone(), Listed { said, whose: recipient });
        }
        Onward::Yes
    }

    /// The API does not show this list: said once, and tried again less and less often.
    fn refused(&self, at: usize, whose: &Whose, error: &ApiError) -> (Timestamp, u32) {
        let refusals = self.sources.get(at).map_or(0, |source| source.refusals).saturating_add(1);
        if refusals == 1 {
            tracing::warn!(list = %whose, %error, "the API does not show this list; see [intake] in the configuration");
        }
        let context = self.addresses.context();
        let wait = context.pace.backoff(refusals, None, context.jitter).min(LONGEST_REFUSAL);
        (context.now.plus(wait.max(self.settings.intake.interval)), refusals)
    }

    fn count_sources(&self) {
        let failing = self.sources.iter().filter(|source| source.refusals > 0).count();
        let fine = self.sources.len().saturating_sub(failing);
        for (state, count) in [("followed", fine), ("refused", failing)] {
            metrics::gauge!("rampwatch_intake_lists", "state" => state).set(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }
}
