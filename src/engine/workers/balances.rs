//! Looks at the hot wallet's balances, so that somebody hears of it before an order is held for want of money: in the log when one
//! gets low, in the metrics while it is, and as an alarm where the configuration says what is low. All go by the same marks. The metrics
//! do not show amounts, because everybody on the machine may read them.
//!
//! Deliberately absent: any effect on orders. Each is checked against fresh balances before it is sent.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::domain::chain::Address;
use crate::domain::event::Alarm;
use crate::domain::notice::ConditionName;
use crate::domain::time::{Span, Timestamp};
use crate::engine::worker::{Rest, Worker, no_change};
use crate::engine::workers::notifier::{Conditions, NoticeRules};
use crate::engine::{EngineError, EngineSettings, FundingPorts, FundingRules, Ports};
use crate::policy::balances::{Low, Marks, Needs};
use crate::ports::clock::Clock;
use crate::ports::store::Changes;

/// How long after one look comes the next, if the configuration does not say.
const EVERY: Span = Span::from_secs(600);

impl From<&FundingRules> for Needs {
    fn from(rules: &FundingRules) -> Self {
        let preflight = &rules.preflight;
        Self {
            max_per_payment: rules.limits.max_per_payment,
            reserve_token: preflight.reserve_token,
            reserve_native: preflight.reserve_native,
            gas_of_one: preflight.fees.ceiling.times(preflight.fees.gas_limit_max),
        }
    }
}

pub(crate) struct Balances {
    funding: FundingPorts,
    clock: Arc<dyn Clock>,
    token: Address,
    conditions: Conditions,
    marks: Marks,
    /// What the configuration calls low, and raises an alarm.
    alarms: Marks,
    every: Span,
    next_at: Timestamp,
    before: Low,
}

impl Balances {
    /// `None` where there is no wallet, or nothing of it is called low.
    pub(crate) fn new(ports: &Ports, settings: &EngineSettings, rules: Option<&NoticeRules>) -> Option<Self> {
        let funding = ports.funding.clone()?;
        let needs =
            settings.funding.as_ref().filter(|rules| rules.limits.enabled).map(|rules| Needs::from(rules).marks());
        let alarms =
            rules.map_or_else(Marks::default, |rules| Marks { token: rules.low_token, native: rules.low_native });
        let marks = alarms.or(needs.unwrap_or_default());
        show(&marks, Low::default());
        (marks != Marks::default()).then(|| Self {
            funding,
            clock: ports.clock.clone(),
            token: settings.token,
            conditions: Conditions(ports.store.clone()),
            marks,
            alarms,
            every: rules.map_or(EVERY, |rules| rules.balance_every),
            next_at: Timestamp::EPOCH,
            before: Low::default(),
        })
    }
}

impl Worker for Balances {
    fn name(&self) -> &str {
        "balances"
    }

    async fn turn(&mut self, _: &Changes, _: &CancellationToken) -> Result<Rest, EngineError> {
        let now = self.clock.now();
        // A clock that was set back does not put the next look off.
        if now < self.next_at && self.next_at.since(now) <= self.every {
            return Ok(Rest::until(self.next_at.since(now), no_change));
        }
        self.next_at = now.plus(self.every);
        let rest = Rest::until(self.every, no_change);
        let wallet = self.funding.signer.address();
        let (token, native) = match self.funding.sender.balances(wallet, self.token).await {
            Ok(balances) => balances,
            // What is not known now was known lately.
            Err(error) => {
                tracing::warn!(%error, "the wallet's balances could not be read");
                return Ok(rest);
            }
        };
        let (now, low) = (self.clock.now(), self.marks.low(token, native));
        if low.token && !self.before.token {
            tracing::warn!(%wallet, base_units = %token.base_units(), "the wallet is low on the token that pays");
        }
        if low.native && !self.before.native {
            tracing::warn!(%wallet, native = native.to_native(), "the wallet is low on the coin that pays for gas");
        }
        show(&self.marks, low);
        self.before = low;
        if let Some(mark) = self.alarms.token {
            let alarm = low.token.then_some(Alarm::LowToken { have: token, mark });
            self.conditions.note(ConditionName::LowToken, alarm, now).await?;
        }
        if let Some(mark) = self.alarms.native {
            let alarm = low.native.then_some(Alarm::LowNative { have: native, mark });
            self.conditions.note(ConditionName::LowNative, alarm, now).await?;
        }
        Ok(rest)
    }
}

fn show(marks: &Marks, low: Low) {
    for (coin, is_watched, is_low) in
        [("token", marks.token.is_some(), low.token), ("native", marks.native.is_some(), low.native)]
    {
        if is_watched {
            metrics::gauge!("rampwatch_wallet_low", "coin" => coin).set(u32::from(is_low));
        }
    }
}
