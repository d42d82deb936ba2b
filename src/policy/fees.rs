//! What a transaction offers for its gas: EIP-1559 fees, first and raised, and the gas limit.
//!
//! A node takes a replacement only when tip and cap are both at least a tenth higher
//! (`PriceBump` in geth's and Bor's transaction pool). An eighth, rounded up, is past that threshold however it is
//! rounded over there. Deliberately absent: guesses of what the market will do.

use thiserror::Error;

use crate::domain::hold::Hold;
use crate::domain::order::Fees;
use crate::domain::wei::Wei;

/// What fees go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeParams {
    /// The least tip. Polygon's nodes refuse less than 25 gwei.
    pub tip_floor: Wei,
    /// The most that is ever offered for a unit of gas.
    pub ceiling: Wei,
    /// The most gas that a transfer may use.
    pub gas_limit_max: u64,
}

impl FeeParams {
    /// The same for transfers: a ninth of the ceiling is kept back, so that a self-send can always offer an eighth more
    /// than the transfer that it replaces. Without that, a transfer at the ceiling could not be withdrawn, and would be
    /// mined some day, when the market has come down and the payment has run out.
    #[must_use]
    pub const fn for_transfers(&self) -> Self {
        let ninth = self.ceiling.get().div_ceil(9);
        Self { ceiling: self.ceiling.minus(Wei::new(ninth)), ..*self }
    }
}

/// The gas of a transaction that only moves the native coin (the yellow paper's `G_transaction`).
pub const SELF_SEND_GAS: u64 = 21_000;

/// The least gas limit of a transfer. USDC's proxy used 62,147 for a fresh address; a limit that is too low fails without
/// a reason, and what is not used is not paid.
const LEAST_TRANSFER_GAS: u64 = 70_000;

/// The market asks for more than the ceiling allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a unit of gas needs {} gwei, and {} are allowed", needed.to_gwei(), ceiling.to_gwei())]
pub struct AboveCeiling {
    /// What would be needed.
    pub needed: Wei,
    pub ceiling: Wei,
}

impl From<AboveCeiling> for Hold {
    fn from(above: AboveCeiling) -> Self {
        Self::FeeCeiling { needed: above.needed, ceiling: above.ceiling }
    }
}

/// The fees of a first attempt, which is a transfer: the market's tip, at least the floor; twice the base fee and the tip
/// as the cap, under the ceiling of transfers.
///
/// # Errors
/// The ceiling does not even cover the base fee and the tip as they are now.
pub fn first(base: Wei, market_tip: Wei, params: &FeeParams) -> Result<Fees, AboveCeiling> {
    let params = &params.for_transfers();
    let tip = tip(base, market_tip, params);
    let needed = base.plus(tip);
    if needed > params.ceiling {
        return Err(AboveCeiling { needed, ceiling: params.ceiling });
    }
    let cap = base.times(2).plus(tip).min(params.ceiling);
    Ok(Fees { cap, tip })
}

/// The tip that is worth offering. Whatever a node calls the market, it is not followed where it would make the ceiling
/// unreachable: a node's opinion of tips must not stop all sending, nor pay a multiple of the floor for nothing.
fn tip(base: Wei, market_tip: Wei, params: &FeeParams) -> Wei {
    let room = params.ceiling.minus(base);
    let most = params.tip_floor.times(4).min(room).max(params.tip_floor);
    market_tip.max(params.tip_floor).min(most)
}

/// The fees of the next attempt at the same nonce: at least an eighth above the last ones, what the market asks now if
/// that is more, never less than before, and under the ceiling.
///
/// # Errors
/// An eighth more is above the ceiling, or what the market asks is.
pub fn bump(last: &Fees, base: Wei, market_tip: Wei, params: &FeeParams) -> Result<Fees, AboveCeiling> {
    let least = Fees { cap: raised(last.cap), tip: raised(last.tip) };
    let tip = least.tip.max(tip(base, market_tip, params));
    let needed = least.cap.max(base.plus(tip));
    if needed > params.ceiling {
        return Err(AboveCeiling { needed, ceiling: params.ceiling });
    }
    let cap = least.cap.max(base.times(2).plus(tip)).min(params.ceiling);
    Ok(Fees { cap, tip })
}

/// The fees of the self-send that takes a transfer's place: as [`bump`], but a market above the ceiling does not stop it.
/// It has to be in the nodes' pools instead of the transfer before the market comes down again.
///
/// # Errors
/// An eighth more is above the ceiling.
pub fn outbid(last: &Fees, base: Wei, market_tip: Wei, params: &FeeParams) -> Result<Fees, AboveCeiling> {
    bump(last, base, market_tip, params).or_else(|_| {
        let needed = raised(last.cap);
        if needed > params.ceiling {
            return Err(AboveCeiling { needed, ceiling: params.ceiling });
        }
        Ok(Fees { cap: params.ceiling, tip: raised(last.tip) })
    })
}

/// An eighth more, rounded up, and at least one wei.
const fn raised(price: Wei) -> Wei {
    let eighth = price.get().saturating_add(7) / 8;
    price.plus(Wei::new(if eighth == 0 { 1 } else { eighth }))
}

/// Whether a block with this base fee could take the transaction and leave its producer the least tip.
#[must_use]
pub fn is_includable(fees: &Fees, base: Wei, params: &FeeParams) -> bool {
    fees.cap >= base.plus(params.tip_floor.min(fees.tip))
}

/// The gas limit of a transfer: a quarter more than the estimate, within bounds.
///
/// # Errors
/// The estimate itself is above what is allowed.
pub fn gas_limit(estimate: u64, params: &FeeParams) -> Result<u64, Hold> {
    if estimate > params.gas_limit_max {
        return Err(Hold::GasTooHigh { estimate, most: params.gas_limit_max });
    }
    let margin = estimate.saturating_add(estimate / 4).max(LEAST_TRANSFER_GAS);
    Ok(margin.min(params.gas_limit_max.max(estimate)))
}

/// The most that a transaction can cost.
#[must_use]
pub const fn worst_cost(fees: &Fees, gas_limit: u64) -> Wei {
    fees.cap.times(gas_limit)
}
