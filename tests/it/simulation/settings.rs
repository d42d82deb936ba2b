//! What one seed's world is like: drawn once, before anything happens.

use rampwatch::domain::chain::Address;
use rampwatch::domain::time::Span;
use rampwatch::engine::IntakeRules;

use super::clock::Leaps;
use super::intake;
use super::lies::flaps::Flaps;
use super::lies::settings::Danger;
use super::long_due::LongDue;
use super::only::Only;
use super::rng::Rng;
use super::wallet::rules::WalletSettings;

/// The chain's id in every simulation.
pub(super) const CHAIN_ID: u64 = 31_337;
/// Milliseconds between two blocks.
pub(super) const BLOCK_MILLIS: u64 = 1_500;
/// Blocks that are there before the simulation begins: 20 minutes of them.
pub(super) const HISTORY: u64 = 800;
/// Base units in a whole token.
pub(super) const WHOLE: u128 = 1_000_000;

/// Between two webhooks, in milliseconds, in most worlds.
const SELDOM: (u64, u64) = (300, 20_000);
/// The same where there are many.
const OFTEN: (u64, u64) = (100, 3_000);

/// The figures of one world.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The token that pays.
    pub(super) token: Address,
    /// A known token that does not pay.
    pub(super) other_token: Address,
    /// A token that nobody configured.
    pub(super) fake_token: Address,
    /// Whether finality is by the tag and the depth, or by the depth alone.
    pub(super) tag: bool,
    /// Blocks that must stand on top.
    pub(super) depth: u64,
    /// How far the tag follows behind the head, at least and at most.
    pub(super) tag_lag: (u64, u64),
    /// Below the amount by this much still pays.
    pub(super) tolerance_under: u128,
    /// Above the amount by this much still pays.
    pub(super) tolerance_over: u128,
    /// Between the chain's clock and the API's.
    pub(super) skew: Span,
    /// How far the chain's clock runs behind ours.
    pub(super) chain_behind: Span,
    /// Whether nothing goes wrong at all, but for what people do.
    pub(super) calm: bool,
    /// Until when faults are made, from the beginning.
    pub(super) chaos: Span,
    /// How long everything has to settle afterwards.
    pub(super) quiet: Span,
    /// How many payments there are.
    pub(super) payments: u64,
    /// How many endpoints there are.
    pub(super) endpoints: usize,
    /// When a range is read a second time.
    pub(super) second_reading_after: Span,
    /// How long an address stays watched after its payment ended.
    pub(super) keep_watching: Span,
    /// The API's timeout.
    pub(super) api_timeout: Span,
    /// How long after a payment's expiry the API says so.
    pub(super) expiry_lag: Span,
    /// Whether the API takes one hash for several payments.
    pub(super) shared_hash: bool,
    /// Whether the API answers with the reference's shape (no address, amount, chain) or the guide's.
    pub(super) reference_shape: bool,
    /// Whether a second call with the same hash is answered kindly instead of refused.
    pub(super) kind_to_repeats: bool,
    /// API calls that go wrong, out of a thousand, while there is chaos.
    pub(super) api_faults: u64,
    /// Between two webhooks, in milliseconds, at least and at most.
    pub(super) webhooks: (u64, u64),
    /// Chain calls that go wrong, out of a thousand, while there is chaos.
    pub(super) chain_faults: u64,
    /// How long the store takes at most, in milliseconds.
    pub(super) store_millis: u64,
    /// Whether all endpoints may withhold logs for longer than the second reading is away. The last reading has to find
    /// them.
    pub(super) long_withholding: bool,
    /// Blocks that bring a reorg, out of a thousand, while there is chaos.
    pub(super) reorgs: u64,
    /// How many times the process dies at most.
    pub(super) deaths: u64,
    /// Whether a reorg may go beyond finality once: rare, and some promises do not hold then.
    pub(super) beyond_finality: bool,
    /// What befalls payments that are due for long, in the worlds that are about that only.
    pub(super) long_due: Option<LongDue>,
    /// The payment, by its place in the plan, that the API refuses to show while things go wrong: that one, and no other.
    pub(super) refused: Option<usize>,
    /// Whether the logs are always behind the head, in the world that is about that only.
    pub(super) late_logs: bool,
    /// Whether nodes do all that none should, in the world that is about that only.
    pub(super) odd_nodes: bool,
    /// Whether nodes number logs by transaction instead of by block.
    pub(super) by_transaction: bool,
    /// What lies, in the worlds that are about that only.
    pub(super) danger: Option<Danger>,
    /// Who runs each endpoint.
    pub(super) operators: Vec<usize>,
    /// The operator that lies, where one does.
    pub(super) liar: usize,
    /// How many operators must say the same.
    pub(super) agreement: usize,
    /// How often the API says that a payment is over which is not.
    pub(super) flaps: Option<Flaps>,
    /// When days pass at once.
    pub(super) leaps: Leaps,
    /// How often an older copy of the store comes back.
    pub(super) restores: u64,
    /// Whose lists at the API are followed, if any.
    pub(super) intake: Option<IntakeRules>,
    /// The hot wallet, where there is one.
    pub(super) wallet: Option<WalletSettings>,
    /// What of all that is in the world: everything, but for worlds that are made smaller.
    pub(super) only: Only,
    /// Something that counts as a broken rule when it happens: so the runner's own tests have a world that fails.
    pub(super) forbidden: Option<&'static str>,
}

impl Settings {
    /// The same world with these parts of it only.
    pub(crate) fn with_only(self, only: Only) -> Self {
        Self { only, ..self }
    }

    /// Draws the world of a seed.
    pub(super) fn draw(seed: u64) -> Self {
        let mut rng = Rng::stream(seed, "settings");
        let tag = rng.permille(700);
        let slow_tag = rng.permille(400);
        let keen_tag = tag && !slow_tag && rng.permille(300);
        let slow_store = rng.permille(250);
        let long_withholding = rng.permille(200);
        let calm = rng.permille(100);
        let drawn = Self {
            token: rng.address(),
            other_token: rng.address(),
            fake_token: rng.address(),
            tag,
            depth: match tag {
                true if keen_tag => 0,
                true => rng.range(0, 6),
                false => rng.range(4, 30),
            },
            // A keen tag is the head now and then: then a reading can prove what is final.
            tag_lag: match slow_tag {
                true => (8, 30),
                false if keen_tag => (0, 2),
                false => (1, 5),
            },
            tolerance_under: if rng.permille(300) { u128::from(rng.range(1, 50_000)) } else { 0 },
            tolerance_over: if rng.permille(300) { u128::from(rng.range(1, 50_000)) } else { 0 },
            skew: Span::from_secs(60),
            chain_behind: Span::from_millis(rng.below(8_000)),
            calm,
            chaos: Span::from_secs(rng.range(600, 1_500)),
            quiet: Span::from_secs(3_600),
            payments: rng.range(2, 12),
            endpoints: usize::try_from(rng.range(1, 3)).expect("few"),
            second_reading_after: Span::from_secs(150),
            keep_watching: Span::from_secs(if long_withholding { 600 } else { rng.range(100, 600) }),
            store_millis: if slow_store { 900 } else { 8 },
            long_withholding,
            api_timeout: Span::from_secs(10),
            expiry_lag: Span::from_secs(if rng.permille(400) { rng.range(1, 300) } else { 0 }),
            shared_hash: rng.permille(500),
            reference_shape: rng.permille(300),
            kind_to_repeats: rng.permille(300),
            api_faults: rng.below(400),
            webhooks: SELDOM,
            chain_faults: rng.below(200),
            reorgs: rng.below(60),
            deaths: rng.below(30),
            beyond_finality: rng.permille(60),
            long_due: None,
            refused: draw_refused(seed),
            only: Only::default(),
            forbidden: None,
            late_logs: false,
            odd_nodes: false,
            by_transaction: Rng::stream(seed, "numbering").permille(250),
            danger: None,
            operators: Vec::new(),
            liar: 0,
            agreement: 1,
            flaps: None,
            leaps: Leaps::default(),
            restores: 0,
            intake: intake::draw(seed),
            wallet: None,
        };
        let (operators, agreement) = draw_operators(seed, drawn.endpoints);
        let drawn = Self { operators, agreement, ..drawn };
        let wallet = WalletSettings::draw(seed, drawn.chaos, drawn.payments, calm);
        Self { wallet, ..drawn }
    }

    /// The world of a seed without anything that goes wrong by chance: for a world that is about one danger, which comes besides.
    pub(super) fn without_mishaps(seed: u64) -> Self {
        Self {
            calm: false,
            long_withholding: false,
            api_faults: 0,
            chain_faults: 0,
            reorgs: 0,
            deaths: 0,
            beyond_finality: false,
            wallet: None,
            intake: None,
            // What is added late is seen late.
            refused: None,
            ..Self::draw(seed)
        }
    }

    /// The world of a seed, but for what this one is about: a single node that withholds logs for so long that only the
    /// last reading finds them.
    pub(super) fn one_node_withholds(seed: u64) -> Self {
        Self {
            calm: false,
            endpoints: 1,
            operators: vec![0],
            agreement: 1,
            long_withholding: true,
            keep_watching: Span::from_secs(600),
            beyond_finality: false,
            ..Self::draw(seed)
        }
    }

    /// The world of a seed, but for what this one is about: an API that mostly leaves unclear what it has done, with many
    /// webhooks, and a store that is so slow that everybody runs into everybody else.
    pub(super) fn vague_api(seed: u64) -> Self {
        Self {
            calm: false,
            api_faults: 650,
            webhooks: OFTEN,
            store_millis: 900,
            beyond_finality: false,
            long_withholding: false,
            wallet: None,
            ..Self::draw(seed)
        }
    }

    /// Whether one operator says what is not so.
    pub(super) fn lies(&self) -> bool {
        self.danger.is_some_and(Danger::has_liar)
    }

    /// Whether what one operator says may be all there is to go by, and be false.
    pub(super) fn one_word(&self) -> bool {
        self.lies() && self.agreement == 1
    }

    /// What kind of world it is, in a word.
    pub(crate) fn name(&self) -> &'static str {
        if let Some(danger) = self.danger {
            return danger.name();
        }
        match self.long_due {
            Some(LongDue::MarkMovesBack) => "mark moves back",
            Some(LongDue::DepositsGo) => "deposits go",
            None if self.late_logs => "late logs",
            None if self.odd_nodes => "odd nodes",
            None if self.webhooks == OFTEN => "vague API",
            None if self.calm => "calm",
            None if self.long_withholding => "long withholding",
            None if self.beyond_finality => "beyond finality",
            None if self.wallet.is_some() => "wallet",
            None => "drawn",
        }
    }
}

/// Who runs each endpoint, and how many must say the same. In half of the worlds they are all one operator's; else each
/// has one of its own.
fn draw_operators(seed: u64, endpoints: usize) -> (Vec<usize>, usize) {
    let apart = Rng::stream(seed, "operators").permille(500);
    let operators: Vec<usize> = (0..endpoints).map(|endpoint| if apart { endpoint } else { 0 }).collect();
    let agreement = if apart { endpoints.min(2) } else { 1 };
    (operators, agreement)
}

/// In some worlds the API refuses one payment.
fn draw_refused(seed: u64) -> Option<usize> {
    let mut rng = Rng::stream(seed, "one payment refused");
    rng.permille(200).then(|| usize::try_from(rng.below(8)).expect("small"))
}
