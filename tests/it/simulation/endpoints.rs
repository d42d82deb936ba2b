//! The endpoints as one life of the process reaches them: the way there, which of them answers, and what each shows.
//! What one shows is the true chain at some moment, so that all its answers fit together.

use std::sync::{Arc, Mutex};

use rampwatch::domain::chain::Header;
use rampwatch::domain::time::Span;
use rampwatch::ports::chain::{ChainError, EndpointId};
use rampwatch::ports::clock::Clock;

use super::chain::View;
use super::fuse::Life;
use super::lies::{Lies, shown};
use super::odd_nodes;
use super::only::Chaos;
use super::rng::Rng;
use super::weather::Fault;
use super::world::World;

/// How long an endpoint is waited for that answers nothing.
const GIVES_UP_AFTER: Span = Span::from_secs(10);

/// The ways of one life to the endpoints.
pub(super) struct Endpoints {
    world: Arc<World>,
    life: Arc<Life>,
    rng: Mutex<Rng>,
}

/// What an endpoint shows at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub(super) endpoint: usize,
    /// For heads, headers and accounts.
    pub(super) view: View,
    /// For logs, where that differs.
    pub(super) logs: View,
    pub(super) withholds: bool,
    /// It has no logs at all.
    pub(super) empty: bool,
    /// What its operator says that is not so.
    pub(super) lies: Lies,
}

impl Endpoints {
    /// The ways of one life; `name` tells them from others'.
    pub(super) fn new(world: Arc<World>, life: Arc<Life>, name: &str) -> Self {
        let rng = Mutex::new(Rng::stream(world.seed, name));
        Self { world, life, rng }
    }

    /// The endpoint's head, if it can be.
    pub(super) fn head(&self, sight: &Sight) -> Result<Header, ChainError> {
        let head = shown::head(&self.world, sight);
        self.believe(sight, &head).map(|()| head)
    }

    /// Whether the adapter believes what the endpoint shows, which has this head.
    pub(super) fn believe(&self, sight: &Sight, head: &Header) -> Result<(), ChainError> {
        let (now, awake_at) = (self.world.process_now(), self.world.clock.now());
        let believed = self.life.gate.believes(sight.endpoint, head, now, awake_at);
        believed.map_err(|why| {
            self.world.count("gate: a head that cannot be");
            self.world.note(&format!("node-{} is not believed: {why}", sight.endpoint));
            ChainError::Unavailable(why)
        })
    }

    /// Whether the adapters ask it at all.
    fn is_asked(&self, endpoint: usize, elapsed: Span) -> bool {
        let now = self.world.clock.now();
        let lies = self.world.weather.lies(elapsed, self.world.settings.operators[endpoint]);
        let is_shut_out = lies.other_chain && self.life.gate.is_new();
        !self.is_away(endpoint, elapsed) && !is_shut_out && !self.life.gate.rests(endpoint, now)
    }

    pub(super) fn draw_millis(&self, low: u64, high: u64) -> Span {
        Span::from_millis(self.rng.lock().expect("one thread").range(low, high))
    }

    /// True this many times out of a thousand, while there is chaos.
    pub(super) fn fails(&self, permille: u64) -> bool {
        self.rng.lock().expect("one thread").permille(permille) && self.world.fails(Chaos::Chain)
    }

    /// A number below a bound.
    pub(super) fn below(&self, bound: u64) -> u64 {
        self.rng.lock().expect("one thread").below(bound)
    }

    /// The way there.
    pub(super) async fn travel(&self) {
        let slow = self.rng.lock().expect("one thread").permille(20) && self.world.fails(Chaos::Chain);
        self.world.clock.sleep(if slow { self.draw_millis(500, 9_000) } else { self.draw_millis(3, 150) }).await;
    }

    /// The way there, the choice of an endpoint, what it sees.
    pub(super) async fn reach(&self, at: Option<EndpointId>, avoid: Option<EndpointId>) -> Result<Sight, ChainError> {
        self.reach_among(|_| true, at, avoid).await
    }

    /// The same among these endpoints only.
    pub(super) async fn reach_among(
        &self,
        may: impl Fn(usize) -> bool + Send,
        at: Option<EndpointId>,
        avoid: Option<EndpointId>,
    ) -> Result<Sight, ChainError> {
        self.travel().await;
        let elapsed = self.world.clock.elapsed();
        let mut rng = self.rng.lock().expect("one thread");
        let is_up = |endpoint: &usize| may(*endpoint) && self.is_asked(*endpoint, elapsed);
        let mut up: Vec<usize> = (0..self.world.settings.endpoints).filter(is_up).collect();
        if let Some(EndpointId(wanted)) = at {
            up.retain(|endpoint| *endpoint == wanted);
        } else if let Some(EndpointId(avoided)) = avoid
            && up.len() > 1
        {
            // Another operator's, where there is one; else at least another endpoint.
            let operators = &self.world.settings.operators;
            let apart = |endpoint: &usize| operators[*endpoint] != operators[avoided];
            if up.iter().any(apart) {
                up.retain(apart);
            } else {
                up.retain(|endpoint| *endpoint != avoided);
            }
        }
        let fails = rng.permille(self.world.settings.chain_faults) && self.world.fails(Chaos::Chain);
        if up.is_empty() || fails {
            self.world.count("chain: unavailable");
            return Err(ChainError::Unavailable("simulated".to_owned()));
        }
        let endpoint = *rng.pick(&up);
        Ok(self.see(endpoint, elapsed))
    }

    /// The way to one of this operator's endpoints, and what it sees. One that answers nothing takes its time about it.
    pub(super) async fn reach_operator(&self, operator: usize) -> Result<Sight, String> {
        self.travel().await;
        let elapsed = self.world.clock.elapsed();
        let of = (0..self.world.settings.endpoints).filter(|it| self.world.settings.operators[*it] == operator);
        let up: Vec<usize> = of.filter(|endpoint| self.is_asked(*endpoint, elapsed)).collect();
        if up.is_empty() {
            self.world.clock.sleep(GIVES_UP_AFTER).await;
            return Err("no answer in time".to_owned());
        }
        if self.fails(self.world.settings.chain_faults) {
            return Err("simulated".to_owned());
        }
        let endpoint = *self.rng.lock().expect("one thread").pick(&up);
        Ok(self.see(endpoint, self.world.clock.elapsed()))
    }

    /// The way to all of them at once, and what each sees; `None` for one that does not answer.
    pub(super) async fn reach_each(&self) -> Vec<(usize, Option<Sight>)> {
        self.travel().await;
        let elapsed = self.world.clock.elapsed();
        (0..self.world.settings.endpoints)
            .map(|endpoint| {
                let away = !self.is_asked(endpoint, elapsed);
                let silent = away || self.fails(self.world.settings.chain_faults);
                (endpoint, (!silent).then(|| self.see(endpoint, elapsed)))
            })
            .collect()
    }

    /// Whether it answers nothing.
    pub(super) fn is_away(&self, endpoint: usize, elapsed: Span) -> bool {
        let operator = self.world.settings.operators[endpoint];
        let silent = self.world.weather.is(elapsed, Fault::Silent(operator));
        if silent {
            self.world.count("lie: an operator is silent");
        }
        silent || self.world.weather.is(elapsed, Fault::Away(endpoint))
    }

    /// What an endpoint shows now.
    pub(super) fn see(&self, endpoint: usize, elapsed: Span) -> Sight {
        let now = self.world.clock.now();
        let standing = odd_nodes::standing_view(&self.world, endpoint, elapsed);
        let chain = self.world.chain();
        let view = standing.unwrap_or_else(|| chain.view(now));
        let lies = self.world.weather.lies(elapsed, self.world.settings.operators[endpoint]);
        let mut sight = Sight { endpoint, view, logs: view, withholds: false, empty: false, lies };
        for fault in self.world.weather.at(elapsed) {
            match fault {
                // A chain that stands still lags anyway.
                Fault::Lags(..) | Fault::TwoFaced(..) if standing.is_some() => {}
                Fault::Lags(lagging, by) if lagging == endpoint => {
                    sight.view = chain.view(now.minus(by));
                    sight.logs = sight.view;
                    self.world.count("chain: lagging endpoint asked");
                }
                Fault::TwoFaced(lying, by) if lying == endpoint => sight.logs = chain.view(now.minus(by)),
                Fault::Withholds(lying) if lying == endpoint => sight.withholds = true,
                Fault::Empty(lying) if lying == endpoint => sight.empty = true,
                Fault::WithholdsForLong => sight.withholds = true,
                _ => {}
            }
        }
        sight
    }
}
