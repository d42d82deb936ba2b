//! Places the rows of a batch, a few at a time, and follows them until nothing is left to wait for.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::time::Instant;

use super::super::super::exit::{Exit, Failure};
use super::super::super::output;
use super::super::draft::{Draft, Field};
use super::super::session::Session;
use super::super::stage::{End, stage};
use super::super::teller::Teller;
use super::super::{files, one, show};
use super::Item;
use super::result::{ResultFile, ResultRow};
use crate::config::{PayoutSettings, Settings};
use crate::view::payout::PayoutView;

/// How many rows are placed or asked after at once.
const AT_ONCE: usize = 8;

/// The least time between two rounds of asking. A round that takes long is followed by a rest that is longer.
const EVERY: Duration = Duration::from_millis(500);

/// The longest rest.
const LONGEST: Duration = Duration::from_secs(10);

/// How often the result is written meanwhile.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// How a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowStatus {
    /// It is left out.
    Bad,
    /// It is to be placed.
    ToPlace,
    /// It was refused when it was placed.
    Refused,
    /// It is on its way.
    Open,
    /// It has come to its end.
    Ended(End),
}

/// How a batch ended, or stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    rows: usize,
    completed: usize,
    waiting_for_a_person: usize,
    not_paid: usize,
    refused: usize,
    bad: usize,
    open: usize,
    result: String,
}

/// A batch under way.
pub(super) struct Drive {
    drafts: Vec<Draft>,
    standings: Vec<RowStatus>,
    rows: Vec<ResultRow>,
    result: ResultFile,
    written_at: Option<Instant>,
    decimals: u8,
    files: PayoutSettings,
}

impl Drive {
    pub(super) fn new(items: Vec<Item>, result: ResultFile, settings: &Settings) -> Self {
        let mut drive = Self {
            drafts: Vec::new(),
            standings: Vec::new(),
            rows: Vec::new(),
            result,
            written_at: None,
            decimals: settings.chain.token.decimals,
            files: settings.payouts.clone(),
        };
        for item in items {
            let amount = item.draft.amount(drive.decimals).map(|amount| amount.to_decimal(drive.decimals));
            let mut row = ResultRow {
                line: item.line,
                reference: item.reference().to_owned(),
                state: "to-place".to_owned(),
                amount: amount.unwrap_or_default(),
                ..ResultRow::default()
            };
            if !item.is_good() {
                row.state = "bad".to_owned();
                row.what = "left out".to_owned();
                row.trouble = item.faults.join("; ");
            }
            drive.standings.push(if item.is_good() { RowStatus::ToPlace } else { RowStatus::Bad });
            drive.drafts.push(item.draft);
            drive.rows.push(row);
        }
        drive
    }

    /// Places what is to be placed, and follows everything to its end.
    ///
    /// # Errors
    /// The daemon stays away, or the result cannot be kept.
    pub(super) async fn run(&mut self, session: &Session) -> Result<(), Failure> {
        let mut teller = Teller::new();
        self.write()?;
        self.place(session, &mut teller).await?;
        loop {
            let began = Instant::now();
            self.look(session, &mut teller).await?;
            self.write()?;
            if !self.standings.contains(&RowStatus::Open) {
                teller.tell(&self.summary());
                return Ok(());
            }
            let rest = began.elapsed().saturating_mul(2).clamp(EVERY, LONGEST);
            tokio::time::sleep(rest).await;
        }
    }

    async fn place(&mut self, session: &Session, teller: &mut Teller) -> Result<(), Failure> {
        let wanted = self.among(RowStatus::ToPlace).filter_map(|at| Some((at, self.drafts.get(at)?.clone())));
        let (repeats, others) = wanted.partition(|(_, draft): &(usize, Draft)| draft.allow_repeat);
        // A row that may repeat another one comes after it: else it would be the other that repeats, and that was not allowed.
        self.place_all(others, session, teller).await?;
        self.place_all(repeats, session, teller).await
    }

    async fn place_all(
        &mut self,
        wanted: Vec<(usize, Draft)>,
        session: &Session,
        teller: &mut Teller,
    ) -> Result<(), Failure> {
        let limits = &self.files.clone();
        let mut placed = futures_util::stream::iter(wanted)
            .map(|(at, draft)| async move { (at, place_one(session, &draft, limits).await) })
            .buffer_unordered(AT_ONCE);
        while let Some((at, answer)) = placed.next().await {
            match answer {
                Ok(view) => self.saw(at, &view),
                Err(failure) if matches!(failure.exit(), Exit::Refused | Exit::Usage | Exit::NotFound) => {
                    self.refused(at, failure.message());
                }
                Err(failure) => return Err(failure),
            }
            teller.tell_now_and_then(&self.summary());
            self.write_now_and_then()?;
        }
        Ok(())
    }

    /// Asks after everything that is open, once.
    async fn look(&mut self, session: &Session, teller: &mut Teller) -> Result<(), Failure> {
        let open: Vec<(usize, String)> = self
            .among(RowStatus::Open)
            .filter_map(|at| Some((at, self.drafts.get(at)?.own(Field::Reference)?)))
            .collect();
        let mut seen = futures_util::stream::iter(open)
            .map(|(at, reference)| async move {
                (at, session.ask(async |operator| operator.payout(&reference).await).await)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((at, answer)) = seen.next().await {
            self.saw(at, &answer?);
            self.write_now_and_then()?;
        }
        teller.tell_now_and_then(&self.summary());
        Ok(())
    }

    fn among(&self, standing: RowStatus) -> impl Iterator<Item = usize> + '_ {
        self.standings.iter().enumerate().filter(move |(_, of)| **of == standing).map(|(at, _)| at)
    }

    /// Takes down how a row stands.
    fn saw(&mut self, at: usize, view: &PayoutView) {
        let stage = stage(view);
        if let Some(standing) = self.standings.get_mut(at) {
            *standing = stage.end.map_or(RowStatus::Open, RowStatus::Ended);
        }
        let Some(row) = self.rows.get_mut(at) else { return };
        let quote = view.quote.as_ref();
        let payment = view.payment.as_ref();
        row.payment = view.payment_id.clone().unwrap_or_default();
        row.deposit_address = payment.map(|payment| payment.deposit_address.clone()).unwrap_or_default();
        row.payment_link = view.pay.as_ref().map(|pay| pay.eip681.clone()).unwrap_or_default();
        row.transaction = show::transaction(view).unwrap_or_default();
        row.api_status =
            payment.and_then(|payment| payment.api.as_ref()).map(|word| word.status.clone()).unwrap_or_default();
        row.destination_amount =
            quote.and_then(|quote| quote.rate.destination_amount.as_ref()).map(ToString::to_string).unwrap_or_default();
        row.destination_currency = quote.map(|quote| quote.rate.destination_currency.clone()).unwrap_or_default();
        row.trouble = match (&view.trouble, &stage.hint) {
            (Some(trouble), Some(hint)) => format!("{trouble}; next: {hint}"),
            (Some(trouble), None) => trouble.clone(),
            (None, Some(hint)) => format!("next: {hint}"),
            (None, None) => String::new(),
        };
        row.state = stage.name;
        row.what = stage.text;
    }

    fn refused(&mut self, at: usize, why: &str) {
        if let Some(standing) = self.standings.get_mut(at) {
            *standing = RowStatus::Refused;
        }
        if let Some(row) = self.rows.get_mut(at) {
            row.state = "refused".to_owned();
            row.trouble = why.to_owned();
        }
    }

    /// How many rows are how far, in a line.
    fn summary(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for row in &self.rows {
            let count = counts.entry(row.state.as_str()).or_default();
            *count = count.saturating_add(1);
        }
        let parts: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
        format!("{} rows: {}", self.rows.len(), parts.join(", "))
    }

    fn write_now_and_then(&mut self) -> Result<(), Failure> {
        if self.written_at.is_some_and(|at| at.elapsed() < WRITE_EVERY) { Ok(()) } else { self.write() }
    }

    /// Writes the result.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&mut self) -> Result<(), Failure> {
        self.result.write(&self.rows).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        self.written_at = Some(Instant::now());
        Ok(())
    }

    /// How it stands.
    pub(super) fn tally(&self) -> Tally {
        let count = |standing| self.among(standing).count();
        Tally {
            rows: self.rows.len(),
            completed: count(RowStatus::Ended(End::Done)),
            waiting_for_a_person: count(RowStatus::Ended(End::Person)),
            not_paid: count(RowStatus::Ended(End::NotPaid)),
            refused: count(RowStatus::Refused),
            bad: count(RowStatus::Bad),
            open: count(RowStatus::Open).saturating_add(count(RowStatus::ToPlace)),
            result: self.result.path().display().to_string(),
        }
    }
}

/// Places one row. Asked twice it is placed once.
async fn place_one(session: &Session, draft: &Draft, limits: &PayoutSettings) -> Result<PayoutView, Failure> {
    let read = files::read_all(&draft.files, draft.files_below.as_deref(), limits);
    let files = read.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let request = draft.request(one::put(session, files).await?);
    session.ask(async |operator| operator.place_payout(&request).await).await
}

impl Tally {
    /// The same for people.
    pub(super) fn lines(&self) -> String {
        let some = |count: usize| (count > 0).then(|| count.to_string());
        output::fields(&[
            ("rows", Some(self.rows.to_string())),
            ("completed", Some(self.completed.to_string())),
            ("for a person", some(self.waiting_for_a_person)),
            ("not paid", some(self.not_paid)),
            ("refused", some(self.refused)),
            ("left out", some(self.bad)),
            ("in progress", some(self.open)),
            ("result", Some(self.result.clone())),
        ])
    }

    /// How the command ends.
    ///
    /// # Errors
    /// Not every row is paid out.
    pub(super) fn outcome(&self) -> Result<(), Failure> {
        let look = format!("{} says which and why", self.result);
        let Self { waiting_for_a_person: person, not_paid, refused, bad, .. } = self;
        let ends = [
            (*not_paid, Exit::NotPaid, "have ended without being paid out"),
            (*person, Exit::Person, "wait for a person"),
            (*refused, Exit::Refused, "were refused"),
            (*bad, Exit::Usage, "were bad and left out"),
        ];
        match ends.into_iter().find(|(count, _, _)| *count > 0) {
            None => Ok(()),
            Some((count, exit, words)) => {
                Err(Failure::new(exit, format!("{} {words}; {look}", output::many(count, "row"))))
            }
        }
    }
}
