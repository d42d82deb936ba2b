//! The wallet of one seed: what it has, by which rules it spends, and what befalls it. Drawn once, from a stream of its
//! own, so that worlds without a wallet are what they were.

use std::collections::BTreeSet;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Address;
use rampwatch::domain::payment::{BankAccountId, RecipientId};
use rampwatch::domain::time::Span;
use rampwatch::domain::wei::Wei;
use rampwatch::engine::FundingRules;
use rampwatch::policy::fees::FeeParams;
use rampwatch::policy::order_machine::FundingPace;
use rampwatch::policy::preflight::PreflightParams;
use rampwatch::policy::rules::SpendLimits;

use super::super::plan::{Planned, Story};
use super::super::rng::Rng;
use super::super::settings::WHOLE;
use super::fortune::{Fortunes, GWEI};

/// Wei in a whole native coin.
const COIN: u128 = 1_000_000_000_000_000_000;

/// The figures of one wallet.
#[derive(Clone, Debug)]
pub(crate) struct WalletSettings {
    /// Its address.
    pub(crate) address: Address,
    /// How many transactions it had sent before the simulation begins.
    pub(crate) nonce: u64,
    /// What it has of the token, in base units.
    pub(crate) balance: u128,
    /// What it has of the native coin, in wei.
    pub(crate) native: u128,
    /// What it goes by.
    pub(crate) rules: FundingRules,
    /// Broadcasts to one endpoint that go wrong, out of a thousand, while there is chaos.
    pub(crate) send_faults: u64,
    /// Signatures that fail, out of a thousand, while there is chaos.
    pub(crate) signer_faults: u64,
    /// Blocks with which some pool forgets, out of a thousand, while there is chaos.
    pub(crate) forgets: u64,
    /// Blocks that take nothing of the wallet, out of a thousand, while there is chaos.
    pub(crate) full: u64,
    /// Blocks with a transaction of the wallet close below them that a reorg takes off, out of a thousand, likewise.
    pub(crate) reorgs: u64,
    /// Payments that are left to the wallet, out of a thousand.
    pub(crate) left_to_it: u64,
    /// What befalls it.
    pub(crate) fortunes: Fortunes,
    /// From which life on the rules are tighter, and what they are then.
    pub(crate) tightened: Option<(u64, SpendLimits)>,
}

/// The bank account of a recipient, as the API tells it.
pub(crate) fn bank_account(recipient: &RecipientId) -> BankAccountId {
    BankAccountId::new(format!("bank-{recipient}")).expect("an id")
}

impl WalletSettings {
    /// Draws the wallet of a seed; not every world has one.
    pub(crate) fn draw(seed: u64, chaos: Span, payments: u64, calm: bool) -> Option<Self> {
        let mut rng = Rng::stream(seed, "wallet");
        rng.permille(620).then(|| Self::draw_from(&mut rng, chaos, payments, calm))
    }

    /// The wallet of a world that cannot do without one.
    pub(crate) fn surely(seed: u64, chaos: Span, payments: u64, calm: bool) -> Self {
        Self::draw_from(&mut Rng::stream(seed, "the wallet"), chaos, payments, calm)
    }

    /// So little may be spent in a day that a second day matters; and it is the wallet that pays.
    pub(crate) fn with_tight_limits(mut self, rng: &mut Rng, chaos: Span) -> Self {
        let limits = &mut self.rules.limits;
        limits.max_per_payment = Amount::from_base_units(2_100 * WHOLE);
        limits.max_per_day = Amount::from_base_units(u128::from(rng.range(2_100, 3_200)) * WHOLE);
        limits.max_per_recipient = limits.max_per_day;
        limits.allowed_recipients.clear();
        let listed = (0..4).map(|number| RecipientId::new(format!("rec-{number}")).expect("an id"));
        limits.allowed_bank_accounts =
            if limits.auto { listed.map(|recipient| bank_account(&recipient)).collect() } else { BTreeSet::new() };
        if rng.permille(600) {
            limits.approval_above = Amount::ZERO;
        }
        // In half of these worlds an approval may come after a month.
        if rng.permille(500) {
            self.rules.pace.approval_valid_for = Span::from_secs(40 * 86_400);
        }
        if rng.permille(600) {
            self.fortunes = Fortunes::default().mended(chaos, 100_000 * WHOLE, 50 * COIN);
        }
        self.left_to_it = 1_000;
        self.tightened = None;
        Self { balance: 40_000 * WHOLE, native: 20 * COIN, ..self }
    }

    fn draw_from(rng: &mut Rng, chaos: Span, payments: u64, calm: bool) -> Self {
        let rules = draw_rules(rng);
        let fortunes = Fortunes::draw(rng, chaos, payments);
        let fortunes = if calm { Fortunes::default() } else { fortunes };
        let poor = rng.permille(200);
        let balance = if poor { rng.range(0, 3_000) } else { rng.range(6_000, 40_000) };
        let out_of_fuel = rng.permille(120);
        let drawn = Self {
            address: rng.address(),
            nonce: if rng.permille(120) { rng.range(1, 40) } else { 0 },
            balance: u128::from(balance) * WHOLE,
            native: if out_of_fuel { COIN / 20 * u128::from(rng.below(15)) } else { 20 * COIN },
            send_faults: rng.below(350),
            signer_faults: rng.below(120),
            forgets: rng.below(20),
            full: *rng.pick(&[300, 800, 930, 970]),
            reorgs: *rng.pick(&[0, 20, 80, 200]),
            left_to_it: rng.range(500, 950),
            fortunes: fortunes.mended(chaos, 100_000 * WHOLE, 50 * COIN),
            rules,
            tightened: None,
        };
        let limits = drawn.rules.limits.clone();
        let tightened = (!calm && rng.permille(300)).then(|| (rng.range(2, 4), tighter(rng, limits)));
        Self { tightened, ..drawn }
    }

    /// The rules in force in a life.
    pub(crate) fn limits_in(&self, life: u64) -> &SpendLimits {
        let tightened = self.tightened.as_ref().filter(|(from, _)| life >= *from);
        tightened.map_or(&self.rules.limits, |(_, limits)| limits)
    }

    /// Leaves some payments to the wallet: nobody else pays those.
    pub(crate) fn takes_on(&self, planned: &mut Planned, rng: &mut Rng) {
        if rng.permille(self.left_to_it) && planned.story != Story::Early {
            planned.story = Story::Never;
            if rng.permille(350) {
                planned.expires_at = Some(planned.create_at.plus(Span::from_secs(rng.range(250, 500))));
            }
            planned.sender =
                planned.sender.filter(|_| rng.permille(150)).or_else(|| rng.permille(200).then_some(self.address));
        }
    }
}

/// The same rules, one of them tighter.
fn tighter(rng: &mut Rng, limits: SpendLimits) -> SpendLimits {
    let half = |amount: Amount| Amount::from_base_units(amount.base_units() / 2);
    let recipient = RecipientId::new(format!("rec-{}", rng.below(4))).expect("an id");
    match rng.below(5) {
        0 => SpendLimits { allowed_recipients: [recipient].into(), ..limits },
        1 => SpendLimits { allowed_bank_accounts: [bank_account(&recipient)].into(), ..limits },
        2 => SpendLimits { max_per_payment: half(limits.max_per_payment), ..limits },
        3 => SpendLimits { approval_above: Amount::ZERO, ..limits },
        _ => SpendLimits { max_per_day: limits.max_per_payment, ..limits },
    }
}

fn draw_rules(rng: &mut Rng) -> FundingRules {
    let whole = |units: u64| Amount::from_base_units(u128::from(units) * WHOLE);
    let max_per_payment = rng.range(800, 2_600);
    let per_day = if rng.permille(300) { rng.range(max_per_payment, 4_000.max(max_per_payment)) } else { 30_000 };
    let per_recipient = if rng.permille(300) { rng.range(max_per_payment, 5_000) } else { 30_000 };
    let recipient = |number: u64| RecipientId::new(format!("rec-{number}")).expect("an id");
    let some = |rng: &mut Rng| -> BTreeSet<RecipientId> { (0..rng.range(1, 4)).map(recipient).collect() };
    let auto = rng.permille(500);
    let allowed_recipients = if rng.permille(100) { some(rng) } else { BTreeSet::new() };
    let listed = if rng.permille(if auto { 600 } else { 60 }) { some(rng) } else { BTreeSet::new() };
    let min_time_left = Span::from_secs(rng.range(90, 200));
    let limits = SpendLimits {
        enabled: true,
        auto,
        // What the automatic mode places is bounded besides: sometimes tightly.
        auto_max_per_day: Some(whole(if rng.permille(300) { rng.range(1_000, 6_000) } else { 30_000 })),
        max_per_payment: whole(max_per_payment),
        max_per_day: whole(per_day),
        max_per_recipient: whole(per_recipient),
        approval_above: whole(rng.range(0, 2_000)),
        approval_above_per_day: whole(if rng.permille(300) { rng.range(500, 6_000) } else { 30_000 }),
        allowed_recipients,
        allowed_bank_accounts: listed.iter().map(bank_account).collect(),
        allowed_addresses: BTreeSet::new(),
        min_time_left,
    };
    let fees = FeeParams {
        tip_floor: Wei::from_gwei(30),
        ceiling: Wei::from_gwei(rng.range(150, 600)),
        gas_limit_max: rng.range(70_000, 150_000),
    };
    let preflight = PreflightParams {
        chain_name: "simulated".to_owned(),
        currency: "USDC".to_owned(),
        under: Amount::ZERO,
        min_time_left,
        reserve_token: whole(if rng.permille(300) { rng.below(500) } else { 0 }),
        reserve_native: Wei::new(GWEI * 500_000_000),
        fees,
    };
    let pace = FundingPace {
        hold_check: Span::from_secs(rng.range(10, 20)),
        bump_after: Span::from_secs(rng.range(8, 40)),
        rebroadcast_after: Span::from_secs(rng.range(10, 60)),
        poll_interval: Span::from_secs(rng.range(2, 6)),
        max_in_flight: usize::try_from(rng.range(1, 6)).expect("few"),
        approval_valid_for: Span::from_secs(86_400),
    };
    FundingRules { limits, preflight, pace }
}
