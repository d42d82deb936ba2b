//! What became of each piece of money, beside what must become of it.

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{ContentArrangement, Table};
use tokio::time::Instant;

use super::stage::{Stage, id};
use super::{acts, funding, receipts};
use crate::domain::chain::B256;
use crate::domain::deposit::Verdict;
use crate::domain::payment::Outcome;
use crate::sandbox::error::{Result, SandboxError};
use crate::sandbox::fake_api::OffRamp;
use crate::view::{DepositView, PaymentView, WhyView};

/// How wide the table is: fits a terminal of usual width, and a file.
const WIDTH: u16 = 132;

/// What must become of a piece of money.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expect {
    /// The payment is completed with this transaction, by one call.
    Completed(B256),
    /// The deposit is with a person for this reason, and the payment waits; nothing was called.
    Review(B256, &'static str),
    /// The deposit is with a person for this reason; the payment has another.
    AlsoReview(B256, &'static str),
    /// The deposit is with a person for this reason, because the payment had run out; nothing was called.
    AfterTheEnd(B256, &'static str),
    /// The deposit credits nothing for this reason, and the payment waits; nothing was called.
    Nothing(B256, &'static str),
    /// It is no deposit at all, and the payment waits; nothing was called.
    NotSeen(B256),
    /// The deposit in this block is gone, and so counts for nothing.
    Gone(B256, B256),
}

/// A piece of money.
#[derive(Clone, Debug)]
pub(super) struct Case {
    sent: &'static str,
    /// The payment that it was sent for.
    pub(super) payment: &'static str,
    /// What must become of it.
    pub(super) expect: Expect,
}

impl Case {
    pub(super) const fn new(sent: &'static str, payment: &'static str, expect: Expect) -> Self {
        Self { sent, payment, expect }
    }
}

/// All that is known of a case at the end.
struct Found {
    payment: PaymentView,
    off_ramp: OffRamp,
    why: WhyView,
}

/// What became of a case, in words, and whether it is what must be.
struct Judged {
    became: String,
    why: String,
    right: bool,
}

/// Waits until all is settled, prints the table, and compares.
pub(super) async fn judge(stage: &mut Stage<'_>, cases: &[Case], began: Instant) -> Result<()> {
    let settled = acts::settle(stage, cases).await;
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(["payment", "what was sent", "what became of it", "why, says rampwatch", ""]);
    let mut wrong = 0_u32;
    for case in cases {
        let judged = judge_case(case, &look(stage, case).await?);
        if !judged.right {
            wrong = wrong.saturating_add(1);
        }
        let mark = if judged.right { "ok" } else { "WRONG" };
        table.add_row([case.payment, case.sent, &judged.became, &judged.why, mark]);
    }
    let completions = completions(stage, cases);
    stage.print(&format!("\n{table}\n\n"))?;
    let seconds = began.elapsed().as_secs();
    let calls = completions.unwrap_or_else(|problem| {
        wrong = wrong.saturating_add(1);
        problem
    });
    stage.print(&format!("{calls}\n"))?;
    // A case that is not settled is wrong in the table too; this says for what it was waited.
    settled?;
    receipts::show(stage, funding::SHOWN).await?;
    let sums = receipts::laws(stage, funding::PAID).await?;
    stage.print(&format!("\n{sums}\n"))?;
    if wrong == 0 {
        return stage.print(&format!("Everything came out as it must, in {seconds} s. Nothing is left behind.\n"));
    }
    Err(SandboxError::Outcome(format!("{wrong} of {} outcomes are not what they must be", cases.len())))
}

/// Counts the calls of `/complete` over all payments; the problem, if they are not one for each completed payment.
fn completions(stage: &Stage<'_>, cases: &[Case]) -> std::result::Result<String, String> {
    let expected = cases.iter().filter(|case| matches!(case.expect, Expect::Completed(_))).count();
    let off_ramps = stage.fake_api().off_ramps();
    let accepted: u32 = off_ramps.iter().map(|off_ramp| off_ramp.tally.accepted).sum();
    let calls: u32 = off_ramps.iter().map(|off_ramp| off_ramp.tally.calls).sum();
    let text =
        format!("The payment API was called {calls} times and completed {accepted} payments; {expected} were due.");
    let all = usize::try_from(accepted) == Ok(expected) && calls == accepted;
    if all { Ok(text) } else { Err(format!("WRONG: {text}")) }
}

async fn look(stage: &Stage<'_>, case: &Case) -> Result<Found> {
    let id = id(case.payment)?;
    let unknown = || SandboxError::FakeApi(format!("there is no payment {id}"));
    Ok(Found {
        payment: stage.watcher.operator().payment(&id).await?,
        off_ramp: stage.fake_api().off_ramp(&id).ok_or_else(unknown)?,
        why: stage.watcher.operator().why(id.as_str()).await?,
    })
}

fn judge_case(case: &Case, found: &Found) -> Judged {
    let waits = found.payment.state.name == "waiting" && found.off_ramp.tally.calls == 0;
    match case.expect {
        Expect::Completed(tx_hash) => completed(found, tx_hash),
        Expect::Review(tx_hash, reason) => kept(found, tx_hash, ("review", reason), waits),
        Expect::AlsoReview(tx_hash, reason) => {
            kept(found, tx_hash, ("review", reason), found.off_ramp.tally.accepted == 1)
        }
        Expect::AfterTheEnd(tx_hash, reason) => {
            let ran_out = found.payment.state.outcome == Some(Outcome::Expired) && found.off_ramp.tally.calls == 0;
            kept(found, tx_hash, ("review", reason), ran_out)
        }
        Expect::Nothing(tx_hash, reason) => kept(found, tx_hash, ("nothing", reason), waits),
        Expect::NotSeen(tx_hash) => not_seen(found, tx_hash, waits),
        Expect::Gone(block_hash, tx_hash) => gone(found, block_hash, tx_hash),
    }
}

fn completed(found: &Found, tx_hash: B256) -> Judged {
    let tally = &found.off_ramp.tally;
    let hash = tx_hash.to_string();
    let ours = found.off_ramp.transaction_hash.as_ref() == Some(&hash);
    let once = tally.accepted == 1 && tally.calls == 1;
    let ended = found.payment.state.outcome == Some(Outcome::Completed) && found.off_ramp.status == "COMPLETED";
    let calls = if tally.calls == 1 { "one call".to_owned() } else { format!("{} calls", tally.calls) };
    let became = format!("{} with it, by {calls}", found.off_ramp.status);
    Judged { became, why: short(&found.why.rule), right: ours && once && ended }
}

/// A deposit with a verdict other than "pays".
fn kept(found: &Found, tx_hash: B256, (verdict, reason): (&str, &str), payment_is_right: bool) -> Judged {
    let Some(deposit) = deposit_of(found, |row| row.tx_hash == tx_hash && row.standing.name == "final") else {
        return not_there(found);
    };
    let (is, why) = names(&deposit.verdict);
    let became = match verdict {
        "nothing" => format!("credits nothing; the payment is {}", found.payment.state.name),
        _ => format!("kept for a person ({}); the payment is {}", why.replace('_', " "), found.payment.state.name),
    };
    let right = is == verdict && why == reason && payment_is_right;
    Judged { became, why: short(&deposit.verdict_text), right }
}

fn not_seen(found: &Found, tx_hash: B256, waits: bool) -> Judged {
    let seen = deposit_of(found, |row| row.tx_hash == tx_hash).is_some();
    let became = format!("no deposit; the payment is {}", found.payment.state.name);
    Judged { became, why: short(&found.why.rule), right: !seen && waits }
}

fn gone(found: &Found, block_hash: B256, tx_hash: B256) -> Judged {
    let in_block = |row: &DepositView| row.tx_hash == tx_hash && row.block_hash == block_hash;
    let Some(deposit) = deposit_of(found, in_block) else { return not_there(found) };
    let right = deposit.standing.name == "gone" && deposit.verdict == Verdict::Unjudged;
    Judged { became: format!("its block is {}", deposit.standing.name), why: short(&deposit.verdict_text), right }
}

fn not_there(found: &Found) -> Judged {
    Judged { became: "rampwatch has no such deposit".to_owned(), why: short(&found.why.rule), right: false }
}

fn deposit_of(found: &Found, wanted: impl Fn(&DepositView) -> bool) -> Option<&DepositView> {
    found.why.deposits.iter().find(|row| wanted(row))
}

/// The verdict's word and its reason's, as programs see them.
fn names(verdict: &Verdict) -> (String, String) {
    let value = serde_json::to_value(verdict).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let why = value
        .get("why")
        .map(|why| if why.is_string() { text(why) } else { why.get("reason").map(text).unwrap_or_default() });
    (value.get("is").map(text).unwrap_or_default(), why.unwrap_or_default())
}

/// A sentence with its hashes and addresses shortened, for a table.
pub(super) fn short(text: &str) -> String {
    let shorten = |word: &str| {
        let core = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
        match (core.get(..6), core.len().checked_sub(4).and_then(|from| core.get(from..))) {
            (Some(head), Some(tail)) if core.starts_with("0x") && core.len() >= 42 => {
                word.replace(core, &format!("{head}…{tail}"))
            }
            _ => word.to_owned(),
        }
    };
    text.split(' ').map(shorten).collect::<Vec<_>>().join(" ")
}
