//! What may be asked about payouts: place, show, list, cancel, try again; and put the files that go with them.
//!
//! Nothing here calls the payment API: it changes what the store says, and the opener acts on that.

use crate::domain::chain::{Address, B256};
use crate::domain::odd::explained;
use crate::domain::payment::PayoutReference;
use crate::domain::payout::{IdempotencyKey, Payout, PayoutState, PayoutWish};
use crate::domain::record::{Record, RecordBody, RecordKind};
use crate::engine::PayoutPorts;
use crate::engine::payout_repository::{Kept, PayoutError, event, key_of};
use crate::policy::payout_machine::{PayoutFact, check_file};
use crate::policy::repeats::{Earlier, Likeness};
use crate::policy::requests::Demand;
use crate::ports::attachments::AttachmentError;
use crate::ports::store::{Commit, StoreError};
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::service::orders::given;
use crate::service::payout_requests::{first_difference, invalid, reference};
use crate::service::queries::MAX_PAGE;
use crate::view::Page;
use crate::view::payout::{FileRef, Fund, PayoutRequest, PayoutView};

/// The names of the states, for filters.
pub const PAYOUT_STATES: [&str; 7] = ["placed", "quoted", "creating", "unclear", "created", "review", "cancelled"];

/// The most payouts that one question looks at.
const MAX_SCAN: usize = 10_000;

/// How many payouts are read at once.
const CHUNK: usize = 200;

fn file_error(error: AttachmentError) -> OperatorError {
    match error {
        AttachmentError::Missing(_) | AttachmentError::Changed(_) => invalid("files", error.to_string()),
        AttachmentError::Failed { .. } => OperatorError::Store(StoreError::Failed(error.to_string())),
    }
}

impl OperatorService {
    fn payout_ports(&self) -> Result<&PayoutPorts, OperatorError> {
        let none =
            || OperatorError::Refused("payouts cannot be placed here: nothing keeps their files and keys".to_owned());
        self.payouts.as_ref().ok_or_else(none)
    }

    /// Places a payout. Placing the same again under its reference changes nothing, and returns it as it stands. From this
    /// moment on its idempotency key is on the disk; it is opened as soon as the engine runs.
    ///
    /// # Errors
    /// A field is not what it must be, a file was not put before, or the reference is taken by a payout with other
    /// content: the message names the first field that differs. [`OperatorError::Repeat`] when it is an earlier one over again.
    pub async fn place_payout(&self, request: &PayoutRequest) -> Result<PayoutView, OperatorError> {
        let named = request.reference.as_deref().map(reference).transpose()?;
        let known = match &named {
            Some(reference) => self.payout_repository().read(reference).await?,
            None => None,
        };
        if let Some(known) = known {
            return self.same_payout(&known, request).await;
        }
        self.count(Demand::Payout)?;
        let wallet = self.store.wallet().await?.map(|wallet| wallet.address);
        let wish = self.wish(request, wallet)?;
        self.check_funding(&wish, request.fund, wallet)?;
        for file in &wish.files {
            self.check_kept(file.digest, &file.media_type, file.bytes).await?;
        }
        let bytes = self.payout_ports()?.entropy.bytes();
        let key = IdempotencyKey::from_random(
            bytes.map_err(|error| OperatorError::Store(StoreError::Failed(error.to_string())))?,
        );
        let reference = match named {
            Some(reference) => reference,
            None => reference(key.as_str())?,
        };
        let now = self.clock.now();
        let payout = Payout {
            reference: reference.clone(),
            key,
            wish,
            placed_by: self.actor.clone(),
            state: PayoutState::Placed,
            quote: None,
            payment: None,
            attempts: 0,
            may_be_open: false,
            spoilt_quotes: 0,
            failures: 0,
            trouble: None,
            placed_at: now,
            updated_at: now,
        };
        let likeness = Likeness::of(&reference, &payout.wish);
        let wanted = Earlier { reference: reference.clone(), likeness, placed_at: now };
        let claim = self.claim(wanted, request.allow_repeat).await?;
        let why = match &claim.repeats {
            None => format!("was placed by {}", self.actor),
            Some(earlier) => format!("was placed by {}, who allowed it to repeat {earlier}", self.actor),
        };
        let events = vec![event(&payout, now, &why)];
        let record = Record::new(RecordBody::Payout(Box::new(payout)), Some(now));
        let commit = Commit { records: vec![record], events, ..Commit::default() };
        match self.recent.keep(&self.store, claim, commit).await {
            Ok(_) => self.payout_view(&self.stored_payout(&reference).await?).await,
            // Somebody else placed it meanwhile: it is theirs, if it is the same.
            Err(StoreError::Conflict(_)) => self.same_payout(&self.stored_payout(&reference).await?, request).await,
            Err(error) => Err(error.into()),
        }
    }

    /// The payout that is known, if the request asks for the same.
    async fn same_payout(&self, known: &Kept, request: &PayoutRequest) -> Result<PayoutView, OperatorError> {
        let wish = self.wish(request, Some(known.payout.wish.from_address))?;
        if let Some(field) = first_difference(&known.payout.wish, &wish, self.settings.decimals) {
            let reference = &known.payout.reference;
            return Err(OperatorError::Exists(format!(
                "payout {reference} is there already, with another {field}; what was placed never changes: give this one \
                 another reference"
            )));
        }
        self.payout_view(known).await
    }

    fn check_funding(&self, wish: &PayoutWish, fund: Fund, wallet: Option<Address>) -> Result<(), OperatorError> {
        if fund == Fund::ByHand {
            return Ok(());
        }
        if self.settings.funding.is_none() {
            return Err(invalid(
                "fund",
                "there is no wallet: give the section [wallet] in the configuration, or by_hand",
            ));
        }
        match wallet {
            Some(wallet) if wallet != wish.from_address => {
                Err(invalid("from_address", format!("the wallet that is to fund it is {wallet}; leave it out")))
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn check_kept(&self, digest: B256, media_type: &str, bytes: u64) -> Result<(), OperatorError> {
        let content = self.payout_ports()?.attachments.get(digest).await.map_err(file_error)?;
        check_file(media_type, &content, &self.settings.payouts.files)
            .map_err(|error| invalid("files", error.to_string()))?;
        if u64::try_from(content.len()).ok() != Some(bytes) {
            return Err(invalid("files", format!("the file with the digest {digest} has {} bytes", content.len())));
        }
        Ok(())
    }

    pub(crate) async fn stored_payout(&self, reference: &PayoutReference) -> Result<Kept, OperatorError> {
        let kept = self.payout_repository().read(reference).await?;
        kept.ok_or_else(|| OperatorError::NotFound(key_of(reference).to_string()))
    }

    /// One payout.
    ///
    /// # Errors
    /// When it is not known, or the store fails.
    pub async fn show_payout(&self, name: &str) -> Result<PayoutView, OperatorError> {
        self.payout_view(&self.stored_payout(&reference(name)?).await?).await
    }

    /// Payouts in the order of their references, those after `after`.
    ///
    /// # Errors
    /// When the state or the reference is none, or the store fails.
    pub async fn list_payouts(
        &self,
        state: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<PayoutView>, OperatorError> {
        if let Some(state) = state.filter(|state| !PAYOUT_STATES.contains(state)) {
            let problem = format_args!("{state:?} is none; it must be one of {}", PAYOUT_STATES.join(", "));
            return Err(invalid("state", explained(problem, state)));
        }
        let mut after = after.map(reference).transpose()?;
        let limit = limit.clamp(1, MAX_PAGE);
        let (mut items, mut looked_at) = (Vec::new(), 0_usize);
        loop {
            let place = after.as_ref().map(PayoutReference::as_str);
            let chunk = self.store.records_page(RecordKind::Payout, place, CHUNK).await?;
            let last = chunk.len() < CHUNK;
            looked_at = looked_at.saturating_add(chunk.len());
            for kept in chunk.into_iter().filter_map(Kept::of) {
                if items.len() >= limit {
                    return Ok(Page { items, next: after.map(|reference| reference.to_string()) });
                }
                if state.is_none_or(|state| state == kept.payout.state.name()) {
                    items.push(self.payout_view(&kept).await?);
                }
                after = Some(kept.payout.reference);
            }
            if last {
                return Ok(Page { items, next: None });
            }
            if looked_at >= MAX_SCAN {
                return Ok(Page { items, next: after.map(|reference| reference.to_string()) });
            }
        }
    }

    /// Stops a payout: one for which nothing was opened, or one that is with a person, whose payment is then left unpaid.
    ///
    /// # Errors
    /// When it is not known, is being opened or may have been, has its payment, or no reason is given.
    pub async fn cancel_payout(&self, name: &str, reason: &str) -> Result<PayoutView, OperatorError> {
        let reason = given(reason)?;
        self.decide_payout(name, &PayoutFact::Cancel { reason: reason.to_owned() }, reason).await
    }

    /// Tries a payout again now: after a person has mended what it was in review for, or instead of waiting.
    ///
    /// # Errors
    /// When it is not known, a call may still take effect, it is over, or no reason is given.
    pub async fn retry_payout(&self, name: &str, reason: &str) -> Result<PayoutView, OperatorError> {
        let reason = given(reason)?;
        self.count(Demand::Payout)?;
        self.decide_payout(name, &PayoutFact::Retry, reason).await
    }

    async fn decide_payout(&self, name: &str, fact: &PayoutFact, reason: &str) -> Result<PayoutView, OperatorError> {
        let reference = reference(name)?;
        let said = format!("{}: {reason:?}", self.actor);
        match self.payout_repository().tell(&reference, fact, Some(&said), |_| true).await {
            Ok(_) => self.show_payout(name).await,
            Err(PayoutError::Store(error)) => Err(error.into()),
            Err(PayoutError::Unknown(_)) => Err(OperatorError::NotFound(key_of(&reference).to_string())),
            Err(PayoutError::Payment(refused)) => Err(OperatorError::Refused(refused.to_string())),
            Err(PayoutError::Unexpected(refused)) => {
                let wanted = if matches!(fact, PayoutFact::Cancel { .. }) { "cancelled" } else { "tried again" };
                let next = self.show_payout(name).await?.next;
                Err(OperatorError::Refused(format!(
                    "payout {reference} is {} and cannot be {wanted} now. {next}",
                    refused.state
                )))
            }
        }
    }

    /// Keeps a file that is to go with payouts.
    ///
    /// # Errors
    /// It is too large, or not what may go with a payout; or the disk fails.
    pub async fn put_attachment(&self, content: Vec<u8>, media_type: &str) -> Result<FileRef, OperatorError> {
        check_file(media_type, &content, &self.settings.payouts.files)
            .map_err(|error| invalid("file", error.to_string()))?;
        let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let digest = self.payout_ports()?.attachments.put(content).await.map_err(file_error)?.to_string();
        let digest = digest.strip_prefix("0x").unwrap_or(&digest).to_owned();
        Ok(FileRef { digest, media_type: media_type.to_owned(), bytes, name: String::new() })
    }
}
