//! Looks at the hot wallet's balances every ten minutes, so that somebody hears of it before an order is held for want of
//! money. Says it in the log once, and shows it in the metrics; amounts are not shown there, because everybody on
//! the machine may read them.
//!
//! Deliberately absent: any effect on orders. Each is checked against fresh balances before it is sent.

use std::convert::Infallible;
use std::sync::Arc;

use super::{FundingPorts, FundingRules};
use crate::domain::chain::Address;
use crate::domain::time::Span;
use crate::policy::purse::{Low, PurseRules, low};
use crate::ports::clock::Clock;

/// How long after one look comes the next.
const EVERY: Span = Span::from_secs(600);

impl From<&FundingRules> for PurseRules {
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

/// Looks again and again. Ends only when it is dropped.
pub async fn watch(funding: FundingPorts, rules: FundingRules, token: Address, clock: Arc<dyn Clock>) -> Infallible {
    let wallet = funding.signer.address();
    let rules = PurseRules::from(&rules);
    let mut before = Low::default();
    show(before);
    loop {
        match funding.sender.balances(wallet, token).await {
            Ok((has, native)) => {
                let now = low(has, native, &rules);
                if now.token && !before.token {
                    tracing::warn!(%wallet, base_units = %has.base_units(), "the wallet is low on the token that pays");
                }
                if now.native && !before.native {
                    tracing::warn!(%wallet, native = native.to_native(), "the wallet is low on the coin that pays for gas");
                }
                show(now);
                before = now;
            }
            // What is not known now was known lately; that nodes do not answer is told elsewhere.
            Err(error) => tracing::debug!(%error, "the wallet's balances could not be asked for"),
        }
        clock.sleep(EVERY).await;
    }
}

fn show(what: Low) {
    metrics::gauge!("rampwatch_wallet_low", "coin" => "token").set(u32::from(what.token));
    metrics::gauge!("rampwatch_wallet_low", "coin" => "native").set(u32::from(what.native));
}
