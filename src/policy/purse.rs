//! Whether the hot wallet runs low: it should be able to pay the largest payment that it may be asked for, and the gas of
//! ten transfers at the highest price that is allowed, and keep its reserves.

use crate::domain::amount::Amount;
use crate::domain::wei::Wei;

/// For so many transfers the gas should do.
const TRANSFERS: u64 = 10;

/// What the wallet should be able to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurseRules {
    /// The most for one payment, in base units of the token.
    pub max_per_payment: Amount,
    /// What stays in the wallet, in base units of the token.
    pub reserve_token: Amount,
    /// What stays in the wallet of the native coin.
    pub reserve_native: Wei,
    /// The most that the gas of one transfer can cost.
    pub gas_of_one: Wei,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Low {
    /// The token that pays.
    pub token: bool,
    /// The native coin, for gas.
    pub native: bool,
}

/// Whether what the wallet has is low.
#[must_use]
pub fn low(token: Amount, native: Wei, rules: &PurseRules) -> Low {
    let spendable = token.checked_sub(rules.reserve_token).unwrap_or(Amount::ZERO);
    Low {
        token: spendable < rules.max_per_payment,
        native: native < rules.reserve_native.plus(rules.gas_of_one.times(TRANSFERS)),
    }
}
