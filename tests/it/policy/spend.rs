//! Who is funded, how much, and who must approve: every limit at its edge, every refusal with its words.

use std::collections::BTreeSet;

use rampwatch::domain::actor::Actor;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Address;
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{
    ApprovalReason, CancelReason, Effect, Order, OrderId, OrderOutcome, OrderState, Placer, UnsentReason,
};
use rampwatch::domain::payment::{ApiStatus, BankAccountId, Outcome, Payment, PaymentState, Provenance, RecipientId};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::domain::wallet::Wallet;
use rampwatch::policy::rules::{Limit, RuleBroken, SpendLimits};
use rampwatch::policy::spend::{Granted, SpendRefusal, Spending, Wish, authorize, window_now};

use super::orders::*;
use super::samples::*;

pub(super) const DAY: u64 = 86_400;
/// How far the chain's clock and ours may be apart.
pub(super) const SKEW: Span = Span::from_secs(120);
/// A moment with more than a day before it.
pub(super) const LATER: u64 = 1_000_000;

/// Everything a wish is decided with.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) payment: Payment,
    pub(super) orders: Vec<Order>,
    pub(super) window: Vec<Order>,
    pub(super) newest: Option<Timestamp>,
    pub(super) wallet: Option<Wallet>,
    pub(super) by: Placer,
    pub(super) placer: Option<Actor>,
    pub(super) shown: Option<(Address, Amount)>,
    pub(super) now: Timestamp,
    pub(super) limits: SpendLimits,
}

pub(super) fn units(units: u128) -> Amount {
    Amount::from_base_units(units)
}

pub(super) fn account(name: &str) -> BankAccountId {
    BankAccountId::new(name).unwrap()
}

pub(super) fn limits() -> SpendLimits {
    SpendLimits {
        enabled: true,
        auto: true,
        auto_max_per_day: Some(units(ASKED * 4)),
        max_per_payment: units(ASKED * 2),
        max_per_day: units(ASKED * 5),
        max_per_recipient: units(ASKED * 3),
        approval_above: units(ASKED),
        approval_above_per_day: units(ASKED * 3),
        allowed_recipients: BTreeSet::new(),
        allowed_bank_accounts: BTreeSet::new(),
        allowed_addresses: BTreeSet::new(),
        min_time_left: Span::from_secs(600),
    }
}

/// A wish of a person that is granted, and of the automatic mode as well.
pub(super) fn scene() -> Scene {
    let mut payment = payment("p");
    payment.terms.expires_at = Some(at(LATER + 3_600));
    payment.terms.address_from = Provenance::Created;
    payment.terms.amount_from = Provenance::Created;
    Scene {
        payment,
        orders: Vec::new(),
        window: Vec::new(),
        newest: Some(at(LATER)),
        wallet: Some(wallet()),
        by: Placer::Person,
        placer: Some(alice()),
        shown: Some((HOME, units(ASKED))),
        now: at(LATER),
        limits: limits(),
    }
}

impl Scene {
    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn auto(self) -> Self {
        Self { by: Placer::Auto, shown: None, ..self }
    }

    /// The window's clock.
    pub(super) fn clock(&self) -> Timestamp {
        window_now(self.wallet.as_ref(), self.newest, self.now, SKEW)
    }

    pub(super) fn decide(&self) -> Result<Granted, SpendRefusal> {
        let booked = self.wallet.as_ref().map(|wallet| wallet.booked.clone()).unwrap_or_default();
        let wish = Wish {
            payment: &self.payment,
            orders: &self.orders,
            spending: Spending { orders: &self.window, booked: &booked, at: self.clock() },
            wallet: self.wallet.as_ref(),
            by: self.by,
            placer: self.placer.as_ref().filter(|_| self.by == Placer::Person),
            shown: self.shown,
            now: self.now,
        };
        authorize(&wish, &self.limits)
    }
}

/// An order of the window, paid by a block of this moment.
pub(super) fn spent(name: &str, amount: u128, mined_at: Timestamp) -> Order {
    let paid = ended(OrderOutcome::Paid { tx_hash: tx(1), block: block(1_500), log_index: 3 });
    Order { amount: units(amount), placed_at: at(1), spent_at: Some(mined_at), ..order_in(name, paid) }
}

pub(super) fn to_another(order: Order) -> Order {
    Order { recipient_id: RecipientId::new("another").unwrap(), ..order }
}

pub(super) fn by_auto(order: Order) -> Order {
    Order { placed_by: Placer::Auto, placed_by_name: None, ..order }
}

pub(super) fn to_typed(order: Order) -> Order {
    Order { recipient_from: Some(Provenance::Typed), ..order }
}

fn turn(turn: u32, state: OrderState) -> Order {
    Order { id: OrderId { payment: id("p"), turn }, ..order_in("p", state) }
}

/// Which refusal it is. Whoever adds one must add its case to the table.
const fn number(refusal: &SpendRefusal) -> usize {
    match refusal {
        SpendRefusal::Off => 0,
        SpendRefusal::Rule(RuleBroken::AutoOff) => 1,
        SpendRefusal::Open { .. } => 2,
        SpendRefusal::Funded { .. } => 3,
        SpendRefusal::NotAgainByItself { .. } => 4,
        SpendRefusal::NotWaiting { .. } => 5,
        SpendRefusal::NotAsShown { .. } => 6,
        SpendRefusal::OtherSender { .. } => 7,
        SpendRefusal::ForbiddenAddress { .. } => 8,
        SpendRefusal::Rule(RuleBroken::Over { limit: Limit::Payment, .. }) => 9,
        SpendRefusal::Rule(RuleBroken::Over { limit: Limit::Day, .. }) => 10,
        SpendRefusal::Rule(RuleBroken::Over { limit: Limit::Recipient(_), .. }) => 11,
        SpendRefusal::Rule(RuleBroken::Recipient { .. }) => 12,
        SpendRefusal::Rule(RuleBroken::BankAccount { .. }) => 13,
        SpendRefusal::Rule(RuleBroken::NotForAuto { .. }) => 14,
        SpendRefusal::TimeShort { .. } => 15,
        SpendRefusal::OtherChain { .. } => 16,
        SpendRefusal::Rule(RuleBroken::AutoUnlimited) => 17,
        SpendRefusal::Rule(RuleBroken::Over { limit: Limit::Auto, .. }) => 18,
        SpendRefusal::Rule(RuleBroken::Over { limit: Limit::TypedRecipients, .. }) => 19,
        SpendRefusal::Rule(RuleBroken::RecipientTyped { .. }) => 20,
        SpendRefusal::Rule(RuleBroken::Address { .. }) => 21,
    }
}

const REFUSALS: usize = 22;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// One wish for each refusal that is no rule's, and what its words must name.
fn refused_for_what_it_is() -> Vec<(Scene, Vec<String>)> {
    let base = scene;
    vec![
        (base().with(|it| it.limits.enabled = false), words(&["funding.enabled"])),
        (base().auto().with(|it| it.limits.auto = false), words(&["funding.auto"])),
        (base().with(|it| it.orders = vec![turn(1, sending())]), words(&["p:1", "sending"])),
        (base().with(|it| it.orders = vec![turn(1, ended(outcomes()[0].clone()))]), words(&["p:1", "funded"])),
        (
            base().auto().with(|it| it.orders = vec![turn(1, ended(outcomes()[1].clone()))]),
            words(&["p:1", "self-sent", "a person"]),
        ),
        (base().with(|it| it.payment.api = Some(view(ApiStatus::Expired, None))), words(&["waiting", "EXPIRED"])),
        (base().with(|it| it.shown = Some((HOME, units(ASKED - 1)))), vec![ASKED.to_string(), HOME.to_string()]),
        (base().with(|it| it.payment.terms.sender = Some(ALICE)), vec![ALICE.to_string(), WALLET.to_string()]),
        (
            base().with(|it| {
                it.payment.terms.deposit_address = USDC;
                it.shown = None;
            }),
            vec![USDC.to_string(), "the token itself".to_owned()],
        ),
        (
            base().with(|it| it.payment.terms.expires_at = Some(at(LATER + 599))),
            words(&["599 s", "600 s", "funding.min_time_left"]),
        ),
        (base().with(|it| it.payment.terms.chain_id = 80_002), words(&["80002", "137"])),
    ]
}

fn refused_by_rules() -> Vec<(Scene, Vec<String>)> {
    let base = scene;
    vec![
        (
            base().with(|it| it.limits.max_per_payment = units(ASKED - 1)),
            vec![ASKED.to_string(), (ASKED - 1).to_string(), "funding.max_per_payment".to_owned()],
        ),
        (
            base().with(|it| it.window = vec![to_another(spent("q", ASKED * 4 + 1, at(LATER)))]),
            vec![ASKED.to_string(), (ASKED * 4 + 1).to_string(), (ASKED * 5).to_string(), "max_per_day".to_owned()],
        ),
        (
            base().with(|it| it.window = vec![spent("q", ASKED * 2 + 1, at(LATER))]),
            vec![
                ASKED.to_string(),
                (ASKED * 2 + 1).to_string(),
                (ASKED * 3).to_string(),
                "recipient recipient".to_owned(),
                "max_per_recipient".to_owned(),
            ],
        ),
        (
            base().with(|it| it.limits.allowed_recipients = [RecipientId::new("another").unwrap()].into()),
            words(&["recipient recipient", "funding.allowed_recipients"]),
        ),
        (
            base().with(|it| {
                it.limits.allowed_bank_accounts = [account("home")].into();
                it.payment.terms.bank_account = Some(account("away"));
            }),
            words(&["away", "funding.allowed_bank_accounts"]),
        ),
        (
            base().auto().with(|it| it.payment.terms.amount_from = Provenance::Api),
            words(&["not known", "created itself", "funding.allowed_bank_accounts"]),
        ),
        (base().auto().with(|it| it.limits.auto_max_per_day = None), words(&["automatic", "funding.auto_max_per_day"])),
        (
            base().auto().with(|it| it.window = vec![to_another(by_auto(spent("q", ASKED * 3 + 1, at(LATER))))]),
            vec![(ASKED * 3 + 1).to_string(), (ASKED * 4).to_string(), "funding.auto_max_per_day".to_owned()],
        ),
        (
            base().with(|it| {
                it.payment.terms.recipient_from = Some(Provenance::Typed);
                it.window = vec![to_another(to_typed(spent("q", ASKED * 2 + 1, at(LATER))))];
            }),
            vec![(ASKED * 2 + 1).to_string(), "typed".to_owned(), "funding.max_per_recipient".to_owned()],
        ),
        (
            base().with(|it| {
                it.payment.terms.recipient_from = Some(Provenance::Typed);
                it.limits.allowed_recipients = [RecipientId::new("recipient").unwrap()].into();
            }),
            words(&["recipient recipient", "typed", "funding.allowed_recipients"]),
        ),
        (
            base().with(|it| it.limits.allowed_addresses = [BOB].into()),
            vec![HOME.to_string(), "allowed_addresses".into()],
        ),
    ]
}

#[test]
fn each_refusal_names_its_limit_and_its_figures() {
    let mut seen = BTreeSet::new();
    for (scene, words) in [refused_for_what_it_is(), refused_by_rules()].concat() {
        let refusal = scene.decide().unwrap_err();
        let text = refusal.to_string();
        for word in words {
            assert!(text.contains(&word), "{word:?} in {text:?}");
        }
        seen.insert(number(&refusal));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), (0..REFUSALS).collect::<Vec<_>>(), "every refusal has its case");
}

#[test]
fn a_wish_that_nothing_forbids_is_granted_with_its_figures() {
    let window = vec![spent("q", 7, at(LATER - 5)), to_another(spent("r", 11, at(LATER - 4)))];
    let granted = scene().with(|it| it.window = window).decide().unwrap();
    assert_eq!(granted.id.to_string(), "p:1");
    assert_eq!(granted.left.per_payment, units(ASKED * 2));
    assert_eq!(granted.left.per_day, units(ASKED * 5 - 18));
    assert_eq!(granted.left.per_recipient, units(ASKED * 3 - 7), "another recipient's does not count");
    assert_eq!(granted.approval, None);
    assert_eq!(scene().auto().decide().unwrap().approval, None);
}

#[test]
fn a_limit_is_reached_to_the_unit_and_not_passed() {
    let day = |amount| scene().with(|it| it.window = vec![to_another(spent("q", amount, at(LATER)))]).decide().is_ok();
    assert!(day(ASKED * 4));
    assert!(!day(ASKED * 4 + 1));
    let recipient = |amount| scene().with(|it| it.window = vec![spent("q", amount, at(LATER))]).decide().is_ok();
    assert!(recipient(ASKED * 2));
    assert!(!recipient(ASKED * 2 + 1));
    let payment = |limit| scene().with(|it| it.limits.max_per_payment = units(limit)).decide().is_ok();
    assert!(payment(ASKED));
    assert!(!payment(ASKED - 1));
    let left = |secs| scene().with(|it| it.payment.terms.expires_at = Some(at(LATER + secs))).decide().is_ok();
    assert!(left(600));
    assert!(!left(599));
    let gone = scene().with(|it| it.payment.terms.expires_at = Some(at(LATER - 1))).decide();
    assert_eq!(gone, Err(SpendRefusal::TimeShort { left_s: 0, least_s: 600 }));
}

#[test]
fn time_left_goes_by_the_clock_and_not_by_the_windows() {
    let ahead = scene().with(|it| it.wallet = Some(Wallet { clock: at(LATER + DAY), ..wallet() }));
    assert!(ahead.decide().is_ok());
    let unknown = scene().with(|it| it.payment.terms.expires_at = None);
    assert_eq!(unknown.decide().unwrap().approval, Some(ApprovalReason::ExpiryUnknown));
}

#[test]
fn who_must_approve() {
    use ApprovalReason::{AboveAmount, ExpiryUnknown, TypedAddress, TypedAmount};
    use Provenance::{Api, Created, Typed};
    let above = AboveAmount { limit: units(ASKED) };
    for (address, amount, asked, expiry, expected) in [
        (Created, Created, ASKED, true, None),
        (Api, Api, ASKED, true, None),
        (Api, Api, ASKED + 1, true, Some(above)),
        (Api, Api, 1, false, Some(ExpiryUnknown)),
        (Typed, Api, 1, true, Some(TypedAddress)),
        (Api, Typed, 1, true, Some(TypedAmount)),
        (Typed, Typed, ASKED + 1, false, Some(TypedAddress)),
        (Created, Typed, ASKED + 1, false, Some(TypedAmount)),
        (Created, Created, ASKED + 1, false, Some(ExpiryUnknown)),
    ] {
        let case = scene().with(|it| {
            let terms = &mut it.payment.terms;
            (terms.address_from, terms.amount_from, terms.amount) = (address, amount, units(asked));
            terms.expires_at = terms.expires_at.filter(|_| expiry);
            it.shown = None;
        });
        assert_eq!(case.decide().unwrap().approval, expected, "{address:?} {amount:?} {asked} {expiry}");
        let listed = case.auto().with(|it| {
            it.payment.terms.bank_account = Some(account("home"));
            it.limits.allowed_bank_accounts = [account("home")].into();
        });
        assert_eq!(listed.decide().unwrap().approval, expected, "whoever places it");
    }
}

#[test]
fn the_automatic_mode_funds_its_own_payments_and_listed_accounts_only() {
    use Provenance::{Api, Created, Typed};
    for (address, amount, bank, list, expected) in [
        (Created, Created, None, vec![], true),
        (Created, Created, Some("home"), vec!["home"], true),
        // A list that is there counts for every payment.
        (Created, Created, None, vec!["home"], false),
        (Created, Created, Some("away"), vec!["home"], false),
        (Created, Api, None, vec![], false),
        (Api, Created, None, vec![], false),
        (Api, Api, None, vec![], false),
        (Api, Api, Some("home"), vec![], false),
        (Api, Api, Some("home"), vec!["home"], true),
        (Typed, Typed, None, vec![], false),
    ] {
        let case = scene().auto().with(|it| {
            let terms = &mut it.payment.terms;
            (terms.address_from, terms.amount_from) = (address, amount);
            terms.bank_account = bank.map(account);
            it.limits.allowed_bank_accounts = list.iter().map(|name| account(name)).collect();
        });
        assert_eq!(case.decide().is_ok(), expected, "{address:?} {amount:?} {bank:?} {list:?}");
    }
}

#[test]
fn the_next_order_comes_only_after_the_last_moved_nothing_for_good() {
    let after = |outcome: &OrderOutcome| scene().with(|it| it.orders = vec![turn(1, ended(outcome.clone()))]);
    for outcome in outcomes() {
        let person = after(&outcome).decide();
        let auto = after(&outcome).auto().decide();
        match &outcome {
            OrderOutcome::Paid { .. } => {
                assert!(matches!(person, Err(SpendRefusal::Funded { .. })));
                assert!(matches!(auto, Err(SpendRefusal::Funded { .. })));
            }
            OrderOutcome::Unsent { why: UnsentReason::NotPayable { .. } }
            | OrderOutcome::SelfSent { why: CancelReason::Hold { .. }, .. } => {
                assert_eq!((person.unwrap().id.turn, auto.unwrap().id.turn), (2, 2));
            }
            OrderOutcome::SelfSent { why: CancelReason::Person { .. }, .. }
            | OrderOutcome::Reverted { .. }
            | OrderOutcome::MovedNothing { .. }
            | OrderOutcome::Displaced { .. }
            | OrderOutcome::Unsent {
                why:
                    UnsentReason::Rejected { .. } | UnsentReason::Cancelled { .. } | UnsentReason::ApprovalExpired { .. },
            } => {
                assert_eq!(person.unwrap().id.turn, 2);
                let outcome = outcome.name();
                assert_eq!(auto, Err(SpendRefusal::NotAgainByItself { id: turn(1, sending()).id, outcome }));
            }
        }
    }
    let held = OrderState::Held { why: Hold::TokenPaused };
    let waits = mined(1, Effect::Reverted, None);
    for state in [awaiting(), OrderState::Ready, held, sending(), cancelling(), waits] {
        let name = state.name();
        for case in [scene(), scene().auto()] {
            let got = case.with(|it| it.orders = vec![turn(1, state.clone())]).decide();
            assert_eq!(got, Err(SpendRefusal::Open { id: turn(1, sending()).id, state: name }));
        }
    }
}

#[test]
fn every_order_of_the_payment_counts_not_only_the_last() {
    let over = || ended(outcomes()[7].clone());
    let paid = || ended(outcomes()[0].clone());
    let of = |orders| scene().with(|it| it.orders = orders).decide();
    assert!(matches!(of(vec![turn(1, paid()), turn(2, over())]), Err(SpendRefusal::Funded { id }) if id.turn == 1));
    assert!(
        matches!(of(vec![turn(2, over()), turn(1, sending())]), Err(SpendRefusal::Open { id, .. }) if id.turn == 1)
    );
    assert_eq!(of(vec![turn(2, over()), turn(1, over())]).unwrap().id.turn, 3, "in whatever order they come");
}

#[test]
fn the_automatic_mode_does_not_place_orders_for_ever() {
    // What ends the order before it is signed may be there again each time: a sender that only the API names.
    let over = |number| turn(number, ended(outcomes()[7].clone()));
    let auto = |orders| scene().auto().with(|it| it.orders = orders).decide();
    assert_eq!(auto(vec![over(1), over(2)]).unwrap().id.turn, 3);
    let third = auto(vec![over(1), over(2), over(3)]);
    assert_eq!(third, Err(SpendRefusal::NotAgainByItself { id: over(3).id, outcome: "unsent" }));
    let reverted = Order { reverts: 1, ..over(1) };
    assert!(matches!(auto(vec![reverted.clone()]), Err(SpendRefusal::NotAgainByItself { .. })), "it was sent once");
    let person = scene().with(|it| it.orders = vec![over(1), over(2), over(3), Order { reverts: 2, ..over(4) }]);
    assert_eq!(person.decide().unwrap().id.turn, 5);
}

#[test]
fn only_a_payment_that_waits_is_funded() {
    let key = deposit(1, ASKED).key;
    let of = |state: PaymentState, api| {
        scene()
            .with(|it| {
                it.payment.state = state;
                it.payment.api = api;
            })
            .decide()
            .is_ok()
    };
    assert!(of(PaymentState::Waiting, None));
    assert!(of(PaymentState::Waiting, Some(view(ApiStatus::AwaitingFunds, None))));
    assert!(!of(PaymentState::Waiting, Some(view(ApiStatus::AwaitingFunds, Some("0x1")))));
    for status in ["PENDING", "PROCESSING", "SENT", "COMPLETED", "FAILED", "EXPIRED", "REFUNDED", "ODD"] {
        assert!(!of(PaymentState::Waiting, Some(view(ApiStatus::from(status.to_owned()), None))), "{status}");
    }
    for state in [
        PaymentState::Seen { deposit: key },
        PaymentState::Due { deposit: key, attempt: 0 },
        PaymentState::Calling { deposit: key, attempt: 1, started_at: at(NOW) },
        PaymentState::Unclear { deposit: key, attempt: 1, refusal: None },
        PaymentState::Following { deposit: None },
        PaymentState::Ended { outcome: Outcome::Cancelled, at: at(NOW) },
        PaymentState::Review { why: rampwatch::domain::payment::PaymentReview::NotFound, deposit: None },
    ] {
        assert!(!of(state.clone(), Some(view(ApiStatus::AwaitingFunds, None))), "{state:?}");
    }
}

#[test]
fn what_was_shown_is_what_is_sent() {
    let of = |shown| scene().with(|it| it.shown = shown).decide();
    assert!(of(None).is_ok());
    assert!(of(Some((HOME, units(ASKED)))).is_ok());
    for shown in [(ALICE, units(ASKED)), (HOME, units(ASKED + 1)), (HOME, Amount::ZERO)] {
        assert_eq!(of(Some(shown)), Err(SpendRefusal::NotAsShown { to: HOME, amount: units(ASKED) }));
    }
}

#[test]
fn addresses_that_are_never_paid() {
    let of = |to| {
        scene()
            .with(|it| {
                it.payment.terms.deposit_address = to;
                it.shown = None;
            })
            .decide()
    };
    for (to, what) in [(Address::ZERO, "the zero address"), (USDC, "the token itself"), (WALLET, "the wallet itself")] {
        assert_eq!(of(to), Err(SpendRefusal::ForbiddenAddress { to, what }));
    }
    assert!(of(BOB).is_ok());
    let named = scene().with(|it| it.payment.terms.sender = Some(WALLET));
    assert!(named.decide().is_ok(), "it names the wallet");
}
