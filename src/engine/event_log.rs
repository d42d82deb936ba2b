//! Says and counts what was committed.
//!
//! Lines name things (payment, transaction, block, verdict, rule) in fields; the whole records stay in the store, where
//! `why` tells of them. Amounts are in base units, and their field says so.

use tracing::field::display;

use crate::domain::deposit::Verdict;
use crate::domain::event::{Alarm, Event, EventKind, WalletChange};
use crate::domain::hold::Hold;
use crate::domain::order::Order;
use crate::domain::record::RecordBody;
use crate::domain::shadow::Shadow;
use crate::policy::shadow::Mode;

/// Says what was committed.
pub(super) fn log_events(events: &[Event]) {
    for event in events {
        let payment_id = event.payment.as_ref().map(display);
        let tx_hash = event.deposit.map(|key| display(key.tx_hash));
        let log_index = event.deposit.map(|key| key.log_index);
        match &event.kind {
            EventKind::PaymentMoved { from, to, why } => {
                tracing::info!(payment_id, tx_hash, from = from.name(), to = to.name(), why, "payment moved");
            }
            EventKind::DepositSeen { deposit, .. } => tracing::info!(
                tx_hash,
                log_index,
                block = deposit.block_number,
                to = %deposit.to,
                token = %deposit.token,
                base_units = deposit.amount.base_units(),
                "deposit seen"
            ),
            EventKind::DepositJudged { verdict } => {
                metrics::counter!("rampwatch_deposits_total", "verdict" => verdict.name()).increment(1);
                let payment_id = paid(verdict).or(event.payment.as_ref()).map(display);
                let (verdict, rule) = (verdict.name(), verdict_rule(verdict));
                tracing::info!(payment_id, tx_hash, log_index, verdict, rule, "deposit judged");
            }
            EventKind::DepositStands { standing, block, .. } => {
                let standing = standing.name();
                tracing::info!(tx_hash, log_index, block = block.number, standing, "deposit's block");
            }
            EventKind::DepositsCounted { tally } => {
                let (counted, base_units) = (tally.count, tally.sum.base_units());
                tracing::info!(
                    tx_hash,
                    log_index,
                    counted,
                    base_units,
                    "deposits too small to pay anything are counted"
                );
            }
            EventKind::Alarm { alarm } => {
                count_alarm(alarm);
                let block_hash = event.deposit.map(|key| display(key.block_hash));
                tracing::error!(payment_id, tx_hash, log_index, block_hash, alarm = alarm.name(), "alarm");
            }
            EventKind::PaymentAdded { .. }
            | EventKind::ApiReported { .. }
            | EventKind::PersonDecided { .. }
            | EventKind::FinalityMoved { .. }
            | EventKind::AddressPlaced { .. }
            | EventKind::AddressClosed { .. } => {}
            EventKind::EndpointBack { endpoint } => tracing::info!(endpoint, "the endpoint is used again"),
            EventKind::ListenerBack { setting } => tracing::info!(setting, "it listens again"),
            EventKind::StallOver { what, since } => {
                tracing::info!(what = what.name(), since = since.as_secs(), "what stood still goes on");
            }
            EventKind::RecordChanged { body, why } => log_record(body, why),
            EventKind::OrderPlaced { .. }
            | EventKind::OrderMoved { .. }
            | EventKind::AttemptSigned { .. }
            | EventKind::AttemptSent { .. }
            | EventKind::AttemptMined { .. }
            | EventKind::WalletChanged { .. } => log_funding(event),
        }
    }
}

/// Says what happened to a further record.
fn log_record(body: &RecordBody, why: &str) {
    if let RecordBody::Shadow(Shadow { payment, act, outcome, .. }) = body {
        match outcome {
            None => metrics::counter!("rampwatch_shadow_acts_total", "act" => act.name()).increment(1),
            Some(outcome) => {
                metrics::counter!("rampwatch_shadow_outcomes_total", "outcome" => outcome.name()).increment(1);
            }
        }
        let payment_id = payment.as_ref().map(display);
        tracing::info!(payment_id, act = act.name(), why, "shadow mode");
    } else {
        tracing::info!(record = %body.key(), why, "record changed");
    }
}

/// Says what happened to an order or to the wallet.
fn log_funding(event: &Event) {
    match &event.kind {
        EventKind::OrderPlaced { order } => {
            let (to, base_units) = (order.to, order.amount.base_units());
            tracing::info!(order = %order.id, %to, base_units, state = order.state.name(), "order placed");
        }
        EventKind::OrderMoved { order, from, to, why, .. } => {
            metrics::counter!("rampwatch_orders_total", "state" => to.name()).increment(1);
            tracing::info!(%order, from = from.name(), to = to.name(), why, "order moved");
        }
        EventKind::AttemptSigned { order, attempt } => {
            let (nonce, tx_hash) = (attempt.nonce, attempt.tx_hash);
            let (cap, tip) = (attempt.fees.cap.to_gwei(), attempt.fees.tip.to_gwei());
            tracing::info!(%order, %tx_hash, nonce, cap_gwei = cap, tip_gwei = tip, kind = ?attempt.kind, "signed");
        }
        EventKind::AttemptSent { order, tx_hash, said } => tracing::info!(%order, %tx_hash, said, "broadcast"),
        EventKind::AttemptMined { order, tx_hash, block, .. } => {
            tracing::info!(%order, %tx_hash, block = block.number, "mined");
        }
        EventKind::WalletChanged { address, change: WalletChange::Halted { why } } => {
            tracing::error!(wallet = %address, %why, "the wallet is halted");
        }
        EventKind::WalletChanged { address, change } => tracing::info!(wallet = %address, ?change, "wallet changed"),
        _ => {}
    }
}

fn count_alarm(alarm: &Alarm) {
    metrics::counter!("rampwatch_alarms_total", "alarm" => alarm.name()).increment(1);
}

/// Shows every alarm at 0: an alert looks for a rise, and a series that begins with 1 has never risen.
pub(crate) fn show_alarms() {
    for name in Alarm::NAMES.iter().copied() {
        metrics::counter!("rampwatch_alarms_total", "alarm" => name).increment(0);
    }
}

/// Shows at the start whether shadow mode is on, and what it counts at 0.
pub(crate) fn show_shadow(mode: Mode) {
    metrics::gauge!("rampwatch_shadow").set(u32::from(!mode.acts()));
    if mode.acts() {
        return;
    }
    tracing::warn!("shadow mode: nothing is completed, signed, sent or opened; it is only said what would be done");
    for act in ["complete", "send", "create"] {
        metrics::counter!("rampwatch_shadow_acts_total", "act" => act).increment(0);
    }
    for outcome in ["agreed", "differed", "unnamed", "not_done", "taken_over"] {
        metrics::counter!("rampwatch_shadow_outcomes_total", "outcome" => outcome).increment(0);
    }
}

/// Shows how many orders are open, and what keeps how many of them: every hold, also those that keep none.
pub(crate) fn count_open(open: &[Order]) {
    let gauge = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    metrics::gauge!("rampwatch_orders_open").set(gauge(open.len()));
    let holds: Vec<&str> = open.iter().filter_map(|order| order.state.hold()).map(Hold::name).collect();
    for name in Hold::NAMES.iter().copied() {
        let count = holds.iter().filter(|held| **held == name).count();
        metrics::gauge!("rampwatch_orders_held", "hold" => name).set(gauge(count));
    }
}

/// The payment that the verdict credits.
const fn paid(verdict: &Verdict) -> Option<&crate::domain::payment::PaymentId> {
    match verdict {
        Verdict::Pays { payment, .. } => Some(payment),
        Verdict::Unjudged | Verdict::Nothing { .. } | Verdict::Review { .. } | Verdict::Ignored { .. } => None,
    }
}

/// The name of the rule or reason that gave the verdict.
const fn verdict_rule(verdict: &Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Pays { rule, .. } => Some(rule.name()),
        Verdict::Nothing { why } => Some(why.name()),
        Verdict::Review { why } => Some(why.name()),
        Verdict::Unjudged | Verdict::Ignored { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::domain::amount::Amount;
    use crate::domain::chain::{Address, B256, BlockRef};
    use crate::domain::deposit::{BlockStatus, DepositKey, MatchRule, NothingReason, ReviewReason};
    use crate::domain::payment::PaymentId;
    use crate::domain::time::Timestamp;

    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<u8>>>);

    impl Write for Said {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that these events make, without time and level.
    fn lines(kinds: Vec<EventKind>) -> Vec<String> {
        let said = Said::default();
        let writer = said.clone();
        let layer = tracing_subscriber::fmt().with_writer(move || writer.clone()).without_time().with_ansi(false);
        let key = DepositKey {
            chain_id: 137,
            block_hash: B256::repeat_byte(0xb1),
            tx_hash: B256::repeat_byte(0x71),
            log_index: 9,
        };
        let at = Timestamp::EPOCH;
        let event = |kind| Event { at, payment: None, deposit: Some(key), kind };
        let events: Vec<Event> = kinds.into_iter().map(event).collect();
        tracing::subscriber::with_default(layer.finish(), || log_events(&events));
        let text = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_name_things_and_show_no_records() {
        let pays = |rule| Verdict::Pays { payment: PaymentId::new("pay-1").unwrap(), rule };
        let verdicts = [
            (pays(MatchRule::Exact), "payment_id=pay-1", "verdict=\"pays\" rule=\"exact\""),
            (
                pays(MatchRule::Tolerance { off_by: Amount::from_base_units(3) }),
                "payment_id=pay-1",
                "rule=\"tolerance\"",
            ),
            (Verdict::Nothing { why: NothingReason::ZeroValue }, "", "verdict=\"nothing\" rule=\"zero_value\""),
            (
                Verdict::Review { why: ReviewReason::Under { missing: Amount::from_base_units(3) } },
                "",
                "verdict=\"review\" rule=\"under\"",
            ),
            (Verdict::Ignored { reason: "said in the open".to_owned() }, "", "verdict=\"ignored\""),
        ];
        let hash = B256::repeat_byte(0x71).to_string();
        for (verdict, payment, words) in verdicts {
            let said = lines(vec![EventKind::DepositJudged { verdict }]).concat();
            assert!(said.contains(payment) && said.contains(words) && said.contains(&hash), "{said}");
            assert!(!said.contains('{') && !said.contains("base units") && !said.contains("in the open"), "{said}");
        }
        let block = BlockRef { number: 77, hash: B256::repeat_byte(0xb1) };
        let standing = BlockStatus::Final { at: Timestamp::EPOCH };
        let said = lines(vec![EventKind::DepositStands { standing, block, canonical: None, made_at: None }]).concat();
        assert!(said.contains("block=77 standing=\"final\"") && said.contains(&hash), "{said}");
        assert!(!said.contains("Timestamp"), "{said}");
    }

    #[test]
    fn an_alarm_names_its_deposit() {
        let said = lines(vec![EventKind::Alarm { alarm: Alarm::LogWithheld }]).concat();
        let (tx, block) = (B256::repeat_byte(0x71).to_string(), B256::repeat_byte(0xb1).to_string());
        assert!(said.contains("ERROR") && said.contains("alarm=\"log_withheld\""), "{said}");
        assert!(said.contains(&tx) && said.contains(&block) && said.contains("log_index=9"), "{said}");
    }

    #[test]
    fn a_deposit_is_logged_with_its_amount_in_base_units() {
        let transfer = crate::domain::chain::Transfer {
            token: Address::repeat_byte(0xaa),
            from: Address::repeat_byte(1),
            to: Address::repeat_byte(2),
            amount: Amount::from_base_units(1_000_500_000),
            block: BlockRef { number: 77, hash: B256::repeat_byte(0xb1) },
            tx_hash: B256::repeat_byte(0x71),
            log_index: 9,
            block_time: None,
        };
        let (time, now) = (Timestamp::EPOCH, Timestamp::EPOCH);
        let deposit = crate::domain::deposit::Deposit::from_transfer(137, &transfer, time, now);
        let reading = crate::domain::event::Reading::Sweep;
        let said = lines(vec![EventKind::DepositSeen { deposit: Box::new(deposit), reading }]).concat();
        assert!(said.contains("block=77") && said.contains("base_units=1000500000"), "{said}");
        assert!(said.contains(&format!("token={}", Address::repeat_byte(0xaa))), "{said}");
    }
}
