//! What the fake API gives for USDC: invented rates, none of them one to one, and fees that are not zero, so that who mixes
//! up what is sent with what is paid out is found out.
//!
//! All in integers: USDC in base units of 6 decimals, fiat money in hundredths, rounded down.

use crate::domain::amount::Amount;

/// How many units of each currency are given for one USDC, in ten-thousandths.
const RATES: [(&str, u128); 8] = [
    ("ARS", 10_438_250),
    ("BRL", 54_327),
    ("COP", 41_025_500),
    ("EUR", 9_213),
    ("GBP", 7_839),
    ("MXN", 172_041),
    ("PHP", 585_150),
    ("USD", 9_985),
];

/// What the fake API takes of every payment, in base units: half a USDC.
pub(super) const FIXED_FEE: u128 = 500_000;

/// What it takes besides, in ten-thousandths of what is sent.
pub(super) const VARIABLE_FEE: u128 = 25;

/// What is given for an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Price {
    /// What is sent, in base units.
    pub(super) source: Amount,
    /// What is paid out, in hundredths.
    pub(super) destination: Amount,
    /// How much of the destination currency is given for one USDC, in ten-thousandths.
    pub(super) rate: Amount,
    /// What the fake API takes for each USDC, in base units in all.
    pub(super) variable: Amount,
    /// What the developer takes, in base units.
    pub(super) developer: Amount,
    /// What is taken in all, in base units.
    pub(super) total: Amount,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPrice {
    /// Nobody exchanges into this currency.
    Currency,
    /// The fees eat it up, or it is more than anybody can count.
    Amount,
}

/// What is given for `source`. `developer` is in percent with 6 decimals, so that 1 000 000 is one percent.
pub(super) fn price(source: Amount, currency: &str, developer: Amount) -> Result<Price, NoPrice> {
    let (_, rate) = RATES.iter().find(|(name, _)| *name == currency).ok_or(NoPrice::Currency)?;
    priced(source, *rate, developer).ok_or(NoPrice::Amount)
}

fn priced(source: Amount, rate: u128, developer: Amount) -> Option<Price> {
    let units = source.base_units();
    // Fees are rounded up, as those who take them do.
    let share = |of: u128, parts: u128| units.checked_mul(of).map(|whole| whole.div_ceil(parts));
    let variable = share(VARIABLE_FEE, 10_000)?;
    let developer = share(developer.base_units(), 100_000_000)?;
    let total = FIXED_FEE.checked_add(variable)?.checked_add(developer)?;
    let net = units.checked_sub(total)?;
    // From 6 decimals and ten-thousandths down to hundredths.
    let destination = net.checked_mul(rate)?.checked_div(100_000_000)?;
    (destination > 0).then(|| Price {
        source,
        destination: Amount::from_base_units(destination),
        rate: Amount::from_base_units(rate),
        variable: Amount::from_base_units(variable),
        developer: Amount::from_base_units(developer),
        total: Amount::from_base_units(total),
    })
}
