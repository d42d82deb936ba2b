//! What people mean to do: open payments, send money rightly and wrongly, tell the operator, complete by hand. Drawn
//! before anything happens, so that the process's behaviour does not change it.

use std::collections::{BTreeMap, BTreeSet};

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Address;
use rampwatch::domain::payment::{PaymentId, RecipientId};
use rampwatch::domain::time::Span;

use super::chain::{Move, Tx};
use super::intake;
use super::late_logs;
use super::long_due::LongDue;
use super::odd_nodes;
use super::rng::Rng;
use super::settings::{Settings, WHOLE};
use super::strays;
use super::world::World;

/// How the money of a payment comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Story {
    /// All of it at once.
    Exact,
    /// In one transaction with others'.
    Batched,
    /// Off by less than the tolerance.
    Nearly,
    /// Too little.
    Under,
    /// Too much.
    Over,
    /// In two parts.
    Split,
    /// Twice.
    Double,
    /// Before the payment was opened.
    Early,
    /// After it ran out.
    Late,
    /// Nothing, several times: address poisoning.
    Zero,
    /// In a known token that does not pay.
    WrongToken,
    /// In a token that nobody knows.
    FakeToken,
    /// To the address of another payment.
    Astray,
    /// From the address to itself.
    ToItself,
    /// Never.
    Never,
}

/// All of them.
pub(super) const STORIES: [Story; 15] = [
    Story::Exact,
    Story::Batched,
    Story::Nearly,
    Story::Under,
    Story::Over,
    Story::Split,
    Story::Double,
    Story::Early,
    Story::Late,
    Story::Zero,
    Story::WrongToken,
    Story::FakeToken,
    Story::Astray,
    Story::ToItself,
    Story::Never,
];

/// A payment that somebody opens at the API.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) id: PaymentId,
    pub(super) recipient: RecipientId,
    pub(super) address: Address,
    pub(super) amount: Amount,
    /// Who sends, where the creator says so.
    pub(super) sender: Option<Address>,
    pub(super) create_at: Span,
    pub(super) expires_at: Option<Span>,
    /// When the operator is told; `None`: never.
    pub(super) add_at: Option<Span>,
    pub(super) story: Story,
}

/// Something that a person does.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Opens the payment at the API.
    Create(usize),
    /// Signs a transaction.
    Send(Tx),
    /// Tells rampwatch of the payment.
    Add(usize),
    /// Completes the payment by hand: with the first transaction that pays it if there is one, else with any hash.
    ByHand(usize),
    /// Looks through the reviews and resolves some.
    Review,
}

/// Everything that people will do, by time.
pub(super) struct Plan {
    pub(super) payments: Vec<Planned>,
    pub(super) acts: BTreeMap<(Span, u64), Act>,
}

impl Plan {
    /// Draws what people of a seed's world will do.
    pub(super) fn draw(seed: u64, settings: &Settings) -> Self {
        let mut rng = Rng::stream(seed, "plan");
        if settings.long_due.is_some() {
            return LongDue::plan(&mut rng, settings);
        }
        if settings.late_logs {
            return late_logs::plan(&mut rng, settings);
        }
        if settings.odd_nodes {
            return odd_nodes::plan(&mut rng, settings);
        }
        let mut plan = Self::empty();
        let mut intake_rng = Rng::stream(seed, "payments that are listed");
        let mut wallet_rng = Rng::stream(seed, "payments of the wallet");
        for number in 0..settings.payments {
            let mut planned = plan.draw_payment(&mut rng, settings, number);
            if let Some(wallet) = &settings.wallet {
                wallet.takes_on(&mut planned, &mut wallet_rng);
            }
            if let Some(rules) = &settings.intake {
                intake::takes_on(rules, &mut planned, &mut intake_rng);
            }
            let place = plan.payments.len();
            plan.act(planned.create_at, Act::Create(place));
            if let Some(at) = planned.add_at {
                plan.act(at, Act::Add(place));
            }
            if rng.permille(60) {
                plan.act(planned.create_at.plus(secs(&mut rng, 5, 400)), Act::ByHand(place));
            }
            plan.payments.push(planned);
        }
        for place in 0..plan.payments.len() {
            plan.draw_money(&mut rng, settings, place);
        }
        plan.draw_batches(&mut rng, settings);
        plan.draw_strangers(&mut rng, settings);
        strays::draw(&mut plan, &mut Rng::stream(seed, "dust"), settings);
        for _ in 0..rng.below(12) {
            let at = secs(&mut rng, 30, settings.chaos.as_secs());
            plan.act(at, Act::Review);
        }
        plan
    }

    /// The payments that are opened at the API, and of which the operator is told.
    pub(super) fn added(&self) -> impl Iterator<Item = &Planned> {
        let does = |wanted: fn(&Act) -> Option<usize>| self.acts.values().filter_map(wanted).collect::<BTreeSet<_>>();
        let opened = does(|act| if let Act::Create(place) = act { Some(*place) } else { None });
        let told = does(|act| if let Act::Add(place) = act { Some(*place) } else { None });
        let places: Vec<usize> = opened.intersection(&told).copied().collect();
        places.into_iter().map(|place| &self.payments[place])
    }

    /// What people have to tell rampwatch again because the store has forgotten it.
    pub(super) fn to_add_again(&self, world: &World) -> Vec<Act> {
        let now = world.clock.elapsed();
        let told = |((at, _), act): &(&(Span, u64), &Act)| match act {
            Act::Add(place) => {
                *at <= now && world.store.look(|kept| !kept.payments.contains_key(&self.payments[*place].id))
            }
            _ => false,
        };
        self.acts.iter().filter(told).map(|(_, act)| act.clone()).collect()
    }

    /// Nobody does anything.
    fn empty() -> Self {
        Self { payments: Vec::new(), acts: BTreeMap::new() }
    }

    /// Somebody will do this.
    pub(super) fn act(&mut self, at: Span, act: Act) {
        let order = self.acts.len() as u64;
        self.acts.insert((at, order), act);
    }

    /// Draws a payment, whatever is to become of it.
    pub(super) fn draw_payment(&self, rng: &mut Rng, settings: &Settings, number: u64) -> Planned {
        let plain = rng.permille(350);
        let story = if plain { Story::Exact } else { *rng.pick(&STORIES) };
        let earliest = if story == Story::Early { 300 } else { 1 };
        let create_at = secs(rng, earliest, settings.chaos.as_secs() - 100);
        let twin = if self.payments.is_empty() || rng.permille(750) { None } else { Some(rng.pick(&self.payments)) };
        let same_amount = rng.permille(600);
        let fresh =
            Amount::from_base_units(u128::from(rng.range(1, 2_000)) * WHOLE + u128::from(rng.below(100) * 10_000));
        let add_at = match rng.below(100) {
            0..70 => Some(create_at.plus(secs(rng, 1, 20))),
            70..97 => Some(create_at.plus(secs(rng, 20, 700))),
            _ => None,
        };
        let expires_at = rng.permille(900).then(|| create_at.plus(secs(rng, 300, 1_800)));
        Planned {
            id: PaymentId::new(format!("pay-{number:02}")).expect("an id"),
            recipient: RecipientId::new(format!("rec-{}", rng.below(4))).expect("an id"),
            address: twin.map_or_else(|| rng.address(), |twin| twin.address),
            amount: twin.filter(|_| same_amount).map_or(fresh, |twin| twin.amount),
            sender: rng.permille(400).then(|| rng.address()),
            create_at,
            expires_at,
            add_at,
            story,
        }
    }

    /// So many payments that are opened early, each with an address of its own and paid exactly once, in these seconds.
    pub(super) fn paid_once(rng: &mut Rng, settings: &Settings, payments: u64, money: (u64, u64)) -> Self {
        let mut plan = Self::empty();
        for number in 0..payments {
            plan.pay_once(rng, settings, number, money);
        }
        plan
    }

    fn pay_once(&mut self, rng: &mut Rng, settings: &Settings, number: u64, money: (u64, u64)) {
        let create_at = Span::from_secs(rng.range(1, 40));
        let planned = Planned {
            create_at,
            add_at: Some(create_at.plus(Span::from_secs(10))),
            expires_at: None,
            address: rng.address(),
            story: Story::Exact,
            ..self.draw_payment(rng, settings, number)
        };
        let from = planned.sender.unwrap_or_else(|| rng.address());
        let step = Move { token: settings.token, from, to: planned.address, amount: planned.amount };
        let pays_at = Span::from_secs(rng.range(money.0, money.1));
        let place = self.payments.len();
        self.act(create_at, Act::Create(place));
        self.act(create_at.plus(Span::from_secs(10)), Act::Add(place));
        self.act(pays_at, Act::Send(Tx { hash: rng.hash(), moves: vec![step] }));
        self.payments.push(planned);
    }

    fn draw_money(&mut self, rng: &mut Rng, settings: &Settings, place: usize) {
        let planned = self.payments[place].clone();
        let due = planned.amount.base_units();
        let from = planned.sender.unwrap_or_else(|| rng.address());
        let soon = planned.create_at.plus(secs(rng, 2, 250));
        let part = u128::from(rng.range(1, 999));
        let send = |plan: &mut Self, rng: &mut Rng, at: Span, token: Address, from: Address, amount: u128| {
            let step = Move { token, from, to: planned.address, amount: Amount::from_base_units(amount) };
            plan.act(at, Act::Send(Tx { hash: rng.hash(), moves: vec![step] }));
        };
        let token = settings.token;
        match planned.story {
            Story::Exact => send(self, rng, soon, token, from, due),
            Story::Nearly => {
                let below = rng.permille(500);
                let off = u128::from(rng.next())
                    % (1 + if below { settings.tolerance_under } else { settings.tolerance_over });
                send(self, rng, soon, token, from, if below { due - off } else { due + off });
            }
            Story::Under => send(self, rng, soon, token, from, due * part / 1_000),
            Story::Over => send(self, rng, soon, token, from, due + due * part / 1_000 + 60_000),
            Story::Split => {
                let first = due * part / 1_000;
                send(self, rng, soon, token, from, first);
                let later = soon.plus(secs(rng, 0, 60));
                send(self, rng, later, token, from, due - first);
            }
            Story::Double => {
                send(self, rng, soon, token, from, due);
                let later = soon.plus(secs(rng, 0, 200));
                send(self, rng, later, token, from, due);
            }
            Story::Early => {
                let before = planned.create_at.as_secs() - rng.range(75, 280);
                send(self, rng, Span::from_secs(before), token, from, due);
            }
            Story::Late => {
                let end = planned.expires_at.unwrap_or(planned.create_at);
                let after = end.plus(secs(rng, 75, 300));
                send(self, rng, after, token, from, due);
            }
            Story::Zero => {
                for _ in 0..rng.range(1, 4) {
                    send(self, rng, soon, token, from, 0);
                }
            }
            Story::WrongToken => send(self, rng, soon, settings.other_token, from, due),
            Story::FakeToken => send(self, rng, soon, settings.fake_token, from, due),
            Story::Astray => {
                let to = rng.pick(&self.payments).address;
                let step = Move { token, from, to, amount: planned.amount };
                self.act(soon, Act::Send(Tx { hash: rng.hash(), moves: vec![step] }));
            }
            Story::ToItself => send(self, rng, soon, token, planned.address, due),
            Story::Batched | Story::Never => {}
        }
        if rng.permille(150) {
            send(self, rng, soon, token, from, 0);
        }
    }

    /// One transaction pays up to five payments.
    fn draw_batches(&mut self, rng: &mut Rng, settings: &Settings) {
        let batched: Vec<_> = self.payments.iter().filter(|planned| planned.story == Story::Batched).cloned().collect();
        for group in batched.chunks(5) {
            let last = group.iter().map(|planned| planned.create_at).max().expect("never empty");
            let from = rng.address();
            let pays =
                |planned: &Planned| Move { token: settings.token, from, to: planned.address, amount: planned.amount };
            let mut moves: Vec<_> = group.iter().map(pays).collect();
            if rng.permille(300) {
                moves.push(Move { amount: Amount::ZERO, ..moves[0].clone() });
            }
            if rng.permille(300) {
                moves.insert(0, Move { token: settings.fake_token, ..moves[0].clone() });
            }
            if rng.permille(100) {
                moves.push(moves[0].clone());
            }
            let at = last.plus(secs(rng, 2, 60));
            self.act(at, Act::Send(Tx { hash: rng.hash(), moves }));
        }
    }

    /// Money between people whom nobody watches.
    fn draw_strangers(&mut self, rng: &mut Rng, settings: &Settings) {
        for _ in 0..rng.below(20) {
            let amount = Amount::from_base_units(u128::from(rng.below(1_000)) * WHOLE);
            let step = Move { token: settings.token, from: rng.address(), to: rng.address(), amount };
            let at = secs(rng, 0, settings.chaos.as_secs());
            self.act(at, Act::Send(Tx { hash: rng.hash(), moves: vec![step] }));
        }
    }
}

fn secs(rng: &mut Rng, low: u64, high: u64) -> Span {
    Span::from_millis(rng.range(low * 1_000, high * 1_000))
}
