//! The worlds that are about lies, and what is false in each.

use rampwatch::domain::time::Span;

use super::super::clock::Leaps;
use super::super::rng::Rng;
use super::super::settings::Settings;
use super::super::wallet::rules::WalletSettings;
use super::super::weather::Fault;
use super::Lie;
use super::flaps::Flaps;

/// What a world is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Danger {
    /// One operator says false things of the wallet's transactions.
    Receipts,
    /// One operator says false things of its head and of what is final.
    Heads,
    /// One operator invents blocks, with deposits in them.
    Inventions,
    /// One operator tells all of these lies.
    Everything,
    /// One operator of three is silent all the time, and nothing else goes wrong.
    Silence,
    /// The API says that payments are over, and that they are open again.
    Flaps,
    /// Days or a month pass with orders open.
    Days,
    /// An older copy of the store comes back, and the wallet is adopted.
    Restores,
    /// The process's clock jumps forwards and back.
    Clocks,
}

/// A second in a day.
const DAY: u64 = 86_400;

impl Danger {
    /// What kind of world it is, in a word.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Receipts => "false receipts",
            Self::Heads => "false heads",
            Self::Inventions => "invented blocks",
            Self::Everything => "a lying operator",
            Self::Silence => "a silent operator",
            Self::Flaps => "flapping API",
            Self::Days => "days pass",
            Self::Restores => "restored store",
            Self::Clocks => "clock jumps",
        }
    }

    /// Whether one operator says what is not so.
    pub(crate) const fn has_liar(self) -> bool {
        matches!(self, Self::Receipts | Self::Heads | Self::Inventions | Self::Everything)
    }

    /// The world of a seed, but for what this one is about.
    pub(crate) fn settings(self, seed: u64) -> Settings {
        let mut rng = Rng::stream(seed, "danger");
        let drawn = Settings::draw(seed);
        let chaos = Span::from_secs(rng.range(700, 1_200));
        let operators = self.draw_operators(&mut rng);
        let liar = usize::try_from(rng.below(most(&operators))).expect("few");
        let settings = Settings {
            danger: Some(self),
            agreement: usize::try_from(most(&operators).min(2)).expect("few"),
            endpoints: operators.len(),
            operators,
            liar,
            chaos,
            calm: false,
            long_withholding: false,
            beyond_finality: false,
            payments: drawn.payments.max(4),
            deaths: drawn.deaths.min(8),
            reorgs: drawn.reorgs.min(20),
            second_reading_after: Span::from_secs(150),
            ..drawn
        };
        let wallet = self.wallet(seed, &settings, &mut rng);
        let settings = Settings { wallet, ..settings };
        match self {
            Self::Receipts | Self::Heads | Self::Inventions | Self::Everything => settings,
            Self::Clocks => Settings { reference_shape: false, ..settings },
            Self::Silence => {
                Settings { deaths: 0, reorgs: 0, api_faults: 0, chain_faults: 0, store_millis: 8, ..settings }
            }
            Self::Flaps => Settings { flaps: Some(Flaps { permille: 700, until: chaos }), ..settings },
            Self::Days => Settings {
                leaps: draw_leaps(&mut rng, chaos),
                payments: settings.payments.max(9),
                reference_shape: false,
                ..settings
            },
            Self::Restores => Settings {
                restores: rng.range(1, 2),
                deaths: settings.deaths.max(4),
                payments: settings.payments.max(8),
                reference_shape: false,
                ..settings
            },
        }
    }

    /// Who runs each endpoint.
    fn draw_operators(self, rng: &mut Rng) -> Vec<usize> {
        let count = match self {
            Self::Silence => 3,
            _ => rng.range(1, 3),
        };
        let mut operators = Vec::new();
        for operator in 0..usize::try_from(count).expect("few") {
            operators.push(operator);
            if rng.permille(300) {
                operators.push(operator);
            }
        }
        operators
    }

    /// The hot wallet, which most of these worlds cannot do without.
    fn wallet(self, seed: u64, settings: &Settings, rng: &mut Rng) -> Option<WalletSettings> {
        let drawn = WalletSettings::draw(seed, settings.chaos, settings.payments, self == Self::Silence);
        let needed = || WalletSettings::surely(seed, settings.chaos, settings.payments, self == Self::Silence);
        match self {
            Self::Heads | Self::Inventions | Self::Flaps => drawn,
            Self::Receipts | Self::Everything | Self::Silence => Some(needed()),
            Self::Days | Self::Restores | Self::Clocks => Some(needed().with_tight_limits(rng, settings.chaos)),
        }
    }

    /// All that is wrong with the endpoints, the hints and the API. The other operators are away or behind now and then,
    /// and say nothing that is false.
    pub(crate) fn faults(self, rng: &mut Rng, settings: &Settings) -> Vec<(Span, Span, Fault)> {
        let mut faults = Vec::new();
        let all = (Span::ZERO, settings.chaos);
        if self == Self::Silence {
            return vec![(all.0, all.1, Fault::Silent(settings.liar))];
        }
        for _ in 0..rng.below(10) {
            let endpoint = usize::try_from(rng.below(settings.endpoints as u64)).expect("few");
            let fault = match rng.below(8) {
                0 => Fault::Away(endpoint),
                1 | 2 => Fault::Lags(endpoint, Span::from_millis(rng.range(1_000, 40_000))),
                3 => Fault::HintsDown,
                4 => Fault::HintsSilent,
                5 => Fault::ApiAway,
                6 => Fault::Limits(endpoint, rng.range(10, 60)),
                _ => Fault::Silent(settings.liar),
            };
            let from = Span::from_millis(rng.below(settings.chaos.as_millis()));
            let to = from.plus(Span::from_millis(rng.range(2_000, 80_000)));
            faults.push((from, to.min(settings.chaos), fault));
        }
        let mut at = Span::from_secs(rng.range(20, 120));
        while at < settings.chaos {
            let to = at.plus(Span::from_secs(rng.range(15, 260))).min(settings.chaos);
            if let Some(fault) = self.draw_lie(rng, settings) {
                faults.push((at, to, fault));
            }
            at = to.plus(Span::from_secs(rng.range(5, 120)));
        }
        faults
    }

    /// One lie, where the world has any.
    fn draw_lie(self, rng: &mut Rng, settings: &Settings) -> Option<Fault> {
        let receipts = [Lie::Failed, Lie::Failed, Lie::Paid, Lie::Consumed];
        let far = rng.range(50, 2_000);
        let very_far = rng.range(1, 4) * 100_000_000 + rng.below(1_000_000);
        let ahead = Span::from_secs(*rng.pick(&[600, DAY, 30 * DAY]));
        let heads = [
            Lie::FarHead(if rng.permille(500) { far } else { very_far }),
            Lie::FutureHead(ahead),
            Lie::FarFinal(if rng.permille(500) { far } else { very_far }),
            Lie::OtherChain,
        ];
        let lie = match self {
            Self::Receipts => *rng.pick(&receipts),
            Self::Heads => *rng.pick(&heads),
            Self::Inventions => Lie::Invented,
            Self::Everything => match rng.below(3) {
                0 => *rng.pick(&receipts),
                1 => *rng.pick(&heads),
                _ => Lie::Invented,
            },
            Self::Clocks => {
                let by = Span::from_secs(*rng.pick(&[40, 300, 3_600, DAY, 2 * DAY]));
                return Some(if rng.permille(600) { Fault::ClockAhead(by) } else { Fault::ClockBack(by) });
            }
            Self::Silence | Self::Flaps | Self::Days | Self::Restores => return None,
        };
        Some(Fault::Lies(settings.liar, lie))
    }
}

/// How many operators there are.
fn most(operators: &[usize]) -> u64 {
    operators.iter().max().map_or(1, |last| *last as u64 + 1)
}

/// Days that pass at once, or a month.
fn draw_leaps(rng: &mut Rng, chaos: Span) -> Leaps {
    let mut leaps = Leaps::default();
    let slice = chaos.as_secs() / (leaps.len() as u64 + 1);
    for (number, leap) in (1..).zip(leaps.iter_mut()) {
        let at = Span::from_secs(slice * number + rng.below(slice / 2));
        let lasts = match rng.below(6) {
            0 => rng.range(3_600, DAY - 60),
            1 => 30 * DAY + rng.below(DAY),
            _ => rng.range(DAY + 60, 3 * DAY),
        };
        if rng.permille(750) || number == 1 {
            *leap = Some((at, Span::from_secs(lasts)));
        }
    }
    leaps
}
