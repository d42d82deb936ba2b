//! Whether the hot wallet runs low: by what the configuration calls low, or else by what it may be asked for. It should be able to pay
//! the largest payment, and the gas of ten transfers at the highest price that is allowed, and keep its reserves.

use crate::domain::amount::Amount;
use crate::domain::wei::Wei;

/// For so many transfers the gas should do.
const TRANSFERS: u64 = 10;

/// What the wallet may be asked to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The most for one payment, in base units of the token.
    pub max_per_payment: Amount,
    /// What stays in the wallet, in base units of the token.
    pub reserve_token: Amount,
    /// What stays in the wallet of the native coin.
    pub reserve_native: Wei,
    /// The most that the gas of one transfer can cost.
    pub gas_of_one: Wei,
}

impl Needs {
    /// Less than this does not do.
    #[must_use]
    pub fn marks(&self) -> Marks {
        let token = self.reserve_token.checked_add(self.max_per_payment);
        Marks {
            token: Some(token.unwrap_or(Amount::from_base_units(u128::MAX))),
            native: Some(self.reserve_native.plus(self.gas_of_one.times(TRANSFERS))),
        }
    }
}

/// Less than this is low; `None`: nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Of the token that pays.
    pub token: Option<Amount>,
    /// Of the native coin, for gas.
    pub native: Option<Wei>,
}

impl Marks {
    /// These, and the others where these are silent.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self { token: self.token.or(others.token), native: self.native.or(others.native) }
    }

    /// What is low of what the wallet has.
    #[must_use]
    pub fn low(&self, token: Amount, native: Wei) -> Low {
        Low {
            token: self.token.is_some_and(|mark| token < mark),
            native: self.native.is_some_and(|mark| native < mark),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Low {
    /// The token that pays.
    pub token: bool,
    /// The native coin, for gas.
    pub native: bool,
}
