//! What is done to a call, and how that is decided: rules for single calls first, then a plan, then chance.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

/// Any method.
pub(crate) const ANY: &str = "*";

/// A call as it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    /// Its method.
    pub(crate) method: String,
    /// Its parameters.
    pub(crate) params: Value,
    /// Which of the calls of its method it is, from 0.
    pub(crate) nth: u64,
    /// Which of all calls it is, from 0.
    pub(crate) number: u64,
}

/// What is done to a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deed {
    /// Waited before it is given to the node.
    pub(crate) before: Duration,
    /// How often it is given to the node, one after the other; 0: the node never hears of it.
    pub(crate) forwards: usize,
    /// Waited when the node has answered.
    pub(crate) after: Duration,
    /// What the caller hears.
    pub(crate) tell: Tell,
}

/// What the caller hears. In a batch, what is not a reply is for the whole batch, once all its calls were dealt with: a
/// cut before a silence, that before a status.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tell {
    /// The node's answer, the first or a later one, from 0.
    Answer(usize),
    /// This result.
    Result(Value),
    /// This JSON-RPC error.
    Error(Value),
    /// This HTTP status, with a proxy's page.
    Status(u16),
    /// Nothing, ever; the connection stays.
    Silence,
    /// Nothing; the connection is closed.
    Cut,
}

impl Deed {
    /// Given to the node, and its answer is told.
    pub(crate) fn pass() -> Self {
        Self { before: Duration::ZERO, forwards: 1, after: Duration::ZERO, tell: Tell::Answer(0) }
    }

    /// The same, late on the way there and on the way back. It reaches the node even when the caller has gone.
    pub(crate) fn delay(before: Duration, after: Duration) -> Self {
        Self { before, after, ..Self::pass() }
    }

    /// The node does it, and the connection is cut.
    pub(crate) fn lose_answer() -> Self {
        Self { tell: Tell::Cut, ..Self::pass() }
    }

    /// The connection is cut, and the node never hears of it.
    pub(crate) fn lose_request() -> Self {
        Self { forwards: 0, ..Self::lose_answer() }
    }

    /// The node does it, and no answer ever comes.
    pub(crate) fn swallow_answer() -> Self {
        Self { tell: Tell::Silence, ..Self::pass() }
    }

    /// Given to the node twice, one after the other; this answer is told, from 0.
    pub(crate) fn twice(told: usize) -> Self {
        Self { forwards: 2, tell: Tell::Answer(told), ..Self::pass() }
    }

    /// Answered with a result; the node never hears of it.
    pub(crate) fn answer(result: Value) -> Self {
        Self { forwards: 0, tell: Tell::Result(result), ..Self::pass() }
    }

    /// Refused with a JSON-RPC error; the node never hears of it.
    pub(crate) fn refuse(code: i64, message: &str) -> Self {
        Self { forwards: 0, ..Self::pass() }.telling_error(code, message)
    }

    /// Answered with an HTTP status; the node never hears of it.
    pub(crate) fn status(status: u16) -> Self {
        Self { forwards: 0, tell: Tell::Status(status), ..Self::pass() }
    }

    /// The same deed with another word to the caller.
    pub(crate) fn telling(self, tell: Tell) -> Self {
        Self { tell, ..self }
    }

    /// The same deed, and the caller hears a JSON-RPC error.
    pub(crate) fn telling_error(self, code: i64, message: &str) -> Self {
        self.telling(Tell::Error(json!({ "code": code, "message": message })))
    }
}

/// Chance. Each figure is in so many calls of a thousand; the rest pass. What happens to the n-th call of a method
/// depends on the seed, the method and n alone, not on what else goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) seed: u64,
    /// Which methods it strikes; all when there are none.
    pub(crate) methods: Vec<&'static str>,
    pub(crate) delay: u64,
    /// The most for each way of a delayed call.
    pub(crate) most_delay: Duration,
    pub(crate) lose_answer: u64,
    pub(crate) lose_request: u64,
    pub(crate) twice: u64,
    /// Of these, half are HTTP 503 and half HTTP 429, and the node never hears of them.
    pub(crate) refuse: u64,
    /// Of these the node's answer is replaced by HTTP 502.
    pub(crate) mask: u64,
}

impl Weather {
    /// A storm: a third of the calls of these methods go wrong.
    pub(crate) fn storm(seed: u64, methods: &[&'static str]) -> Self {
        Self {
            seed,
            methods: methods.to_vec(),
            delay: 70,
            most_delay: Duration::from_millis(300),
            lose_answer: 80,
            lose_request: 40,
            twice: 70,
            refuse: 40,
            mask: 40,
        }
    }

    /// What it does to a call.
    pub(crate) fn deed(&self, call: &Call) -> Deed {
        if !self.methods.is_empty() && !self.methods.contains(&call.method.as_str()) {
            return Deed::pass();
        }
        let name = call.method.bytes().fold(self.seed, |sum, byte| scramble(sum ^ u64::from(byte)));
        let mut state = scramble(name ^ call.nth);
        let mut draw = |bound: u64| {
            state = scramble(state);
            state % bound.max(1)
        };
        let mut left = draw(1_000);
        let mut falls = |odds: u64| {
            let fell = left < odds;
            left = left.wrapping_sub(odds);
            fell
        };
        let late = Duration::from_millis(draw(u64::try_from(self.most_delay.as_millis()).unwrap_or(u64::MAX)));
        let later = Duration::from_millis(draw(u64::try_from(self.most_delay.as_millis()).unwrap_or(u64::MAX)));
        let coin = draw(2);
        if falls(self.delay) {
            Deed::delay(late, later)
        } else if falls(self.lose_answer) {
            Deed::lose_answer()
        } else if falls(self.lose_request) {
            Deed::lose_request()
        } else if falls(self.twice) {
            Deed::twice(usize::from(coin == 1))
        } else if falls(self.refuse) {
            Deed::status(if coin == 1 { 503 } else { 429 })
        } else if falls(self.mask) {
            Deed::pass().telling(Tell::Status(502))
        } else {
            Deed::pass()
        }
    }
}

/// Spreads neighbouring numbers over all numbers (the finaliser of splitmix64).
const fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Decides by whatever it likes; `None` leaves the call to chance.
pub(super) type Plan = Box<dyn FnMut(&Call) -> Option<Deed> + Send>;

struct Rule {
    method: String,
    skipped: u64,
    times: u64,
    deed: Deed,
}

/// All that decides.
#[derive(Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    plan: Option<Plan>,
    weather: Option<Weather>,
    came: BTreeMap<String, u64>,
    number: u64,
}

impl Rules {
    /// Numbers a call.
    pub(super) fn call(&mut self, method: &str, params: Value) -> Call {
        let came = self.came.entry(method.to_owned()).or_default();
        let call = Call { method: method.to_owned(), params, nth: *came, number: self.number };
        *came += 1;
        self.number += 1;
        call
    }

    pub(super) fn add(&mut self, method: &str, skipped: u64, times: u64, deed: Deed) {
        self.rules.push(Rule { method: method.to_owned(), skipped, times, deed });
    }

    pub(super) fn set_plan(&mut self, plan: Plan) {
        self.plan = Some(plan);
    }

    pub(super) fn set_weather(&mut self, weather: Weather) {
        self.weather = Some(weather);
    }

    /// Forgets everything but the numbers.
    pub(super) fn clear(&mut self) {
        *self = Self { came: std::mem::take(&mut self.came), number: self.number, ..Self::default() };
    }

    /// The first rule that is due strikes; those before it have counted the call as skipped.
    pub(super) fn decide(&mut self, call: &Call) -> Deed {
        for rule in &mut self.rules {
            if !fits(&rule.method, &call.method) || rule.times == 0 {
                continue;
            }
            if rule.skipped > 0 {
                rule.skipped -= 1;
                continue;
            }
            rule.times -= 1;
            return rule.deed.clone();
        }
        if let Some(deed) = self.plan.as_mut().and_then(|plan| plan(call)) {
            return deed;
        }
        self.weather.as_ref().map_or_else(Deed::pass, |weather| weather.deed(call))
    }
}

/// Whether a rule for this method is for a call of that one.
pub(super) fn fits(rule: &str, method: &str) -> bool {
    rule == ANY || rule == method
}
