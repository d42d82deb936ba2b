//! One payout: shown, agreed to, placed, and followed until the bank side is done.
//!
//! Whatever happens to this command, the payout is in the store or it is not; the reference finds it again. Deliberately
//! absent: the payout's own steps, which the engine takes.

use std::cell::Cell;
use std::time::Duration;

use super::super::exit::{Exit, Failure};
use super::super::fund::{agreed, can_ask};
use super::super::output;
use super::draft::{Draft, Field};
use super::files::{self, LocalFile};
use super::session::Session;
use super::show;
use super::signals::Signals;
use super::stage::{End, stage};
use super::teller::Teller;
use crate::client::Client;
use crate::config::Settings;
use crate::domain::payment::PayoutReference;
use crate::view::payout::{FileRef, Fund, PayoutRequest, PayoutView};
use crate::view::quote::QuoteRequest;

/// How often the payout is looked at.
const EVERY: Duration = Duration::from_millis(500);

/// Until when a payout is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Until {
    /// Until the off-ramp is open.
    Open,
    /// Until the bank side is done.
    Done,
}

/// What is to be done about one payout.
#[derive(Debug)]
pub(super) struct One {
    /// What it is; a reference alone follows one that is known.
    pub(super) draft: Draft,
    /// Its reference, where it is meant although it repeats another payout.
    pub(super) allow_repeat: Vec<String>,
    /// Whether nobody is to be asked.
    pub(super) yes: bool,
    /// Whether the record is printed as JSON.
    pub(super) json: bool,
    /// Whether a QR code is wanted where there is no terminal.
    pub(super) qr: bool,
    /// Until when it is followed.
    pub(super) until: Until,
}

/// How far this command has come, for when it is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Come {
    /// Nothing was placed.
    Nowhere,
    /// It is being placed.
    Placing,
    Placed,
}

impl One {
    /// Does it.
    ///
    /// # Errors
    /// Something is wrong with what was given, it is refused, or it did not come to its end.
    pub(super) async fn run(mut self, settings: &Settings) -> Result<(), Failure> {
        let files = self.check(settings)?;
        let mut signals = Signals::listen()?;
        let reference = self.reference()?;
        let come = Cell::new(Come::Nowhere);
        let opened = tokio::select! {
            opened = Session::open(settings) => opened,
            () = signals.heard() => return Err(interrupted(&reference, come.get(), true)),
        };
        let session = opened?;
        let outcome = tokio::select! {
            outcome = self.work(&session, &reference, files, &come) => outcome,
            () = signals.heard() => Err(interrupted(&reference, come.get(), session.goes_on())),
        };
        let closed = session.close().await;
        outcome.and(closed)
    }

    /// Looks at everything that was given, before anybody is asked anything.
    fn check(&self, settings: &Settings) -> Result<Vec<LocalFile>, Failure> {
        let mut wrong: Vec<String> = Vec::new();
        for fault in self.draft.faults(settings.chain.token.decimals) {
            wrong.push(format!("{} {:?}: {}", fault.field.flag(), fault.value, fault.problem));
        }
        let is_known_one = !self.draft.has_content() && self.draft.get(Field::Reference).is_some();
        let missing = if is_known_one { Vec::new() } else { self.draft.missing() };
        if !missing.is_empty() {
            let flags: Vec<String> = missing.into_iter().map(Field::flag).collect();
            wrong.push(format!(
                "missing: {} (or give only --reference, to follow a payout that is known)",
                flags.join(" ")
            ));
        }
        let files = files::read_all(&self.draft.files, None, &settings.payouts);
        wrong.extend(files.as_ref().err().map(|error| format!("--attach: {error}")));
        if !is_known_one && !self.yes && !can_ask() {
            wrong.push("there is no terminal to ask on: add --yes to place it without being asked".to_owned());
        }
        match files {
            Ok(files) if wrong.is_empty() => Ok(files),
            _ => Err(Failure::new(Exit::Usage, format!("nothing was placed: {}", wrong.join("\n       ")))),
        }
    }

    /// The reference that was given; else one is made, and said before anything is sent.
    fn reference(&mut self) -> Result<PayoutReference, Failure> {
        let given = self.draft.own(Field::Reference);
        let is_made = given.is_none();
        let text = match given {
            Some(text) => text,
            None => made()?,
        };
        let reference =
            PayoutReference::new(text).map_err(|error| Failure::new(Exit::Usage, format!("--reference: {error}")))?;
        if let Some(other) = self.allow_repeat.iter().find(|allowed| *allowed != reference.as_str()) {
            let said =
                format!("--allow-repeat {other:?}: give the payout's own reference there, and as --reference too");
            return Err(Failure::new(Exit::Usage, said));
        }
        self.draft.allow_repeat = !self.allow_repeat.is_empty();
        if is_made {
            self.draft.set(Field::Reference, reference.as_str());
            output::remark(&format!(
                "reference: {reference} (`rampwatch payout --reference {reference}` takes it up again)"
            ));
        }
        Ok(reference)
    }

    async fn work(
        &self,
        session: &Session,
        reference: &PayoutReference,
        files: Vec<LocalFile>,
        come: &Cell<Come>,
    ) -> Result<(), Failure> {
        let known = match session.operator().payout(reference.as_str()).await.map_err(Failure::from) {
            Ok(known) => Some(known),
            Err(failure) if failure.exit() == Exit::NotFound => None,
            Err(failure) => return Err(failure),
        };
        match (&known, self.draft.has_content()) {
            (None, false) => {
                let said =
                    format!("payout {reference} is not known here, so nothing was placed under it: say what it is");
                return Err(Failure::new(Exit::NotFound, said));
            }
            (Some(_), false) => {}
            (_, true) => {
                let request = self.draft.request(put(session, files).await?);
                if known.is_none() {
                    refuse_repeat(session, &request, reference).await?;
                    self.agree(session, &request).await?;
                }
                come.set(Come::Placing);
                session.ask(async |operator| operator.place_payout(&request).await).await?;
            }
        }
        come.set(Come::Placed);
        self.follow(session, reference).await
    }

    /// Shows what it costs and what arrives, and asks.
    async fn agree(&self, session: &Session, request: &PayoutRequest) -> Result<(), Failure> {
        let operator = session.operator();
        let asked = quote_request(request);
        let rate = operator.rate(&asked.rate()).await?;
        let quote = operator.quote(&asked).await?;
        output::remark(show::preview(request, &rate, &quote).trim_end());
        if request.fund == Fund::Wallet {
            output::remark(show::limits(&operator.wallet().await?).trim_end());
        }
        if self.yes {
            return Ok(());
        }
        agreed("Place this payout? [y/N] ".to_owned(), "Nothing was placed.").await
    }

    async fn follow(&self, session: &Session, reference: &PayoutReference) -> Result<(), Failure> {
        let mut teller = Teller::new();
        let mut told_to_pay = false;
        let mut hinted: Option<String> = None;
        let view = loop {
            let view = session.ask(async |operator| operator.payout(reference.as_str()).await).await?;
            let stage = stage(&view);
            if let Some(pay) = view.pay.as_ref().filter(|_| !told_to_pay) {
                told_to_pay = true;
                let text = show::how_to_pay(pay, self.qr);
                // Where the record is the data, this is a remark.
                if self.json {
                    teller.remark(text.trim_end());
                } else {
                    teller.aside(|| output::write(&text))?;
                }
            }
            teller.tell(&format!("{reference}  {}: {}", stage.name, stage.text));
            if stage.hint != hinted {
                hinted.clone_from(&stage.hint);
                hinted.iter().for_each(|hint| teller.remark(&format!("next: {hint}")));
            }
            let is_open = self.until == Until::Open && view.payment_id.is_some() && view.state == "created";
            if is_open || stage.end.is_some() {
                break view;
            }
            tokio::time::sleep(EVERY).await;
        };
        drop(teller);
        if self.json {
            output::print_json(&view)?
        } else {
            output::print(&show::payout(&view))?
        }
        self.exit(&view)
    }

    /// How the command ends for a payout that has come so far.
    fn exit(&self, view: &PayoutView) -> Result<(), Failure> {
        let stage = stage(view);
        let reference = &view.reference;
        match stage.end {
            None | Some(End::Done) => Ok(()),
            Some(End::Person) => {
                let said = format!("payout {reference} waits for a person: {}", output::plain(&stage.text));
                Err(Failure::new(Exit::Person, said))
            }
            Some(End::NotPaid) => {
                let said = format!("payout {reference} was not paid out: {}", output::plain(&stage.text));
                Err(Failure::new(Exit::NotPaid, said))
            }
        }
    }
}

/// Refuses a payout that repeats an earlier one, before anybody is asked anything. Placing it decides again, and that counts.
async fn refuse_repeat(session: &Session, request: &PayoutRequest, reference: &PayoutReference) -> Result<(), Failure> {
    if request.allow_repeat {
        return Ok(());
    }
    let Some(earlier) = session.operator().repeat_of(request).await?.earlier else { return Ok(()) };
    let said = format!(
        "payout {reference} {}: the same may be paid twice, and nothing was placed. If it is to be paid all the same, give \
         --reference {reference} --allow-repeat {reference}",
        earlier.text
    );
    Err(Failure::new(Exit::Refused, said))
}

/// Puts files where the engine finds them.
pub(super) async fn put(session: &Session, files: Vec<LocalFile>) -> Result<Vec<FileRef>, Failure> {
    let mut put = Vec::new();
    for file in files {
        let put_it = async |operator: &Client| operator.put_attachment(file.bytes.clone(), file.media_type).await;
        let kept = session.ask(put_it).await?;
        put.push(FileRef { name: file.name, ..kept });
    }
    Ok(put)
}

/// A reference of our own: the day, and enough chance that no two are alike.
fn made() -> Result<String, Failure> {
    let mut bytes = [0_u8; 6];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(Exit::Failed, format!("the system gives no random bytes: {error}")))?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("po-{}-{digits}", jiff::Timestamp::now().strftime("%Y%m%d")))
}

fn quote_request(request: &PayoutRequest) -> QuoteRequest {
    QuoteRequest {
        user: request.user.clone(),
        bank_account: request.bank_account.clone(),
        amount: request.amount.clone(),
        source_currency: request.source_currency.clone(),
        source_rail: request.source_rail.clone(),
        destination_currency: request.destination_currency.clone(),
        destination_rail: request.destination_rail.clone(),
        destination_country: request.destination_country.clone(),
        developer_fee: request.developer_fee.clone(),
    }
}

/// Says what an interruption left behind, and how to go on.
fn interrupted(reference: &PayoutReference, come: Come, goes_on: bool) -> Failure {
    let again = format!("`rampwatch payout --reference {reference}`");
    let said = match (come, goes_on) {
        (Come::Nowhere, _) => "interrupted: nothing was placed".to_owned(),
        (Come::Placing, _) => format!(
            "interrupted while it was being placed: {again} tells whether it was; the same command again with this \
             reference never places it twice"
        ),
        (Come::Placed, true) => {
            format!("interrupted: the payout goes on by itself, in the daemon; {again} follows it again")
        }
        (Come::Placed, false) => {
            format!("interrupted: the payout is kept, and stands still until {again} or `rampwatch run` takes it up")
        }
    };
    output::remark(&said);
    Failure::silent(Exit::Interrupted)
}
