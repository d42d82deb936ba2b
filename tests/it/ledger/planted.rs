//! A world in which ledger, chain and payment API agree, and one difference after the other planted into it.

use std::sync::Arc;

use alloy::primitives::U256;
use rampwatch::adapters::evm::EvmChain;
use rampwatch::adapters::payment_http::{PaymentHttp, PaymentHttpSettings};
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256, BlockRef};
use rampwatch::domain::coverage::{Coverage, Swept};
use rampwatch::domain::deposit::{BlockStatus, Deposit, DepositKey, MatchRule, NothingReason, ReviewReason, Verdict};
use rampwatch::domain::order::{Order, OrderId, OrderOutcome, OrderState};
use rampwatch::domain::payment::{Outcome, Payment, PaymentId, PaymentState, RecipientId};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::domain::wallet::Wallet;
use rampwatch::outbound::Outbound;
use rampwatch::ports::store::{Commit, Store as _};
use rampwatch::sandbox::fake_api::{Change, FakeApi, FakeApiOptions, NewOffRamp, Told};
use rampwatch::service::books::{Books, PARTS, enter};
use rampwatch::service::export::Interval;
use rampwatch::service::reconcile::Auditor;
use rampwatch::view::reconcile::ReconcileView;
use secrecy::SecretString;

use crate::closed_loop::rig::{USDC, USDC_E, place, quick_evm, urls};
use crate::support::desk::{StillClock, engine_settings, handle_on, token_names};
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Account, Finalized, LogSpec, Node, NodeOptions, ScriptedChain, Token, tx_hash};
use crate::support::records::{CHAIN_ID, at, attempt, order, payment, payment_id, wallet, wallet_address};

/// The block before everything.
const BEFORE: u64 = 1_000_000;
/// What the wallet had then, in base units.
const OPENING: u128 = 1_000;
/// The API's key, which commands have in their environment.
const API_KEY: &str = "sk_dev_0123456789secret";
/// Somebody.
const STRANGER: Address = Address::repeat_byte(0x11);

/// Everything that there is on the three sides.
pub(crate) struct World {
    pub(crate) chain: ScriptedChain,
    pub(crate) node: Node,
    pub(crate) api: FakeApi,
    pub(crate) payments: Vec<Payment>,
    pub(crate) deposits: Vec<Deposit>,
    pub(crate) orders: Vec<Order>,
    pub(crate) wallet: Wallet,
    /// What the wallet has in the end.
    pub(crate) closing: u128,
    pub(crate) mined: u64,
}

fn amount(n: u64) -> Amount {
    Amount::from_base_units(u128::from(n))
}

/// The `n`th payment: `n` base units to the `n`th place.
fn expected(n: u64, state: PaymentState) -> Payment {
    let mut payment = Payment { state, recipient_id: RecipientId::new("recipient-1").unwrap(), ..payment(n) };
    (payment.terms.deposit_address, payment.terms.amount) = (place(n), amount(n));
    payment
}

const fn completed() -> PaymentState {
    PaymentState::Ended { outcome: Outcome::Completed, at: at_secs(90) }
}

/// So many seconds after the first record.
const fn at_secs(secs: u64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + secs * 1_000)
}

impl World {
    /// One payment that the wallet paid, one that a stranger paid, one that waits, and one whose deposit became final just
    /// now; the wallet was given some money.
    pub(crate) async fn agreeing() -> Self {
        let chain = ScriptedChain::new();
        for token in [USDC, USDC_E] {
            chain.set_token(token, Token::new("USDC", 6));
        }
        chain.set_finalized(Finalized::Below(4));
        let node = Node::start(&chain, NodeOptions::default());
        let api =
            FakeApi::start(FakeApiOptions { api_key: API_KEY.to_owned(), ..FakeApiOptions::default() }).await.unwrap();
        let mut world = Self {
            chain,
            node,
            api,
            payments: Vec::new(),
            deposits: Vec::new(),
            orders: Vec::new(),
            wallet: wallet(1),
            closing: OPENING,
            mined: 1,
        };
        let credit = Verdict::Nothing { why: NothingReason::WalletCredit };
        world.transfer(0x90, STRANGER, wallet_address(), 500, credit);
        let order_id = OrderId { payment: payment_id(1), turn: 1 };
        let own = Verdict::Pays { payment: payment_id(1), rule: MatchRule::OwnTransfer { order: order_id } };
        let paid = world.transfer(1, wallet_address(), place(1), 1, own);
        world.orders.push(paid_order(1, paid.key, paid.block_number));
        let exact = |n| Verdict::Pays { payment: payment_id(n), rule: MatchRule::Exact };
        world.transfer(2, STRANGER, place(2), 2, exact(2));
        let fresh = world.transfer(4, STRANGER, place(4), 4, exact(4)).key;
        world.deposits.last_mut().unwrap().standing =
            BlockStatus::Final { at: at(20_000_000).minus(Span::from_secs(60)) };
        // Anyone can make such a log in the wallet's name.
        world.chain.append(LogSpec::transfer(USDC, wallet_address(), STRANGER, 0).in_tx(tx_hash(0x91)));
        for (n, state) in [
            (1, completed()),
            (2, completed()),
            (3, PaymentState::Waiting),
            (4, PaymentState::Due { deposit: fresh, attempt: 0 }),
        ] {
            world.payments.push(expected(n, state));
            world.open(payment_id(n), place(n), n);
        }
        for n in [1, 2] {
            world.api.set(&payment_id(n), "COMPLETED", Some(&tx_hash(n).to_string())).unwrap();
        }
        world
    }

    /// Opens an off-ramp at the API.
    fn open(&self, id: PaymentId, to: Address, units: u64) {
        let new = NewOffRamp {
            id: Some(id),
            deposit_address: Some(to),
            amount: amount(units),
            created_at: Some(at(0)),
            expires_at: Some(Timestamp::from_secs(4_000_000_000)),
            ..NewOffRamp::default()
        };
        self.api.open(new).unwrap();
    }

    /// A transfer on the chain.
    fn log(&mut self, n: u64, from: Address, to: Address, units: u128) -> Deposit {
        let block = self.chain.append(LogSpec::transfer(USDC, from, to, units).in_tx(tx_hash(n)).at_index(3));
        if to == wallet_address() {
            self.closing += units;
        }
        if from == wallet_address() {
            self.closing -= units;
        }
        Deposit {
            key: DepositKey { chain_id: CHAIN_ID, block_hash: block.hash, tx_hash: tx_hash(n), log_index: 3 },
            version: 0,
            block_number: block.number,
            block_time: Timestamp::from_secs(block.time),
            token: USDC,
            from,
            to,
            amount: Amount::from_base_units(units),
            standing: BlockStatus::Final { at: at_secs(60) },
            verdict: Verdict::Unjudged,
            first_seen_at: at_secs(30),
            seen_by: None,
            final_by: None,
            tally: None,
        }
    }

    /// A transfer on the chain, and in the ledger with this verdict.
    fn transfer(&mut self, n: u64, from: Address, to: Address, units: u128, verdict: Verdict) -> Deposit {
        let deposit = Deposit { verdict, ..self.log(n, from, to, units) };
        self.deposits.push(deposit.clone());
        deposit
    }

    /// What the ledger says; every address is swept to the final block.
    pub(crate) fn ledger(&self) -> Commit {
        let covered_to = self.chain.head().number - 4;
        let swept = Swept { start: BEFORE + 1, covered_to, confirmed_to: covered_to, second_reading: None };
        let mut addresses: Vec<Address> =
            self.payments.iter().map(|payment| payment.terms.deposit_address).chain([wallet_address()]).collect();
        addresses.sort_unstable();
        addresses.dedup();
        // Some are let go already: what was read for them is compared all the same.
        let coverage = addresses.into_iter().map(|address| Coverage {
            address,
            version: 0,
            since: at(0),
            swept: Some(swept),
            watch_until: None,
            closed: address == place(2),
        });
        Commit {
            payments: self.payments.clone(),
            deposits: self.deposits.clone(),
            orders: self.orders.clone(),
            wallet: Some(self.wallet.clone()),
            coverage: coverage.collect(),
            ..Commit::default()
        }
    }

    /// Ends the story on the chain: what was planted becomes final, and the nodes say what the wallet has.
    pub(crate) fn settle(&self) {
        self.chain.append_empty(10);
        let last = self.chain.head().number - 4;
        let mut token = Token::new("USDC", 6);
        token.past.insert((BEFORE, wallet_address()), U256::from(OPENING));
        token.past.insert((last, wallet_address()), U256::from(self.closing));
        self.chain.set_token(USDC, token);
        let account = Account { balance: U256::from(1_u64), nonce: self.mined, waiting: 0 };
        self.chain.set_account(wallet_address(), account);
    }

    /// What a reconciliation finds.
    pub(super) async fn audit(&self, interval: &Interval) -> ReconcileView {
        self.settle();
        let store = MemoryStore::new();
        store.commit(self.ledger()).await.unwrap();
        let handle = handle_on(&store);
        let mut books = Books::default();
        for part in PARTS {
            let mut after: Option<String> = None;
            loop {
                let page = handle.books(part, after.as_deref(), 2).await.unwrap();
                page.items.into_iter().for_each(|entry| enter(&mut books, entry));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        self.auditor().audit(&books, interval, &|_| {}).await.unwrap()
    }

    fn auditor(&self) -> Auditor {
        let clock = Arc::new(StillClock);
        let settings = PaymentHttpSettings {
            base_url: self.api.base_url(),
            key: SecretString::from(self.api.api_key()),
            connect_timeout: Span::from_secs(5),
            timeout: Span::from_secs(30),
            decimals: 6,
            webhook_secret: None,
            outbound: Outbound::local(),
        };
        let api = Arc::new(PaymentHttp::new(settings, clock.clone()).unwrap());
        let chain = Arc::new(EvmChain::new(quick_evm(&[urls(&self.node)])).unwrap());
        let mut settings = (*engine_settings()).clone();
        (settings.token, settings.other_tokens) = (USDC, vec![USDC_E]);
        // Several readings, of which some have no address.
        settings.sweep.chunk = 5;
        Auditor {
            chain: chain.clone(),
            sender: chain,
            api: Some(api.clone()),
            off_ramp_api: Some(api),
            clock,
            settings: Arc::new(settings),
            tokens: token_names(),
        }
    }
}

/// An order of the `n`th payment that counts as paid by this log.
fn paid_order(n: u64, key: DepositKey, number: u64) -> Order {
    let block = BlockRef { number, hash: key.block_hash };
    let outcome = OrderOutcome::Paid { tx_hash: key.tx_hash, block, log_index: key.log_index };
    let mut signed = attempt(0, n);
    signed.tx_hash = key.tx_hash;
    Order {
        token: USDC,
        to: place(n),
        amount: amount(n),
        state: OrderState::Ended { outcome, at: at_secs(60) },
        attempts: vec![signed],
        next_at: None,
        ..order(n)
    }
}

/// A transaction that nobody knows.
fn other() -> B256 {
    tx_hash(0xdead)
}

pub(crate) type Plant = fn(&mut World);

/// Each difference, and how it comes about.
pub(crate) const PLANTS: [(&str, Plant); 20] = [
    ("deposit_missing_here", |world| drop(world.log(0x30, STRANGER, place(3), 5))),
    ("deposit_not_on_chain", |world| {
        let known = world.deposits.last().unwrap().clone();
        let key = DepositKey { tx_hash: other(), ..known.key };
        let verdict = Verdict::Ignored { reason: "it was a test".to_owned() };
        world.deposits.push(Deposit { key, verdict, ..known });
    }),
    ("deposit_differs", |world| world.deposits[2].amount = amount(3)),
    ("deposit_without_payment", |world| {
        let why = ReviewReason::Over { excess: amount(4) };
        drop(world.transfer(0x31, STRANGER, place(3), 7, Verdict::Review { why }));
    }),
    // By somebody who was once allowed to draw on it: its nonce stays the same.
    ("outflow_unexplained", |world| drop(world.log(0x32, wallet_address(), STRANGER, 7))),
    ("order_not_on_chain", |world| {
        let number = world.chain.head().number;
        let block_hash = world.chain.head().hash;
        let key = DepositKey { chain_id: CHAIN_ID, block_hash, tx_hash: other(), log_index: 0 };
        world.orders.push(paid_order(3, key, number));
    }),
    ("nonce_ahead", |world| world.mined = 2),
    ("nonce_gap", |world| world.wallet.next_nonce = 2),
    ("balance_differs", |world| world.closing += 1),
    ("unknown_here", |world| world.open(PaymentId::new("stray").unwrap(), place(9), 9)),
    ("unknown_there", |world| world.payments.push(expected(8, PaymentState::Waiting))),
    ("hash_twice", |world| world.api.set(&payment_id(1), "COMPLETED", Some(&tx_hash(2).to_string())).unwrap()),
    ("other_hash", |world| world.api.set(&payment_id(2), "COMPLETED", Some(&other().to_string())).unwrap()),
    ("api_amount_differs", |world| world.tell(3, Told { amount: Some(amount(30)), ..Told::default() })),
    ("api_address_differs", |world| world.tell(3, Told { deposit_address: Some(place(30)), ..Told::default() })),
    ("taken_there_open_here", |world| {
        world.api.set(&payment_id(3), "COMPLETED", Some(&other().to_string())).unwrap();
    }),
    ("ended_there_followed_here", |world| {
        let deposit = Some(world.deposits[2].key);
        world.payments[1].state = PaymentState::Following { deposit };
    }),
    ("ended_here_not_there", |world| {
        world.api.set(&payment_id(2), "FAILED", Some(&tx_hash(2).to_string())).unwrap();
    }),
    ("completed_without_deposit", |world| {
        world.deposits[2].verdict = Verdict::Ignored { reason: "a mistake".to_owned() };
    }),
    ("final_not_completed", |world| world.deposits[3].standing = BlockStatus::Final { at: at_secs(60) }),
];

impl World {
    fn tell(&self, n: u64, told: Told) {
        self.api.change(&payment_id(n), Change { told: Some(told), ..Change::default() }).unwrap();
    }
}

fn names(view: &ReconcileView) -> Vec<&str> {
    view.differences.iter().map(|difference| difference.name.as_str()).collect()
}

fn always() -> Interval {
    Interval::parse(None, None).unwrap()
}

#[tokio::test]
async fn what_agrees_has_no_difference() {
    let world = World::agreeing().await;
    let view = world.audit(&always()).await;
    assert_eq!(view.differences, [], "{view:#?}");
    assert_eq!(view.not_compared, [""; 0]);
    assert_eq!((view.payments_here, view.payments_there, view.addresses), (4, 4, 5));
    assert_eq!(view.deposits[0].ledger, view.deposits[0].chain);
    assert_eq!(view.deposits[0].chain.base_units, amount(7));
    let wallet = view.wallet.unwrap();
    assert_eq!((wallet.came.ledger, wallet.went.ledger), (wallet.came.chain.clone(), wallet.went.chain.clone()));
    let units = |view: &rampwatch::view::AmountView| view.base_units.base_units();
    assert_eq!((units(&wallet.came.chain), units(&wallet.went.chain)), (500, 1));
    assert_eq!((units(&wallet.before.unwrap()), units(&wallet.after.unwrap())), (OPENING, OPENING + 499));
}

#[tokio::test]
async fn each_planted_difference_is_found_and_nothing_else() {
    let mut planted = Vec::new();
    for (name, plant) in PLANTS {
        let mut world = World::agreeing().await;
        plant(&mut world);
        let view = world.audit(&always()).await;
        assert_eq!(names(&view), [name], "{:#?}", view.differences);
        let difference = &view.differences[0];
        assert_ne!(difference.ledger, difference.outside, "{name}");
        assert!(!difference.meaning.is_empty() && !difference.remedy.is_empty());
        let about = [
            difference.payment.as_ref().map(ToString::to_string),
            difference.deposit.as_ref().map(ToString::to_string),
            difference.address.clone(),
        ];
        assert!(about.iter().any(Option::is_some), "{name} is about something");
        planted.push(name);
    }
    let all: Vec<&str> = rampwatch::policy::reconcile::Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(planted, all, "each kind was planted");
}

#[tokio::test]
async fn all_at_once_are_all_found() {
    // Those that do not touch the same payment.
    let together =
        ["deposit_missing_here", "deposit_not_on_chain", "outflow_unexplained", "nonce_ahead", "unknown_here"];
    let mut world = World::agreeing().await;
    for (_, plant) in PLANTS.iter().filter(|(name, _)| together.contains(name)) {
        plant(&mut world);
    }
    assert_eq!(names(&world.audit(&always()).await), together);
}

#[tokio::test]
async fn an_interval_leaves_the_rest_out() {
    let mut world = World::agreeing().await;
    (PLANTS[0].1)(&mut world);
    (PLANTS[4].1)(&mut world);
    let planted = world.chain.head();
    let moment = |secs: u64| Timestamp::from_secs(secs);
    let before = Interval { from: Timestamp::EPOCH, to: moment(planted.time) };
    // The block before is the missing deposit's, two seconds earlier.
    assert_eq!(names(&world.audit(&before).await), ["deposit_missing_here"]);
    let after = Interval { from: moment(planted.time), to: Timestamp::FAR_FUTURE };
    assert_eq!(names(&world.audit(&after).await), ["outflow_unexplained"]);
    let earlier = Interval { from: Timestamp::EPOCH, to: moment(planted.time - 2) };
    assert_eq!(names(&world.audit(&earlier).await), [""; 0]);
}

#[tokio::test]
async fn one_transaction_may_pay_two_payments() {
    let mut world = World::agreeing().await;
    // Both deposits are logs of one transaction, as a batch makes them.
    let second = world.chain.append(LogSpec::transfer(USDC, STRANGER, place(3), 3).in_tx(tx_hash(2)).at_index(4));
    let template = world.deposits[2].clone();
    world.deposits.push(Deposit {
        key: DepositKey { block_hash: second.hash, log_index: 4, ..template.key },
        block_number: second.number,
        to: place(3),
        amount: amount(3),
        verdict: Verdict::Pays { payment: payment_id(3), rule: MatchRule::Exact },
        ..template
    });
    world.payments[2].state = completed();
    world
        .api
        .set(&payment_id(3), "COMPLETED", Some(&tx_hash(2).to_string().to_uppercase().replace("0X", "0x")))
        .unwrap();
    assert_eq!(names(&world.audit(&always()).await), [""; 0]);
}
