//! The hot wallet: whether it can pay what it may be asked to pay, and whether anybody else uses it.

use super::{Finding, Says};
use crate::domain::amount::Amount;
use crate::domain::checkup::{Told, WalletCheckup};
use crate::domain::wei::Wei;
use crate::policy::balances::Needs;

/// What the configuration expects of the wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletRules {
    /// Whether anything may be sent at all.
    pub enabled: bool,
    /// Whether the automatic mode is on and has no limit of its own.
    pub auto_unlimited: bool,
    /// What the token is called.
    pub symbol: String,
    /// The token's decimals.
    pub decimals: u8,
    /// The most in any 24 hours.
    pub max_per_day: Amount,
    /// What it should be able to pay.
    pub needs: Needs,
}

/// What was found of the wallet; `None` when none is configured.
#[must_use]
pub fn wallet(found: Option<&Told<WalletCheckup>>, rules: &WalletRules) -> Vec<Finding> {
    let says = Says::of("wallet", "");
    let checked = match found {
        None => return vec![says.ok("none is configured: nothing is ever sent")],
        Some(Err(why)) => {
            return vec![says.fail(
                format!("its key does not open: {why}"),
                "correct what it names: [wallet], one of its files, or the password",
            )];
        }
        Some(Ok(checked)) => checked,
    };
    let sends = if rules.enabled { "may send" } else { "sends nothing (funding.enabled = false)" };
    let mut findings = vec![says.ok(format!("its key is that of {}, and it {sends}", checked.address))];
    findings.extend(rules.auto_unlimited.then(auto_unlimited));
    match &checked.balances {
        Err(why) => findings.push(says.fail(format!("its balances are not known: {why}"), "see the endpoints above")),
        Ok((token, native)) => {
            let low = rules.needs.marks().low(*token, *native);
            findings.push(of_token(&says, *token, rules, low.token));
            findings.push(of_native(&says, *native, rules, low.native));
        }
    }
    findings.extend(nonces(&says, checked));
    findings
}

/// The automatic mode is on and has no limit of its own.
#[must_use]
pub fn auto_unlimited() -> Finding {
    Says::of("funding", "").warn(
        "the automatic mode is on and sends nothing, because it has no limit of its own",
        "set funding.auto_max_per_day to the most that may leave in 24 hours without anybody being asked",
    )
}

fn of_token(says: &Says, has: Amount, rules: &WalletRules, low: bool) -> Finding {
    let text = |amount: Amount| format!("{} {}", amount.to_decimal(rules.decimals), rules.symbol);
    let spendable = has.checked_sub(rules.needs.reserve_token).unwrap_or(Amount::ZERO);
    let found = format!(
        "it has {}, and keeps {} of it in reserve; limits are {} for one payment and {} a day",
        text(has),
        text(rules.needs.reserve_token),
        text(rules.needs.max_per_payment),
        text(rules.max_per_day)
    );
    if !rules.enabled || !low {
        return says.ok(found);
    }
    let remedy = format!("send {} to it: orders that it cannot pay are held until it can", rules.symbol);
    if spendable.is_zero() { says.fail(found, remedy) } else { says.warn(found, remedy) }
}

fn of_native(says: &Says, has: Wei, rules: &WalletRules, low: bool) -> Finding {
    let least = rules.needs.reserve_native.plus(rules.needs.gas_of_one);
    let found = format!(
        "it has {} POL for gas, and keeps {} in reserve",
        has.to_native(),
        rules.needs.reserve_native.to_native()
    );
    if !rules.enabled || !low {
        return says.ok(found);
    }
    let remedy = "send POL to it: orders are held without it";
    if has < least {
        says.fail(found, remedy)
    } else {
        says.warn(format!("{found}; that is gas for fewer than ten transfers at the ceiling"), remedy)
    }
}

fn nonces(says: &Says, checked: &WalletCheckup) -> Vec<Finding> {
    let mut findings = Vec::new();
    let told: Vec<_> = checked.nonces.iter().filter_map(|(name, told)| Some((name, told.as_ref().ok()?))).collect();
    for (name, count) in &told {
        let waiting = count.pending.saturating_sub(count.latest);
        if waiting > 0 {
            let found = format!("{waiting} of its transactions wait in the pool of {name}");
            let remedy = "well while orders are under way (`rampwatch orders`); otherwise somebody else uses the key";
            findings.push(says.warn(found, remedy));
        }
    }
    let lowest = told.iter().map(|(_, count)| count.latest).min();
    let highest = told.iter().map(|(_, count)| count.latest).max();
    if lowest != highest {
        let each: Vec<String> = told.iter().map(|(name, count)| format!("{name} says {}", count.latest)).collect();
        let found = format!("the endpoints count its transactions differently: {}", each.join(", "));
        findings.push(says.warn(found, "one of them lags, or a transaction was mined just now: look again"));
    }
    if findings.is_empty()
        && let Some(count) = lowest
    {
        findings.push(says.ok(format!("its next nonce is {count}, and none of its transactions waits")));
    }
    findings
}
